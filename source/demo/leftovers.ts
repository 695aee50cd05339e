/**
The folder of a demo, which is removed in any case: by the demo at its end, and by the next demo when a demo was killed.
A running demo holds the lock of its folder, and the kernel releases the lock when the process ends.
*/
import {lstatSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Folder, folderHolder} from '../../core/io/files/data-folder.ts';
import {trustedOwners} from '../../core/platform.ts';

export const folderPrefix = 'dapss-demo';

/** A folder without a lock may belong to a demo that is starting, for so many milliseconds. */
const startMs = 60_000;

/** Marks the folder as in use, until disposed or until this process ends. @throws `storage` */
export function holdFolder(path: string): Promise<Disposable> {
	return Folder.open(path);
}

/** Removes a folder with everything in it. On Windows a file may be in use for a moment yet. */
export function removeFolder(path: string): void {
	rmSync(path, {recursive: true, force: true, maxRetries: 5, retryDelay: 100});
}

/**
Removes the folders of demos that were killed.
@returns the number of removed folders
*/
export async function removeLeftovers(parent = tmpdir(), nowMs = Date.now()): Promise<number> {
	let removed = 0;
	for (const name of readdirSync(parent)) {
		if (!name.startsWith(`${folderPrefix}-`)) continue;
		const path = join(parent, name);
		try {
			if (!(await isLeftover(path, nowMs))) continue;
			removeFolder(path);
			removed++;
		} catch {
			// Another demo may remove it at the same time; and a folder that cannot be removed harms nothing.
		}
	}

	return removed;
}

async function isLeftover(path: string, nowMs: number): Promise<boolean> {
	const found = lstatSync(path);
	const [self] = trustedOwners() ?? [];
	// The folder for temporary files is shared: only this user's own folders are touched, and no link is followed.
	if (!found.isDirectory() || (self !== undefined && found.uid !== self)) return false;
	if (!readdirSync(path).includes('lock')) return nowMs - found.mtimeMs > startMs;
	return (await folderHolder(path)) === 'free';
}
