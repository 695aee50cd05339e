/**
The consumer's end of a subscription: batches come in, arrays of messages go out. Memory is bounded: `onRoom` reports
the bytes that the consumer has taken, so that the source (a reader of the node's log, here or across a link) knows when
to continue.
*/
import type {Delivery, Subscription} from '../broker.ts';
import {messagesOf, type StoredBatch, type Topic} from '../message.ts';

export function* deliveriesOf({offset, batch, hops, repaired}: StoredBatch, fromOffset = 0): Generator<Delivery> {
	for (const message of messagesOf(batch)) {
		if (offset >= fromOffset) yield {...message, offset, hops, repaired};
		offset++;
	}
}

/**
Cuts the first batch of each topic at the requested offset. A log that lost its end in a power cut may begin before the
offset. Its messages are then not those that were read before, so none is left out.
*/
export class StartOffset {
	readonly #offset: number;
	readonly #started = new Set<Topic>();

	constructor(offset: number) {
		this.#offset = offset;
	}

	/** The first wanted offset of the batch. */
	of({offset, batch: {topic, count}}: StoredBatch): number {
		if (this.#started.has(topic)) return offset;
		this.#started.add(topic);
		return this.#offset < offset + count ? this.#offset : offset;
	}
}

export class DeliveryQueue implements Subscription {
	readonly agreed: Subscription['agreed'];
	dropped = 0;
	#items: StoredBatch[] = [];
	#wake: (() => void) | undefined;
	#ended = false;
	#closed = false;
	#error: Error | undefined;
	readonly #start: StartOffset;
	readonly #onRoom: (bytes: number) => void;
	readonly #onClose: () => void | Promise<void>;

	/**
	@param options.fromOffset messages of the first batch below it are left out.
	@param options.onRoom called with the bytes that the consumer has taken.
	*/
	constructor(options: {
		readonly agreed: Subscription['agreed'];
		readonly fromOffset?: number;
		readonly onRoom: (bytes: number) => void;
		readonly onClose: () => void | Promise<void>;
	}) {
		this.agreed = options.agreed;
		this.agreed.catch(() => undefined); // The caller may await it later, or get the error from the iteration.
		this.#start = new StartOffset(options.fromOffset ?? 0);
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
			for (;;) {
				if (this.#items.length === 0) {
					if (this.#error) throw this.#error;
					if (this.#ended) return;
					await new Promise<void>(resolve => {
						this.#wake = resolve;
					});
					this.#wake = undefined;
					continue;
				}

				const items = this.#items;
				this.#items = [];
				let bytes = 0;
				const deliveries: Delivery[] = [];
				for (const item of items) {
					bytes += item.batch.bytes.length;
					for (const delivery of deliveriesOf(item, this.#start.of(item))) deliveries.push(delivery);
				}

				yield deliveries;
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
