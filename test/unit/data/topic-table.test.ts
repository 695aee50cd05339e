import {expect, test} from 'vitest';
import type {LiveTopic} from '../../../core/data/live-topic.ts';
import {TopicTable} from '../../../core/data/topic-table.ts';
import {MemoryLog} from '../../../core/io/log/memory-log.ts';
import type {Topic} from '../../../core/message.ts';
import {limitFindings} from '../../../core/observe/limits.ts';
import {openTopicLog} from '../../../core/topic-log/topic-log.ts';
import {batchOf} from '../../support/batches.ts';

const named = (name: string): Topic => name as Topic;

function create(topicsMax: number, isUnused: (topic: Topic) => boolean = () => true) {
	const agreed = new Map<Topic, unknown>();
	const calls: string[] = [];
	let full = 0;
	const table = new TopicTable({
		topicsMax,
		isUnused,
		agreed: () => agreed,
		onWritten: () => undefined,
		failed: error => expect.unreachable(String(error)),
		onFull: () => void full++,
		async openLog(topic) {
			calls.push(`open ${topic}`);
			return openTopicLog(new MemoryLog({segmentBytes: 1000}), () => undefined);
		},
		async removeLog(topic) {
			calls.push(`remove ${topic}`);
		},
	});
	const put = (live: LiveTopic): Promise<void> =>
		live.append([{batch: batchOf({topic: live.name}), hops: 0, repaired: false}], true);
	return {table, agreed, calls, put, full: () => full};
}

test('concurrent callers get no more slots than the limit', () => {
	const {table, full} = create(4);
	const held: Disposable[] = [];
	const refused: unknown[] = [];
	for (let index = 0; index < 10; index++) {
		try {
			held.push(table.reserve([named(String(index))]));
		} catch (error) {
			refused.push(error);
		}
	}

	expect(held.length).toBe(4);
	expect(refused.length).toBe(6);
	expect(refused[0]).toMatchObject({
		code: 'refused',
		message: expect.stringMatching(/at most 4 topics \(limits\.topics\), got 5/) as string,
	});
	expect(full()).toBe(6);
	// The admitted callers stored no message: an empty publish, a message that was too large.
	for (const slot of held) slot[Symbol.dispose]();
	expect(table.slots).toEqual({used: 0, max: 4});
});

test('a topic counts once: agreed, open, or reserved', () => {
	const {table, agreed} = create(2);
	agreed.set(named('a'), {});
	table.open(named('a'));
	using _again = table.reserve([named('a'), named('b')]);
	using _twice = table.reserve([named('b')]);
	expect(table.slots.used).toBe(2);
	expect(() => table.reserve([named('c')])).toThrow('limits.topics');
	// A known topic is not a new one.
	using _known = table.reserve([named('a')]);
	expect(table.slots.used).toBe(2);
});

test('a request for several topics gets no slot when one of them exceeds the limit', () => {
	const {table} = create(2);
	expect(() => table.reserve([named('a'), named('b'), named('c')])).toThrow('limits.topics');
	expect(table.slots.used).toBe(0);
});

test('an empty topic without subscribers and users is closed, and its folder is removed', async () => {
	const {table, agreed, calls, put} = create(16, topic => topic !== named('wanted'));
	for (const name of ['empty', 'agreed', 'wanted', 'reserved', 'read']) table.open(named(name));
	await put(table.open(named('holds')));
	agreed.set(named('agreed'), {});
	using _slot = table.reserve([named('reserved')]);
	await table.live.get(named('read'))!.read('now', {
		room: () => 1024,
		take: items => items.length,
		dropped: () => undefined,
		failed: () => undefined,
	});
	await table.free();
	expect([...table.live.keys()]).toEqual(['agreed', 'wanted', 'reserved', 'read', 'holds']);
	expect(calls.filter(call => call.startsWith('remove'))).toEqual(['remove empty']);
	await table.close();
});

test('an empty topic is closed when another topic needs its slot', async () => {
	const {table, agreed, calls, put, full} = create(3, topic => topic !== named('wanted'));
	for (const name of ['one', 'two', 'wanted']) await table.open(named(name)).holes();
	agreed.set(named('wanted'), {});
	expect(table.slots.used).toBe(1);
	for (const name of ['three', 'four']) {
		using _slot = table.reserve([named(name)]);
		await put(table.open(named(name)));
	}

	expect([[...table.live.keys()], table.slots.used, full()]).toEqual([['wanted', 'three', 'four'], 3, 0]);
	expect(() => table.reserve([named('one')])).toThrow('limits.topics');
	expect(calls.filter(call => call.startsWith('remove'))).toEqual(['remove one', 'remove two']);
	await table.close();
});

test('a topic that is used again while its folder is being removed is opened after that', async () => {
	const {table, calls, put} = create(16);
	await table.open(named('a')).holes();
	const freed = table.free();
	await put(table.open(named('a')));
	await freed;
	expect(calls).toEqual(['open a', 'remove a', 'open a']);
	expect(table.live.get(named('a'))!.messages).toBe(1);
	await table.close();
});

test('`check` reports a reached limit of topics by the name of its setting', () => {
	const atMs = 3_600_000;
	const counters = {
		published: 0,
		delivered: 0,
		receivedBytes: 0,
		sentBytes: 0,
		rejected: {},
		ignored: {},
		bounds: {},
	};
	expect(limitFindings({atMs, topicSlots: {used: 15, max: 16}, counters})).toEqual([]);
	expect(
		limitFindings({
			atMs,
			topicSlots: {used: 16, max: 16},
			counters: {...counters, bounds: {topics: 3, 'out-queue': 2}},
		}),
	).toMatchObject([
		{
			problem: 'The limit of topics is reached: 16 of 16 (limits.topics); new ones are refused',
			advice: expect.stringContaining('Raise limits.topics') as string,
		},
		{
			problem: 'Bounds were reached: bytes that wait for a peer (out-queue) 2× since the start',
			advice: expect.stringContaining('docs/troubleshooting.md') as string,
		},
	]);
	expect(
		limitFindings({atMs, counters: {...counters, bounds: {topics: 3, 'open-files': 1}}}).map(
			({problem}) => problem,
		),
	).toEqual([
		'The limit of topics (limits.topics) was reached, 3× since the start',
		'The process could not open more files (ulimit -n), 1× since the start',
	]);
	const hit = {
		...counters,
		bounds: {'out-queue': 2, disk: 1},
		boundsAtMs: {'out-queue': atMs - 120_000, disk: atMs - 700_000},
	};
	expect(limitFindings({atMs, counters: hit}).map(({problem}) => problem)).toEqual([
		'Bounds were reached: bytes that wait for a peer (out-queue) 2× since the start, last 2 min ago',
	]);
	const boundsBy = {
		'out-queue': [['client 01', 2]],
		topics: [
			['client 02', 5],
			['', 3],
		],
	} as const;
	expect(
		limitFindings({atMs, counters: {...counters, bounds: {'out-queue': 2, topics: 8}, boundsBy}}).map(
			({problem}) => problem,
		),
	).toEqual([
		'The limit of topics (limits.topics) was reached, 8× since the start, 5× by client 02',
		'Bounds were reached: bytes that wait for a peer (out-queue) 2× since the start, by client 01',
	]);
});
