/** Folders of a user, secrets, and small or read-only disks. */
import {execFileSync, spawnSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

/** The variables that place all files of a user below this folder. */
export const userFolders = (folder: string): Record<string, string> => ({
	HOME: folder,
	XDG_CONFIG_HOME: join(folder, 'config'),
	XDG_DATA_HOME: join(folder, 'data'),
	XDG_STATE_HOME: join(folder, 'state'),
	XDG_CACHE_HOME: join(folder, 'cache'),
	XDG_RUNTIME_DIR: '',
});

/** A valid secret that no cluster of the tests uses. */
export const foreignSecret = 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M';

/** Writes the foreign secret into the folder; returns its path. */
export function writeForeignSecret(folder: string): string {
	const path = join(folder, 'foreign-secret');
	writeFileSync(path, `${foreignSecret}\n`, {mode: 0o600});
	return path;
}

/** Arguments of `unshare` before a script of `sh` that may mount file systems. */
export const unshareArguments: readonly string[] = ['--user', '--map-root-user', '--mount', 'sh', '-c'];
export const canUnshare =
	process.platform === 'linux' &&
	spawnSync('unshare', [...unshareArguments, 'mount -t tmpfs none /tmp']).status === 0;

/** A disk of this size in the folder; `undefined` where the user may not mount one. @param size as for tmpfs: `40m` */
export function mountSmallDisk(folder: string, size: string): Disposable | undefined {
	mkdirSync(folder, {mode: 0o700});
	if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', folder]).status !== 0)
		return undefined;
	return {[Symbol.dispose]: () => void execFileSync('umount', ['-l', folder], {stdio: 'ignore'})};
}
