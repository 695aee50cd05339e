/**
Holes in a topic's log: offsets whose messages the disk lost. Which messages they were follows from what is left: a
stream has dense sequence numbers, so what is missing between its last batch before a hole and its first one behind it
is what the hole may have held. More may be missing there (this node was not subscribed for a while), so the offsets say
how many there were. A stream of which nothing is behind the hole may have gone on in it: where the others do not
account for all that is missing, it is asked for the rest.

What comes back is put into the holes in the order of Lamport time, each stream in its own order: the order in which it
once came is gone with the messages, but this one is as causal. Pure.
*/
import {lastSeq, streamKey, type Batch, type BatchHeader, type NodeId, type StreamKey} from '../message.ts';

/**
Sequence numbers of a stream, both ends included. `isFirst`: nothing of the stream is kept before, so it may have begun
later. `isLast`: nothing is kept behind, so it may have ended before.
*/
export type Gap = {
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly from: number;
	readonly to: number;
	readonly isFirst: boolean;
	readonly isLast: boolean;
};
/** Offsets from `from` on, without `to`. */
export type Hole = {readonly from: number; readonly to: number; readonly gaps: ReadonlyMap<StreamKey, Gap>};
/** Where a batch is put. */
export type Placed = {readonly batch: Batch; readonly offset: number};
/**
`number`: of the holes as they were found. `ended`: streams that went on behind it, but only in what filled a hole.
*/
type Draft = {
	readonly number: number;
	readonly from: number;
	readonly to: number;
	readonly gaps: Map<StreamKey, Gap>;
	readonly ended: Set<StreamKey>;
};
type Seen = {next: number; /** Holes before it. */ holes: number};

/** More of one log are not refilled. */
const holesMax = 256;

/** Finds the holes while a log is read: first what was delivered, in order; then what filled holes before. */
export class HoleFinder {
	readonly #holes: Draft[] = [];
	/** Streams by what was seen of them last; from the first hole on only. */
	#seen: Map<StreamKey, Seen> | undefined;
	#expected: number | undefined;
	/** Messages in holes that are too many to be followed. */
	#untold = 0;
	readonly #highs: () => ReadonlyMap<StreamKey, number>;
	/**
	Of the streams of this origin the log has all from the first number on: what a node publishes is in its log whether
	it subscribes or not.
	*/
	readonly #whole: NodeId | undefined;

	/**
	@param expected the offset at which the log begins, where that is known.
	@param own whose log it is.
	@param highs the highest number by stream of what was read so far.
	*/
	constructor(expected: number | undefined, own: NodeId | undefined, highs: () => ReadonlyMap<StreamKey, number>) {
		this.#expected = expected;
		this.#whole = expected === 0 ? own : undefined;
		this.#highs = highs;
	}

	/** A batch that is kept, before it counts among the `highs`. */
	add(header: BatchHeader, offset: number): void {
		this.reach(offset);
		this.#expected = offset + header.count;
		if (!this.#seen) return;
		const key = streamKey(header);
		const seen = this.#seen.get(key);
		const {origin, incarnation, firstSeq} = header;
		const from = seen?.next ?? 1;
		if (firstSeq > from)
			for (const {gaps} of this.#holes.slice(seen?.holes ?? 0))
				gaps.set(key, {
					origin,
					incarnation,
					from,
					to: firstSeq - 1,
					isFirst: !seen && origin !== this.#whole,
					isLast: false,
				});
		this.#seen.set(key, {next: lastSeq(header) + 1, holes: this.#holes.length});
	}

	/** The log went on at this offset. */
	reach(offset: number): void {
		const expected = this.#expected ?? offset;
		this.#expected = offset;
		if (offset <= expected) return;
		if (this.#holes.length >= holesMax) {
			this.#untold += offset - expected;
			return;
		}

		this.#seen ??= new Map([...this.#highs()].map(([key, high]) => [key, {next: high + 1, holes: 0}]));
		this.#holes.push({number: this.#holes.length, from: expected, to: offset, gaps: new Map(), ended: new Set()});
	}

	/** A batch that was put into a hole in an earlier life. False when there is no hole at its place. */
	fill(header: BatchHeader, offset: number): boolean {
		const end = offset + header.count;
		const index = this.#holes.findIndex(({from, to}) => from <= offset && to >= end);
		if (index === -1) return false;
		const {number, from, to, gaps, ended} = this.#holes[index]!;
		const parts: readonly Draft[] = [
			{number, from, to: offset, gaps: new Map(gaps), ended: new Set(ended)},
			{number, from: end, to, gaps, ended},
		];
		this.#holes.splice(index, 1, ...parts.filter(part => part.from < part.to));
		const {origin, incarnation, firstSeq} = header;
		const key = streamKey(header);
		const seen = this.#seen!.get(key);
		const isLast = !gaps.has(key) && seen !== undefined && seen.holes <= number;
		for (const hole of this.#holes) {
			const isBefore = hole.to <= offset;
			if (isLast && isBefore && seen.holes <= hole.number) {
				hole.ended.add(key);
				if (firstSeq > seen.next)
					hole.gaps.set(key, {
						origin,
						incarnation,
						from: seen.next,
						to: firstSeq - 1,
						isFirst: false,
						isLast: false,
					});
			}

			const gap = hole.gaps.get(key);
			if (!gap) continue;
			// The order of a stream holds: earlier ones before it, later ones behind.
			const rest = isBefore
				? {...gap, to: Math.min(gap.to, firstSeq - 1)}
				: {...gap, from: Math.max(gap.from, lastSeq(header) + 1), isFirst: false};
			if (rest.from <= rest.to) hole.gaps.set(key, rest);
			else hole.gaps.delete(key);
		}

		if (isLast) seen.next = lastSeq(header) + 1;
		return true;
	}

	get untold(): number {
		return this.#untold;
	}

	/** What is left of them. */
	holes(): readonly Hole[] {
		return this.#holes.map(({number, from, to, gaps, ended}) => {
			const sure = [...gaps].filter(([, {isFirst}]) => !isFirst);
			const room = sure.reduce((left, [, gap]) => left - (gap.to - gap.from + 1), to - from);
			// Where the others account for all that is missing, a stream that begins behind the hole began there, and
			// one that ends before it ended.
			if (room === 0) return {from, to, gaps: new Map(sure)};
			const last = [...this.#seen!]
				.filter(([key, seen]) => room > 0 && seen.holes <= number && !gaps.has(key) && !ended.has(key))
				.map(([key, {next}]) => {
					const [origin, incarnation] = key.split(':', 2) as [NodeId, string];
					return [
						key,
						{
							origin,
							incarnation: Number(incarnation),
							from: next,
							to: next + room - 1,
							isFirst: false,
							isLast: true,
						},
					] as const;
				});
			return {from, to, gaps: new Map([...gaps, ...last])};
		});
	}
}

/** Put what came back into the holes, as far as it fits. In order of offsets; what is left of the holes. */
export function place(
	holes: readonly Hole[],
	found: readonly Batch[],
): {readonly placed: readonly Placed[]; readonly left: readonly Hole[]} {
	const waiting = new Set(found.toSorted(compare));
	const placed: Placed[] = [];
	const left: Hole[] = [];
	for (const [index, hole] of holes.entries()) {
		const candidates = [...waiting].filter(batch => isIn(batch, hole));
		const isShared = (batch: Batch): boolean => holes.slice(index + 1).some(later => isIn(batch, later));
		// What fits nowhere else comes first.
		const chosen: Batch[] = [];
		const full = new Set<StreamKey>();
		let room = hole.to - hole.from;
		const gapOf = (batch: Batch): Gap => hole.gaps.get(streamKey(batch))!;
		const isSure = (batch: Batch): boolean => !gapOf(batch).isLast && !gapOf(batch).isFirst;
		// A stream that began in the hole goes on without a gap behind it: its end, as far back as there is room.
		const begun = [
			...Map.groupBy(
				candidates.filter(one => gapOf(one).isFirst && !isShared(one)),
				streamKey,
			).values(),
		].flatMap(stream => endOf(stream, gapOf(stream[0]!).to));
		for (const batch of [
			...candidates.filter(one => isSure(one) && !isShared(one)),
			...candidates.filter(one => isSure(one) && isShared(one)),
			...begun,
			...candidates.filter(one => gapOf(one).isLast),
		]) {
			const key = streamKey(batch);
			if (batch.count > room) full.add(key);
			if (full.has(key)) continue;
			room -= batch.count;
			chosen.push(batch);
			waiting.delete(batch);
		}

		let offset = hole.from;
		for (const batch of chosen.toSorted(compare)) {
			placed.push({batch, offset});
			offset += batch.count;
		}

		// Never asked for again in this life: what is not here by now came from nobody.
		if (offset < hole.to) left.push({from: offset, to: hole.to, gaps: new Map()});
	}

	return {placed, left};
}

/** Backwards from the batch that ends at `to`, as long as each is followed by the next. */
function endOf(stream: readonly Batch[], to: number): readonly Batch[] {
	const end: Batch[] = [];
	let last = to;
	for (const batch of stream.toSorted((a, b) => b.firstSeq - a.firstSeq)) {
		if (lastSeq(batch) !== last) break;
		end.push(batch);
		last = batch.firstSeq - 1;
	}

	return end;
}

function isIn(batch: Batch, {gaps}: Hole): boolean {
	const gap = gaps.get(streamKey(batch));
	return gap !== undefined && batch.firstSeq >= gap.from && lastSeq(batch) <= gap.to;
}

function compare(a: BatchHeader, b: BatchHeader): number {
	return a.lamport - b.lamport || (a.origin < b.origin ? -1 : Number(a.origin > b.origin)) || a.firstSeq - b.firstSeq;
}
