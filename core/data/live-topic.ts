/**
One live topic on this node: its log and those who read it. What is appended is written first and handed to readers then
(a crash of the process takes back nothing that a reader was told); own messages are acknowledged only when the disk has
them.

The log opens in the background when a topic is first used; appends made before wait in order.
*/
import type {Batch, StoredBatch, Topic} from '../message.ts';
import {Seen, type StreamPosition, type TopicPosition} from '../position.ts';
import type {TopicLog} from '../topic-log/topic-log.ts';
import {ReadSlots} from './read-slots.ts';
import {Reader, type BatchSink} from './reader.ts';

export type NewBatch = {readonly batch: Batch; readonly hops: number; readonly repaired: boolean};

export class LiveTopic implements AsyncDisposable {
	readonly name: Topic;
	/** Delivered to readers or the node's own feed since the start. */
	delivered = 0;
	/** Published here, stored here, and bytes of what was stored, since the start. */
	published = 0;
	stored = 0;
	storedBytes = 0;
	lastLamport = 0;
	/** Everything before this offset was read through this node since its start. */
	readEnd = 0;
	#log: TopicLog | undefined;
	#writtenEnd = 0;
	/** What is stamped up to here is deleted. */
	#hiddenUntil = 0;
	/** Appends that came before the log was open: later ones queue behind them. */
	#early = 0;
	readonly #opened: Promise<TopicLog>;
	readonly #readers = new Set<Reader>();
	readonly #onWritten: (topic: LiveTopic, items: readonly StoredBatch[]) => void;
	readonly #slots: ReadSlots;

	/**
	@param opened the topic's log.
	@param onWritten each group of batches, in log order, once it outlives the process.
	@param onFailed the first error of its disk, whoever waited for it.
	@param slots shared by the readers of all topics
	*/
	constructor(
		name: Topic,
		opened: Promise<TopicLog>,
		onWritten: (topic: LiveTopic, items: readonly StoredBatch[]) => void,
		onFailed: (error: unknown) => void,
		slots = new ReadSlots(),
	) {
		this.name = name;
		this.#slots = slots;
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

	/** Its log is open, nobody reads it, and no append waits. */
	get isIdle(): boolean {
		return this.#log !== undefined && this.#early === 0 && this.#readers.size === 0;
	}

	/** Where the slowest reader is; `undefined` when there is none. */
	get slowest(): number | undefined {
		return this.#readers.size === 0 ? undefined : Math.min(...[...this.#readers].map(({cursor}) => cursor));
	}

	/** Messages that damage took and nobody has given back. */
	get missing(): number {
		return this.#log?.missing ?? 0;
	}

	/**
	Add batches in the order of their release. Resolves when they are on the disk (`sync`) or with the operating system.
	*/
	append(items: readonly NewBatch[], sync: boolean): Promise<void> {
		if (this.#log && this.#early === 0) return this.#appendTo(this.#log, items, sync);
		this.#early++;
		return this.#opened.then(log => {
			this.#early--;
			return this.#appendTo(log, items, sync);
		});
	}

	/** A cursor from `from` on; `now` is what is written next. */
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
	As `read`, and what lies before: so the reader can go on at another node.
	@param from a place, or what the reader has seen at another node
	*/
	async follow(
		from: 'now' | 'beginning' | number | TopicPosition,
		sink: BatchSink,
	): Promise<{readonly reader: Reader; readonly before: readonly StreamPosition[]}> {
		const log = await this.#opened;
		if (typeof from === 'object')
			return {reader: await this.read(log.freshFrom(new Seen(from)), sink), before: from.streams};
		// What is not written yet counts as before, too: the index knows it already.
		const offset =
			from === 'now' ? log.nextOffset : from === 'beginning' ? log.firstOffset : Math.min(from, this.#writtenEnd);
		const before = from === 'beginning' ? [] : await log.before(offset);
		return {reader: this.#start(log, offset, sink), before};
	}

	/** The offset after the newest message that is written, once the log is open. */
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

	/** Where damage took messages, once the log is open. */
	async holes(): Promise<TopicLog['holes']> {
		return (await this.#opened).holes;
	}

	/** Put back what damage took. Those that found their place. */
	async backfill(found: readonly Batch[]): ReturnType<TopicLog['backfill']> {
		return (await this.#opened).backfill(found);
	}

	/** The topic was deleted: nothing that is stamped up to `until` is given out any more. True when that is news. */
	hide(until: number): boolean {
		if (until <= this.#hiddenUntil) return false;
		this.#hiddenUntil = until;
		this.#log?.hide(until);
		return true;
	}

	/** Messages that were wanted never came here, and will not: no offset stands for them. */
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
		const reader = new Reader(log, offset, this.#writtenEnd, sink, this.#slots);
		this.#readers.add(reader);
		reader.resume();
		return reader;
	}

	async #appendTo(log: TopicLog, items: readonly NewBatch[], sync: boolean): Promise<void> {
		const {offsets, written, synced} = log.append(items, {sync});
		// Without `sync` nobody waits for it; a failure stops the log, which the node watches.
		synced.catch(() => undefined);
		await written;
		const all = items.map((item, index) => ({...item, offset: offsets[index]!}));
		const last = all.at(-1)!;
		// It may have been deleted while it was written: then readers find out from the log.
		const stored = all.every(({batch}) => batch.lamport > this.#hiddenUntil) ? all : [];
		this.#writtenEnd = last.offset + last.batch.count;
		this.lastLamport = Math.max(this.lastLamport, last.batch.lamport);
		this.#onWritten(this, stored);
		for (const reader of this.#readers) reader.onWritten(stored, this.#writtenEnd);
		if (sync) await synced;
	}
}
