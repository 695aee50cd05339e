/**
Holes in a topic's log: offsets whose messages the disk lost. Sequence numbers of a stream are dense, so the numbers
missing between its last batch before a hole and its first batch after it are the numbers that the hole may have held.
The hole may have held fewer of them, because the node may not have been subscribed for a while; the offsets tell how
many messages were lost. A stream with no batch after the hole may have continued in it. It is asked for too, if the
other streams do not account for all lost messages.

Batches that come back are put into the holes by Lamport time, each stream in its own order. The original order is lost,
but this one is also causal. All functions are pure.

Example: a log held `a1 b1 a2 b2 a3 a4` (`a2` is the batch with number 2 of stream a) at the offsets 0 to 5, and the
disk lost `a2 b2 a3`.

- `add` sees a1, b1 and then a4 at offset 5. It finds a hole of the offsets [2, 5) with the gap a 2–3.
- `holes` counts: stream a accounts for 2 of 3 lost messages. So b, which has nothing after the hole, may have lost one:
  the gap b 2–2, `isLast`.
- Peers return a2, b2 and a3. `placeBatches` sorts them by Lamport time: a2 gets offset 2, b2 offset 3, a3 offset 4.
  They are appended to the log as fill records with these offsets.
- If only b2 came back, it would get offset 2, and [3, 5) would stay a hole.
- At the next start `addBackfilled` replays the fill records, which shrink or split the hole and narrow its gaps. After
  a2 at offset 2 the hole is [3, 5), with the gap a 3–3.
*/
import {
	lastSeq,
	streamKey,
	type Batch,
	type BatchHeader,
	type NodeId,
	type SequenceGap,
	type StreamKey,
} from '../message.ts';

/** Offsets from `from` up to, but not including, `to`. */
export type Hole = {readonly from: number; readonly to: number; readonly gaps: ReadonlyMap<StreamKey, SequenceGap>};
/** A batch with its assigned offset. */
export type Placed = {readonly batch: Batch; readonly offset: number};
/**
A hole while the log is read. `number` counts the holes as they were found. `ended`: streams that continue after the
hole, but only in backfilled records.
*/
type Draft = {
	readonly number: number;
	readonly from: number;
	readonly to: number;
	readonly gaps: Map<StreamKey, SequenceGap>;
	readonly ended: Set<StreamKey>;
};
/** `next`: the number after the last batch seen. `holes`: number of holes before that batch. */
type LastSeen = {next: number; holes: number};

/** Holes of one log that are backfilled; messages in further holes are only counted. */
const holesMax = 256;

/** Finds the holes while a log is read: first all delivered batches in order, then the backfilled ones. */
export class HoleFinder {
	readonly #holes: Draft[] = [];
	/** The last batch seen of each stream; only set from the first hole on. */
	#seen: Map<StreamKey, LastSeen> | undefined;
	#expected: number | undefined;
	/** Lost messages in holes beyond `holesMax`. */
	#untracked = 0;
	readonly #highs: () => ReadonlyMap<StreamKey, number>;
	/** The log has all batches of this origin from number 1 on, because a node stores what it publishes. */
	readonly #completeOrigin: NodeId | undefined;

	/**
	@param expected the offset at which the log begins, if known.
	@param own the node that the log belongs to.
	@param highs the highest number per stream of the batches read so far.
	*/
	constructor(expected: number | undefined, own: NodeId | undefined, highs: () => ReadonlyMap<StreamKey, number>) {
		this.#expected = expected;
		this.#completeOrigin = expected === 0 ? own : undefined;
		this.#highs = highs;
	}

	/** A delivered batch; called before it counts among the `highs`. */
	add(header: BatchHeader, offset: number): void {
		this.advanceTo(offset);
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
					isFirst: !seen && origin !== this.#completeOrigin,
					isLast: false,
				});
		this.#seen.set(key, {next: lastSeq(header) + 1, holes: this.#holes.length});
	}

	/** The log continues at this offset. */
	advanceTo(offset: number): void {
		const expected = this.#expected ?? offset;
		this.#expected = offset;
		if (offset <= expected) return;
		if (this.#holes.length >= holesMax) {
			this.#untracked += offset - expected;
			return;
		}

		this.#seen ??= new Map([...this.#highs()].map(([key, high]) => [key, {next: high + 1, holes: 0}]));
		this.#holes.push({number: this.#holes.length, from: expected, to: offset, gaps: new Map(), ended: new Set()});
	}

	/** A batch that an earlier backfill put at this offset. False when there is no hole at its place. */
	addBackfilled(header: BatchHeader, offset: number): boolean {
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
			// A stream stays in order: lower numbers can only be before this batch, higher ones after it.
			const rest = isBefore
				? {...gap, to: Math.min(gap.to, firstSeq - 1)}
				: {...gap, from: Math.max(gap.from, lastSeq(header) + 1), isFirst: false};
			if (rest.from <= rest.to) hole.gaps.set(key, rest);
			else hole.gaps.delete(key);
		}

		if (isLast) seen.next = lastSeq(header) + 1;
		return true;
	}

	/** Lost messages that are in none of the `holes()`. */
	get untracked(): number {
		return this.#untracked;
	}

	/** The holes that are left, with the gaps of each. */
	holes(): readonly Hole[] {
		return this.#holes.map(({number, from, to, gaps, ended}) => {
			const sure = [...gaps].filter(([, {isFirst}]) => !isFirst);
			const room = sure.reduce((left, [, gap]) => left - (gap.to - gap.from + 1), to - from);
			// If the sure gaps account for all lost messages, then a stream that begins after the hole did not begin in
			// it, and a stream that ends before it did not continue in it.
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

/** Assigns offsets in the holes to found batches, as far as they fit; also returns the remaining holes. */
export function placeBatches(
	holes: readonly Hole[],
	found: readonly Batch[],
): {readonly placed: readonly Placed[]; readonly left: readonly Hole[]} {
	const waiting = new Set(found.toSorted(compare));
	const placed: Placed[] = [];
	const left: Hole[] = [];
	for (const [index, hole] of holes.entries()) {
		const candidates = [...waiting].filter(batch => isIn(batch, hole));
		const isShared = (batch: Batch): boolean => holes.slice(index + 1).some(later => isIn(batch, later));
		// Batches that fit into no other hole come first.
		const chosen: Batch[] = [];
		const full = new Set<StreamKey>();
		let room = hole.to - hole.from;
		const gapOf = (batch: Batch): SequenceGap => hole.gaps.get(streamKey(batch))!;
		const isSure = (batch: Batch): boolean => !gapOf(batch).isLast && !gapOf(batch).isFirst;
		// A stream that began in the hole has no gap after it: take its end, as far back as there is room.
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

		// Not requested again before the next start: no peer had the rest.
		if (offset < hole.to) left.push({from: offset, to: hole.to, gaps: new Map()});
	}

	return {placed, left};
}

/** The batches that end at `to` without a gap, newest first. */
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
