/**
Publishes many messages with few calls: bodies gather into batches, a bounded number of batches is in flight, and a
caller that adds faster than they are stored has to wait.
*/
import type {Broker, Published} from '../../core/broker.ts';
import {DapssError} from '../../core/errors.ts';
import type {Topic} from '../../core/message.ts';

const bytesMax = 256 * 1024;
const bodiesMax = 4096;
const inFlightMax = 8;

export type Totals = {
	readonly origin: string;
	readonly incarnation: number;
	readonly firstSeq: number;
	readonly lastSeq: number;
};

export class Batches {
	/** Messages that are stored. */
	stored = 0;
	/** Messages that were added. */
	taken = 0;
	bytes = 0;
	totals: Totals | undefined;
	#bodies: Uint8Array[] = [];
	#size = 0;
	#inFlight = 0;
	#failure: unknown;
	#hasFailed = false;
	#wake: (() => void) | undefined;
	readonly #broker: Pick<Broker, 'publish'>;
	readonly #topic: Topic;
	readonly #bytesMax: number;

	/** @param bodyMax bytes of one message; a batch holds at least one message of that size */
	constructor(broker: Pick<Broker, 'publish'>, topic: Topic, bodyMax: number) {
		this.#broker = broker;
		this.#topic = topic;
		this.#bytesMax = Math.min(bytesMax, bodyMax);
	}

	/**
	Add one message.
	@returns a promise when there is no room: await it before the next message
	@throws the error of an earlier publish
	*/
	add(body: Uint8Array): Promise<void> | undefined {
		if (this.#hasFailed) throw this.#failure;
		this.taken++;
		const size = body.length + 4;
		if (this.#size + size > this.#bytesMax && this.#bodies.length > 0) this.flush();
		this.#bodies.push(body);
		this.#size += size;
		if (this.#size >= this.#bytesMax || this.#bodies.length >= bodiesMax) this.flush();
		return this.#inFlight >= inFlightMax ? this.#room() : undefined;
	}

	/** Send the gathered messages. */
	flush(): void {
		if (this.#bodies.length === 0 || this.#hasFailed) return;
		const bodies = this.#bodies;
		this.bytes += this.#size - bodies.length * 4;
		this.#bodies = [];
		this.#size = 0;
		this.#inFlight++;
		this.#broker
			.publish(this.#topic, bodies)
			.then(
				published => this.#done(published),
				(error: unknown) => this.#fail(error),
			)
			.finally(() => {
				this.#inFlight--;
				this.#wake?.();
			});
	}

	/**
	Resolves when every message is stored.
	@throws the error of a publish
	*/
	async end(): Promise<void> {
		this.flush();
		while (this.#inFlight > 0) {
			await this.#changed();
		}

		if (this.#hasFailed) throw this.#failure;
	}

	async #room(): Promise<void> {
		while (this.#inFlight >= inFlightMax) {
			await this.#changed();
		}

		if (this.#hasFailed) throw this.#failure;
	}

	#changed(): Promise<void> {
		return new Promise(resolve => {
			this.#wake = resolve;
		});
	}

	#done({origin, incarnation, firstSeq, count}: Published): void {
		this.stored += count;
		const lastSeq = firstSeq + count - 1;
		this.totals = {
			origin,
			incarnation,
			firstSeq: Math.min(firstSeq, this.totals?.firstSeq ?? firstSeq),
			lastSeq: Math.max(lastSeq, this.totals?.lastSeq ?? lastSeq),
		};
	}

	#fail(error: unknown): void {
		if (this.#hasFailed) return;
		this.#hasFailed = true;
		this.#failure = error;
	}
}

/**
The lines of a stream of bytes, in arrays as they arrive: split at `\n` and nowhere else, without it. An empty line is
an empty body; a last line without a newline counts.
@param endsWithReturn lines end in `\r\n`, so the `\r` is no part of a message
@throws `too-large`, with the number of the line
*/
export async function* linesOf(
	stream: AsyncIterable<Uint8Array>,
	lineBytesMax: number,
	endsWithReturn = false,
): AsyncGenerator<readonly Uint8Array[]> {
	const withoutEnd = (line: Uint8Array): Uint8Array =>
		endsWithReturn && line.at(-1) === 13 ? line.subarray(0, -1) : line;
	let rest: Uint8Array[] = []; // The start of an incomplete line.
	let restBytes = 0;
	let number = 1;
	for await (const chunk of stream) {
		const lines: Uint8Array[] = [];
		let start = 0;
		let isTooLong = false;
		for (let end = chunk.indexOf(10); end !== -1 && !isTooLong; end = chunk.indexOf(10, start)) {
			const piece = chunk.subarray(start, end);
			isTooLong = restBytes + piece.length > lineBytesMax;
			if (isTooLong) break;
			lines.push(withoutEnd(rest.length === 0 ? piece : Buffer.concat([...rest, piece])));
			rest = [];
			restBytes = 0;
			start = end + 1;
			number++;
		}

		// Complete lines first, so that all lines before a too long one are stored.
		if (lines.length > 0) yield lines;
		if (start < chunk.length) {
			rest.push(chunk.subarray(start));
			restBytes += chunk.length - start;
		}

		if (isTooLong || restBytes > lineBytesMax)
			throw new DapssError(
				'too-large',
				`Expected lines of at most ${lineBytesMax} bytes (limits.frame_bytes and room for a header), ` +
					`line ${number} is longer`,
			);
	}

	if (rest.length > 0) yield [withoutEnd(rest.length === 1 ? rest[0]! : Buffer.concat(rest))];
}
