/**
Batches that arrived before their turn. They wait in memory, under one bound for all streams. A batch over the bound is
refused and counted. It is pulled again later, because the stream remembers the highest known sequence number.
*/
import type {Arrival, Stream} from './streams.ts';

/** Memory cost of a held batch besides its bytes. */
const overheadBytes = 256;

export class Held {
	bytes = 0;
	count = 0;
	refused = 0;
	readonly #bytesMax: number;

	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax;
	}

	/** Adds a batch; false when there is no room. */
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

	/** Removes and returns the batch that starts at `seq`. */
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

	/** Drops the batches for which `isUseless` holds. */
	drop(stream: Stream, isUseless: (arrival: Arrival) => boolean): void {
		for (const [seq, arrival] of stream.held ?? []) if (isUseless(arrival)) this.take(stream, seq);
	}

	/** First sequence number of the earliest held batch; `undefined` when there is none. */
	lowest(stream: Stream): number | undefined {
		if (!stream.held) return undefined;
		let lowest = Number.POSITIVE_INFINITY;
		for (const seq of stream.held.keys()) lowest = Math.min(lowest, seq);
		return lowest;
	}
}
