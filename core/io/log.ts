/**
An append-only log in segments. Appends that arrive during a write or an fsync are gathered and share the next one (group commit), so
the disk sets the pace and nothing waits on a timer. Retention unlinks whole segments.

What a crash may leave at the end of the last segment, a record that was not wholly written, is cut off. Damage anywhere else is not
passed over in silence: the log opens without it, the segment is kept aside as `.damaged`, and `damaged` says what is missing.
*/
import {join} from 'node:path';
import {DapssError, errorMessage} from '../errors.ts';
import type {Appended, Log, LogRecord, LogSegment} from '../ports.ts';
import {realFiles, type Files, type OpenFile} from './files.ts';
import {decodeSegmentHeader, encodeRecordHeader, encodeSegmentHeader, findRecord, recordHeaderBytes, scan, segmentHeaderBytes} from './segment.ts';

export type LogOptions = {
	readonly folder: string;
	readonly segmentBytes: number;
	/** A write or fsync that takes longer fails the log. */
	readonly writeDeadlineMs: number;
	readonly files?: Files;
};
export type Damage = {readonly file: string; readonly position: number; readonly bytes: number};

type Segment = {readonly first: number; end: number; file: OpenFile | undefined; readonly path: string; modifiedMs: number; /** The file is there, with its header. */ isMade: boolean};
type Pending = {readonly buffers: Uint8Array[]; readonly segment: Segment; readonly at: number; readonly end: number; readonly written: PromiseWithResolvers<void>};

export const recordBytesMax = 16 * 1024 * 1024;
const chunkBytes = 1024 * 1024;
const openFilesMax = 8;
const backgroundSyncMs = 50;

export async function openLog(options: LogOptions): Promise<SegmentedLog> {
	const files = options.files ?? realFiles;
	await files.makeFolder(options.folder);
	const names = [...await files.list(options.folder)].filter(name => name.endsWith('.log')).toSorted();
	const segments: Segment[] = [];
	const damaged: Damage[] = [];
	for (const [index, name] of names.entries()) {
		const path = join(options.folder, name);
		const isLast = index === names.length - 1;
		// oxlint-disable-next-line no-await-in-loop -- in order
		const {segment, damage} = await openSegment(files, path, Number.parseInt(name, 16), isLast);
		if (damage) damaged.push({file: name, ...damage});
		if (segment) segments.push(segment);
	}

	return new SegmentedLog(options, files, segments, damaged);
}

/** Check a segment from its first byte. A torn tail of the last one is cut off; other damage is reported. */
async function openSegment(files: Files, path: string, first: number, isLast: boolean): Promise<{readonly segment?: Segment; readonly damage?: {position: number; bytes: number}}> {
	const file = await files.open(path, 'write');
	const head = Buffer.alloc(segmentHeaderBytes);
	const got = await file.read(head, 0);
	if (got < segmentHeaderBytes || decodeSegmentHeader(head) !== first) {
		await file.close();
		// A segment that was being made when the power went: nothing was ever written to it.
		if (isLast && file.size <= segmentHeaderBytes) {
			await files.unlink(path);
			return {};
		}

		await files.rename(path, `${path}.damaged`);
		return {damage: {position: first, bytes: file.size}};
	}

	let end = first;
	let damage: {position: number; bytes: number} | undefined;
	for await (const step of readAll(file, first, segmentHeaderBytes, file.size)) {
		end = step.end;
		if (step.rest === undefined) continue;
		// Not a record. At the very end this is what a crash leaves; with valid records behind it, it is damage.
		const isTail = isLast && findRecord(step.rest, end, 1, recordBytesMax) === -1;
		if (!isTail) damage = {position: end, bytes: step.rest.length};
	}

	const size = end - first + segmentHeaderBytes;
	if (size < file.size) {
		if (damage) await copyAside(files, file, path);
		await file.truncate(size);
		await file.datasync();
	}

	return {segment: {first, end, file, path, modifiedMs: await files.modifiedMs(path), isMade: true}, ...(damage ? {damage} : {})};
}

/** Walks the records; yields where the valid ones end, and what is left behind them if that is no record. */
async function* readAll(file: OpenFile, first: number, from: number, size: number): AsyncGenerator<{readonly end: number; readonly rest: Buffer | undefined}> {
	let at = from;
	let want = chunkBytes;
	while (at < size) {
		const chunk = Buffer.allocUnsafe(Math.min(want, size - at));
		// oxlint-disable-next-line no-await-in-loop -- in order
		const got = await file.read(chunk, at);
		const position = first + at - segmentHeaderBytes;
		const {used, stop, needed} = scan(chunk.subarray(0, got), position, recordBytesMax);
		at += used;
		const isStuck = used === 0 && (stop === 'bad' || at + Math.max(needed, 1) > size || got < chunk.length);
		if (stop === 'bad' || isStuck) {
			const rest = Buffer.alloc(size - at);
			// oxlint-disable-next-line no-await-in-loop
			await file.read(rest, at);
			yield {end: first + at - segmentHeaderBytes, rest};
			return;
		}

		want = stop === 'short' ? Math.max(chunkBytes, needed) : chunkBytes;
		yield {end: first + at - segmentHeaderBytes, rest: undefined};
	}
}

async function copyAside(files: Files, file: OpenFile, path: string): Promise<void> {
	const copy = await files.open(`${path}.damaged`, 'write');
	try {
		for (let at = 0; at < file.size; at += chunkBytes) {
			const chunk = Buffer.alloc(Math.min(chunkBytes, file.size - at));
			// oxlint-disable-next-line no-await-in-loop
			await file.read(chunk, at);
			// oxlint-disable-next-line no-await-in-loop
			await copy.write([chunk], at);
		}

		await copy.datasync();
	} finally {
		await copy.close();
	}
}

export class SegmentedLog implements Log {
	readonly failed: Promise<Error>;
	/** What was found damaged when the log was opened. */
	readonly damaged: readonly Damage[];
	readonly #options: LogOptions;
	readonly #files: Files;
	readonly #segments: Segment[];
	readonly #fail = Promise.withResolvers<Error>();
	#error: DapssError | undefined;
	#end: number;
	/** Everything before this is with the operating system, and on the disk. */
	#writtenEnd: number;
	#syncedEnd: number;
	#queue: Pending[] = [];
	#syncWaiters: Array<{readonly end: number; readonly waiter: PromiseWithResolvers<void>}> = [];
	#isWriting = false;
	#isSyncing = false;
	#mustSync = false;
	#background: NodeJS.Timeout | undefined;
	#idle: Array<() => void> = [];
	#isClosed = false;

	constructor(options: LogOptions, files: Files, segments: Segment[], damaged: readonly Damage[]) {
		this.#options = options;
		this.#files = files;
		this.#segments = segments;
		this.damaged = damaged;
		this.failed = this.#fail.promise;
		this.#end = segments.at(-1)?.end ?? 0;
		this.#writtenEnd = this.#end;
		this.#syncedEnd = this.#end;
	}

	get first(): number {
		return this.#segments[0]?.first ?? this.#end;
	}

	get end(): number {
		return this.#end;
	}

	segments(): readonly LogSegment[] {
		return this.#segments.map(({first, end, modifiedMs}) => ({first, end, modifiedMs}));
	}

	append(records: readonly Uint8Array[], {sync = true}: {readonly sync?: boolean} = {}): Appended {
		if (this.#error || this.#isClosed) {
			const rejected = Promise.reject(this.#error ?? new DapssError('closed', `The log ${this.#options.folder} is closed`));
			rejected.catch(() => undefined);
			return {positions: records.map(() => this.#end), written: rejected, synced: rejected};
		}

		if (records.length === 0) return {positions: [], written: Promise.resolve(), synced: Promise.resolve()};
		const active = this.#active();
		const at = this.#end;
		const buffers: Uint8Array[] = [];
		const positions = records.map(payload => {
			if (payload.length > recordBytesMax) throw new DapssError('too-large', `Expected a record of at most ${recordBytesMax} bytes, got ${payload.length}`);
			const position = this.#end;
			buffers.push(encodeRecordHeader(position, payload), payload);
			this.#end += recordHeaderBytes + payload.length;
			return position;
		});
		active.end = this.#end;
		const written = Promise.withResolvers<void>();
		const synced = Promise.withResolvers<void>();
		written.promise.catch(() => undefined);
		synced.promise.catch(() => undefined);
		this.#queue.push({buffers, segment: active, at, end: this.#end, written});
		this.#syncWaiters.push({end: this.#end, waiter: synced});
		if (sync) this.#mustSync = true;
		void this.#write();
		return {positions, written: written.promise, synced: synced.promise};
	}

	async read(from: number, bytesMax: number): Promise<{readonly records: readonly LogRecord[]; readonly next: number}> {
		if (this.#error) throw this.#error;
		const segment = this.#segments.find(({end}) => end > from) ?? this.#segments.at(-1);
		const start = Math.max(from, segment?.first ?? 0);
		const limit = Math.min(segment?.end ?? 0, this.#writtenEnd);
		if (!segment || start >= limit) return {records: [], next: Math.max(from, this.#segments.find(({first}) => first >= from)?.first ?? from)};
		const file = await this.#open(segment);
		let want = Math.max(bytesMax, recordHeaderBytes);
		for (;;) {
			const chunk = Buffer.allocUnsafeSlow(Math.min(want, limit - start));
			// oxlint-disable-next-line no-await-in-loop -- twice at most
			const got = await file.read(chunk, start - segment.first + segmentHeaderBytes);
			const {records, used, stop, needed} = scan(chunk.subarray(0, got), start, recordBytesMax);
			if (records.length > 0) return {records, next: start + used};
			if (stop === 'bad' || needed > limit - start || want >= needed) throw this.#storageError(new Error(`Expected a valid record at position ${start}`), 'read');
			want = needed;
		}
	}

	async roll(): Promise<void> {
		this.#mustSync = this.#syncedEnd < this.#end;
		await this.#settled();
		const active = this.#segments.at(-1);
		if (!active || active.end === active.first) return;
		const segment = this.#newSegment();
		this.#segments.push(segment);
		await this.#open(segment); // Once the others are gone, its name alone says where positions go on.
	}

	async dropBefore(position: number): Promise<void> {
		while (this.#segments.length > 1 && this.#segments[0]!.end <= position && this.#segments[0]!.end <= this.#syncedEnd) {
			const [segment] = this.#segments.splice(0, 1);
			// oxlint-disable-next-line no-await-in-loop -- oldest first, so that a crash leaves no hole
			await segment!.file?.close();
			// oxlint-disable-next-line no-await-in-loop
			await this.#files.unlink(segment!.path);
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#isClosed) return;
		this.#mustSync ||= this.#syncedEnd < this.#end;
		void this.#write();
		await this.#settled().catch(() => undefined);
		this.#isClosed = true;
		clearTimeout(this.#background);
		await Promise.all(this.#segments.map(({file}) => file?.close()));
	}

	#active(): Segment {
		const last = this.#segments.at(-1);
		if (last && last.end - last.first < this.#options.segmentBytes) return last;
		const segment = this.#newSegment();
		this.#segments.push(segment);
		return segment;
	}

	#newSegment(): Segment {
		return {first: this.#end, end: this.#end, file: undefined, path: join(this.#options.folder, `${this.#end.toString(16).padStart(16, '0')}.log`), modifiedMs: Date.now(), isMade: false};
	}

	/** Write what is queued, then sync if somebody waits for that; whatever comes meanwhile is in the next round. */
	async #write(): Promise<void> {
		if (this.#isWriting || this.#error) return;
		this.#isWriting = true;
		try {
			while (this.#queue.length > 0) {
				const {segment} = this.#queue[0]!;
				let count = 0;
				while (count < this.#queue.length && this.#queue[count]!.segment === segment) count++;
				const group = this.#queue.splice(0, count);
				const last = group.at(-1)!;
				// oxlint-disable-next-line no-await-in-loop -- one write at a time keeps the order
				const file = await this.#open(segment);
				// oxlint-disable-next-line no-await-in-loop
				await this.#withDeadline('write', file.write(group.flatMap(({buffers}) => buffers), group[0]!.at - segment.first + segmentHeaderBytes));
				segment.modifiedMs = Date.now();
				this.#writtenEnd = last.end;
				for (const {written} of group) written.resolve();
				if (this.#mustSync) void this.#sync();
			}
		} catch (error) {
			this.#onError(error, 'write');
		} finally {
			this.#isWriting = false;
		}

		if (this.#syncedEnd < this.#writtenEnd && !this.#mustSync && !this.#background && !this.#error) {
			this.#background = setTimeout(() => {
				this.#background = undefined;
				void this.#sync();
			}, backgroundSyncMs);
			this.#background.unref();
		}

		this.#wakeIdle();
	}

	async #sync(): Promise<void> {
		if (this.#isSyncing || this.#error) return;
		this.#isSyncing = true;
		try {
			while (this.#syncedEnd < this.#writtenEnd) {
				this.#mustSync = false;
				const target = this.#writtenEnd;
				const dirty = this.#segments.filter(({first, end, file}) => file && end > this.#syncedEnd && first < target);
				// oxlint-disable-next-line no-await-in-loop -- one fsync at a time; what is written meanwhile shares the next
				for (const {file} of dirty) await this.#withDeadline('fsync', file!.datasync());
				this.#syncedEnd = target;
				while (this.#syncWaiters.length > 0 && this.#syncWaiters[0]!.end <= target) this.#syncWaiters.shift()!.waiter.resolve();
				if (!this.#mustSync) break;
			}
		} catch (error) {
			this.#onError(error, 'fsync');
		} finally {
			this.#isSyncing = false;
		}

		if (this.#mustSync && this.#syncedEnd < this.#writtenEnd) void this.#sync();
		this.#wakeIdle();
	}

	async #open(segment: Segment): Promise<OpenFile> {
		if (segment.file) return segment.file;
		const file = await this.#files.open(segment.path, segment === this.#segments.at(-1) || segment.end > this.#syncedEnd ? 'write' : 'read');
		if (!segment.isMade) {
			await file.write([encodeSegmentHeader(segment.first)], 0);
			await file.datasync();
			await this.#files.syncFolder(this.#options.folder);
			segment.isMade = true;
		}

		if (segment.file) { // Somebody else was faster.
			await file.close();
			return segment.file;
		}

		segment.file = file;
		await this.#closeSome(segment);
		return file;
	}

	/** Keep few files open: the oldest that are synced and not in use are closed; they open again when read. */
	async #closeSome(keep: Segment): Promise<void> {
		const open = this.#segments.filter(({file}) => file);
		if (open.length <= openFilesMax) return;
		const victim = open.find(segment => segment !== keep && segment !== this.#segments.at(-1) && segment.end <= this.#syncedEnd);
		const file = victim?.file;
		if (!victim || !file) return;
		victim.file = undefined;
		setTimeout(() => void file.close().catch(() => undefined), this.#options.writeDeadlineMs).unref(); // A read may still be using it.
	}

	async #withDeadline(what: string, work: Promise<void>): Promise<void> {
		const {writeDeadlineMs} = this.#options;
		const late = Promise.withResolvers<never>();
		const timer = setTimeout(() => late.reject(new Error(`${what} took longer than ${writeDeadlineMs} ms`)), writeDeadlineMs);
		try {
			await Promise.race([work, late.promise]);
		} finally {
			clearTimeout(timer);
		}
	}

	#storageError(error: unknown, what: string): DapssError {
		return new DapssError('storage', `The disk failed: ${what} in ${this.#options.folder}: ${errorMessage(error)}`, {cause: error});
	}

	/** The first error is the last word: a disk that failed once may claim success having lost the data. */
	#onError(error: unknown, what: string): void {
		this.#error ??= this.#storageError(error, what);
		for (const {written} of this.#queue) written.reject(this.#error);
		for (const {waiter} of this.#syncWaiters) waiter.reject(this.#error);
		this.#queue = [];
		this.#syncWaiters = [];
		this.#fail.resolve(this.#error);
	}

	/** Resolves when nothing is being written or synced that somebody waits for. */
	async #settled(): Promise<void> {
		while (!this.#error && (this.#queue.length > 0 || this.#isWriting || this.#isSyncing || (this.#mustSync && this.#syncedEnd < this.#writtenEnd))) {
			if (!this.#isWriting && !this.#isSyncing && this.#queue.length === 0) void this.#sync();
			// oxlint-disable-next-line no-await-in-loop -- waits for an event, then looks again
			await new Promise<void>(resolve => this.#idle.push(resolve));
		}

		if (this.#error) throw this.#error;
	}

	#wakeIdle(): void {
		const waiting = this.#idle;
		this.#idle = [];
		for (const wake of waiting) wake();
	}
}
