/**
Judges the data folder and its disk: permissions, the process that uses the folder, the node in it, free space, and the
duration of an fsync. `disk-facts.ts` collects the facts.
*/
import type {Config} from '../../core/config.ts';
import {ownershipProblem, placeRemedy, roomOf, type RegisteredNode} from '../../core/preflight.ts';
import {bytesText, shortId, timeText} from '../output/units.ts';
import {syncBytes, syncs, type DiskFacts} from './disk-facts.ts';
import {bad, good, type Check, type ReasonOf} from './outcome.ts';

/** Median of the fsyncs from which the disk counts as slow. */
const slowMs = 50;

/** Types of file systems by their number in Linux (`statfs(2)`). */
const kinds: ReadonlyMap<number, readonly [kind: ReasonOf<'file-system'>, name: string]> = new Map([
	[0x01_02_19_94, ['memory', 'tmpfs']],
	[0x85_84_58_f6, ['memory', 'ramfs']],
	[0x69_69, ['network', 'NFS']],
	[0xff_53_4d_42, ['network', 'CIFS']],
	[0xfe_53_4d_42, ['network', 'SMB']],
	[0x51_7b, ['network', 'SMB']],
	[0x01_02_19_97, ['network', '9P']],
	[0x65_73_55_46, ['network', 'FUSE']],
	[0x00_c3_64_00, ['network', 'Ceph']],
	[0x79_4c_76_30, ['layer', 'overlay']],
]);

/** A kind of file system that is unsuitable for the data folder: its place, as in "the folder is …", and the remedy. */
const unsuitable: Readonly<Record<ReasonOf<'file-system'>, {readonly place: string; readonly remedy: string}>> = {
	memory: {
		place: 'in memory',
		remedy:
			'Choose a --data on a disk, unless the node is temporary: ' +
			'a restart of the machine deletes its identity and its messages',
	},
	network: {
		place: 'on a file system of the network',
		remedy: 'Choose a --data on a local disk: locks and fsync may be unreliable on a network file system',
	},
	layer: {
		place: 'on the own layer of a container',
		remedy: 'Mount a volume and choose a --data on it: the layer is deleted with the container',
	},
};

/**
Does the running node at the examined port use this folder? If not, it is another node of the cluster. A folder without
access may belong to it, so that the report contains the problem of the folder.
*/
export function isFolderOf(
	{path, stats, self, closed, holder, node}: DiskFacts,
	running: Pick<RegisteredNode, 'id' | 'pid'>,
): boolean {
	if (!stats?.isFolder) return false;
	if (closed || ownershipProblem(path, stats, self, undefined)) return true;
	if (holder === 'free') return false; // Another folder, or a copy of its folder.
	return node && 'id' in node
		? node.id === running.id
		: 'problem' in holder || holder.pid === undefined || holder.pid === running.pid;
}

/**
Whether the node's process uses the folder. Unlike `isFolderOf`, false for another process of the same identity: one of
the two folders is a copy.
*/
export function isUserOf(facts: DiskFacts, node: Pick<RegisteredNode, 'id' | 'pid'>): boolean {
	const {holder} = facts;
	const pid = typeof holder === 'object' && 'pid' in holder ? holder.pid : undefined;
	return isFolderOf(facts, node) && (pid === undefined || pid === node.pid);
}

/** @param running the node that uses the examined port and this folder */
export function judgeFolder(
	facts: DiskFacts,
	running: Pick<RegisteredNode, 'id' | 'pid'> | undefined,
	others: readonly RegisteredNode[],
): Check {
	const {path, stats, holder, node} = facts;
	const values = {
		path,
		isThere: stats !== undefined,
		mode: stats ? octal(stats.mode) : null,
		owner: stats?.uid ?? null,
		node: node && 'id' in node ? node.id : null,
		clusterId: node && 'id' in node ? node.clusterId : null,
	};
	const problem = accessFinding(facts) ?? (stats && (holderFinding(facts, running, others) ?? nodeFinding(facts)));
	if (problem) return bad('data-folder', problem.reason, problem, values);
	if (!stats) return good('data-folder', `${path} is created at the first start`, values);
	const whose = node && 'id' in node ? `node ${shortId(node.id)}` : 'no node yet';
	return good(
		'data-folder',
		`${path} (${octal(stats.mode)}): ${whose}${typeof holder === 'object' ? ', which runs now' : ''}`,
		values,
	);
}

type FolderFinding = {readonly reason: ReasonOf<'data-folder'>; readonly found: string; readonly remedy: string};

/** Can this user use the folder, or create it? */
function accessFinding({path, stats, self, closed}: DiskFacts): FolderFinding | undefined {
	if (stats && !stats.isFolder)
		return {
			reason: 'no-folder',
			found: `${path} is no folder`,
			remedy: 'Move that file away, or choose another --data',
		};
	const owned = stats && ownershipProblem(path, stats, self, closed?.code);
	if (owned) return {reason: owned.reason, found: `Expected ${path} ${owned.problem}`, remedy: owned.remedy};
	if (!closed) return undefined;
	return {
		reason: 'not-writable',
		found: `${path} cannot be ${stats ? 'written' : 'made'}: ${closed.message}`,
		remedy: placeRemedy(path, closed.code),
	};
}

/** Does another process use the folder? */
function holderFinding(
	{path, holder}: DiskFacts,
	running: Pick<RegisteredNode, 'id' | 'pid'> | undefined,
	others: readonly RegisteredNode[],
): FolderFinding | undefined {
	if (holder === 'free') return undefined;
	if ('problem' in holder)
		return {reason: 'bad-lock', found: `The lock of ${path} cannot be taken`, remedy: holder.problem};
	if (running && (holder.pid === undefined || holder.pid === running.pid)) return undefined;
	const other = others.find(({pid}) => pid === holder.pid);
	const process = holder.pid === undefined ? 'another node' : `process ${holder.pid}`;
	const user = other
		? `node ${shortId(other.id)} of cluster ${other.cluster} on port ${other.port} (process ${other.pid})`
		: process;
	return {
		reason: 'in-use',
		found: `${path} is in use by ${user}`,
		remedy: 'Stop that node, or choose another --data',
	};
}

/** Can this version read the identity of the node? */
function nodeFinding({path, node}: DiskFacts): FolderFinding | undefined {
	if (!node || !('problem' in node)) return undefined;
	if (node.newer !== undefined)
		return {
			reason: 'newer',
			found: `${path} was written by a newer version of dapss-tui (${node.newer})`,
			remedy: 'Start that version, or use another --data. Nothing was changed',
		};
	return {
		reason: 'damaged',
		found: `node.json in ${path} is damaged: ${node.problem}`,
		remedy:
			'Restore it from a backup. Or start the node as it is: ' +
			'it sets its Raft log aside, keeps its messages, and joins its cluster under a new id',
	};
}

export function judgeSilence(path: string, ms: number): Check {
	return bad(
		'data-folder',
		'silent',
		{
			found: `${path} did not answer within ${timeText(ms)}`,
			remedy: 'Repair the disk or its network connection, or choose another --data',
		},
		{path},
	);
}

export function judgeFileSystem({path, fileSystem}: DiskFacts): Check {
	if (fileSystem === undefined) return good('file-system', 'This system does not report its type', {type: null});
	const known = kinds.get(fileSystem);
	if (!known) return good('file-system', 'A local file system', {type: `0x${fileSystem.toString(16)}`});
	const [kind, name] = known;
	const {place, remedy} = unsuitable[kind];
	return bad('file-system', kind, {found: `${path} is ${place} (${name})`, remedy}, {type: name});
}

export function judgeSpace(
	{path, freeBytes, hasReserve, usedBytes}: DiskFacts,
	{diskBytes}: Pick<Config['limits'], 'diskBytes'>,
): Check {
	const values = {freeBytes: freeBytes ?? null, usedBytes, diskBytes, hasReserve};
	if (freeBytes === undefined)
		return bad(
			'disk-space',
			'unknown',
			{
				found: `The free space on the disk of ${path} is not known`,
				remedy: 'Check it yourself (df): a node with a full disk refuses messages',
			},
			values,
		);
	const free = `${bytesText(freeBytes)} free on the disk of ${path}`;
	const makeRoom = 'Make room on it, or keep less: storage.retain_bytes, storage.retain_age_s, limits.disk_bytes';
	switch (roomOf(freeBytes, hasReserve)) {
		case 'full':
			return bad(
				'disk-space',
				'full',
				{
					found: hasReserve
						? `${free}: it is full; a start gives its reserve back and can be read from`
						: `${free}: it is full, and there is no reserve to start on`,
					remedy: makeRoom,
				},
				values,
			);
		case 'short':
			return bad(
				'disk-space',
				'short',
				{found: `${free}: no room for the reserve, so that a node would refuse messages`, remedy: makeRoom},
				values,
			);
		default:
	}

	if (freeBytes + usedBytes < diskBytes) {
		return bad(
			'disk-space',
			'less-than-limit',
			{
				found:
					`${free}, ${bytesText(usedBytes)} used by topics: ` +
					`less than limits.disk_bytes (${bytesText(diskBytes)}) lets them take`,
				remedy:
					`Set limits.disk_bytes to ${Math.floor((freeBytes + usedBytes) * 0.9)} or less, ` +
					'so that old messages are deleted before the disk is full',
			},
			values,
		);
	}

	return good(
		'disk-space',
		`${free}, ${bytesText(usedBytes)} used by topics (limits.disk_bytes ${bytesText(diskBytes)})`,
		values,
	);
}

export function judgeSpeed({sync, path}: DiskFacts, {electionMs}: Pick<Config['raft'], 'electionMs'>): Check {
	if ('problem' in sync)
		return bad('disk-speed', 'not-measured', {
			found: `The disk of ${path} was not measured: ${sync.problem}`,
			remedy: 'Solve the problem of the data folder, and run doctor again',
		});
	const values = {fsyncMs: sync.medianMs, longestMs: sync.longestMs};
	const found =
		`An fsync of ${bytesText(syncBytes)} takes ${sync.medianMs} ms (longest of ${syncs}: ` +
		`${sync.longestMs} ms)`;
	if (sync.medianMs >= electionMs)
		return bad(
			'disk-speed',
			'too-slow',
			{
				found: `${found}: longer than raft.election_ms (${electionMs} ms), so that elections fail`,
				remedy:
					'Choose a --data on a faster disk, or raise raft.election_ms to ' +
					`${Math.ceil(sync.medianMs / 100) * 300} on all nodes`,
			},
			values,
		);
	if (sync.medianMs >= slowMs)
		return bad(
			'disk-speed',
			'slow',
			{
				found: `${found}: a publisher waits for that`,
				remedy: 'Choose a --data on a faster disk (SSD), or stop other programs that write to it',
			},
			values,
		);
	return good('disk-speed', found, values);
}

function octal(mode: number): string {
	return (mode & 0o7777).toString(8).padStart(4, '0');
}
