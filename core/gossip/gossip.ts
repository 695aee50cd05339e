/**
Gossip: every subscriber of a live topic receives each batch once, in the order of its origin, although packets get
lost, nodes crash and the network splits. Pushes carry a batch to nearly all subscribers within a few hops
(`dissemination.ts`). Lost pushes are repaired by pulls (`repair.ts`), and comparing digests finds the losses that no
gap reveals (`exchange.ts`). Demers et al. 1987, Birman et al. 1999 (bimodal multicast), Leitão et al. 2007 (Plumtree).

The machine is pure. Batches arrive verified; the broker stores released batches and then delivers them.
*/
import type {Machine} from '../machine.ts';
import {
	lastSeq,
	streamKey,
	type Batch,
	type BatchHeader,
	type NodeId,
	type SequenceGap,
	type StreamKey,
	type Topic,
} from '../message.ts';
import {Backfill} from './backfill.ts';
import {Context, type GossipOptions, type GossipReady} from './context.ts';
import {Dissemination} from './dissemination.ts';
import {Exchange} from './exchange.ts';
import {Fanout} from './fanout.ts';
import {Held} from './held.ts';
import {Incarnations} from './incarnations.ts';
import {Order} from './order.ts';
import {wantsMax, type GossipPacket, type PacketOf, type Push, type TopicWatermarks, type Watermark} from './packet.ts';
import {Repair, type Evidence} from './repair.ts';
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
	/** Peers that a node pushes a batch to, in the topic with the most subscribers: all of a few, else an average. */
	readonly fanout: number;
	/** Shares over the last seconds, 0 to 1: duplicates among received batches, and pulled batches among new ones. */
	readonly duplicates: number;
	readonly misses: number;
	/** Batches that wait for an earlier one, and their bytes. */
	readonly held: number;
	readonly heldBytes: number;
	readonly heldByTopic: ReadonlyMap<Topic, number>;
	readonly streams: number;
	/** Streams that miss something, and origins whose newer incarnation waits for an older one. */
	readonly waiting: number;
	/** Wanted messages that are known to exist, and are not here. */
	readonly missing: number;
	/** The same for each origin, the most first. */
	readonly missingOf: ReadonlyArray<{readonly origin: NodeId; readonly messages: number}>;
	readonly waitingIncarnations: number;
	/**
	Batches of an older incarnation that were released after a newer one; newer incarnations that were released without
	a confirmation of their origin.
	*/
	readonly late: number;
	readonly unconfirmed: number;
	/** One row per reachable peer. */
	readonly inSync: ReadonlyArray<{readonly peer: NodeId; readonly synced: boolean}>;
	/** Streams that peers claimed beyond their limit. */
	readonly claimsRefused: ReadonlyMap<NodeId, number>;
	/** How often each bound was hit, by name. */
	readonly bounds: ReadonlyMap<string, number>;
};

export type Gossip = Machine<GossipPacket, GossipReady> & {
	/** Sets the agreed subscriptions, always the complete map. */
	setSubscriptions(topics: ReadonlyMap<Topic, Subscribed>): void;
	/** Sets the peers whose link is up. A peer that newly appears is compared with at once. */
	setReachable(peers: readonly NodeId[]): void;
	/** Sets the nodes that were removed from the cluster and will not come back. */
	setRemoved(nodes: readonly NodeId[]): void;
	/** Compares with these peers again. Each reachable one appears in `synced` later. */
	resync(peers: readonly NodeId[]): void;
	/** A congested peer gets no pushes; it pulls what it misses. */
	setCongested(peer: NodeId, congested: boolean): void;
	/** Spreads a batch of this node. The broker stores it; it is not released here. */
	publish(batch: Batch): void;
	/** At start: a batch in the log, of any origin. Called in log order. */
	recover(header: BatchHeader): void;
	/** The log lost these ranges to damage: pull them back. The result comes in `backfilled`. */
	backfill(topic: Topic, gaps: readonly SequenceGap[]): void;
	/** The end of a backfill: `placed` are in the log again, the rest of `gaps` stays lost. */
	backfillDone(topic: Topic, placed: readonly BatchHeader[], gaps: readonly SequenceGap[]): void;
	/**
	Retention deleted batches. `floors` has the lowest sequence number that the log still holds of each stream; a stream
	without an entry has nothing left.
	*/
	retained(topic: Topic, floors: ReadonlyMap<StreamKey, number>): void;
	/** The topic was deleted: batches stamped up to `until` are neither wanted nor waited for. */
	deleted(topic: Topic, until: number): void;
	status(): GossipStatus;
};

const streamsMax = 1 << 18;
/** Control packets accepted from one peer per tick. */
const packetsMax = 4096;
/** A stream that only gone peers claim is forgotten after this many rounds of `repairMs`. */
const claimRounds = 60;
/** Wait before pulling an offered batch, because a push may be on its way. */
const offerTicks = 2;

export function createGossip(options: GossipOptions): Gossip {
	return new GossipMachine(options);
}

class GossipMachine implements Gossip {
	readonly #context: Context;
	readonly #streams: Streams;
	readonly #held: Held;
	readonly #fanout: Fanout;
	readonly #incarnations: Incarnations;
	readonly #order: Order;
	readonly #repair: Repair;
	readonly #backfill: Backfill;
	readonly #dissemination: Dissemination;
	readonly #exchange: Exchange;
	/** Control packets received in this tick, by peer. */
	readonly #packetCounts = new Map<NodeId, number>();
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
		this.#streams = new Streams(
			streamsMax,
			stream => this.#fold(stream),
			stream => this.#forget(stream),
		);
		this.#incarnations = new Incarnations(context, stream => this.#order.resume(stream));
		this.#order = new Order(context, this.#held, this.#incarnations, (from, messages) =>
			this.#exchange.pulled(from, messages),
		);
		this.#repair = new Repair(
			context,
			this.#streams,
			this.#held,
			(stream, next) => this.#lose(stream, next),
			(peer, topic) => this.#backfill.isAsking(peer, topic),
		);
		this.#backfill = new Backfill(
			context,
			this.#streams,
			(peer, topic) => this.#repair.isAsking(peer, topic),
			stream => this.#order.resume(stream),
		);
		this.#dissemination = new Dissemination(context, this.#fanout, new Views(context));
		this.#exchange = new Exchange(
			context,
			this.#streams,
			this.#dissemination,
			options.incarnation,
			(topic, watermark, evidence) => this.#learn(topic, watermark, evidence),
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
		this.#repair.again([]);
	}

	setReachable(peers: readonly NodeId[]): void {
		const {appeared, gone} = this.#context.setReachable(peers);
		for (const peer of gone) {
			this.#exchange.gone(peer);
			this.#repair.gone(peer);
			this.#backfill.gone(peer);
			this.#dissemination.gone(peer);
			this.#packetCounts.delete(peer);
			this.#streams.claims.gone(peer, this.#context.now);
		}

		for (const peer of appeared) {
			this.#incarnations.appeared(peer);
			this.#streams.claims.appeared(peer);
		}

		if (appeared.length === 0) return;
		this.#exchange.appeared(appeared);
		this.#repair.again(appeared);
		this.#backfill.appeared();
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
		const isOpening = origin.releasableUpTo < batch.incarnation;
		origin.releasableUpTo = batch.incarnation;
		stream.append(batch);
		// Release held batches of this node's earlier incarnations now: nothing else would, after this one.
		if (isOpening) for (const earlier of origin.incarnations) this.#order.resume(earlier);
		this.#dissemination.publish(stream, batch);
	}

	recover(header: BatchHeader): void {
		const topic = this.#streams.topic(header.topic);
		const stream = this.#streams.of(topic, header.origin, header.incarnation);
		if (!stream) return;
		if (header.firstSeq < stream.next) return stream.fill(header);
		// The log has had all batches of this node itself.
		if (header.origin === this.#context.self && stream.next === 1) stream.deletedTo = header.firstSeq - 1;
		stream.append(header);
		stream.origin.releasableUpTo = Math.max(stream.origin.releasableUpTo, header.incarnation);
		// The last batch of an earlier incarnation may have reached no peer: advertise it again.
		if (header.origin === this.#context.self && stream.ranges.length === 1) this.#exchange.own(stream);
	}

	backfill(topic: Topic, gaps: readonly SequenceGap[]): void {
		this.#backfill.add(topic, gaps);
	}

	backfillDone(topic: Topic, placed: readonly BatchHeader[], gaps: readonly SequenceGap[]): void {
		this.#backfill.done(topic, placed, gaps);
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

		const count = (this.#packetCounts.get(from) ?? 0) + 1;
		this.#packetCounts.set(from, count);
		if (count > packetsMax) {
			this.#context.hit('packets');
			return;
		}

		switch (packet.type) {
			case 'ihave':
				return this.#onIhave(from, packet.topics);
			case 'iwant':
				return this.#repair.serve(from, packet);
			case 'ihavenot': {
				if (this.#backfill.refused(from, packet)) return;
				this.#exchange.refused(from, packet);
				return this.#repair.refused(from, packet);
			}

			case 'served': {
				if (this.#backfill.served(from, packet)) return;
				const topic = this.#streams.topics.get(packet.topic);
				if (!topic) return;
				for (const [origin, incarnation, asked, then, since] of packet.passed) {
					const stream = this.#streams.find(packet.topic, origin, incarnation);
					// Batches skipped as unwanted may be wanted by now: compare the `since` of the request.
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
			case 'ask':
				return this.#answerAsk(from, packet);

			case 'told': {
				const topic = this.#streams.topics.get(packet.topic);
				if (topic?.since === undefined) return;
				for (const watermark of packet.streams)
					this.#learn(topic, watermark, {peer: from, inTicks: 0, isCatchUp: true});
				const origin = topic.origins.get(packet.origin);
				if (origin) this.#incarnations.onAnswer(from, origin, packet.incarnation);
				return;
			}

			default:
				return packet satisfies never;
		}
	}

	tick(): void {
		const context = this.#context;
		context.now++;
		this.#packetCounts.clear();
		this.#incarnations.tick();
		this.#repair.tick();
		this.#backfill.tick();
		this.#exchange.tick();
		this.#dissemination.tick();
		if (context.now % this.#turnTicks !== 0) return;
		this.#fanout.turn();
		this.#streams.claims.expire(context.now - context.ticks(context.config.repairMs * claimRounds));
	}

	ready(): GossipReady | undefined {
		this.#repair.pump();
		this.#backfill.pump();
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
			missing: this.#repair.missing,
			missingOf: this.#repair.missingOf(),
			waitingIncarnations: this.#incarnations.waiting,
			late: this.#order.late,
			unconfirmed: this.#incarnations.unconfirmed,
			inSync: this.#exchange.peers(),
			claimsRefused: this.#streams.claims.refused,
			bounds: new Map([
				...bounds,
				['held', this.#held.refused],
				['streams', (bounds.get('streams') ?? 0) + this.#streams.refused],
			]),
		};
	}

	/** Lists the streams of an origin, oldest first. Only the last part counts as the whole answer. */
	#answerAsk(from: NodeId, {topic, origin}: PacketOf<'ask'>): void {
		const incarnations = this.#streams.topics.get(topic)?.origins.get(origin)?.incarnations ?? [];
		const streams = incarnations.filter(({next}) => next > 1).map(({watermark}) => watermark);
		for (let at = 0; at === 0 || at < streams.length; at += wantsMax)
			this.#context.outbox.send(from, {
				type: 'told',
				topic,
				origin,
				incarnation: at + wantsMax < streams.length ? 0 : this.#incarnation,
				streams: streams.slice(at, at + wantsMax),
			});
	}

	/** The hot path: a push of the next batch of a known stream costs three look-ups and one object. */
	#onPush(from: NodeId, packet: Push): void {
		const {batch, repair} = packet;
		if (repair && this.#backfill.accept(from, batch)) return;
		const topic = this.#streams.topics.get(batch.topic);
		if (topic === undefined) return;
		const isWanted = topic.since !== undefined && batch.lamport > topic.since;
		const stream = isWanted ? this.#streams.of(topic, batch.origin, batch.incarnation) : undefined;
		if (stream !== undefined) {
			// A batch is skipped as a whole, so a part of one also shows that a claim was false.
			const isSkipped = repair ? lastSeq(batch) >= stream.next : true;
			if (isSkipped && stream.takeBack(batch.firstSeq)) {
				stream.reportedNext = Math.min(stream.reportedNext, batch.firstSeq);
				this.#takenBack(stream);
			}

			if (lastSeq(batch) < stream.next || stream.held?.has(batch.firstSeq)) {
				if (!repair) this.#fanout.duplicate(topic.subscribers.length - 1);
			} else this.#accept(stream, from, packet);
		}

		if (repair && stream !== undefined) this.#repair.answered(from, stream);
	}

	#accept(stream: Stream, from: NodeId, {batch, hops, complete, repair}: Push): void {
		const others = stream.topic.subscribers.length - 1;
		this.#fanout.fresh(others);
		const isMissed = repair && stream.lack?.isCatchUp === false;
		if (isMissed) this.#fanout.miss(others);
		const arrival: Arrival = {batch, hops: Math.max(1, hops), repaired: repair, from};
		const hasGap = this.#order.accept(stream, arrival);
		if (isMissed) this.#dissemination.relayPulled(stream, batch, from);
		if (repair) return;
		if (!complete) this.#dissemination.relay(stream, batch, from, hops);
		// Pushes straight from the origin arrive in order, so the gap is a loss. Over relays the earlier batch may
		// still be on its way.
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
	Whether missing batches date from a time when this node could not reach the origin or the sender. Then no push was
	lost, and they do not count as misses.
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

	/** Some node has a stream up to `high`. Returns the stream if this node misses part of it. */
	#learn(
		topic: TopicStreams,
		[origin, incarnation, low, high, lamport]: Watermark,
		evidence: Omit<Evidence, 'high' | 'peer'> & {readonly peer: NodeId},
	): Stream | undefined {
		if (high === 0) return undefined;
		const {peer: by} = evidence;
		const stream = this.#streams.claimed(topic, origin, incarnation, by);
		if (!stream) return undefined;
		if (by === origin && lamport > topic.since! && stream.takeBack(high)) this.#takenBack(stream);
		if (high < stream.next) return undefined;
		if (lamport <= topic.since!) {
			this.#order.skipTo(stream, high + 1, lamport);
			return undefined;
		}

		stream.know(high, lamport);
		this.#repair.lacks(stream, {...evidence, high, peer: low <= high ? by : undefined});
		return stream;
	}

	#takenBack(stream: Stream): void {
		this.#context.hit('false-claims');
		this.#repair.forget(stream);
	}

	/** No node has the batches below `next`. */
	#lose(stream: Stream, next: number): void {
		const {topic, origin} = stream;
		// If nothing of the stream was here before, its first wanted message is unknown: count one.
		const messages =
			stream.next > 1 || topic.since === 0 || topic.isResumed
				? next - Math.max(stream.next, stream.reportedNext)
				: 1;
		const missed = {topic: topic.name, origin: origin.id, isAwaited: isAwaited(stream)};
		const deletedTo = stream.lack?.deletedTo ?? 0;
		const deleted = Math.max(0, Math.min(messages, deletedTo - (next - messages) + 1));
		if (deleted > 0) this.#context.outbox.missed({...missed, messages: deleted, isRetention: true});
		if (messages > deleted) this.#context.outbox.missed({...missed, messages: messages - deleted});
		stream.reportedNext = Math.max(stream.reportedNext, next);
		this.#order.skipTo(stream, next, stream.knownLamport);
	}

	/** The stream is forgotten: messages of it that are missing will not come. */
	#fold(stream: Stream): void {
		if (!stream.isSpent) this.#context.hit('incarnations');
		const {topic, origin, known} = stream;
		const next = Math.max(stream.next, stream.reportedNext);
		if (topic.since !== undefined && next <= known)
			this.#context.outbox.missed({
				topic: topic.name,
				origin: origin.id,
				messages: known - next + 1,
				isAwaited: isAwaited(stream),
			});
		this.#forget(stream);
	}

	#forget(stream: Stream): void {
		this.#held.drop(stream, () => true);
		this.#repair.forget(stream);
		this.#exchange.forget(stream);
	}

	/** Sets the subscription time of the topic. True when this node newly subscribes. */
	#setSince(topic: TopicStreams, since: number | undefined): boolean {
		const before = topic.since;
		if (before === since) return false;
		topic.since = since;
		// A subscription that resumes after a deletion starts at the stamp of the deletion. Whether it resumes is not
		// known before.
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
Whether a reader of the topic waits for the next batch of the stream: it received part of the stream under this
subscription, or the subscription covers all of it.
*/
function isAwaited({topic, next, lamport}: Stream): boolean {
	return topic.isResumed || (next > 1 && lamport > topic.countsFrom);
}
