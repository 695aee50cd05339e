/**
Reading on this node. The node is subscribed while a reader is open, and each topic has a cursor in its log. The
messages that a reader has not taken are bounded, for readers in this process as for remote ones.
*/
import type {SubscribeOptions, Subscription} from '../broker.ts';
import type {DesiredSubscriptions} from '../control/desired-subscriptions.ts';
import type {Data} from '../data/data.ts';
import {DeliveryQueue} from '../data/delivery.ts';
import type {BatchSink, Reader} from '../data/reader.ts';
import {TurnShare, type TurnBudget} from '../data/turn-budget.ts';
import type {StoredBatch, Topic} from '../message.ts';
import {positionsMax, type Place, type SubscriptionStart, type TopicPosition} from '../position.ts';
import type {BatchReading} from '../remote/server.ts';

export type ReadableNode = {
	readonly desired: DesiredSubscriptions;
	readonly data: Data;
	/** Topics that are opened in one turn of the event loop. */
	readonly opening: TurnBudget;
	readonly closed: Promise<string>;
};

/** Bytes that a reader in this process may leave unread; later messages wait in the log. */
const unreadBytesMax = 8 * 1024 * 1024;

/** Read batches, as they are stored, into a sink. */
export function readBatches(
	{desired, data, opening}: ReadableNode,
	given: readonly Topic[],
	place: Place,
	sink: BatchSink,
): BatchReading {
	const isTracked = typeof place === 'object';
	const {from, after} = typeof place === 'object' ? place : {from: place, after: undefined};
	const seen = new Map(after?.map(position => [position.topic, position]));
	const topics = [...new Set(given)]; // One cursor per topic, however often it is named.
	const readers = new Map<Topic, Reader>();
	const acquired = new Set<Topic>();
	const starts: SubscriptionStart[] = [];
	let isClosed = false;
	let first = 0;
	// Without room for all topics none is acquired, and so none is released.
	const room = roomFor(data, topics);
	if ('refused' in room) return {agreed: room.refused, resume: () => undefined, close: async () => undefined};
	const open = async (topic: Topic): Promise<void> => {
		const position = seen.get(topic);
		acquired.add(topic);
		await desired.acquire(topic, position?.since ?? (from === 'now' ? undefined : 0));
		if (isClosed) return;
		const {reader, start, end} = isTracked
			? await data.follow(topic, position ?? from, sink)
			: {reader: await data.read(topic, from, sink), start: undefined, end: undefined};
		if (start) starts.push(end === undefined ? start : {...start, end});
		if (isClosed) data.stopReading(topic, reader);
		else {
			readers.set(topic, reader);
			reader.resume(); // The sink may have been full and emptied before the reader was registered here.
		}
	};

	const close = async (): Promise<void> => {
		if (isClosed) return;
		isClosed = true;
		for (const [topic, reader] of readers) data.stopReading(topic, reader);
		for (const topic of acquired) desired.release(topic);
	};

	const openAll = async (): Promise<void> => {
		const share = new TurnShare(opening);
		const opened: Array<Promise<void>> = [];
		for (const topic of topics) {
			if (share.isSpent) await new Promise<void>(resolve => share.whenFree(resolve));
			if (isClosed) break;
			share.spend(1);
			const done = open(topic);
			done.catch(() => undefined); // It may fail before all have begun.
			opened.push(done);
		}

		await Promise.all(opened);
	};

	const agreed = openAll()
		.then(() => (isTracked && isBounded(starts) ? starts : undefined))
		.finally(() => seen.clear());
	agreed.catch(() => void close()).finally(() => room.slots[Symbol.dispose]());
	return {
		agreed,
		resume() {
			const all = [...readers.values()];
			// A different reader is the first each time, so that all get their share of little room.
			first = all.length === 0 ? 0 : (first + 1) % all.length;
			for (let index = 0; index < all.length; index++) all[(first + index) % all.length]!.resume();
		},
		close,
	};
}

/** The answer fits in a frame, and the reader can store all positions. */
function isBounded(starts: readonly TopicPosition[]): boolean {
	return starts.reduce((sum, {streams}) => sum + streams.length, 0) <= positionsMax;
}

function roomFor(
	data: Data,
	topics: readonly Topic[],
): {readonly slots: Disposable} | {readonly refused: Promise<never>} {
	try {
		return {slots: data.table.reserve(topics)};
	} catch (error) {
		const {promise, reject} = Promise.withResolvers<never>();
		promise.catch(() => undefined);
		reject(error);
		return {refused: promise};
	}
}

/** Read messages, for a program in this process. */
export function subscribeHere(
	node: ReadableNode,
	topics: readonly Topic[],
	{from = 'now', after, isTracked = false}: SubscribeOptions,
): Subscription {
	let unread = 0;
	// Tracked, to learn the end of the log, which may be before the offset.
	const fromOffset = typeof from === 'number' && after === undefined ? from : undefined;
	const reading = readBatches(node, topics, isTracked || fromOffset !== undefined ? {from, after} : from, {
		room: () => Math.max(0, unreadBytesMax - unread),
		take(items: readonly StoredBatch[]) {
			let taken = 0;
			while (taken < items.length && unread < unreadBytesMax) unread += items[taken++]!.batch.bytes.length;
			queue.push(items.slice(0, taken));
			return taken;
		},
		dropped(messages) {
			queue.dropped += messages;
		},
		missed(messages) {
			queue.dropped += messages;
		},
		failed: error => queue.end(error),
	});
	const queue: DeliveryQueue = new DeliveryQueue({
		agreed: reading.agreed,
		firstOffset: fromOffset === undefined ? undefined : () => fromOffset,
		onRoom(bytes) {
			const wasFull = unread >= unreadBytesMax;
			unread -= bytes;
			if (wasFull && unread < unreadBytesMax) reading.resume();
		},
		onClose: () => reading.close(),
	});
	reading.agreed.catch((error: unknown) => queue.end(error as Error));
	void node.closed.then(() => queue.end());
	return queue;
}
