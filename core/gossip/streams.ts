/**
The state of every stream (origin, incarnation, topic): its position, the ranges that this node's log still holds, and
what is known to be missing. Memory grows with origins × topics, never with messages: sequence numbers are dense and are
released in order, so everything below `next` is done and a stream is a few numbers.

An origin that restarts begins a new stream under a new incarnation. A stream is kept as long as this node's log has
messages of it, or messages of it are missing. Of the other streams of an (origin, topic) the newest are kept, so that
their messages are not accepted a second time. Batches of a forgotten incarnation count as seen.

A peer can announce streams that do not exist. So streams that are known by the claim of one peer alone are limited for
each peer (`claims.ts`). They never displace a stream of which a batch has arrived.

The hash of a topic sums a hash of each (origin, incarnation, high), so it does not depend on the order of the streams.
*/
import {lastSeq, type Batch, type BatchHeader, type NodeId, type Topic} from '../message.ts';
import {Claims} from './claims.ts';
import type {Watermark} from './packet.ts';

/** Incarnations of an origin in a topic. Beyond it the oldest is forgotten, whatever the logs have of it. */
export const incarnationsMax = 1024;
/** Incarnations above which the oldest is forgotten if nothing of it is here or missing. */
const spentMax = 16;
/** Ranges remembered per stream. Gaps between ranges come from retention and from times without a subscription. */
const rangesMax = 64;

/** A received batch: held until it is the next of its stream, then released. */
export type Arrival = {readonly batch: Batch; readonly hops: number; readonly repaired: boolean; readonly from: NodeId};
/** Sequence numbers, both ends included. */
export type Range = {from: number; to: number};

/** The state of the repair of a stream that misses something (`repair.ts`). */
export type Lack = {
	/** No request before this tick, because a push may be on its way. */
	dueTick: number;
	/** The peer that the outstanding request was sent to. */
	asked: NodeId | undefined;
	/** Learned from a comparison with a peer that appeared, so no push was lost. */
	isCatchUp: boolean;
	/** Peers known to hold more than this node, with their highest sequence number. */
	readonly claims: Map<NodeId, number>;
	/** Peers that do not have `next`, with the first number they do have after it; 0 for none. */
	readonly refusals: Map<NodeId, number>;
	/** Peers that did not answer in this cycle. */
	readonly tried: Set<NodeId>;
	/** Retention deleted batches up to this number at some peer. */
	deletedTo: number;
	/** `next` when it last moved, and the tick at which that was noticed. */
	stuckAt: number;
	stuckTick: number;
	/** Cycles over all candidates without progress. */
	cycles: number;
};

export class Stream {
	readonly topic: TopicStreams;
	readonly origin: Origin;
	readonly incarnation: number;
	/** First sequence number that is not done: everything below is released, unwanted, or given up. */
	next = 1;
	/** Stamp of the batch that ends at `next - 1`; 0 when unknown. */
	lamport = 0;
	/** Highest sequence number that any node is known to have had. */
	known = 0;
	/** The stamp of `known`, or a later one. */
	knownLamport = 0;
	/** Retention deleted batches from the log, the last of them ending at this number; 0 when none is known. */
	deletedTo = 0;
	/** Ranges that the log holds, oldest first. */
	ranges: Range[] = [];
	/** Batches that arrived before their turn, by first sequence number. */
	held: Map<number, Arrival> | undefined;
	lack: Lack | undefined;
	/** Everything below it arrived or was reported as missed. */
	reportedNext = 1;
	/** The peer by whose claim alone the stream is known; `undefined` once a batch of it has arrived. */
	claimant: NodeId | undefined;
	/** Nothing is released while a backfill runs: the next batch may be one that the damage took (`backfill.ts`). */
	isPaused = false;
	/**
	The number after the last released batch, and that batch's stamp. Batches that `skipTo` skipped after it may still
	be released in order if they become wanted again.
	*/
	#releasedNext = 1;
	#releasedLamport = 0;

	constructor(topic: TopicStreams, origin: Origin, incarnation: number) {
		this.topic = topic;
		this.origin = origin;
		this.incarnation = incarnation;
	}

	/** The batch was the next one and is in the log, or about to be stored. */
	append(header: BatchHeader): void {
		const {firstSeq} = header;
		const last = lastSeq(header);
		const newest = this.ranges[this.ranges.length - 1];
		if (newest !== undefined && newest.to === firstSeq - 1) newest.to = last;
		else {
			this.ranges.push({from: firstSeq, to: last});
			if (this.ranges.length > rangesMax) this.ranges.shift();
		}

		this.next = last + 1;
		this.lamport = header.lamport;
		this.#releasedNext = this.next;
		this.#releasedLamport = header.lamport;
		this.know(last, header.lamport);
		this.topic.touch();
	}

	/**
	Batches stamped after `since` are wanted now: move `next` back to the end of the last released batch. True when that
	moved it.
	*/
	rewind(since: number): boolean {
		if (this.next === this.#releasedNext || this.lamport <= since) return false;
		this.next = this.#releasedNext;
		this.lamport = this.#releasedLamport;
		this.known = this.next - 1;
		this.topic.touch();
		return true;
	}

	/**
	The origin has only now published the batch at `seq`, or says that its stream ends there. So a peer lied that
	batches up to `next` exist: none that was skipped was published before. Moves `next` back to the end of the last
	released batch. True when that moved it.
	*/
	takeBack(seq: number): boolean {
		if (seq < this.#releasedNext || seq >= this.next) return false;
		this.next = this.#releasedNext;
		this.lamport = this.#releasedLamport;
		this.known = this.next - 1;
		this.knownLamport = this.lamport;
		this.topic.touch();
		return true;
	}

	/**
	The log holds this batch, placed out of order by a backfill. Neither the batch nor anything before it will be
	released again.
	*/
	fill(header: Pick<BatchHeader, 'firstSeq' | 'count' | 'lamport'>): void {
		const ranges: Range[] = [];
		for (const range of [...this.ranges, {from: header.firstSeq, to: lastSeq(header)}].toSorted(
			(a, b) => a.from - b.from,
		)) {
			const last = ranges.at(-1);
			if (last && range.from <= last.to + 1) last.to = Math.max(last.to, range.to);
			else if (range.from <= range.to) ranges.push({...range});
		}

		this.ranges = ranges.slice(-rangesMax);
		const next = lastSeq(header) + 1;
		if (next <= this.#releasedNext) return;
		this.#releasedNext = next;
		this.#releasedLamport = header.lamport;
		if (next > this.next) this.skipTo(next, header.lamport);
	}

	/** Batches below `next` will not come any more, or are not wanted. */
	skipTo(next: number, lamport: number): void {
		this.next = next;
		if (lamport > this.lamport) this.lamport = lamport;
		this.know(next - 1, lamport);
		this.topic.touch();
	}

	/** Some node has the stream up to `high`. */
	know(high: number, lamport: number): void {
		if (this.known < high) this.known = high;
		if (this.knownLamport < lamport) this.knownLamport = lamport;
	}

	/** Retention moved the start of the log to `floor`. */
	trim(floor: number): void {
		for (const {from, to} of this.ranges)
			if (from < floor) this.deletedTo = Math.max(this.deletedTo, Math.min(to, floor - 1));
		this.ranges = this.ranges.filter(({to}) => to >= floor);
		const oldest = this.ranges[0];
		if (oldest && oldest.from < floor) oldest.from = floor;
	}

	/** It is known by a claim alone, and readers have not been told of a loss. Nothing changes when it is forgotten. */
	get isMereClaim(): boolean {
		return this.claimant !== undefined && this.reportedNext === 1;
	}

	/** The log has nothing of it, and nothing of it is expected. */
	get isSpent(): boolean {
		const isComplete = this.next > this.known || this.topic.since === undefined;
		return isComplete && this.ranges.length === 0 && this.lack === undefined && this.held === undefined;
	}

	get watermark(): Watermark {
		const high = this.next - 1;
		const newest = this.ranges[this.ranges.length - 1];
		return [this.origin.id, this.incarnation, newest?.to === high ? newest.from : this.next, high, this.lamport];
	}
}

/** One origin in one topic. */
export class Origin {
	readonly topic: TopicStreams;
	readonly id: NodeId;
	readonly hash: number;
	/** Ascending incarnations, at most `incarnationsMax`. */
	readonly incarnations: Stream[] = [];
	/** Incarnations up to this one were forgotten, and count as seen. */
	forgottenUpTo = -1;
	/** Batches of this incarnation and of earlier ones may be released (`incarnations.ts`). */
	releasableUpTo = -1;
	/** Set while a newer incarnation waits until the older ones are known to be complete. */
	hold:
		| {sinceTick: number; askTick: number; isConfirmed: boolean; isAnswered: boolean; incarnation: number}
		| undefined;

	constructor(topic: TopicStreams, id: NodeId) {
		this.topic = topic;
		this.id = id;
		this.hash = hashText(id);
	}
}

export class TopicStreams {
	readonly name: Topic;
	/** Sorted; every node that subscribes, self included. */
	subscribers: readonly NodeId[] = [];
	/** Lamport time above which this node wants batches; `undefined` when it does not subscribe. */
	since: number | undefined;
	/**
	Messages stamped after this Lamport time count as missed when they are skipped: the time from which this node
	subscribes. A deletion ends a subscription; a reader that stays on continues after it. Then the value stays that of
	the subscription before the deletion.
	*/
	countsFrom = Number.POSITIVE_INFINITY;
	/** Stamp of the deletion of the topic, until the next subscription. */
	deletedUntil: number | undefined;
	readonly origins = new Map<NodeId, Origin>();
	/** Number of held batches. */
	held = 0;
	#hash: number | undefined;

	constructor(name: Topic) {
		this.name = name;
	}

	/** Whether the subscription continues one that a deletion interrupted. */
	get isResumed(): boolean {
		return this.since !== undefined && this.countsFrom < this.since;
	}

	/** The state that the hash covers has changed. */
	touch(): void {
		this.#hash = undefined;
	}

	/** 53 bits over (origin, incarnation, high) of every stream that is not empty. */
	get hash(): number {
		if (this.#hash !== undefined) return this.#hash;
		let a = 0;
		let b = 0;
		for (const origin of this.origins.values()) {
			for (const {incarnation, next} of origin.incarnations) {
				if (next === 1) continue;
				const word = mix(origin.hash, incarnation, next);
				a = (a + word) >>> 0;
				b = (b + mix(word, next, incarnation)) >>> 0;
			}
		}

		this.#hash = (b & 0x1f_ff_ff) * 2 ** 32 + a;
		return this.#hash;
	}

	/** The same sum for each of `count` parts of the origins, 32 bits each. */
	parts(count: number): Uint32Array {
		const sums = new Uint32Array(count);
		for (const {hash, incarnations} of this.origins.values()) {
			for (const {incarnation, next} of incarnations)
				if (next > 1) sums[hash & (count - 1)]! += mix(hash, incarnation, next);
		}

		return sums;
	}

	*streams(): Generator<Stream> {
		for (const origin of this.origins.values()) yield* origin.incarnations;
	}
}

export class Streams {
	readonly topics = new Map<Topic, TopicStreams>();
	count = 0;
	/** Streams refused because of `max`. */
	refused = 0;
	readonly claims: Claims<Stream>;
	readonly #max: number;
	readonly #onFold: (stream: Stream) => void;

	/**
	@param max streams in all.
	@param onFold called before the oldest incarnation of an origin is forgotten.
	@param onDrop called before a stream is forgotten that is known by a claim alone.
	*/
	constructor(max: number, onFold: (stream: Stream) => void, onDrop: (stream: Stream) => void) {
		this.#max = max;
		this.#onFold = onFold;
		this.claims = new Claims(stream => {
			onDrop(stream);
			this.#remove(stream);
		});
	}

	topic(name: Topic): TopicStreams {
		let topic = this.topics.get(name);
		if (!topic) {
			topic = new TopicStreams(name);
			this.topics.set(name, topic);
		}

		return topic;
	}

	find(name: Topic, origin: NodeId, incarnation: number): Stream | undefined {
		return this.topics
			.get(name)
			?.origins.get(origin)
			?.incarnations.find(existing => existing.incarnation === incarnation);
	}

	/**
	The stream of a batch that is here, created when new. `undefined` when the incarnation counts as seen, or when there
	are too many streams.
	*/
	of(topic: TopicStreams, id: NodeId, incarnation: number): Stream | undefined {
		const origin = topic.origins.get(id);
		const existing = origin && existingIn(origin, incarnation);
		if (existing) {
			this.claims.prove(existing);
			return existing;
		}

		if (origin) {
			const {incarnations} = origin;
			if (incarnation <= origin.forgottenUpTo) return undefined;
			if (incarnations.length >= incarnationsMax) {
				const claim = incarnations.find(({isMereClaim}) => isMereClaim);
				if (claim) this.claims.drop(claim);
				else if (incarnation < incarnations[0]!.incarnation) return undefined;
				else this.#forgetOldest(origin);
			}

			while (
				incarnations.length >= spentMax &&
				incarnations[0]!.isSpent &&
				incarnation > incarnations[0]!.incarnation
			)
				this.#forgetOldest(origin);
		}

		if (this.count >= this.#max && !this.claims.dropOne()) {
			this.refused++;
			return undefined;
		}

		return this.#create(topic, id, incarnation);
	}

	/**
	The stream that a peer says to hold, created when new. It displaces no other stream, except other mere claims of the
	same origin. `undefined` also when the peer has claimed too many.
	*/
	claimed(topic: TopicStreams, id: NodeId, incarnation: number, by: NodeId): Stream | undefined {
		const origin = topic.origins.get(id);
		const existing = origin && existingIn(origin, incarnation);
		if (existing) return existing;
		if (origin) {
			const {incarnations} = origin;
			if (incarnation <= origin.forgottenUpTo || incarnations.length >= incarnationsMax) return undefined;
			const [oldest] = incarnations;
			if (
				incarnations.length >= spentMax &&
				oldest!.isSpent &&
				oldest!.isMereClaim &&
				incarnation > oldest!.incarnation
			)
				this.claims.drop(oldest!);
		}

		if (this.count >= this.#max) {
			this.refused++;
			return undefined;
		}

		if (!this.claims.hasRoom(by)) return undefined;
		const stream = this.#create(topic, id, incarnation);
		this.claims.add(stream, by);
		return stream;
	}

	#create(topic: TopicStreams, id: NodeId, incarnation: number): Stream {
		let origin = topic.origins.get(id);
		if (!origin) {
			origin = new Origin(topic, id);
			topic.origins.set(id, origin);
		}

		const stream = new Stream(topic, origin, incarnation);
		const after = origin.incarnations.findIndex(existing => existing.incarnation > incarnation);
		origin.incarnations.splice(after === -1 ? origin.incarnations.length : after, 0, stream);
		this.count++;
		return stream;
	}

	#forgetOldest(origin: Origin): void {
		const oldest = origin.incarnations[0]!;
		// The incarnation of a claim counts as seen only once it was waited for: batches of earlier ones may follow.
		if (oldest.isMereClaim) return this.claims.drop(oldest);
		this.#onFold(oldest);
		this.claims.prove(oldest);
		origin.incarnations.shift();
		origin.forgottenUpTo = oldest.incarnation;
		this.count--;
		origin.topic.touch();
	}

	#remove({origin, topic, incarnation}: Stream): void {
		const at = origin.incarnations.findIndex(existing => existing.incarnation === incarnation);
		if (at === -1) return;
		origin.incarnations.splice(at, 1);
		if (origin.incarnations.length === 0 && origin.forgottenUpTo === -1) topic.origins.delete(origin.id);
		this.count--;
		topic.touch();
	}
}

function existingIn({incarnations}: Origin, incarnation: number): Stream | undefined {
	// The newest incarnation is the active one.
	for (let index = incarnations.length - 1; index >= 0; index--) {
		const existing = incarnations[index]!;
		if (existing.incarnation === incarnation) return existing;
		if (existing.incarnation < incarnation) return undefined;
	}

	return undefined;
}

function mix(a: number, b: number, c: number): number {
	let hash =
		(a ^
			Math.imul(b, 0x9e_37_79_b1) ^
			Math.imul(c | 0, 0x85_eb_ca_6b) ^
			Math.imul(Math.floor(c / 2 ** 32), 0xc2_b2_ae_35)) |
		0;
	hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
	return (hash ^ (hash >>> 16)) >>> 0;
}

function hashText(text: string): number {
	let hash = 0x81_1c_9d_c5;
	for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01_00_01_93);
	return mix(hash, text.length, 0);
}
