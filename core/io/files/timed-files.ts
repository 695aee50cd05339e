/**
Files whose fsyncs are timed, for the metrics.
*/
import type {Files, OpenFile} from '../file-system.ts';

/** @param onSync called with the time of each successful fsync, in seconds */
export function timedFiles(files: Files, onSync: (seconds: number) => void): Files {
	return {...files, open: async (path, mode) => new TimedFile(await files.open(path, mode), onSync)};
}

class TimedFile implements OpenFile {
	readonly #file: OpenFile;
	readonly #onSync: (seconds: number) => void;

	constructor(file: OpenFile, onSync: (seconds: number) => void) {
		this.#file = file;
		this.#onSync = onSync;
	}

	get size(): number {
		return this.#file.size;
	}

	write(buffers: readonly Uint8Array[], position: number): Promise<number> {
		return this.#file.write(buffers, position);
	}

	read(buffer: Uint8Array, position: number): Promise<number> {
		return this.#file.read(buffer, position);
	}

	async datasync(): Promise<void> {
		const startMs = performance.now();
		await this.#file.datasync();
		this.#onSync((performance.now() - startMs) / 1000);
	}

	truncate(size: number): Promise<void> {
		return this.#file.truncate(size);
	}

	close(): Promise<void> {
		return this.#file.close();
	}
}
