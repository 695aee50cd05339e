/**
The window of unanswered publishes. A client that publishes faster than the node stores waits for room, in order, so
that neither the connection nor the node has to hold everything.
*/
import {DapssError} from '../errors.ts';
import {publishBytesMax} from './inflow.ts';

/** Bytes of publishes that may wait for room. */
const waitingBytesMax = 64 * 1024 * 1024;

type Waiter = {readonly bytes: number; readonly go: () => void; readonly fail: (error: Error) => void};

export class SendWindow {
	#bytes = 0;
	#waitingBytes = 0;
	#waiting: Waiter[] = [];
	/** Index of the first waiter that has not gone. */
	#next = 0;
	readonly #bytesMax: number;

	constructor(bytesMax: number = publishBytesMax) {
		this.#bytesMax = bytesMax;
	}

	/**
	Calls `go` when there is room for `bytes`: at once, or in turn. Calls `fail` when the connection ends, or with
	`refused` when too many bytes wait already.
	*/
	enter(bytes: number, go: () => void, fail: (error: Error) => void): void {
		if (this.#waiting.length === this.#next && this.#fits(bytes)) {
			this.#bytes += bytes;
			go();
		} else if (this.#waitingBytes + bytes > waitingBytesMax)
			fail(
				new DapssError(
					'refused',
					`Expected at most ${waitingBytesMax} bytes of publishes that wait for the node, ` +
						`got ${bytes} more: wait for earlier ones first`,
				),
			);
		else {
			this.#waitingBytes += bytes;
			this.#waiting.push({bytes, go, fail});
		}
	}

	leave(bytes: number): void {
		this.#bytes -= bytes;
		while (this.#next < this.#waiting.length && this.#fits(this.#waiting[this.#next]!.bytes)) {
			const waiter = this.#waiting[this.#next++]!;
			this.#bytes += waiter.bytes;
			this.#waitingBytes -= waiter.bytes;
			waiter.go();
		}

		if (this.#next * 2 < this.#waiting.length) return;
		this.#waiting = this.#waiting.slice(this.#next);
		this.#next = 0;
	}

	/** The connection ended: fails all waiting publishes. */
	close(error: Error): void {
		const waiting = this.#waiting.slice(this.#next);
		this.#waiting = [];
		this.#next = 0;
		this.#waitingBytes = 0;
		for (const {fail} of waiting) fail(error);
	}

	/** A single publish always fits. */
	#fits(bytes: number): boolean {
		return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
	}
}
