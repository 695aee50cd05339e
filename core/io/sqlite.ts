/**
`node:sqlite`, whose lock guards what one process may have at a time. Node 22 warns once that it is experimental, in every command: an empty database and
`BEGIN EXCLUSIVE` are all that is used of it, so nobody needs to read that. No other warning is kept back.
*/
import type {DatabaseSync as Database} from 'node:sqlite';

const {emitWarning} = process;
process.emitWarning = ((...given: Parameters<typeof emitWarning>) => {
	if (!String(given[0]).startsWith('SQLite is an experimental feature')) emitWarning.apply(process, given);
}) as typeof emitWarning;

/** It warns while it is loaded: an `import` would do that before the line above. */
export const {DatabaseSync} = process.getBuiltinModule('node:sqlite');
export type DatabaseSync = Database;

process.emitWarning = emitWarning;
