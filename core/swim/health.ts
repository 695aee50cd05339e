/**
Local health (Lifeguard, section IV-A: the local health multiplier, LHM). A node that gets no answers may itself be slow
or badly connected. The more often that seems so, the longer it waits before it accuses others.
*/

/** Highest score: waits are stretched at most nine times. */
export const healthMax = 8;

export class Health {
	#score = 0;

	/** 0 is best, `healthMax` worst. */
	get score(): number {
		return this.#score;
	}

	/** `ticks`, multiplied by the score plus one. */
	stretch(ticks: number): number {
		return ticks * (this.#score + 1);
	}

	/** An answer arrived in time. */
	good(): void {
		this.#score = Math.max(0, this.#score - 1);
	}

	/** A probe failed and a relay was silent too, or this node had to refute an accusation. */
	bad(): void {
		this.#score = Math.min(healthMax, this.#score + 1);
	}
}
