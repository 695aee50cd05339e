/**
The events of a stream that came from a node and are not read yet, as bounded as the credit that the node was granted.
*/
import type {RecordedEvent} from '../events.ts';
import type {StreamCredit} from './credit.ts';

export class EventQueue implements AsyncIterableIterator<RecordedEvent> {
	readonly #credit: StreamCredit;
	readonly #onClose: () => void;
	#frames: Array<{readonly events: Iterator<RecordedEvent>; readonly bytes: number}> = [];
	#reading: {readonly events: Iterator<RecordedEvent>; readonly bytes: number} | undefined;
	#wake: (() => void) | undefined;
	#isEnded = false;
	#isClosed = false;
	#error: Error | undefined;

	/** @param onClose the reader has stopped, or there is nothing more. */
	constructor(credit: StreamCredit, onClose: () => void) {
		this.#credit = credit;
		this.#onClose = onClose;
	}

	/** A frame came in. False when there was no credit for it. */
	push(events: readonly RecordedEvent[], bytes: number): boolean {
		if (this.#isEnded) return true;
		if (!this.#credit.came(bytes)) return false;
		this.#frames.push({events: events.values(), bytes});
		this.#wake?.();
		return true;
	}

	/** No more will come; with an error, the iteration throws it once what is there has been read. */
	end(error?: Error): void {
		this.#isEnded = true;
		this.#error ??= error;
		this.#wake?.();
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	async next(): Promise<IteratorResult<RecordedEvent, undefined>> {
		for (;;) {
			const next = this.#reading?.events.next();
			if (next && !next.done) return {value: next.value, done: false};
			if (this.#reading) this.#credit.read(this.#reading.bytes);
			this.#reading = this.#frames.shift();
			if (this.#reading) continue;
			if (this.#isEnded) {
				this.#close();
				if (this.#error) throw this.#error;
				return {value: undefined, done: true};
			}

			await new Promise<void>(resolve => {
				this.#wake = resolve;
			});
			this.#wake = undefined;
		}
	}

	async return(): Promise<IteratorResult<RecordedEvent, undefined>> {
		this.end();
		this.#frames = [];
		this.#close();
		return {value: undefined, done: true};
	}

	#close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#credit.close();
		this.#onClose();
	}
}
