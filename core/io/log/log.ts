/**
An append-only log in segments. Appends that arrive during a write or an fsync are collected and share the next one
(group commit), so the disk sets the pace and no append waits for a timer. Retention unlinks whole segments.
`recovery.ts` describes how the log recovers from a crash or damage.

At most one write runs at a time, which keeps the order. At most one fdatasync runs at a time: an append that must be
synced waits for the running one and shares the next. An append that need not be synced is written during an fdatasync.
A segment is completely synced before the next one is made, so a hole is followed by a good segment only after damage.
*/
import {DapssError} from '../../errors.ts';
import type {Appended, Clock, Entropy, Log, LogRecord, LogSegment} from '../../ports.ts';
import {runDeadline} from '../../run-deadline.ts';
import {systemClock, systemEntropy} from '../clock.ts';
import {realFiles, withRemedy, writeAll, type Files, type OpenFile} from '../file-system.ts';
import {assemble, createGroup, type Group} from './group.ts';
import {DroppedError, LogReader, segmentAt} from './log-reader.ts';
import {
	makeSegment,
	plannedSegment,
	recover,
	writeNote,
	type Damage,
	type PlanSegment,
	type Recovered,
	type Segment,
} from './recovery.ts';
import {recordBytesMax, recordHeaderBytes, segmentHeaderBytes} from './segment.ts';

export type {Damage} from './recovery.ts';
export {recordBytesMax} from './segment.ts';

export type LogOptions = {
	/** Made if it is missing. It contains only the files of this log. */
	readonly folder: string;
	/** A segment is closed before it grows beyond this many bytes; a single record may be larger. */
	readonly segmentBytes: number;
	/** A write or fsync that takes longer than this fails the log: milliseconds in which this process ran. */
	readonly writeDeadlineMs: number;
	/** @default the file system */
	readonly files?: Files;
	/** @default the clock and random source of the machine */
	readonly clock?: Clock;
	readonly entropy?: Entropy;
};

/** `make`: create the segment on the disk. `flush`: sync everything. */
type Step =
	| {readonly type: 'make'; readonly segment: Segment; readonly done: PromiseWithResolvers<void>}
	| {readonly type: 'flush'; readonly done: PromiseWithResolvers<void>};

const groupBytesMax = 4 * 1024 * 1024;
/**
Bound on appended bytes that are not written yet. Beyond it the disk does not keep up, and the log fails instead of
exhausting memory.
*/
const pendingBytesMax = 256 * 1024 * 1024;
const backgroundSyncMs = 50;

/**
Opens the log in a folder, or creates it there.
@throws `storage`
*/
export async function openLog(options: LogOptions): Promise<SegmentedLog> {
	const files = options.files ?? realFiles;
	try {
		await files.makeFolder(options.folder);
		return new SegmentedLog(options, files, await recover(files, options.folder, segmentMaker(options)));
	} catch (error) {
		throw new DapssError('storage', `The log ${options.folder} cannot be opened: ${withRemedy(error)}`, {
			cause: error,
		});
	}
}

function segmentMaker({folder, entropy = systemEntropy}: LogOptions): PlanSegment {
	return first => plannedSegment(folder, first, Buffer.from(entropy.bytes(4)).readUInt32BE());
}

export class SegmentedLog implements Log {
	readonly failed: Promise<Error>;
	/** The damage found when the log was opened. */
	readonly damaged: readonly Damage[];
	readonly #options: LogOptions;
	readonly #files: Files;
	readonly #clock: Clock;
	readonly #planSegment: PlanSegment;
	readonly #reader: LogReader;
	readonly #fail = Promise.withResolvers<Error>();
	/**
	Replaced as a whole when a segment is added or removed. The last one is written to; its file may not exist yet.
	*/
	#segments: readonly Segment[];
	/** The segment that is being written, with its file. */
	#current: {readonly segment: Segment; readonly file: OpenFile} | undefined;
	#end: number;
	#writtenEnd: number;
	#syncedEnd: number;
	#queue: Array<Group | Step> = [];
	#pendingBytes = 0;
	/** Groups and steps with pending promises. */
	readonly #pending = new Set<Group | Step>();
	#unsynced: Group[] = [];
	#mustSync = false;
	#isWriting = false;
	#syncing: Promise<void> | undefined;
	#isPumpScheduled = false;
	#background: Disposable | undefined;
	#dropping: Promise<void> = Promise.resolve();
	#error: DapssError | undefined;
	#isClosed = false;
	#closing: Promise<void> | undefined;

	constructor(options: LogOptions, files: Files, {segments, active, end, damaged}: Recovered) {
		this.#options = options;
		this.#files = files;
		this.#clock = options.clock ?? systemClock;
		this.#planSegment = segmentMaker(options);
		this.#reader = new LogReader(files);
		this.#segments = segments;
		this.#end = end;
		this.#writtenEnd = end;
		this.#syncedEnd = end;
		this.damaged = damaged;
		this.failed = this.#fail.promise;
		const last = segments.at(-1);
		if (last && active) this.#current = {segment: last, file: active};
		else if (last || end > 0) this.#plan(); // A segment that is set aside is never written to.
	}

	get first(): number {
		return this.#segments[0]?.first ?? this.#end;
	}

	get end(): number {
		return this.#end;
	}

	segments(): readonly LogSegment[] {
		return this.#segments;
	}

	/** @throws `too-large` when a record is larger than `recordBytesMax` */
	append(records: readonly Uint8Array[], {sync = true}: {readonly sync?: boolean} = {}): Appended {
		for (const {length} of records)
			if (length > recordBytesMax)
				throw new DapssError(
					'too-large',
					`Expected a record of at most ${recordBytesMax} bytes, got ${length}`,
				);
		if (this.#pendingBytes > pendingBytesMax)
			this.#failWith(new Error(`${this.#pendingBytes} bytes wait to be written`));
		if (this.#error || this.#isClosed) {
			const rejected = Promise.reject(this.#error ?? this.#closedError());
			rejected.catch(() => undefined);
			return {positions: records.map(() => this.#end), written: rejected, synced: rejected};
		}

		if (records.length === 0) return {positions: [], written: Promise.resolve(), synced: Promise.resolve()};
		const group = this.#openGroup();
		const before = this.#end;
		const positions: number[] = [];
		for (const record of records) {
			const bytes = recordHeaderBytes + record.length;
			let segment = this.#segments.at(-1);
			if (
				!segment ||
				(segment.end > segment.first && segment.end + bytes - segment.first > this.#options.segmentBytes)
			)
				segment = this.#plan();
			positions.push(this.#end);
			group.records.push(record);
			this.#end += bytes;
			segment.end = this.#end;
		}

		group.bytes += this.#end - before;
		this.#pendingBytes += this.#end - before;
		if (sync) group.mustSync = true;
		else group.isEager = true;
		this.#schedule();
		return {positions, written: group.written.promise, synced: group.synced.promise};
	}

	async read(
		from: number,
		bytesMax: number,
	): Promise<{readonly records: readonly LogRecord[]; readonly next: number}> {
		if (!Number.isSafeInteger(from) || from < 0 || from > this.#end)
			throw new RangeError(`Expected \`from\` to be a position up to ${this.#end}, got \`${from}\``);
		for (;;) {
			this.#expectUsable();
			try {
				return await this.#reader.read(this.#segments, Math.max(from, this.first), this.#writtenEnd, bytesMax);
			} catch (error) {
				if (error instanceof DroppedError) continue;
				if (this.#isClosed) throw this.#closedError();
				throw this.#failWith(error);
			}
		}
	}

	async roll(): Promise<void> {
		this.#expectUsable();
		const last = this.#segments.at(-1);
		if (!last) return;
		const segment = last.end > last.first ? this.#plan() : last;
		await this.#enqueue(done => ({type: 'make', segment, done}));
	}

	dropBefore(position: number): Promise<void> {
		// One call after the other, the oldest segment first, so that a crash leaves no hole.
		const dropped = this.#dropping.then(() => this.#dropBefore(position));
		this.#dropping = dropped.catch(() => undefined);
		return dropped;
	}

	[Symbol.asyncDispose](): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	/** The group that the next append joins. */
	#openGroup(): Group {
		const last = this.#queue.at(-1);
		if (last?.type === 'group' && last.bytes < groupBytesMax) return last;
		const group = createGroup(this.#end);
		this.#queue.push(group);
		this.#pending.add(group);
		return group;
	}

	#plan(): Segment {
		const segment = this.#planSegment(this.#end);
		this.#segments = [...this.#segments, segment];
		return segment;
	}

	#enqueue(stepWith: (done: PromiseWithResolvers<void>) => Step): Promise<void> {
		const step = stepWith(Promise.withResolvers());
		this.#queue.push(step);
		this.#pending.add(step);
		this.#schedule();
		return step.done.promise;
	}

	/** Collects the appends of one turn of the program before it writes them. */
	#schedule(): void {
		if (this.#isPumpScheduled) return;
		this.#isPumpScheduled = true;
		queueMicrotask(() => {
			this.#isPumpScheduled = false;
			this.#pump();
		});
	}

	/** Starts the write, sync or timer that is possible now. Called whenever work was added or has ended. */
	#pump(): void {
		if (this.#error) return;
		if (this.#mustSync && !this.#syncing) {
			this.#syncing = this.#syncWritten()
				.catch((error: unknown) => void this.#failWith(error))
				.finally(() => {
					this.#syncing = undefined;
					this.#pump();
				});
		}

		const next = this.#queue[0];
		if (next && !this.#isWriting && (!this.#syncing || next.type !== 'group' || next.isEager)) {
			this.#isWriting = true;
			this.#queue.shift();
			this.#run(next)
				.catch((error: unknown) => void this.#failWith(error))
				.finally(() => {
					this.#isWriting = false;
					this.#pump();
				});
		}

		if (this.#unsynced.length > 0 && !this.#mustSync && !this.#background) {
			this.#background = this.#clock.after(backgroundSyncMs, () => {
				this.#background = undefined;
				this.#mustSync = this.#unsynced.length > 0;
				this.#pump();
			});
		}
	}

	async #run(next: Group | Step): Promise<void> {
		switch (next.type) {
			case 'group':
				return this.#write(next);
			case 'make': {
				await this.#fileOf(next.segment);
				break;
			}

			case 'flush': {
				await this.#syncAll();
				break;
			}

			default:
				return next satisfies never;
		}

		if (this.#error) return;
		this.#pending.delete(next);
		next.done.resolve();
	}

	async #write(group: Group): Promise<void> {
		let position = group.first;
		for (let index = 0; index < group.records.length;) {
			const segment = segmentAt(this.#segments, position);
			const file = await this.#fileOf(segment);
			const {buffers, count, end} = assemble(group.records, index, position, segment, this.#syncedEnd);
			await this.#withDeadline('write', writeAll(file, buffers, position - segment.first + segmentHeaderBytes));
			this.#writtenEnd = end;
			index += count;
			position = end;
		}

		this.#pendingBytes -= group.bytes;
		this.#unsynced.push(group);
		if (group.mustSync) this.#mustSync = true;
		group.written.resolve();
	}

	/** The file of the segment to write to. If it does not exist yet, syncs everything before it and creates it. */
	async #fileOf(segment: Segment): Promise<OpenFile> {
		if (this.#current?.segment === segment) return this.#current.file;
		await this.#syncAll();
		const file = await this.#withDeadline(
			'make a segment',
			makeSegment(this.#files, this.#options.folder, segment),
		);
		await this.#current?.file.close();
		this.#current = {segment, file};
		return file;
	}

	async #syncAll(): Promise<void> {
		while (this.#syncing) await this.#syncing;
		await this.#syncWritten();
	}

	async #syncWritten(): Promise<void> {
		// Set by a failed fsync that this call waited for: the next fsync would "succeed" without the lost data.
		if (this.#error) throw this.#error;
		const groups = this.#unsynced;
		const end = this.#writtenEnd;
		this.#unsynced = [];
		this.#mustSync = false;
		this.#background?.[Symbol.dispose]();
		this.#background = undefined;
		if (!this.#current || end === this.#syncedEnd) return;
		await this.#withDeadline('fsync', this.#current.file.datasync());
		this.#syncedEnd = Math.max(this.#syncedEnd, end);
		for (const group of groups) {
			this.#pending.delete(group);
			group.synced.resolve();
		}
	}

	async #dropBefore(position: number): Promise<void> {
		this.#expectUsable();
		const isOld = (segment: Segment | undefined): boolean =>
			segment !== undefined &&
			segment !== this.#segments.at(-1) &&
			segment.end <= Math.min(position, this.#syncedEnd);
		if (!isOld(this.#segments[0])) return;
		// Once all other segments are gone, only the name of the last one gives the next position, so its file must
		// exist.
		const last = this.#segments.at(-1)!;
		if (this.#current?.segment !== last) await this.#enqueue(done => ({type: 'make', segment: last, done}));
		while (isOld(this.#segments[0])) {
			const segment = this.#segments[0]!;
			this.#segments = this.#segments.slice(1);
			segment.isDropped = true;
			this.#reader.close(segment.path);
			try {
				await this.#files.unlink(segment.path).then(() => this.#files.syncFolder(this.#options.folder));
			} catch (error) {
				throw this.#failWith(error);
			}
		}
	}

	async #withDeadline<Result>(what: string, work: Promise<Result>): Promise<Result> {
		const {writeDeadlineMs} = this.#options;
		// A call into a disk that hangs cannot be cancelled: its waiters are rejected, and the call itself may never
		// end. When a call waited for a descriptor meanwhile, the disk may not be the slow part (seed 54976).
		const watch = (): Disposable => {
			const {shortages} = this.#files;
			return runDeadline(this.#clock, writeDeadlineMs, () => {
				if (this.#files.isShort || this.#files.shortages !== shortages) timer = watch();
				else this.#failWith(new Error(`${what} took longer than ${writeDeadlineMs} ms`));
			});
		};

		let timer = watch();
		try {
			const result = await work;
			if (this.#error) throw this.#error;
			return result;
		} finally {
			timer[Symbol.dispose]();
		}
	}

	/** The first error is final: a disk that has failed once may report success after losing data. */
	#failWith(cause: unknown): DapssError {
		if (this.#error) return this.#error;
		this.#error = new DapssError('storage', `The disk failed in ${this.#options.folder}: ${withRemedy(cause)}`, {
			cause,
		});
		for (const one of this.#pending) {
			if (one.type === 'group') {
				one.written.reject(this.#error);
				one.synced.reject(this.#error);
			} else one.done.reject(this.#error);
		}

		this.#pending.clear();
		this.#queue = [];
		this.#unsynced = [];
		this.#background?.[Symbol.dispose]();
		this.#fail.resolve(this.#error);
		return this.#error;
	}

	#expectUsable(): void {
		if (this.#error) throw this.#error;
		if (this.#isClosed) throw this.#closedError();
	}

	#closedError(): DapssError {
		return new DapssError('closed', `The log ${this.#options.folder} is closed`);
	}

	async #close(): Promise<void> {
		this.#isClosed = true;
		const flushed = this.#error ? Promise.reject(this.#error) : this.#enqueue(done => ({type: 'flush', done}));
		try {
			await flushed;
			await this.#dropping;
			if (this.#end > 0) await writeNote(this.#files, this.#options.folder, this.#syncedEnd);
			await this.#current?.file.close();
		} catch (error) {
			this.#failWith(error);
			// Do not wait for a close that may hang.
			void this.#current?.file.close().catch(() => undefined);
		}

		this.#reader.closeAll();
	}
}
