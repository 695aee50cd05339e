/**
The consumer's end of a subscription: batches come in, arrays of messages go out. Memory is bounded: `onRoom` reports
the bytes that the consumer has taken, so that the source (a reader of the node's log, here or across a link) knows when
to continue.
*/
import type {Delivery, Subscription} from '../broker.ts';
import {messagesOf, type StoredBatch, type Topic} from '../message.ts';
import type {TopicPosition} from '../position.ts';

export function* deliveriesOf({offset, batch, hops, repaired}: StoredBatch, fromOffset = 0): Generator<Delivery> {
	for (const message of messagesOf(batch)) {
		if (offset >= fromOffset) yield {...message, offset, hops, repaired};
		offset++;
	}
}

/**
Cuts the first batch of each topic where the subscription starts. A log that lost its end in a power cut starts before
the requested offset. Its messages are then not those that were read before, so none is left out. Only the node knows
its end at that time: it reports the start as positions.
*/
class Start {
	readonly #offset: number;
	readonly #positions: ReadonlyMap<Topic, TopicPosition>;
	readonly #started = new Set<Topic>();

	/**
	@param offset the requested offset.
	@param positions the reported start. Without it (a node of an earlier release, too many streams) the cut is at the
	offset, unless the whole batch is before it.
	*/
	constructor(offset: number, positions: readonly TopicPosition[]) {
		this.#offset = offset;
		this.#positions = new Map(positions.map(position => [position.topic, position]));
	}

	/** The first wanted offset of the batch. */
	of({offset, batch: {topic, origin, incarnation, firstSeq, count}}: StoredBatch): number {
		if (this.#started.has(topic)) return offset;
		this.#started.add(topic);
		const position = this.#positions.get(topic);
		if (!position) return this.#offset < offset + count ? this.#offset : offset;
		const [, , seq] = position.streams.find(([id, number]) => id === origin && number === incarnation) ?? [0, 0, 0];
		return offset + Math.max(0, seq - firstSeq + 1);
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
	/** `undefined` until the start is known: messages wait for it. */
	#start: Start | undefined;
	readonly #onRoom: (bytes: number) => void;
	readonly #onClose: () => void | Promise<void>;

	/**
	@param options.fromOffset the requested offset; messages of the first batch before the start are left out.
	@param options.onRoom called with the bytes that the consumer has taken.
	*/
	constructor(options: {
		readonly agreed: Subscription['agreed'];
		readonly fromOffset?: number | undefined;
		readonly onRoom: (bytes: number) => void;
		readonly onClose: () => void | Promise<void>;
	}) {
		this.agreed = options.agreed;
		this.agreed.catch(() => undefined); // The caller may await it later, or get the error from the iteration.
		const {fromOffset} = options;
		if (fromOffset === undefined) this.#start = new Start(0, []);
		else
			this.agreed.then(
				positions => {
					this.#start = new Start(fromOffset, positions ?? []);
					this.#wake?.();
				},
				() => undefined,
			);
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
				const start = this.#start;
				if (this.#items.length === 0 || !start) {
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
					for (const delivery of deliveriesOf(item, start.of(item))) deliveries.push(delivery);
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
