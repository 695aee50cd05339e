/**
The number of copies of a batch that are sent to each subscriber. In a small cluster the origin pushes to every
subscriber once. In a larger one a batch travels along a tree, and with c copies each subscriber has c parents. If a
share p of the pushes is lost, about p^c of the subscribers must pull, whatever the cluster size. Links without loss
need one copy. The number adapts to measurements: frequent duplicates with few misses decrease it, and too many misses
(batches that no push brought) increase it. It moves one step at a time, and only when two measurements in a row agree.
A number that turned out too low is tried again after longer and longer pauses.
*/
import type {Config} from '../config.ts';

type Bounds = Pick<Config['gossip'], 'fanoutMin' | 'fanoutMax'>;
type Counts = {fresh: number; duplicates: number; misses: number};

/** Turns (seconds) that `shares()` covers. */
const bucketsMax = 8;
/** Start value: with one push in five lost, fewer than one subscriber in a hundred must pull. */
const copiesFirst = 4;
/** New batches that a measurement needs at least; more after a decrease turned out too early. */
const sampleMin = 32;
const sampleMinCareful = 128;
/** A share of misses above `missesHigh` asks for more copies. Below `missesLow`, many duplicates ask for fewer. */
const missesHigh = 0.01;
const missesLow = 0.002;
const duplicatesHigh = 0.3;
/** Longest pause before the next decrease, in measurements. */
const restMax = 64;

export class Fanout {
	readonly #bounds: Bounds;
	#copies: number;
	/** Relayed batches since the last measurement. */
	#relayed = nothing();
	#leaning = 0;
	/** Measurements until the next decrease is allowed. `#nextRest` is the pause after the next failed decrease. */
	#rest = 0;
	#nextRest = 1;
	#hasShrunk = false;
	#current = nothing();
	readonly #buckets: Counts[] = [this.#current];

	constructor(bounds: Bounds) {
		this.#bounds = bounds;
		this.#copies = Math.min(copiesFirst, bounds.fanoutMax);
	}

	/** Counts a new batch in a topic with `others` other subscribers. */
	fresh(others: number): void {
		this.#current.fresh++;
		if (!this.isDirect(others)) this.#relayed.fresh++;
	}

	/** Counts a push of a batch that is already here. */
	duplicate(others: number): void {
		this.#current.duplicates++;
		if (!this.isDirect(others)) this.#relayed.duplicates++;
	}

	/** Counts a batch that had to be pulled, in addition to `fresh`. */
	miss(others: number): void {
		this.#current.misses++;
		if (!this.isDirect(others)) this.#relayed.misses++;
	}

	/** Whether the origin pushes to all `others` subscribers itself. */
	isDirect(others: number): boolean {
		return others <= this.#bounds.fanoutMin;
	}

	/** Pushes of one batch per node: all subscribers of a small topic, else the average number per node. */
	of(others: number): number {
		return this.isDirect(others) ? others : Math.min(others, this.#copies);
	}

	/** Shares over the last seconds, 0 to 1: duplicates among received batches, and pulled batches among new ones. */
	shares(): {readonly duplicates: number; readonly misses: number} {
		return sharesOf(this.#buckets);
	}

	/** Ends a measurement bucket; called about once a second. */
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
		const step =
			misses > missesHigh ? 1 : misses < missesLow && duplicates > duplicatesHigh && this.#rest === 0 ? -1 : 0;
		const isAgreed = step !== 0 && step === this.#leaning;
		this.#leaning = isAgreed ? 0 : step; // After a step, old measurements no longer apply.
		if (!isAgreed) return;
		if (step === 1 && this.#hasShrunk) {
			this.#rest = this.#nextRest;
			this.#nextRest = Math.min(restMax, this.#nextRest * 2);
		}

		this.#hasShrunk = step === -1;
		this.#copies = Math.min(this.#bounds.fanoutMax, Math.max(1, this.#copies + step));
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
