/**
Logical time (Lamport 1978): every batch is stamped later than everything that its origin had seen. Stamps order
batches; they do not measure seconds.

The clock must not go back over a restart, even when the newest batches were lost with the page cache. So a ceiling is
stored on disk and raised in big steps before the clock reaches it. A restart continues from the ceiling, not from the
last stamp.
*/

import type {NodeId} from './message.ts';

/** Stamps are 48-bit integers on the wire. */
export const lamportMax = 2 ** 48 - 1;
const ceilingStep = 2 ** 20;
/** A jump up to this counts for no peer: stamps of several publishers interleave. */
const usualJump = 1024;
/** All jumps of a peer together take at most this share of the time that is left. */
const share = 16;

export class Lamport {
	#now: number;
	#ceiling: number;
	/** The ceiling that is stored on disk. */
	#persisted: number;
	readonly #jumpMax: number;
	/** By peer: the sum of its jumps. */
	readonly #jumps = new Map<NodeId, number>();

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

	/**
	Advances past a stamp that a peer sent. False, without effect, when a correct peer cannot be that far ahead. The
	jumps of each peer have a limit, so that a peer with a fault cannot use up all stamps: the time never goes back.
	@param from `undefined` for a stamp from the files of this node
	*/
	witness(stamp: number, from: NodeId | undefined): boolean {
		const jump = stamp - this.#now;
		if (jump <= 0) return true;
		if (stamp > lamportMax || jump > this.#jumpMax) return false;
		if (from !== undefined && jump > usualJump) {
			const jumps = (this.#jumps.get(from) ?? 0) + jump;
			if (jumps > (lamportMax - this.#now) / share) return false;
			this.#jumps.set(from, jumps);
		}

		this.#now = stamp;
		return true;
	}

	/** The next ceiling to store, early enough that stamps never wait for the disk; `undefined` while there is room. */
	nextCeiling(): number | undefined {
		if (this.#now + ceilingStep / 2 < this.#ceiling) return undefined;
		this.#ceiling = Math.min(lamportMax, this.#now + ceilingStep);
		return this.#ceiling;
	}
}
