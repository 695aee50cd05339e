/**
What leaves by a pipe. Answers and requests must not get lost: what the pipe has no room for waits here, in order. The
frames of long streams are not kept: whoever sends them asks for room first, and is told when there is some again.
*/
import type {Pipe} from './pipe.ts';

export class Outbox {
	/** All that waited has left, and there may be room for streams. */
	onRoom: () => void = () => {};
	/** A frame that waited has left. */
	onSent: () => void = () => {};
	readonly #pipe: Pipe;
	#waiting: Array<readonly Uint8Array[]> = [];

	constructor(pipe: Pipe) {
		this.#pipe = pipe;
		pipe.onDrain = () => this.#drain();
	}

	/** Frames that wait. */
	get waiting(): number {
		return this.#waiting.length;
	}

	/** Send a frame, or keep it until there is room. False when it is larger than a frame can be. */
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

	/** Bytes of a stream that may leave now. 0 for none: then `onRoom` is called once there is room. */
	room(): number {
		return this.#waiting.length > 0 ? 0 : this.#pipe.room();
	}

	/** A frame of a stream. False when there is no room: then `onRoom` is called once there is. */
	stream(pieces: readonly Uint8Array[]): boolean {
		return this.#waiting.length === 0 && this.#pipe.send(pieces);
	}

	/** The pipe is closed: nothing will leave. */
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
