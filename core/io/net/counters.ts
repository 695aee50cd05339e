/**
Counters by reason, and the bytes that may wait to leave over all links. What a stranger does is counted, never thrown.
*/

/** Reasons are constants of this program, never text from the network, so the map stays small. */
export class Counters {
	/** Called with each reason that is counted. */
	onAdd: (reason: string) => void = () => {};
	readonly #counts = new Map<string, number>();

	add(reason: string, count = 1): void {
		this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count);
		this.onAdd(reason);
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
	#waiting = new Set<() => void>();

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
		if (this.#waiting.size === 0 || this.#used > this.bytesMax / 2) return;
		const waiting = this.#waiting;
		this.#waiting = new Set();
		for (const run of waiting) queueMicrotask(run);
	}

	/**
	Call `run` once half of the bytes are free: whoever was refused may have nothing of its own that is to leave, which
	would tell it.
	*/
	whenFree(run: () => void): void {
		this.#waiting.add(run);
	}

	/** No longer. */
	forget(run: () => void): void {
		this.#waiting.delete(run);
	}
}
