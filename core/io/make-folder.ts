/**
Makes a folder and its missing parents, with mode 0700. Node's recursive `mkdir` is not used. It never returns where the
system reports ENOENT for a name in an existing folder (`/proc`, an automounter), and it reports ENOENT for a disk that
is mounted read-only.
*/
import {mkdirSync, statSync} from 'node:fs';
import {mkdir, stat} from 'node:fs/promises';
import {dirname} from 'node:path';

const mode = 0o700;

/**
Resolves with the topmost folder that was made; `undefined` when all existed.
@param folder absolute path
@throws the error of the system
*/
export async function makeFolders(folder: string): Promise<string | undefined> {
	try {
		return (await isMade(folder)) ? folder : undefined;
	} catch (error) {
		if (!isWithoutParent(error, folder)) throw error;
	}

	const made = await makeFolders(dirname(folder));
	const isNew = await isMade(folder);
	return made ?? (isNew ? folder : undefined);
}

/** Resolves with false when the folder exists: another process may have made it at any moment. */
async function isMade(folder: string): Promise<boolean> {
	try {
		await mkdir(folder, {mode});
		return true;
	} catch (error) {
		const stats = await stat(folder).catch(() => undefined);
		if (stats?.isDirectory()) return false;
		throw error;
	}
}

/** The synchronous form. */
export function makeFoldersNow(folder: string): void {
	try {
		mkdirSync(folder, {mode});
		return;
	} catch (error) {
		if (statSync(folder, {throwIfNoEntry: false})?.isDirectory()) return;
		if (!isWithoutParent(error, folder)) throw error;
	}

	makeFoldersNow(dirname(folder));
	try {
		mkdirSync(folder, {mode});
	} catch (error) {
		if (!statSync(folder, {throwIfNoEntry: false})?.isDirectory()) throw error;
	}
}

function isWithoutParent(error: unknown, folder: string): boolean {
	return (error as NodeJS.ErrnoException).code === 'ENOENT' && dirname(folder) !== folder;
}
