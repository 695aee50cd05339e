/**
The data folder and the disk beneath it: who may enter, who has it, what is on it, how much room there is and how long
an fsync takes. The judgements are pure; `diskFacts` reads what they need. It makes one small file in the folder and
removes it; of a folder that is not there yet it looks at the nearest one that is.
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
import {bad, good, type Check} from './outcome.ts';

type Failure = {readonly code: string | undefined; readonly message: string};
export type DiskFacts = {
	/** Absolute. */
	readonly path: string;
	/** Of the folder itself; `undefined` when it is not there. */
	readonly stats: {readonly mode: number; readonly uid: number; readonly isFolder: boolean} | undefined;
	/** `undefined` where the system has no such users. */
	readonly self: number | undefined;
	/** What keeps this user from writing in it, or from making it. */
	readonly closed: Failure | undefined;
	/** `free`, the process that has it, or what is wrong with its lock. */
	readonly holder: 'free' | {readonly pid: number | undefined} | {readonly problem: string};
	/** `node.json`: of which node, or what is wrong with it. */
	readonly node:
		| {readonly id: string; readonly clusterId: string}
		| {readonly problem: string; readonly newer?: string}
		| undefined;
	/** On Linux, as `statfs` tells it. */
	readonly fileSystem: number | undefined;
	/** `undefined` when the file system does not tell. */
	readonly freeBytes: number | undefined;
	readonly hasReserve: boolean;
	/** Of all topics, as far as they were counted. */
	readonly usedBytes: number;
	/** The newest file in it, milliseconds since 1970. */
	readonly newestMs: number | undefined;
	/** Median and longest of some fsyncs, milliseconds, or why there are none. */
	readonly sync: {readonly medianMs: number; readonly longestMs: number} | {readonly problem: string};
};

const syncs = 9;
const syncBytes = 4096;
/** For all of them: a disk that hangs is not waited for. */
const syncMsMax = 5000;
const slowMs = 50;
/** Files of logs that are looked at. */
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
	const cause = found && 'error' in found ? found.error : stats ? writeProblem(path) : whyNotMade(path);
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
Whether the node that runs, at the port that is looked at, has this folder: not just another of its cluster. A folder
that cannot be looked into may be its own; what is wrong with it is told.
*/
export function isFolderOf(
	{path, stats, self, closed, holder, node}: DiskFacts,
	running: Pick<RegisteredNode, 'id' | 'pid'>,
): boolean {
	if (!stats?.isFolder) return false;
	if (closed || ownershipProblem(path, stats, self, undefined)) return true;
	if (holder === 'free') return false; // Also a copy of its folder.
	return node && 'id' in node
		? node.id === running.id
		: 'problem' in holder || holder.pid === undefined || holder.pid === running.pid;
}

/** @param running the node that uses the port that is looked at, and the folder */
export function judgeFolder(
	facts: DiskFacts,
	running: Pick<RegisteredNode, 'id' | 'pid'> | undefined,
	others: readonly RegisteredNode[],
): Check {
	const {path, stats, self, closed, holder, node} = facts;
	const values = {
		path,
		isThere: stats !== undefined,
		mode: stats ? octal(stats.mode) : null,
		owner: stats?.uid ?? null,
		node: node && 'id' in node ? node.id : null,
		clusterId: node && 'id' in node ? node.clusterId : null,
	};
	if (stats && !stats.isFolder)
		return bad(
			'data-folder',
			'no-folder',
			{found: `${path} is no folder`, remedy: 'Move away what is there, or choose another --data'},
			values,
		);
	const owned = stats && ownershipProblem(path, stats, self, closed?.code);
	if (owned)
		return bad(
			'data-folder',
			owned.reason,
			{found: `Expected ${path} ${owned.problem}`, remedy: owned.remedy},
			values,
		);
	if (closed)
		return bad(
			'data-folder',
			'not-writable',
			{
				found: `${path} cannot be ${stats ? 'written' : 'made'}: ${closed.message}`,
				remedy: placeRemedy(path, closed.code),
			},
			values,
		);
	if (!stats) return good('data-folder', `${path} is made at the first start`, values);
	if (typeof holder === 'object' && 'problem' in holder)
		return bad(
			'data-folder',
			'bad-lock',
			{found: `The lock of ${path} cannot be taken`, remedy: holder.problem},
			values,
		);
	if (typeof holder === 'object' && !(running && (holder.pid === undefined || holder.pid === running.pid))) {
		const other = others.find(({pid}) => pid === holder.pid);
		const who = other
			? `node ${shortId(other.id)} of cluster ${other.cluster} on port ${other.port} (process ${other.pid})`
			: holder.pid === undefined
				? 'another node'
				: `process ${holder.pid}`;
		return bad(
			'data-folder',
			'in-use',
			{found: `${path} is in use by ${who}`, remedy: 'Stop that node, or choose another --data'},
			values,
		);
	}

	if (node && 'problem' in node) {
		if (node.newer !== undefined)
			return bad(
				'data-folder',
				'newer',
				{
					found: `${path} was written by a newer version of dapss-tui (${node.newer})`,
					remedy: 'Start that version, or use another --data. Nothing was changed',
				},
				values,
			);
		return bad(
			'data-folder',
			'damaged',
			{
				found: `node.json in ${path} is damaged: ${node.problem}`,
				remedy: 'Bring it back from a backup; or start the node as it is: it sets its Raft log aside, keeps its messages, and joins its cluster under a new id',
			},
			values,
		);
	}

	const whose = node ? `node ${shortId(node.id)}` : 'no node yet';
	return good(
		'data-folder',
		`${path} (${octal(stats.mode)}): ${whose}${typeof holder === 'object' ? ', which runs now' : ''}`,
		values,
	);
}

export function judgeSilence(path: string, ms: number): Check {
	return bad(
		'data-folder',
		'silent',
		{
			found: `${path} did not answer within ${timeText(ms)}`,
			remedy: 'Mend the disk, or the network that it is on; or choose another --data',
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
					remedy: 'Choose a --data on a disk, unless the node is meant to forget: a restart of the machine takes its identity and messages',
				},
				values,
			);
		case 'network':
			return bad(
				'file-system',
				'network',
				{
					found: `${path} is on a file system of the network (${name})`,
					remedy: 'Choose a --data on a disk of this machine: locks and fsync may not keep there what they promise',
				},
				values,
			);
		case 'layer':
			return bad(
				'file-system',
				'layer',
				{
					found: `${path} is on the own layer of a container (${name})`,
					remedy: 'Mount a volume and choose a --data on it: the layer goes with the container',
				},
				values,
			);
		case 'none':
			return good(
				'file-system',
				fileSystem === undefined ? 'Its type is not told here' : 'A file system of this machine',
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
				remedy: 'Look yourself (df): a node that finds its disk full takes no messages',
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
				remedy: `Set limits.disk_bytes to ${Math.floor((freeBytes + usedBytes) * 0.9)} or less, so that old messages go before the disk is full`,
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
			remedy: 'Mend what is said of the data folder, and run doctor again',
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
				remedy: 'Choose a --data on a faster disk (SSD), or stop what else writes to it',
			},
			values,
		);
	return good('disk-speed', found, values);
}

/** `undefined` when the folder can be made. */
function whyNotMade(path: string): unknown {
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
		const stats = await stat(join(entry.parentPath, entry.name)).catch(() => undefined); // Gone meanwhile.
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
