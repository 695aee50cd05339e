/**
What this node wants to be subscribed to, and why: its own topics (settings, the `s` key; they outlive a restart) and
those that somebody reads through it now. The agreed subscriptions follow the wish: whatever differs is proposed until
it does not, also after a crash that left an agreed subscription nobody wants any more.
*/
import type {ClusterState} from '../cluster-state/cluster-state.ts';
import type {Command} from '../cluster-state/command.ts';
import {topicNamed} from '../data/topic-named.ts';
import {DapssError} from '../errors.ts';
import {parseTopicName, type NodeId, type Topic} from '../message.ts';

export type DesiredSubscriptionsOptions = {
	readonly self: NodeId;
	readonly state: ClusterState;
	/**
	The time that a subscription from now on begins with: the members that can be reached have stamped nothing later.
	*/
	readonly latest: (topic: Topic) => Promise<number>;
	readonly propose: (command: Command) => Promise<void>;
	/** Lamport times from which on topics were subscribed to before this node had to join anew. */
	readonly former: ReadonlyArray<readonly [Topic, number]>;
	/** Topics that this start names: they are wanted whatever was before. */
	readonly given: ReadonlySet<string>;
};

export class DesiredSubscriptions {
	/** The node's own. */
	readonly own = new Set<Topic>();
	readonly #readers = new Map<Topic, number>();
	readonly #running = new Map<Topic, Promise<void>>();
	readonly #former: Map<Topic, number>;
	/**
	From when on the node's own topics were agreed last, to tell a subscription of before a deletion from a later one.
	*/
	readonly #agreed: Map<Topic, number>;
	readonly #options: DesiredSubscriptionsOptions;

	constructor(options: DesiredSubscriptionsOptions) {
		this.#options = options;
		this.#former = new Map(options.former);
		this.#agreed = new Map(options.former.filter(([topic]) => !options.given.has(topic)));
	}

	/** From which time on the node's own topics are subscribed to, as agreed, or as it will be asked for. */
	since(): ReadonlyArray<readonly [Topic, number]> {
		const {self, state} = this.#options;
		return [...this.own].flatMap(topic => {
			const time = state.subscribers(topic).get(self) ?? this.#former.get(topic);
			return time === undefined ? [] : [[topic, time] as const];
		});
	}

	/** The agreed state changed. */
	agreed(): void {
		const {self, state} = this.#options;
		for (const topic of this.own) {
			const since = state.subscribers(topic).get(self);
			if (since !== undefined) this.#agreed.set(topic, since);
		}
	}

	/**
	The topic was deleted, with what is stamped up to `until`. What the node wanted of it for itself ends with it; who
	reads it through the node gets what comes later. True when the node wanted it for itself.

	*/
	deleted(topic: Topic, until: number): boolean {
		const {self, state} = this.#options;
		if (state.subscribers(topic).has(self)) return false; // It subscribed anew since.
		if (this.#readers.has(topic)) this.#former.set(topic, until);
		const since = this.#agreed.get(topic);
		this.#agreed.delete(topic);
		return since !== undefined && since < until && this.own.delete(topic);
	}

	isWanted(topic: Topic): boolean {
		return this.own.has(topic) || this.#readers.has(topic);
	}

	/**
	Somebody reads the topic through this node: resolves once the subscription is agreed. Call `release` in every case.
	@param since the Lamport time above which it wants messages; from now on without it.
	@throws `usage` for a name that is none
	*/
	async acquire(topic: Topic, since?: number): Promise<void> {
		topicNamed(topic);
		this.#readers.set(topic, (this.#readers.get(topic) ?? 0) + 1);
		await this.reconcile(topic, since);
	}

	release(topic: Topic): void {
		const left = (this.#readers.get(topic) ?? 1) - 1;
		if (left > 0) this.#readers.set(topic, left);
		else this.#readers.delete(topic);
		if (!this.isWanted(topic)) this.reconcile(topic).catch(() => undefined); // `reconcile` tries again.
	}

	/** Make the agreed state follow the wish for one topic. One proposal a topic at a time. */
	async reconcile(topic: Topic, since?: number): Promise<void> {
		for (;;) {
			const running = this.#running.get(topic);
			if (running) await running.catch(() => undefined);
			else if (this.#isSettled(topic)) return;
			else {
				const work = this.#propose(topic, since);
				this.#running.set(topic, work);
				try {
					await work;
					this.#former.delete(topic); // From here on what is agreed counts.
				} finally {
					this.#running.delete(topic);
				}
			}
		}
	}

	async #propose(topic: Topic, since?: number): Promise<void> {
		const {self, latest, propose} = this.#options;
		if (!this.isWanted(topic)) return propose({type: 'unsubscribe', topic, node: self});
		// A node that keeps a topic is one of its copies: it wants all that is retained. A reader may want only what is
		// published from now on.
		const from = since ?? this.#former.get(topic) ?? (this.own.has(topic) ? 0 : await latest(topic));
		return propose({type: 'subscribe', topic, node: self, since: from});
	}

	/** Propose whatever differs; failures are tried again at the next call. */
	reconcileAll(): void {
		const {self, state} = this.#options;
		const wanted = new Set<Topic>([...this.own, ...this.#readers.keys()]);
		for (const {name, subscribers} of state.topics()) if (subscribers.has(self)) wanted.add(name);
		for (const topic of wanted)
			if (!this.#isSettled(topic) && !this.#running.has(topic)) this.reconcile(topic).catch(() => undefined);
	}

	#isSettled(topic: Topic): boolean {
		return this.#options.state.subscribers(topic).has(this.#options.self) === this.isWanted(topic);
	}
}

/** The topics named in settings. @throws `config` */
export function topicsOf(names: readonly string[]): Topic[] {
	return names.map(name => {
		const topic = parseTopicName(name);
		if (typeof topic !== 'string') throw new DapssError('config', `topics: ${topic.problem}`);
		return topic;
	});
}
