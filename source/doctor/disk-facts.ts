/**
The facts about the data folder and its disk. To time the fsync, `diskFacts` creates a small file in the folder and
removes it. If the folder does not exist, it examines the nearest existing parent.
*/
import {randomBytes} from 'node:crypto';
import {open, readdir, readFile, stat, statfs, unlink} from 'node:fs/promises';
import {dirname, join, resolve} from 'node:path';
import {errorMessage} from '../../core/errors.ts';
import {systemClock} from '../../core/io/clock.ts';
import {here} from '../../core/platform.ts';
import {runDeadline} from '../../core/run-deadline.ts';
import {
	causeOf,
	folderHolder,
	freeBytesOf,
	isMissing,
	ownershipProblem,
	readNodeState,
	reserveFile,
	writeProblem,
} from '../../core/preflight.ts';
import {timeText} from '../output/units.ts';

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

/** Number of fsyncs that are timed, and the bytes that each of them writes. */
export const syncs = 9;
export const syncBytes = 4096;
/** For all fsyncs together, because a disk may hang. */
const syncMsMax = 5000;
/** Files that are counted. */
const filesMax = 20_000;

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
	using _timer = runDeadline(systemClock, syncMsMax, () =>
		giveUp({problem: `it did not answer within ${timeText(syncMsMax)}`}),
	);
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

	return await Promise.race([measured().catch((error: unknown) => ({problem: errorMessage(error)})), late]);
}
