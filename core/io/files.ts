/**
The few things that storage asks of a file system. Its own small port, so that tests can put a disk underneath that fails, tears and
forgets.
*/
import {constants} from 'node:fs';
import {mkdir, open, readdir, rename, stat, unlink, type FileHandle} from 'node:fs/promises';

export type OpenFile = {
	readonly size: number;
	/** Write all of it at `position`. */
	write(buffers: readonly Uint8Array[], position: number): Promise<void>;
	read(buffer: Uint8Array, position: number): Promise<number>;
	datasync(): Promise<void>;
	truncate(size: number): Promise<void>;
	close(): Promise<void>;
};
export type Files = {
	/** `write`: made when missing, 0600. */
	open(path: string, mode: 'read' | 'write'): Promise<OpenFile>;
	list(folder: string): Promise<readonly string[]>;
	makeFolder(folder: string): Promise<void>;
	/** Make names in the folder durable. */
	syncFolder(folder: string): Promise<void>;
	rename(from: string, to: string): Promise<void>;
	unlink(path: string): Promise<void>;
	modifiedMs(path: string): Promise<number>;
};

export const realFiles: Files = {
	async open(path, mode) {
		const handle = await open(path, mode === 'read' ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT, 0o600);
		return new RealFile(handle, (await handle.stat()).size);
	},
	list: folder => readdir(folder),
	async makeFolder(folder) {
		await mkdir(folder, {recursive: true, mode: 0o700});
	},
	async syncFolder(folder) {
		const handle = await open(folder, 'r');
		try {
			await handle.sync();
		} finally {
			await handle.close();
		}
	},
	rename,
	unlink,
	modifiedMs: async path => (await stat(path)).mtimeMs,
};

class RealFile implements OpenFile {
	readonly size: number;
	readonly #handle: FileHandle;

	constructor(handle: FileHandle, size: number) {
		this.#handle = handle;
		this.size = size;
	}

	async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
		let left = [...buffers];
		while (left.length > 0) {
			// At most IOV_MAX buffers a call.
			const part = left.slice(0, 512);
			// oxlint-disable-next-line no-await-in-loop -- in order
			const {bytesWritten} = await this.#handle.writev(part, position);
			position += bytesWritten;
			left = [...behind(part, bytesWritten), ...left.slice(512)];
		}
	}

	async read(buffer: Uint8Array, position: number): Promise<number> {
		return (await this.#handle.read(buffer, 0, buffer.length, position)).bytesRead;
	}

	async datasync(): Promise<void> {
		await this.#handle.datasync();
	}

	async truncate(size: number): Promise<void> {
		await this.#handle.truncate(size);
	}

	async close(): Promise<void> {
		await this.#handle.close();
	}
}

/** What of the buffers is left after a short write. */
function behind(buffers: readonly Uint8Array[], written: number): Uint8Array[] {
	const left: Uint8Array[] = [];
	for (const buffer of buffers) {
		if (written >= buffer.length) written -= buffer.length;
		else {
			left.push(buffer.subarray(written));
			written = 0;
		}
	}

	return left;
}
