/**
The messages of a node's own topics, for followers of its events. A follower is a set of cursors in the logs, one per
topic, like any other reader. It sets its own pace, holds a bounded number of bytes, and gets all messages that are
written while the node is subscribed.
*/
import {deliveriesOf} from '../data/delivery.ts';
import type {BatchSink, Reader} from '../data/reader.ts';
import type {BrokerEvent, TopicStart} from '../events.ts';
import type {StoredBatch, Topic} from '../message.ts';
import type {Clock} from '../ports.ts';
import type {TopicPosition} from '../position.ts';
import {runDeadline} from '../run-deadline.ts';

/** The side of `Data` that is used. */
export type TopicReading = {
	end(topic: Topic): Promise<number>;
	read(topic: Topic, from: number, sink: BatchSink): Promise<Reader>;
	follow(
		topic: Topic,
		from: number | TopicPosition,
		sink: BatchSink,
	): Promise<{readonly reader: Reader; readonly start: TopicPosition}>;
	stopReading(topic: Topic, reader: Reader): void;
	isSubscribed(topic: Topic): boolean;
};
/** `start`: since the node started or subscribed. */
export type FeedFrom = 'now' | 'start';
/** What a feed gives: messages, gaps, and, if it is tracked, the start of each topic before its messages. */
export type FeedEvent = BrokerEvent | Omit<TopicStart, 'at'>;
export type FeedOptions = {
	readonly from?: FeedFrom;
	/** Give the start of each topic. */
	readonly isTracked?: boolean;
	/** Positions that the follower has reached, maybe at another node: its topics begin after them. */
	readonly after?: readonly TopicPosition[] | undefined;
};

/** Bytes that a follower holds and has not taken: its share of what all followers hold, within these bounds. */
const unreadBytesMax = 256 * 1024;
const unreadBytesMin = 4096;
const unreadTotalBytes = 16 * 1024 * 1024;
/** How long a stopping node waits for its followers to read the remaining messages, milliseconds. */
const readOutMs = 2000;

export class OwnMessages {
	readonly #data: TopicReading;
	readonly #own: () => Iterable<Topic>;
	/** The offset at which the node began to read each topic. */
	readonly #since = new Map<Topic, Promise<number>>();
	readonly #feeds = new Set<OwnFeed>();

	/** @param own the node's own topics */
	constructor(data: TopicReading, own: () => Iterable<Topic>) {
		this.#data = data;
		this.#own = own;
	}

	/** The own topics or the agreed subscriptions have changed. */
	update(): void {
		const topics = new Set([...this.#own()].filter(topic => this.#data.isSubscribed(topic)));
		for (const topic of topics) {
			if (this.#since.has(topic)) continue;
			const since = this.#data.end(topic);
			since.catch(() => undefined); // A log that cannot be opened stops the node.
			this.#since.set(topic, since);
			for (const feed of this.#feeds) feed.begin(topic, since);
		}

		for (const topic of this.#since.keys()) {
			if (topics.has(topic)) continue;
			this.#since.delete(topic);
			for (const feed of this.#feeds) feed.finish(topic);
		}
	}

	open({from = 'now', isTracked = false, after = []}: FeedOptions = {}): OwnFeed {
		const feed: OwnFeed = new OwnFeed({
			data: this.#data,
			unreadBytesMax: () =>
				Math.max(unreadBytesMin, Math.min(unreadBytesMax, Math.floor(unreadTotalBytes / this.#feeds.size))),
			onClose: () => this.#feeds.delete(feed),
			isTracked,
			after,
		});
		this.#feeds.add(feed);
		for (const [topic, since] of this.#since) feed.begin(topic, from === 'start' ? since : this.#data.end(topic));
		return feed;
	}

	/**
	The node stops. Resolves once all followers have taken the messages that are written now, or after a deadline. They
	get no later messages.
	@returns the number of messages that the slowest follower has not taken
	*/
	async readOut(clock: Pick<Clock, 'monotonicMs' | 'after' | 'soon'>): Promise<number> {
		const feeds = [...this.#feeds];
		if (feeds.length === 0) return 0;
		const late = Promise.withResolvers<void>();
		using _timer = runDeadline(clock, readOutMs, late.resolve);
		await Promise.race([Promise.all(feeds.map(feed => feed.drained())), late.promise]);
		return Math.max(...feeds.map(({unread}) => unread));
	}
}

type Cursor = {readonly topic: Topic; next: number; until: number; reader: Reader | undefined; isOver: boolean};
type Part = {readonly events: Iterable<FeedEvent>; readonly messages: number; readonly bytes: number};

export type OwnFeedOptions = {
	readonly data: TopicReading;
	/** Bytes that the follower may hold now. */
	readonly unreadBytesMax: () => number;
	readonly onClose: () => void;
	readonly isTracked: boolean;
	readonly after: readonly TopicPosition[];
};

/** One follower. `take` returns the messages of each topic in the order of its log. */
export class OwnFeed implements Disposable {
	/** Called when `take` has events. */
	onNews: () => void = () => {};
	readonly #data: TopicReading;
	readonly #unreadBytesMax: () => number;
	readonly #onClose: () => void;
	readonly #isTracked: boolean;
	/** Positions of topics that were not begun yet. */
	readonly #after: Map<Topic, TopicPosition>;
	readonly #cursors = new Set<Cursor>();
	readonly #drained = Promise.withResolvers<void>();
	#isDraining = false;
	#isClosed = false;
	#queue: Part[] = [];
	#taken: Part | undefined;
	#unreadBytes = 0;

	constructor({data, unreadBytesMax: bytesMax, onClose, isTracked, after}: OwnFeedOptions) {
		this.#data = data;
		this.#unreadBytesMax = bytesMax;
		this.#onClose = onClose;
		this.#isTracked = isTracked;
		this.#after = new Map(after.map(position => [position.topic, position]));
	}

	/** The next messages as events. Frees the room of the messages that were taken before. */
	take(): Iterable<FeedEvent> | undefined {
		if (this.#taken) {
			this.#unreadBytes -= this.#taken.bytes;
			this.#taken = undefined;
			if (this.#unreadBytes <= this.#unreadBytesMax() / 2)
				for (const {reader} of [...this.#cursors]) reader?.resume();
		}

		this.#taken = this.#queue.shift();
		this.#settle();
		return this.#taken?.events;
	}

	begin(topic: Topic, from: Promise<number>): void {
		const cursor: Cursor = {topic, next: 0, until: Infinity, reader: undefined, isOver: false};
		this.#cursors.add(cursor);
		void this.#open(cursor, from).catch(() => this.#end(cursor));
	}

	/** Read the topic up to its current end. */
	finish(topic: Topic): void {
		for (const cursor of this.#cursors)
			if (cursor.topic === topic && cursor.until === Infinity) this.#finish(cursor);
	}

	drained(): Promise<void> {
		this.#isDraining = true;
		for (const cursor of this.#cursors) if (cursor.until === Infinity) this.#finish(cursor);
		this.#settle();
		return this.#drained.promise;
	}

	/** Messages up to the ends that `drained` set and that are not taken. */
	get unread(): number {
		let messages = 0;
		for (const part of this.#queue) messages += part.messages;
		for (const {next, until} of this.#cursors) if (until !== Infinity) messages += Math.max(0, until - next);
		return messages;
	}

	[Symbol.dispose](): void {
		this.#isClosed = true;
		for (const cursor of this.#cursors) this.#end(cursor);
		this.#queue = [];
		this.#taken = undefined;
		this.#drained.resolve();
		this.#onClose();
	}

	async #open(cursor: Cursor, from: Promise<number>): Promise<void> {
		const {topic} = cursor;
		cursor.next = await from;
		if (cursor.next >= cursor.until) this.#end(cursor);
		if (cursor.isOver) return;
		const after = this.#after.get(topic);
		this.#after.delete(topic);
		const sink: BatchSink = {
			owner: this,
			// No message before the start of its topic.
			room: () => (cursor.reader ? Math.max(0, this.#unreadBytesMax() - this.#unreadBytes) : 0),
			take: items => this.#add(cursor, items),
			dropped: messages => {
				cursor.next += messages;
				this.#push({events: [{type: 'lagged', dropped: messages}], messages: 0, bytes: 0});
			},
			failed: () => this.#end(cursor), // The node stops and reports the reason.
		};
		const {reader, start} = this.#isTracked
			? await this.#data.follow(topic, after ?? cursor.next, sink)
			: {reader: await this.#data.read(topic, cursor.next, sink), start: undefined};
		if (cursor.isOver) return this.#data.stopReading(topic, reader);
		if (start) {
			cursor.next = reader.cursor;
			const isResumed = after !== undefined;
			this.#push({events: [{type: 'start', ...start, isResumed}], messages: 0, bytes: 0});
		}

		cursor.reader = reader;
		reader.resume();
	}

	#add(cursor: Cursor, items: readonly StoredBatch[]): number {
		let taken = 0;
		for (const item of items) {
			if (this.#unreadBytes >= this.#unreadBytesMax()) break;
			taken++;
			if (cursor.isOver || item.offset >= cursor.until) continue;
			cursor.next = item.offset + item.batch.count;
			this.#push({events: eventsOf(item), messages: item.batch.count, bytes: item.batch.bytes.length});
		}

		if (cursor.next >= cursor.until) this.#end(cursor);
		return taken;
	}

	#push(part: Part): void {
		if (this.#isClosed) return;
		this.#unreadBytes += part.bytes;
		this.#queue.push(part);
		this.onNews();
	}

	#finish(cursor: Cursor): void {
		this.#data.end(cursor.topic).then(
			end => {
				cursor.until = end;
				if (cursor.next >= end) this.#end(cursor);
			},
			() => this.#end(cursor),
		);
	}

	#end(cursor: Cursor): void {
		cursor.isOver = true;
		this.#cursors.delete(cursor);
		if (cursor.reader) this.#data.stopReading(cursor.topic, cursor.reader);
		cursor.reader = undefined;
		this.#settle();
	}

	#settle(): void {
		if (this.#isDraining && this.#cursors.size === 0 && this.#queue.length === 0 && this.#taken === undefined)
			this.#drained.resolve();
	}
}

function* eventsOf(item: StoredBatch): Generator<BrokerEvent> {
	for (const message of deliveriesOf(item)) yield {type: 'message', message};
}
