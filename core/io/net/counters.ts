/**
Counters by reason, and a budget of queued bytes over all links. Misbehaviour of unauthenticated peers is counted, never
thrown.
*/

/** Reasons are constants of this program, never text from the network, so the number of entries is bounded. */
export class Counters {
	/** Called with each counted reason. */
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
	Calls `run` once half of the budget is free. A queue that was refused may have no pending write of its own whose end
	would notify it.
	*/
	whenFree(run: () => void): void {
		this.#waiting.add(run);
	}

	/** Cancels `whenFree`. */
	forget(run: () => void): void {
		this.#waiting.delete(run);
	}
}
