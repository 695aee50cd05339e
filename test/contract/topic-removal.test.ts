/**
Removes the folder of an unused topic. If a crash interrupts that, the rest is an empty topic, never a damaged one.
*/
import {expect, test} from 'vitest';
import {NodeFiles} from '../../core/io/files/node-files.ts';
import {openLog} from '../../core/io/log/log.ts';
import type {Topic} from '../../core/message.ts';
import {openTopicLog} from '../../core/topic-log/topic-log.ts';
import {createRandom} from '../sim/random.ts';
import {CrashDisk} from './support/crash-disk.ts';
import {batchOf} from '../support/batches.ts';

const topic = 'news' as Topic;
const batch = batchOf({topic});
const filesOn = (disk: CrashDisk): NodeFiles => new NodeFiles(disk, '/data', text => expect.unreachable(text));
const openAt = (disk: CrashDisk, folder: string) =>
	openLog({folder, segmentBytes: 100, writeDeadlineMs: 5000, files: disk});

/** A disk on which all messages of a topic have expired. */
async function expired(random: ReturnType<typeof createRandom>): Promise<CrashDisk> {
	const disk = new CrashDisk({random});
	const log = await openTopicLog(await openAt(disk, await filesOn(disk).topicFolder(topic)), () => undefined);
	await log.append([{batch, hops: 0, repaired: false}], {sync: true}).synced;
	await log.retain({bytes: 0, ageMs: 0, nowMs: 1e15});
	expect(log.messages).toBe(0);
	await log[Symbol.asyncDispose]();
	return disk;
}

test('the folder is removed, and the topic can be used again', async () => {
	const disk = await expired(createRandom(1));
	await filesOn(disk).removeTopic(topic);
	expect([...disk.contents().keys()].filter(path => path.startsWith('/data/topics'))).toEqual([]);
	expect(await filesOn(disk).topics()).toEqual([]);
	await filesOn(disk).removeTopic(topic);
	const log = await openAt(disk, await filesOn(disk).topicFolder(topic));
	expect([log.first, log.end, log.damaged]).toEqual([0, 0, []]);
});

test('a power cut at any call leaves an empty topic, and no damage', async () => {
	const lefts = new Set<number>();
	for (let diesAt = 1; diesAt < 40; diesAt++) {
		for (const loss of ['all', 'none', 'writes', 'sectors'] as const) {
			const random = createRandom(diesAt);
			const contents = (await expired(random)).image(random, 'none');
			const disk = new CrashDisk({random, diesAt}, contents);
			await Promise.race([filesOn(disk).removeTopic(topic), disk.died]);
			const again = new CrashDisk({random}, disk.image(random, loss));
			const files = filesOn(again);
			const topics = await files.topics();
			lefts.add(topics.length);
			for (const left of topics) {
				const log = await openAt(again, await files.topicFolder(left));
				expect(log.damaged).toEqual([]);
				expect((await openTopicLog(log, () => undefined)).messages).toBe(0);
				await log[Symbol.asyncDispose]();
				await files.removeTopic(left);
			}

			expect(await files.topics()).toEqual([]);
		}
	}

	expect(lefts).toEqual(new Set([0, 1]));
});

test('the folder stays if it holds foreign files, which stay too', async () => {
	const disk = await expired(createRandom(1));
	const folder = await filesOn(disk).topicFolder(topic);
	await (await disk.open(`${folder}/notes.txt`, 'write')).close();
	await filesOn(disk).removeTopic(topic);
	expect([...disk.contents().keys()].filter(path => path.startsWith('/data/topics'))).toEqual([
		`${folder}/notes.txt`,
	]);
});
