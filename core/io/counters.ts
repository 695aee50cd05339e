/**
Counters by reason, and the bytes that may wait to leave over all links. What a stranger does is counted, never thrown.
*/

/** Reasons are constants of this program, never text from the network, so the map stays small. */
export class Counters {
	readonly #counts = new Map<string, number>();

	add(reason: string, count = 1): void {
		this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count);
	}

	of(reason: string): number {
		return this.#counts.get(reason) ?? 0;
	}

	get all(): ReadonlyMap<string, number> {
		return this.#counts;
	}
}

/** A bound on bytes that many queues share. */
export class Budget {
	readonly bytesMax: number;
	#used = 0;

	constructor(bytesMax: number) {
		this.bytesMax = bytesMax;
	}

	get usedBytes(): number {
		return this.#used;
	}

	take(bytes: number): boolean {
		if (this.#used + bytes > this.bytesMax) return false;
		this.#used += bytes;
		return true;
	}

	release(bytes: number): void {
		this.#used -= bytes;
	}
}
