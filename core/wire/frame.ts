/**
Frames on a stream of bytes: a length (u32, big-endian), then that many bytes. A stream knows nothing of packets; this
gives them back whole.

What a chunk holds completely is handed out as a slice of it. A frame that spans chunks is copied once, into a buffer of
its exact size: work is linear in the bytes, however they are cut. The length is compared with the bound before anything
is allocated, so nobody can make a node reserve what it did not allow.
*/

export const lengthBytes = 4;

export type FrameViolation = 'empty-frame' | 'frame-too-large';

export class FrameReader {
	/** Longest payload that is taken, bytes. May be raised between frames (after authentication). */
	frameBytesMax: number;
	#violation: FrameViolation | undefined;
	/** The frame being gathered, `undefined` between frames. */
	#payload: Buffer | undefined;
	#filled = 0;
	/** The length so far, when a chunk ended within it. */
	#length = 0;
	#lengthFilled = 0;

	constructor(frameBytesMax: number) {
		this.frameBytesMax = frameBytesMax;
	}

	/**
	Take in a chunk and give every frame that it completes to `take`, in order. Payloads stay valid as long as the chunk
	does. After a violation the stream has no meaning any more: nothing further is read, and each call says so again.

	*/
	push(chunk: Buffer, take: (payload: Buffer) => void): FrameViolation | undefined {
		let at = 0;
		while (at < chunk.length && this.#violation === undefined) {
			if (this.#payload) {
				const end = Math.min(chunk.length, at + this.#payload.length - this.#filled);
				chunk.copy(this.#payload, this.#filled, at, end);
				this.#filled += end - at;
				at = end;
				if (this.#filled < this.#payload.length) break;
				const payload = this.#payload;
				this.#payload = undefined;
				take(payload);
				continue;
			}

			let length: number;
			if (this.#lengthFilled === 0 && chunk.length - at >= lengthBytes) {
				length = chunk.readUInt32BE(at);
				at += lengthBytes;
			} else {
				this.#length = this.#length * 256 + chunk[at]!;
				at++;
				if (++this.#lengthFilled < lengthBytes) continue;
				length = this.#length;
				this.#length = 0;
				this.#lengthFilled = 0;
			}

			if (length === 0) this.#violation = 'empty-frame';
			else if (length > this.frameBytesMax) this.#violation = 'frame-too-large';
			else if (chunk.length - at >= length) {
				take(chunk.subarray(at, at + length));
				at += length;
			} else {
				this.#payload = Buffer.allocUnsafeSlow(length);
				this.#filled = 0;
			}
		}

		return this.#violation;
	}

	/** A frame has begun and not ended: the stream was cut within it. */
	get isWithinFrame(): boolean {
		return this.#payload !== undefined || this.#lengthFilled > 0;
	}
}

/** The bytes before a payload of that length. */
export function frameHead(length: number): Buffer {
	const head = Buffer.allocUnsafe(lengthBytes);
	head.writeUInt32BE(length);
	return head;
}
