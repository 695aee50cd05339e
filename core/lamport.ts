/**
Logical time (Lamport 1978): every batch is stamped later than everything its origin had seen. The number orders
batches; it says nothing about seconds.

It must not go back over a restart, also when the newest batches were lost with the page cache. So a ceiling is kept on
disk and raised in big steps before it is reached: a restart goes on from the ceiling, not from the last stamp.
*/

/** Stamps travel as 48-bit integers. */
export const lamportMax = 2 ** 48 - 1;
const ceilingStep = 2 ** 20;

export class Lamport {
	#now: number;
	#ceiling: number;
	/** The ceiling that is on the disk. */
	#kept: number;
	readonly #jumpMax: number;

	/** @param ceiling the ceiling that was read from disk; 0 at the first start. */
	constructor(ceiling: number, jumpMax: number) {
		this.#now = ceiling;
		this.#ceiling = ceiling;
		this.#kept = ceiling;
		this.#jumpMax = jumpMax;
	}

	get now(): number {
		return this.#now;
	}

	/** What is, or is about to be, on disk: a restart goes on from here. */
	get ceiling(): number {
		return this.#ceiling;
	}

	/** This ceiling is on the disk. */
	kept(ceiling: number): void {
		this.#kept = Math.max(this.#kept, ceiling);
	}

	/**
	The next stamp is below what is on the disk. A stamp that was received may be far ahead of ours: then the disk comes
	first, or a restart would go back.
	*/
	get isKept(): boolean {
		return this.#now < this.#kept;
	}

	/** Take the next stamp. */
	stamp(): number {
		if (this.#now >= lamportMax)
			throw new RangeError(`Expected a Lamport time below ${lamportMax}, got ${this.#now}: start a new cluster`);
		this.#now += 1;
		return this.#now;
	}

	/**
	Move past a stamp that was received. False, and nothing moves, when it is further ahead than a sane peer can be.
	*/
	witness(stamp: number): boolean {
		if (stamp > this.#now + this.#jumpMax || stamp > lamportMax) return false;
		if (stamp > this.#now) this.#now = stamp;
		return true;
	}

	/**
	The next ceiling to make durable, early enough that stamps never wait for the disk; `undefined` while there is room.
	*/
	nextCeiling(): number | undefined {
		if (this.#now + ceilingStep / 2 < this.#ceiling) return undefined;
		this.#ceiling = Math.min(lamportMax, this.#now + ceilingStep);
		return this.#ceiling;
	}
}
