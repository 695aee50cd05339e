/**
What was put into the holes of a topic's log. The log only grows, so it lies behind everything that was there at the
time, under the offsets that the lost messages had: records of a kind of their own, each whole or absent after a crash,
kept as long as the segment they lie in.
*/
import {lastSeq, streamKey, type BatchHeader, type StreamKey} from '../message.ts';
import {streamOf, type Seen} from '../position.ts';
import type {StreamWant} from './topic-index.ts';

/** Offsets from `from` on, without `to`; bytes of the log from `position` on, up to `end`. */
export type Fill = {
	readonly from: number;
	to: number;
	readonly position: number;
	end: number;
	readonly streams: Map<StreamKey, {low: number; high: number; lamport: number}>;
};

export class Backfill {
	#fills: Fill[] = [];

	get messages(): number {
		return this.#fills.reduce((sum, {from, to}) => sum + to - from, 0);
	}

	/** A record that lies behind the last one given, or elsewhere. */
	add(header: BatchHeader, offset: number, position: number, end: number): void {
		let fill = this.#fills.find(one => one.to === offset && one.end === position);
		if (!fill) {
			fill = {from: offset, to: offset, position, end, streams: new Map()};
			this.#fills.push(fill);
		}

		fill.to = offset + header.count;
		fill.end = end;
		const key = streamKey(header);
		const {low = header.firstSeq, high = 0, lamport = 0} = fill.streams.get(key) ?? {};
		fill.streams.set(key, {
			low: Math.min(low, header.firstSeq),
			high: Math.max(high, lastSeq(header)),
			lamport: Math.max(lamport, header.lamport),
		});
	}

	/** The one that holds the offset. */
	at(offset: number): Fill | undefined {
		return this.#fills.find(({from, to}) => from <= offset && offset < to);
	}

	/** Where the first one behind the offset begins. */
	after(offset: number): number {
		return this.#fills.reduce((first, {from}) => (from > offset ? Math.min(first, from) : first), Infinity);
	}

	/** The lowest offset; `Infinity` when there is none. */
	get first(): number {
		return this.after(-1);
	}

	/** The lowest number of the stream; `Infinity` when there is none. */
	lowest(stream: StreamKey): number {
		return this.#fills.reduce(
			(lowest, {streams}) => Math.min(lowest, streams.get(stream)?.low ?? Infinity),
			Infinity,
		);
	}

	/** The lowest number of each stream, where that is lower than the one given. */
	lower(floors: Map<StreamKey, number>): Map<StreamKey, number> {
		for (const {streams} of this.#fills)
			for (const [key, {low}] of streams) floors.set(key, Math.min(low, floors.get(key) ?? Infinity));
		return floors;
	}

	/** The lowest offset at which something may be new to the reader; `Infinity` when nothing is. */
	freshFrom(seen: Seen): number {
		const isFresh = ({streams}: Fill): boolean =>
			[...streams].some(([key, {high, lamport}]) => seen.isFresh(...streamOf(key), high, lamport));
		return this.#fills.reduce(
			(lowest, fill) => (fill.from < lowest && isFresh(fill) ? fill.from : lowest),
			Infinity,
		);
	}

	/** The highest number of each stream that ends before the offset. */
	highsBefore(offset: number): Array<readonly [StreamKey, number]> {
		return this.#fills
			.filter(({to}) => to <= offset)
			.flatMap(({streams}) => [...streams].map(([key, {high}]) => [key, high] as const));
	}

	/** Where batches that match a want may lie. */
	rangesOf(wants: readonly StreamWant[]): Array<{readonly from: number; readonly to: number}> {
		return this.#fills
			.filter(({streams}) =>
				wants.some(({stream: key, from, to, sinceLamport}) => {
					const stream = streams.get(key);
					return (
						stream !== undefined && stream.low <= to && stream.high >= from && stream.lamport > sinceLamport
					);
				}),
			)
			.map(({position, end}) => ({from: position, to: end}));
	}

	/** Retention took everything before the offset. */
	dropBefore(offset: number): void {
		this.#fills = this.#fills.filter(({to}) => to > offset);
	}
}
