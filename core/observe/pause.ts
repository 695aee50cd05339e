/**
Notices that this process did not run: a tick is late by `pauseMs` on a clock that never goes back. The process was
stopped, the machine was suspended, or something blocked the event loop.
*/

export class PauseWatch {
	readonly #tickMs: number;
	readonly #pauseMs: number;
	#lastMs: number;

	constructor({tickMs, pauseMs, nowMs}: {readonly tickMs: number; readonly pauseMs: number; readonly nowMs: number}) {
		this.#tickMs = tickMs;
		this.#pauseMs = pauseMs;
		this.#lastMs = nowMs;
	}

	/** How long the process has not run until now, if that is a pause; each is reported once. */
	check(nowMs: number): number | undefined {
		const sinceMs = nowMs - this.#lastMs;
		if (sinceMs < this.#tickMs + this.#pauseMs) return undefined;
		this.#lastMs = nowMs;
		return Math.round(sinceMs);
	}

	ticked(nowMs: number): void {
		this.#lastMs = nowMs;
	}
}
