import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {openLog} from '../../core/io/log.ts';
import {decodeBatch, encodeBatch, type Batch, type NodeId, type Topic} from '../../core/message.ts';
import {openTopicLog, type TopicLog} from '../../core/topic-log.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-topic-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;
const open = async (onHeader: (header: {firstSeq: number}) => void = () => undefined): Promise<TopicLog> => openTopicLog(await openLog({folder, segmentBytes: 20_000, writeDeadlineMs: 5000}), onHeader);

function batch(origin: NodeId, firstSeq: number, count: number, size = 100): Batch {
	const bytes = encodeBatch({origin, incarnation: 1, topic: 't' as Topic, firstSeq, lamport: firstSeq + count, previousLamport: firstSeq - 1, sentAtMs: 0}, Array.from({length: count}, () => Buffer.alloc(size)), false);
	return decodeBatch(bytes)!;
}

const item = (one: Batch) => ({batch: one, hops: 1, repaired: true});

async function fill(log: TopicLog, batches: number): Promise<void> {
	for (let index = 0; index < batches; index++) await log.append([item(batch(a, index * 3 + 1, 3)), item(batch(b, index + 1, 1))]).written;
}

test('offsets count messages, without gaps, over restarts', async () => {
	const log = await open();
	expect(log.append([item(batch(a, 1, 3)), item(batch(b, 1, 2))]).offsets).toEqual([0, 3]);
	await log.append([item(batch(a, 4, 1))]).synced;
	await log[Symbol.asyncDispose]();
	const headers: number[] = [];
	const again = await open(({firstSeq}) => headers.push(firstSeq));
	expect(headers).toEqual([1, 1, 4]);
	expect(again.nextOffset).toBe(6);
	expect(again.append([item(batch(b, 3, 1))]).offsets).toEqual([6]);
	await again[Symbol.asyncDispose]();
});

test('reading begins with the batch that contains the offset and goes on to the end', async () => {
	const log = await open();
	await fill(log, 300);
	const {items} = await log.read(1, 100);
	expect(items[0]).toMatchObject({offset: 0, hops: 1, repaired: true});
	const offsets: number[] = [];
	for (let at = 601; at < log.nextOffset;) {
		const read = await log.read(at, 4000);
		for (const {offset} of read.items) offsets.push(offset);
		at = read.next;
	}

	expect(offsets[0]).toBe(600);
	expect(offsets.at(-1)).toBe(1199);
	for (const [index, offset] of offsets.entries()) expect(offset).toBe(600 + Math.floor(index / 2) * 4 + (index % 2) * 3);
	await log[Symbol.asyncDispose]();
});

test('serving gives what was asked for, of that stream, after that time, within the budget', async () => {
	const log = await open();
	await fill(log, 200);
	const want = {origin: a, incarnation: 1, from: 31, to: 60, sinceLamport: 0};
	expect((await log.serve([want], 1e6)).map(({firstSeq}) => firstSeq)).toEqual([31, 34, 37, 40, 43, 46, 49, 52, 55, 58]);
	expect((await log.serve([{...want, sinceLamport: 50}], 1e6)).map(({firstSeq}) => firstSeq)).toEqual([49, 52, 55, 58]);
	expect(await log.serve([want], 1)).toHaveLength(1);
	expect(await log.serve([{...want, incarnation: 2}], 1e6)).toEqual([]);
	await log[Symbol.asyncDispose]();
});

test('retention drops old segments, by bytes and by age, and says what is left of each stream', async () => {
	const log = await open();
	await fill(log, 400);
	expect(await log.retain({bytes: 1e9, ageMs: 1e9, nowMs: Date.now()})).toBeUndefined();
	const floors = await log.retain({bytes: 60_000, ageMs: 1e9, nowMs: Date.now()});
	expect(log.bytes).toBeLessThan(90_000);
	expect(log.firstOffset).toBeGreaterThan(0);
	expect(log.messages).toBe(1600 - log.firstOffset);
	const first = (await log.read(0, 100)).items[0]!;
	expect(first.offset).toBe(log.firstOffset);
	expect(floors?.get(`${a}:1:t` as never)).toBeGreaterThan(1);
	await log.retain({bytes: 1e9, ageMs: 1000, nowMs: Date.now() + 5000});
	expect(log.messages).toBe(0);
	expect(log.nextOffset).toBe(1600);
	expect(log.append([item(batch(a, 5000, 1))]).offsets).toEqual([1600]);
	await log[Symbol.asyncDispose]();
});
