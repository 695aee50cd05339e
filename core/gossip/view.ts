/**
A topic as this node sees it now: the subscribers that it can push to, and its children in the tree of each origin. A
view is computed on first use and discarded when subscriptions, reachability or congestion change.

If a few subscribers cannot be pushed to, they keep their places in the tree. The parent of such a subscriber then
pushes to the subscriber's children as well. So two nodes that disagree on the reachable nodes still agree on the rest
of the tree. If many cannot be pushed to, as on one side of a partition, the tree contains only the others.
*/
import type {NodeId} from '../message.ts';
import type {Context} from './context.ts';
import {Roster} from './roster.ts';
import type {TopicStreams} from './streams.ts';

/** Up to this many unreachable or congested subscribers stay in the tree. */
const adoptedMax = 8;
/** With at most this many subscribers, all of them are contacts; with more, a selection. */
export const contactsMax = 16;

/** `to`: push targets. `owed`: targets that are congested and get an offer instead. */
type Spread = {readonly to: readonly NodeId[]; readonly owed: readonly NodeId[]};

export class Views {
	readonly #context: Context;
	readonly #views = new Map<TopicStreams, View>();

	constructor(context: Context) {
		this.#context = context;
	}

	of(topic: TopicStreams): View {
		const known = this.#views.get(topic);
		if (known?.version === this.#context.version) return known;
		const view = new View(this.#context, topic.subscribers);
		this.#views.set(topic, view);
		return view;
	}
}

export class View {
	readonly version: number;
	/** Other subscribers, reachable or not. */
	readonly others: number;
	/** Reachable subscribers, split by congestion. */
	readonly uncongested: readonly NodeId[];
	readonly congested: readonly NodeId[];
	readonly #self: NodeId;
	readonly #members: readonly NodeId[];
	#roster: Roster | undefined;
	#contacts: readonly NodeId[] | undefined;
	#spreads = new Map<NodeId, Spread>();
	#copies = 0;

	constructor(context: Context, subscribers: readonly NodeId[]) {
		const {self, version, congested} = context;
		this.version = version;
		this.#self = self;
		const others = subscribers.filter(peer => peer !== self);
		const reachable = others.filter(peer => context.isReachable(peer));
		this.others = others.length;
		this.uncongested = congested.size === 0 ? reachable : reachable.filter(peer => !congested.has(peer));
		this.congested = congested.size === 0 ? [] : reachable.filter(peer => congested.has(peer));
		this.#members = others.length - this.uncongested.length <= adoptedMax ? others : this.uncongested;
	}

	/** A few push targets, stable for the lifetime of the view. The links to contacts connect all nodes. */
	get contacts(): readonly NodeId[] {
		this.#contacts ??= contactsOf(this.#self, this.uncongested);
		return this.#contacts;
	}

	/** The peers that this node pushes a batch of `origin` to. */
	spread(origin: NodeId, copies: number): Spread {
		if (copies !== this.#copies) {
			this.#copies = copies;
			this.#spreads.clear();
		}

		let spread = this.#spreads.get(origin);
		if (!spread) {
			spread = this.#compute(origin, copies);
			this.#spreads.set(origin, spread);
		}

		return spread;
	}

	#compute(origin: NodeId, copies: number): Spread {
		this.#roster ??= new Roster(this.#members);
		const to: NodeId[] = [];
		const owed: NodeId[] = [];
		const met = new Set([this.#self, origin]);
		const uncongested = this.#members === this.uncongested ? undefined : new Set(this.uncongested);
		// `parts` grows during the loop: this node, then each child that it cannot push to and stands in for.
		const parts = [this.#self];
		for (const part of parts) {
			for (const peer of this.#roster.targets(part, origin, copies)) {
				if (met.has(peer)) continue;
				met.add(peer);
				if (uncongested?.has(peer) ?? true) to.push(peer);
				else parts.push(peer);
			}
		}

		for (const peer of this.congested) if (parts.includes(peer)) owed.push(peer);
		return {to, owed};
	}
}

/** All of a few peers; of more, the closest to `self` in each region around it. */
export function contactsOf(self: NodeId, peers: readonly NodeId[]): readonly NodeId[] {
	return peers.length <= contactsMax ? peers : new Roster(peers).contacts(self);
}
