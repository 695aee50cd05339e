/**
How many peers get a batch at once. Epidemics need about ln n copies a node to reach everyone (Demers 1987; Eugster 2004); from there the
fanout follows what is measured: many duplicates and it may fall, batches that had to be repaired and it must grow.
*/
const windowTicks = 400;
const duplicatesHigh = 0.6;
const missesHigh = 0.01;

export class Fanout {
	duplicates = 0;
	misses = 0;
	#shift = 0;
	#ticks = 0;
	#fresh = 0;
	#duplicate = 0;
	#missed = 0;
	readonly #least: number;
	readonly #most: number;

	constructor(least: number, most: number) {
		this.#least = least;
		this.#most = most;
	}

	/** For a topic with this many other subscribers. A small group gets everything from the first hand. */
	of(subscribers: number): number {
		if (subscribers <= this.#least + 1) return subscribers;
		const base = Math.ceil(Math.log(subscribers)) + 2;
		return Math.min(subscribers, Math.max(this.#least, Math.min(this.#most, base + this.#shift)));
	}

	/** A batch came in: `fresh` by push, `missed` first heard of otherwise, `duplicate` again. */
	observe(kind: 'fresh' | 'missed' | 'duplicate'): void {
		if (kind === 'duplicate') this.#duplicate++;
		else if (kind === 'missed') this.#missed++;
		else this.#fresh++;
	}

	tick(): void {
		if (++this.#ticks < windowTicks) return;
		const first = this.#fresh + this.#missed;
		this.duplicates = first + this.#duplicate === 0 ? 0 : this.#duplicate / (first + this.#duplicate);
		this.misses = first === 0 ? 0 : this.#missed / first;
		if (first >= 20) {
			if (this.misses > missesHigh) this.#shift = Math.min(this.#shift + 1, this.#most);
			else if (this.duplicates > duplicatesHigh) this.#shift = Math.max(this.#shift - 1, -2);
		}

		this.#ticks = 0;
		this.#fresh = 0;
		this.#duplicate = 0;
		this.#missed = 0;
	}
}
