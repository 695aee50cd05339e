/**
Flow control of a connection: one window of bytes for all its streams that may arrive before they are read. Each stream
has a share of the window, which shrinks with the number of streams down to a minimum, so that an unread stream does not
block the others.
*/

/** Maximum and minimum bytes of one stream. */
export const streamBytesMax = 4 * 1024 * 1024;
const streamBytesMin = 64 * 1024;
/** Bytes of all streams together, besides the minimum of each. */
const windowBytes = 16 * 1024 * 1024;

export class CreditWindow {
	readonly #streams = new Set<StreamCredit>();
	readonly #toleratedBytes: number;

	/**
	@param toleratedBytes bytes that a node may send beyond its credit. A node of an earlier release sends everything
	that it has read from its logs. 0: only the frame that exceeds the credit.
	*/
	constructor(toleratedBytes: number) {
		this.#toleratedBytes = toleratedBytes;
	}

	/** @param grantMore grants the node this many more bytes. */
	open(grantMore: (bytes: number) => void): StreamCredit {
		const stream: StreamCredit = new StreamCredit({
			share: () => this.#share(stream),
			grantMore,
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
	readonly grantMore: (bytes: number) => void;
	readonly toleratedBytes: number;
	readonly onClose: () => void;
};

export class StreamCredit {
	#unread = 0;
	/** Bytes that the node may still send; negative after a frame that exceeded the credit. */
	#allowed = 0;
	readonly #options: StreamCreditOptions;

	constructor(options: StreamCreditOptions) {
		this.#options = options;
	}

	/** Bytes that the node may still send, or that are not read yet. */
	get outstanding(): number {
		return this.#unread + Math.max(0, this.#allowed);
	}

	/** Grants the rest of the share. Also the initial credit of a stream. */
	grant(): number {
		const bytes = Math.max(0, this.#options.share() - this.#unread - this.#allowed);
		this.#allowed += bytes;
		return bytes;
	}

	/** Notes received bytes. False when the node had no credit for them. */
	receive(bytes: number): boolean {
		if (this.#allowed <= -this.#options.toleratedBytes) return false;
		this.#allowed -= bytes;
		this.#unread += bytes;
		return true;
	}

	/** Notes read bytes, and grants more credit when half of the share is used. */
	read(bytes: number): void {
		this.#unread -= bytes;
		if (this.outstanding > this.#options.share() / 2) return;
		const granted = this.grant();
		if (granted > 0) this.#options.grantMore(granted);
	}

	close(): void {
		this.#options.onClose();
	}
}
