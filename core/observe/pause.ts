/**
Detects that this process did not run: a tick comes later than `pauseMs` allows, by a monotonic clock. The process was
stopped, the machine was suspended, or a task blocked the event loop.
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

	/**
	The length of the pause that ends now, in milliseconds; `undefined` when there was none. Each pause is reported
	once.
	*/
	check(nowMs: number): number | undefined {
		const sinceMs = nowMs - this.#lastMs;
		if (sinceMs < this.#tickMs + this.#pauseMs) return undefined;
		this.#lastMs = nowMs;
		return Math.round(sinceMs);
	}

	/** A tick ran. */
	ticked(nowMs: number): void {
		this.#lastMs = nowMs;
	}
}
