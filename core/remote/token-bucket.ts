/**
A token bucket: an amount per second, with a burst of one second. Taking more than there is makes a debt, which later
tokens repay; so no amount is too large, and the average rate holds. Pure: the caller gives the time.
*/
export class TokenBucket {
	readonly #perSecond: number;
	/** Thousandths of a token, which are whole numbers for whole milliseconds. */
	#thousandths: number;
	#atMs: number;

	constructor(perSecond: number, nowMs: number) {
		this.#perSecond = perSecond;
		this.#thousandths = perSecond * 1000;
		this.#atMs = nowMs;
	}

	take(amount: number, nowMs: number): void {
		this.#fill(nowMs);
		this.#thousandths -= amount * 1000;
	}

	/** Milliseconds until the debt is repaid; 0 without a debt. */
	waitMs(nowMs: number): number {
		this.#fill(nowMs);
		return this.#thousandths >= 0 ? 0 : Math.ceil(-this.#thousandths / this.#perSecond);
	}

	isFull(nowMs: number): boolean {
		this.#fill(nowMs);
		return this.#thousandths >= this.#perSecond * 1000;
	}

	#fill(nowMs: number): void {
		const elapsedMs = Math.max(0, nowMs - this.#atMs);
		this.#atMs = Math.max(this.#atMs, nowMs);
		this.#thousandths = Math.min(this.#perSecond * 1000, this.#thousandths + elapsedMs * this.#perSecond);
	}
}
