/**
Backfilled batches of a topic's log: batches that damage took and peers returned. The log only grows, so they are stored
at its end, as fill records with the offsets of the lost messages. Each record is whole or absent after a crash. A
record is kept as long as its segment.
*/
import {lastSeq, streamKey, type BatchHeader, type StreamKey} from '../message.ts';
import {streamOf, type Seen} from '../position.ts';
import type {StreamWant} from './topic-index.ts';

/** Offsets from `from` up to, but not including, `to`; bytes of the log from `position` to `end`. */
export type BackfilledRange = {
	readonly from: number;
	to: number;
	readonly position: number;
	end: number;
	readonly streams: Map<StreamKey, {low: number; high: number; lamport: number}>;
};

export class BackfilledRanges {
	#backfilled: BackfilledRange[] = [];

	get messages(): number {
		return this.#backfilled.reduce((sum, {from, to}) => sum + to - from, 0);
	}

	/** Adds a record; it continues the last range or begins a new one. */
	add(header: BatchHeader, offset: number, position: number, end: number): void {
		let range = this.#backfilled.find(one => one.to === offset && one.end === position);
		if (!range) {
			range = {from: offset, to: offset, position, end, streams: new Map()};
			this.#backfilled.push(range);
		}

		range.to = offset + header.count;
		range.end = end;
		const key = streamKey(header);
		const {low = header.firstSeq, high = 0, lamport = 0} = range.streams.get(key) ?? {};
		range.streams.set(key, {
			low: Math.min(low, header.firstSeq),
			high: Math.max(high, lastSeq(header)),
			lamport: Math.max(lamport, header.lamport),
		});
	}

	/** The range that contains the offset. */
	at(offset: number): BackfilledRange | undefined {
		return this.#backfilled.find(({from, to}) => from <= offset && offset < to);
	}

	/** Start of the first range after the offset; `Infinity` when there is none. */
	after(offset: number): number {
		return this.#backfilled.reduce((first, {from}) => (from > offset ? Math.min(first, from) : first), Infinity);
	}

	/** The lowest offset; `Infinity` when there is none. */
	get first(): number {
		return this.after(-1);
	}

	/** The lowest number of the stream; `Infinity` when there is none. */
	lowest(stream: StreamKey): number {
		return this.#backfilled.reduce(
			(lowest, {streams}) => Math.min(lowest, streams.get(stream)?.low ?? Infinity),
			Infinity,
		);
	}

	/** Lowers `floors` to the lowest number of each stream here. */
	lower(floors: Map<StreamKey, number>): Map<StreamKey, number> {
		for (const {streams} of this.#backfilled)
			for (const [key, {low}] of streams) floors.set(key, Math.min(low, floors.get(key) ?? Infinity));
		return floors;
	}

	/** The lowest offset with something that may be new to the reader; `Infinity` when there is none. */
	freshFrom(seen: Seen): number {
		const isFresh = ({streams}: BackfilledRange): boolean =>
			[...streams].some(([key, {high, lamport}]) => seen.isFresh(...streamOf(key), high, lamport));
		return this.#backfilled.reduce(
			(lowest, range) => (range.from < lowest && isFresh(range) ? range.from : lowest),
			Infinity,
		);
	}

	/** The highest number of each stream in ranges that end at or before the offset. */
	highsBefore(offset: number): Array<readonly [StreamKey, number]> {
		return this.#backfilled
			.filter(({to}) => to <= offset)
			.flatMap(({streams}) => [...streams].map(([key, {high}]) => [key, high] as const));
	}

	/** Bytes of the log that may have batches that match a want. */
	rangesOf(wants: readonly StreamWant[]): Array<{readonly from: number; readonly to: number}> {
		return this.#backfilled
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

	/** Retention deleted everything before the offset. */
	dropBefore(offset: number): void {
		this.#backfilled = this.#backfilled.filter(({to}) => to > offset);
	}
}
