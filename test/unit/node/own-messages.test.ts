import {expect, test} from 'vitest';
import {ReadBudget} from '../../../core/data/read-budget.ts';
import {Reader} from '../../../core/data/reader.ts';
import type {TrackedEvent} from '../../../core/events.ts';
import type {StoredBatch, Topic} from '../../../core/message.ts';
import {EventStream} from '../../../core/node/event-stream.ts';
import {OwnMessages, type FeedEvent, type OwnFeed, type TopicReading} from '../../../core/node/own-messages.ts';
import {Journal} from '../../../core/observe/journal.ts';
import {Seen, type TopicPosition} from '../../../core/position.ts';
import {batchAt, turn} from '../../support/remote-pipes.ts';

const t = 't' as Topic;
const u = 'u' as Topic;

/** Logs of batches of one message of 10,000 bytes each. */
class Logs implements TopicReading {
	readonly topics = new Map<Topic, StoredBatch[]>([
		[t, []],
		[u, []],
	]);
	readonly subscribed = new Set<Topic>([t]);
	readonly readers = new Map<Reader, Topic>();
	firstOffset = 0;
	/** Reads that run now. */
	reads = 0;
	readonly #slots = new ReadBudget();

	async end(topic: Topic): Promise<number> {
		return this.topics.get(topic)!.length;
	}

	async read(topic: Topic, from: number, sink: ConstructorParameters<typeof Reader>[3]): Promise<Reader> {
		const batches = this.topics.get(topic)!;
		const read = async (
			offset: number,
			bytesMax: number,
		): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}> => {
			this.reads++;
			await turn();
			this.reads--;
			const first = Math.max(offset, this.firstOffset);
			const items = batches.slice(first, first + Math.max(1, Math.floor(bytesMax / 10_000)));
			return {items, next: first + items.length};
		};

		const reader = new Reader({read}, from, batches.length, sink, this.#slots);
		this.readers.set(reader, topic);
		reader.resume();
		return reader;
	}

	async follow(
		topic: Topic,
		from: number | TopicPosition,
		sink: ConstructorParameters<typeof Reader>[3],
	): Promise<{readonly reader: Reader; readonly start: TopicPosition}> {
		const seen = typeof from === 'object' ? new Seen(from) : undefined;
		const batches = this.topics.get(topic)!;
		const fresh = batches.findIndex(({batch}) =>
			seen?.isFresh(batch.origin, batch.incarnation, batch.firstSeq, batch.lamport),
		);
		const offset = typeof from === 'number' ? from : fresh < 0 ? batches.length : fresh;
		const start = typeof from === 'object' ? from : {topic, since: offset, streams: []};
		return {reader: await this.read(topic, offset, sink), start};
	}

	stopReading(_topic: Topic, reader: Reader): void {
		reader[Symbol.dispose]();
		this.readers.delete(reader);
	}

	isSubscribed(topic: Topic): boolean {
		return this.subscribed.has(topic);
	}

	write(topic: Topic, count: number): void {
		const batches = this.topics.get(topic)!;
		for (let index = 0; index < count; index++) {
			const item = batchAt(topic, batches.length, 10_000);
			batches.push(item);
			for (const [reader, read] of this.readers) if (read === topic) reader.onWritten([item], batches.length);
		}
	}
}

const textOf = (event: FeedEvent): string =>
	event.type === 'message'
		? `${event.message.topic}${event.message.seq - 1}`
		: event.type === 'lagged'
			? `lagged ${event.dropped}`
			: event.type === 'start'
				? `start after ${event.since}${event.isResumed ? ', resumed' : ''}`
				: event.type;
const numbers = (topic: Topic, from: number, to: number): string[] =>
	Array.from({length: to - from}, (_, index) => `${topic}${from + index}`);

/** Takes items until none arrives for a while. */
async function takeAll(feed: OwnFeed): Promise<string[]> {
	const got: string[] = [];
	for (let idle = 0; idle < 10; idle++) {
		for (let events = feed.take(); events; events = feed.take()) {
			got.push(...[...events].map(event => textOf(event)));
			idle = 0;
		}

		await turn();
	}

	return got;
}

function setUp(): {readonly logs: Logs; readonly own: Set<Topic>; readonly messages: OwnMessages} {
	const logs = new Logs();
	const own = new Set<Topic>([t]);
	const messages = new OwnMessages(logs, () => own);
	messages.update();
	return {logs, own, messages};
}

test('many followers that take nothing hold a bounded number of messages together', async () => {
	const {logs, messages} = setUp();
	await turn();
	logs.write(t, 100); // 1 MB.
	const feeds = Array.from({length: 1000}, () => messages.open({from: 'start'}));
	do for (let wait = 0; wait < 20; wait++) await turn();
	while (logs.reads > 0);
	const held = feeds.reduce((sum, feed) => sum + feed.unread, 0);
	expect(held * 10_000).toBeLessThanOrEqual(16 * 1024 * 1024 + feeds.length * 10_000);
	expect(held).toBeGreaterThanOrEqual(1000);
	for (const feed of feeds.slice(1)) feed[Symbol.dispose]();
	expect(await takeAll(feeds[0]!)).toEqual(numbers(t, 0, 100));
});

test('a late and slow follower gets all messages since the node subscribed, in little memory', async () => {
	const {logs, messages} = setUp();
	await turn();
	logs.write(t, 500);
	using all = messages.open({from: 'start'});
	using fresh = messages.open();
	await turn();
	logs.write(t, 500); // 10 MB in all.
	for (let wait = 0; wait < 100; wait++) await turn();
	expect(all.unread).toBeLessThan(200); // Messages in memory; the other messages are in the log.
	expect(await takeAll(all)).toEqual(numbers(t, 0, 1000));
	expect(await takeAll(fresh)).toEqual(numbers(t, 500, 1000));
	logs.write(t, 2);
	expect(await takeAll(all)).toEqual(numbers(t, 1000, 1002));
});

test('a topic is read from the agreed subscription to its end, and not beyond', async () => {
	const {logs, own, messages} = setUp();
	using feed = messages.open();
	own.add(u);
	messages.update(); // Wanted, not agreed.
	logs.write(u, 3);
	logs.subscribed.add(u);
	messages.update();
	await turn();
	logs.write(u, 400);
	own.delete(u);
	messages.update();
	await turn();
	logs.write(u, 5); // Another reader of this node reads it.
	expect(await takeAll(feed)).toEqual(numbers(u, 3, 403));
	expect([...logs.readers.values()]).toEqual([t]);
	own.add(u);
	messages.update();
	await turn();
	logs.write(u, 1);
	expect(await takeAll(feed)).toEqual(['u408']);
});

test('a tracked follower gets the start of each topic, after its given position and before the messages', async () => {
	const {logs, own, messages} = setUp();
	logs.write(t, 100);
	own.add(u);
	logs.subscribed.add(u);
	messages.update();
	const {origin, incarnation} = batchAt(t, 0, 10).batch;
	using feed = messages.open({
		isTracked: true,
		after: [{topic: t, since: 7, streams: [[origin, incarnation, 90]]}],
	});
	await turn();
	logs.write(u, 1);
	const got = await takeAll(feed);
	const of = (topic: Topic): string[] => got.filter(text => text.startsWith(topic));
	expect([of(t), of(u)]).toEqual([numbers(t, 90, 100), ['u0']]);
	expect(got.filter(text => text.startsWith('start'))).toEqual(['start after 7, resumed', 'start after 0']);
	expect(got.indexOf('start after 7, resumed')).toBeLessThan(got.indexOf('t90'));
	expect(got.indexOf('start after 0')).toBeLessThan(got.indexOf('u0'));

	// The node subscribes again: the messages in between are not of its own topics.
	own.delete(t);
	messages.update();
	await turn();
	logs.write(t, 5);
	own.add(t);
	messages.update();
	await turn();
	logs.write(t, 1);
	expect(await takeAll(feed)).toEqual(['start after 105', 't105']);
});

test('messages that retention deleted are reported as lagged, with their exact number and in their place', async () => {
	const {logs, messages} = setUp();
	using feed = messages.open();
	await turn();
	logs.write(t, 300);
	logs.firstOffset = 250;
	const got = await takeAll(feed);
	const at = got.findIndex(event => event.startsWith('lagged'));
	expect(got).toEqual([...numbers(t, 0, at), `lagged ${250 - at}`, ...numbers(t, 250, 300)]);
});

test('a stopping node waits until the written messages are read, or until a deadline', async () => {
	const {logs, messages} = setUp();
	const feed = messages.open();
	await turn();
	logs.write(t, 300);
	let late: (() => void) | undefined;
	const clock = {
		monotonicMs: () => 0,
		soon: (run: () => void) => run(),
		after(_ms: number, run: () => void): Disposable {
			late = run;
			return {[Symbol.dispose]() {}};
		},
	};

	let behind: number | undefined;
	const reading = messages.readOut(clock).then(left => void (behind = left));
	await turn();
	logs.write(t, 50);
	const got = await takeAll(feed);
	await reading;
	expect(got).toEqual(numbers(t, 0, 300));
	expect(behind).toBe(0);
	feed[Symbol.dispose]();

	using other = messages.open();
	await turn();
	logs.write(t, 300);
	const waiting = messages.readOut(clock);
	await turn();
	for (let step = 0; step < 10; step++) late!(); // No follower reads.
	expect(await waiting).toBe(300);
	expect(await takeAll(other)).toEqual(numbers(t, 350, 650));
});

test('events and messages share one stream; messages precede its end, omitted events are counted', async () => {
	const {logs, messages} = setUp();
	const journal = new Journal({wallMs: () => 7, feedMax: 10, eventsMax: 10, previewBytes: 10});
	const stream = new EventStream(journal.watch(), messages.open(), () => 7);
	await turn();
	journal.record({type: 'fault', text: 'one'});
	logs.write(t, 200);
	const got: TrackedEvent[] = [(await stream.next()).value!];
	for (let wait = 0; wait < 10; wait++) await turn();
	for (let count = 0; count < 10_002; count++) journal.record({type: 'fault', text: 'more'});
	for (let count = 0; count < 10_001; count++) got.push((await stream.next()).value!);
	expect(got.filter(({type}) => type === 'fault').length).toBe(10_001);
	expect(got.at(-1)).toMatchObject({type: 'warning', text: expect.stringMatching(/^2 events were left out/)});
	expect(journal.bounds.get('events')).toBe(2);
	const reading = (async () => {
		for await (const event of stream) got.push(event);
	})();
	await messages.readOut({monotonicMs: () => 0, soon: () => undefined, after: () => ({[Symbol.dispose]() {}})});
	journal.record({type: 'stopped', reason: 'asked'});
	journal.close();
	await reading;
	expect(got.slice(10_002).map(event => textOf(event))).toEqual([...numbers(t, 0, 200), 'stopped']);
	expect(logs.readers.size).toBe(0);
});
