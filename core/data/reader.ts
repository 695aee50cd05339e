/**
A reader of one topic: a cursor in the topic's log. While it keeps up, it gets each batch as it is written. When its
sink is full, it pauses, and later continues from the log at its cursor. The cursor never passes a batch that the sink
has not taken. So a slow reader costs only disk reads, and loses only messages that retention deletes, which are
counted.
*/
import type {StoredBatch} from '../message.ts';
import type {ReadBudget, ReadingSink} from './read-budget.ts';

/**
The destination of batches. A sink is full when its `room` is 0 or it takes fewer batches than offered; `Reader.resume`
continues.
*/
export type BatchSink = ReadingSink & {
	/** Bytes that it accepts now; 0 when it is full. The batch that fills it may be larger. */
	room(): number;
	/** Takes batches from the front while it has room, and returns how many; the others stay in the log. */
	take(items: readonly StoredBatch[]): number;
	/** Messages that were gone from the log before they could be read. */
	dropped(messages: number): void;
	/** Messages that never reached the log, and will not: they have no offsets. */
	missed?(messages: number): void;
	/** The log failed: no more batches will come. */
	failed(error: Error): void;
};

export type ReadableLog = {
	/** Reads from the batch that contains `offset`, or from the oldest one. `next` is the offset to continue from. */
	read(offset: number, bytesMax: number): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}>;
};

export class Reader implements Disposable {
	#cursor: number;
	#end: number;
	#state: 'live' | 'full' | 'reading' | 'closed' = 'full';
	readonly #log: ReadableLog;
	readonly #sink: BatchSink;
	readonly #budget: ReadBudget;

	/**
	@param from the first wanted offset.
	@param end the offset after the newest written batch.
	@param budget shared by all readers of the node
	*/
	constructor(log: ReadableLog, from: number, end: number, sink: BatchSink, budget: ReadBudget) {
		this.#log = log;
		this.#budget = budget;
		this.#cursor = from;
		this.#end = end;
		this.#sink = sink;
	}

	/** Everything before this offset was delivered or is gone. */
	get cursor(): number {
		return this.#cursor;
	}

	/**
	Batches were written, in log order.
	@param items empty when some of them are hidden: the log knows which
	*/
	onWritten(items: readonly StoredBatch[], end: number): void {
		this.#end = end;
		if (this.#state !== 'live') return;
		if (items.length === 0) {
			this.#state = 'full';
			return this.resume();
		}

		// The catch-up may have read the last of these already: the log has them a moment before this call.
		const fresh = items[0]!.offset >= this.#cursor ? items : items.filter(({offset}) => offset >= this.#cursor);
		if (fresh.length === 0) return;
		if (!this.#deliver(fresh, end) && !this.#isClosed()) this.#state = 'full';
	}

	/** Messages that the consumer waits for never reached the log. */
	missed(messages: number): void {
		if (this.#state !== 'closed') this.#sink.missed?.(messages);
	}

	/** The sink has room again. */
	resume(): void {
		if (this.#state !== 'full') return;
		if (this.#cursor >= this.#end) {
			this.#state = 'live';
			return;
		}

		this.#state = 'reading';
		void this.#catchUp().catch((error: unknown) => {
			this.#state = 'closed';
			this.#sink.failed(error instanceof Error ? error : new Error(String(error)));
		});
	}

	[Symbol.dispose](): void {
		this.#state = 'closed';
	}

	async #catchUp(): Promise<void> {
		while (this.#cursor < this.#end) {
			const turn = await this.#budget.acquire(this.#sink);
			try {
				if (this.#isClosed()) return;
				if (turn.bytes <= 0) {
					// Room that came since the turn was given is not reported again.
					if (this.#sink.room() > 0) continue;
					this.#state = 'full';
					return;
				}

				const {items, next} = await this.#log.read(this.#cursor, turn.bytes);
				if (this.#isClosed()) return;
				// Retention deleted everything up to the end; the reader continues with the next written batch.
				if (items.length === 0 && next <= this.#cursor) break;
				if (items.length === 0) {
					this.#skipTo(next);
					continue;
				}

				const isAll = this.#deliver(items, next);
				if (this.#isClosed()) return;
				if (!isAll) {
					this.#state = 'full';
					return;
				}
			} finally {
				turn.release();
			}
		}

		this.#state = 'live';
	}

	/** Passes batches to the sink. True when it took all; else the cursor stops at the first one left. */
	#deliver(items: readonly StoredBatch[], next: number): boolean {
		this.#skipTo(items[0]!.offset);
		const taken = this.#sink.room() > 0 ? this.#sink.take(items) : 0;
		const left = items[taken];
		this.#cursor = left ? Math.max(this.#cursor, left.offset) : next;
		return left === undefined;
	}

	/** Skips messages that are gone: deleted by retention, perhaps during the read, or lost to damage. */
	#skipTo(offset: number): void {
		if (offset <= this.#cursor) return;
		this.#sink.dropped(offset - this.#cursor);
		this.#cursor = offset;
	}

	#isClosed(): boolean {
		return this.#state === 'closed';
	}
}
