/**
The few things that storage asks of a file system. Its own small port, so that tests can put a disk underneath that
fails, tears and forgets.
*/
import {constants} from 'node:fs';
import {open, readdir, rename, rmdir, unlink, type FileHandle} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {errorMessage} from '../errors.ts';
import {advice, syncsFolders} from '../platform.ts';
import {despiteOthers} from './despite-others.ts';
import {makeFolders} from './make-folder.ts';

export type OpenFile = {
	/** Bytes when it was opened. */
	readonly size: number;
	/** Write at `position`; resolves with the number of bytes that were taken, which may be fewer than given. */
	write(buffers: readonly Uint8Array[], position: number): Promise<number>;
	/** Resolves with the number of bytes read; fewer than asked for at the end of the file, and at times before. */
	read(buffer: Uint8Array, position: number): Promise<number>;
	datasync(): Promise<void>;
	truncate(size: number): Promise<void>;
	/** Waits for what is under way on this file. */
	close(): Promise<void>;
};
export type Files = {
	/** `write`: made when missing, 0600. `update`: as `write`, but it must be there. */
	open(path: string, mode: 'read' | 'write' | 'update'): Promise<OpenFile>;
	/** The names that lie directly in the folder. */
	list(folder: string): Promise<readonly string[]>;
	/**
	With its parents, 0700; their names are durable. So is its own if it was there: who made it may have been killed
	before that.
	*/
	makeFolder(folder: string): Promise<void>;
	/** Make names in the folder durable. */
	syncFolder(folder: string): Promise<void>;
	rename(from: string, to: string): Promise<void>;
	unlink(path: string): Promise<void>;
	/** Remove an empty folder; that it is gone is durable. */
	removeFolder(folder: string): Promise<void>;
	/** No more files can be opened now, and calls wait for that: no fault of the disk. @default false */
	readonly isShort?: boolean;
};

/** Linux takes 1024 buffers in one writev (IOV_MAX). */
const buffersMax = 1024;

export const realFiles: Files = {
	async open(path, mode) {
		const handle = await despiteOthers(() =>
			open(
				path,
				mode === 'read'
					? constants.O_RDONLY
					: mode === 'update'
						? constants.O_RDWR
						: constants.O_RDWR | constants.O_CREAT,
				0o600,
			),
		);
		return new RealFile(handle, path, (await handle.stat()).size);
	},
	list: folder => readdir(folder),
	async makeFolder(folder) {
		const oldest = await makeFolders(folder);
		if (oldest === undefined) return syncFolder(dirname(folder)).catch(ignoreClosed);
		for (let made = folder; made.length >= oldest.length && dirname(made) !== made; made = dirname(made)) {
			await syncFolder(dirname(made));
		}
	},
	syncFolder,
	rename: (from, to) => despiteOthers(() => rename(from, to)),
	unlink: path => despiteOthers(() => unlink(path)),
	async removeFolder(folder) {
		await despiteOthers(() => rmdir(folder));
		await syncFolder(dirname(folder));
	},
};

/** A folder that was there may lie in one that this user cannot read, and so cannot sync. */
function ignoreClosed(error: unknown): void {
	if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
}

async function syncFolder(folder: string): Promise<void> {
	if (!syncsFolders()) return;
	const handle = await open(folder, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

class RealFile implements OpenFile {
	readonly size: number;
	readonly #handle: FileHandle;
	readonly #path: string;

	constructor(handle: FileHandle, path: string, size: number) {
		this.#handle = handle;
		this.#path = path;
		this.size = size;
	}

	async write(buffers: readonly Uint8Array[], position: number): Promise<number> {
		return (
			await this.#handle.writev(buffers.length > buffersMax ? buffers.slice(0, buffersMax) : buffers, position)
		).bytesWritten;
	}

	async read(buffer: Uint8Array, position: number): Promise<number> {
		try {
			return (await this.#handle.read(buffer, 0, buffer.length, position)).bytesRead;
		} catch (error) {
			// Node names the file only where it opens it.
			if (error instanceof Error) error.message += ` '${this.#path}'`;
			throw error;
		}
	}

	datasync(): Promise<void> {
		return this.#handle.datasync();
	}

	truncate(size: number): Promise<void> {
		return this.#handle.truncate(size);
	}

	close(): Promise<void> {
		return this.#handle.close();
	}
}

/**
Put a whole file in place of the old one, or leave the old one; durable: a new file, fsync, rename, fsync of the folder.
*/
export async function replaceFile(files: Files, folder: string, name: string, bytes: Uint8Array): Promise<void> {
	const path = join(folder, name);
	const fresh = `${path}.new`;
	const file = await files.open(fresh, 'write');
	try {
		if (file.size > bytes.length) await file.truncate(bytes.length); // A crash left one behind.
		await writeAll(file, bytes.length > 0 ? [bytes] : [], 0);
		await file.datasync();
	} finally {
		await file.close();
	}

	await files.rename(fresh, path);
	await files.syncFolder(folder);
}

/** All bytes of a file; `undefined` when there is none. */
export async function readWhole(files: Files, path: string): Promise<Buffer | undefined> {
	let file: OpenFile;
	try {
		file = await files.open(path, 'read');
	} catch (error) {
		if (isMissing(error)) return undefined;
		throw error;
	}

	try {
		return await readFully(file, Buffer.alloc(file.size), 0);
	} finally {
		await file.close();
	}
}

/** The error says that there is no such file or folder. */
export function isMissing(error: unknown): boolean {
	return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** The error says that there is something else in the place of a folder. */
export function isNoFolder(error: unknown): boolean {
	return (error as NodeJS.ErrnoException).code === 'ENOTDIR';
}

/** What the file system says, and what a person can do about it. */
export function withRemedy(error: unknown): string {
	const remedy = remedyFor((error as NodeJS.ErrnoException).code);
	return remedy === undefined ? errorMessage(error) : `${errorMessage(error)}. ${remedy}`;
}

export const fullDiskRemedy =
	'Make room on it, or keep less (storage.retain_bytes, storage.retain_age_s, limits.disk_bytes) and start the node again: a start deletes what is beyond that first';

export function remedyFor(code: string | undefined): string | undefined {
	switch (code) {
		case 'EACCES':
		case 'EBUSY':
		case 'EPERM':
			return advice.rights();
		case 'EEXIST':
		case 'EISDIR':
		case 'ENOTDIR':
			return 'Something else has taken the place of a file or folder of the node: move it away, or bring back what was there';
		case 'ENOSPC':
		case 'EDQUOT':
			return fullDiskRemedy;
		case 'EROFS':
			return 'The disk is mounted read-only: mount it for writing, or choose a place on another one';
		default:
			return undefined;
	}
}

/** Write all of it, however short the single writes are. */
export async function writeAll(file: OpenFile, buffers: readonly Uint8Array[], position: number): Promise<void> {
	let left = buffers;
	while (left.length > 0) {
		const written = await file.write(left, position);
		position += written;
		left = behind(left, written);
		// A disk that takes nothing and reports no error would keep us here for ever.
		if (written === 0 && left.length > 0)
			throw new Error('Expected a write to take at least one byte, it took none');
	}
}

/** Fill the buffer from `position` on; the part that was filled, shorter only at the end of the file. */
export async function readFully(file: OpenFile, buffer: Buffer, position: number): Promise<Buffer> {
	let filled = 0;
	while (filled < buffer.length) {
		const got = await file.read(filled === 0 ? buffer : buffer.subarray(filled), position + filled);
		if (got === 0) break;
		filled += got;
	}

	return filled === buffer.length ? buffer : buffer.subarray(0, filled);
}

/** What of the buffers is left after a short write. */
function behind(buffers: readonly Uint8Array[], written: number): Uint8Array[] {
	let index = 0;
	while (index < buffers.length && written >= buffers[index]!.length) {
		written -= buffers[index]!.length;
		index++;
	}

	const left = buffers.slice(index);
	if (written > 0) left[0] = left[0]!.subarray(written);
	return left;
}
