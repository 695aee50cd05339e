/**
Divides the file descriptors of the process between logs and connections. Each topic has a log, and each peer and client
a connection. Both count against one limit of the process (`ulimit -n`), and exhausting it would fail any call that
opens something. So each part gets a share that it must not exceed.
*/
import {readFileSync} from 'node:fs';
import {DapssError} from '../errors.ts';
import {openFilesMax} from '../platform.ts';

/** Descriptors for everything else: standard streams, datagrams, the lock, the event loop, threads, name lookups. */
const othersCount = 64;
/** One in this many descriptors is for files. */
const filesShare = 4;
const filesMin = 16;
const connectionsMin = 8;
/** The limit to assume when the system reports none. */
const unknownMax = 1024;

export type Shares = {readonly openFiles: number; readonly connections: number};

/** The shares of `processMax` descriptors: as configured, or less when the process may not open so many. */
export function sharesOf(configured: Shares, processMax: number): Shares {
	const openFiles = Math.min(configured.openFiles, Math.max(filesMin, Math.floor(processMax / filesShare)));
	return {
		openFiles,
		connections: Math.min(configured.connections, Math.max(connectionsMin, processMax - openFiles - othersCount)),
	};
}

/** The number of descriptors that the process needs so that each part gets its configured share. */
export function descriptorsFor({openFiles, connections}: Shares): number {
	return Math.max(openFiles * filesShare, openFiles + connections + othersCount);
}

/** The minimum with which both parts have room. */
export const descriptorsMin = filesMin + connectionsMin + othersCount;

/**
Refuses to start with too few descriptors: the node would wait for a descriptor that is never released.
@throws `config`
*/
export function expectDescriptors(processMax: number): void {
	if (processMax < descriptorsMin)
		throw new DapssError(
			'config',
			`This process may open ${processMax} files (ulimit -n), a node needs ${descriptorsMin} at least: ` +
				'let it open more, as `dapss-tui doctor` says',
		);
}

/** The number of files that this process may have open. Node raises the soft limit to the hard limit at its start. */
export function descriptorsMax(): number {
	const known = openFilesMax();
	if (known !== undefined) return known;
	try {
		const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
		if (limit !== undefined) return Number(limit);
	} catch {
		// Not on Linux.
	}

	Object.assign(process.report, {excludeNetwork: true}); // Otherwise the report looks up host names.
	const {userLimits} = process.report.getReport() as {
		readonly userLimits?: {readonly open_files?: {readonly soft?: unknown}};
	};
	const soft = userLimits?.open_files?.soft;
	return typeof soft === 'number' ? soft : soft === 'unlimited' ? Infinity : unknownMax;
}
