/**
The data folder and its disk: permissions, the process that uses it, the node in it, free space, and the duration of an
fsync. The judgements are pure; `diskFacts` collects the facts. To time the fsync it creates a small file in the folder
and removes it. If the folder does not exist, it examines the nearest existing parent.
*/
import {randomBytes} from 'node:crypto';
import {open, readdir, readFile, stat, statfs, unlink} from 'node:fs/promises';
import {dirname, join, resolve} from 'node:path';
import type {Config} from '../../core/config.ts';
import {errorMessage} from '../../core/errors.ts';
import {here} from '../../core/platform.ts';
import {
	causeOf,
	folderHolder,
	freeBytesOf,
	isMissing,
	ownershipProblem,
	placeRemedy,
	readNodeState,
	reserveFile,
	roomOf,
	writeProblem,
	type RegisteredNode,
} from '../../core/preflight.ts';
import {bytesText, shortId, timeText} from '../output/units.ts';
import {bad, good, type Check, type ReasonOf} from './outcome.ts';

type Failure = {readonly code: string | undefined; readonly message: string};
export type DiskFacts = {
	/** Absolute. */
	readonly path: string;
	/** The folder itself; `undefined` when it does not exist. */
	readonly stats: {readonly mode: number; readonly uid: number; readonly isFolder: boolean} | undefined;
	/** Id of this user; `undefined` on a system without numeric users. */
	readonly self: number | undefined;
	/** The reason why this user cannot write in the folder, or create it. */
	readonly closed: Failure | undefined;
	/** `free`, the process that uses the folder, or the problem of its lock. */
	readonly holder: 'free' | {readonly pid: number | undefined} | {readonly problem: string};
	/** The node of `node.json`, or the problem of that file. */
	readonly node:
		| {readonly id: string; readonly clusterId: string}
		| {readonly problem: string; readonly newer?: string}
		| undefined;
	/** Type of the file system, from `statfs`; on Linux only. */
	readonly fileSystem: number | undefined;
	/** `undefined` when the file system does not report it. */
	readonly freeBytes: number | undefined;
	readonly hasReserve: boolean;
	/** Bytes of all topics, as far as they were counted. */
	readonly usedBytes: number;
	/** Time of the newest file in the folder, milliseconds since 1970. */
	readonly newestMs: number | undefined;
	/** Median and maximum of some fsyncs, milliseconds, or the reason why they were not timed. */
	readonly sync: {readonly medianMs: number; readonly longestMs: number} | {readonly problem: string};
};

const syncs = 9;
const syncBytes = 4096;
/** For all fsyncs together, because a disk may hang. */
const syncMsMax = 5000;
const slowMs = 50;
/** Files that are counted. */
const filesMax = 20_000;

/** Types of file systems by their number in Linux (`statfs(2)`). */
const kinds: ReadonlyMap<number, readonly [kind: 'memory' | 'network' | 'layer', name: string]> = new Map([
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

export async function diskFacts(folder: string): Promise<DiskFacts> {
	const path = resolve(folder);
	const found = await stat(path).catch((error: unknown) => (isMissing(error) ? undefined : {error}));
	const stats =
		found && 'mode' in found ? {mode: found.mode, uid: found.uid, isFolder: found.isDirectory()} : undefined;
	const cause = found && 'error' in found ? found.error : stats ? writeProblem(path) : creationProblem(path);
	const closed =
		cause === undefined ? undefined : {code: (cause as NodeJS.ErrnoException).code, message: errorMessage(cause)};
	const place = stats?.isFolder ? path : await nearestFolder(path);
	const isOurs = stats?.isFolder === true && ownershipProblem(path, stats, here().uid, closed?.code) === undefined;
	const {bytes, newestMs} = isOurs ? await sizeOf(path) : {bytes: 0, newestMs: undefined};
	return {
		path,
		stats,
		closed,
		self: here().uid,
		holder:
			isOurs && !closed
				? await folderHolder(path).catch((error: unknown) => ({problem: errorMessage(error)}))
				: 'free',
		node: isOurs ? await readNode(join(path, 'node.json')) : undefined,
		fileSystem:
			here().platform === 'linux'
				? await statfs(place).then(
						({type}) => type,
						() => undefined,
					)
				: undefined,
		freeBytes: await freeBytesOf(place).catch(() => undefined),
		hasReserve:
			isOurs &&
			(await stat(join(path, reserveFile)).then(
				() => true,
				() => false,
			)),
		usedBytes: bytes,
		newestMs,
		sync: await timeSyncs(place),
	};
}

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
		remedy: 'Restore it from a backup. Or start the node as it is: it sets its Raft log aside, keeps its messages, and joins its cluster under a new id',
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
	const known = fileSystem === undefined ? undefined : kinds.get(fileSystem);
	const values = {type: known?.[1] ?? (fileSystem === undefined ? null : `0x${fileSystem.toString(16)}`)};
	const [kind, name] = known ?? ['none', ''];
	switch (kind) {
		case 'memory':
			return bad(
				'file-system',
				'memory',
				{
					found: `${path} is in memory (${name})`,
					remedy: 'Choose a --data on a disk, unless the node is temporary: a restart of the machine deletes its identity and its messages',
				},
				values,
			);
		case 'network':
			return bad(
				'file-system',
				'network',
				{
					found: `${path} is on a file system of the network (${name})`,
					remedy: 'Choose a --data on a local disk: locks and fsync may be unreliable on a network file system',
				},
				values,
			);
		case 'layer':
			return bad(
				'file-system',
				'layer',
				{
					found: `${path} is on the own layer of a container (${name})`,
					remedy: 'Mount a volume and choose a --data on it: the layer is deleted with the container',
				},
				values,
			);
		case 'none':
			return good(
				'file-system',
				fileSystem === undefined ? 'This system does not report its type' : 'A local file system',
				values,
			);
		default:
			return kind satisfies never;
	}
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
				found: `How much is free on the disk of ${path} is not told`,
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
					found: `${free}: it is full${hasReserve ? '; a start gives its reserve back and can be read from' : ', and there is no reserve to start on'}`,
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
				found: `${free}, ${bytesText(usedBytes)} used by topics: less than limits.disk_bytes (${bytesText(diskBytes)}) lets them take`,
				remedy: `Set limits.disk_bytes to ${Math.floor((freeBytes + usedBytes) * 0.9)} or less, so that old messages are deleted before the disk is full`,
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
	const found = `An fsync of ${bytesText(syncBytes)} takes ${sync.medianMs} ms (longest of ${syncs}: ${sync.longestMs} ms)`;
	if (sync.medianMs >= electionMs)
		return bad(
			'disk-speed',
			'too-slow',
			{
				found: `${found}: longer than raft.election_ms (${electionMs} ms), so that elections fail`,
				remedy: `Choose a --data on a faster disk, or raise raft.election_ms to ${Math.ceil(sync.medianMs / 100) * 300} on all nodes`,
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

/** `undefined` when the folder can be created. */
function creationProblem(path: string): unknown {
	const missing = Object.assign(new Error('there is no such folder'), {code: 'ENOENT'});
	const cause = causeOf(missing, path);
	return cause === missing ? undefined : cause;
}

async function nearestFolder(path: string): Promise<string> {
	for (let folder = dirname(path); ; folder = dirname(folder)) {
		const isThere = await stat(folder).then(
			stats => stats.isDirectory(),
			() => false,
		);
		if (isThere || folder === dirname(folder)) return folder;
	}
}

async function readNode(path: string): Promise<DiskFacts['node']> {
	try {
		const state = await readNodeState(JSON.parse(await readFile(path, 'utf8')));
		return 'problem' in state ? state : {id: state.identity.id, clusterId: state.clusterId};
	} catch (error) {
		return isMissing(error) ? undefined : {problem: errorMessage(error)};
	}
}

async function sizeOf(path: string): Promise<{readonly bytes: number; readonly newestMs: number | undefined}> {
	const all = await readdir(path, {recursive: true, withFileTypes: true}).catch(() => []);
	let bytes = 0;
	let newestMs: number | undefined;
	for (const entry of all.filter(one => one.isFile()).slice(0, filesMax)) {
		const stats = await stat(join(entry.parentPath, entry.name)).catch(() => undefined); // Deleted in the meantime.
		if (!stats) continue;
		if (entry.parentPath.startsWith(join(path, 'topics'))) bytes += stats.size;
		newestMs = Math.max(newestMs ?? 0, stats.mtimeMs);
	}

	return {bytes, newestMs};
}

async function timeSyncs(folder: string): Promise<DiskFacts['sync']> {
	const {promise: late, resolve: giveUp} = Promise.withResolvers<{readonly problem: string}>();
	const timer = setTimeout(() => giveUp({problem: `it did not answer within ${timeText(syncMsMax)}`}), syncMsMax);
	const path = join(folder, `.doctor-${randomBytes(6).toString('hex')}`);
	const measured = async (): Promise<DiskFacts['sync']> => {
		const file = await open(path, 'wx', 0o600);
		try {
			const times: number[] = [];
			const bytes = randomBytes(syncBytes);
			for (let count = 0; count < syncs; count++) {
				const startMs = performance.now();
				await file.write(bytes, 0, syncBytes, count * syncBytes);
				await file.datasync();
				times.push(performance.now() - startMs);
			}

			const rounded = times.toSorted((a, b) => a - b).map(ms => Math.round(ms * 10) / 10);
			return {medianMs: rounded[Math.floor(syncs / 2)]!, longestMs: rounded.at(-1)!};
		} finally {
			await file.close();
			await unlink(path);
		}
	};

	try {
		return await Promise.race([measured().catch((error: unknown) => ({problem: errorMessage(error)})), late]);
	} finally {
		clearTimeout(timer);
	}
}

function octal(mode: number): string {
	return (mode & 0o7777).toString(8).padStart(4, '0');
}
