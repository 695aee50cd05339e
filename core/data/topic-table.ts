/**
The topics that a node has open, and how many there may be. Whoever is about to use a topic takes a slot first:
publishers, readers and the node's own subscriptions alike, and at once, so that many who come together cannot all find
the same last slot free. What is agreed in the cluster counts too, as each of these topics may have messages here at any
time.

A slot becomes free by itself: a topic of which nothing is kept, which nobody subscribes to and nobody uses now, leaves
the table, now and then or when its slot is needed; its folder goes if it never had a message.
*/
import {DapssError} from '../errors.ts';
import type {StoredBatch, Topic} from '../message.ts';
import type {TopicLog} from '../topic-log/topic-log.ts';
import {LiveTopic} from './live-topic.ts';
import type {ReadSlots} from './read-slots.ts';

export type TopicTableOptions = {
	readonly topicsMax: number;
	/** Open, or make, the log of a topic. */
	readonly openLog: (topic: Topic) => Promise<TopicLog>;
	/** Nobody wants the topic, and nothing is done with it. */
	readonly isUnused: (topic: Topic) => boolean;
	/** Remove what the closed log of a topic left on the disk. */
	readonly removeLog: (topic: Topic) => Promise<void>;
	/** Topics that somebody in the cluster subscribes to. */
	readonly agreed: () => ReadonlyMap<Topic, unknown>;
	readonly onWritten: (topic: LiveTopic, items: readonly StoredBatch[]) => void;
	readonly failed: (error: unknown) => void;
	/** Shared by the readers of all topics. */
	readonly slots?: ReadSlots;
	/** The limit was hit. */
	readonly onFull: () => void;
};

export class TopicTable {
	readonly live = new Map<Topic, LiveTopic>();
	readonly #options: TopicTableOptions;
	/** By how many that are about to use it. */
	readonly #reserved = new Map<Topic, number>();
	readonly #removing = new Map<Topic, Promise<void>>();

	constructor(options: TopicTableOptions) {
		this.#options = options;
	}

	/** Slots that are taken, of `max`: topics that may go at any time take none. */
	get slots(): {readonly used: number; readonly max: number} {
		const {agreed, topicsMax} = this.#options;
		let used = 0;
		for (const [topic, live] of this.live) if (!this.#mayGo(topic, live)) used++;
		for (const topic of this.#reserved.keys()) if (!this.live.has(topic)) used++;
		for (const topic of agreed().keys()) if (!this.live.has(topic) && !this.#reserved.has(topic)) used++;
		return {used, max: topicsMax};
	}

	/**
	Keep slots for topics until disposed; from the first message or reader on a topic has its own.
	@throws `refused` at the limit; then none is kept
	*/
	reserve(topics: readonly Topic[]): Disposable {
		const idle = new Set(topics.filter(topic => this.live.has(topic) && this.#mayGo(topic, this.live.get(topic)!)));
		const fresh = new Set(topics.filter(topic => idle.has(topic) || !this.#isKnown(topic)));
		const {used, max} = fresh.size > 0 ? this.slots : {used: 0, max: Infinity};
		if (used + fresh.size > max) {
			this.#options.onFull();
			throw new DapssError(
				'refused',
				`Expected at most ${max} topics (limits.topics), got ${used + fresh.size}: raise limits.topics, delete topics that are not needed, or unsubscribe from them; a topic without messages and subscribers goes by itself`,
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

	/** The topic, opened when it is not. @param onProblem the log cannot be opened. @default the node fails */
	open(topic: Topic, onProblem: (error: unknown) => void = this.#options.failed): LiveTopic {
		const known = this.live.get(topic);
		if (known) return known;
		const {openLog, onWritten, failed, slots} = this.#options;
		const removing = this.#removing.get(topic);
		const log = removing ? removing.then(() => openLog(topic)) : openLog(topic);
		log.catch(onProblem);
		const live = new LiveTopic(topic, log, onWritten, failed, slots);
		this.live.set(topic, live);
		return live;
	}

	/** Let go of topics of which nothing is kept. */
	async free(): Promise<void> {
		for (const [topic, live] of this.live) if (this.#mayGo(topic, live)) await this.#letGo(topic, live);
	}

	async close(): Promise<void> {
		await Promise.allSettled(this.#removing.values());
		await Promise.all([...this.live.values()].map(live => live[Symbol.asyncDispose]()));
	}

	#mayGo(topic: Topic, live: LiveTopic): boolean {
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

	/** So that no more are open than may be. */
	#makeRoom(fresh: ReadonlySet<Topic>): void {
		let over = [...fresh].filter(topic => !this.live.has(topic)).length + this.live.size - this.#options.topicsMax;
		if (over <= 0) return;
		for (const [topic, live] of this.live) {
			if (fresh.has(topic) || !this.#mayGo(topic, live)) continue;
			this.#letGo(topic, live).catch(this.#options.failed);
			if (--over <= 0) return;
		}
	}

	#letGo(topic: Topic, live: LiveTopic): Promise<void> {
		this.live.delete(topic);
		// Offsets that were given are never given again: the log of a topic that had messages stays, empty as it is.
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
