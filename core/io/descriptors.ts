/**
How many files this process may open, and who gets how many. Each topic has a log and each peer and client a connection;
both count against the same bound of the process (`ulimit -n`), and running out would fail whoever comes next. So each
part gets a share that it keeps to.
*/
import {readFileSync} from 'node:fs';
import {DapssError} from '../errors.ts';
import {openFilesMax} from '../platform.ts';

/** For everything else: standard streams, datagrams, the lock, the event loop, threads, name look-ups. */
const othersCount = 64;
/** A part of them for files. */
const filesShare = 4;
const filesMin = 16;
const connectionsMin = 8;
/** Where the system says nothing. */
const unknownMax = 1024;

export type Shares = {readonly openFiles: number; readonly connections: number};

/** What each part may open of `processMax`: as configured, or less when the process may not open so many. */
export function sharesOf(configured: Shares, processMax: number): Shares {
	const openFiles = Math.min(configured.openFiles, Math.max(filesMin, Math.floor(processMax / filesShare)));
	return {
		openFiles,
		connections: Math.min(configured.connections, Math.max(connectionsMin, processMax - openFiles - othersCount)),
	};
}

/** What the process must be allowed to open, so that each part gets what is configured. */
export function descriptorsFor({openFiles, connections}: Shares): number {
	return Math.max(openFiles * filesShare, openFiles + connections + othersCount);
}

/** With less a node has no room for both parts. */
export const descriptorsMin = filesMin + connectionsMin + othersCount;

/** A node that is short of them from the start would wait for one that never comes free. @throws `config` */
export function expectDescriptors(processMax: number): void {
	if (processMax < descriptorsMin)
		throw new DapssError(
			'config',
			`This process may open ${processMax} files (ulimit -n), a node needs ${descriptorsMin} at least: let it open more, as \`dapss-tui doctor\` says`,
		);
}

/** Files that this process may have open at once. Node raises the soft bound to the hard one when it starts. */
export function descriptorsMax(): number {
	const known = openFilesMax();
	if (known !== undefined) return known;
	try {
		const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
		if (limit !== undefined) return Number(limit);
	} catch {
		// No Linux.
	}

	Object.assign(process.report, {excludeNetwork: true}); // Names are looked up for it else.
	const {userLimits} = process.report.getReport() as {
		readonly userLimits?: {readonly open_files?: {readonly soft?: unknown}};
	};
	const soft = userLimits?.open_files?.soft;
	return typeof soft === 'number' ? soft : soft === 'unlimited' ? Infinity : unknownMax;
}
