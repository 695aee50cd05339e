/**
The streams of a connection on a node: snapshots, events, deliveries. Each sends only while its reader grants credit and
the connection has room. It holds at most one unsent item; the others stay at their source, a log or a bounded queue.
*/
import type {Broker} from '../broker.ts';
import {encode} from '../codec.ts';
import type {BatchSink} from '../data/reader.ts';
import {DapssError} from '../errors.ts';
import type {TrackedEvent, TrackedEvents} from '../events.ts';
import {lastSeq, type Batch, type Topic} from '../message.ts';
import type {Snapshot} from '../snapshot.ts';
import {Seen, type Place, type SubscriptionStart} from '../position.ts';
import type {Outbox} from './outbox.ts';
import {encodeDelivery, encodeFrame, encodeSnapshot, type Answer, type Request} from './protocol.ts';

/** A subscription in batches, as they are stored, which a server forwards without decoding the messages. */
export type BatchReading = {
	readonly agreed: Promise<readonly SubscriptionStart[] | void>;
	resume(): void;
	close(): Promise<void>;
};
export type ReadableBroker = Broker &
	TrackedEvents & {
		readBatches(topics: readonly Topic[], place: Place, sink: BatchSink): BatchReading;
	};

export type Stream = {
	/** Number of topics that it reads. */
	readonly topics: number;
	/** Number of positions that it holds to skip messages that its reader has. */
	readonly positions?: number;
	/** The reader grants more bytes. */
	grant(bytes: number): void;
	/** The reader has processed the last snapshot. */
	next(): void;
	/** The connection has room. */
	resume(): void;
	end(): void;
};

/** Topics that an event stream with messages counts for, whatever the node's own subscriptions. */
const followedTopics = 16;

/** Topics that a request would read, as the limits count them. */
export function topicsOf(request: Request): number {
	if (request.op === 'subscribe') return new Set(request.topics).size;
	return request.op === 'events' && request.messages ? followedTopics : 0;
}

/** The connection as a stream sees it. `fail` answers with the error and ends the stream. */
export type StreamContext = {
	readonly broker: ReadableBroker;
	readonly outbox: Outbox;
	/** Whether the reader may see messages of all topics, as a snapshot's feed has them. */
	readonly seesMessages: boolean;
	readonly answer: (body: Answer) => void;
	readonly fail: (id: number, error: unknown) => void;
	/** Whether a stream may hold this many positions. If not, its reader skips messages that it has. */
	readonly hasRoomFor: (positions: number) => boolean;
};

const encodedSnapshots = new WeakMap<Snapshot, Buffer>();

/** A snapshot goes to all watchers, and is encoded for the first of them. */
function encodedOnce(snapshot: Snapshot): Buffer {
	const known = encodedSnapshots.get(snapshot);
	if (known) return known;
	const bytes = encode(snapshot);
	encodedSnapshots.set(snapshot, bytes);
	return bytes;
}

/** Streams snapshots one at a time: the next is sent when the last was processed. */
export function watch({broker, outbox, fail, seesMessages}: StreamContext, id: number): Stream {
	let isAwaited = true;
	let latest: Snapshot | undefined;
	const send = (): void => {
		if (!isAwaited || latest === undefined || outbox.room() === 0) return;
		const bytes = encodedOnce(latest);
		const pieces = encodeSnapshot(id, bytes);
		if (!outbox.fits(pieces))
			return fail(
				id,
				new DapssError(
					'too-large',
					`The snapshot of this node has ${bytes.length} bytes: raise limits.frame_bytes on both sides`,
				),
			);
		if (!outbox.stream(pieces)) return;
		isAwaited = false;
		latest = undefined;
	};

	const watching = broker.watch(snapshot => {
		latest = seesMessages ? snapshot : withoutMessages(snapshot);
		send();
	});
	return {
		topics: 0,
		grant() {},
		next() {
			isAwaited = true;
			send();
		},
		resume: send,
		end: () => watching[Symbol.dispose](),
	};
}

/** Streams events in order; the next one is taken when the last was sent. */
export function follow(
	{broker, outbox, answer, fail, hasRoomFor}: StreamContext,
	id: number,
	request: Extract<Request, {op: 'events'}>,
): Stream {
	const {messages, from = 'now', isTracked = false, after = [], credit: granted = Infinity} = request;
	const wanted = after.reduce((sum, {streams}) => sum + streams.length + 1, 0);
	const positions = hasRoomFor(wanted) ? wanted : 0;
	const following =
		messages && isTracked ? broker.trackedEvents(positions > 0 ? after : []) : broker.events({messages, from});
	const events = following[Symbol.asyncIterator]();
	const state = {credit: granted, isEnded: false};
	let wake: (() => void) | undefined;
	const send = async (event: TrackedEvent): Promise<void> => {
		let pieces = [encodeFrame('event', [id, [event]])];
		if (!outbox.fits(pieces))
			pieces = [
				encodeFrame('event', [
					id,
					[
						{
							at: event.at,
							type: 'warning',
							text:
								`An event of ${pieces[0]!.length} bytes is left out: ` +
								'it is larger than a frame (limits.frame_bytes); subscribe to read the message',
						},
					],
				]),
			];
		while (!state.isEnded && !(state.credit > 0 && outbox.room() > 0 && outbox.stream(pieces))) {
			await new Promise<void>(resolve => {
				wake = resolve;
			});
		}

		state.credit -= pieces[0]!.length;
	};

	const run = async (): Promise<void> => {
		for (;;) {
			const {value, done} = await events.next();
			if (state.isEnded) return;
			if (done) return answer({id, ended: true});
			await send(value);
		}
	};

	void run().catch((error: unknown) => fail(id, error));
	return {
		topics: topicsOf(request),
		positions,
		grant(bytes) {
			state.credit += bytes;
			wake?.();
		},
		next() {},
		resume: () => wake?.(),
		end() {
			state.isEnded = true;
			wake?.();
			void events.return?.();
		},
	};
}

/** Streams batches of topics. */
export function subscribe(
	{broker, outbox, answer, fail, hasRoomFor}: StreamContext,
	id: number,
	request: Extract<Request, {op: 'subscribe'}>,
): Stream {
	const {topics, from, after, isTracked = false, credit: granted} = request;
	let credit = granted;
	const wanted = after?.reduce((sum, {streams}) => sum + streams.length, 0) ?? 0;
	const positions = hasRoomFor(wanted) ? wanted : 0;
	const seen = new Map(positions > 0 ? after?.map(position => [position.topic, new Seen(position)]) : []);
	/** Whether the reader has all of the batch from another node. */
	const isKnown = ({topic, origin, incarnation, firstSeq, count, lamport}: Batch): boolean =>
		seen.get(topic)?.isFresh(origin, incarnation, lastSeq({firstSeq, count}), lamport) === false;
	const reading = broker.readBatches(topics, isTracked ? {from, after} : from, {
		owner: outbox,
		room: () => (credit > 0 ? Math.min(credit, outbox.room()) : 0),
		take(items) {
			let taken = 0;
			for (const item of items) {
				if (credit <= 0 || outbox.room() === 0) break;
				if (seen.size > 0 && isKnown(item.batch)) {
					taken++;
					continue;
				}

				const {pieces, bytes} = encodeDelivery(id, item);
				if (!outbox.fits(pieces)) {
					fail(
						id,
						new DapssError(
							'too-large',
							`A batch of ${bytes} bytes at offset ${item.offset} of ` +
								`${item.batch.topic} is larger than a frame: raise limits.frame_bytes`,
						),
					);
					break;
				}

				if (!outbox.stream(pieces)) break;
				credit -= bytes;
				taken++;
			}

			return taken;
		},
		dropped: dropped => answer({id, dropped}),
		missed: dropped => answer({id, dropped}),
		failed: error => fail(id, error),
	});
	reading.agreed.then(
		starts => answer({id, value: starts ?? true}),
		(error: unknown) => fail(id, error),
	);
	return {
		topics: topicsOf(request),
		positions,
		grant(bytes) {
			const wasEmpty = credit <= 0;
			credit += bytes;
			if (wasEmpty && credit > 0) reading.resume();
		},
		next() {},
		resume: () => reading.resume(),
		end: () => void reading.close(),
	};
}

const silent = new WeakMap<Snapshot, Snapshot>();

/** The same value for all watchers of a snapshot, so that it is encoded once. */
function withoutMessages(snapshot: Snapshot): Snapshot {
	const known = silent.get(snapshot) ?? {...snapshot, feed: []};
	silent.set(snapshot, known);
	return known;
}

/** An encoded snapshot, shared by all requests in one turn of the event loop. */
export class SharedSnapshot {
	readonly #bytes = new Map<boolean, Promise<Buffer>>();

	of(broker: Broker, seesMessages: boolean): Promise<Buffer> {
		const present = this.#bytes.get(seesMessages);
		if (present) return present;
		const bytes = broker.snapshot().then(snapshot => encode(seesMessages ? snapshot : withoutMessages(snapshot)));
		this.#bytes.set(seesMessages, bytes);
		setImmediate(() => this.#bytes.delete(seesMessages));
		return bytes;
	}
}
