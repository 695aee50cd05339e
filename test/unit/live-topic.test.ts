import {expect, test} from 'vitest';
import {MemoryLog} from '../../core/io/memory-log.ts';
import {LiveTopic} from '../../core/live-topic.ts';
import {decodeBatch, encodeBatch, type NodeId, type Topic} from '../../core/message.ts';
import {openTopicLog} from '../../core/topic-log.ts';

test('an error of the disk is told although nobody waits for the disk', async () => {
	const topic = 't' as Topic;
	const memory = new MemoryLog({segmentBytes: 1e6});
	const failed = Promise.withResolvers<unknown>();
	const live = new LiveTopic(topic, openTopicLog(memory, () => undefined), () => undefined, error => failed.resolve(error));
	const batch = decodeBatch(encodeBatch({origin: 'aaaaaaaaaaaaaaaa' as NodeId, incarnation: 1, topic, firstSeq: 1, lamport: 1, previousLamport: 0, sentAtMs: 0}, [Buffer.alloc(1)], false))!;
	await live.append([{batch, hops: 1, repaired: false}], false);
	memory.fail(new Error('EIO'));
	expect(await failed.promise).toMatchObject({code: 'storage', message: expect.stringContaining('EIO')});
});
