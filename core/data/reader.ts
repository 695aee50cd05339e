/**
A reader of one topic is a cursor in the topic's log. While it keeps up it is handed each batch as it is written; when
its sink is full it stops, and later goes on from the log, where its cursor points. The cursor never passes what the
sink has not taken. So a slow reader costs nothing but the disk it reads, and loses only what retention takes away,
which is counted.
*/
import type {StoredBatch} from '../message.ts';
import type {ReadSlots} from './read-slots.ts';

/**
Where batches go. A sink that is full says so by its `room`, or by taking less than it is offered: `Reader.resume`
starts the reader again.
*/
export type BatchSink = {
	/** Bytes that it takes now; 0 when it is full. The batch that fills it may be larger. */
	room(): number;
	/** Takes batches from the front, as long as it has room. How many: the others stay in the log. */
	take(items: readonly StoredBatch[]): number;
	/** Messages that were gone from the log before they could be read. */
	dropped(messages: number): void;
	/** Messages that never came into the log, and will not: they have no offsets. */
	missed?(messages: number): void;
	/** The log failed: nothing more will come. */
	failed(error: Error): void;
};

export type ReadableLog = {
	/** From the batch that contains `offset`, or the oldest when that is gone. `next` is where to go on. */
	read(offset: number, bytesMax: number): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}>;
};

const catchUpBytes = 256 * 1024;

export class Reader implements Disposable {
	#cursor: number;
	#end: number;
	#state: 'live' | 'full' | 'reading' | 'closed' = 'full';
	readonly #log: ReadableLog;
	readonly #sink: BatchSink;
	readonly #slots: ReadSlots;

	/**
	@param from the first offset wanted.
	@param end the offset after the newest batch that is written.
	@param slots shared by all readers of the node
	*/
	constructor(log: ReadableLog, from: number, end: number, sink: BatchSink, slots: ReadSlots) {
		this.#log = log;
		this.#slots = slots;
		this.#cursor = from;
		this.#end = end;
		this.#sink = sink;
	}

	/** Everything before this offset was handed on, or is gone. */
	get cursor(): number {
		return this.#cursor;
	}

	/**
	Batches were written, in log order.
	@param items none when some of them are not to be given out: the log knows which
	*/
	onWritten(items: readonly StoredBatch[], end: number): void {
		this.#end = end;
		if (this.#state !== 'live') return;
		if (items.length === 0) {
			this.#state = 'full';
			return this.resume();
		}

		// The log may have shown the last of these to the catch-up already: it knows that they are written a moment
		// before this is told.
		const fresh = items[0]!.offset >= this.#cursor ? items : items.filter(({offset}) => offset >= this.#cursor);
		if (fresh.length === 0) return;
		if (!this.#hand(fresh, end) && !this.#isClosed()) this.#state = 'full';
	}

	/** Messages that whoever reads waits for never came into the log. */
	missed(messages: number): void {
		if (this.#state !== 'closed') this.#sink.missed?.(messages);
	}

	/** The sink has room. */
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
			const waiting = this.#slots.acquire();
			try {
				if (waiting) await waiting;
				if (this.#isClosed()) return;
				const room = this.#sink.room();
				if (room <= 0) {
					this.#state = 'full';
					return;
				}

				const {items, next} = await this.#log.read(this.#cursor, Math.min(catchUpBytes, room));
				if (this.#isClosed()) return;
				// Retention was faster; the next batch that is written goes on from there.
				if (items.length === 0 && next <= this.#cursor) break;
				if (items.length === 0) {
					this.#skipTo(next);
					continue;
				}

				const isAll = this.#hand(items, next);
				if (this.#isClosed()) return;
				if (!isAll) {
					this.#state = 'full';
					return;
				}
			} finally {
				this.#slots.release();
			}
		}

		this.#state = 'live';
	}

	/** Whether all was taken; the cursor stops at the first batch that was not. */
	#hand(items: readonly StoredBatch[], next: number): boolean {
		this.#skipTo(items[0]!.offset);
		const taken = this.#sink.room() > 0 ? this.#sink.take(items) : 0;
		const left = items[taken];
		this.#cursor = left ? Math.max(this.#cursor, left.offset) : next;
		return left === undefined;
	}

	/** What lies before is gone: by retention, perhaps while it was read, or by damage. */
	#skipTo(offset: number): void {
		if (offset <= this.#cursor) return;
		this.#sink.dropped(offset - this.#cursor);
		this.#cursor = offset;
	}

	#isClosed(): boolean {
		return this.#state === 'closed';
	}
}
