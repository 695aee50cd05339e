/**
The sparse in-memory index of a topic's log. For each **part** (a segment of the log) it has the streams in it with
their numbers, and for each stream a read position about every 256 KiB. For offsets it has a step about every 256 KiB.
Retention deletes whole parts.

Memory is one entry per step, and one per stream and part: O(streams × segments).
*/
import {lastSeq, streamKey, type BatchHeader, type NodeId, type StreamKey} from '../message.ts';
import {streamOf, type Seen} from '../position.ts';

export type Place = {readonly offset: number; readonly position: number};
/** Sequence numbers of a stream, both ends included, stamped later than `sinceLamport`. */
export type StreamWant = {
	readonly stream: StreamKey;
	readonly from: number;
	readonly to: number;
	readonly sinceLamport: number;
};
/** `marks`: read positions in order; the first is where the stream begins in the part. */
export type PartStream = {
	low: number;
	high: number;
	lamport: number;
	readonly marks: Mark[];
};
type Mark = {readonly seq: number; readonly position: number};
type Part = {
	readonly first: number;
	readonly offset: number;
	messages: number;
	readonly streams: Map<StreamKey, PartStream>;
};
type Range = {readonly from: number; to: number};

export const stepBytes = 256 * 1024;
const keysMax = 4096;

export class TopicIndex {
	#parts: Part[] = [];
	#steps: Place[] = [];
	/** The stream key of the last batch of an origin. */
	readonly #keys = new Map<NodeId, {readonly incarnation: number; readonly key: StreamKey}>();

	get firstOffset(): number | undefined {
		return this.#parts[0]?.offset;
	}

	get messages(): number {
		return this.#parts.reduce((sum, part) => sum + part.messages, 0);
	}

	/** Messages in segments that begin before the position. */
	messagesBefore(position: number): number {
		return this.#parts.reduce((sum, part) => sum + (part.first < position ? part.messages : 0), 0);
	}

	/** Adds a batch at the end of the log. @param segment start of its segment */
	add(batch: BatchHeader, {offset, position}: Place, segment: number): void {
		let part = this.#parts.at(-1);
		if (part?.first !== segment) {
			part = {first: segment, offset, messages: 0, streams: new Map()};
			this.#parts.push(part);
			this.#steps.push({offset, position});
		} else if (position - this.#steps.at(-1)!.position >= stepBytes) this.#steps.push({offset, position});

		part.messages += batch.count;
		const key = this.#keyOf(batch);
		const stream = part.streams.get(key);
		if (!stream) {
			part.streams.set(key, {
				low: batch.firstSeq,
				high: lastSeq(batch),
				lamport: batch.lamport,
				marks: [{seq: batch.firstSeq, position}],
			});
			return;
		}

		stream.high = Math.max(stream.high, lastSeq(batch));
		stream.lamport = Math.max(stream.lamport, batch.lamport);
		if (position - stream.marks.at(-1)!.position >= stepBytes) stream.marks.push({seq: batch.firstSeq, position});
	}

	/** A place at or before the offset, at most a step away; `undefined` when there is none. */
	placeOf(offset: number): Place | undefined {
		return lastAtMost(this.#steps, offset, step => step.offset);
	}

	/** Ranges that hold all batches that match a want, and possibly others, in order. @param end of the log */
	rangesOf(wants: readonly StreamWant[], end: number): Range[] {
		const ranges: Range[] = [];
		for (const [index, part] of this.#parts.entries()) {
			const partEnd = this.#parts[index + 1]?.first ?? end;
			const inPart: Range[] = [];
			for (const {stream: key, from, to, sinceLamport} of wants) {
				const stream = part.streams.get(key);
				if (!stream || stream.low > to || stream.high < from || stream.lamport <= sinceLamport) continue;
				const start = lastAtMost(stream.marks, from, mark => mark.seq)?.position ?? stream.marks[0]!.position;
				inPart.push({from: start, to: stream.marks.find(({seq}) => seq > to)?.position ?? partEnd});
			}

			for (const range of inPart.toSorted((a, b) => a.from - b.from)) {
				const last = ranges.at(-1);
				if (last && last.to >= range.from) last.to = Math.max(last.to, range.to);
				else ranges.push(range);
			}
		}

		return ranges;
	}

	/** An offset at most a step before the first batch that is new to the reader; `undefined` when none is. */
	freshFrom(seen: Seen): number | undefined {
		for (const {streams} of this.#parts) {
			let first = Infinity;
			for (const [key, {high, lamport, marks}] of streams) {
				const [origin, incarnation] = streamOf(key);
				if (!seen.isFresh(origin, incarnation, high, lamport)) continue;
				const known = seen.of(origin, incarnation);
				first = Math.min(
					first,
					(known === undefined ? undefined : lastAtMost(marks, known + 1, mark => mark.seq)?.position) ??
						marks[0]!.position,
				);
			}

			if (first < Infinity) return lastAtMost(this.#steps, first, step => step.position)!.offset;
		}

		return undefined;
	}

	/**
	The highest number of each stream in the parts that end at or before the offset, and the start of the next part.
	*/
	highsBefore(offset: number): {readonly highs: Map<StreamKey, number>; readonly from: number} {
		const highs = new Map<StreamKey, number>();
		for (const [index, {offset: from, streams}] of this.#parts.entries()) {
			if ((this.#parts[index + 1]?.offset ?? Infinity) > offset) return {highs, from};
			for (const [key, {high}] of streams) highs.set(key, Math.max(high, highs.get(key) ?? 0));
		}

		return {highs, from: offset};
	}

	has(stream: StreamKey): boolean {
		return this.#parts.some(({streams}) => streams.has(stream));
	}

	/** The number after the newest of the stream in parts that are entirely stamped at or before `sinceLamport`. */
	passed(stream: StreamKey, sinceLamport: number): number {
		return Math.max(
			0,
			...this.#parts
				.map(({streams}) => streams.get(stream))
				.filter(part => part !== undefined && part.lamport <= sinceLamport)
				.map(part => part!.high + 1),
		);
	}

	lowest(stream: StreamKey): number | undefined {
		return this.#parts.find(({streams}) => streams.has(stream))?.streams.get(stream)?.low;
	}

	/** The highest number of each stream. */
	highs(): Map<StreamKey, number> {
		const highs = new Map<StreamKey, number>();
		for (const {streams} of this.#parts)
			for (const [key, {high}] of streams) highs.set(key, Math.max(high, highs.get(key) ?? 0));
		return highs;
	}

	/** The lowest number of each stream. */
	floors(): Map<StreamKey, number> {
		const floors = new Map<StreamKey, number>();
		for (const {streams} of this.#parts)
			for (const [key, {low}] of streams) if (!floors.has(key)) floors.set(key, low);
		return floors;
	}

	/** The streams that lie only before the position. */
	onlyBefore(position: number): Map<StreamKey, PartStream> {
		const before = new Map<StreamKey, PartStream>();
		for (const part of this.#parts) {
			for (const [key, stream] of part.streams) {
				if (part.first < position) before.set(key, stream);
				else before.delete(key);
			}
		}

		return before;
	}

	dropBefore(position: number): void {
		this.#parts = this.#parts.filter(({first}) => first >= position);
		this.#steps = this.#steps.filter(step => step.position >= position);
	}

	/** Caches stream keys: most batches are of a known stream. All are of one topic. */
	#keyOf(batch: BatchHeader): StreamKey {
		const known = this.#keys.get(batch.origin);
		if (known?.incarnation === batch.incarnation) return known.key;
		const key = streamKey(batch);
		if (this.#keys.size >= keysMax) this.#keys.clear();
		this.#keys.set(batch.origin, {incarnation: batch.incarnation, key});
		return key;
	}
}

/** The last item whose key is at most the limit; items are in order of their keys. */
function lastAtMost<Item>(items: readonly Item[], limit: number, keyOf: (item: Item) => number): Item | undefined {
	let low = 0;
	let high = items.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (keyOf(items[middle]!) <= limit) low = middle + 1;
		else high = middle;
	}

	return items[low - 1];
}
