import {expect, test} from 'vitest';
import {LiveTopic} from '../../../core/data/live-topic.ts';
import {MemoryLog} from '../../../core/io/log/memory-log.ts';
import type {Topic} from '../../../core/message.ts';
import {openTopicLog} from '../../../core/topic-log/topic-log.ts';
import {batchOf} from '../../support/batches.ts';

test('a disk error is reported also when no append waits for the disk', async () => {
	const topic = 't' as Topic;
	const memory = new MemoryLog({segmentBytes: 1e6});
	const failed = Promise.withResolvers<unknown>();
	const live = new LiveTopic(
		topic,
		openTopicLog(memory, () => undefined),
		() => undefined,
		error => failed.resolve(error),
	);
	const batch = batchOf({topic});
	await live.append([{batch, hops: 1, repaired: false}], false);
	memory.fail(new Error('EIO'));
	expect(await failed.promise).toMatchObject({code: 'storage', message: expect.stringContaining('EIO')});
});

test('messages that never reach the log are reported to all readers, without an offset', async () => {
	const topic = 't' as Topic;
	const live = new LiveTopic(
		topic,
		openTopicLog(new MemoryLog({segmentBytes: 1e6}), () => undefined),
		() => undefined,
		error => expect.unreachable(String(error)),
	);
	const reported: string[] = [];
	const read = (name: string) =>
		live.read('now', {
			room: () => 1024,
			take: items => items.length,
			dropped: messages => void reported.push(`${name} dropped ${messages}`),
			missed: messages => void reported.push(`${name} missed ${messages}`),
			failed: () => undefined,
		});
	const [one] = await Promise.all([read('one'), read('two')]);
	// A sink without `missed`, such as the node's own feed, gets the event instead.
	await live.read('now', {
		room: () => 1024,
		take: items => items.length,
		dropped: () => void reported.push('feed'),
		failed: () => undefined,
	});
	live.missed(3);
	live.stop(one);
	live.missed(2);
	expect([reported, one.cursor]).toEqual([['one missed 3', 'two missed 3', 'two missed 2'], 0]);
	await live[Symbol.asyncDispose]();
});

test('a reader from an offset gets the batch that contains it, also when the log ended before it', async () => {
	const topic = 't' as Topic;
	const live = new LiveTopic(
		topic,
		openTopicLog(new MemoryLog({segmentBytes: 1e6}), () => undefined),
		() => undefined,
		error => expect.unreachable(String(error)),
	);
	const append = (firstSeq: number): Promise<void> =>
		live.append(
			[{batch: batchOf({topic, firstSeq}, [Buffer.of(1), Buffer.of(2)]), hops: 0, repaired: false}],
			true,
		);
	await append(1);
	const taken: number[] = [];
	const {end, before, reader} = await live.follow(5, {
		room: () => 1024,
		take: items => {
			taken.push(...items.map(({offset}) => offset));
			return items.length;
		},
		dropped: messages => expect.unreachable(`${messages} dropped`),
		failed: () => undefined,
	});
	expect([end, before.map(([, , seq]) => seq), reader.cursor]).toEqual([2, [2], 2]);
	await append(3);
	await append(5);
	expect(taken).toEqual([2, 4]);
	await live[Symbol.asyncDispose]();
});
