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
	/** By peer: its highest stamp that was refused. */
	readonly #refused = new Map<NodeId, number>();
	/** A new node that has assigned no stamp yet. */
	#isNew: boolean;

	/** @param ceiling the ceiling that was read from disk; 0 at the first start. */
	constructor(ceiling: number, jumpMax: number) {
		this.#now = ceiling;
		this.#ceiling = ceiling;
		this.#persisted = ceiling;
		this.#jumpMax = jumpMax;
		this.#isNew = ceiling === 0;
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
		this.#isNew = false;
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
		const isWithinShare = this.#isWithinShare(stamp, from);
		if (!isWithinShare && !this.#isBelieved(stamp, from)) {
			if (from !== undefined) this.#refused.set(from, Math.max(this.#refused.get(from) ?? 0, stamp));
			return false;
		}

		if (isWithinShare && from !== undefined && jump > usualJump)
			this.#jumps.set(from, (this.#jumps.get(from) ?? 0) + jump);
		this.#now = stamp;
		return true;
	}

	/** Whether `witness` would accept the stamp. */
	accepts(stamp: number, from: NodeId | undefined): boolean {
		return stamp <= this.#now || this.#isWithinShare(stamp, from) || this.#isBelieved(stamp, from);
	}

	#isWithinShare(stamp: number, from: NodeId | undefined): boolean {
		const jump = stamp - this.#now;
		if (stamp > lamportMax || jump > this.#jumpMax) return false;
		if (from === undefined || jump <= usualJump) return true;
		return (this.#jumps.get(from) ?? 0) + jump <= (lamportMax - this.#now) / share;
	}

	/**
	Whether a stamp up to half of all is accepted however far it is ahead. A member with a fault may have moved the time
	of the others while this node was away, or before it joined. So what two peers say counts, and what a new node
	hears first.
	*/
	#isBelieved(stamp: number, from: NodeId | undefined): boolean {
		if (from === undefined) return stamp <= lamportMax;
		if (stamp > lamportMax / 2) return false;
		if (this.#isNew) return true;
		for (const [peer, refused] of this.#refused) if (peer !== from && refused >= stamp) return true;
		return false;
	}

	/** The next ceiling to store, early enough that stamps never wait for the disk; `undefined` while there is room. */
	nextCeiling(): number | undefined {
		if (this.#now + ceilingStep / 2 < this.#ceiling) return undefined;
		this.#ceiling = Math.min(lamportMax, this.#now + ceilingStep);
		return this.#ceiling;
	}
}
