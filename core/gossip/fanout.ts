/**
How often a batch is sent to each subscriber. In a small cluster the origin pushes to everybody itself, once. In a
larger one it travels along a tree, and with c copies each subscriber is pushed to by c others: where a share p of the
pushes gets lost, no more than about p^c of the subscribers must pull, at any size. One copy is enough on links that
lose nothing; how many are needed is measured, from above: many duplicates with hardly a miss lower the number, too many
batches that no push brought raise it. It moves one step at a time and only when two measurements in a row agree; a
number that turned out too low is tried again later and later.
*/
import type {Config} from '../config.ts';

type Bounds = Pick<Config['gossip'], 'fanoutMin' | 'fanoutMax'>;
type Counts = {fresh: number; duplicates: number; misses: number};

const bucketsMax = 8;
/** Before anything was measured: of five pushes one may get lost, and a subscriber in a hundred must pull. */
const copiesFirst = 4;
/**
Fewer batches than this say nothing; and where a number was too low once, so many are looked at before it is said again.
*/
const sampleMin = 32;
const sampleMinCareful = 128;
/** Misses above which there are more copies, below which there may be fewer; duplicates above which there are. */
const missesHigh = 0.01;
const missesLow = 0.002;
const duplicatesHigh = 0.3;
/** Measurements after which a number that was too low is tried again, at the most. */
const restMax = 64;

export class Fanout {
	readonly #bounds: Bounds;
	#copies: number;
	/** What was measured since the last judgement, where batches are relayed. */
	#relayed = nothing();
	#leaning = 0;
	/**
	Measurements to go until there may be fewer copies, and how many it will be the next time that this was too early.
	*/
	#rest = 0;
	#nextRest = 1;
	#hasShrunk = false;
	#current = nothing();
	readonly #buckets: Counts[] = [this.#current];

	constructor(bounds: Bounds) {
		this.#bounds = bounds;
		this.#copies = Math.min(copiesFirst, bounds.fanoutMax);
	}

	/** A batch came for the first time, in a topic with so many other subscribers. */
	fresh(others: number): void {
		this.#current.fresh++;
		if (!this.isDirect(others)) this.#relayed.fresh++;
	}

	/** A push brought what was here already. */
	duplicate(others: number): void {
		this.#current.duplicates++;
		if (!this.isDirect(others)) this.#relayed.duplicates++;
	}

	/** A batch had to be pulled. Counted in addition to `fresh`. */
	miss(others: number): void {
		this.#current.misses++;
		if (!this.isDirect(others)) this.#relayed.misses++;
	}

	/** Whether the origin pushes to all of so many other subscribers itself. */
	isDirect(others: number): boolean {
		return others <= this.#bounds.fanoutMin;
	}

	/**
	How many pushes of one batch leave a node: from the origin to all of a few, from each node on average among more.
	*/
	of(others: number): number {
		return this.isDirect(others) ? others : Math.min(others, this.#copies);
	}

	/** Shares over the last seconds, 0 to 1: of what came, duplicates; of what was new, pulled. */
	shares(): {readonly duplicates: number; readonly misses: number} {
		return sharesOf(this.#buckets);
	}

	/** About once a second. */
	turn(): void {
		if (this.#relayed.fresh >= (this.#nextRest === 1 ? sampleMin : sampleMinCareful)) {
			this.#adapt();
			this.#relayed = nothing();
		}

		this.#current = nothing();
		this.#buckets.push(this.#current);
		if (this.#buckets.length > bucketsMax) this.#buckets.shift();
	}

	#adapt(): void {
		const {duplicates, misses} = sharesOf([this.#relayed]);
		if (this.#rest > 0) this.#rest--;
		const wish =
			misses > missesHigh ? 1 : misses < missesLow && duplicates > duplicatesHigh && this.#rest === 0 ? -1 : 0;
		const isAgreed = wish !== 0 && wish === this.#leaning;
		this.#leaning = isAgreed ? 0 : wish; // What was measured belongs to the number that is left behind.
		if (!isAgreed) return;
		if (wish === 1 && this.#hasShrunk) {
			this.#rest = this.#nextRest;
			this.#nextRest = Math.min(restMax, this.#nextRest * 2);
		}

		this.#hasShrunk = wish === -1;
		this.#copies = Math.min(this.#bounds.fanoutMax, Math.max(1, this.#copies + wish));
	}
}

function nothing(): Counts {
	return {fresh: 0, duplicates: 0, misses: 0};
}

function sharesOf(counts: readonly Counts[]): {readonly duplicates: number; readonly misses: number} {
	const sum = nothing();
	for (const each of counts) {
		sum.fresh += each.fresh;
		sum.duplicates += each.duplicates;
		sum.misses += each.misses;
	}

	return {
		duplicates: sum.duplicates / Math.max(1, sum.fresh + sum.duplicates),
		misses: sum.misses / Math.max(1, sum.fresh),
	};
}
