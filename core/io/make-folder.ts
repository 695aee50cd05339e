/**
Make a folder and what is missing above it, closed to others (0700). Node's recursive `mkdir` never comes back where the
system says ENOENT for a name in a folder that is there (`/proc`, the place of an automounter), and says ENOENT for a
disk that is mounted read-only.
*/
import {mkdirSync, statSync} from 'node:fs';
import {mkdir, stat} from 'node:fs/promises';
import {dirname} from 'node:path';

const mode = 0o700;

/**
The topmost folder that was made; `undefined` when all were there.
@param folder absolute
@throws what the system says
*/
export async function makeFolders(folder: string): Promise<string | undefined> {
	try {
		await mkdir(folder, {mode});
		return folder;
	} catch (error) {
		if (
			await stat(folder).then(
				stats => stats.isDirectory(),
				() => false,
			)
		)
			return undefined;
		if (!isWithoutParent(error, folder)) throw error;
	}

	const made = await makeFolders(dirname(folder));
	// Somebody else may have made it by now.
	if (
		await stat(folder).then(
			stats => stats.isDirectory(),
			() => false,
		)
	)
		return made;
	await mkdir(folder, {mode});
	return made ?? folder;
}

/** The same, at once. */
export function makeFoldersNow(folder: string): void {
	try {
		mkdirSync(folder, {mode});
		return;
	} catch (error) {
		if (statSync(folder, {throwIfNoEntry: false})?.isDirectory()) return;
		if (!isWithoutParent(error, folder)) throw error;
	}

	makeFoldersNow(dirname(folder));
	if (!statSync(folder, {throwIfNoEntry: false})?.isDirectory()) mkdirSync(folder, {mode});
}

function isWithoutParent(error: unknown, folder: string): boolean {
	return (error as NodeJS.ErrnoException).code === 'ENOENT' && dirname(folder) !== folder;
}
