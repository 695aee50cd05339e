/**
Which of a node's own messages cannot have been torn off. A record says how far its log was on the disk when it was
written; so once a later record is on the disk as well, the log knows of the earlier that it was. If such a message is
gone, that is damage, and must be told.
*/

type Stream = {
	acked: number;
	vouched: number;
	endOffset: number;
	readonly written: Array<{readonly last: number; readonly endOffset: number; readonly acked: number}>;
};

export class Vouched {
	/** By whatever names an own stream. */
	readonly #streams = new Map<string, Stream>();

	/** A batch up to this number was given to the log, which goes on at the offset behind it. */
	written(key: string, last: number, endOffset: number): void {
		const stream = this.#of(key);
		stream.written.push({last, endOffset, acked: stream.acked});
	}

	/** Everything up to this number is on the disk. */
	acknowledged(key: string, last: number): void {
		const stream = this.#of(key);
		stream.acked = Math.max(stream.acked, last);
		while (stream.written[0] !== undefined && stream.written[0].last <= last) {
			const {acked, endOffset} = stream.written.shift()!;
			stream.vouched = Math.max(stream.vouched, acked);
			stream.endOffset = endOffset;
		}
	}

	/** The highest number that cannot have been torn off; 0 for none. */
	last(key: string): number {
		return this.#streams.get(key)?.vouched ?? 0;
	}

	/** Offsets before it belong to what is, or was, on the disk. */
	endOffset(key: string): number {
		return this.#streams.get(key)?.endOffset ?? 0;
	}

	/** Its log was cut short, or told what it lost. */
	forget(key: string): void {
		this.#streams.delete(key);
	}

	keys(): readonly string[] {
		return [...this.#streams.keys()];
	}

	#of(key: string): Stream {
		let stream = this.#streams.get(key);
		if (!stream) {
			stream = {acked: 0, vouched: 0, endOffset: 0, written: []};
			this.#streams.set(key, stream);
		}

		return stream;
	}
}
