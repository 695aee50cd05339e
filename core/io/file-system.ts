/**
The file system operations that storage needs, as a small port of its own. Tests implement it with a disk that fails,
tears writes, and loses unsynced data.
*/
import {constants} from 'node:fs';
import {open, readdir, rename, rmdir, unlink, type FileHandle} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {errorMessage} from '../errors.ts';
import {advice, syncsFolders} from '../platform.ts';
import {despiteOthers} from './despite-others.ts';
import {makeFolders} from './make-folder.ts';

export type OpenFile = {
	/** The size in bytes when the file was opened. */
	readonly size: number;
	/** Writes at `position`. Resolves with the number of bytes written, which may be fewer than given. */
	write(buffers: readonly Uint8Array[], position: number): Promise<number>;
	/** Resolves with the number of bytes read: fewer than requested at the end of the file, and sometimes before. */
	read(buffer: Uint8Array, position: number): Promise<number>;
	datasync(): Promise<void>;
	truncate(size: number): Promise<void>;
	/** Waits for pending operations on this file. */
	close(): Promise<void>;
};
export type Files = {
	/** `write`: creates the file if it is missing, with mode 0600. `update`: like `write`, but the file must exist. */
	open(path: string, mode: 'read' | 'write' | 'update'): Promise<OpenFile>;
	/** The names directly in the folder. */
	list(folder: string): Promise<readonly string[]>;
	/**
	Makes the folder with its parents, with mode 0700, and makes their names durable. The name of an existing folder is
	synced too: its maker may have been killed before that.
	*/
	makeFolder(folder: string): Promise<void>;
	/** Makes the names in the folder durable. */
	syncFolder(folder: string): Promise<void>;
	rename(from: string, to: string): Promise<void>;
	unlink(path: string): Promise<void>;
	/** Removes an empty folder, and makes the removal durable. */
	removeFolder(folder: string): Promise<void>;
	/** Whether calls wait because no more files can be opened. That is no failure of the disk. @default false */
	readonly isShort?: boolean;
	/** Increases when a wait for a descriptor begins, and when it ends. */
	readonly shortages?: number;
};

/** The limit of buffers for one writev call on Linux (IOV_MAX). */
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

/** An existing folder may be in a parent that this user cannot read, and so cannot sync. */
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
			// Node's error names the file only for `open`.
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

/** Replaces a whole file atomically and durably: writes a new file, fsync, rename, fsync of the folder. */
export async function replaceFile(files: Files, folder: string, name: string, bytes: Uint8Array): Promise<void> {
	const path = join(folder, name);
	const fresh = `${path}.new`;
	const file = await files.open(fresh, 'write');
	try {
		if (file.size > bytes.length) await file.truncate(bytes.length); // Left by a crash.
		await writeAll(file, bytes.length > 0 ? [bytes] : [], 0);
		await file.datasync();
	} finally {
		await file.close();
	}

	await files.rename(fresh, path);
	await files.syncFolder(folder);
}

/** All bytes of a file; `undefined` when it does not exist. */
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

/** The error means that there is no such file or folder. */
export function isMissing(error: unknown): boolean {
	return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** The error means that the disk, or the quota of this user, is full. */
export function isFullDisk(error: unknown): boolean {
	const {code} = Object(error) as {readonly code?: unknown};
	return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The error means that a path is no folder. */
export function isNoFolder(error: unknown): boolean {
	return (error as NodeJS.ErrnoException).code === 'ENOTDIR';
}

/** The message of a file system error, with advice where there is some. */
export function withRemedy(error: unknown): string {
	const remedy = remedyFor((error as NodeJS.ErrnoException).code);
	return remedy === undefined ? errorMessage(error) : `${errorMessage(error)}. ${remedy}`;
}

export const fullDiskRemedy =
	'Free space on it, or retain less (storage.retain_bytes, storage.retain_age_s, limits.disk_bytes) ' +
	'and start the node again: a start first deletes what exceeds the limits';

/** Advice for an error code of the system; `undefined` when there is none. */
export function remedyFor(code: string | undefined): string | undefined {
	switch (code) {
		case 'EACCES':
		case 'EBUSY':
		case 'EPERM':
			return advice.rights();
		case 'EEXIST':
		case 'EISDIR':
		case 'ENOTDIR':
			return (
				'Something else is in the place of a file or folder of the node: ' +
				'move it away, or restore the original'
			);
		case 'ENOSPC':
		case 'EDQUOT':
			return fullDiskRemedy;
		case 'EROFS':
			return 'The disk is mounted read-only: mount it for writing, or choose a place on another one';
		default:
			return undefined;
	}
}

/** Writes all bytes, however short the single writes are. */
export async function writeAll(file: OpenFile, buffers: readonly Uint8Array[], position: number): Promise<void> {
	let left = buffers;
	while (left.length > 0) {
		const written = await file.write(left, position);
		position += written;
		left = remaining(left, written);
		// A disk that writes nothing and reports no error would cause an endless loop.
		if (written === 0 && left.length > 0)
			throw new Error('Expected a write to take at least one byte, it took none');
	}
}

/** Fills the buffer from `position` on. Returns the filled part, which is shorter only at the end of the file. */
export async function readFully(file: OpenFile, buffer: Buffer, position: number): Promise<Buffer> {
	let filled = 0;
	while (filled < buffer.length) {
		const got = await file.read(filled === 0 ? buffer : buffer.subarray(filled), position + filled);
		if (got === 0) break;
		filled += got;
	}

	return filled === buffer.length ? buffer : buffer.subarray(0, filled);
}

/** The rest of the buffers after a short write. */
function remaining(buffers: readonly Uint8Array[], written: number): Uint8Array[] {
	let index = 0;
	while (index < buffers.length && written >= buffers[index]!.length) {
		written -= buffers[index]!.length;
		index++;
	}

	const left = buffers.slice(index);
	if (written > 0) left[0] = left[0]!.subarray(written);
	return left;
}
