/**
The events of a node with the time they were recorded. Keeps the newest events and messages for readers that connect
later. On the hot path it only counts: a batch costs one entry in a ring, however many messages it has.
*/
import type {BrokerEvent, RecordedEvent, RecordedLeader} from '../events.ts';
import {bodiesOf, type NodeId, type StoredBatch} from '../message.ts';
import type {MessageSnapshot} from '../snapshot.ts';
import {Attribution} from './attribution.ts';
import {nodesOf} from './event-nodes.ts';

/** A reader of the events. */
export type EventWatch = Disposable & {
	/** The events since the last call, oldest first. */
	take(): RecordedEvent[];
	/** No more events will be recorded. */
	readonly isClosed: boolean;
	/** Called when there are new events, or when the journal has closed. */
	onNews: () => void;
};

type Watcher = {queue: RecordedEvent[]; leftOut: number; isClosed: boolean; onNews: () => void};

export type JournalOptions = {
	readonly wallMs: () => number;
	/** The name of a member; empty when it has none. @default no member has a name */
	readonly nameOf?: (node: NodeId) => string;
	readonly feedMax: number;
	readonly eventsMax: number;
	readonly previewBytes: number;
};

/** Bound on the names of former members that are remembered. */
const namesMax = 1024;
/** Bound on the changes of the leader that are kept. They outlive the other events, of which there may be many. */
const leadersMax = 32;
/** Bound on the events that are queued for one reader; later ones are dropped and counted in a warning. */
const watcherMax = 10_000;

export class Journal {
	delivered = 0;
	readonly rejected = new Map<string, number>();
	readonly bounds = new Map<string, number>();
	/** When each bound was last reached, in wall time. */
	readonly boundsAtMs = new Map<string, number>();
	/** The clients that reached each bound. */
	readonly boundsBy = new Attribution();
	#events: RecordedEvent[] = [];
	#leaders: readonly RecordedLeader[] = [];
	#feed: StoredBatch[] = [];
	#feedMessages = 0;
	readonly #watchers = new Set<Watcher>();
	#isClosed = false;
	readonly #options: JournalOptions;
	/** The last known name of each node, also of members that left. */
	readonly #names = new Map<NodeId, string>();

	constructor(options: JournalOptions) {
		this.#options = options;
	}

	/** Records an event with the present wall time and the names of its nodes. */
	record(event: BrokerEvent): void {
		const names = this.#namesIn(event);
		const recorded: RecordedEvent = {at: this.#options.wallMs(), ...event, ...(names && {names})};
		if (event.type !== 'message') {
			this.#events.push(recorded);
			if (this.#events.length > this.#options.eventsMax * 2)
				this.#events = this.#events.slice(-this.#options.eventsMax);
		}

		if (recorded.type === 'leader') this.#leaders = [...this.#leaders, recorded].slice(-leadersMax);

		for (const watcher of this.#watchers) {
			if (watcher.queue.length < watcherMax) watcher.queue.push(recorded);
			else {
				watcher.leftOut++;
				this.bound('events');
			}

			watcher.onNews();
		}
	}

	/**
	Counts a rejection. Only the first of its kind and then each power of two is an event, so that a flood does not fill
	the journal.
	*/
	reject(from: string, reason: Extract<BrokerEvent, {type: 'rejected'}>['reason']): void {
		const count = (this.rejected.get(reason) ?? 0) + 1;
		this.rejected.set(reason, count);
		if (Number.isInteger(Math.log2(count))) this.record({type: 'rejected', from, reason, count});
	}

	/**
	Counts a bound that was reached.
	@param who the client that reached it, if it is known. Its first time, and then each power of two, is an event.
	*/
	bound(name: string, who?: string): void {
		this.bounds.set(name, (this.bounds.get(name) ?? 0) + 1);
		this.boundsAtMs.set(name, this.#options.wallMs());
		if (who === undefined) return;
		const count = this.boundsBy.add(name, who);
		if (count !== undefined && Number.isInteger(Math.log2(count)))
			this.record({
				type: 'warning',
				text: `${who} reached the limit ${name}${count > 1 ? ` ${count} times` : ''}`,
			});
	}

	/** Adds messages to the feed and the counters. Readers of events get messages from the log instead. */
	deliver(items: readonly StoredBatch[]): void {
		const {feedMax} = this.#options;
		for (const item of items) {
			this.delivered += item.batch.count;
			this.#feed.push(item);
			this.#feedMessages += item.batch.count;
		}

		// Keep the smallest number of batches that hold `feedMax` messages.
		let drop = 0;
		while (drop < this.#feed.length - 1 && this.#feedMessages - this.#feed[drop]!.batch.count >= feedMax) {
			this.#feedMessages -= this.#feed[drop]!.batch.count;
			drop++;
		}

		if (drop > 0) this.#feed.splice(0, drop);
	}

	/** The newest events, oldest first. */
	events(): readonly RecordedEvent[] {
		return this.#events.slice(-this.#options.eventsMax);
	}

	/** The last changes of the leader, oldest first. */
	leaders(): readonly RecordedLeader[] {
		return this.#leaders;
	}

	/** The newest messages, oldest first. */
	feed(): readonly MessageSnapshot[] {
		const {feedMax, previewBytes} = this.#options;
		const rows: MessageSnapshot[] = [];
		let skip = Math.max(0, this.#feedMessages - feedMax);
		for (const {batch, hops, repaired} of this.#feed) {
			if (skip >= batch.count) {
				skip -= batch.count;
				continue;
			}

			const {topic, origin, incarnation, lamport, sentAtMs} = batch;
			let index = 0;
			for (const body of bodiesOf(batch)) {
				if (index >= skip)
					rows.push({
						topic,
						origin,
						incarnation,
						seq: batch.firstSeq + index,
						lamport,
						sentAtMs,
						size: body.length,
						preview: new Uint8Array(body.subarray(0, previewBytes)),
						hops,
						repaired,
					});
				index++;
			}

			skip = 0;
		}

		return rows;
	}

	/** Watches the events from this call on. The caller disposes of the watch. */
	watch(): EventWatch {
		const {wallMs} = this.#options;
		const watcher: Watcher = {queue: [], leftOut: 0, isClosed: this.#isClosed, onNews() {}};
		const watchers = this.#watchers;
		watchers.add(watcher);
		return {
			take() {
				const {queue, leftOut} = watcher;
				watcher.queue = [];
				watcher.leftOut = 0;
				if (leftOut > 0)
					queue.push({
						at: wallMs(),
						type: 'warning',
						text: `${leftOut} events were left out: the reader was more than ${watcherMax} behind`,
					});
				return queue;
			},
			get isClosed() {
				return watcher.isClosed;
			},
			get onNews() {
				return watcher.onNews;
			},
			set onNews(onNews) {
				watcher.onNews = onNews;
			},
			[Symbol.dispose]: () => void watchers.delete(watcher),
		};
	}

	#namesIn(event: BrokerEvent): Readonly<Record<NodeId, string>> | undefined {
		const {nameOf} = this.#options;
		if (!nameOf) return undefined;
		const rows: Array<readonly [NodeId, string]> = [];
		for (const id of nodesOf(event)) {
			const agreed = nameOf(id);
			const name = agreed || this.#names.get(id);
			if (!name) continue;
			rows.push([id, name]);
			if (agreed && this.#names.get(id) !== agreed) {
				if (this.#names.size >= namesMax) this.#names.clear();
				this.#names.set(id, agreed);
			}
		}

		return rows.length > 0 ? Object.fromEntries(rows) : undefined;
	}

	/** Readers get the events that are left, then end. */
	close(): void {
		this.#isClosed = true;
		for (const watcher of this.#watchers) {
			watcher.isClosed = true;
			watcher.onNews();
		}
	}
}
