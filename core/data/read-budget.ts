/**
The read budget of a node: how many reads of topic logs run at once, and how many bytes they read together, in all and
for each connection. The reads of one sink together stay within its room, so that a reader with little credit reads
little. Readers without budget queue, and queue again after each read. Connections take turns, and so do the sinks of a
connection. So thousands of readers that catch up share bounded memory, and none of them waits for all others.
*/
import {defaults} from '../config.ts';

/** Bytes of one read. */
export const readBytesMax = 256 * 1024;
/** A read takes this much at least from the budget, whatever the room of its sink. */
const readBytesMin = 4096;

/** The source of the demand: the destination of what is read. */
export type ReadingSink = {
	/** Bytes that it accepts now; 0 when it is full. */
	room(): number;
	/** The connection, or other user, that the sink belongs to. @default the sink itself */
	readonly owner?: object | undefined;
};

/** Budget for one read, which must be released. */
export type ReadTurn = {
	/** Bytes that may be read; 0 when the sink is full. */
	readonly bytes: number;
	release(): void;
};

export type ReadBudgetOptions = {
	/** Reads at once (`limits.reads`). */
	readonly reads?: number;
	/** Bytes that are read at once, in all and for one owner (`limits.readBytes`, `limits.readBytesPerConnection`). */
	readonly bytes?: number;
	readonly bytesPerOwner?: number;
	/** Called when a reader has to wait because the node's budget of bytes is used up. */
	readonly onFull?: () => void;
};

type SinkQueue = {readonly sink: ReadingSink; used: number; readonly waiting: Array<(turn: ReadTurn) => void>};
type Owner = {used: number; readonly sinks: Map<ReadingSink, SinkQueue>};

export class ReadBudget {
	readonly #options: Required<ReadBudgetOptions>;
	#reads = 0;
	#bytes = 0;
	/** Owners and their sinks that read or wait. The one that waits longest for its turn comes first. */
	readonly #owners = new Map<object, Owner>();

	constructor({
		reads = defaults.limits.reads,
		bytes = defaults.limits.readBytes,
		bytesPerOwner = defaults.limits.readBytesPerConnection,
		onFull = () => {},
	}: ReadBudgetOptions = {}) {
		this.#options = {reads, bytes, bytesPerOwner, onFull};
	}

	/** Bytes of the reads that run now. */
	get usedBytes(): number {
		return this.#bytes;
	}

	/** Waits for a turn to read for the sink. */
	acquire(sink: ReadingSink): Promise<ReadTurn> {
		return new Promise(resolve => {
			this.#queueOf(sink).waiting.push(resolve);
			if (this.#grant() === 'full') this.#options.onFull();
		});
	}

	#queueOf(sink: ReadingSink): SinkQueue {
		const key = sink.owner ?? sink;
		let owner = this.#owners.get(key);
		if (!owner) {
			owner = {used: 0, sinks: new Map()};
			this.#owners.set(key, owner);
		}

		let queue = owner.sinks.get(sink);
		if (!queue) {
			queue = {sink, used: 0, waiting: []};
			owner.sinks.set(sink, queue);
		}

		return queue;
	}

	/** Gives turns as long as there are readers and budget. `full`: the bytes of the node are used up. */
	#grant(): 'none' | 'full' {
		for (;;) {
			const given = this.#reads < this.#options.reads ? this.#grantNext() : 'none';
			if (given !== 'given') return given;
		}
	}

	/**
	Gives a turn to the first reader that fits. Only owners and sinks with a running read can be passed over, and these
	are few.
	*/
	#grantNext(): 'given' | 'none' | 'full' {
		for (const [key, owner] of this.#owners) {
			for (const queue of owner.sinks.values()) {
				if (queue.waiting.length === 0) continue;
				const room = queue.sink.room();
				const bytes = Math.max(0, Math.min(readBytesMax, room));
				const charged = bytes === 0 ? 0 : Math.max(readBytesMin, bytes);
				if (!isWithin(queue.used, bytes, room)) continue;
				if (!isWithin(owner.used, charged, this.#options.bytesPerOwner)) break;
				if (!isWithin(this.#bytes, charged, this.#options.bytes)) return 'full';
				this.#give(key, owner, queue, bytes, charged);
				return 'given';
			}
		}

		return 'none';
	}

	#give(key: object, owner: Owner, queue: SinkQueue, bytes: number, charged: number): void {
		this.#reads++;
		this.#bytes += charged;
		owner.used += charged;
		queue.used += bytes;
		// To the end of the line.
		this.#owners.delete(key);
		this.#owners.set(key, owner);
		owner.sinks.delete(queue.sink);
		owner.sinks.set(queue.sink, queue);
		const resolve = queue.waiting.shift()!;
		resolve({
			bytes,
			release: () => {
				this.#reads--;
				this.#bytes -= charged;
				owner.used -= charged;
				queue.used -= bytes;
				if (queue.used === 0 && queue.waiting.length === 0) owner.sinks.delete(queue.sink);
				if (owner.sinks.size === 0) this.#owners.delete(key);
				this.#grant();
			},
		});
	}
}

/** Something that is not used at all always fits, however small its bound. */
function isWithin(used: number, bytes: number, max: number): boolean {
	return used === 0 || used + bytes <= max;
}
