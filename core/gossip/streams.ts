/**
What a node has of each stream (origin, incarnation, topic): everything below `next` is released, in order, once; what came too early is
held in bounded memory; what is known to exist elsewhere is lacking until it comes. Memory is O(origins × topics): lives of an origin that
lie far back are folded into a floor, below which everything counts as seen.
*/
import type {Batch, NodeId, Topic} from '../message.ts';
import type {Watermark} from './packet.ts';

export type Held = {readonly batch: Batch; readonly hops: number; readonly repaired: boolean; readonly from: NodeId};

export class Stream {
	readonly topic: Topic;
	readonly origin: NodeId;
	readonly incarnation: number;
	/** Sequence number of the next message to release. */
	next = 1;
	/** The highest number that is known to exist. */
	known = 0;
	/** The lowest that the own log still keeps; 0 when it keeps none. */
	low = 0;
	lastLamport = 0;
	readonly held = new Map<number, Held>();
	/** Peers that said they have what is lacking, newest last. */
	holders: NodeId[] = [];
	/** Who was asked, and until which tick the answer is waited for. */
	asked: {readonly peer: NodeId; readonly untilTick: number; readonly next: number} | undefined;
	/** Not before this tick is anybody asked: the push may be on its way. */
	askTick = 0;
	/** Tick at which something began to lack; 0 when nothing does. */
	lackingSince = 0;
	/** An earlier life of the origin may still have messages that come first; until this tick. */
	blockedUntil = 0;
	/** The origin itself said that this life has no more than we have. */
	isComplete = false;

	constructor(topic: Topic, origin: NodeId, incarnation: number) {
		this.topic = topic;
		this.origin = origin;
		this.incarnation = incarnation;
	}

	get isLacking(): boolean {
		return this.known >= this.next && !this.held.has(this.next);
	}

	/** The end of the first gap: up to the first batch that is held, else all that is known. */
	get gapEnd(): number {
		let end = this.known;
		for (const first of this.held.keys()) if (first > this.next && first - 1 < end) end = first - 1;
		return end;
	}

	isHeldBy(peer: NodeId): void {
		if (this.holders.at(-1) === peer) return;
		this.holders = [...this.holders.filter(other => other !== peer), peer].slice(-4);
	}
}

const livesMax = 4;

export class TopicStreams {
	readonly topic: Topic;
	/** `undefined` while this node is not subscribed. */
	since: number | undefined;
	/** Other nodes that subscribe, sorted. */
	subscribers: readonly NodeId[] = [];
	readonly streams = new Map<string, Stream>();
	/** Lives of an origin below this count as seen. */
	readonly #floors = new Map<NodeId, number>();
	#hash: number | undefined;

	constructor(topic: Topic) {
		this.topic = topic;
	}

	get(origin: NodeId, incarnation: number): Stream | undefined {
		return this.streams.get(`${origin}:${incarnation}`);
	}

	/** The stream, made when it is new; `undefined` when its life lies below the floor. */
	open(origin: NodeId, incarnation: number, tick: number, blockTicks: number): Stream | undefined {
		const known = this.get(origin, incarnation);
		if (known) return known;
		if (incarnation < (this.#floors.get(origin) ?? 0)) return undefined;
		const lives = [...this.streams.values()].filter(stream => stream.origin === origin);
		const stream = new Stream(this.topic, origin, incarnation);
		if (lives.some(life => life.incarnation < incarnation && !life.isComplete)) stream.blockedUntil = tick + blockTicks;
		this.streams.set(`${origin}:${incarnation}`, stream);
		this.changed();
		if (lives.length < livesMax) return stream;
		const oldest = [...lives, stream].toSorted((a, b) => a.incarnation - b.incarnation)[0]!;
		this.#floors.set(origin, oldest.incarnation + 1);
		this.streams.delete(`${origin}:${oldest.incarnation}`);
		return oldest === stream ? undefined : stream;
	}

	/** Earlier lives of the same origin. */
	earlier(stream: Stream): Stream[] {
		return [...this.streams.values()].filter(other => other.origin === stream.origin && other.incarnation < stream.incarnation);
	}

	changed(): void {
		this.#hash = undefined;
	}

	/** The same on two nodes that have the same. FNV-1a over sorted (origin, incarnation, high), 32 bits. */
	get hash(): number {
		if (this.#hash !== undefined) return this.#hash;
		let hash = 0x81_1C_9D_C5;
		for (const line of [...this.streams.values()].filter(({next}) => next > 1).map(({origin, incarnation, next}) => `${origin}:${incarnation}:${next};`).toSorted()) {
			for (let at = 0; at < line.length; at++) hash = Math.imul(hash ^ line.charCodeAt(at), 0x01_00_01_93);
		}

		this.#hash = hash >>> 0;
		return this.#hash;
	}

	watermarks(): Watermark[] {
		return [...this.streams.values()].filter(({next}) => next > 1).map(({origin, incarnation, low, next, lastLamport}) => ({origin, incarnation, low: low === 0 ? next : low, high: next - 1, lamport: lastLamport}));
	}
}
