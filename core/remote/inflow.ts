/**
Back-pressure on publishes: received publishes that are not synced yet, over all connections of a node. A connection
over its bound, or while the total is over its bound, is not read from until there is room. So publishers wait, and
memory is bounded.
*/

/** Bytes of publishes on their way to the disk, per connection and in total. */
export const publishBytesMax = 4 * 1024 * 1024;
const publishTotalBytesMax = 64 * 1024 * 1024;
/** Memory of a publish, and of each of its bodies, besides the bytes of the bodies. */
const publishCostBytes = 512;
const bodyCostBytes = 128;

export function costOf(bodies: readonly Uint8Array[]): number {
	let cost = publishCostBytes;
	for (const body of bodies) cost += body.length + bodyCostBytes;
	return cost;
}

export class Inflow {
	#bytes = 0;
	readonly #bytesMax: number;
	#waiting = new Set<() => void>();

	/** @param bytesMax over all connections; each may exceed it by one publish. */
	constructor(bytesMax: number = publishTotalBytesMax) {
		this.#bytesMax = bytesMax;
	}

	get bytes(): number {
		return this.#bytes;
	}

	get isFull(): boolean {
		return this.#bytes >= this.#bytesMax;
	}

	add(bytes: number): void {
		this.#bytes += bytes;
	}

	remove(bytes: number): void {
		this.#bytes -= bytes;
		if (this.#waiting.size === 0 || this.#bytes > this.#bytesMax / 2) return;
		const waiting = this.#waiting;
		this.#waiting = new Set();
		for (const run of waiting) run();
	}

	/** Calls `run` once half of the bound is free. */
	whenFree(run: () => void): void {
		this.#waiting.add(run);
	}

	/** Cancels `whenFree`. */
	forget(run: () => void): void {
		this.#waiting.delete(run);
	}
}
