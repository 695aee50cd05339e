/** The clock and the random source of the machine. */
import {randomBytes, randomInt} from 'node:crypto';
import type {Clock, Entropy} from '../ports.ts';

export const systemClock: Clock = {
	monotonicMs: () => performance.now(),
	wallMs: () => Date.now(),
	every(intervalMs, run) {
		const timer = setInterval(run, intervalMs).unref();
		return {[Symbol.dispose]: () => clearInterval(timer)};
	},
	after(delayMs, run) {
		const timer = setTimeout(run, delayMs).unref();
		return {[Symbol.dispose]: () => clearTimeout(timer)};
	},
	soon: run => void setImmediate(run),
};

const poolWords = 1024;

/**
Takes uniform integers from a pool of random words, so that one system call serves many, and rejects words that would
bias the result.
*/
class SystemEntropy implements Entropy {
	#pool = new Uint32Array(0);
	#next = 0;

	bytes(count: number): Uint8Array {
		return randomBytes(count);
	}

	below(limit: number): number {
		if (!(limit >= 1)) throw new RangeError(`Expected \`limit\` to be at least 1, got \`${limit}\``);
		if (limit > 0xff_ff_ff_ff) return randomInt(limit);
		const fair = 2 ** 32 - (2 ** 32 % limit);
		for (;;) {
			if (this.#next >= this.#pool.length) {
				this.#pool = crypto.getRandomValues(new Uint32Array(poolWords));
				this.#next = 0;
			}

			const word = this.#pool[this.#next++]!;
			if (word < fair) return word % limit;
		}
	}
}

export const systemEntropy: Entropy = new SystemEntropy();
