/**
A live topic on this node: its log and its readers. Appended batches are written first and then delivered, so every
batch that a reader got is still in the log after a crash of the process. Own messages are acknowledged once they are
synced.

The log opens in the background when a topic is first used; earlier appends wait in order.
*/
import type {Batch, StoredBatch, Topic} from '../message.ts';
import {Seen, type StreamPosition, type TopicPosition} from '../position.ts';
import type {TopicLog} from '../topic-log/topic-log.ts';
import {ReadBudget} from './read-budget.ts';
import {Reader, type BatchSink} from './reader.ts';

export type NewBatch = {readonly batch: Batch; readonly hops: number; readonly repaired: boolean};

export class LiveTopic implements AsyncDisposable {
	readonly name: Topic;
	/** Messages delivered to readers or the node's own feed since the start. */
	delivered = 0;
	/** Messages published here and stored here, and bytes stored, since the start. */
	published = 0;
	stored = 0;
	storedBytes = 0;
	lastLamport = 0;
	/** Everything before this offset was read through this node since its start. */
	readEnd = 0;
	#log: TopicLog | undefined;
	#writtenEnd = 0;
	/** Messages stamped up to this Lamport time are deleted. */
	#hiddenUntil = 0;
	/** Appends that wait for the log to open; later ones queue after them. */
	#earlyAppends = 0;
	readonly #opened: Promise<TopicLog>;
	readonly #readers = new Set<Reader>();
	readonly #onWritten: (topic: LiveTopic, items: readonly StoredBatch[]) => void;
	readonly #budget: ReadBudget;

	/**
	@param opened the topic's log.
	@param onWritten called with each group of batches, in log order, once it survives the process.
	@param onFailed called with the first error of the log's disk.
	@param budget shared by the readers of all topics
	*/
	constructor(
		name: Topic,
		opened: Promise<TopicLog>,
		onWritten: (topic: LiveTopic, items: readonly StoredBatch[]) => void,
		onFailed: (error: unknown) => void,
		budget = new ReadBudget(),
	) {
		this.name = name;
		this.#budget = budget;
		this.#onWritten = onWritten;
		this.#opened = opened.then(log => {
			this.#log = log;
			log.hide(this.#hiddenUntil);
			this.#writtenEnd = log.nextOffset;
			void log.failed.then(onFailed);
			return log;
		});
		this.#opened.catch(() => undefined);
	}

	get messages(): number {
		return this.#log?.messages ?? 0;
	}

	get bytes(): number {
		return this.#log?.bytes ?? 0;
	}

	/** Whether the log is open, without readers and pending appends. */
	get isIdle(): boolean {
		return this.#log !== undefined && this.#earlyAppends === 0 && this.#readers.size === 0;
	}

	/** Cursor of the slowest reader; `undefined` when there is none. */
	get slowest(): number | undefined {
		return this.#readers.size === 0 ? undefined : Math.min(...[...this.#readers].map(({cursor}) => cursor));
	}

	/** Messages lost to damage that no peer has returned. */
	get missing(): number {
		return this.#log?.missing ?? 0;
	}

	/** Appends batches in the order of their release. Resolves when they are synced (`sync`) or written. */
	append(items: readonly NewBatch[], sync: boolean): Promise<void> {
		if (this.#log && this.#earlyAppends === 0) return this.#appendTo(this.#log, items, sync);
		this.#earlyAppends++;
		return this.#opened.then(log => {
			this.#earlyAppends--;
			return this.#appendTo(log, items, sync);
		});
	}

	/** Starts a reader at `from`; `now` is the next written message. */
	async read(from: 'now' | 'beginning' | number, sink: BatchSink): Promise<Reader> {
		const log = await this.#opened;
		const offset =
			from === 'now'
				? this.#writtenEnd
				: from === 'beginning'
					? log.firstOffset
					: Math.min(from, this.#writtenEnd);
		return this.#start(log, offset, sink);
	}

	/**
	Like `read`, and returns the positions before the start, so that the reader can continue at another node, and the
	offset after the newest message at the start.
	@param from a start, or the position reached at another node
	*/
	async follow(
		from: 'now' | 'beginning' | number | TopicPosition,
		sink: BatchSink,
	): Promise<{readonly reader: Reader; readonly before: readonly StreamPosition[]; readonly end?: number}> {
		const log = await this.#opened;
		const end = this.#writtenEnd;
		if (typeof from === 'object')
			return {reader: await this.read(log.freshFrom(new Seen(from)), sink), before: from.streams};
		// `now` begins after appends that are still being written: the index has them already.
		const offset =
			from === 'now' ? log.nextOffset : from === 'beginning' ? log.firstOffset : Math.min(from, this.#writtenEnd);
		const before = from === 'beginning' ? [] : await log.before(offset);
		return {reader: this.#start(log, offset, sink), before, end};
	}

	/** The offset after the newest written message, once the log is open. */
	async end(): Promise<number> {
		await this.#opened;
		return this.#writtenEnd;
	}

	stop(reader: Reader): void {
		this.readEnd = Math.max(this.readEnd, reader.cursor);
		reader[Symbol.dispose]();
		this.#readers.delete(reader);
	}

	/** The batches that match the wants, in log order. */
	async serve(wants: Parameters<TopicLog['serve']>[0], bytesMax: number): ReturnType<TopicLog['serve']> {
		return (await this.#opened).serve(wants, bytesMax);
	}

	/** The holes of the log, once it is open. */
	async holes(): Promise<TopicLog['holes']> {
		return (await this.#opened).holes;
	}

	/** Stores backfilled batches; resolves with those that were placed. */
	async backfill(found: readonly Batch[]): ReturnType<TopicLog['backfill']> {
		return (await this.#opened).backfill(found);
	}

	/** The topic was deleted: messages stamped up to `until` are not served any more. True when that is new. */
	hide(until: number): boolean {
		if (until <= this.#hiddenUntil) return false;
		this.#hiddenUntil = until;
		this.#log?.hide(until);
		return true;
	}

	/** Reports wanted messages that never arrived, and will not: they have no offsets. */
	missed(messages: number): void {
		for (const reader of this.#readers) reader.missed(messages);
	}

	async retain(bounds: Parameters<TopicLog['retain']>[0]): ReturnType<TopicLog['retain']> {
		return (await this.#opened).retain(bounds);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const reader of this.#readers) reader[Symbol.dispose]();
		const log = await this.#opened.catch(() => undefined);
		await log?.[Symbol.asyncDispose]();
	}

	#start(log: TopicLog, offset: number, sink: BatchSink): Reader {
		const reader = new Reader(log, offset, this.#writtenEnd, sink, this.#budget);
		this.#readers.add(reader);
		reader.resume();
		return reader;
	}

	async #appendTo(log: TopicLog, items: readonly NewBatch[], sync: boolean): Promise<void> {
		const {offsets, written, synced} = log.append(items, {sync});
		// Without `sync` the promise is not awaited; a failure stops the log, which the node watches.
		synced.catch(() => undefined);
		await written;
		const all = items.map((item, index) => ({...item, offset: offsets[index]!}));
		const last = all.at(-1)!;
		// The topic may have been deleted during the write: then readers read from the log, which hides the messages.
		const stored = all.every(({batch}) => batch.lamport > this.#hiddenUntil) ? all : [];
		this.#writtenEnd = last.offset + last.batch.count;
		this.lastLamport = Math.max(this.lastLamport, last.batch.lamport);
		this.#onWritten(this, stored);
		for (const reader of this.#readers) reader.onWritten(stored, this.#writtenEnd);
		if (sync) await synced;
	}
}
