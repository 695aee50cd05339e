/**
A reader's end of a subscription: batches come in, arrays of messages go out, memory is bounded. What the consumer has
taken is told to `onRoom`, so that the side that feeds it (a cursor in the node's log, here or across a link) knows when
to go on.
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
Where a reader that asked for an offset begins. The batch that holds the offset is cut there. A log that lost its end in
a power cut may begin before it: what it has there now is not what was read then, and nothing of it is left out.
*/
export class Beginning {
	readonly #offset: number;
	readonly #begun = new Set<Topic>();

	constructor(offset: number) {
		this.#offset = offset;
	}

	/** The first offset of the batch that is wanted. */
	of({offset, batch: {topic, count}}: StoredBatch): number {
		if (this.#begun.has(topic)) return offset;
		this.#begun.add(topic);
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
	readonly #beginning: Beginning;
	readonly #onRoom: (bytes: number) => void;
	readonly #onClose: () => void | Promise<void>;

	/**
	@param options.fromOffset messages of the first batch below it are left out.
	@param options.onRoom bytes that were taken out.
	*/
	constructor(options: {
		readonly agreed: Subscription['agreed'];
		readonly fromOffset?: number;
		readonly onRoom: (bytes: number) => void;
		readonly onClose: () => void | Promise<void>;
	}) {
		this.agreed = options.agreed;
		this.agreed.catch(() => undefined); // The caller may look at it later, or iterate and meet the error there.
		this.#beginning = new Beginning(options.fromOffset ?? 0);
		this.#onRoom = options.onRoom;
		this.#onClose = options.onClose;
	}

	push(items: readonly StoredBatch[]): void {
		if (this.#ended) return;
		for (const item of items) this.#items.push(item);
		this.#wake?.();
	}

	/** No more will come; with an error, the iteration throws it once what is there has been read. */
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
					for (const delivery of deliveriesOf(item, this.#beginning.of(item))) deliveries.push(delivery);
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
