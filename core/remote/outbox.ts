/**
The outgoing frames of a pipe. Answers and requests must not get lost, so those without room wait here, in order. Frames
of long streams are not queued: their senders check for room first, and are notified when there is some again.
*/
import type {Pipe} from './pipe.ts';

export class Outbox {
	/** Called when all waiting frames were sent, so that streams may have room. */
	onRoom: () => void = () => {};
	/** Called when waiting frames were sent. */
	onSent: () => void = () => {};
	readonly #pipe: Pipe;
	#waiting: Array<readonly Uint8Array[]> = [];

	constructor(pipe: Pipe) {
		this.#pipe = pipe;
		pipe.onDrain = () => this.#drain();
	}

	/** Number of waiting frames. */
	get waiting(): number {
		return this.#waiting.length;
	}

	/** Sends a frame, or queues it until there is room. False when it exceeds the maximum frame size. */
	put(pieces: readonly Uint8Array[]): boolean {
		if (!this.fits(pieces)) return false;
		if (this.#waiting.length > 0 || !this.#pipe.send(pieces)) this.#waiting.push(pieces);
		return true;
	}

	fits(pieces: readonly Uint8Array[]): boolean {
		let length = 0;
		for (const piece of pieces) length += piece.length;
		return length <= this.#pipe.frameBytesMax;
	}

	/** Bytes of a stream that may be sent now. If 0, `onRoom` is called once there is room. */
	room(): number {
		return this.#waiting.length > 0 ? 0 : this.#pipe.room();
	}

	/** Sends a frame of a stream. False without room; then `onRoom` is called once there is some. */
	stream(pieces: readonly Uint8Array[]): boolean {
		return this.#waiting.length === 0 && this.#pipe.send(pieces);
	}

	/** The pipe is closed: drops the waiting frames. */
	clear(): void {
		this.#waiting = [];
	}

	#drain(): void {
		let sent = 0;
		while (sent < this.#waiting.length && this.#pipe.send(this.#waiting[sent]!)) sent++;
		if (sent > 0) {
			this.#waiting = this.#waiting.slice(sent);
			this.onSent();
		}

		if (this.#waiting.length === 0) this.onRoom();
	}
}
