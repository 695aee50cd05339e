/**
`node:sqlite`, whose lock guards what one process may have at a time. Node 22 warns once that it is experimental, in
every command: an empty database and `BEGIN EXCLUSIVE` are all that is used of it, so nobody needs to read that. No
other warning is kept back.
*/
import type * as Sqlite from 'node:sqlite';
import {DapssError} from '../../errors.ts';

const {emitWarning} = process;
process.emitWarning = ((...given: Parameters<typeof emitWarning>) => {
	if (!String(given[0]).startsWith('SQLite is an experimental feature')) emitWarning.apply(process, given);
}) as typeof emitWarning;

/**
It warns while it is loaded: an `import` would do that before the line above. An older Node has none, or only with a
flag.
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
