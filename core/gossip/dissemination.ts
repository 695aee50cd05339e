/**
Spreading a batch to the subscribers of its topic. The origin pushes the batch to a few subscribers. Each subscriber
pushes it on when it first receives it, along the tree of that origin (`roster.ts`). Nodes that no push reached learn of
the batch from lazy offers, as over the lazy links of Plumtree (Leitão 2007): from time to time one contact gets the
watermarks of the streams that advanced. A node also pushes on a batch that it pulled, so that the branch below a lost
push does not pull leaf by leaf.

In a small cluster the origin pushes to every subscriber itself. Such a push is marked `complete`, and no subscriber
relays it: each batch crosses each link once. If the origin cannot reach a subscriber, it leaves out the mark. The
receivers still do not relay; they send offers, which cost a few bytes per tick, and the subscriber pulls.
*/
import type {Batch, NodeId} from '../message.ts';
import type {Context} from './context.ts';
import type {Fanout} from './fanout.ts';
import {watermarksMax, type TopicWatermarks, type Watermark} from './packet.ts';
import type {Stream, TopicStreams} from './streams.ts';
import type {Views} from './view.ts';

/** Interval between two rounds of lazy offers in a large cluster. */
const lazyMs = 250;

export class Dissemination {
	readonly #context: Context;
	readonly #fanout: Fanout;
	readonly #views: Views;
	/** Streams that advanced without a complete push. */
	readonly #moved = new Set<Stream>();
	/**
	Streams to offer to each peer with the next tick; a congested peer gets its offers when it is no longer congested.
	*/
	readonly #offers = new Map<NodeId, Set<Stream>>();
	readonly #lazyTicks: number;
	/** Random offset, so that nodes do not all send offers in the same tick. */
	readonly #lazyPhase: number;

	constructor(context: Context, fanout: Fanout, views: Views) {
		this.#context = context;
		this.#fanout = fanout;
		this.#views = views;
		this.#lazyTicks = context.ticks(lazyMs);
		this.#lazyPhase = context.random.below(this.#lazyTicks);
	}

	/** Spreads a batch of this node. */
	publish(stream: Stream, batch: Batch): void {
		const {outbox} = this.#context;
		const view = this.#views.of(stream.topic);
		if (!this.#fanout.isDirect(view.others)) {
			this.#spread(stream, batch, 1, stream.origin.id);
			return;
		}

		for (const peer of view.congested) this.offer(peer, stream);
		if (view.uncongested.length === 0) return;
		const packet = {
			type: 'push',
			batch,
			hops: 1,
			complete: view.uncongested.length === view.others,
			repair: false,
		} as const;
		for (const to of view.uncongested) outbox.send(to, packet);
	}

	/** Spreads a new batch that arrived in an incomplete push. */
	relay(stream: Stream, batch: Batch, from: NodeId, hops: number): void {
		if (this.#fanout.isDirect(this.#views.of(stream.topic).others)) this.#moved.add(stream);
		else this.#spread(stream, batch, hops + 1, from);
	}

	/** Spreads a new batch that had to be pulled. Its hop count is unknown, except that it was relayed. */
	relayPulled(stream: Stream, batch: Batch, from: NodeId): void {
		if (!this.#fanout.isDirect(this.#views.of(stream.topic).others)) this.#spread(stream, batch, 2, from);
	}

	/** Offers our range of the stream to the peer, with the next tick. */
	offer(peer: NodeId, stream: Stream): void {
		let streams = this.#offers.get(peer);
		if (!streams) {
			streams = new Set();
			this.#offers.set(peer, streams);
		}

		streams.add(stream);
	}

	/** Offers our range of the stream to up to `count` contacts. */
	offerSome(stream: Stream, count: number): void {
		for (const peer of this.#context.sample(this.#views.of(stream.topic).contacts, count)) this.offer(peer, stream);
	}

	gone(peer: NodeId): void {
		this.#offers.delete(peer);
	}

	tick(): void {
		if (this.#moved.size > 0) this.#offerMoved();
		for (const [peer, streams] of this.#offers)
			if (!this.#context.congested.has(peer)) this.#sendOffers(peer, streams);
	}

	#offerMoved(): void {
		const isTurn = this.#context.now % this.#lazyTicks === this.#lazyPhase;
		const chosen = new Map<TopicStreams, readonly NodeId[]>();
		for (const stream of this.#moved) {
			const {topic} = stream;
			const {others, uncongested, contacts} = this.#views.of(topic);
			const isDirect = this.#fanout.isDirect(others);
			if (!isDirect && !isTurn) continue;
			this.#moved.delete(stream);
			let peers = chosen.get(topic);
			if (!peers) {
				peers = isDirect ? uncongested : this.#context.sample(contacts, 1);
				chosen.set(topic, peers);
			}

			for (const peer of peers) if (peer !== stream.origin.id) this.offer(peer, stream);
		}
	}

	#sendOffers(peer: NodeId, streams: Set<Stream>): void {
		const topics = new Map<TopicStreams, Watermark[]>();
		let rows = 0;
		for (const stream of streams) {
			if (rows === watermarksMax) break; // The others follow with the next tick.
			rows++;
			streams.delete(stream);
			const {watermark} = stream;
			if (watermark[3] < watermark[2]) continue; // Retention already deleted the range.
			const list = topics.get(stream.topic);
			if (list) list.push(watermark);
			else topics.set(stream.topic, [watermark]);
		}

		if (streams.size === 0) this.#offers.delete(peer);
		if (topics.size === 0) return;
		this.#context.outbox.send(peer, {
			type: 'ihave',
			topics: [...topics].map(([topic, list]): TopicWatermarks => [topic.name, list]),
		});
	}

	/** Pushes to the children of this node in the tree. */
	#spread(stream: Stream, batch: Batch, hops: number, from: NodeId): void {
		const view = this.#views.of(stream.topic);
		const {to, owed} = view.spread(batch.origin, this.#fanout.of(view.others));
		const packet = {type: 'push', batch, hops, complete: false, repair: false} as const;
		for (const peer of to) if (peer !== from) this.#context.outbox.send(peer, packet);
		for (const peer of owed) this.offer(peer, stream);
		this.#moved.add(stream);
	}
}
