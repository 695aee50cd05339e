/** The log of a deleted topic: messages up to the deletion are deleted, later ones stay where they are. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {ReadBudget} from '../../../core/data/read-budget.ts';
import {Reader} from '../../../core/data/reader.ts';
import {openLog} from '../../../core/io/log/log.ts';
import {MemoryLog} from '../../../core/io/log/memory-log.ts';
import {lastSeq, type Batch, type NodeId, type StoredBatch, type Topic} from '../../../core/message.ts';
import type {Log} from '../../../core/ports.ts';
import {openTopicLog, type TopicLog} from '../../../core/topic-log/topic-log.ts';
import {batchOf, zeros} from '../../support/batches.ts';

const topic = 't' as Topic;
const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const kept = {bytes: 2 ** 40, ageMs: 2 ** 40, nowMs: 1};

/** One batch per stamp, of one stream, each with one message more than the one before. */
function batches(stamps: readonly number[]): Batch[] {
	let firstSeq = 1;
	return stamps.map((lamport, index) => {
		const count = (index % 3) + 1;
		const batch = batchOf({origin: a, topic, firstSeq, lamport, previousLamport: 0}, zeros(count, 20));
		firstSeq += count;
		return batch;
	});
}

const open = (log: Log): Promise<TopicLog> =>
	openTopicLog(
		log,
		() => undefined,
		undefined,
		() => 0,
	);
const append = (log: TopicLog, all: readonly Batch[]): Promise<void> =>
	log.append(all.map(batch => ({batch, hops: 0, repaired: false}))).written;
const rows = (items: readonly StoredBatch[]): unknown[] =>
	items.map(({offset, batch: {firstSeq, lamport}}) => [offset, firstSeq, lamport]);

/** Reads from the beginning: the messages, and how many were reported as deleted. */
async function readAll(log: TopicLog): Promise<{readonly got: unknown[]; readonly dropped: number}> {
	const items: StoredBatch[] = [];
	let dropped = 0;
	const reader = new Reader(
		log,
		0,
		log.nextOffset,
		{
			room: () => 1000,
			take: some => items.push(...some) && some.length,
			dropped: messages => void (dropped += messages),
			failed(error) {
				throw error;
			},
		},
		new ReadBudget(),
	);
	reader.resume();
	for (let turn = 0; reader.cursor < log.nextOffset; turn++) {
		if (turn > 1000) throw new Error(`Expected the reader to get to ${log.nextOffset}, it is at ${reader.cursor}`);
		await new Promise(setImmediate);
	}

	return {got: rows(items), dropped};
}

test('only later messages are served, at their offsets; each deletion is reported once', async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.integer({min: 1, max: 20}), {minLength: 1, maxLength: 30}),
			fc.integer({min: 0, max: 21}),
			fc.constantFrom(100, 400, 10_000),
			fc.boolean(),
			async (stamps, until, segmentBytes, reopens) => {
				let memory = new MemoryLog({segmentBytes});
				let log = await open(memory);
				const all = batches(stamps);
				await append(log, all);
				const {nextOffset} = log;
				let offset = 0;
				const expected: unknown[] = [];
				let left = 0;
				for (const {firstSeq, count, lamport} of all) {
					if (lamport > until) {
						expected.push([offset, firstSeq, lamport]);
						left += count;
					}

					offset += count;
				}

				log.hide(until);
				expect((await readAll(log)).got).toEqual(expected);
				const retained = await log.retain(kept);
				const reported = (retained?.deletions ?? []).reduce((sum, {messages}) => sum + messages, 0);
				expect([reported, new Set(retained?.deletions.map(({reason}) => reason))]).toEqual([
					offset - left,
					new Set(offset > left ? ['topic'] : []),
				]);
				expect(await log.retain(kept)).toBeUndefined();
				if (reopens) {
					memory = memory.reopen();
					log = await open(memory);
					log.hide(until);
					await log.retain(kept);
				}

				expect([log.messages, log.nextOffset]).toEqual([left, nextOffset]);
				expect(await readAll(log)).toEqual({got: expected, dropped: offset - left});
				const {batches: served} = await log.serve(
					[{origin: a, incarnation: 1, from: 1, to: lastSeq(all.at(-1)!), sinceLamport: 0}],
					2 ** 30,
				);
				expect(served.every(({lamport}) => lamport > until)).toBe(true);
				expect(served.length).toBe(expected.length);
				const [next] = batches([30]);
				expect(
					log.append([{batch: {...next!, firstSeq: lastSeq(all.at(-1)!) + 1}, hops: 0, repaired: false}])
						.offsets,
				).toEqual([nextOffset]);
			},
		),
		{numRuns: 200},
	);
});

test('hidden messages among later messages are deleted with their segment, and not reported again', async () => {
	const log = await open(new MemoryLog({segmentBytes: 10_000}));
	await append(log, batches([1, 9, 2]));
	log.hide(5);
	expect(await log.retain(kept)).toMatchObject({deletions: [{reason: 'topic', messages: 4}]});
	expect([log.messages, log.firstOffset]).toEqual([2, 0]);
	expect(await log.retain({...kept, ageMs: 0, nowMs: 2 ** 41})).toMatchObject({
		deletions: [{reason: 'age', messages: 2}],
		from: 0,
		to: 6,
	});
	expect(log.messages).toBe(0);
});

test('hidden messages after later messages are deleted once the later messages are deleted', async () => {
	const log = await open(new MemoryLog({segmentBytes: 100}));
	await append(log, batches([9, 2]));
	log.hide(5);
	expect(await log.retain(kept)).toMatchObject({deletions: [{reason: 'topic', messages: 2}]});
	log.hide(9);
	expect(await log.retain(kept)).toMatchObject({deletions: [{reason: 'topic', messages: 1}], from: 0, to: 3});
	expect([log.messages, log.firstOffset, log.nextOffset]).toEqual([0, 3, 3]);
});

test('messages from before an absence are deleted, although others arrived before the deletion', async () => {
	const memory = new MemoryLog({segmentBytes: 1e6});
	const [one, two, three, later] = batches([1, 2, 3, 50]);
	await append(await open(memory), [one!, two!, three!]);
	const {end} = memory;
	const log = await open(memory.reopen());
	await append(log, [later!]);
	log.hide(20);
	const before = one!.count + two!.count + three!.count;
	expect(await log.retain(kept)).toMatchObject({
		from: 0,
		to: before,
		deletions: [{reason: 'topic', messages: before, bytes: end}],
	});
	expect(await readAll(log)).toEqual({got: [[before, later!.firstSeq, 50]], dropped: before});
});

test('hidden messages that are not written yet are counted', async () => {
	const folder = mkdtempSync(join(tmpdir(), 'dapss-hidden-'));
	try {
		await using log = await open(await openLog({folder, segmentBytes: 250, writeDeadlineMs: 10_000}));
		const written = append(log, batches([9, 2, 30]));
		log.hide(5);
		expect(await log.retain(kept)).toMatchObject({deletions: [{reason: 'topic', messages: 2}]});
		expect(log.messages).toBe(4);
		await written;
	} finally {
		rmSync(folder, {recursive: true});
	}
});

test('a deletion during the processing of an earlier one is processed too', async () => {
	const {promise: rolling, resolve: began} = Promise.withResolvers<void>();
	const {promise: rolled, resolve: end} = Promise.withResolvers<void>();
	class SlowLog extends MemoryLog {
		override async roll(): Promise<void> {
			await super.roll();
			began();
			await rolled;
		}
	}

	const log = await open(new SlowLog({segmentBytes: 10_000}));
	const [one, two, three, four] = batches([9, 2, 7, 10]);
	await append(log, [one!, two!]);
	log.hide(5);
	const first = log.retain(kept);
	await rolling;
	await append(log, [three!, four!]);
	log.hide(8);
	end();
	expect(await first).toMatchObject({deletions: [{reason: 'topic', messages: 2}]});
	expect(await log.retain(kept)).toMatchObject({deletions: [{reason: 'topic', messages: 3}]});
	expect(log.messages).toBe(2);
});
