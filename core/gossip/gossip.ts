/**
Gossip: batches of live topics reach every subscriber, each once, in the order of their origin, although packets are
lost, nodes crash and the network splits. Pushes carry a batch to nearly everybody within a few hops
(`dissemination.ts`); what they miss is pulled (`repair.ts`), and comparing digests finds what nobody noticed was
missing (`exchange.ts`). Demers et al. 1987, Birman et al. 1999 (bimodal multicast), Leitão et al. 2007 (Plumtree).

The machine is pure. Batches come verified; what it releases is stored and delivered by the broker, in that order.
*/
import type {Machine} from '../machine.ts';
import {lastSeq, streamKey, type Batch, type BatchHeader, type NodeId, type StreamKey, type Topic} from '../message.ts';
import {Backfill} from './backfill.ts';
import {Context, type GossipOptions, type GossipReady, type BackfillGap} from './context.ts';
import {Dissemination} from './dissemination.ts';
import {Exchange} from './exchange.ts';
import {Fanout} from './fanout.ts';
import {Held} from './held.ts';
import {Incarnations} from './incarnations.ts';
import {Order} from './order.ts';
import type {GossipPacket, Push, TopicWatermarks, Watermark} from './packet.ts';
import {Repair, type Clue} from './repair.ts';
import {Streams, type Arrival, type Stream, type TopicStreams} from './streams.ts';
import {Views} from './view.ts';

export type {GossipOptions, GossipReady} from './context.ts';
export type {ControlPacket, GossipPacket, Push, Want} from './packet.ts';

/**
`subscribers`: sorted. `since`: the Lamport time above which this node wants batches; `undefined` when it does not
subscribe.
*/
export type Subscribed = {readonly subscribers: readonly NodeId[]; readonly since: number | undefined};

export type GossipStatus = {
	/**
	Peers that a node pushes a batch to, in the topic with the most subscribers: all of a few, of more so many on
	average.
	*/
	readonly fanout: number;
	/**
	Share of received batches that were duplicates, and of new ones that had to be pulled: 0 to 1, over the last
	seconds.
	*/
	readonly duplicates: number;
	readonly misses: number;
	/** Batches that wait for an earlier one, and their bytes. */
	readonly held: number;
	readonly heldBytes: number;
	readonly heldByTopic: ReadonlyMap<Topic, number>;
	readonly streams: number;
	/** Streams that lack something, and origins whose newer life waits for an older one. */
	readonly waiting: number;
	readonly waitingLives: number;
	/** Batches of an older life that came after a newer one; newer lives released without the word of their origin. */
	readonly late: number;
	readonly unvouched: number;
	/** Reachable peers. */
	readonly inSync: ReadonlyArray<{readonly peer: NodeId; readonly synced: boolean}>;
	/** Bounds that were hit, by name. */
	readonly bounds: ReadonlyMap<string, number>;
};

export type Gossip = Machine<GossipPacket, GossipReady> & {
	/** Who subscribes to what, as agreed; complete each time. */
	setSubscriptions(topics: ReadonlyMap<Topic, Subscribed>): void;
	/** Peers whose link is up. A peer that newly appears is compared with at once. */
	setReachable(peers: readonly NodeId[]): void;
	/** Nodes that were removed from the cluster, and do not come back. */
	setRemoved(nodes: readonly NodeId[]): void;
	/** Compare with these peers anew; each of them that is reachable comes back in `synced`. */
	resync(peers: readonly NodeId[]): void;
	/** Nothing is pushed to a congested peer; it pulls what it lacks. */
	setCongested(peer: NodeId, congested: boolean): void;
	/** An own batch: the broker stores it; it is not released again. */
	publish(batch: Batch): void;
	/** At the start: what the log holds, own and foreign, in log order. */
	recover(header: BatchHeader): void;
	/** The log of the topic lost these to damage: pull them back. They come in `refilled`. */
	refill(topic: Topic, gaps: readonly BackfillGap[]): void;
	/** These came back and are in the log again; nothing more will. */
	filled(topic: Topic, placed: readonly BatchHeader[], gaps: readonly BackfillGap[]): void;
	/**
	Retention took something: the lowest sequence number that the log of the topic still has of each stream; none of
	those not named.
	*/
	retained(topic: Topic, floors: ReadonlyMap<StreamKey, number>): void;
	/** The topic was deleted: what is stamped up to `until` is not wanted, and not waited for. */
	deleted(topic: Topic, until: number): void;
	status(): GossipStatus;
};

const streamsMax = 1 << 18;
/** Control packets of one peer in one tick. */
const packetsMax = 4096;
/** A push may be on its way: wait so long before asking for what was only offered. */
const offerTicks = 2;

export function createGossip(options: GossipOptions): Gossip {
	return new GossipMachine(options);
}

class GossipMachine implements Gossip {
	readonly #context: Context;
	readonly #streams: Streams;
	readonly #held: Held;
	readonly #fanout: Fanout;
	readonly #lives: Incarnations;
	readonly #order: Order;
	readonly #repair: Repair;
	readonly #refill: Backfill;
	readonly #dissemination: Dissemination;
	readonly #exchange: Exchange;
	/** Control packets in this tick, by peer. */
	readonly #taken = new Map<NodeId, number>();
	readonly #turnTicks: number;
	readonly #incarnation: number;

	constructor(options: GossipOptions) {
		const {config} = options;
		this.#incarnation = options.incarnation;
		const context = new Context(options);
		this.#context = context;
		this.#turnTicks = context.ticks(1000);
		this.#fanout = new Fanout(config);
		this.#held = new Held(config.heldBytes);
		this.#streams = new Streams(streamsMax, stream => this.#fold(stream));
		this.#lives = new Incarnations(context, stream => this.#order.resume(stream));
		this.#order = new Order(context, this.#held, this.#lives, (from, messages) =>
			this.#exchange.pulled(from, messages),
		);
		this.#repair = new Repair(
			context,
			this.#streams,
			this.#held,
			(stream, next) => this.#lose(stream, next),
			(peer, topic) => this.#refill.isAsking(peer, topic),
		);
		this.#refill = new Backfill(
			context,
			this.#streams,
			(peer, topic) => this.#repair.isAsking(peer, topic),
			stream => this.#order.resume(stream),
		);
		this.#dissemination = new Dissemination(context, this.#fanout, new Views(context));
		this.#exchange = new Exchange(context, this.#streams, this.#dissemination, (topic, watermark, clue) =>
			this.#learn(topic, watermark, clue),
		);
	}

	setSubscriptions(topics: ReadonlyMap<Topic, Subscribed>): void {
		const {version} = this.#context;
		let isNew = false;
		for (const topic of this.#streams.topics.values()) {
			if (topics.has(topic.name)) continue;
			topic.subscribers = [];
			this.#setSince(topic, undefined);
		}

		for (const [name, {subscribers, since}] of topics) {
			const topic = this.#streams.topic(name);
			topic.subscribers = subscribers;
			isNew = this.#setSince(topic, since) || isNew;
		}

		this.#context.version = version + 1;
		if (isNew) this.#exchange.subscribed();
	}

	setRemoved(nodes: readonly NodeId[]): void {
		const {removed} = this.#context;
		if (nodes.length === removed.size && nodes.every(node => removed.has(node))) return;
		this.#context.removed = new Set(nodes);
		this.#repair.again();
	}

	setReachable(peers: readonly NodeId[]): void {
		const {came, gone} = this.#context.setReachable(peers);
		for (const peer of gone) {
			this.#exchange.gone(peer);
			this.#repair.gone(peer);
			this.#refill.gone(peer);
			this.#dissemination.gone(peer);
			this.#taken.delete(peer);
		}

		for (const peer of came) this.#lives.appeared(peer);
		if (came.length === 0) return;
		this.#exchange.appeared(came);
		this.#repair.again();
		this.#refill.appeared();
	}

	resync(peers: readonly NodeId[]): void {
		this.#exchange.resync(peers);
	}

	setCongested(peer: NodeId, congested: boolean): void {
		const {congested: peers} = this.#context;
		if (peers.has(peer) === congested) return;
		if (congested) peers.add(peer);
		else peers.delete(peer);
		this.#context.version++;
	}

	publish(batch: Batch): void {
		const topic = this.#streams.topic(batch.topic);
		const stream = this.#streams.of(topic, batch.origin, batch.incarnation);
		if (!stream) {
			this.#context.hit('streams');
			return;
		}

		this.#exchange.own(stream);
		const {origin} = stream;
		const isOpening = origin.open < batch.incarnation;
		origin.open = batch.incarnation;
		stream.append(batch);
		// What came back of this node's earlier lives waits no longer: nobody would open them after this one.
		if (isOpening) for (const life of origin.lives) this.#order.resume(life);
		this.#dissemination.publish(stream, batch);
	}

	recover(header: BatchHeader): void {
		const topic = this.#streams.topic(header.topic);
		const stream = this.#streams.of(topic, header.origin, header.incarnation);
		if (!stream) return;
		if (header.firstSeq < stream.next) return stream.fill(header);
		stream.append(header);
		stream.origin.open = Math.max(stream.origin.open, header.incarnation);
		// What an earlier life published last may have reached nobody.
		if (header.origin === this.#context.self && stream.ranges.length === 1) this.#exchange.own(stream);
	}

	refill(topic: Topic, gaps: readonly BackfillGap[]): void {
		this.#refill.add(topic, gaps);
	}

	filled(topic: Topic, placed: readonly BatchHeader[], gaps: readonly BackfillGap[]): void {
		this.#refill.filled(topic, placed, gaps);
	}

	deleted(topic: Topic, until: number): void {
		const streams = this.#streams.topics.get(topic);
		if (streams && (streams.since !== undefined || streams.deletedUntil !== undefined))
			streams.deletedUntil = until;
		for (const stream of streams?.streams() ?? []) {
			this.#held.drop(stream, ({batch}) => batch.lamport <= until);
			if (stream.next > stream.known || stream.knownLamport > until) continue;
			this.#repair.forget(stream);
			this.#order.skipTo(stream, stream.known + 1, stream.knownLamport);
		}
	}

	retained(topic: Topic, floors: ReadonlyMap<StreamKey, number>): void {
		for (const stream of this.#streams.topics.get(topic)?.streams() ?? []) {
			stream.trim(
				floors.get(streamKey({topic, origin: stream.origin.id, incarnation: stream.incarnation})) ??
					stream.next,
			);
		}
	}

	step(from: NodeId, packet: GossipPacket): void {
		if (packet.type === 'push') {
			this.#onPush(from, packet);
			return;
		}

		const taken = (this.#taken.get(from) ?? 0) + 1;
		this.#taken.set(from, taken);
		if (taken > packetsMax) {
			this.#context.hit('packets');
			return;
		}

		switch (packet.type) {
			case 'ihave':
				return this.#onIhave(from, packet.topics);
			case 'iwant':
				return this.#repair.serve(from, packet);
			case 'ihavenot': {
				if (this.#refill.refused(from, packet)) return;
				this.#exchange.refused(from, packet);
				return this.#repair.refused(from, packet);
			}

			case 'served': {
				if (this.#refill.served(from, packet)) return;
				const topic = this.#streams.topics.get(packet.topic);
				if (!topic) return;
				for (const [origin, incarnation, asked, then, since] of packet.passed) {
					const stream = this.#streams.find(packet.topic, origin, incarnation);
					// What was not wanted when it was asked for may be by now.
					if (
						stream?.lack &&
						since <= topic.since! &&
						asked <= stream.next &&
						then > stream.next &&
						then <= stream.known + 1
					)
						this.#order.skipTo(stream, then, since);
				}

				return this.#repair.served(from, topic);
			}

			case 'digest':
				return this.#exchange.onDigest(from, packet);
			case 'watermarks':
				return this.#exchange.onWatermarks(from, packet);
			case 'ask': {
				const lives = this.#streams.topics.get(packet.topic)?.origins.get(packet.origin)?.lives ?? [];
				return this.#context.outbox.send(from, {
					type: 'told',
					topic: packet.topic,
					origin: packet.origin,
					incarnation: this.#incarnation,
					streams: lives.filter(({next}) => next > 1).map(({watermark}) => watermark),
				});
			}

			case 'told': {
				const topic = this.#streams.topics.get(packet.topic);
				if (topic?.since === undefined) return;
				for (const watermark of packet.streams)
					this.#learn(topic, watermark, {peer: from, inTicks: 0, isCatchUp: true});
				const origin = topic.origins.get(packet.origin);
				if (origin) this.#lives.told(from, origin, packet.incarnation);
				return;
			}

			default:
				return packet satisfies never;
		}
	}

	tick(): void {
		const context = this.#context;
		context.now++;
		this.#taken.clear();
		this.#lives.tick();
		this.#repair.tick();
		this.#refill.tick();
		this.#exchange.tick();
		this.#dissemination.tick();
		if (context.now % this.#turnTicks === 0) this.#fanout.turn();
	}

	ready(): GossipReady | undefined {
		this.#repair.pump();
		this.#refill.pump();
		return this.#context.outbox.take();
	}

	status(): GossipStatus {
		const {bounds, self} = this.#context;
		const topics = [...this.#streams.topics.values()];
		const others = Math.max(0, ...topics.map(({subscribers}) => subscribers.filter(peer => peer !== self).length));
		return {
			fanout: this.#fanout.of(others),
			...this.#fanout.shares(),
			held: this.#held.count,
			heldBytes: this.#held.bytes,
			heldByTopic: new Map(topics.filter(({held}) => held > 0).map(({name, held}) => [name, held])),
			streams: this.#streams.count,
			waiting: this.#repair.waiting,
			waitingLives: this.#lives.waiting,
			late: this.#order.late,
			unvouched: this.#lives.unvouched,
			inSync: this.#exchange.peers(),
			bounds: new Map([
				...bounds,
				['held', this.#held.refused],
				['streams', (bounds.get('streams') ?? 0) + this.#streams.refused],
			]),
		};
	}

	/**
	The path of nearly every packet: a push of the next batch of a known stream costs three look-ups and one object.
	*/
	#onPush(from: NodeId, packet: Push): void {
		const {batch, repair} = packet;
		if (repair && this.#refill.take(from, batch)) return;
		const topic = this.#streams.topics.get(batch.topic);
		if (topic === undefined) return;
		const isWanted = topic.since !== undefined && batch.lamport > topic.since;
		const stream = isWanted ? this.#streams.of(topic, batch.origin, batch.incarnation) : undefined;
		if (stream !== undefined) {
			if (lastSeq(batch) < stream.next || stream.held?.has(batch.firstSeq)) {
				if (!repair) this.#fanout.duplicate(topic.subscribers.length - 1);
			} else this.#take(stream, from, packet);
		}

		if (repair && stream !== undefined) this.#repair.answered(from, stream);
	}

	#take(stream: Stream, from: NodeId, {batch, hops, complete, repair}: Push): void {
		const others = stream.topic.subscribers.length - 1;
		this.#fanout.fresh(others);
		const isMissed = repair && stream.lack?.isCatchUp === false;
		if (isMissed) this.#fanout.miss(others);
		const arrival: Arrival = {batch, hops: Math.max(1, hops), repaired: repair, from};
		const hasGap = this.#order.take(stream, arrival);
		if (isMissed) this.#dissemination.relayPulled(stream, batch, from);
		if (repair) return;
		if (!complete) this.#dissemination.relay(stream, batch, from, hops);
		// What comes straight from its origin comes in order: the gap is a loss. Over relays the earlier batch may be
		// on its way.
		if (hasGap)
			this.#repair.lacks(stream, {
				peer: from,
				high: lastSeq(batch),
				inTicks: hops <= 1 ? 0 : offerTicks,
				isCatchUp: this.#isCatchingUp(from, stream),
			});
		else if (stream.next <= stream.known && stream.lack === undefined)
			this.#repair.lacks(stream, {
				peer: from,
				high: stream.known,
				inTicks: offerTicks,
				isCatchUp: this.#isCatchingUp(from, stream),
			});
	}

	/**
	What is lacking was not missed by pushes: it is of a time when this node and the origin, or the sender, could not
	reach one another.
	*/
	#isCatchingUp(from: NodeId, {origin}: Stream): boolean {
		return (
			!this.#exchange.isSynced(from) ||
			(this.#context.isReachable(origin.id) && !this.#exchange.isSynced(origin.id))
		);
	}

	#onIhave(from: NodeId, topics: readonly TopicWatermarks[]): void {
		for (const [name, watermarks] of topics) {
			const topic = this.#streams.topics.get(name);
			if (topic?.since === undefined) continue;
			for (const watermark of watermarks)
				this.#learn(topic, watermark, {
					peer: from,
					inTicks: offerTicks,
					isCatchUp: !this.#exchange.isSynced(from),
				});
		}
	}

	/** Somebody has a stream up to `high`. The stream, if this node lacks some of that. */
	#learn(
		topic: TopicStreams,
		[origin, incarnation, low, high, lamport]: Watermark,
		clue: Omit<Clue, 'high'>,
	): Stream | undefined {
		if (high === 0) return undefined;
		const stream = this.#streams.of(topic, origin, incarnation);
		if (!stream || high < stream.next) return undefined;
		if (lamport <= topic.since!) {
			this.#order.skipTo(stream, high + 1, lamport);
			return undefined;
		}

		stream.know(high, lamport);
		this.#repair.lacks(stream, {...clue, high, peer: low <= high ? clue.peer : undefined});
		return stream;
	}

	/** Nobody has what comes before `next`. */
	#lose(stream: Stream, next: number): void {
		const {topic, origin} = stream;
		// Where nothing of the stream was here before, its first wanted message is unknown.
		const messages =
			stream.next > 1 || topic.since === 0 || topic.isResumed ? next - Math.max(stream.next, stream.told) : 1;
		if (messages > 0)
			this.#context.outbox.missed({topic: topic.name, origin: origin.id, messages, isAwaited: isAwaited(stream)});
		stream.told = Math.max(stream.told, next);
		this.#order.skipTo(stream, next, stream.knownLamport);
	}

	#fold(stream: Stream): void {
		const {topic, origin, known} = stream;
		const next = Math.max(stream.next, stream.told);
		if (topic.since !== undefined && next <= known)
			this.#context.outbox.missed({
				topic: topic.name,
				origin: origin.id,
				messages: known - next + 1,
				isAwaited: isAwaited(stream),
			});
		this.#held.drop(stream, () => true);
		this.#repair.forget(stream);
		this.#exchange.forget(stream);
		this.#context.hit('lives');
	}

	/** True when the topic is newly subscribed to. */
	#setSince(topic: TopicStreams, since: number | undefined): boolean {
		const before = topic.since;
		if (before === since) return false;
		topic.since = since;
		// What a deletion interrupts goes on from the time of that. Until then it is not known whether it does.
		if (since !== undefined && since !== topic.deletedUntil) topic.countsFrom = since;
		else if (since === undefined && topic.deletedUntil === undefined) topic.countsFrom = Number.POSITIVE_INFINITY;
		if (since !== undefined) topic.deletedUntil = undefined;
		for (const stream of topic.streams()) {
			if (since === undefined) {
				this.#repair.forget(stream);
				this.#held.drop(stream, () => true);
				continue;
			}

			if (stream.rewind(since)) this.#repair.forget(stream);
			this.#order.resume(stream);
		}

		return since !== undefined;
	}
}

/**
Who reads the topic waits for what comes next of the stream: something of it was here under this subscription, or all of
it is wanted from now on.
*/
function isAwaited({topic, next, lamport}: Stream): boolean {
	return topic.isResumed || (next > 1 && lamport > topic.countsFrom);
}
