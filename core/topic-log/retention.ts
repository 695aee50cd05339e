/**
Retention: which segments of a topic are deleted, and the clock that decides their age. Deletion is final, so no clock
is trusted that could make a message look older than it is:

- **The age of a message** counts from its arrival here, and never from a time in the future. Its record holds the
  arrival by the retention clock. A record without a date counts from the start that found it. Publisher clocks and file
  times do not count.
- **The retention clock** starts as the wall clock at the first start, and continues with the machine's uptime, because
  only differences matter. At a later start, only a small advance of the wall clock counts. A larger one does not,
  because a wrong clock cannot be told from a machine that was switched off: ages are then too short, and nothing is
  deleted early. Later starts compare the wall clock with the difference that was found. The retention clock itself
  never jumps, because messages that arrived meanwhile would become old (seed 50688).
- Topics may have their own retention times. The clock is judged by the shortest of them, so that it suits all.

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
The stored state of the retention clock, in milliseconds. `uptimeMs`: of the machine. `aheadMs`: by how much the wall
clock is ahead of the retention clock; negative when it is behind. `shortestMs`: the shortest retention time of topics.
*/
export type KeptTime = {
	readonly nowMs: number;
	readonly uptimeMs: number;
	readonly aheadMs: number;
	readonly shortestMs?: number | undefined;
};
export type Clocks = {readonly wallMs: number; readonly uptimeMs: number};

/**
Time that the machine was switched off counts up to this much at a start, and up to this share of the retention time.
*/
const toleranceMsMax = 60_000;
const toleranceShare = 8;

/**
The retention clock at a start. `skippedMs`: the time by which the wall clock advanced, and which does not count.
@param kept the state stored by the last process
@param ageMs the default retention time
*/
export function resumedTime(
	kept: KeptTime | undefined,
	{wallMs, uptimeMs}: Clocks,
	ageMs: number,
): {readonly nowMs: number; readonly aheadMs: number; readonly skippedMs: number} {
	if (!kept) return {nowMs: wallMs, aheadMs: 0, skippedMs: 0};
	// The time that has surely passed: between both uptimes, or since a reboot in between.
	const goneMs = uptimeMs >= kept.uptimeMs ? uptimeMs - kept.uptimeMs : uptimeMs;
	const nowMs = kept.nowMs + goneMs;
	const leadMs = wallMs - kept.aheadMs - nowMs;
	return Math.abs(leadMs) > Math.min(toleranceMsMax, shortestOf(kept, ageMs) / toleranceShare)
		? {nowMs, aheadMs: wallMs - nowMs, skippedMs: Math.max(0, leadMs)}
		: {nowMs: nowMs + Math.max(0, leadMs), aheadMs: kept.aheadMs, skippedMs: 0};
}

function shortestOf(kept: KeptTime | undefined, ageMs: number): number {
	return Math.min(ageMs, kept?.shortestMs ?? ageMs);
}

/** The retention clock of this process: it advances with the monotonic clock. */
export class RetentionClock {
	readonly #resumed: ReturnType<typeof resumedTime>;
	readonly #monotonicMs: () => number;
	readonly #startMs: number;
	#shortestMs: number;

	/** As `resumedTime`. @param monotonicMs the monotonic clock of this process */
	constructor(kept: KeptTime | undefined, clocks: Clocks, ageMs: number, monotonicMs: () => number) {
		this.#resumed = resumedTime(kept, clocks, ageMs);
		this.#shortestMs = shortestOf(kept, ageMs);
		this.#monotonicMs = monotonicMs;
		this.#startMs = monotonicMs();
	}

	/** The time by which the wall clock advanced before this start, and which does not count. */
	get skippedMs(): number {
		return this.#resumed.skippedMs;
	}

	get nowMs(): number {
		return this.#resumed.nowMs + this.#monotonicMs() - this.#startMs;
	}

	/** Notes the retention time of a topic. True when the clock's state must be stored again. */
	note(ageMs: number): boolean {
		if (ageMs >= this.#shortestMs) return false;
		this.#shortestMs = ageMs;
		return true;
	}

	/** The state to store for the next start. */
	kept(uptimeMs: number): KeptTime {
		return {nowMs: this.nowMs, uptimeMs, aheadMs: this.#resumed.aheadMs, shortestMs: this.#shortestMs};
	}
}

/** The content of the file. The previous release needs `laggingMs`. */
export function keptTimeToJson(kept: KeptTime): unknown {
	return {...kept, laggingMs: 0};
}

/** The state in a decoded file; `undefined` when it is not valid. */
export function parseKeptTime(value: unknown): KeptTime | undefined {
	// The previous release had `ages`, the shortest and the longest retention time, and no `aheadMs`.
	const {
		nowMs,
		uptimeMs,
		aheadMs = 0,
		ages,
		shortestMs = Object(ages)[0],
	} = Object(value) as Readonly<Record<string, unknown>>;
	const isTime = (time: unknown): time is number => typeof time === 'number' && Number.isFinite(time) && time >= 0;
	return isTime(nowMs) && isTime(uptimeMs) && typeof aheadMs === 'number' && Number.isFinite(aheadMs)
		? {nowMs, uptimeMs, aheadMs, ...(isTime(shortestMs) ? {shortestMs} : {})}
		: undefined;
}
