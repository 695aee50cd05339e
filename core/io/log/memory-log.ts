/**
An in-memory log: the port `Log` without a disk, for tests of its users. Records are written and synced one microtask
later, as on a fast disk. `fail` simulates the first storage error. `reopen` gives the same content again, as after a
restart.
*/
import {DapssError} from '../../errors.ts';
import type {Appended, Log, LogRecord, LogSegment} from '../../ports.ts';
import {recordBytesMax, recordHeaderBytes} from './segment.ts';

type Segment = {readonly first: number; end: number};

export class MemoryLog implements Log {
	readonly failed: Promise<Error>;
	readonly #segmentBytes: number;
	readonly #fail = Promise.withResolvers<Error>();
	/** Replaced as a whole when a segment is added or removed. */
	#segments: readonly Segment[] = [];
	#records: LogRecord[] = [];
	#end = 0;
	#writtenEnd = 0;
	#error: DapssError | undefined;
	#lastSync: Promise<void> = Promise.resolve();

	constructor(options: {readonly segmentBytes: number}) {
		this.#segmentBytes = options.segmentBytes;
		this.failed = this.#fail.promise;
	}

	get first(): number {
		return this.#segments[0]?.first ?? this.#end;
	}

	get end(): number {
		return this.#end;
	}

	/** A new log with the same content, as after a restart. */
	reopen(): MemoryLog {
		const log = new MemoryLog({segmentBytes: this.#segmentBytes});
		log.#segments = this.#segments.map(segment => ({...segment}));
		log.#records = [...this.#records];
		log.#end = this.#end;
		log.#writtenEnd = this.#end;
		return log;
	}

	/** The disk fails from this call on. */
	fail(cause: Error): void {
		this.#error ??= new DapssError('storage', `The disk failed: ${cause.message}`, {cause});
		this.#fail.resolve(this.#error);
	}

	segments(): readonly LogSegment[] {
		return this.#segments;
	}

	append(records: readonly Uint8Array[]): Appended {
		for (const {length} of records)
			if (length > recordBytesMax)
				throw new DapssError(
					'too-large',
					`Expected a record of at most ${recordBytesMax} bytes, got ${length}`,
				);
		const positions = this.#error ? records.map(() => this.#end) : records.map(bytes => this.#add(bytes));
		const end = this.#end;
		const written = Promise.resolve().then(() => {
			if (this.#error) throw this.#error;
			this.#writtenEnd = Math.max(this.#writtenEnd, end);
		});
		const synced = Promise.all([written, this.#lastSync]).then(() => {
			if (this.#error) throw this.#error;
		});
		written.catch(() => undefined);
		synced.catch(() => undefined);
		this.#lastSync = synced.catch(() => undefined);
		return {positions, written, synced};
	}

	async read(
		from: number,
		bytesMax: number,
	): Promise<{readonly records: readonly LogRecord[]; readonly next: number}> {
		if (!Number.isSafeInteger(from) || from < 0 || from > this.#end)
			throw new RangeError(`Expected \`from\` to be a position up to ${this.#end}, got \`${from}\``);
		if (this.#error) throw this.#error;
		const at = Math.max(from, this.first);
		const index = this.#records.findIndex(({position}) => position >= at);
		const records: LogRecord[] = [];
		let next = at;
		for (const record of index === -1 ? [] : this.#records.slice(index)) {
			const end = record.position + recordHeaderBytes + record.bytes.length;
			if (end > this.#writtenEnd || (records.length > 0 && end - at > bytesMax)) break;
			records.push(record);
			next = end;
		}

		return {records, next};
	}

	async roll(): Promise<void> {
		if (this.#error) throw this.#error;
		const last = this.#segments.at(-1);
		if (last && last.end > last.first) this.#segments = [...this.#segments, {first: this.#end, end: this.#end}];
	}

	async dropBefore(position: number): Promise<void> {
		if (this.#error) throw this.#error;
		while (this.#segments.length > 1 && this.#segments[0]!.end <= position)
			this.#segments = this.#segments.slice(1);
		this.#records = this.#records.filter(record => record.position >= this.first);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#lastSync;
		this.#error ??= new DapssError('closed', 'The log is closed');
	}

	#add(bytes: Uint8Array): number {
		const size = recordHeaderBytes + bytes.length;
		let segment = this.#segments.at(-1);
		if (!segment || (segment.end > segment.first && segment.end + size - segment.first > this.#segmentBytes)) {
			segment = {first: this.#end, end: this.#end};
			this.#segments = [...this.#segments, segment];
		}

		const position = this.#end;
		this.#records.push({position, bytes: Buffer.from(bytes)});
		this.#end += size;
		segment.end = this.#end;
		return position;
	}
}
