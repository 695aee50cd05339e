/**
Loads `node:sqlite`, whose file lock is used for things that only one process may hold. Node 22 prints a warning that
the module is experimental. Only an empty database and `BEGIN EXCLUSIVE` are used of it, so that warning is suppressed
here, and no other.
*/
import type * as Sqlite from 'node:sqlite';
import {DapssError} from '../../errors.ts';

const {emitWarning} = process;
process.emitWarning = ((...given: Parameters<typeof emitWarning>) => {
	if (!String(given[0]).startsWith('SQLite is an experimental feature')) emitWarning.apply(process, given);
}) as typeof emitWarning;

/**
The module warns while it loads, so a static `import` would warn before the line above runs. Older versions of Node lack
the module or need a flag.
*/
const sqlite = process.getBuiltinModule('node:sqlite') as typeof Sqlite | undefined;
if (!sqlite)
	throw new DapssError(
		'failure',
		`Node 22.13 or newer (of Node 23: 23.4) is needed for node:sqlite, this is ${process.versions.node}`,
	);
export const {DatabaseSync} = sqlite;
export type DatabaseSync = Sqlite.DatabaseSync;

process.emitWarning = emitWarning;
