/**
Where a reader stands in a topic, in words that mean the same at every node: of each stream (origin, incarnation) the
last sequence number that it has. Offsets do not: each node's log has its own order. Within a log the numbers of a
stream only rise, so one number a stream is enough.

Of a stream that is not named the reader has what was stamped at or before `since`, or does not want it; later stamps
are new to it.
*/
import type {NodeId, StreamKey, Topic} from './message.ts';

/** Where a reader begins in a node's own log: with what comes, with the oldest message, or with an offset. */
export type From = 'now' | 'beginning' | number;

export type StreamPosition = readonly [origin: NodeId, incarnation: number, seq: number];
export type TopicPosition = {
	readonly topic: Topic;
	readonly since: number;
	readonly streams: readonly StreamPosition[];
};

/**
A place in this node's logs; or one that is told in words that other nodes understand (`agreed` of the reading), and may
come from another node.
*/
export type Place = From | {readonly from: From; readonly after?: readonly TopicPosition[] | undefined};

/** Streams in the positions of one subscription, over all its topics. */
export const positionsMax = 16_384;
/** Lives of an origin in a topic; a node keeps four open, what is older counts as seen. */
const livesMax = 16;

/** What a reader has seen of one topic. Memory: a number a stream. */
export class Seen {
	since: number;
	/** Streams that are kept. */
	size = 0;
	readonly #origins = new Map<NodeId, Map<number, number>>();
	/** Lives below it count as seen. */
	readonly #oldest = new Map<NodeId, number>();

	constructor({since, streams}: Pick<TopicPosition, 'since' | 'streams'> = {since: 0, streams: []}) {
		this.since = since;
		for (const [origin, incarnation, seq] of streams) this.note(origin, incarnation, seq);
	}

	/** The last number that was seen; `undefined` when the stream is not known. */
	of(origin: NodeId, incarnation: number): number | undefined {
		const seq = this.#origins.get(origin)?.get(incarnation);
		return seq === undefined && incarnation < (this.#oldest.get(origin) ?? 0) ? Infinity : seq;
	}

	/** Is anything of the stream up to this number, stamped up to then, new? */
	isFresh(origin: NodeId, incarnation: number, seq: number, lamport: number): boolean {
		const known = this.of(origin, incarnation);
		return known === undefined ? lamport > this.since : seq > known;
	}

	/** Everything of the stream up to this number was seen. */
	note(origin: NodeId, incarnation: number, seq: number): void {
		let lives = this.#origins.get(origin);
		if (!lives) {
			lives = new Map();
			this.#origins.set(origin, lives);
		}

		const known = lives.get(incarnation);
		if (known !== undefined) {
			if (seq > known) lives.set(incarnation, seq);
			return;
		}

		if (incarnation < (this.#oldest.get(origin) ?? 0)) return;
		lives.set(incarnation, seq);
		this.size++;
		if (lives.size <= livesMax) return;
		const oldest = Math.min(...lives.keys());
		lives.delete(oldest);
		this.size--;
		this.#oldest.set(origin, oldest + 1);
	}

	/** Forget the origin that was met first. How many streams that are. */
	forgetOne(): number {
		const [first] = this.#origins;
		if (!first) return 0;
		const [origin, lives] = first;
		this.#origins.delete(origin);
		this.#oldest.delete(origin);
		this.size -= lives.size;
		return lives.size;
	}

	streams(): StreamPosition[] {
		return [...this.#origins].flatMap(([origin, lives]) =>
			[...lives].map(([incarnation, seq]): StreamPosition => [origin, incarnation, seq]),
		);
	}
}

/** Origin and incarnation of a stream. */
export function streamOf(key: StreamKey): readonly [origin: NodeId, incarnation: number] {
	const [origin, incarnation] = key.split(':', 2) as [NodeId, string];
	return [origin, Number(incarnation)];
}
