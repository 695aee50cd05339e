/**
The read budget of a node: how many reads of topic logs run for readers at once. A reader that finds none free waits in
line, and stands behind the others again after each read, so that thousands of readers that catch up take turns and
share a bounded amount of memory.
*/
import {defaults} from '../config.ts';

export class ReadSlots {
	#free: number;
	readonly #waiting: Array<() => void> = [];

	/** @param slots reads at once, each of up to 256 KiB (`limits.reads`). */
	constructor(slots: number = defaults.limits.reads) {
		this.#free = slots;
	}

	/** Take a slot; a promise when it has to be waited for. Every slot is to be released. */
	acquire(): Promise<void> | undefined {
		if (this.#free > 0) {
			this.#free--;
			return undefined;
		}

		return new Promise(resolve => {
			this.#waiting.push(resolve);
		});
	}

	/** Hand the slot to whoever waits longest. */
	release(): void {
		const next = this.#waiting.shift();
		if (next) next();
		else this.#free++;
	}
}
