/**
The disk of one simulated machine, behind the `Files` port. A write takes virtual time and belongs to the process that
asked for it. The process may be killed, or the power cut. On request the disk fails with EIO or ENOSPC, refuses file
descriptors for a while, is full for a while, or is damaged: bits flip, files are cut short.
*/
import {dirname} from 'node:path';
import type {Files, OpenFile} from '../../../core/io/file-system.ts';
import {DiskContents, type Loss, type StoredFile} from '../disk-contents.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';

export type DiskCounts = {
	writes: number;
	syncs: number;
	kills: number;
	powerCuts: number;
	lost: number;
	kept: number;
	torn: number;
	eio: number;
	enospc: number;
	full: number;
	emfile: number;
	flips: number;
	truncations: number;
	wipes: number;
};
export const noDiskCounts = (): DiskCounts => ({
	writes: 0,
	syncs: 0,
	kills: 0,
	powerCuts: 0,
	lost: 0,
	kept: 0,
	torn: 0,
	eio: 0,
	enospc: 0,
	full: 0,
	emfile: 0,
	flips: 0,
	truncations: 0,
	wipes: 0,
});

export class SimDisk implements Files {
	readonly counts: DiskCounts;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	readonly #syncMs: readonly [number, number];
	/** Runs a callback in the process that made the call, unless that process has ended. */
	#run: (work: () => void) => void = () => undefined;
	#contents = new DiskContents();
	/** The next write or sync fails with this error. */
	#failure: 'EIO' | 'ENOSPC' | undefined;
	#shortUntilMs = 0;
	/** How often something else has filled the disk. */
	fills = 0;
	/** The bytes of all files that fit on the disk. */
	#capacityBytes = Infinity;
	/** The bytes by which writes that have begun make a file longer. */
	readonly #growing = new Map<StoredFile, number>();

	constructor({
		schedule,
		random,
		syncMs,
		counts,
	}: {
		readonly schedule: Schedule;
		readonly random: SeededRandom;
		readonly syncMs: readonly [number, number];
		readonly counts: DiskCounts;
	}) {
		this.#schedule = schedule;
		this.#random = random;
		this.#syncMs = syncMs;
		this.counts = counts;
	}

	/** A process starts to use the disk. */
	attach(run: (work: () => void) => void): void {
		this.#run = run;
		this.#failure = undefined;
	}

	/** SIGKILL: the operating system keeps what it was given. Each write in progress is either done or lost. */
	kill(): void {
		this.counts.kills++;
		this.#growing.clear();
		this.#contents.kill(this.#random);
	}

	/** The power fails. Everything that was synced remains, and a random part of the rest. */
	powerCut(): void {
		this.counts.powerCuts++;
		this.#growing.clear();
		const loss = this.#random.pick<Loss>(['all', 'writes', 'sectors', 'sectors', 'none']);
		this.#contents = this.#contents.afterPowerCut(this.#random, loss, this.counts);
	}

	/** A new disk in the machine. */
	wipe(): void {
		this.counts.wipes++;
		this.free();
		this.#contents = new DiskContents();
	}

	/** Give another disk all files as they are now, synced or not. They are durable there. */
	copyTo(other: SimDisk): void {
		other.#contents = DiskContents.of(
			new Map(this.#contents.files().map(([path, file]) => [path, file.content] as const)),
		);
	}

	failNext(code: 'EIO' | 'ENOSPC'): void {
		this.#failure = code;
	}

	/** The process cannot open files for a while (EMFILE). */
	fewFiles(forMs: number): void {
		this.#shortUntilMs = this.#schedule.nowMs + forMs;
	}

	/** Another program fills the disk and leaves this many bytes. The node may reuse what it deletes itself. */
	fill(leftBytes: number): void {
		this.fills++;
		this.#capacityBytes = this.#usedBytes + leftBytes;
	}

	/** An operator makes room. */
	free(): void {
		this.#capacityBytes = Infinity;
	}

	get isFilled(): boolean {
		return this.#capacityBytes < Infinity;
	}

	/** Bytes that may still be written. */
	get freeBytes(): number {
		return this.isFilled ? Math.max(0, this.#capacityBytes - this.#usedBytes) : Infinity;
	}

	/** End all injected failures. */
	heal(): void {
		this.free();
		this.#failure = undefined;
		this.#shortUntilMs = 0;
	}

	/**
	Damage one file that `isOf` accepts: flip a bit, or cut the file short. Returns false if there is no such file.
	*/
	corrupt(kind: 'flip' | 'truncate', isOf: (path: string) => boolean): boolean {
		const files = this.#contents
			.files()
			.filter(([path, {size}]) => isOf(path) && size > 0)
			.toSorted(([a], [b]) => (a < b ? -1 : 1));
		if (files.length === 0) return false;
		const [, file] = this.#random.pick(files);
		if (kind === 'flip') {
			const at = this.#random.below(file.size);
			file.flip(at * 8 + this.#random.below(8));
			this.counts.flips++;
		} else {
			file.cut(this.#random.below(file.size));
			this.counts.truncations++;
		}

		return true;
	}

	paths(): string[] {
		return this.#contents
			.files()
			.map(([path]) => path)
			.toSorted();
	}

	/** Segments in a folder that a power cut may remove completely, because their names are not durable. */
	withoutDurableName(folder: string): string[] {
		return this.paths().filter(
			path => path.startsWith(`${folder}/`) && path.endsWith('.log') && !this.#contents.hasDurableName(path),
		);
	}

	/** `undefined` when there is no such file. */
	content(path: string): Buffer | undefined {
		return this.#contents.file(path)?.content;
	}

	async open(path: string, mode: 'read' | 'write' | 'update'): Promise<OpenFile> {
		this.#expectDescriptor();
		let file = this.#contents.file(path);
		if (!file && mode !== 'write')
			throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), {code: 'ENOENT'});
		file ??= this.#contents.create(path);
		return this.#openFile(file);
	}

	async list(folder: string): Promise<readonly string[]> {
		this.#expectDescriptor();
		return this.#contents.list(folder);
	}

	async makeFolder(folder: string): Promise<void> {
		this.#expectDescriptor();
		for (const parent of this.#contents.makeFolder(folder)) this.#contents.syncFolder(parent);
	}

	async syncFolder(folder: string): Promise<void> {
		this.#expectDescriptor();
		await this.#after(this.#latency(), () => this.#contents.syncFolder(folder));
	}

	async rename(from: string, to: string): Promise<void> {
		this.#contents.rename(from, to);
	}

	async unlink(path: string): Promise<void> {
		this.#contents.unlink(path);
	}

	async removeFolder(folder: string): Promise<void> {
		this.#contents.unlink(folder);
		await this.syncFolder(dirname(folder));
	}

	#expectDescriptor(): void {
		if (this.#schedule.nowMs >= this.#shortUntilMs) return;
		this.counts.emfile++;
		throw Object.assign(new Error('EMFILE: too many open files'), {code: 'EMFILE'});
	}

	#openFile(file: StoredFile): OpenFile {
		const queue = (asked: Parameters<StoredFile['begin']>[0]): Promise<void> => {
			this.counts.writes++;
			const change = file.begin(asked);
			return this.#after(
				this.#random.below(2),
				() => file.written(change),
				() => file.forget(change),
			);
		};

		return {
			size: file.size,
			write: async (buffers, at) => {
				const bytes = this.#fitting(file, Buffer.concat(buffers), at);
				const size = this.#sizeOf(file);
				const growth = Math.max(0, at + bytes.length - size);
				this.#growing.set(file, size - file.size + growth);
				try {
					await queue({at, bytes});
				} finally {
					const left = (this.#growing.get(file) ?? 0) - growth;
					if (left > 0) this.#growing.set(file, left);
					else this.#growing.delete(file);
				}

				return bytes.length;
			},
			read: async (buffer, at) => file.read(buffer, at, buffer.length),
			datasync: async () => {
				this.counts.syncs++;
				const covered = file.unsynced();
				await this.#after(
					this.#latency(),
					() => file.synced(covered),
					() => file.unkept(covered),
				);
			},
			truncate: async size => queue({truncateTo: size}),
			async close() {}, // oxlint-disable-line no-empty-function
		};
	}

	get #usedBytes(): number {
		const written = this.#contents.files().reduce((sum, [, {size}]) => sum + size, 0);
		return this.#growing.values().reduce((sum, bytes) => sum + bytes, written);
	}

	/** The size with the writes that have begun. */
	#sizeOf(file: StoredFile): number {
		return file.size + (this.#growing.get(file) ?? 0);
	}

	/**
	The part of a write for which there is room: a short write, or an error if there is no room at all. Existing bytes
	may be overwritten.
	*/
	#fitting(file: StoredFile, bytes: Buffer, at: number): Buffer {
		const room = this.#sizeOf(file) + this.freeBytes - at;
		if (bytes.length <= room) return bytes;
		this.counts.full++;
		if (room <= 0) throw Object.assign(new Error('ENOSPC: no space left on device'), {code: 'ENOSPC'});
		return bytes.subarray(0, room);
	}

	#latency(): number {
		return this.#random.between(...this.#syncMs);
	}

	#after(inMs: number, done: () => void, failed: () => void = () => undefined): Promise<void> {
		const {promise, resolve, reject} = Promise.withResolvers<void>();
		const run = this.#run;
		this.#schedule.after(inMs, () =>
			run(() => {
				const code = this.#failure;
				if (code === undefined) {
					done();
					resolve();
					return;
				}

				this.#failure = undefined;
				this.counts[code === 'EIO' ? 'eio' : 'enospc']++;
				failed();
				reject(Object.assign(new Error(`${code}: injected`), {code}));
			}),
		);
		return promise;
	}
}
