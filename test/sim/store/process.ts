/**
Virtual time for a process and its disk. A write or a sync ends when the schedule says so, and timers fire when they are
due. A whole start of a process is one synchronous computation. Pending calls of a process end with it.
*/
import type {Clock, Entropy} from '../../../core/ports.ts';
import type {DiskFaults} from '../../contract/support/crash-disk.ts';
import {drainMicrotasks} from '../microtasks.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';

const hourMs = 3_600_000;
/** Calls that reach the disk. The others are answered from memory. */
const slow: ReadonlySet<string> = new Set([
	'write',
	'datasync',
	'truncate',
	'syncFolder',
	'rename',
	'unlink',
	'makeFolder',
]);

export class Process {
	readonly clock: Clock;
	readonly entropy: Entropy;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	#isOver = false;

	constructor(schedule: Schedule, random: SeededRandom) {
		this.#schedule = schedule;
		this.#random = random;
		this.entropy = {
			below: limit => random.below(limit),
			bytes: count => Buffer.from(Array.from({length: count}, () => random.below(256))),
		};
		this.clock = {
			monotonicMs: () => schedule.nowMs,
			wallMs: () => schedule.nowMs,
			every: () => {
				throw new Error('Expected the store to need no interval timer');
			},
			after: (delayMs, run) => this.#after(delayMs, run),
			soon: run => void this.#after(0, run),
		};
	}

	/** The duration of a disk call, drawn for each call. */
	readonly delay: NonNullable<DiskFaults['delay']> = async call => {
		if (slow.has(call)) await this.wait(this.#random.below(call === 'datasync' ? 12 : 3));
		else if (this.#random.chance(1, 2)) await Promise.resolve();
	};

	wait(ms: number): Promise<void> {
		return new Promise(resolve => void this.#after(ms, resolve));
	}

	/** Cancel everything in progress. */
	end(): void {
		this.#isOver = true;
	}

	#after(delayMs: number, run: () => void): Disposable {
		let isDisposed = false;
		this.#schedule.after(delayMs, () => {
			if (!isDisposed && !this.#isOver) run();
		});
		return {[Symbol.dispose]: () => void (isDisposed = true)};
	}
}

/** Run the schedule until the work settles. @throws if nothing is left that could settle it */
export function runToEnd<Result>(schedule: Schedule, work: Promise<Result>): Result {
	const outcomes: Array<{readonly value: Result} | {readonly error: unknown}> = [];
	work.then(
		value => void outcomes.push({value}),
		(error: unknown) => void outcomes.push({error}),
	);
	for (;;) {
		drainMicrotasks();
		const [outcome] = outcomes;
		if (outcome && 'error' in outcome) throw outcome.error;
		if (outcome) return outcome.value;
		if (!schedule.next(schedule.nowMs + hourMs)) throw new Error('progress: the store waits forever');
	}
}
