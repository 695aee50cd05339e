/**
Notices that this process did not run: a tick that is late by more than `pauseMs` on a clock that never goes back. The process was stopped, the
machine was suspended, or something blocked the event loop.
*/

/** Longer than a garbage collection or a slow disk takes; twice the default election timeout. */
export const pauseMs = 1000;

export class PauseWatch {
	readonly #tickMs: number;
	#lastMs: number;

	constructor(tickMs: number, nowMs: number) {
		this.#tickMs = tickMs;
		this.#lastMs = nowMs;
	}

	/** How long the process has not run until now, if that is a pause; each is reported once. */
	check(nowMs: number): number | undefined {
		const sinceMs = nowMs - this.#lastMs;
		if (sinceMs < this.#tickMs + pauseMs) return undefined;
		this.#lastMs = nowMs;
		return Math.round(sinceMs);
	}

	ticked(nowMs: number): void {
		this.#lastMs = nowMs;
	}
}
