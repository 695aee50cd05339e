/**
How many peers a batch is pushed to. An epidemic that infects each node once and dies reaches the share z of n nodes that solves
z = 1 - e^(-fz) (Demers 1987; Kermarrec 2003): a fanout f of ln n and a little reaches nearly all, and each more costs one copy a node.
So it starts at ⌈ln n⌉ + 2 and follows what was measured over the last seconds: too many batches that no push brought raise it, many
duplicates with hardly a miss lower it. It moves one step at a time and only when two windows in a row agree.
*/
import type {Config} from '../config.ts';

type Bounds = Pick<Config['gossip'], 'fanoutMin' | 'fanoutMax'>;
type Bucket = {fresh: number; duplicates: number; misses: number};

const bucketsMax = 8;
/** Fewer batches than this say nothing. */
const sampleMin = 100;
/** Misses above which the fanout grows, below which it may shrink; duplicates above which it does. */
const missesHigh = 0.01;
const missesLow = 0.002;
const duplicatesHigh = 0.5;
const adjustMin = -3;
const adjustMax = 6;

/** Peers to push to among `others` subscribers: all of a few, else ⌈ln n⌉ + 2 within the bounds. */
export function baseFanout(others: number, {fanoutMin, fanoutMax}: Bounds): number {
	if (others <= fanoutMin) return others;
	return Math.min(others, fanoutMax, Math.max(fanoutMin, Math.ceil(Math.log(others + 1)) + 2));
}

export class Fanout {
	readonly #bounds: Bounds;
	#current: Bucket = {fresh: 0, duplicates: 0, misses: 0};
	readonly #buckets: Bucket[] = [this.#current];
	#adjust = 0;
	#leaning = 0;
	/** By number of other subscribers; forgotten when the adjustment moves. */
	readonly #cache = new Map<number, number>();

	constructor(bounds: Bounds) {
		this.#bounds = bounds;
	}

	/** A batch came for the first time. */
	fresh(): void {
		this.#current.fresh++;
	}

	/** A push brought what was here already. */
	duplicate(): void {
		this.#current.duplicates++;
	}

	/** A batch had to be pulled. Counted in addition to `fresh`. */
	miss(): void {
		this.#current.misses++;
	}

	/** Where every subscriber is pushed to there is nothing to adapt. */
	of(others: number): number {
		let fanout = this.#cache.get(others);
		if (fanout === undefined) {
			const {fanoutMin, fanoutMax} = this.#bounds;
			const base = baseFanout(others, this.#bounds);
			fanout = base >= others ? base : Math.min(others, fanoutMax, Math.max(fanoutMin, base + this.#adjust));
			this.#cache.set(others, fanout);
		}

		return fanout;
	}

	/** Shares over the window, 0 to 1: of what came, duplicates; of what was new, pulled. */
	shares(): {readonly duplicates: number; readonly misses: number} {
		const {fresh, duplicates, misses} = this.#sum();
		return {duplicates: duplicates / Math.max(1, fresh + duplicates), misses: misses / Math.max(1, fresh)};
	}

	/** The next bucket of the window begins; about once a second. */
	turn(): void {
		if (this.#sum().fresh >= sampleMin) this.#adapt();
		this.#current = {fresh: 0, duplicates: 0, misses: 0};
		this.#buckets.push(this.#current);
		if (this.#buckets.length > bucketsMax) this.#buckets.shift();
	}

	#adapt(): void {
		const {duplicates, misses} = this.shares();
		const wish = misses > missesHigh ? 1 : misses < missesLow && duplicates > duplicatesHigh ? -1 : 0;
		const isAgreed = wish !== 0 && wish === this.#leaning;
		this.#leaning = wish;
		if (!isAgreed) return;
		const adjust = Math.min(adjustMax, Math.max(adjustMin, this.#adjust + wish));
		if (adjust === this.#adjust) return;
		this.#adjust = adjust;
		this.#cache.clear();
		// What was measured belongs to the fanout that is left behind.
		this.#leaning = 0;
		this.#buckets.length = 0;
	}

	#sum(): Bucket {
		const sum = {fresh: 0, duplicates: 0, misses: 0};
		for (const bucket of this.#buckets) {
			sum.fresh += bucket.fresh;
			sum.duplicates += bucket.duplicates;
			sum.misses += bucket.misses;
		}

		return sum;
	}
}
