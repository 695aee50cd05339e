/**
Finds the actual reason why a file or folder cannot be written. Node's recursive `mkdir` reports ENOENT for a disk that
is mounted read-only.
*/
import {accessSync, constants} from 'node:fs';
import {dirname} from 'node:path';

/** The error that explains why nothing can be made at `path`; the given error when it explains that itself. */
export function causeOf(error: unknown, path: string): unknown {
	if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return error;
	for (let folder = dirname(path); ; folder = dirname(folder)) {
		const why = writeProblem(folder);
		if (why?.code !== 'ENOENT') return why ?? error;
		if (dirname(folder) === folder) return error;
	}
}

/** The error that prevents this user from writing there; `undefined` when there is none. */
export function writeProblem(path: string): NodeJS.ErrnoException | undefined {
	try {
		accessSync(path, constants.W_OK);
		return undefined;
	} catch (error) {
		return error as NodeJS.ErrnoException;
	}
}
