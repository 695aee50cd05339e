/**
The subscriptions that this node wants: its own topics (from settings or the console; they outlive a restart), and the
topics that readers of this node read now. The agreed subscriptions are reconciled with these: each difference is
proposed until it is gone. That includes agreed subscriptions that nobody wants any more after a crash.
*/
import type {ClusterState} from '../cluster-state/cluster-state.ts';
import type {Command} from '../cluster-state/command.ts';
import {topicNamed} from '../data/topic-named.ts';
import {DapssError} from '../errors.ts';
import {parseTopicName, type NodeId, type Topic} from '../message.ts';

export type DesiredSubscriptionsOptions = {
	readonly self: NodeId;
	readonly state: ClusterState;
	/** The Lamport time at which a subscription "from now on" starts: reachable members have stamped nothing later. */
	readonly latest: (topic: Topic) => Promise<number>;
	readonly propose: (command: Command) => Promise<void>;
	/** Lamport times at which subscriptions began, from before this node had to join again. */
	readonly former: ReadonlyArray<readonly [Topic, number]>;
	/** Topics in the settings of this start: they are wanted, even if they were deleted before. */
	readonly given: ReadonlySet<string>;
};

export class DesiredSubscriptions {
	/** The node's own topics. */
	readonly own = new Set<Topic>();
	readonly #readers = new Map<Topic, number>();
	readonly #running = new Map<Topic, Promise<void>>();
	readonly #former: Map<Topic, number>;
	/**
	Start of the last agreed subscription to each wanted topic. The next one continues it, except after a deletion.
	*/
	readonly #agreed: Map<Topic, number>;
	readonly #options: DesiredSubscriptionsOptions;

	constructor(options: DesiredSubscriptionsOptions) {
		this.#options = options;
		this.#former = new Map(options.former);
		this.#agreed = new Map(options.former.filter(([topic]) => !options.given.has(topic)));
	}

	/** The Lamport times at which the subscriptions to the node's own topics start: agreed, or to be proposed. */
	since(): ReadonlyArray<readonly [Topic, number]> {
		const {self, state} = this.#options;
		return [...this.own].flatMap(topic => {
			const time = state.subscribers(topic).get(self) ?? this.#former.get(topic);
			return time === undefined ? [] : [[topic, time] as const];
		});
	}

	/**
	The agreed state changed. A subscription may end while it is wanted: an earlier process of this node, or a proposal
	that was given up, ended it. The next subscription starts where this one did, so no reader misses messages.
	*/
	agreed(): void {
		for (const topic of new Set([...this.own, ...this.#readers.keys(), ...this.#agreed.keys()])) {
			if (!this.isWanted(topic)) this.#agreed.delete(topic);
			else if (!this.#noteAgreed(topic) && this.#agreed.has(topic))
				this.#former.set(topic, this.#agreed.get(topic)!);
		}
	}

	/** True when this node subscribes to the topic. */
	#noteAgreed(topic: Topic): boolean {
		const since = this.#options.state.subscribers(topic).get(this.#options.self);
		if (since !== undefined) this.#agreed.set(topic, since);
		return since !== undefined;
	}

	/**
	The topic was deleted, with its messages up to the Lamport time `until`. This ends the node's own subscription.
	Readers get the messages that come later. True when the topic was the node's own.
	*/
	deleted(topic: Topic, until: number): boolean {
		const {self, state} = this.#options;
		if (state.subscribers(topic).has(self)) return false; // It has subscribed again since.
		if (this.#readers.has(topic)) this.#former.set(topic, until);
		const since = this.#agreed.get(topic);
		this.#agreed.delete(topic);
		return since !== undefined && since < until && this.own.delete(topic);
	}

	isWanted(topic: Topic): boolean {
		return this.own.has(topic) || this.#readers.has(topic);
	}

	/**
	Subscribe for a reader of this node. Resolves once the subscription is agreed. Call `release` in every case.
	@param since the Lamport time after which the reader wants messages. @default from now on
	@throws `usage` for an invalid name, and as `Control.propose`
	*/
	async acquire(topic: Topic, since?: number): Promise<void> {
		topicNamed(topic);
		this.#readers.set(topic, (this.#readers.get(topic) ?? 0) + 1);
		await this.reconcile(topic, since);
		this.#noteAgreed(topic);
	}

	release(topic: Topic): void {
		const left = (this.#readers.get(topic) ?? 1) - 1;
		if (left > 0) this.#readers.set(topic, left);
		else this.#readers.delete(topic);
		if (!this.isWanted(topic)) this.reconcile(topic).catch(() => undefined); // `reconcile` tries again.
	}

	/** Make the agreed subscription to a topic equal to the desired one. One proposal per topic at a time. */
	async reconcile(topic: Topic, since?: number): Promise<void> {
		for (;;) {
			const running = this.#running.get(topic);
			if (running) await running.catch(() => undefined);
			else if (this.#isReconciled(topic)) return;
			else {
				const work = this.#propose(topic, since);
				this.#running.set(topic, work);
				try {
					await work;
					this.#former.delete(topic); // From here on the agreed subscription counts.
				} finally {
					this.#running.delete(topic);
				}
			}
		}
	}

	async #propose(topic: Topic, since?: number): Promise<void> {
		const {self, latest, propose} = this.#options;
		if (!this.isWanted(topic)) return propose({type: 'unsubscribe', topic, node: self});
		// The node's own topics are full copies: they want all retained messages. A reader may want only new messages.
		const former = this.#former.get(topic) ?? (this.own.has(topic) ? 0 : undefined);
		const from = Math.min(since ?? Infinity, former ?? Infinity);
		return propose({
			type: 'subscribe',
			topic,
			node: self,
			since: Number.isFinite(from) ? from : await latest(topic),
		});
	}

	/** Propose all differences. The next call repeats failed proposals. */
	reconcileAll(): void {
		const {self, state} = this.#options;
		const wanted = new Set<Topic>([...this.own, ...this.#readers.keys()]);
		for (const {name, subscribers} of state.topics()) if (subscribers.has(self)) wanted.add(name);
		for (const topic of wanted)
			if (!this.#isReconciled(topic) && !this.#running.has(topic)) this.reconcile(topic).catch(() => undefined);
	}

	#isReconciled(topic: Topic): boolean {
		return this.#options.state.subscribers(topic).has(this.#options.self) === this.isWanted(topic);
	}
}

/** The topics in settings. @throws `config` for an invalid name */
export function topicsOf(names: readonly string[]): Topic[] {
	return names.map(name => {
		const topic = parseTopicName(name);
		if (typeof topic !== 'string') throw new DapssError('config', `topics: ${topic.problem}`);
		return topic;
	});
}
