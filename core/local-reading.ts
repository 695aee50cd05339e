/**
Reading through a node: the node is subscribed while somebody reads, each topic has a cursor, and what a reader in this process has
not taken yet is bounded, like that of a reader across a link.
*/
import type {From, Subscription} from './api.ts';
import type {Data} from './data.ts';
import {DeliveryQueue, type StoredBatch} from './delivery.ts';
import type {Interests} from './interests.ts';
import type {Topic} from './message.ts';
import type {BatchSink, Reader} from './reader.ts';
import type {BatchReading} from './remote/server.ts';

export type ReadableNode = {readonly interests: Interests; readonly data: Data; readonly closed: Promise<string>};

/** Bytes that a reader in this process may leave unread before it is served from the log. */
const unreadBytesMax = 8 * 1024 * 1024;

/** Batches, as they are stored, into a sink. */
export function readBatches({interests, data}: ReadableNode, topics: readonly Topic[], from: From, sink: BatchSink): BatchReading {
	const readers = new Map<Topic, Reader>();
	let isClosed = false;
	// None is asked for, and so none is released, when there is no room for all.
	const room = roomFor(data, topics);
	if ('refused' in room) return {agreed: room.refused, resume: () => undefined, close: async () => undefined};
	const open = async (topic: Topic): Promise<void> => {
		await interests.acquire(topic, from);
		if (isClosed) return;
		const reader = await data.read(topic, from, sink);
		if (isClosed) data.stopReading(topic, reader);
		else readers.set(topic, reader);
	};

	const close = async (): Promise<void> => {
		if (isClosed) return;
		isClosed = true;
		for (const [topic, reader] of readers) data.stopReading(topic, reader);
		for (const topic of topics) interests.release(topic);
	};

	const agreed = Promise.all(topics.map(topic => open(topic))).then(() => undefined);
	agreed.catch(() => void close()).finally(() => room.slots[Symbol.dispose]());
	return {
		agreed,
		resume() {
			for (const reader of readers.values()) reader.resume();
		},
		close,
	};
}

function roomFor(data: Data, topics: readonly Topic[]): {readonly slots: Disposable} | {readonly refused: Promise<never>} {
	try {
		return {slots: data.table.reserve(topics)};
	} catch (error) {
		const {promise, reject} = Promise.withResolvers<never>();
		promise.catch(() => undefined);
		reject(error);
		return {refused: promise};
	}
}

/** Messages, for a program in this process. */
export function subscribeHere(node: ReadableNode, topics: readonly Topic[], from: From): Subscription {
	let unread = 0;
	const reading = readBatches(node, topics, from, {
		take(items: readonly StoredBatch[]) {
			for (const item of items) unread += item.batch.bytes.length;
			queue.push(items);
			return unread < unreadBytesMax;
		},
		dropped(messages) {
			queue.dropped += messages;
		},
		failed: error => queue.end(error),
	});
	const queue: DeliveryQueue = new DeliveryQueue({
		agreed: reading.agreed,
		...(typeof from === 'number' ? {fromOffset: from} : {}),
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
