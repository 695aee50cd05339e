/**
Crash images of the whole store of a node: a hundred of them, and what earlier campaigns found. `npm run sim:crash` makes more.
*/
import {expect, test} from 'vitest';
import {openLog} from '../../core/io/log.ts';
import {decodeBatch, encodeBatch, type Batch, type NodeId, type Topic} from '../../core/message.ts';
import {openTopicLog, type OnHeader, type TopicLog} from '../../core/topic-log.ts';
import {createRandom} from '../sim/random.ts';
import {CrashDisk} from './crash-disk.ts';

const topic = 'news' as Topic;
const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;

async function openTopic(disk: CrashDisk, onHeader: OnHeader = () => undefined): Promise<TopicLog> {
	return openTopicLog(await openLog({folder: '/log', segmentBytes: 400, writeDeadlineMs: 5000, files: disk}), onHeader);
}

function batch(origin: NodeId, seq: number): Batch {
	return decodeBatch(encodeBatch({origin, incarnation: 1, topic, firstSeq: seq, lamport: seq, previousLamport: seq - 1, sentAtMs: 0}, [Buffer.alloc(200)], false))!;
}

const item = (one: Batch) => ({batch: one, hops: 0, repaired: false});

test('retention forgets no stream that goes on only in what is not on the disk yet', async () => {
	const random = createRandom(1);
	const disk = new CrashDisk({random});
	const log = await openTopic(disk);
	await log.append([item(batch(a, 1)), item(batch(b, 1)), item(batch(b, 2))]).synced;
	await log.append([item(batch(a, 2))], {sync: false}).written;
	await log.retain({bytes: 500, ageMs: Number.MAX_SAFE_INTEGER, nowMs: 0});
	expect(log.firstOffset).toBeGreaterThan(0);
	const nexts = new Map<NodeId, number>();
	await openTopic(new CrashDisk({random}, disk.image(random, 'all')), ({origin, firstSeq, count}) => nexts.set(origin, firstSeq + count));
	expect(nexts.get(a)).toBe(3);
});
