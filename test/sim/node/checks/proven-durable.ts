/**
Which of a node's own messages a torn tail cannot explain. Each record states how far the log was durable when the
record was written. Once a later record is durable, the log itself proves that the earlier ones were. If such a message
is missing, that is damage, and the node must report it.
*/

type Stream = {
	acked: number;
	proven: number;
	/** The stamps of the messages up to `acked` and `proven`. */
	ackedLamport: number;
	provenLamport: number;
	endOffset: number;
	readonly written: Array<{
		readonly last: number;
		readonly lamport: number;
		readonly endOffset: number;
		readonly acked: number;
		readonly ackedLamport: number;
	}>;
};

export class ProvenDurable {
	/** By the key of an own stream. */
	readonly #streams = new Map<string, Stream>();

	/** A batch up to this number was given to the log, which continues at `endOffset`. */
	written(key: string, {last, lamport}: {readonly last: number; readonly lamport: number}, endOffset: number): void {
		const stream = this.#of(key);
		const {acked, ackedLamport} = stream;
		stream.written.push({last, lamport, endOffset, acked, ackedLamport});
	}

	/** Everything up to this number is durable. */
	acknowledged(key: string, last: number): void {
		const stream = this.#of(key);
		stream.acked = Math.max(stream.acked, last);
		while (stream.written[0] !== undefined && stream.written[0].last <= last) {
			const {acked, ackedLamport, lamport, endOffset} = stream.written.shift()!;
			stream.proven = Math.max(stream.proven, acked);
			stream.provenLamport = Math.max(stream.provenLamport, ackedLamport);
			stream.ackedLamport = Math.max(stream.ackedLamport, lamport);
			stream.endOffset = endOffset;
		}
	}

	/**
	The highest number that a torn tail cannot have removed; 0 if there is none.
	@param hiddenUntil the topic was deleted up to this Lamport time, with its messages
	*/
	last(key: string, hiddenUntil: number): number {
		const stream = this.#streams.get(key);
		return stream && stream.provenLamport > hiddenUntil ? stream.proven : 0;
	}

	/** Offsets before it belong to messages that are, or were, durable. */
	endOffset(key: string): number {
		return this.#streams.get(key)?.endOffset ?? 0;
	}

	/** The log was cut short, or the node reported its loss. */
	forget(key: string): void {
		this.#streams.delete(key);
	}

	keys(): readonly string[] {
		return [...this.#streams.keys()];
	}

	#of(key: string): Stream {
		let stream = this.#streams.get(key);
		if (!stream) {
			stream = {acked: 0, proven: 0, ackedLamport: 0, provenLamport: 0, endOffset: 0, written: []};
			this.#streams.set(key, stream);
		}

		return stream;
	}
}
