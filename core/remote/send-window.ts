/**
Publishes that are not answered yet. Whoever publishes faster than the node stores waits for room, in order, so that
neither the connection nor the node has to hold it all.
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
	/** Those before it have gone. */
	#next = 0;
	readonly #bytesMax: number;

	constructor(bytesMax: number = publishBytesMax) {
		this.#bytesMax = bytesMax;
	}

	/**
	Call `go` when there is room for so many bytes: at once, or in turn. Or `fail`: with `refused` when too much waits
	already, or when the link ends.
	*/
	enter(bytes: number, go: () => void, fail: (error: Error) => void): void {
		if (this.#waiting.length === this.#next && this.#fits(bytes)) {
			this.#bytes += bytes;
			go();
		} else if (this.#waitingBytes + bytes > waitingBytesMax)
			fail(
				new DapssError(
					'refused',
					`Expected at most ${waitingBytesMax} bytes of publishes that wait for the node, got ${bytes} more: wait for earlier ones first`,
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

	/** Nothing will leave any more. */
	close(error: Error): void {
		const waiting = this.#waiting.slice(this.#next);
		this.#waiting = [];
		this.#next = 0;
		this.#waitingBytes = 0;
		for (const {fail} of waiting) fail(error);
	}

	/** One publish fits whatever its size. */
	#fits(bytes: number): boolean {
		return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
	}
}
