/**
What is kept of a topic, and by which time that is judged. Ages decide what is deleted for good, so no clock is believed
that could make something old which is not:

- **The age of a message** counts from when it came here, never from later than now. Its record in the log says when
  that was, by the clock that follows; of a record without a date, the start counts that found it. No publisher's clock
  and no time of a file counts.
- **Now** is the wall clock at the first start, and goes on with the time that the machine has run: only differences
  matter. A wall clock that is behind that at a later start changes nothing. One that is ahead is not believed, since
  nothing tells a wrong clock from a machine that was switched off: ages are then too short, and nothing is deleted
  early. It is believed once the node has run for the whole retention time since.
- Topics may have retention times of their own. The clock is judged by the shortest and the longest of them, so that it
  is right for all.

Pure.
*/

/**
What is kept: the newest `bytes` at least, nothing that is in a segment older than `ageMs`, and no more than `bytesMax`.
*/
export type Retention = {
	readonly bytes: number;
	readonly ageMs: number;
	readonly nowMs: number;
	/**
	@default no bound */ readonly bytesMax?: number;
}; /** `age`, `size`: older or more than is kept of the topic.
	`disk`: beyond `limits.diskBytes` of all topics. `topic`: the topic was deleted.
	*/
export type DeletionReason = 'age' | 'size' | 'disk' | 'topic';
export type Deletion = {readonly reason: DeletionReason; readonly messages: number; readonly bytes: number};
export type Segment = {readonly first: number; readonly end: number};

/**
Which of the closed segments, oldest first, go, with the reason of each.
@param newestMs when the newest message of the segment that begins there came
*/
export function segmentsToDrop<Of extends Segment>(
	closed: readonly Of[],
	logEnd: number,
	newestMs: (first: number) => number,
	{bytes, ageMs, nowMs, bytesMax = Infinity}: Retention,
): ReadonlyArray<{readonly segment: Of; readonly reason: DeletionReason}> {
	const dropped: Array<{readonly segment: Of; readonly reason: DeletionReason}> = [];
	for (const segment of closed) {
		const reason =
			nowMs - newestMs(segment.first) > ageMs
				? 'age'
				: logEnd - segment.end >= bytes
					? 'size'
					: logEnd - segment.first > bytesMax
						? 'disk'
						: undefined;
		if (reason === undefined) break; // Whole prefixes only: offsets have no holes.
		dropped.push({segment, reason});
	}

	return dropped;
}

/**
What each topic may keep so that all together keep to a budget: the largest are cut, to one size. Topics that may keep
what they have are left out.
@param bytes of each topic.
@param budgetBytes of all of them
*/
export function sharesOfBudget<Name>(bytes: ReadonlyMap<Name, number>, budgetBytes: number): ReadonlyMap<Name, number> {
	let left = budgetBytes;
	const smallestFirst = [...bytes].toSorted(([, a], [, b]) => a - b);
	for (const [index, [, size]] of smallestFirst.entries()) {
		const share = Math.floor(left / (smallestFirst.length - index));
		if (size > share) return new Map(smallestFirst.slice(index).map(([name]) => [name, share]));
		left -= size;
	}

	return new Map();
}

/**
What is kept of the time, milliseconds. `uptimeMs`: since the machine started. `laggingMs`: for how long the node has
run with a wall clock that it did not believe. `ages`: the shortest and the longest retention time that topics had.
*/
export type KeptTime = {
	readonly nowMs: number;
	readonly uptimeMs: number;
	readonly laggingMs: number;
	readonly ages?: Ages | undefined;
};
export type Ages = readonly [shortestMs: number, longestMs: number];
export type Clocks = {readonly wallMs: number; readonly uptimeMs: number};

/**
A wall clock is set right by as much now and then; never believed is more than a small part of the retention time.
*/
const toleranceMsMax = 60_000;
const toleranceShare = 8;

/**
The time that ages are judged by at a start.
@param kept from the last life.
@param ageMs the retention time of topics that have none of their own
*/
export function resumedTime(
	kept: KeptTime | undefined,
	{wallMs, uptimeMs}: Clocks,
	ageMs: number,
): {readonly nowMs: number; readonly isLagging: boolean; readonly laggingMs: number} {
	if (kept) {
		// Surely gone by since then: between the two, or since a start of the machine in between.
		const goneMs = uptimeMs >= kept.uptimeMs ? uptimeMs - kept.uptimeMs : uptimeMs;
		const nowMs = kept.nowMs + goneMs;
		const [shortestMs, longestMs] = agesOf(kept, ageMs);
		if (wallMs > nowMs + Math.min(toleranceMsMax, shortestMs / toleranceShare) && kept.laggingMs <= longestMs)
			return {nowMs, isLagging: true, laggingMs: kept.laggingMs};
		if (wallMs < nowMs) return {nowMs, isLagging: false, laggingMs: 0};
	}

	return {nowMs: wallMs, isLagging: false, laggingMs: 0};
}

function agesOf(kept: KeptTime | undefined, ageMs: number): Ages {
	const [shortestMs, longestMs] = kept?.ages ?? [ageMs, ageMs];
	return [Math.min(ageMs, shortestMs), Math.max(ageMs, longestMs)];
}

/** The time that ages are judged by, from a start on: it goes as the machine runs. */
export class RetentionClock {
	readonly #resumed: ReturnType<typeof resumedTime>;
	readonly #monotonicMs: () => number;
	readonly #startMs: number;
	#ages: Ages;

	/** As `resumedTime`. @param monotonicMs of this life */
	constructor(kept: KeptTime | undefined, clocks: Clocks, ageMs: number, monotonicMs: () => number) {
		this.#resumed = resumedTime(kept, clocks, ageMs);
		this.#ages = agesOf(kept, ageMs);
		this.#monotonicMs = monotonicMs;
		this.#startMs = monotonicMs();
	}

	/** A wall clock that is ahead is not believed in this life. */
	get isLagging(): boolean {
		return this.#resumed.isLagging;
	}

	get nowMs(): number {
		return this.#resumed.nowMs + this.#ranMs;
	}

	/** A topic has this retention time. True when that is to be kept for the next life. */
	note(ageMs: number): boolean {
		const [shortestMs, longestMs] = this.#ages;
		if (ageMs >= shortestMs && ageMs <= longestMs) return false;
		this.#ages = [Math.min(ageMs, shortestMs), Math.max(ageMs, longestMs)];
		return true;
	}

	/** What the next life is to know. */
	kept(uptimeMs: number): KeptTime {
		const {isLagging, laggingMs} = this.#resumed;
		return {nowMs: this.nowMs, uptimeMs, laggingMs: isLagging ? laggingMs + this.#ranMs : 0, ages: this.#ages};
	}

	get #ranMs(): number {
		return this.#monotonicMs() - this.#startMs;
	}
}

/** Of a file that anybody may have changed; `undefined` when it says nothing that can be used. */
export function parseKeptTime(value: unknown): KeptTime | undefined {
	const {nowMs, uptimeMs, laggingMs, ages} = Object(value) as Readonly<Record<string, unknown>>;
	const isTime = (time: unknown): time is number => typeof time === 'number' && Number.isFinite(time) && time >= 0;
	return isTime(nowMs) && isTime(uptimeMs) && isTime(laggingMs)
		? {
				nowMs,
				uptimeMs,
				laggingMs,
				...(Array.isArray(ages) && isTime(ages[0]) && isTime(ages[1])
					? {ages: [ages[0], ages[1]] as const}
					: {}),
			}
		: undefined;
}
