/**
Crash images of the whole store of a node: a hundred seeds, and the seeds of former failures. `npm run sim:crash` runs
more.
*/
import {expect, test} from 'vitest';
import {openLog} from '../../core/io/log/log.ts';
import type {Batch, NodeId, Topic} from '../../core/message.ts';
import {openTopicLog, type OnHeader, type TopicLog} from '../../core/topic-log/topic-log.ts';
import {createRandom} from '../sim/random.ts';
import {withoutGlobals} from '../sim/without-globals.ts';
import {runSeed, type Outcome} from '../sim/store/campaign.ts';
import {CrashDisk} from './support/crash-disk.ts';
import {batchOf, zeros} from '../support/batches.ts';

const imagesMin = 100;
const topic = 'news' as Topic;
const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;

async function openTopic(disk: CrashDisk, onHeader: OnHeader = () => undefined): Promise<TopicLog> {
	return openTopicLog(
		await openLog({folder: '/log', segmentBytes: 400, writeDeadlineMs: 5000, files: disk}),
		onHeader,
	);
}

const batch = (origin: NodeId, firstSeq: number): Batch => batchOf({origin, topic, firstSeq}, zeros(1, 200));

const item = (one: Batch) => ({batch: one, hops: 0, repaired: false});

/** Runs in a turn of its own: a promise callback cannot run other promise callbacks. */
function run(seed: number): Promise<Outcome> {
	return new Promise((resolve, reject) => {
		setImmediate(() => {
			try {
				resolve(withoutGlobals(() => runSeed(seed)));
			} catch (error) {
				reject(new Error(`npm run sim:crash -- --seed ${seed}`, {cause: error}));
			}
		});
	});
}

test('a store that crashes repeatedly keeps all acknowledged data, and returns no damaged data', async () => {
	let images = 0;
	let [nested, checked, aside, reported] = [0, 0, 0, 0];
	for (let seed = 1; images < imagesMin; seed++) {
		const outcome = await run(seed);
		images += Object.values(outcome.images).reduce((sum, count) => sum + count, 0);
		nested += outcome.nested;
		checked += outcome.checked;
		aside += outcome.damages.filter(({verdict}) => verdict === 'set aside').length;
		reported += outcome.damages.filter(({verdict}) => verdict === 'reported').length;
	}

	for (const count of [nested, aside, reported]) expect(count).toBeGreaterThan(10);
	expect(checked).toBeGreaterThan(1000);
});

test('the same seed gives the same run', async () => {
	expect(await run(3)).toEqual(await run(3));
	expect(await run(3)).not.toEqual(await run(4));
});

test('retention keeps the position of a stream whose later messages are not on the disk yet', async () => {
	const random = createRandom(1);
	const disk = new CrashDisk({random});
	const log = await openTopic(disk);
	await log.append([item(batch(a, 1)), item(batch(b, 1)), item(batch(b, 2))]).synced;
	await log.append([item(batch(a, 2))], {sync: false}).written;
	await log.retain({bytes: 500, ageMs: Number.MAX_SAFE_INTEGER, nowMs: 0});
	expect(log.firstOffset).toBe(2);
	const nextSeqs = new Map<NodeId, number>();
	await openTopic(new CrashDisk({random}, disk.image(random, 'all')), ({origin, firstSeq, count}) =>
		nextSeqs.set(origin, firstSeq + count),
	);
	expect(nextSeqs.get(a)).toBe(3);
});
