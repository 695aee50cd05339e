/**
A topic as seen from this node at this moment: who of its subscribers can be pushed to, and this node's part in the tree
of each origin. A view is made when it is first asked for after who subscribes, who is reachable or who is congested has
changed, and thrown away with the next change.

Where a few of the subscribers cannot be pushed to, they keep their places in the tree, and whoever would push to one
does its work as well: so two nodes that do not agree on who can be reached still agree on everything else. Where many
cannot, as on one side of a partition, the tree is that of the rest.
*/
import type {NodeId} from '../message.ts';
import type {Context} from './context.ts';
import {Roster} from './roster.ts';
import type {TopicStreams} from './streams.ts';

/** In the place of so many, others do the work. */
const adoptedMax = 8;
/** So many subscribers are all contacts; of more, some. */
export const contactsMax = 16;

/** `owed`: would be pushed to but for being congested. */
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
	/** Reachable and not congested; reachable and congested. */
	readonly open: readonly NodeId[];
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
		this.open = congested.size === 0 ? reachable : reachable.filter(peer => !congested.has(peer));
		this.congested = congested.size === 0 ? [] : reachable.filter(peer => congested.has(peer));
		this.#members = others.length - this.open.length <= adoptedMax ? others : this.open;
	}

	/** A few that can be pushed to, the same as long as the view is: over such contacts all hang together. */
	get contacts(): readonly NodeId[] {
		this.#contacts ??= contactsOf(this.#self, this.open);
		return this.#contacts;
	}

	/** Whom this node pushes a batch of that origin to. */
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
		const open = this.#members === this.open ? undefined : new Set(this.open);
		// `parts` grows while it is walked: this node's part, and those of whom it cannot push to.
		const parts = [this.#self];
		for (const part of parts) {
			for (const peer of this.#roster.targets(part, origin, copies)) {
				if (met.has(peer)) continue;
				met.add(peer);
				if (open?.has(peer) ?? true) to.push(peer);
				else parts.push(peer);
			}
		}

		for (const peer of this.congested) if (parts.includes(peer)) owed.push(peer);
		return {to, owed};
	}
}

/** All of a few peers; of more the one closest to `self` of each region around it. */
export function contactsOf(self: NodeId, peers: readonly NodeId[]): readonly NodeId[] {
	return peers.length <= contactsMax ? peers : new Roster(peers).contacts(self);
}
