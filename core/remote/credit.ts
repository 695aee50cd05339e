/**
What a connection's user lets come before it has read it: one window for all its streams. Each stream has a share of the
window that shrinks as there are more of them, and a small one in any case, so that a stream that nobody reads does not
stop the others.
*/

/** Bytes of one stream, at most and at least. */
export const streamBytesMax = 4 * 1024 * 1024;
const streamBytesMin = 64 * 1024;
/** Bytes of all streams, beside the least that each has. */
const windowBytes = 16 * 1024 * 1024;

export class CreditWindow {
	readonly #streams = new Set<StreamCredit>();
	readonly #toleratedBytes: number;

	/**
	@param toleratedBytes that a node may send beyond its credit: one of an earlier release sends all that it has read
	from its logs. 0: only the frame that exceeds it.
	*/
	constructor(toleratedBytes: number) {
		this.#toleratedBytes = toleratedBytes;
	}

	/** @param tell grants the node so many bytes more. */
	open(tell: (bytes: number) => void): StreamCredit {
		const stream: StreamCredit = new StreamCredit({
			share: () => this.#share(stream),
			tell,
			toleratedBytes: this.#toleratedBytes,
			onClose: () => this.#streams.delete(stream),
		});
		this.#streams.add(stream);
		return stream;
	}

	#share(stream: StreamCredit): number {
		let others = 0;
		for (const other of this.#streams) if (other !== stream) others += other.outstanding;
		return Math.max(
			streamBytesMin,
			Math.min(streamBytesMax, Math.floor(windowBytes / this.#streams.size), windowBytes - others),
		);
	}
}

export type StreamCreditOptions = {
	readonly share: () => number;
	readonly tell: (bytes: number) => void;
	readonly toleratedBytes: number;
	readonly onClose: () => void;
};

export class StreamCredit {
	#unread = 0;
	/** What the node may still send; below 0 by what its last frame exceeded the credit. */
	#allowed = 0;
	readonly #options: StreamCreditOptions;

	constructor(options: StreamCreditOptions) {
		this.#options = options;
	}

	/** Bytes that the node may still send, or that are not read yet. */
	get outstanding(): number {
		return this.#unread + Math.max(0, this.#allowed);
	}

	/** Grant what is left of the share, as the credit that the stream is opened with. */
	grant(): number {
		const bytes = Math.max(0, this.#options.share() - this.#unread - this.#allowed);
		this.#allowed += bytes;
		return bytes;
	}

	/** Bytes came in. False when the node had no credit for them. */
	came(bytes: number): boolean {
		if (this.#allowed <= -this.#options.toleratedBytes) return false;
		this.#allowed -= bytes;
		this.#unread += bytes;
		return true;
	}

	/** Bytes were read. */
	read(bytes: number): void {
		this.#unread -= bytes;
		if (this.outstanding > this.#options.share() / 2) return;
		const granted = this.grant();
		if (granted > 0) this.#options.tell(granted);
	}

	close(): void {
		this.#options.onClose();
	}
}
