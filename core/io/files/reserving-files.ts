/**
Files on a disk with a reserve. An operation that finds the disk full releases the reserve and is repeated once, so a
disk that fills within seconds does not stop the node: from then on the node stores no messages.
*/
import {isFullDisk, type Files, type OpenFile} from '../file-system.ts';

export type SpaceReserve = {
	/** Number of releases since the start. */
	readonly releases: number;
	/** Releases the reserve, because a write found no space. Resolves with false when there is none. */
	release(): Promise<boolean>;
};

/** @param reserve called at each operation, because the reserve itself needs files */
export function reservingFiles(files: Files, reserve: () => SpaceReserve): Files {
	const attempt = async <Value>(operation: () => Promise<Value>): Promise<Value> => {
		const {releases} = reserve();
		try {
			return await operation();
		} catch (error) {
			if (!isFullDisk(error)) throw error;
			// Another operation may have released it meanwhile.
			if (reserve().releases === releases && !(await reserve().release())) throw error;
		}

		return operation();
	};

	return {
		...files,
		open: async (path, mode) => new ReservingFile(await attempt(() => files.open(path, mode)), attempt),
		makeFolder: folder => attempt(() => files.makeFolder(folder)),
		rename: (from, to) => attempt(() => files.rename(from, to)),
	};
}

class ReservingFile implements OpenFile {
	readonly #file: OpenFile;
	readonly #attempt: <Value>(operation: () => Promise<Value>) => Promise<Value>;

	constructor(file: OpenFile, attempt: <Value>(operation: () => Promise<Value>) => Promise<Value>) {
		this.#file = file;
		this.#attempt = attempt;
	}

	get size(): number {
		return this.#file.size;
	}

	write(buffers: readonly Uint8Array[], position: number): Promise<number> {
		return this.#attempt(() => this.#file.write(buffers, position));
	}

	read(buffer: Uint8Array, position: number): Promise<number> {
		return this.#file.read(buffer, position);
	}

	/** Not repeated: after a failed fsync, the data of earlier writes may be lost. */
	datasync(): Promise<void> {
		return this.#file.datasync();
	}

	truncate(size: number): Promise<void> {
		return this.#file.truncate(size);
	}

	close(): Promise<void> {
		return this.#file.close();
	}
}
