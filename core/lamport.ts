/**
Logical time (Lamport 1978): every batch is stamped later than everything that its origin had seen. Stamps order
batches; they do not measure seconds.

The clock must not go back over a restart, even when the newest batches were lost with the page cache. So a ceiling is
stored on disk and raised in big steps before the clock reaches it. A restart continues from the ceiling, not from the
last stamp.
*/

/** Stamps are 48-bit integers on the wire. */
export const lamportMax = 2 ** 48 - 1;
const ceilingStep = 2 ** 20;

export class Lamport {
	#now: number;
	#ceiling: number;
	/** The ceiling that is stored on disk. */
	#persisted: number;
	readonly #jumpMax: number;

	/** @param ceiling the ceiling that was read from disk; 0 at the first start. */
	constructor(ceiling: number, jumpMax: number) {
		this.#now = ceiling;
		this.#ceiling = ceiling;
		this.#persisted = ceiling;
		this.#jumpMax = jumpMax;
	}

	get now(): number {
		return this.#now;
	}

	/** The ceiling that is stored, or about to be: a restart continues from it. */
	get ceiling(): number {
		return this.#ceiling;
	}

	/** The ceiling has been stored on disk. */
	persisted(ceiling: number): void {
		this.#persisted = Math.max(this.#persisted, ceiling);
	}

	/**
	Whether the next stamp is below the stored ceiling. A received stamp may be far ahead of ours. Then the ceiling must
	be stored first, or a restart would go back.
	*/
	get isPersisted(): boolean {
		return this.#now < this.#persisted;
	}

	/** Assigns the next stamp. */
	stamp(): number {
		if (this.#now >= lamportMax)
			throw new RangeError(`Expected a Lamport time below ${lamportMax}, got ${this.#now}: start a new cluster`);
		this.#now += 1;
		return this.#now;
	}

	/** Advances past a received stamp. False, without effect, when it is further ahead than a correct peer can be. */
	witness(stamp: number): boolean {
		if (stamp > this.#now + this.#jumpMax || stamp > lamportMax) return false;
		if (stamp > this.#now) this.#now = stamp;
		return true;
	}

	/** The next ceiling to store, early enough that stamps never wait for the disk; `undefined` while there is room. */
	nextCeiling(): number | undefined {
		if (this.#now + ceilingStep / 2 < this.#ceiling) return undefined;
		this.#ceiling = Math.min(lamportMax, this.#now + ceilingStep);
		return this.#ceiling;
	}
}
