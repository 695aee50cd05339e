/**
Batches that came before their turn. They wait in memory only, under one bound for all streams; what is over it is
refused, counted, and pulled again later, because the stream remembers how far it is known to go.
*/
import type {Arrival, Stream} from './streams.ts';

/** What a held batch costs beside its bytes. */
const overheadBytes = 256;

export class Held {
	bytes = 0;
	count = 0;
	refused = 0;
	readonly #bytesMax: number;

	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax;
	}

	/** False when there is no room. */
	add(stream: Stream, arrival: Arrival): boolean {
		const bytes = arrival.batch.bytes.length + overheadBytes;
		if (this.bytes + bytes > this.#bytesMax) {
			this.refused++;
			return false;
		}

		stream.held ??= new Map();
		stream.held.set(arrival.batch.firstSeq, arrival);
		stream.topic.held++;
		this.bytes += bytes;
		this.count++;
		return true;
	}

	/** The batch that starts at `seq`, taken out. */
	take(stream: Stream, seq: number): Arrival | undefined {
		const arrival = stream.held?.get(seq);
		if (!arrival) return undefined;
		stream.held!.delete(seq);
		if (stream.held!.size === 0) stream.held = undefined;
		stream.topic.held--;
		this.bytes -= arrival.batch.bytes.length + overheadBytes;
		this.count--;
		return arrival;
	}

	/** Forget those that `isUseless`. */
	drop(stream: Stream, isUseless: (arrival: Arrival) => boolean): void {
		for (const [seq, arrival] of stream.held ?? []) if (isUseless(arrival)) this.take(stream, seq);
	}

	/** First sequence number of the earliest batch that waits; `undefined` when none does. */
	lowest(stream: Stream): number | undefined {
		if (!stream.held) return undefined;
		let lowest = Number.POSITIVE_INFINITY;
		for (const seq of stream.held.keys()) lowest = Math.min(lowest, seq);
		return lowest;
	}
}
