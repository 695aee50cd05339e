/**
A bound on the files that are open at once. A node has a log for each topic, and most of them are idle: so an open file
gives its descriptor back when others need one, the one that was used last the latest, and is opened again when it is
used. Nothing above notices.

Linux reports a failed write-back once, to who has the file open (Rebello et al., ATC 2020). So what was written is
synced before the descriptor goes, and what that sync says is told to the next who uses the file, and to everyone after.

The process may open fewer than that after all, as sockets count too (EMFILE), or the machine has none left (ENFILE).
That is no fault of the disk: a call waits then, for a file that can be closed or for a moment, and `isShort` says so.
*/
import type {Clock} from '../../ports.ts';
import {systemClock} from '../clock.ts';
import type {Files, OpenFile} from '../file-system.ts';

export type FilePoolOptions = {
	/** Descriptors at most, at least 1. */
	readonly openMax: number;
	/** No descriptor is to be had, although the pool has not reached its bound. Told once a shortage. */
	readonly onShort?: () => void;
	/** @default that of the machine */
	readonly clock?: Pick<Clock, 'after'>;
};

const againMs = 100;

export class FilePool implements Files {
	readonly #files: Files;
	readonly #options: FilePoolOptions;
	readonly #clock: Pick<Clock, 'after'>;
	/** Open, and not in use now; the one used last at the end. */
	readonly #idle = new Set<PooledFile>();
	/** Descriptors that are open, or about to be. */
	#open = 0;
	#waiting: Array<() => void> = [];
	#short = 0;

	constructor(files: Files, options: FilePoolOptions) {
		this.#files = files;
		this.#options = options;
		this.#clock = options.clock ?? systemClock;
	}

	get isShort(): boolean {
		return this.#short > 0;
	}

	/** Descriptors that are open now. */
	get openCount(): number {
		return this.#open;
	}

	async open(path: string, mode: 'read' | 'write' | 'update'): Promise<OpenFile> {
		const handle = await this.#openHandle(path, mode);
		const file = new PooledFile(this, path, mode === 'read' ? 'read' : 'update', handle);
		this.rest(file);
		return file;
	}

	list(folder: string): Promise<readonly string[]> {
		return this.#briefly(() => this.#files.list(folder));
	}

	makeFolder(folder: string): Promise<void> {
		return this.#briefly(() => this.#files.makeFolder(folder));
	}

	syncFolder(folder: string): Promise<void> {
		return this.#briefly(() => this.#files.syncFolder(folder));
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

	/** For its files: open one again. */
	async reopen(file: PooledFile): Promise<OpenFile> {
		return this.#openHandle(file.path, file.mode);
	}

	/** For its files: in use, so not to be closed. */
	busy(file: PooledFile): void {
		this.#idle.delete(file);
	}

	/** For its files: no longer in use. */
	rest(file: PooledFile): void {
		this.#idle.add(file);
		this.#wake();
	}

	/** For its files: a descriptor was closed. */
	closed(): void {
		this.#open--;
		this.#wake();
	}

	async #openHandle(path: string, mode: 'read' | 'write' | 'update'): Promise<OpenFile> {
		await this.#enter();
		try {
			return await this.#patiently(() => this.#files.open(path, mode));
		} catch (error) {
			this.closed();
			throw error;
		}
	}

	/** A call that needs a descriptor while it runs. */
	async #briefly<Result>(work: () => Promise<Result>): Promise<Result> {
		await this.#enter();
		try {
			return await this.#patiently(work);
		} finally {
			this.closed();
		}
	}

	/** Have room for one more. Whoever has a descriptor never waits for a second one, so this ends. */
	async #enter(): Promise<void> {
		while (this.#open >= this.#options.openMax) {
			// Whether a file can be closed is looked at in the same step in which it is waited for: what happens
			// between two steps would be missed.
			await (this.#idle.size > 0 ? this.#closeOldest() : this.#released());
		}

		this.#open++;
	}

	async #patiently<Result>(work: () => Promise<Result>): Promise<Result> {
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
					this.#options.onShort?.();
				}

				await this.#released(againMs);
			}
		} finally {
			if (isShort) this.#short--;
		}
	}

	/** One must be idle. */
	async #closeOldest(): Promise<void> {
		const [oldest] = this.#idle;
		this.#idle.delete(oldest!);
		await oldest!.giveBack();
	}

	/** Resolves when a descriptor may be had, or after a time, milliseconds. */
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
	#givingBack: Promise<void> | undefined;
	#users = 0;
	/** Writes that began or ended: a sync during which none did has all of them. */
	#changes = 0;
	#syncedChanges = 0;
	/** What the disk said when the file was synced to give its descriptor back. */
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
		this.#pool.busy(this);
		await this.#givingBack;
		await this.#opening?.catch(() => undefined);
		await this.#closeHandle();
	}

	/** For the pool, when nobody uses the file. What goes wrong is told to who uses it next. */
	giveBack(): Promise<void> {
		this.#givingBack = this.#giveBack().finally(() => {
			this.#givingBack = undefined;
		});
		return this.#givingBack;
	}

	async #giveBack(): Promise<void> {
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
		this.#pool.busy(this);
		try {
			await this.#givingBack;
			if (this.#failure !== undefined) throw this.#failure;
			if (this.#isClosed) throw new Error(`Expected the file ${this.path} to be open, it was closed`);
			return await work(this.#handle ?? (await this.#reopen()));
		} finally {
			this.#users--;
			if (this.#users === 0 && this.#handle && !this.#isClosed) this.#pool.rest(this);
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

/** The process, or the machine, may not open more files. */
export function isOutOfDescriptors(error: unknown): boolean {
	const {code} = Object(error) as {readonly code?: unknown};
	return code === 'EMFILE' || code === 'ENFILE';
}

function asError(error: unknown): Error {
	return error instanceof Error ? error : new Error(String(error));
}
