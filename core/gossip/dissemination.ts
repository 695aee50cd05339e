/**
Spreading a batch, to the subscribers of its topic alone. The origin pushes to `fanout` of them, each of these pushes it on once, when
it first meets it (infect and die, Demers 1987). What the pushes may have left out learns of it from lazy offers a moment later, as over
the lazy links of Plumtree (Leitão 2007): once a tick a few peers get the watermarks of the streams that moved.

In a small cluster the origin reaches every subscriber itself. Such a push says so (`complete`), and nobody relays: each batch crosses
each link once. If one of them is out of reach, the others do not push either, because the origin has covered all it could: they offer,
which costs a few bytes a tick, and who was out of the origin's reach alone pulls.
*/
import type {Batch, NodeId} from '../message.ts';
import type {Context} from './context.ts';
import type {Fanout} from './fanout.ts';
import {watermarksMax, type TopicWatermarks, type Watermark} from './packet.ts';
import type {Stream, TopicStreams} from './streams.ts';

/** Peers that are offered what moved, a tick and topic. */
const lazyMax = 3;

/** Whom a topic can be pushed to now. */
type Plan = {
	readonly version: number;
	/** Other subscribers, reachable or not. */
	readonly others: number;
	/** Reachable and not congested. Shuffled as it is drawn from. */
	readonly targets: NodeId[];
	readonly congested: readonly NodeId[];
};

export class Dissemination {
	readonly #context: Context;
	readonly #fanout: Fanout;
	readonly #plans = new Map<TopicStreams, Plan>();
	/** Streams that moved in this tick without a complete push. */
	readonly #moved = new Set<Stream>();
	/** What each peer shall be offered; a congested one when it is no more. */
	readonly #offers = new Map<NodeId, Set<Stream>>();

	constructor(context: Context, fanout: Fanout) {
		this.#context = context;
		this.#fanout = fanout;
	}

	/** An own batch. */
	publish(stream: Stream, batch: Batch): void {
		const {outbox} = this.#context;
		const plan = this.#plan(stream.topic);
		const fanout = this.#fanout.of(plan.others);
		for (const peer of plan.congested) this.offer(peer, stream);
		if (fanout < plan.targets.length) {
			this.#pushSome(plan, fanout, stream, batch, 1, stream.origin.id);
			return;
		}

		if (plan.targets.length === 0) return;
		const packet = {type: 'push', batch, hops: 1, complete: plan.targets.length === plan.others, repair: false} as const;
		for (const to of plan.targets) outbox.send(to, packet);
	}

	/** A batch that came by a push that was not complete, for the first time. */
	relay(stream: Stream, batch: Batch, from: NodeId, hops: number): void {
		const plan = this.#plan(stream.topic);
		const fanout = this.#fanout.of(plan.others);
		if (fanout < plan.others) this.#pushSome(plan, fanout, stream, batch, hops + 1, from);
		else this.#moved.add(stream);
	}

	/** Tell the peer what we have of the stream, with the next tick. */
	offer(peer: NodeId, stream: Stream): void {
		let streams = this.#offers.get(peer);
		if (!streams) {
			streams = new Set();
			this.#offers.set(peer, streams);
		}

		streams.add(stream);
	}

	gone(peer: NodeId): void {
		this.#offers.delete(peer);
	}

	tick(): void {
		for (const stream of this.#moved) {
			const {others, targets} = this.#plan(stream.topic);
			const isSmall = this.#fanout.of(others) >= others;
			for (const peer of isSmall ? targets : this.#context.sample(targets, lazyMax)) if (peer !== stream.origin.id) this.offer(peer, stream);
		}

		this.#moved.clear();
		for (const [peer, streams] of this.#offers) if (!this.#context.congested.has(peer)) this.#sendOffers(peer, streams);
	}

	#sendOffers(peer: NodeId, streams: Set<Stream>): void {
		const topics = new Map<TopicStreams, Watermark[]>();
		let rows = 0;
		for (const stream of streams) {
			if (rows === watermarksMax) break; // The rest with the next tick.
			rows++;
			streams.delete(stream);
			const {watermark} = stream;
			if (watermark[3] < watermark[2]) continue; // Retention was faster.
			const list = topics.get(stream.topic);
			if (list) list.push(watermark);
			else topics.set(stream.topic, [watermark]);
		}

		if (streams.size === 0) this.#offers.delete(peer);
		if (topics.size === 0) return;
		this.#context.outbox.send(peer, {type: 'ihave', topics: [...topics].map(([topic, list]): TopicWatermarks => [topic.name, list])});
	}

	/** Push to `count` targets drawn at random, neither to `from` nor to the origin. */
	#pushSome({targets}: Plan, count: number, stream: Stream, batch: Batch, hops: number, from: NodeId): void {
		const {outbox, random} = this.#context;
		const packet = {type: 'push', batch, hops, complete: false, repair: false} as const;
		for (let index = 0, pushed = 0; pushed < count && index < targets.length; index++) {
			const other = index + random.below(targets.length - index);
			const peer = targets[other]!;
			targets[other] = targets[index]!;
			targets[index] = peer;
			if (peer === from || peer === batch.origin) continue;
			outbox.send(peer, packet);
			pushed++;
		}

		this.#moved.add(stream);
	}

	#plan(topic: TopicStreams): Plan {
		const known = this.#plans.get(topic);
		const {self, version, congested} = this.#context;
		if (known?.version === version) return known;
		const others = topic.subscribers.filter(peer => peer !== self);
		const reachable = others.filter(peer => this.#context.isReachable(peer));
		const plan = {version, others: others.length, targets: reachable.filter(peer => !congested.has(peer)), congested: reachable.filter(peer => congested.has(peer))};
		this.#plans.set(topic, plan);
		return plan;
	}
}
