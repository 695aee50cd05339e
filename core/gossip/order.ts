/**
From arrivals to the log: each stream is released in order, once, from the first batch that is wanted.

A batch is next of its stream if it starts where the stream stands, or if its predecessor was stamped at or before the
time from which this node subscribes: then it is the first one wanted, whatever came before. Everything else waits
(`held.ts`).
*/
import {lastSeq, type NodeId} from '../message.ts';
import type {Context} from './context.ts';
import type {Held} from './held.ts';
import type {Incarnations} from './incarnations.ts';
import type {Arrival, Stream} from './streams.ts';

export class Order {
	/** Batches of an older life that were released after a newer one. */
	late = 0;
	readonly #context: Context;
	readonly #held: Held;
	readonly #lives: Incarnations;
	readonly #onRepaired: (from: NodeId, messages: number) => void;

	constructor(
		context: Context,
		held: Held,
		lives: Incarnations,
		onRepaired: (from: NodeId, messages: number) => void,
	) {
		this.#context = context;
		this.#held = held;
		this.#lives = lives;
		this.#onRepaired = onRepaired;
	}

	/** Take in a batch that is wanted and was not here before. True when there is a gap before it. */
	take(stream: Stream, arrival: Arrival): boolean {
		const {batch} = arrival;
		const isNext = batch.firstSeq === stream.next || batch.previousLamport <= stream.topic.since!;
		if (isNext && !stream.isStill && this.#lives.isReleasable(stream, arrival.from)) {
			this.#release(stream, arrival);
			if (stream.held !== undefined) this.#drain(stream);
			return false;
		}

		stream.know(lastSeq(batch), batch.lamport);
		this.#held.add(stream, arrival);
		return !isNext;
	}

	/** What is below `next` is not wanted, or gone. */
	skipTo(stream: Stream, next: number, lamport: number): void {
		this.#passOver(stream, next, lamport);
		stream.skipTo(next, lamport);
		this.resume(stream);
	}

	/** What may be released has changed: look at what waits. */
	resume(stream: Stream): void {
		const {since} = stream.topic;
		if (!stream.held) return;
		this.#held.drop(
			stream,
			({batch}) => since === undefined || batch.lamport <= since || lastSeq(batch) < stream.next,
		);
		if (since === undefined || stream.isStill) return;
		for (const [seq, {batch, from}] of stream.held ?? []) {
			if (seq !== stream.next && batch.previousLamport > since) continue;
			// The first that is next may also be the first of its life that could be.
			if (!this.#lives.isReleasable(stream, from)) return;
			this.#release(stream, this.#held.take(stream, seq)!);
			this.#drain(stream);
			return;
		}
	}

	/**
	What is below `next`, stamped up to then, does not come. As far as it was wanted, and is not told yet, it is told: a
	deletion took it before it was here.
	*/
	#passOver(stream: Stream, next: number, lamport: number): void {
		const {topic, origin} = stream;
		const messages = next - Math.max(stream.next, stream.told);
		if (messages <= 0 || lamport <= topic.countsFrom) return;
		stream.told = next;
		this.#context.outbox.missed({topic: topic.name, origin: origin.id, messages, isAwaited: true});
	}

	#drain(stream: Stream): void {
		while (stream.held !== undefined && stream.incarnation <= stream.origin.open) {
			const arrival = this.#held.take(stream, stream.next);
			if (!arrival) return;
			this.#release(stream, arrival);
		}
	}

	#release(stream: Stream, arrival: Arrival): void {
		const {origin} = stream;
		this.#passOver(stream, arrival.batch.firstSeq, arrival.batch.previousLamport);
		stream.append(arrival.batch);
		this.#context.outbox.release(arrival);
		if (
			stream.incarnation < origin.open &&
			origin.lives.some(life => life.incarnation > stream.incarnation && life.ranges.length > 0)
		)
			this.late++;
		if (arrival.repaired) this.#onRepaired(arrival.from, arrival.batch.count);
		if (origin.hold !== undefined) this.#lives.check(origin);
	}
}
