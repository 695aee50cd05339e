/**
The clock of one simulated process. The clock of its machine drifts, and its wall clock may be wrong.
*/
import type {Clock} from '../../../../core/ports.ts';
import type {Schedule} from '../../schedule.ts';
import type {EventLoop} from './event-loop.ts';

export type ProcessClockOptions = {
	readonly schedule: Schedule;
	readonly loop: EventLoop;
	/** How many thousandths the clock runs too fast, or too slow if negative. */
	readonly driftPerMille: number;
	/** The wall clock at the start of the process, in milliseconds. */
	readonly wallOffsetMs: () => number;
};

/** @returns a clock that starts now */
export function processClock({schedule, loop, driftPerMille, wallOffsetMs}: ProcessClockOptions): Clock {
	const startMs = schedule.nowMs;
	const nowMs = (): number => ((schedule.nowMs - startMs) * (1000 + driftPerMille)) / 1000;
	const virtualMs = (ms: number): number => Math.max(0, Math.round((ms * 1000) / (1000 + driftPerMille)));
	return {
		monotonicMs: nowMs,
		wallMs: () => Math.floor(wallOffsetMs() + nowMs()),
		every(intervalMs, run) {
			const timer = timerOf(run, loop);
			const next = (): void =>
				schedule.after(virtualMs(intervalMs), () => {
					if (timer.isOver()) return;
					next();
					loop.fire(timer.fire);
				});
			next();
			return timer;
		},
		after(delayMs, run) {
			const timer = timerOf(run, loop);
			schedule.after(virtualMs(delayMs), () => loop.fire(timer.fire));
			return timer;
		},
		soon: run => schedule.after(0, () => loop.run(run)),
	};
}

type Timer = Disposable & {readonly fire: () => void; readonly isOver: () => boolean};

function timerOf(run: () => void, loop: EventLoop): Timer {
	let isDisposed = false;
	const isOver = (): boolean => isDisposed || loop.isEnded;
	return {
		isOver,
		fire() {
			if (!isOver()) run();
		},
		[Symbol.dispose]() {
			isDisposed = true;
		},
	};
}
