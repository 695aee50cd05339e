/**
Bounds the number of files that are open at once. A node has a log for each topic, and most of them are idle. So an idle
file releases its descriptor when others need one, the least recently used file first, and opens it again on its next
use. Users of a file do not notice.

Linux reports a failed write-back only once, and only to a descriptor that is open (Rebello et al., ATC 2020). So a file
with unsynced writes is synced before its descriptor is closed. An error of that sync is reported to the next use of the
file, and to every later one.

The process may still run out of descriptors below the bound, because sockets count too (EMFILE), or the machine has
none left (ENFILE). This is no failure of the disk: the call waits until a file can be closed, or retries, and `isShort`
is true meanwhile.
*/
import type {Clock} from '../../ports.ts';
import {systemClock} from '../clock.ts';
import type {Files, OpenFile} from '../file-system.ts';

export type FilePoolOptions = {
	/** The maximal number of descriptors, at least 1. */
	readonly openMax: number;
	/** Called once in each shortage: no descriptor is available, although the pool has not reached its bound. */
	readonly onShort?: () => void;
	/** @default the system clock */
	readonly clock?: Pick<Clock, 'after'>;
};

const retryMs = 100;

export class FilePool implements Files {
	readonly #files: Files;
	readonly #options: FilePoolOptions;
	readonly #clock: Pick<Clock, 'after'>;
	/** Open files that are not in use, the most recently used last. */
	readonly #idle = new Set<PooledFile>();
	/** Descriptors that are open or being opened. */
	#open = 0;
	#waiting: Array<() => void> = [];
	#short = 0;
	shortages = 0;

	constructor(files: Files, options: FilePoolOptions) {
		this.#files = files;
		this.#options = options;
		this.#clock = options.clock ?? systemClock;
	}

	get isShort(): boolean {
		return this.#short > 0;
	}

	/** The number of descriptors that are open now. */
	get openCount(): number {
		return this.#open;
	}

	async open(path: string, mode: 'read' | 'write' | 'update'): Promise<OpenFile> {
		const handle = await this.#openHandle(path, mode);
		const file = new PooledFile(this, path, mode === 'read' ? 'read' : 'update', handle);
		this.markIdle(file);
		return file;
	}

	list(folder: string): Promise<readonly string[]> {
		return this.#withDescriptor(() => this.#files.list(folder));
	}

	makeFolder(folder: string): Promise<void> {
		return this.#withDescriptor(() => this.#files.makeFolder(folder));
	}

	syncFolder(folder: string): Promise<void> {
		return this.#withDescriptor(() => this.#files.syncFolder(folder));
	}

	rename(from: string, to: string): Promise<void> {
		return this.#files.rename(from, to);
	}

	unlink(path: string): Promise<void> {
		return this.#files.unlink(path);
	}

	removeFolder(folder: string): Promise<void> {
		return this.#files.removeFolder(folder);
	}

	/** For `PooledFile`: opens the file again. */
	async reopen(file: PooledFile): Promise<OpenFile> {
		return this.#openHandle(file.path, file.mode);
	}

	/** For `PooledFile`: the file is in use, so it must not be closed. */
	markBusy(file: PooledFile): void {
		this.#idle.delete(file);
	}

	/** For `PooledFile`: the file is no longer in use. */
	markIdle(file: PooledFile): void {
		this.#idle.add(file);
		this.#wake();
	}

	/** For `PooledFile`: a descriptor was closed. */
	closed(): void {
		this.#open--;
		this.#wake();
	}

	async #openHandle(path: string, mode: 'read' | 'write' | 'update'): Promise<OpenFile> {
		await this.#reserve();
		try {
			return await this.#retryWhileShort(() => this.#files.open(path, mode));
		} catch (error) {
			this.closed();
			throw error;
		}
	}

	/** Runs a call that needs a descriptor while it runs. */
	async #withDescriptor<Result>(work: () => Promise<Result>): Promise<Result> {
		await this.#reserve();
		try {
			return await this.#retryWhileShort(work);
		} finally {
			this.closed();
		}
	}

	/** Reserves a descriptor. No caller waits for a second one while it holds a first, so there is no deadlock. */
	async #reserve(): Promise<void> {
		while (this.#open >= this.#options.openMax) {
			// The check for an idle file and the start of the wait are one step, so that no release in between is
			// missed.
			await (this.#idle.size > 0 ? this.#closeOldest() : this.#released());
		}

		this.#open++;
	}

	/** Runs a call, and repeats it while descriptors are short. */
	async #retryWhileShort<Result>(work: () => Promise<Result>): Promise<Result> {
		let isShort = false;
		try {
			for (;;) {
				try {
					return await work();
				} catch (error) {
					if (!isOutOfDescriptors(error)) throw error;
				}

				if (this.#idle.size > 0) {
					await this.#closeOldest();
					continue;
				}

				if (!isShort) {
					isShort = true;
					this.#short++;
					this.shortages++;
					this.#options.onShort?.();
				}

				await this.#released(retryMs);
			}
		} finally {
			if (isShort) {
				this.#short--;
				this.shortages++;
			}
		}
	}

	/** The caller has checked that a file is idle. */
	async #closeOldest(): Promise<void> {
		const [oldest] = this.#idle;
		this.#idle.delete(oldest!);
		await oldest!.release();
	}

	/** Resolves when a descriptor may be available, or after `afterMs` milliseconds. */
	#released(afterMs?: number): Promise<void> {
		return new Promise(resolve => {
			const timer = afterMs === undefined ? undefined : this.#clock.after(afterMs, resolve);
			this.#waiting.push(() => {
				timer?.[Symbol.dispose]();
				resolve();
			});
		});
	}

	#wake(): void {
		if (this.#waiting.length === 0) return;
		for (const wake of this.#waiting.splice(0)) wake();
	}
}

class PooledFile implements OpenFile {
	readonly path: string;
	readonly mode: 'read' | 'update';
	readonly size: number;
	readonly #pool: FilePool;
	#handle: OpenFile | undefined;
	#opening: Promise<OpenFile> | undefined;
	#releasing: Promise<void> | undefined;
	#users = 0;
	/** Counts the starts and ends of writes: a sync covers all of them if the count has not changed meanwhile. */
	#changes = 0;
	#syncedChanges = 0;
	/** The error of a sync before the descriptor was released. */
	#failure: Error | undefined;
	#isClosed = false;

	constructor(pool: FilePool, path: string, mode: 'read' | 'update', handle: OpenFile) {
		this.#pool = pool;
		this.path = path;
		this.mode = mode;
		this.#handle = handle;
		this.size = handle.size;
	}

	write(buffers: readonly Uint8Array[], position: number): Promise<number> {
		return this.#change(handle => handle.write(buffers, position));
	}

	read(buffer: Uint8Array, position: number): Promise<number> {
		return this.#use(handle => handle.read(buffer, position));
	}

	async datasync(): Promise<void> {
		await this.#use(handle => this.#sync(handle));
	}

	truncate(size: number): Promise<void> {
		return this.#change(handle => handle.truncate(size));
	}

	async close(): Promise<void> {
		this.#isClosed = true;
		this.#pool.markBusy(this);
		await this.#releasing;
		await this.#opening?.catch(() => undefined);
		await this.#closeHandle();
	}

	/** For the pool, when the file is idle. An error is reported to the next use of the file. */
	release(): Promise<void> {
		this.#releasing = this.#release().finally(() => {
			this.#releasing = undefined;
		});
		return this.#releasing;
	}

	async #release(): Promise<void> {
		const handle = this.#handle!;
		try {
			if (this.#changes > this.#syncedChanges) await this.#sync(handle);
		} catch (error) {
			this.#failure ??= asError(error);
		}

		try {
			await this.#closeHandle();
		} catch (error) {
			if (this.mode !== 'read') this.#failure ??= asError(error);
		}
	}

	async #sync(handle: OpenFile): Promise<void> {
		const before = this.#changes;
		await handle.datasync();
		this.#syncedChanges = before;
	}

	async #closeHandle(): Promise<void> {
		const handle = this.#handle;
		if (!handle) return;
		this.#handle = undefined;
		try {
			await handle.close();
		} finally {
			this.#pool.closed();
		}
	}

	#change<Result>(work: (handle: OpenFile) => Promise<Result>): Promise<Result> {
		return this.#use(async handle => {
			this.#changes++;
			try {
				return await work(handle);
			} finally {
				this.#changes++;
			}
		});
	}

	async #use<Result>(work: (handle: OpenFile) => Promise<Result>): Promise<Result> {
		this.#users++;
		this.#pool.markBusy(this);
		try {
			await this.#releasing;
			if (this.#failure !== undefined) throw this.#failure;
			if (this.#isClosed) throw new Error(`Expected the file ${this.path} to be open, it was closed`);
			return await work(this.#handle ?? (await this.#reopen()));
		} finally {
			this.#users--;
			if (this.#users === 0 && this.#handle && !this.#isClosed) this.#pool.markIdle(this);
		}
	}

	#reopen(): Promise<OpenFile> {
		this.#opening ??= this.#pool
			.reopen(this)
			.then(handle => {
				this.#handle = handle;
				return handle;
			})
			.finally(() => {
				this.#opening = undefined;
			});
		return this.#opening;
	}
}

/** The process or the machine may not open more files. */
export function isOutOfDescriptors(error: unknown): boolean {
	const {code} = Object(error) as {readonly code?: unknown};
	return code === 'EMFILE' || code === 'ENFILE';
}

function asError(error: unknown): Error {
	return error instanceof Error ? error : new Error(String(error));
}
