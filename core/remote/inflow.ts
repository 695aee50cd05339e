/**
Publishes that came in and are not on the disk yet, of one node over all its connections. A connection that has too many
of them, or finds too many of others, is not read from until there is room: the publisher has to wait, and the node
holds a bounded amount of memory.
*/

/** Bytes of publishes on their way to the disk, of one connection and of all. */
export const publishBytesMax = 4 * 1024 * 1024;
const publishTotalBytesMax = 64 * 1024 * 1024;
/** What a publish costs beside its bodies. */
const publishCostBytes = 512;

export function costOf(bodies: readonly Uint8Array[]): number {
	let cost = publishCostBytes;
	for (const body of bodies) cost += body.length + 4;
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

	/** Call `run` once half of it is free. */
	whenFree(run: () => void): void {
		this.#waiting.add(run);
	}

	/** No longer. */
	forget(run: () => void): void {
		this.#waiting.delete(run);
	}
}
