/** Whole files of a node, on a disk that fails between any two calls. */
import {describe, expect, test} from 'vitest';
import {NodeFiles} from '../../core/io/files/node-files.ts';
import type {Topic} from '../../core/message.ts';
import {DiskContents} from '../sim/disk-contents.ts';
import {createRandom} from '../sim/random.ts';
import {CrashDisk, type DiskFaults} from './support/crash-disk.ts';

const path = '/data';
const news = 'news' as Topic;
const weather = 'weather' as Topic;

function emptyDisk(faults: DiskFaults): CrashDisk {
	const contents = new DiskContents();
	contents.makeFolder(path);
	contents.syncFolder('/');
	return new CrashDisk(faults, contents);
}

describe('the folder of a topic', () => {
	test('survives a power cut once it was returned, also when an earlier process was killed in between', async () => {
		const whole = emptyDisk({random: createRandom(0)});
		await new NodeFiles(whole, path).topicFolder(news);
		for (let calls = 1; calls <= whole.calls.length; calls++) {
			const random = createRandom(calls);
			const killed = emptyDisk({random, diesAt: calls});
			void new NodeFiles(killed, path).topicFolder(news);
			await killed.died;
			const disk = new CrashDisk({random}, killed.killed(random));
			const folder = await new NodeFiles(disk, path).topicFolder(news);
			await disk.syncFolder(folder); // As a log in it does before it acknowledges anything.
			const image = new CrashDisk({random}, disk.image(random, 'all'));
			expect(await new NodeFiles(image, path).topics(), `killed at call ${calls}`).toEqual([news]);
		}
	});

	test('survives a power cut once it was returned, also when two folders are made at the same time', async () => {
		for (let seed = 1; seed < 40; seed++) {
			const random = createRandom(seed);
			const disk = emptyDisk({
				random,
				async delay() {
					for (let turns = random.pick([0, 200]); turns > 0; turns--) await Promise.resolve();
				},
			});
			const files = new NodeFiles(disk, path);
			const first = await Promise.race(
				[news, weather].map(async topic => {
					await files.topicFolder(topic);
					return topic;
				}),
			);
			const image = new CrashDisk({random}, disk.image(random, 'all'));
			expect(await new NodeFiles(image, path).topics()).toContain(first);
		}
	});
});

test('the error of a file that cannot be removed names it', async () => {
	const disk = emptyDisk({random: createRandom(1), failsAt: 1});
	await expect(new NodeFiles(disk, path).blobs.unlink('snapshot-1')).rejects.toMatchObject({
		code: 'storage',
		message: 'The file /data/snapshot-1 cannot be removed: EIO: injected',
	});
});
