/**
Gossip as a value: spreads batches to every subscriber of their topic. Eager push to some, lazy offers to others (Plumtree, Leitão 2007),
and anti-entropy that compares digests and pulls what is missing (Demers 1987). In a small cluster one hand reaches everyone and each
batch crosses each link once; in a large one receivers relay, once each.

Batches are released in the order of their stream, once; the broker writes and delivers them in that order.
*/
import type {Config} from '../config.ts';
import type {Machine, Outbound, Random} from '../machine.ts';
import {lastSeq, streamKey, type Batch, type BatchHeader, type NodeId, type StreamKey, type Topic} from '../message.ts';
import {Fanout} from './fanout.ts';
import {digestTopicsMax, rangesMax, streamsMax, type GossipControl, type GossipPacket, type Range} from './packet.ts';
import {TopicStreams, type Held, type Stream} from './streams.ts';

export type {GossipPacket} from './packet.ts';
export type Want = Range & {readonly sinceLamport: number};
export type GossipReady = {
	readonly packets: ReadonlyArray<Outbound<GossipPacket>>;
	/** In order: store, then deliver. */
	readonly released: readonly Held[];
	/** Read the log and send what matches as repair pushes, then `served`. */
	readonly serve: ReadonlyArray<{readonly to: NodeId; readonly topic: Topic; readonly wants: readonly Want[]; readonly bytesMax: number}>;
	/** Retention took them away everywhere that could be asked. */
	readonly missed: ReadonlyArray<{readonly topic: Topic; readonly origin: NodeId; readonly messages: number}>;
	/** A peer that came into reach has nothing that is missing here; `messages` were pulled from it since. */
	readonly synced: ReadonlyArray<{readonly peer: NodeId; readonly messages: number}>;
};
export type GossipStatus = {
	readonly fanout: number;
	readonly duplicates: number;
	readonly misses: number;
	/** Batches that wait for an earlier one. */
	readonly held: number;
	readonly heldBytes: number;
	readonly heldByTopic: ReadonlyMap<Topic, number>;
	/** Batches that were not held for want of room; they are pulled again. */
	readonly refused: number;
	readonly streams: number;
	readonly unsynced: readonly NodeId[];
};
export type GossipOptions = {readonly self: NodeId; readonly incarnation: number; readonly random: Random; readonly tickMs: number; readonly config: Config['gossip']};
export type Gossip = Machine<GossipPacket, GossipReady> & {
	setSubscriptions(topics: ReadonlyMap<Topic, {readonly subscribers: readonly NodeId[]; readonly since: number | undefined}>): void;
	/** A peer that newly appears is asked for its digest at once. */
	setReachable(peers: readonly NodeId[]): void;
	/** Compare digests with these peers anew; each comes back in `synced`. */
	resync(peers: readonly NodeId[]): void;
	/** A congested peer gets no pushes; it pulls what it lacks. */
	setCongested(peer: NodeId, isCongested: boolean): void;
	/** A batch of this node's own, which the broker stores. */
	publish(batch: Batch): void;
	/** What the log holds, oldest first, before anything else. */
	recover(header: BatchHeader): void;
	/** Retention dropped something: the lowest number that is still kept, by stream. */
	retained(topic: Topic, floors: ReadonlyMap<StreamKey, number>): void;
	status(): GossipStatus;
};

const askMs = 500;
const offerWaitMs = 50;
const blockMs = 2000;
/** How long an origin that cannot be reached may come back with what is lacking. */
const patienceMs = 30_000;

export function createGossip(options: GossipOptions): Gossip {
	return new GossipMachine(options);
}

class GossipMachine implements Gossip {
	readonly #options: GossipOptions;
	readonly #topics = new Map<Topic, TopicStreams>();
	readonly #fanout: Fanout;
	readonly #lacking = new Set<Stream>();
	readonly #blocked = new Set<Stream>();
	readonly #congested = new Set<NodeId>();
	/** Peers whose digest was not yet found to hold nothing new, and how many messages came from them. */
	readonly #unsynced = new Map<NodeId, number>();
	readonly #offers = new Map<NodeId, Map<Topic, Range[]>>();
	#reachable: readonly NodeId[] = [];
	#tick = 0;
	#repairTick = 0;
	#heldBytes = 0;
	#heldBatches = 0;
	#refused = 0;
	#packets: Array<Outbound<GossipPacket>> = [];
	#released: Held[] = [];
	#serve: Array<GossipReady['serve'][number]> = [];
	#missed: Array<GossipReady['missed'][number]> = [];
	#synced: Array<GossipReady['synced'][number]> = [];

	constructor(options: GossipOptions) {
		this.#options = options;
		this.#fanout = new Fanout(options.config.fanoutMin, options.config.fanoutMax);
	}

	status(): GossipStatus {
		const heldByTopic = new Map<Topic, number>();
		let streams = 0;
		let subscribers = 0;
		for (const [name, topic] of this.#topics) {
			streams += topic.streams.size;
			subscribers = Math.max(subscribers, topic.subscribers.length);
			let held = 0;
			for (const stream of topic.streams.values()) held += stream.held.size;
			if (held > 0) heldByTopic.set(name, held);
		}

		return {
			fanout: this.#fanout.of(subscribers), duplicates: this.#fanout.duplicates, misses: this.#fanout.misses,
			held: this.#heldBatches, heldBytes: this.#heldBytes, heldByTopic, refused: this.#refused, streams, unsynced: [...this.#unsynced.keys()],
		};
	}

	ready(): GossipReady | undefined {
		if (this.#packets.length === 0 && this.#released.length === 0 && this.#serve.length === 0 && this.#missed.length === 0 && this.#synced.length === 0) return undefined;
		const ready = {packets: this.#packets, released: this.#released, serve: this.#serve, missed: this.#missed, synced: this.#synced};
		this.#packets = [];
		this.#released = [];
		this.#serve = [];
		this.#missed = [];
		this.#synced = [];
		return ready;
	}

	setSubscriptions(topics: ReadonlyMap<Topic, {readonly subscribers: readonly NodeId[]; readonly since: number | undefined}>): void {
		for (const [name, topic] of this.#topics) {
			if (topics.has(name)) continue;
			topic.subscribers = [];
			topic.since = undefined;
		}

		for (const [name, {subscribers, since}] of topics) {
			const topic = this.#topic(name);
			const isNew = topic.since === undefined && since !== undefined;
			topic.subscribers = subscribers.filter(node => node !== this.#options.self);
			topic.since = since;
			if (isNew) for (const peer of this.#reachable) this.#sendDigest(peer);
		}
	}

	setReachable(peers: readonly NodeId[]): void {
		const before = new Set(this.#reachable);
		this.#reachable = peers;
		for (const peer of this.#unsynced.keys()) if (!peers.includes(peer)) this.#unsynced.delete(peer);
		for (const peer of peers) {
			if (before.has(peer)) continue;
			this.#unsynced.set(peer, 0);
			this.#sendDigest(peer);
		}
	}

	resync(peers: readonly NodeId[]): void {
		for (const peer of peers) {
			if (!this.#reachable.includes(peer)) continue; // Asked when it comes into reach.
			if (!this.#unsynced.has(peer)) this.#unsynced.set(peer, 0);
			this.#sendDigest(peer);
		}
	}

	setCongested(peer: NodeId, isCongested: boolean): void {
		if (isCongested) this.#congested.add(peer);
		else this.#congested.delete(peer);
	}

	publish(batch: Batch): void {
		const topic = this.#topic(batch.topic);
		const stream = topic.open(batch.origin, batch.incarnation, this.#tick, 0)!;
		this.#passed(topic, stream, batch);
		this.#disseminate(topic, batch, 0, undefined);
	}

	recover(header: BatchHeader): void {
		const topic = this.#topic(header.topic);
		const stream = topic.open(header.origin, header.incarnation, this.#tick, 0);
		if (stream && header.firstSeq >= stream.next) this.#passed(topic, stream, header);
	}

	retained(name: Topic, floors: ReadonlyMap<StreamKey, number>): void {
		const topic = this.#topics.get(name);
		if (!topic) return;
		for (const stream of topic.streams.values()) stream.low = floors.get(streamKey(stream)) ?? 0;
	}

	step(from: NodeId, packet: GossipPacket): void {
		switch (packet.type) {
			case 'push': return this.#onPush(from, packet.batch, packet.hops, packet.complete, packet.repair);
			case 'ihave': return this.#onOffer(from, packet.topic, packet.ranges);
			case 'iwant': {
				const {topic, ranges, since, bytesMax} = packet;
				this.#serve.push({to: from, topic, wants: ranges.map(range => ({...range, sinceLamport: since})), bytesMax: Math.min(bytesMax, this.#options.config.repairBytes)});
				return;
			}

			case 'served': return this.#onServed(from, packet.topic);
			case 'digest': return this.#onDigest(from, packet.topics);
			case 'watermarks': return this.#onWatermarks(from, packet);
			default: return packet satisfies never;
		}
	}

	tick(): void {
		this.#tick++;
		this.#fanout.tick();
		for (const [peer, topics] of this.#offers) for (const [topic, ranges] of topics) this.#send(peer, {type: 'ihave', topic, ranges});
		this.#offers.clear();
		for (const stream of this.#blocked) if (this.#tick >= stream.blockedUntil) this.#unblock(stream);
		for (const stream of this.#lacking) this.#pursue(stream);
		if (this.#tick < this.#repairTick) return;
		const repairTicks = Math.ceil(this.#options.config.repairMs / this.#options.tickMs);
		this.#repairTick = this.#tick + Math.ceil(repairTicks / 2) + this.#options.random.below(repairTicks);
		if (this.#reachable.length > 0) this.#sendDigest(this.#reachable[this.#options.random.below(this.#reachable.length)]!);
		for (const peer of this.#unsynced.keys()) this.#sendDigest(peer);
	}

	// Push: dedupe, order, relay.

	#onPush(from: NodeId, batch: Batch, hops: number, complete: boolean, repair: boolean): void {
		const topic = this.#topics.get(batch.topic);
		if (topic?.since === undefined || batch.lamport <= topic.since) return; // Not wanted: somebody knew an older state.
		const stream = topic.open(batch.origin, batch.incarnation, this.#tick, Math.ceil(blockMs / this.#options.tickMs));
		if (!stream || batch.firstSeq < stream.next || stream.held.has(batch.firstSeq)) {
			this.#fanout.observe('duplicate');
			return;
		}

		if (repair && this.#unsynced.has(from)) this.#unsynced.set(from, this.#unsynced.get(from)! + batch.count);
		this.#fanout.observe(repair ? 'missed' : 'fresh');
		if (batch.previousLamport <= topic.since && batch.firstSeq > stream.next) this.#skip(stream, batch.firstSeq);
		stream.known = Math.max(stream.known, lastSeq(batch));
		const held: Held = {batch, hops: hops + 1, repaired: repair, from};
		if (batch.firstSeq === stream.next && stream.blockedUntil === 0) this.#release(topic, stream, held);
		else this.#hold(stream, held);
		if (!complete && !repair) this.#disseminate(topic, batch, hops + 1, from);
		if (stream.isLacking) this.#lack(stream, from, 0);
	}

	#release(topic: TopicStreams, stream: Stream, first: Held): void {
		for (let held: Held | undefined = first; held; held = stream.held.get(stream.next)) {
			this.#drop(stream, held);
			this.#passed(topic, stream, held.batch);
			this.#released.push(held);
		}
	}

	#hold(stream: Stream, held: Held): void {
		if (stream.blockedUntil > 0) this.#blocked.add(stream);
		if (this.#heldBytes + held.batch.bytes.length > this.#options.config.heldBytes) {
			this.#refused++;
			return;
		}

		stream.held.set(held.batch.firstSeq, held);
		this.#heldBytes += held.batch.bytes.length;
		this.#heldBatches++;
	}

	#drop(stream: Stream, {batch}: Held): void {
		if (!stream.held.delete(batch.firstSeq)) return;
		this.#heldBytes -= batch.bytes.length;
		this.#heldBatches--;
	}

	/** The stream goes on behind this batch. */
	#passed(topic: TopicStreams, stream: Stream, header: BatchHeader): void {
		stream.next = lastSeq(header) + 1;
		stream.known = Math.max(stream.known, lastSeq(header));
		stream.lastLamport = header.lamport;
		if (stream.low === 0) stream.low = header.firstSeq;
		topic.changed();
		if (stream.known < stream.next && this.#lacking.delete(stream)) {
			stream.lackingSince = 0;
			stream.asked = undefined;
		}
	}

	/** What lies before `next` is not wanted, or is gone. */
	#skip(stream: Stream, next: number): void {
		stream.next = next;
		for (const held of [...stream.held.values()]) if (held.batch.firstSeq < next) this.#drop(stream, held);
		this.#topic(stream.topic).changed();
	}

	/** Release what is held, if it is next. */
	#resume(stream: Stream): void {
		const held = stream.held.get(stream.next);
		if (held && stream.blockedUntil === 0) this.#release(this.#topic(stream.topic), stream, held);
	}

	#unblock(stream: Stream): void {
		stream.blockedUntil = 0;
		this.#blocked.delete(stream);
		this.#resume(stream);
	}

	#disseminate(topic: TopicStreams, batch: Batch, hops: number, from: NodeId | undefined): void {
		const pool: NodeId[] = [];
		for (const peer of topic.subscribers) {
			if (peer !== from && peer !== batch.origin && !this.#congested.has(peer) && this.#reachable.includes(peer)) pool.push(peer);
		}

		const fanout = hops === 0 ? this.#fanout.of(topic.subscribers.length) : Math.max(1, this.#fanout.of(topic.subscribers.length) - 1);
		const complete = hops === 0 && fanout >= pool.length;
		for (let pushed = 0; pushed < fanout && pool.length > 0; pushed++) {
			const at = complete ? pool.length - 1 : this.#options.random.below(pool.length);
			const [peer] = pool.splice(at, 1);
			this.#send(peer!, {type: 'push', batch, hops, complete, repair: false});
		}

		for (const peer of pool.slice(0, this.#options.config.fanoutMax)) this.#offer(peer, batch);
	}

	#offer(peer: NodeId, {topic, origin, incarnation, firstSeq, count}: Batch): void {
		let topics = this.#offers.get(peer);
		if (!topics) {
			topics = new Map();
			this.#offers.set(peer, topics);
		}

		const ranges = topics.get(topic) ?? [];
		topics.set(topic, ranges);
		const last = ranges.at(-1);
		if (last && last.origin === origin && last.incarnation === incarnation && last.to === firstSeq - 1) ranges[ranges.length - 1] = {...last, to: firstSeq + count - 1};
		else if (ranges.length < rangesMax) ranges.push({origin, incarnation, from: firstSeq, to: firstSeq + count - 1});
	}

	// Repair: who has what, and asking for it.

	#onOffer(from: NodeId, name: Topic, ranges: readonly Range[]): void {
		const topic = this.#topics.get(name);
		if (topic?.since === undefined) return;
		for (const {origin, incarnation, to} of ranges) {
			const stream = topic.open(origin, incarnation, this.#tick, Math.ceil(blockMs / this.#options.tickMs));
			if (!stream || to < stream.next) continue;
			stream.known = Math.max(stream.known, to);
			if (stream.isLacking) this.#lack(stream, from, Math.ceil(offerWaitMs / this.#options.tickMs));
		}
	}

	#lack(stream: Stream, holder: NodeId, waitTicks: number): void {
		stream.isHeldBy(holder);
		if (!this.#lacking.has(stream)) {
			this.#lacking.add(stream);
			stream.lackingSince = this.#tick;
			stream.askTick = this.#tick + waitTicks;
		}

		this.#pursue(stream);
	}

	/** Ask for the first gap of the stream: one question at a time, another holder when there is no answer. */
	#pursue(stream: Stream): void {
		if (!stream.isLacking) {
			if (stream.known < stream.next) this.#lacking.delete(stream);
			return;
		}

		if (stream.asked && this.#tick < stream.asked.untilTick && this.#reachable.includes(stream.asked.peer)) return;
		if (this.#tick < stream.askTick) return;
		if (stream.asked) stream.holders = [stream.asked.peer, ...stream.holders.filter(peer => peer !== stream.asked!.peer)];
		const {since} = this.#topic(stream.topic);
		const peer = stream.holders.findLast(holder => this.#reachable.includes(holder));
		if (peer === undefined || since === undefined) {
			stream.asked = undefined;
			this.#giveUp(stream);
			return;
		}

		stream.asked = {peer, untilTick: this.#tick + Math.ceil(askMs / this.#options.tickMs), next: stream.next};
		this.#send(peer, {type: 'iwant', topic: stream.topic, ranges: [{origin: stream.origin, incarnation: stream.incarnation, from: stream.next, to: stream.gapEnd}], since, bytesMax: this.#options.config.repairBytes});
	}

	#onServed(from: NodeId, name: Topic): void {
		for (const stream of this.#lacking) {
			if (stream.topic !== name || stream.asked?.peer !== from) continue;
			// It sent what it has. With progress, go on at once; without, it is no holder of what is lacking.
			if (stream.next === stream.asked.next) stream.holders = stream.holders.filter(peer => peer !== from);
			stream.asked = undefined;
			this.#pursue(stream);
		}

		if (this.#unsynced.has(from) && ![...this.#lacking].some(stream => stream.asked?.peer === from)) this.#sendDigest(from);
	}

	/** Nobody in reach has it. Held messages wait for the origin to come back, but not for ever. */
	#giveUp(stream: Stream): void {
		if (stream.held.size === 0 || this.#tick - stream.lackingSince < patienceMs / this.#options.tickMs) return;
		this.#jump(stream, Math.min(...[...stream.held.keys()].filter(first => first > stream.next)));
	}

	#jump(stream: Stream, next: number): void {
		if (!Number.isFinite(next) || next <= stream.next) return;
		this.#missed.push({topic: stream.topic, origin: stream.origin, messages: next - stream.next});
		this.#skip(stream, next);
		this.#resume(stream);
		if (stream.known < stream.next) this.#lacking.delete(stream);
	}

	// Anti-entropy.

	#sendDigest(peer: NodeId): void {
		const topics = [...this.#topics.values()].filter(({since}) => since !== undefined).slice(0, digestTopicsMax).map(({topic, hash}) => ({topic, hash}));
		if (topics.length > 0) this.#send(peer, {type: 'digest', topics});
		else this.#markSynced(peer);
	}

	#onDigest(from: NodeId, topics: ReadonlyArray<{readonly topic: Topic; readonly hash: number}>): void {
		const {incarnation} = this.#options;
		for (const [index, {topic: name, hash}] of topics.entries()) {
			const topic = this.#topics.get(name);
			const isLast = index === topics.length - 1;
			const isSame = topic === undefined ? false : topic.hash === hash;
			const streams = topic && !isSame ? topic.watermarks() : [];
			for (let at = 0; at === 0 || at < streams.length; at += streamsMax) {
				this.#send(from, {type: 'watermarks', topic: name, isSame, incarnation, streams: streams.slice(at, at + streamsMax), isLast: isLast && at + streamsMax >= streams.length});
			}
		}
	}

	#onWatermarks(from: NodeId, {topic: name, isSame, incarnation, streams, isLast}: Extract<GossipControl, {type: 'watermarks'}>): void {
		const topic = this.#topics.get(name);
		if (topic?.since !== undefined) {
			for (const {origin, incarnation: life, low, high, lamport} of streams) {
				const stream = topic.open(origin, life, this.#tick, Math.ceil(blockMs / this.#options.tickMs));
				if (!stream || high < stream.next) continue;
				if (lamport <= topic.since) {
					this.#skip(stream, high + 1); // All of it is from before the subscription.
					stream.lastLamport = lamport;
					continue;
				}

				stream.known = Math.max(stream.known, high);
				// The origin's own word is the last one: what it has dropped, and nobody else could serve, is gone.
				if (low > stream.next && stream.next > 1 && from === origin && !stream.holders.some(peer => peer !== from && this.#reachable.includes(peer))) this.#jump(stream, low);
				if (stream.isLacking) this.#lack(stream, from, 0);
			}

			this.#settleLives(topic, from, incarnation, isSame, streams);
		}

		if (isLast && ![...this.#lacking].some(stream => stream.holders.includes(from))) this.#markSynced(from);
	}

	/** The origin itself listed its earlier lives: those of which we have all make way for the next. */
	#settleLives(topic: TopicStreams, from: NodeId, incarnation: number, isSame: boolean, streams: readonly {origin: NodeId; incarnation: number; high: number}[]): void {
		for (const stream of topic.streams.values()) {
			if (stream.origin !== from || stream.incarnation >= incarnation) continue;
			const listed = streams.find(other => other.origin === from && other.incarnation === stream.incarnation);
			if (isSame || (listed?.high ?? 0) < stream.next) stream.isComplete = true;
		}

		for (const stream of this.#blocked) {
			if (stream.topic === topic.topic && topic.earlier(stream).every(({isComplete}) => isComplete)) this.#unblock(stream);
		}
	}

	#markSynced(peer: NodeId): void {
		const messages = this.#unsynced.get(peer);
		if (messages === undefined) return;
		this.#unsynced.delete(peer);
		this.#synced.push({peer, messages});
	}

	#topic(name: Topic): TopicStreams {
		let topic = this.#topics.get(name);
		if (!topic) {
			topic = new TopicStreams(name);
			this.#topics.set(name, topic);
		}

		return topic;
	}

	#send(to: NodeId, packet: GossipPacket): void {
		this.#packets.push({to, packet});
	}
}
