/**
The consumer's end of a subscription: batches come in, arrays of messages go out. Memory is bounded: `onRoom` reports
the bytes that the consumer has taken, so that the source (a reader of the node's log, here or across a link) knows when
to continue.
*/
import type {Delivery, Subscription} from '../broker.ts';
import {messagesOf, type StoredBatch, type Topic} from '../message.ts';

/** Messages that are decoded at once, unless one batch has more. A batch of empty messages has very many. */
const messagesMax = 16_384;

export function* deliveriesOf({offset, batch, hops, repaired}: StoredBatch): Generator<Delivery> {
	for (const message of messagesOf(batch)) yield {...message, offset: offset++, hops, repaired};
}

export class DeliveryQueue implements Subscription {
	readonly agreed: Subscription['agreed'];
	dropped = 0;
	#items: StoredBatch[] = [];
	#wake: (() => void) | undefined;
	#ended = false;
	#closed = false;
	#error: Error | undefined;
	readonly #firstOffset: (topic: Topic) => number;
	readonly #onSkipped: ((deliveries: readonly Delivery[]) => void) | undefined;
	readonly #onRoom: (bytes: number) => void;
	readonly #onClose: () => void | Promise<void>;

	/**
	@param options.firstOffset the least offset to deliver of a topic. Messages at lower offsets are skipped: those of
	the batch that contains the offset, and all that come after a start at the end of a log before the offset.
	@param options.onSkipped called with messages that are skipped.
	@param options.onRoom called with the bytes that the consumer has taken.
	*/
	constructor(options: {
		readonly agreed: Subscription['agreed'];
		readonly firstOffset?: ((topic: Topic) => number) | undefined;
		readonly onSkipped?: ((deliveries: readonly Delivery[]) => void) | undefined;
		readonly onRoom: (bytes: number) => void;
		readonly onClose: () => void | Promise<void>;
	}) {
		this.agreed = options.agreed;
		this.agreed.catch(() => undefined); // The caller may await it later, or get the error from the iteration.
		this.#firstOffset = options.firstOffset ?? (() => 0);
		this.#onSkipped = options.onSkipped;
		this.#onRoom = options.onRoom;
		this.#onClose = options.onClose;
	}

	push(items: readonly StoredBatch[]): void {
		if (this.#ended) return;
		for (const item of items) this.#items.push(item);
		this.#wake?.();
	}

	/** Ends the iteration; with an error, it throws that after the queued messages. */
	end(error?: Error): void {
		this.#ended = true;
		this.#error ??= error;
		this.#wake?.();
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<readonly Delivery[]> {
		try {
			let items: StoredBatch[] = [];
			for (let at = 0; ;) {
				if (this.#closed) at = items.length;
				if (at >= items.length && this.#items.length === 0) {
					if (this.#error) throw this.#error;
					if (this.#ended) return;
					await new Promise<void>(resolve => {
						this.#wake = resolve;
					});
					this.#wake = undefined;
					continue;
				}

				if (at >= items.length) {
					items = this.#items;
					this.#items = [];
					at = 0;
				}

				let bytes = 0;
				let messages = 0;
				const deliveries: Delivery[] = [];
				const skipped: Delivery[] = [];
				for (
					;
					at < items.length && (messages === 0 || messages + items[at]!.batch.count <= messagesMax);
					at++
				) {
					const item = items[at]!;
					bytes += item.batch.bytes.length;
					messages += item.batch.count;
					const first = this.#firstOffset(item.batch.topic);
					for (const delivery of deliveriesOf(item))
						(delivery.offset < first ? skipped : deliveries).push(delivery);
				}

				if (skipped.length > 0) this.#onSkipped?.(skipped);
				if (deliveries.length > 0) yield deliveries;
				this.#onRoom(bytes);
			}
		} finally {
			await this[Symbol.asyncDispose]();
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.end();
		this.#items = [];
		await this.#onClose();
	}
}
