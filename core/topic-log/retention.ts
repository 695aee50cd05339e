/**
Retention: which segments of a topic are deleted, and the clock that decides their age. Deletion is final, so no clock
is trusted that could make a message look older than it is:

- **The age of a message** counts from its arrival here, and never from a time in the future. Its record holds the
  arrival by the retention clock. A record without a date counts from the start that found it. Publisher clocks and file
  times do not count.
- **The retention clock** starts as the wall clock at the first start, and continues with the machine's uptime, because
  only differences matter. At a later start, a wall clock that is behind it is ignored. A wall clock that is ahead is
  not trusted, because a wrong clock cannot be told from a machine that was switched off. Ages are then too short, and
  nothing is deleted early. It is trusted once the node has run for the whole retention time since.
- Topics may have their own retention times. The clock is judged by the shortest and the longest of them, so that it
  suits all.

All functions are pure.
*/

/** Bounds of a topic: at least the newest `bytes` are kept, no segment older than `ageMs`, and at most `bytesMax`. */
export type Retention = {
	readonly bytes: number;
	readonly ageMs: number;
	readonly nowMs: number;
	/** @default no bound */
	readonly bytesMax?: number;
};
/**
`age`, `size`: older or larger than the topic's bounds. `disk`: over the share of `limits.diskBytes`. `topic`: the topic
was deleted.
*/
export type DeletionReason = 'age' | 'size' | 'disk' | 'topic';
export type Deletion = {readonly reason: DeletionReason; readonly messages: number; readonly bytes: number};
export type Segment = {readonly first: number; readonly end: number};

/**
The closed segments to delete, with the reason of each.
@param closed oldest first
@param newestMs arrival of the newest message of the segment that begins there
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
		if (reason === undefined) break; // Only a prefix of the log is deleted, so offsets stay dense.
		dropped.push({segment, reason});
	}

	return dropped;
}

/**
The bytes that each topic may keep under a common budget: the largest topics are cut to one size. Topics that may keep
everything are left out.
@param bytes size of each topic
@param budgetBytes of all topics together
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
The stored state of the retention clock, in milliseconds. `uptimeMs`: of the machine. `laggingMs`: how long the node has
run with a wall clock that it did not trust. `ages`: the shortest and the longest retention time of topics.
*/
export type KeptTime = {
	readonly nowMs: number;
	readonly uptimeMs: number;
	readonly laggingMs: number;
	readonly ages?: Ages | undefined;
};
export type Ages = readonly [shortestMs: number, longestMs: number];
export type Clocks = {readonly wallMs: number; readonly uptimeMs: number};

/** A wall clock may be ahead by this much, or by this share of the retention time if that is less. */
const toleranceMsMax = 60_000;
const toleranceShare = 8;

/**
The retention clock at a start.
@param kept the state stored by the last process
@param ageMs the default retention time
*/
export function resumedTime(
	kept: KeptTime | undefined,
	{wallMs, uptimeMs}: Clocks,
	ageMs: number,
): {readonly nowMs: number; readonly isLagging: boolean; readonly laggingMs: number} {
	if (kept) {
		// The time that has surely passed: between both uptimes, or since a reboot in between.
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

/** The retention clock of this process: it advances with the monotonic clock. */
export class RetentionClock {
	readonly #resumed: ReturnType<typeof resumedTime>;
	readonly #monotonicMs: () => number;
	readonly #startMs: number;
	#ages: Ages;

	/** As `resumedTime`. @param monotonicMs the monotonic clock of this process */
	constructor(kept: KeptTime | undefined, clocks: Clocks, ageMs: number, monotonicMs: () => number) {
		this.#resumed = resumedTime(kept, clocks, ageMs);
		this.#ages = agesOf(kept, ageMs);
		this.#monotonicMs = monotonicMs;
		this.#startMs = monotonicMs();
	}

	/** Whether the wall clock is ahead and not trusted by this process. */
	get isLagging(): boolean {
		return this.#resumed.isLagging;
	}

	get nowMs(): number {
		return this.#resumed.nowMs + this.#ranMs;
	}

	/** Notes the retention time of a topic. True when the clock's state must be stored again. */
	note(ageMs: number): boolean {
		const [shortestMs, longestMs] = this.#ages;
		if (ageMs >= shortestMs && ageMs <= longestMs) return false;
		this.#ages = [Math.min(ageMs, shortestMs), Math.max(ageMs, longestMs)];
		return true;
	}

	/** The state to store for the next start. */
	kept(uptimeMs: number): KeptTime {
		const {isLagging, laggingMs} = this.#resumed;
		return {nowMs: this.nowMs, uptimeMs, laggingMs: isLagging ? laggingMs + this.#ranMs : 0, ages: this.#ages};
	}

	get #ranMs(): number {
		return this.#monotonicMs() - this.#startMs;
	}
}

/** The state in a decoded file; `undefined` when it is not valid. */
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
