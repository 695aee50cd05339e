/**
The open topics of a node, and their limit. A publisher, a reader or an own subscription reserves a slot before it uses
a topic. It does so synchronously, so that concurrent callers cannot all see the same last slot free. Topics agreed in
the cluster count too, because they may get messages here at any time.

Slots are freed automatically. A topic without messages, subscribers and users is closed, from time to time or when its
slot is needed. Its folder is removed if it never had a message.
*/
import {DapssError} from '../errors.ts';
import type {StoredBatch, Topic} from '../message.ts';
import type {TopicLog} from '../topic-log/topic-log.ts';
import {LiveTopic} from './live-topic.ts';
import type {ReadBudget} from './read-budget.ts';

export type TopicTableOptions = {
	readonly topicsMax: number;
	/** Opens or creates the log of a topic. */
	readonly openLog: (topic: Topic) => Promise<TopicLog>;
	/** Whether no subscription to the topic is wanted and no operation on it is running. */
	readonly isUnused: (topic: Topic) => boolean;
	/** Removes the files of a topic whose log is closed. */
	readonly removeLog: (topic: Topic) => Promise<void>;
	/** Topics with subscribers in the cluster. */
	readonly agreed: () => ReadonlyMap<Topic, unknown>;
	readonly onWritten: (topic: LiveTopic, items: readonly StoredBatch[]) => void;
	readonly failed: (error: unknown) => void;
	/** Shared by the readers of all topics. */
	readonly budget?: ReadBudget;
	/** Called when the limit is hit. */
	readonly onFull: () => void;
};

export class TopicTable {
	readonly live = new Map<Topic, LiveTopic>();
	readonly #options: TopicTableOptions;
	/** Number of reservations per topic. */
	readonly #reserved = new Map<Topic, number>();
	readonly #removing = new Map<Topic, Promise<void>>();

	constructor(options: TopicTableOptions) {
		this.#options = options;
	}

	/** Slots in use, of `max`. Removable topics use none. */
	get slots(): {readonly used: number; readonly max: number} {
		const {agreed, topicsMax} = this.#options;
		let used = 0;
		for (const [topic, live] of this.live) if (!this.#isRemovable(topic, live)) used++;
		for (const topic of this.#reserved.keys()) if (!this.live.has(topic)) used++;
		for (const topic of agreed().keys()) if (!this.live.has(topic) && !this.#reserved.has(topic)) used++;
		return {used, max: topicsMax};
	}

	/**
	Reserves slots for topics until disposed. From its first message or reader on, a topic has its own slot.
	@throws `refused` at the limit; then no slot is reserved
	*/
	reserve(topics: readonly Topic[]): Disposable {
		const idle = new Set(
			topics.filter(topic => this.live.has(topic) && this.#isRemovable(topic, this.live.get(topic)!)),
		);
		const fresh = new Set(topics.filter(topic => idle.has(topic) || !this.#isKnown(topic)));
		const {used, max} = fresh.size > 0 ? this.slots : {used: 0, max: Infinity};
		if (used + fresh.size > max) {
			this.#options.onFull();
			throw new DapssError(
				'refused',
				`Expected at most ${max} topics (limits.topics), got ${used + fresh.size}: ` +
					'raise limits.topics, delete topics that are not needed, or unsubscribe from them; ' +
					'a topic without messages and subscribers goes by itself',
			);
		}

		this.#makeRoom(fresh);
		for (const topic of topics) this.#reserved.set(topic, (this.#reserved.get(topic) ?? 0) + 1);
		return {
			[Symbol.dispose]: () => {
				for (const topic of topics) {
					const left = this.#reserved.get(topic)! - 1;
					if (left > 0) this.#reserved.set(topic, left);
					else this.#reserved.delete(topic);
				}
			},
		};
	}

	/**
	The topic, opened if necessary. @param onProblem called when the log cannot be opened. @default the node fails
	*/
	open(topic: Topic, onProblem: (error: unknown) => void = this.#options.failed): LiveTopic {
		const known = this.live.get(topic);
		if (known) return known;
		const {openLog, onWritten, failed, budget} = this.#options;
		const removing = this.#removing.get(topic);
		const log = removing ? removing.then(() => openLog(topic)) : openLog(topic);
		log.catch(onProblem);
		const live = new LiveTopic(topic, log, onWritten, failed, budget);
		this.live.set(topic, live);
		return live;
	}

	/** Closes all removable topics. */
	async free(): Promise<void> {
		for (const [topic, live] of this.live) if (this.#isRemovable(topic, live)) await this.#remove(topic, live);
	}

	async close(): Promise<void> {
		await Promise.allSettled(this.#removing.values());
		await Promise.all([...this.live.values()].map(live => live[Symbol.asyncDispose]()));
	}

	#isRemovable(topic: Topic, live: LiveTopic): boolean {
		const {agreed, isUnused} = this.#options;
		return (
			live.isIdle &&
			live.messages === 0 &&
			live.missing === 0 &&
			!this.#reserved.has(topic) &&
			!agreed().has(topic) &&
			isUnused(topic)
		);
	}

	/** Closes removable topics, so that no more are open than allowed. */
	#makeRoom(fresh: ReadonlySet<Topic>): void {
		let over = [...fresh].filter(topic => !this.live.has(topic)).length + this.live.size - this.#options.topicsMax;
		if (over <= 0) return;
		for (const [topic, live] of this.live) {
			if (fresh.has(topic) || !this.#isRemovable(topic, live)) continue;
			this.#remove(topic, live).catch(this.#options.failed);
			if (--over <= 0) return;
		}
	}

	#remove(topic: Topic, live: LiveTopic): Promise<void> {
		this.live.delete(topic);
		// Offsets are never reused: the log of a topic that had messages stays, even if it is empty.
		const removing = live
			.end()
			.then(end =>
				live[Symbol.asyncDispose]().then(() => (end === 0 ? this.#options.removeLog(topic) : undefined)),
			)
			.finally(() => this.#removing.delete(topic));
		this.#removing.set(topic, removing);
		return removing;
	}

	#isKnown(topic: Topic): boolean {
		return this.live.has(topic) || this.#reserved.has(topic) || this.#options.agreed().has(topic);
	}
}
