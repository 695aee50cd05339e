/**
Spreading a batch, to the subscribers of its topic alone. The origin pushes to a few, each of these pushes it on when it
first meets it, along the tree of that origin (`roster.ts`). What the pushes leave out learns of it from lazy offers, as
over the lazy links of Plumtree (Leitão 2007): now and then one contact gets the watermarks of the streams that moved. A
batch that a node had to pull is pushed on as well, so that the branch behind a lost push is not pulled leaf by leaf.

In a small cluster the origin reaches every subscriber itself. Such a push says so (`complete`), and nobody relays: each
batch crosses each link once. If one of them is out of reach, the others do not push either, because the origin has
covered all it could: they offer, which costs a few bytes a tick, and who was out of the origin's reach alone pulls.
*/
import type {Batch, NodeId} from '../message.ts';
import type {Context} from './context.ts';
import type {Fanout} from './fanout.ts';
import {watermarksMax, type TopicWatermarks, type Watermark} from './packet.ts';
import type {Stream, TopicStreams} from './streams.ts';
import type {Views} from './view.ts';

/** Between two rounds of lazy offers in a large cluster. */
const lazyMs = 250;

export class Dissemination {
	readonly #context: Context;
	readonly #fanout: Fanout;
	readonly #views: Views;
	/** Streams that moved without a complete push. */
	readonly #moved = new Set<Stream>();
	/** What each peer shall be offered; a congested one when it is no more. */
	readonly #offers = new Map<NodeId, Set<Stream>>();
	readonly #lazyTicks: number;
	/** Not all nodes offer in one tick. */
	readonly #lazyPhase: number;

	constructor(context: Context, fanout: Fanout, views: Views) {
		this.#context = context;
		this.#fanout = fanout;
		this.#views = views;
		this.#lazyTicks = context.ticks(lazyMs);
		this.#lazyPhase = context.random.below(this.#lazyTicks);
	}

	/** An own batch. */
	publish(stream: Stream, batch: Batch): void {
		const {outbox} = this.#context;
		const view = this.#views.of(stream.topic);
		if (!this.#fanout.isDirect(view.others)) {
			this.#spread(stream, batch, 1, stream.origin.id);
			return;
		}

		for (const peer of view.congested) this.offer(peer, stream);
		if (view.open.length === 0) return;
		const packet = {
			type: 'push',
			batch,
			hops: 1,
			complete: view.open.length === view.others,
			repair: false,
		} as const;
		for (const to of view.open) outbox.send(to, packet);
	}

	/** A batch that came by a push that was not complete, for the first time. */
	relay(stream: Stream, batch: Batch, from: NodeId, hops: number): void {
		if (this.#fanout.isDirect(this.#views.of(stream.topic).others)) this.#moved.add(stream);
		else this.#spread(stream, batch, hops + 1, from);
	}

	/**
	A batch that no push brought and that had to be pulled. How far it had come is not known, only that it was relayed.
	*/
	relayPulled(stream: Stream, batch: Batch, from: NodeId): void {
		if (!this.#fanout.isDirect(this.#views.of(stream.topic).others)) this.#spread(stream, batch, 2, from);
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

	/** Tell some contacts what we have of the stream. */
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
			const {others, open, contacts} = this.#views.of(topic);
			const isDirect = this.#fanout.isDirect(others);
			if (!isDirect && !isTurn) continue;
			this.#moved.delete(stream);
			let peers = chosen.get(topic);
			if (!peers) {
				peers = isDirect ? open : this.#context.sample(contacts, 1);
				chosen.set(topic, peers);
			}

			for (const peer of peers) if (peer !== stream.origin.id) this.offer(peer, stream);
		}
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
		this.#context.outbox.send(peer, {
			type: 'ihave',
			topics: [...topics].map(([topic, list]): TopicWatermarks => [topic.name, list]),
		});
	}

	/** Push to this node's part of the tree. */
	#spread(stream: Stream, batch: Batch, hops: number, from: NodeId): void {
		const view = this.#views.of(stream.topic);
		const {to, owed} = view.spread(batch.origin, this.#fanout.of(view.others));
		const packet = {type: 'push', batch, hops, complete: false, repair: false} as const;
		for (const peer of to) if (peer !== from) this.#context.outbox.send(peer, packet);
		for (const peer of owed) this.offer(peer, stream);
		this.#moved.add(stream);
	}
}
