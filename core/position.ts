/**
The position of a reader in a topic, in terms that hold at every node: for each stream (origin, incarnation) the last
sequence number that the reader has. Offsets do not hold elsewhere, because each node's log has its own order. Within a
log the numbers of a stream only increase, so one number per stream is enough.

Of a stream that is not listed, the reader has the messages stamped at or before `since`, or does not want them; later
ones are new to it.
*/
import type {NodeId, StreamKey, Topic} from './message.ts';

/** Start of a reader in a node's own log: the next message, the oldest message, or an offset. */
export type From = 'now' | 'beginning' | number;

export type StreamPosition = readonly [origin: NodeId, incarnation: number, seq: number];
/**
The position of a reader in one topic: the last sequence number of each stream that it has. Of other streams it has, or
does not want, what is stamped up to the Lamport time `since`.
*/
export type TopicPosition = {
	readonly topic: Topic;
	readonly since: number;
	readonly streams: readonly StreamPosition[];
};

/** The start of a subscription in one topic. */
export type SubscriptionStart = TopicPosition & {
	/**
	The offset after the newest message of the node's log. Absent from a node of an earlier release, and for a start
	after a position.
	*/
	readonly end?: number | undefined;
};

/**
A start in this node's logs, or a position that any node understands (from `agreed` of a subscription), which may come
from another node.
*/
export type Place = From | {readonly from: From; readonly after?: readonly TopicPosition[] | undefined};

/** Streams in the positions of one subscription, over all its topics. */
export const positionsMax = 16_384;
/** Incarnations of an origin in a topic; older ones count as seen. As many as a node keeps (`gossip/streams.ts`). */
export const incarnationsMax = 1024;

/** The position of a reader in one topic; one number per stream. */
export class Seen {
	since: number;
	/** Number of streams. */
	size = 0;
	readonly #origins = new Map<NodeId, Map<number, number>>();
	/** Incarnations below this count as seen. */
	readonly #oldest = new Map<NodeId, number>();

	constructor({since, streams}: Pick<TopicPosition, 'since' | 'streams'> = {since: 0, streams: []}) {
		this.since = since;
		for (const [origin, incarnation, seq] of streams) this.note(origin, incarnation, seq);
	}

	/** The last number seen of the stream; `undefined` for an unknown stream. */
	of(origin: NodeId, incarnation: number): number | undefined {
		const seq = this.#origins.get(origin)?.get(incarnation);
		return seq === undefined && incarnation < (this.#oldest.get(origin) ?? 0) ? Infinity : seq;
	}

	/** Whether the stream has something new up to this number, with stamps up to `lamport`. */
	isFresh(origin: NodeId, incarnation: number, seq: number, lamport: number): boolean {
		const known = this.of(origin, incarnation);
		return known === undefined ? lamport > this.since : seq > known;
	}

	/** Notes that the stream was seen up to this number. */
	note(origin: NodeId, incarnation: number, seq: number): void {
		let incarnations = this.#origins.get(origin);
		if (!incarnations) {
			incarnations = new Map();
			this.#origins.set(origin, incarnations);
		}

		const known = incarnations.get(incarnation);
		if (known !== undefined) {
			if (seq > known) incarnations.set(incarnation, seq);
			return;
		}

		if (incarnation < (this.#oldest.get(origin) ?? 0)) return;
		incarnations.set(incarnation, seq);
		this.size++;
		if (incarnations.size <= incarnationsMax) return;
		const oldest = Math.min(...incarnations.keys());
		incarnations.delete(oldest);
		this.size--;
		this.#oldest.set(origin, oldest + 1);
	}

	/** Drops the origin that was added first, and returns its number of streams. */
	dropOldest(): number {
		const [first] = this.#origins;
		if (!first) return 0;
		const [origin, incarnations] = first;
		this.#origins.delete(origin);
		this.#oldest.delete(origin);
		this.size -= incarnations.size;
		return incarnations.size;
	}

	streams(): StreamPosition[] {
		return [...this.#origins].flatMap(([origin, incarnations]) =>
			[...incarnations].map(([incarnation, seq]): StreamPosition => [origin, incarnation, seq]),
		);
	}
}

/** Origin and incarnation of a stream. */
export function streamOf(key: StreamKey): readonly [origin: NodeId, incarnation: number] {
	const [origin, incarnation] = key.split(':', 2) as [NodeId, string];
	return [origin, Number(incarnation)];
}
