/**
The machine of a node: the version of Node, the system, its memory, and the limit of open files. The judgements are
pure; `machineFacts` collects the facts.
*/
import {availableParallelism, release, totalmem} from 'node:os';
import {getHeapStatistics} from 'node:v8';
import type {Config} from '../../core/config.ts';
import {errorMessage} from '../../core/errors.ts';
import {here} from '../../core/platform.ts';
import {descriptorsFor, descriptorsMax, descriptorsMin, sharesOf} from '../../core/preflight.ts';
import {isNewEnough, neededNode} from '../node-version.mjs';
import {bytesText} from '../output/units.ts';
import {bad, good, type Check} from './outcome.ts';

export type MachineFacts = {
	readonly nodeVersion: string;
	readonly platform: string;
	readonly release: string;
	readonly arch: string;
	readonly processors: number;
	/** The reason why the native module cannot be loaded; `undefined` when it can. */
	readonly nativeProblem: string | undefined;
	readonly memoryBytes: number;
	/** Memory limit of the container; `undefined` without one. */
	readonly memoryLimitBytes: number | undefined;
	readonly memoryFreeBytes: number;
	readonly heapBytesMax: number;
	/** Files that this process may have open at once. */
	readonly descriptorsMax: number;
};

const MiB = 1024 * 1024;
/** A node without traffic takes about 80 MiB. */
const programBytes = 128 * MiB;
/** The newest major version of Node in the tests. */
const testedMajor = 26;
/** Supported platforms. */
const platforms = new Set(['linux', 'darwin', 'win32']);

export async function machineFacts(): Promise<MachineFacts> {
	const total = totalmem();
	const limit = process.constrainedMemory();
	return {
		nodeVersion: process.versions.node,
		platform: here().platform,
		release: release(),
		arch: process.arch,
		processors: availableParallelism(),
		nativeProblem: await import('@node-rs/crc32').then(
			({crc32c}) => (crc32c('') === 0 ? undefined : 'it computes wrong checksums'),
			(error: unknown) => errorMessage(error),
		),
		memoryBytes: total,
		memoryLimitBytes: limit > 0 && limit < total ? limit : undefined,
		memoryFreeBytes: process.availableMemory(),
		heapBytesMax: getHeapStatistics().heap_size_limit,
		descriptorsMax: descriptorsMax(),
	};
}

export function judgeNodeVersion({nodeVersion}: MachineFacts): Check {
	const values = {version: nodeVersion, needed: neededNode};
	if (!isNewEnough(nodeVersion))
		return bad(
			'node-version',
			'unsupported',
			{
				found: `Node ${nodeVersion}, needed is ${neededNode}`,
				remedy: 'Install a newer Node, or run npm i node@24 next to dapss-tui, which then uses it',
			},
			values,
		);
	if (Number.parseInt(nodeVersion, 10) > testedMajor)
		return bad(
			'node-version',
			'untested',
			{
				found: `Node ${nodeVersion} is newer than what was tested (up to ${testedMajor})`,
				remedy: `If something fails unexpectedly, try Node ${testedMajor}`,
			},
			values,
		);
	return good('node-version', `Node ${nodeVersion}; needed is ${neededNode}`, values);
}

export function judgeSystem({platform, release: version, arch, processors, nativeProblem}: MachineFacts): Check {
	const values = {platform, release: version, arch, processors};
	const found = `${platform} ${version}, ${arch}, ${processors} ${processors === 1 ? 'processor' : 'processors'}`;
	if (nativeProblem !== undefined)
		return bad(
			'system',
			'no-binary',
			{
				found:
					`${found}; @node-rs/crc32 cannot be loaded, so checksums are computed in JavaScript: ` +
					nativeProblem,
				remedy:
					'Install dapss-tui on this machine itself, ' +
					'with optional dependencies (npm i without --omit=optional): that is faster',
			},
			values,
		);
	if (!platforms.has(platform))
		return bad(
			'system',
			'untested',
			{found: `${found}: the program is not tested on it`, remedy: 'Try it; Linux is tested most'},
			values,
		);
	return good('system', found, values);
}

export function judgeMemory(
	{memoryBytes, memoryLimitBytes, memoryFreeBytes, heapBytesMax}: MachineFacts,
	{outQueueTotalBytes}: Pick<Config['limits'], 'outQueueTotalBytes'>,
): Check {
	const usable = memoryLimitBytes ?? memoryBytes;
	const limitText =
		memoryLimitBytes === undefined ? '' : `, of which this container may use ${bytesText(memoryLimitBytes)}`;
	const what = `${bytesText(memoryBytes)} of memory${limitText}, ${bytesText(memoryFreeBytes)} free`;
	const raise =
		memoryLimitBytes === undefined
			? 'Use a machine with more memory'
			: 'Raise the memory limit of the container or service';
	const values = {memoryBytes, memoryLimitBytes: memoryLimitBytes ?? null, memoryFreeBytes, heapBytesMax};
	if (usable < programBytes)
		return bad(
			'memory',
			'too-little',
			{found: `${what}: a node needs ${bytesText(programBytes)}`, remedy: raise},
			values,
		);
	if (usable < programBytes + outQueueTotalBytes) {
		const fitting = Math.max(MiB, usable - programBytes);
		return bad(
			'memory',
			'little',
			{
				found:
					`${what}: with slow peers a node may use ${bytesText(programBytes)} and ` +
					`limits.out_queue_total_bytes, ${bytesText(outQueueTotalBytes)}`,
				remedy:
					`${raise}, or lower limits.out_queue_total_bytes to ${Math.floor(fitting)} and ` +
					'limits.out_queue_bytes to no more than that',
			},
			values,
		);
	}

	if (memoryFreeBytes < programBytes)
		return bad(
			'memory',
			'used-up',
			{
				found: `${what}: a node needs ${bytesText(programBytes)}`,
				remedy: 'Stop other programs that use memory, or the system may kill the node',
			},
			values,
		);
	return good('memory', what, values);
}

export function judgeOpenFiles(
	{descriptorsMax: allowed, platform}: MachineFacts,
	{openFiles, connections}: Pick<Config['limits'], 'openFiles' | 'connections'>,
): Check {
	const shares = sharesOf({openFiles, connections}, allowed);
	const wanted = descriptorsFor({openFiles, connections});
	const values = {
		allowed: Number.isFinite(allowed) ? allowed : null,
		wanted,
		openFiles: shares.openFiles,
		connections: shares.connections,
	};
	const raise =
		platform === 'linux'
			? `ulimit -n ${wanted} before the start, LimitNOFILE=${wanted} in a service of systemd, ` +
				`--ulimit nofile=${wanted} for a container`
			: `ulimit -n ${wanted} before the start`;
	if (allowed < descriptorsMin)
		return bad(
			'open-files',
			'too-few',
			{
				found: `This process may open ${allowed} files (ulimit -n); a node needs ${descriptorsMin} at least`,
				remedy: raise,
			},
			values,
		);
	if (shares.openFiles < openFiles || shares.connections < connections) {
		return bad(
			'open-files',
			'few',
			{
				found:
					`This process may open ${allowed} files (ulimit -n): ` +
					`${shares.openFiles} are for logs (limits.open_files ${openFiles}) ` +
					`and ${shares.connections} for connections (limits.connections ${connections})`,
				remedy: `${raise}; or lower limits.connections`,
			},
			values,
		);
	}

	return good(
		'open-files',
		`This process may open ${Number.isFinite(allowed) ? allowed : 'any number of'} files: ` +
			`${openFiles} are for logs, ${connections} for connections`,
		values,
	);
}
