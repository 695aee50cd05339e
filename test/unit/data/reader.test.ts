import {describe, expect, test} from 'vitest';
import type {Delivery} from '../../../core/broker.ts';
import {DeliveryQueue} from '../../../core/data/delivery.ts';
import {ReadBudget} from '../../../core/data/read-budget.ts';
import {Reader, type BatchSink} from '../../../core/data/reader.ts';
import type {NodeId, StoredBatch, Topic} from '../../../core/message.ts';
import {batchOf} from '../../support/batches.ts';

const origin = 'aaaaaaaaaaaaaaaa' as NodeId;

function batchAt(offset: number, count: number): StoredBatch {
	const bodies = Array.from({length: count}, (_, index) => Buffer.from(`m${offset + index}`));
	const batch = batchOf({origin, topic: 't' as Topic, firstSeq: offset + 1}, bodies);
	return {offset, batch, hops: 0, repaired: false};
}

/** A log of batches of two messages; a read returns one batch. */
function setUp(options: {readonly stored: number; readonly firstOffset?: number}) {
	const log = {
		firstOffset: options.firstOffset ?? 0,
		items: Array.from({length: options.stored}, (_, index) => batchAt(index * 2, 2)),
		async read(offset: number) {
			const items = log.items.filter(item => item.offset + 2 > Math.max(offset, log.firstOffset)).slice(0, 1);
			return {items, next: items.length > 0 ? items[0]!.offset + 2 : offset};
		},
	};
	const taken: number[] = [];
	const state = {room: Infinity, dropped: 0, error: undefined as Error | undefined};
	const sink: BatchSink = {
		room: () => (state.room > 0 ? 1e6 : 0),
		take(items) {
			const some = items.slice(0, state.room);
			for (const item of some) taken.push(item.offset);
			state.room -= some.length;
			return some.length;
		},
		dropped(messages) {
			state.dropped += messages;
		},
		failed(error) {
			state.error = error;
		},
	};
	return {log, taken, state, sink};
}

const turn = (): Promise<void> =>
	new Promise(resolve => {
		setImmediate(resolve);
	});

describe('a reader', () => {
	test('that keeps up gets each batch when it is written', () => {
		const {log, sink, taken} = setUp({stored: 0});
		const reader = new Reader(log, 0, 0, sink, new ReadBudget({reads: 1}));
		reader.resume();
		reader.onWritten([batchAt(0, 2)], 2);
		reader.onWritten([batchAt(2, 2), batchAt(4, 2)], 6);
		expect(taken).toEqual([0, 2, 4]);
	});

	test('from the beginning reads the log and then continues live, without a gap', async () => {
		const {log, sink, taken} = setUp({stored: 3});
		const reader = new Reader(log, 0, 6, sink, new ReadBudget({reads: 1}));
		reader.resume();
		log.items.push(batchAt(6, 2));
		reader.onWritten([log.items[3]!], 8); // Written while the reader is still in the log.
		await turn();
		reader.onWritten([batchAt(8, 2)], 10);
		expect(taken).toEqual([0, 2, 4, 6, 8]);
	});

	test('that read a batch from the log does not get it again when it is reported as written', async () => {
		const {log, sink, taken} = setUp({stored: 2});
		const reader = new Reader(log, 0, 2, sink, new ReadBudget({reads: 1}));
		// The log is ahead of the reported writes.
		log.read = async offset => ({items: log.items.filter(item => item.offset >= offset), next: 4});
		reader.resume();
		await turn();
		reader.onWritten([log.items[1]!], 4);
		reader.onWritten([batchAt(4, 2)], 6);
		expect(taken).toEqual([0, 2, 4]);
	});

	test('whose sink is full pauses, and later continues from the log where it paused', async () => {
		const {log, sink, taken, state} = setUp({stored: 4});
		state.room = 2;
		const reader = new Reader(log, 0, 8, sink, new ReadBudget({reads: 1}));
		reader.resume();
		await turn();
		expect(taken).toEqual([0, 2]);
		log.items.push(batchAt(8, 2));
		reader.onWritten([log.items[4]!], 10);
		expect(taken).toEqual([0, 2]);
		state.room = Infinity;
		reader.resume();
		await turn();
		expect(taken).toEqual([0, 2, 4, 6, 8]);
	});

	test('counts messages that retention deleted before they could be read', async () => {
		const {log, sink, taken, state} = setUp({stored: 4, firstOffset: 4});
		const reader = new Reader(log, 0, 8, sink, new ReadBudget({reads: 1}));
		reader.resume();
		await turn();
		expect(state.dropped).toBe(4);
		expect(taken).toEqual([4, 6]);
	});

	test('counts messages that retention deleted during the read', async () => {
		const {log, sink, taken, state} = setUp({stored: 4});
		const {read} = log;
		log.read = async offset => {
			log.firstOffset = 6;
			return read(offset);
		};

		new Reader(log, 2, 8, sink, new ReadBudget({reads: 1})).resume();
		await turn();
		expect(state.dropped).toBe(4);
		expect(taken).toEqual([6]);
	});

	test('counts messages that retention deleted up to the next written batch', async () => {
		const {log, sink, taken, state} = setUp({stored: 0});
		const reader = new Reader(log, 1, 4, sink, new ReadBudget({reads: 1}));
		reader.resume();
		await turn();
		reader.onWritten([batchAt(4, 2)], 6);
		expect(state.dropped).toBe(3);
		expect(taken).toEqual([4]);
	});

	test('counts messages lost to damage', async () => {
		const {log, sink, taken, state} = setUp({stored: 4});
		log.items.splice(1, 2);
		new Reader(log, 0, 8, sink, new ReadBudget({reads: 1})).resume();
		await turn();
		expect(state.dropped).toBe(4);
		expect(taken).toEqual([0, 6]);
	});

	test('reports when the log fails', async () => {
		const {log, sink, state} = setUp({stored: 1});
		log.read = () => Promise.reject(new Error('EIO'));
		new Reader(log, 0, 2, sink, new ReadBudget({reads: 1})).resume();
		await turn();
		expect(state.error?.message).toBe('EIO');
	});
});

describe('a delivery queue', () => {
	test('returns messages in order, skips those before the offset, and reports taken bytes', async () => {
		const room: number[] = [];
		const queue = new DeliveryQueue({
			agreed: Promise.resolve(),
			firstOffset: () => 1,
			onRoom: bytes => room.push(bytes),
			onClose() {},
		});
		queue.push([batchAt(0, 2), batchAt(2, 2)]);
		const deliveries = queue[Symbol.asyncIterator]();
		const seen = async (): Promise<string[]> =>
			(await deliveries.next()).value.map(
				({offset, body}: Delivery) => `${offset}:${Buffer.from(body).toString()}`,
			);
		expect(await seen()).toEqual(['1:m1', '2:m2', '3:m3']);
		queue.push([batchAt(4, 1)]);
		expect(await seen()).toEqual(['4:m4']);
		expect(room).toEqual([batchAt(0, 2).batch.bytes.length + batchAt(2, 2).batch.bytes.length]);
	});

	test('skips all messages below the offset, also of later batches, and reports them', async () => {
		const skipped: number[] = [];
		const queue = new DeliveryQueue({
			agreed: Promise.resolve(),
			firstOffset: () => 9,
			onSkipped: deliveries => skipped.push(...deliveries.map(({offset}) => offset)),
			onRoom() {},
			onClose() {},
		});
		const deliveries = queue[Symbol.asyncIterator]();
		const first = deliveries.next();
		queue.push([batchAt(4, 2)]);
		await turn();
		expect(skipped).toEqual([4, 5]);
		queue.push([batchAt(6, 2), batchAt(8, 2)]);
		expect((await first).value.map(({offset}: Delivery) => offset)).toEqual([9]);
		expect(skipped).toEqual([4, 5, 6, 7, 8]);
	});

	test('gives the messages at and after an offset within a batch', async () => {
		const queue = new DeliveryQueue({agreed: Promise.resolve(), firstOffset: () => 5, onRoom() {}, onClose() {}});
		queue.push([batchAt(4, 2), batchAt(6, 1)]);
		const {value} = await queue[Symbol.asyncIterator]().next();
		expect(value.map(({offset}: Delivery) => offset)).toEqual([5, 6]);
	});

	test('ends without messages when the node refuses', async () => {
		const queue = new DeliveryQueue({
			agreed: Promise.reject(new Error('no quorum')),
			firstOffset: () => 5,
			onRoom() {},
			onClose() {},
		});
		queue.end(new Error('no quorum'));
		await expect(queue[Symbol.asyncIterator]().next()).rejects.toThrow('no quorum');
	});

	test('throws its error after the queued messages, and closes once', async () => {
		let closed = 0;
		const queue = new DeliveryQueue({
			agreed: Promise.resolve(),
			onRoom() {},
			onClose() {
				closed++;
			},
		});
		queue.push([batchAt(0, 1)]);
		queue.end(new Error('lost'));
		const seen: number[] = [];
		await expect(async () => {
			for await (const deliveries of queue) seen.push(deliveries.length);
		}).rejects.toThrow('lost');
		expect(seen).toEqual([1]);
		await queue[Symbol.asyncDispose]();
		expect(closed).toBe(1);
	});
});
