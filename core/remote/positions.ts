/**
The positions that a follower has reached in its topics, so that it can continue at any node: each message once, in the
order of its origin. Messages that a new node sends a second time are skipped. Numbers that the new node skips were gone
before they could be read, and are counted.
*/
import type {Message, Topic} from '../message.ts';
import {positionsMax, Seen, type TopicPosition} from '../position.ts';

/** Topics with positions; each has a stream at least. */
export const topicsMax = positionsMax;

/** A message that was read. */
type Read = Pick<Message, 'topic' | 'origin' | 'incarnation' | 'seq' | 'lamport'>;

export class Positions {
	/** Messages that the nodes after the first one no longer had. */
	missed = 0;
	/** Streams whose positions were dropped at a bound. */
	forgotten = 0;
	readonly #topics = new Map<Topic, Seen>();
	/** Number of streams over all topics. */
	#size = 0;
	readonly #max: number;

	/** @param max streams over all topics. */
	constructor(max: number = positionsMax) {
		this.#max = max;
	}

	/** Sets the start positions at the first node: earlier messages are not wanted. */
	begin(starts: readonly TopicPosition[]): void {
		for (const {topic, since, streams} of starts) {
			const seen = this.#of(topic);
			seen.since = Math.max(seen.since, since);
			for (const [origin, incarnation, seq] of streams) this.#note(seen, {origin, incarnation, seq});
		}

		this.#bound();
	}

	/** Notes messages of the first node, which are all new, as read. */
	note(deliveries: readonly Read[]): void {
		for (let at = 0; at < deliveries.length;) {
			const end = runFrom(deliveries, at);
			const last = deliveries[end - 1]!;
			this.#note(this.#of(last.topic), last);
			at = end;
		}

		this.#bound();
	}

	/**
	The messages of a later node, or a later connection, that were not read before. They count as read from now on.
	*/
	filterUnread<One extends Read>(deliveries: readonly One[]): readonly One[] {
		let fresh: One[] | undefined;
		for (let at = 0; at < deliveries.length;) {
			const first = deliveries[at]!;
			const end = runFrom(deliveries, at);
			const skipped = this.#skip(first, end - at);
			if (skipped > 0) fresh ??= deliveries.slice(0, at);
			if (fresh) for (let index = at + skipped; index < end; index++) fresh.push(deliveries[index]!);
			at = end;
		}

		this.#bound();
		return fresh ?? deliveries;
	}

	/** The positions for the next node. */
	after(): readonly TopicPosition[] {
		return [...this.#topics].map(([topic, seen]) => ({topic, since: seen.since, streams: seen.streams()}));
	}

	/** How many of `count` consecutive messages were read before; then notes all as read. */
	#skip({topic, origin, incarnation, seq, lamport}: Read, count: number): number {
		const seen = this.#of(topic);
		const known = seen.of(origin, incarnation);
		if (known === undefined && lamport <= seen.since) return count;
		const skipped = known === undefined ? 0 : Math.min(count, Math.max(0, known - seq + 1));
		if (known !== undefined && seq > known + 1) this.missed += seq - known - 1;
		if (skipped < count) this.#note(seen, {origin, incarnation, seq: seq + count - 1});
		return skipped;
	}

	#of(topic: Topic): Seen {
		let seen = this.#topics.get(topic);
		if (!seen) {
			if (this.#topics.size >= topicsMax) this.#forgetOldest();
			seen = new Seen();
			this.#topics.set(topic, seen);
		}

		return seen;
	}

	/** A node may send messages of ever new topics. */
	#forgetOldest(): void {
		const [oldest] = this.#topics;
		if (!oldest) return;
		const [topic, {size}] = oldest;
		this.#topics.delete(topic);
		this.#size -= size;
		this.forgotten += size;
	}

	#note(seen: Seen, {origin, incarnation, seq}: Omit<Read, 'topic' | 'lamport'>): void {
		const before = seen.size;
		seen.note(origin, incarnation, seq);
		this.#size += seen.size - before;
	}

	/** Drops streams of the topics that have the most, and some more than needed, so that it happens seldom. */
	#bound(): void {
		if (this.#size <= this.#max) return;
		const target = this.#max - Math.floor(this.#max / 16);
		while (this.#size > target) {
			for (const seen of [...this.#topics.values()].toSorted((one, other) => other.size - one.size)) {
				if (this.#size <= target) break;
				const streams = seen.dropOldest();
				this.#size -= streams;
				this.forgotten += streams;
			}
		}
	}
}

/** The index after the last of the consecutive messages of one batch that start at `at`. */
function runFrom(deliveries: readonly Read[], at: number): number {
	let end = at + 1;
	while (end < deliveries.length && isNext(deliveries[end - 1]!, deliveries[end]!)) end++;
	return end;
}

/** Messages of a batch share a stamp, which no other batch of their stream has. */
function isNext(before: Read, next: Read): boolean {
	return (
		next.seq === before.seq + 1 &&
		next.origin === before.origin &&
		next.incarnation === before.incarnation &&
		next.topic === before.topic &&
		next.lamport === before.lamport
	);
}
