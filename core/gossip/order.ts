/**
FIFO order: each stream is released to the log in order, once, from the first wanted batch.

A batch is the next of its stream if it starts at `next`. It is also the next if its predecessor was stamped at or
before the time from which this node subscribes: then it is the first wanted batch. All others wait (`held.ts`).
*/
import {lastSeq, type NodeId} from '../message.ts';
import type {Context} from './context.ts';
import type {Held} from './held.ts';
import type {Incarnations} from './incarnations.ts';
import type {Arrival, Stream} from './streams.ts';

export class Order {
	/** Batches of an older incarnation that were released after a newer one. */
	late = 0;
	readonly #context: Context;
	readonly #held: Held;
	readonly #incarnations: Incarnations;
	readonly #onRepaired: (from: NodeId, messages: number) => void;

	constructor(
		context: Context,
		held: Held,
		incarnations: Incarnations,
		onRepaired: (from: NodeId, messages: number) => void,
	) {
		this.#context = context;
		this.#held = held;
		this.#incarnations = incarnations;
		this.#onRepaired = onRepaired;
	}

	/** Accepts a wanted, new batch. True when there is a gap before it. */
	accept(stream: Stream, arrival: Arrival): boolean {
		const {batch} = arrival;
		const isNext = batch.firstSeq === stream.next || batch.previousLamport <= stream.topic.since!;
		if (isNext && !stream.isPaused && this.#incarnations.isReleasable(stream, arrival.from)) {
			this.#release(stream, arrival);
			if (stream.held !== undefined) this.#drain(stream);
			return false;
		}

		stream.know(lastSeq(batch), batch.lamport);
		this.#held.add(stream, arrival);
		return !isNext;
	}

	/** Skips the batches below `next`: they are unwanted or lost. A batch that is here shows that this is not true. */
	skipTo(stream: Stream, next: number, lamport: number): void {
		for (const {batch} of stream.held?.values() ?? []) if (batch.firstSeq < next && lastSeq(batch) >= next) return;
		this.#reportSkipped(stream, next, lamport);
		stream.skipTo(next, lamport);
		this.resume(stream);
	}

	/** Releases held batches after a change of what may be released. */
	resume(stream: Stream): void {
		const {since} = stream.topic;
		if (!stream.held) return;
		this.#held.drop(
			stream,
			({batch}) => since === undefined || batch.lamport <= since || lastSeq(batch) < stream.next,
		);
		if (since === undefined || stream.isPaused) return;
		for (const [seq, {batch, from}] of stream.held ?? []) {
			if (seq !== stream.next && batch.previousLamport > since) continue;
			// This may be the first batch of its incarnation, so check again.
			if (!this.#incarnations.isReleasable(stream, from)) return;
			this.#release(stream, this.#held.take(stream, seq)!);
			this.#drain(stream);
			return;
		}
	}

	/**
	Batches below `next`, stamped up to `lamport`, will not come: a deletion of the topic removed them before they
	arrived. The wanted ones that were not reported before are reported as missed.
	*/
	#reportSkipped(stream: Stream, next: number, lamport: number): void {
		const {topic, origin} = stream;
		const messages = next - Math.max(stream.next, stream.reportedNext);
		if (messages <= 0 || lamport <= topic.countsFrom) return;
		stream.reportedNext = next;
		this.#context.outbox.missed({topic: topic.name, origin: origin.id, messages, isAwaited: true});
	}

	#drain(stream: Stream): void {
		while (stream.held !== undefined && stream.incarnation <= stream.origin.releasableUpTo) {
			const arrival = this.#held.take(stream, stream.next);
			if (!arrival) return;
			this.#release(stream, arrival);
		}
	}

	#release(stream: Stream, arrival: Arrival): void {
		const {origin} = stream;
		this.#reportSkipped(stream, arrival.batch.firstSeq, arrival.batch.previousLamport);
		stream.append(arrival.batch);
		this.#context.outbox.release(arrival);
		if (
			stream.incarnation < origin.releasableUpTo &&
			origin.incarnations.some(other => other.incarnation > stream.incarnation && other.ranges.length > 0)
		)
			this.late++;
		if (arrival.repaired) this.#onRepaired(arrival.from, arrival.batch.count);
		if (origin.hold !== undefined) this.#incarnations.check(origin);
	}
}
