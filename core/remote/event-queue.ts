/** The received events of a stream that are not read yet, bounded by the credit of the node. */
import type {TrackedEvent} from '../events.ts';
import type {StreamCredit} from './credit.ts';

export class EventQueue implements AsyncIterableIterator<TrackedEvent> {
	readonly isTracked: boolean;
	readonly #credit: StreamCredit;
	readonly #onClose: () => void;
	#frames: Array<{readonly events: Iterator<TrackedEvent>; readonly bytes: number}> = [];
	#reading: {readonly events: Iterator<TrackedEvent>; readonly bytes: number} | undefined;
	#wake: (() => void) | undefined;
	#isEnded = false;
	#isClosed = false;
	#error: Error | undefined;

	/**
	@param isTracked whether starts of topics are events of this stream
	@param onClose called when the reader has stopped or the stream has ended
	*/
	constructor(credit: StreamCredit, isTracked: boolean, onClose: () => void) {
		this.#credit = credit;
		this.isTracked = isTracked;
		this.#onClose = onClose;
	}

	/** Adds a received frame. False when there was no credit for it. */
	push(events: readonly TrackedEvent[], bytes: number): boolean {
		if (this.#isEnded) return true;
		if (!this.#credit.receive(bytes)) return false;
		this.#frames.push({events: events.values(), bytes});
		this.#wake?.();
		return true;
	}

	/** Ends the iteration; with an error, it throws that after the queued events. */
	end(error?: Error): void {
		this.#isEnded = true;
		this.#error ??= error;
		this.#wake?.();
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	async next(): Promise<IteratorResult<TrackedEvent, undefined>> {
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

	async return(): Promise<IteratorResult<TrackedEvent, undefined>> {
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
