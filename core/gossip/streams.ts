/**
What this node has of every stream (origin, incarnation, topic): where it stands, which ranges of it the node's log
still holds, and what it is known to lack. Memory grows with origins × topics, never with messages: a stream is a few
numbers, because its sequence numbers are dense and are released in order (everything below `next` is done).

An origin that restarts begins a new stream, a **life**. The newest `livesMax` lives of an (origin, topic) are kept;
older ones count as seen.

The hash of a topic sums a hash of each (origin, incarnation, high): the sum does not depend on the order in which
streams were met.
*/
import {lastSeq, type Batch, type BatchHeader, type NodeId, type Topic} from '../message.ts';
import type {Watermark} from './packet.ts';

export const livesMax = 4;
/** Ranges that are remembered of one stream; gaps come from retention and from times without a subscription. */
const rangesMax = 8;

/** A batch on its way to the log: held until it is next of its stream, then released. */
export type Arrival = {readonly batch: Batch; readonly hops: number; readonly repaired: boolean; readonly from: NodeId};
/** Sequence numbers, both ends included. */
export type Range = {from: number; to: number};

/** A stream that lacks something, and what was tried to get it (`repair.ts`). */
export type Lack = {
	/** Not asked for before this tick: a push may be on its way. */
	dueTick: number;
	/** Whom the outstanding request was sent to. */
	asked: NodeId | undefined;
	/** It was learnt when a peer appeared, not missed by a push. */
	isCatchUp: boolean;
	/** Peers that hold more than we do, as far as is known: their highest sequence number. */
	readonly claims: Map<NodeId, number>;
	/** Peers that said no: where theirs goes on, 0 for nowhere. */
	readonly refusals: Map<NodeId, number>;
	/** Peers that did not answer in this cycle. */
	readonly tried: Set<NodeId>;
	/** `next` when it last moved, and the tick at which it was found there. */
	stuckAt: number;
	stuckTick: number;
	/** Cycles over the candidates that brought nothing. */
	cycles: number;
};

export class Stream {
	readonly topic: TopicStreams;
	readonly origin: Origin;
	readonly incarnation: number;
	/** Everything below it is released, not wanted, or given up. */
	next = 1;
	/** Stamp of the batch that ends at `next - 1`; 0 when unknown. */
	lamport = 0;
	/** Highest sequence number that somebody is known to have had. */
	known = 0;
	/** The stamp of `known`, or a later one. */
	knownLamport = 0;
	/** What the log holds, oldest first. */
	ranges: Range[] = [];
	/** Batches that came before their turn, by first sequence number. */
	held: Map<number, Arrival> | undefined;
	lack: Lack | undefined;
	/** What is below it came, or was told as missed. */
	told = 1;
	/** Nothing of it is released: what comes next may be what damage took, and belongs in a hole (`refill.ts`). */
	isStill = false;
	/**
	Behind the last that was released here, and the stamp of that: what `skipTo` passed over since may still come, in
	order.
	*/
	#releasedNext = 1;
	#releasedLamport = 0;

	constructor(topic: TopicStreams, origin: Origin, incarnation: number) {
		this.topic = topic;
		this.origin = origin;
		this.incarnation = incarnation;
	}

	/** The batch is in the log, or about to be: it was next. */
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
	What is later than `since` is wanted: go back to what was passed over, as far as the order of what is here allows.
	True when there is any.
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
	The log holds it again, or held it all the time where it was put later: neither it nor what comes before it is to be
	released any more.
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

	/** What is below `next` will not come any more, or is not wanted. */
	skipTo(next: number, lamport: number): void {
		this.next = next;
		if (lamport > this.lamport) this.lamport = lamport;
		this.know(next - 1, lamport);
		this.topic.touch();
	}

	/** Somebody went up to `high`. */
	know(high: number, lamport: number): void {
		if (this.known < high) this.known = high;
		if (this.knownLamport < lamport) this.knownLamport = lamport;
	}

	/** The log starts at `floor` now. */
	trim(floor: number): void {
		this.ranges = this.ranges.filter(({to}) => to >= floor);
		const oldest = this.ranges[0];
		if (oldest && oldest.from < floor) oldest.from = floor;
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
	/** Ascending incarnations, at most `livesMax`. */
	readonly lives: Stream[] = [];
	/** Batches of this life and of those before it may be released (`lives.ts`). */
	open = -1;
	/** A newer life waits until the older ones are known to be complete. */
	hold: {sinceTick: number; askTick: number; isVouched: boolean; isTold: boolean; incarnation: number} | undefined;

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
	The Lamport time above which what is passed over is told as missed: that from which on this node subscribes. A
	deletion ends a subscription, and who reads through it goes on behind the deletion: then it stays that of the
	subscription before.

	*/
	countsFrom = Number.POSITIVE_INFINITY;
	/** The topic was deleted up to here, and a subscription ended with it. */
	deletedUntil: number | undefined;
	readonly origins = new Map<NodeId, Origin>();
	/** Batches held. */
	held = 0;
	#hash: number | undefined;

	constructor(name: Topic) {
		this.name = name;
	}

	/** The subscription goes on behind a deletion that interrupted it. */
	get isResumed(): boolean {
		return this.since !== undefined && this.countsFrom < this.since;
	}

	/** Something changed that the hash covers. */
	touch(): void {
		this.#hash = undefined;
	}

	/** 53 bits over (origin, incarnation, high) of every stream that is not empty. */
	get hash(): number {
		if (this.#hash !== undefined) return this.#hash;
		let a = 0;
		let b = 0;
		for (const origin of this.origins.values()) {
			for (const {incarnation, next} of origin.lives) {
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
		for (const {hash, lives} of this.origins.values()) {
			for (const {incarnation, next} of lives)
				if (next > 1) sums[hash & (count - 1)]! += mix(hash, incarnation, next);
		}

		return sums;
	}

	*streams(): Generator<Stream> {
		for (const origin of this.origins.values()) yield* origin.lives;
	}
}

export class Streams {
	readonly topics = new Map<Topic, TopicStreams>();
	count = 0;
	/** Streams that could not be kept. */
	refused = 0;
	readonly #max: number;
	readonly #onFold: (stream: Stream) => void;

	/** @param max streams in all. @param onFold a life is about to be forgotten. */
	constructor(max: number, onFold: (stream: Stream) => void) {
		this.#max = max;
		this.#onFold = onFold;
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
			?.lives.find(life => life.incarnation === incarnation);
	}

	/** The stream, made when new; `undefined` when that life counts as seen, or there are too many. */
	of(topic: TopicStreams, id: NodeId, incarnation: number): Stream | undefined {
		let origin = topic.origins.get(id);
		if (origin) {
			const {lives} = origin;
			// The newest life is the one that talks.
			for (let index = lives.length - 1; index >= 0; index--) {
				const life = lives[index]!;
				if (life.incarnation === incarnation) return life;
				if (life.incarnation < incarnation) break;
			}

			if (lives.length >= livesMax) {
				const oldest = lives[0]!;
				if (incarnation < oldest.incarnation) return undefined;
				this.#onFold(oldest);
				lives.shift();
				this.count--;
				topic.touch();
			}
		}

		if (this.count >= this.#max) {
			this.refused++;
			return undefined;
		}

		if (!origin) {
			origin = new Origin(topic, id);
			topic.origins.set(id, origin);
		}

		const stream = new Stream(topic, origin, incarnation);
		const after = origin.lives.findIndex(life => life.incarnation > incarnation);
		origin.lives.splice(after === -1 ? origin.lives.length : after, 0, stream);
		this.count++;
		return stream;
	}
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
