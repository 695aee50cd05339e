/**
The read budget of a node: how many reads of topic logs run at once. A reader without a free slot queues, and queues
again after each read. So thousands of readers that catch up take turns and share bounded memory.
*/
import {defaults} from '../config.ts';

export class ReadSlots {
	#free: number;
	readonly #waiting: Array<() => void> = [];

	/** @param slots reads at once, each of up to 256 KiB (`limits.reads`). */
	constructor(slots: number = defaults.limits.reads) {
		this.#free = slots;
	}

	/** Takes a slot; returns a promise when none is free. Every slot must be released. */
	acquire(): Promise<void> | undefined {
		if (this.#free > 0) {
			this.#free--;
			return undefined;
		}

		return new Promise(resolve => {
			this.#waiting.push(resolve);
		});
	}

	/** Passes the slot to the reader that has waited longest. */
	release(): void {
		const next = this.#waiting.shift();
		if (next) next();
		else this.#free++;
	}
}
