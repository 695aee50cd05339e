/**
Length-prefixed frames on a byte stream: a length (u32, big-endian), then that many bytes. The reader returns whole
frames, however the stream is cut into chunks.

A frame within one chunk is returned as a slice of it. A frame that spans chunks is copied once, into a buffer of its
exact size, so the work is linear in the bytes. The length is checked against the bound before anything is allocated, so
a peer cannot make a node reserve more memory than it allows.
*/

export const lengthBytes = 4;

export type FrameViolation = 'empty-frame' | 'frame-too-large';

export class FrameReader {
	/** Longest accepted payload, in bytes. May be raised between frames (after authentication). */
	frameBytesMax: number;
	#violation: FrameViolation | undefined;
	/** The incomplete frame; `undefined` between frames. */
	#payload: Buffer | undefined;
	#filled = 0;
	/** The length read so far, when a chunk ended within it. */
	#length = 0;
	#lengthFilled = 0;

	constructor(frameBytesMax: number) {
		this.frameBytesMax = frameBytesMax;
	}

	/**
	Reads a chunk and passes every frame that it completes to `take`, in order. Payloads are valid as long as the chunk
	is. After a violation the stream cannot be read any further, and every call returns that violation.
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

	/** Whether the stream ended within a frame. */
	get isWithinFrame(): boolean {
		return this.#payload !== undefined || this.#lengthFilled > 0;
	}
}

/** The length prefix of a payload. */
export function frameHead(length: number): Buffer {
	const head = Buffer.allocUnsafe(lengthBytes);
	head.writeUInt32BE(length);
	return head;
}
