/**
How much this node trusts itself. A node that gets no answers is perhaps slow or badly connected itself; the more often
that looks so, the longer it waits before it accuses others (Lifeguard, section IV-A: the local health multiplier, LHM).
*/

/** Highest score: waits are stretched at most nine times. */
export const healthMax = 8;

export class Health {
	#score = 0;

	/** 0 is well, `healthMax` is worst. */
	get score(): number {
		return this.#score;
	}

	/** Ticks, stretched by the score. */
	stretch(ticks: number): number {
		return ticks * (this.#score + 1);
	}

	/** An answer came in time. */
	good(): void {
		this.#score = Math.max(0, this.#score - 1);
	}

	/** A probe failed and a relay was silent too, or this node had to defend itself. */
	bad(): void {
		this.#score = Math.min(healthMax, this.#score + 1);
	}
}
