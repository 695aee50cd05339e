import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import {createGossip} from '../../../core/gossip/gossip.ts';
import {openLog} from '../../../core/io/log/log.ts';
import {MemoryLog} from '../../../core/io/log/memory-log.ts';
import {lastSeq, streamKey, type Batch, type BatchHeader, type NodeId, type Topic} from '../../../core/message.ts';
import {openTopicLog, type OnHeader, type TopicLog} from '../../../core/topic-log/topic-log.ts';
import {createRandom} from '../../sim/random.ts';
import {batchOf, zeros} from '../../support/batches.ts';

const topic = 't' as Topic;
const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;
const keyOf = (origin: NodeId) => streamKey({origin, incarnation: 1, topic});

type Held = {readonly log: TopicLog; readonly memory: MemoryLog};

async function open(
	options: {
		readonly segmentBytes?: number;
		readonly memory?: MemoryLog;
		readonly nowMs?: () => number;
		readonly onHeader?: OnHeader;
	} = {},
): Promise<Held> {
	const memory = options.memory?.reopen() ?? new MemoryLog({segmentBytes: options.segmentBytes ?? 20_000});
	return {memory, log: await openTopicLog(memory, options.onHeader ?? (() => undefined), undefined, options.nowMs)};
}

const batch = (origin: NodeId, firstSeq: number, count: number, size = 100): Batch =>
	batchOf({origin, topic, firstSeq, lamport: firstSeq + count, previousLamport: firstSeq - 1}, zeros(count, size));

const item = (one: Batch) => ({batch: one, hops: 1, repaired: true});

/** Batches of three messages of `a` and of one message of `b`, alternating. */
async function fill(log: TopicLog, batches: number, from = 0): Promise<void> {
	let last: Promise<void> = Promise.resolve();
	for (let index = from; index < from + batches; index++)
		last = log.append([item(batch(a, index * 3 + 1, 3)), item(batch(b, index + 1, 1))]).written;
	await last;
}

async function offsetsFrom(log: TopicLog, from: number, bytesMax: number): Promise<number[]> {
	const offsets: number[] = [];
	for (let at = from; at < log.nextOffset;) {
		const {items, next} = await log.read(at, bytesMax);
		for (const {offset} of items) offsets.push(offset);
		if (next <= at) throw new Error(`Expected to get on from ${at}, got ${next}`);
		at = next;
	}

	return offsets;
}

test('offsets count messages, without gaps, over restarts', async () => {
	const {log, memory} = await open();
	expect(log.append([item(batch(a, 1, 3)), item(batch(b, 1, 2))]).offsets).toEqual([0, 3]);
	await log.append([item(batch(a, 4, 1))]).synced;
	const headers: Array<readonly [number, number]> = [];
	const {log: again} = await open({memory, onHeader: ({firstSeq}, offset) => headers.push([firstSeq, offset])});
	expect(headers).toEqual([
		[1, 0],
		[1, 3],
		[4, 5],
	]);
	expect([again.firstOffset, again.nextOffset, again.messages]).toEqual([0, 6, 6]);
	expect(again.append([item(batch(b, 3, 1))]).offsets).toEqual([6]);
	expect(again.append([]).offsets).toEqual([]);
});

test('a batch is read unchanged, with its hops', async () => {
	const {log} = await open();
	const one = batch(a, 7, 2);
	await log.append([
		{batch: one, hops: 300, repaired: false},
		{batch: batch(b, 1, 1), hops: 2, repaired: true},
	]).written;
	const {items} = await log.read(0, 1e6);
	expect(items).toEqual([
		{offset: 0, batch: one, hops: 255, repaired: false},
		{offset: 2, batch: batch(b, 1, 1), hops: 2, repaired: true},
	]);
});

describe('reading', () => {
	test('begins with the batch that contains the offset, and continues to the end', async () => {
		const {log} = await open();
		await fill(log, 300);
		expect((await log.read(1, 100)).items[0]).toMatchObject({offset: 0, hops: 1, repaired: true});
		for (const bytesMax of [1, 4000, 1e6]) {
			const offsets = await offsetsFrom(log, 601, bytesMax);
			expect(offsets).toEqual(
				Array.from({length: 300}, (_, index) => 600 + Math.floor(index / 2) * 4 + (index % 2) * 3),
			);
		}

		expect(await log.read(1200, 100)).toEqual({items: [], next: 1200});
	});

	test('is sequential: each byte of the log is read once, with any number of readers', async () => {
		const {log, memory} = await open({segmentBytes: 1e6});
		await fill(log, 1000);
		let bytes = 0;
		const {read} = memory;
		memory.read = async (from, bytesMax) => {
			const result = await read.call(memory, from, bytesMax);
			bytes += result.next - from;
			return result;
		};

		// Each reader has found its position.
		const readers = await Promise.all([0, 400, 800].map(async offset => (await log.read(offset, 1)).next));
		bytes = 0;
		while (readers.some(at => at < log.nextOffset)) {
			for (const [index, at] of readers.entries())
				if (at < log.nextOffset) readers[index] = (await log.read(at, 5000)).next;
		}

		const messageBytes = memory.end / log.nextOffset;
		expect(bytes).toBeLessThan(messageBytes * (4000 + 3600 + 3200));
	});

	test('at a random offset scans at most one step of the index', async () => {
		const {log, memory} = await open({segmentBytes: 1e7});
		await fill(log, 4000);
		expect(memory.end).toBeGreaterThan(2e6);
		let bytes = 0;
		const {read} = memory;
		memory.read = async (from, bytesMax) => {
			const result = await read.call(memory, from, bytesMax);
			bytes += result.next - from;
			return result;
		};

		for (const offset of [15_900, 3, 8001, 12_345]) {
			bytes = 0;
			const {
				items: [first],
			} = await log.read(offset, 4000);
			expect(first!.offset + first!.batch.count).toBeGreaterThan(offset);
			expect(first!.offset).toBeLessThanOrEqual(offset);
			expect(bytes).toBeLessThan(256 * 1024 + 10_000);
		}
	});
});

describe('serving', () => {
	const want = {origin: a, incarnation: 1, from: 31, to: 60, sinceLamport: 0};

	test('returns the requested batches of that stream, after that time, within the budget', async () => {
		const {log} = await open();
		expect(await log.serve([want], 1e6)).toEqual({batches: [], passed: new Map()});
		await fill(log, 200);
		expect((await log.serve([want], 1e6)).batches.map(({firstSeq}) => firstSeq)).toEqual([
			31, 34, 37, 40, 43, 46, 49, 52, 55, 58,
		]);
		expect((await log.serve([{...want, sinceLamport: 50}], 1e6)).batches.map(({firstSeq}) => firstSeq)).toEqual([
			49, 52, 55, 58,
		]);
		expect((await log.serve([want], 1)).batches).toHaveLength(1);
		const size = batch(a, 1, 3).bytes.length;
		expect((await log.serve([want], size * 3)).batches).toHaveLength(3);
		expect((await log.serve([{...want, incarnation: 2}], 1e6)).batches).toEqual([]);
		expect((await log.serve([{...want, from: 1000, to: 2000}], 1e6)).batches).toEqual([]);
	});

	test('reports up to where all batches are stamped too early to be wanted', async () => {
		const {log} = await open();
		await fill(log, 200);
		const stream = streamKey(batch(a, 1, 1));
		const passed = async (from: number, sinceLamport: number): Promise<number | undefined> =>
			(await log.serve([{...want, from, sinceLamport}], 1e6)).passed.get(stream);
		expect(await passed(31, 0)).toBe(0);
		expect(await passed(31, 50)).toBe(49);
		expect(await passed(31, 1_000_000)).toBeGreaterThan(60);
	});

	test('finds exactly the batches that a full search finds', async () => {
		const random = createRandom('serve');
		const {log} = await open({segmentBytes: 300_000});
		const origins = [a, b, 'cccccccccccccccc' as NodeId];
		const next = new Map(origins.map(origin => [origin, 1]));
		const all: Batch[] = [];
		for (let index = 0; index < 600; index++) {
			const origin = random.chance(1, 40) ? origins[2]! : origins[random.below(2)]!;
			const one = batch(origin, next.get(origin)!, random.between(1, 5), random.between(0, 1500));
			next.set(origin, lastSeq(one) + 1);
			all.push(one);
		}

		await log.append(all.map(one => item(one))).written;
		const range = fc.tuple(fc.constantFrom(...origins), fc.nat(1200), fc.nat(300), fc.nat(900));
		await fc.assert(
			fc.asyncProperty(fc.array(range, {minLength: 1, maxLength: 4}), async ranges => {
				const wants = ranges.map(([origin, from, length, sinceLamport]) => ({
					origin,
					incarnation: 1,
					from,
					to: from + length,
					sinceLamport,
				}));
				const expected = all.filter(one =>
					wants.some(
						({origin, from, to, sinceLamport}) =>
							one.origin === origin &&
							one.firstSeq <= to &&
							lastSeq(one) >= from &&
							one.lamport > sinceLamport,
					),
				);
				expect((await log.serve(wants, 1e9)).batches.map(({origin, firstSeq}) => [origin, firstSeq])).toEqual(
					expected.map(({origin, firstSeq}) => [origin, firstSeq]),
				);
			}),
			{numRuns: 60, seed: 1},
		);
	});
});

describe('retention', () => {
	test('by bytes keeps the newest messages, and reports the rest of each stream', async () => {
		const {log} = await open();
		await fill(log, 400);
		expect(await log.retain({bytes: 1e9, ageMs: 1e9, nowMs: 0})).toBeUndefined();
		const {floors} = (await log.retain({bytes: 60_000, ageMs: 1e9, nowMs: 0}))!;
		expect(log.bytes).toBeGreaterThanOrEqual(60_000);
		expect(log.bytes).toBeLessThan(60_000 + 20_000);
		expect(log.firstOffset).toBeGreaterThan(0);
		expect(log.messages).toBe(1600 - log.firstOffset);
		const {items} = await log.read(0, 1e6);
		expect(items[0]!.offset).toBe(log.firstOffset);
		for (const origin of [a, b]) {
			const lowest = items.find(one => one.batch.origin === origin)!.batch.firstSeq;
			expect(floors.get(keyOf(origin))).toBe(lowest);
			expect(log.lowest(keyOf(origin))).toBe(lowest);
		}
	});

	test('by age deletes all messages of a quiet topic; offsets continue, also over restarts', async () => {
		let nowMs = 1000;
		const {log, memory} = await open({nowMs: () => nowMs});
		await fill(log, 100);
		nowMs += 5000;
		expect((await log.retain({bytes: 1e9, ageMs: 1000, nowMs}))!.floors.size).toBe(0);
		expect([log.messages, log.firstOffset, log.nextOffset]).toEqual([0, 400, 400]);
		const bytes = log.bytes;
		nowMs += 5000;
		expect(await log.retain({bytes: 1e9, ageMs: 1000, nowMs})).toBeUndefined(); // A mark has no age.
		expect(log.bytes).toBe(bytes);
		const {log: again} = await open({memory});
		expect([again.messages, again.firstOffset, again.nextOffset]).toEqual([0, 400, 400]);
		expect(await again.read(0, 100)).toEqual({items: [], next: 400});
		expect(again.append([item(batch(a, 301, 1))]).offsets).toEqual([400]);
	});

	test('remembers streams that it deleted completely: a restart does not pull them again', async () => {
		let nowMs = 1000;
		const {log, memory} = await open({nowMs: () => nowMs});
		await fill(log, 100);
		for (let round = 0; round < 5; round++) {
			// Marks in deleted segments are carried over.
			await log.append([item(batch(b, 101 + round, 1))]).written;
			nowMs += 5000;
			await log.retain({bytes: 1, ageMs: 1000, nowMs});
		}

		const headers: BatchHeader[] = [];
		const gossip = createGossip({
			self: b,
			incarnation: 9,
			random: createRandom(1),
			config: defaults.gossip,
			tickMs: 25,
		});
		const {log: again} = await open({
			memory,
			onHeader: header => {
				headers.push(header);
				gossip.recover(header);
			},
		});
		expect(headers.filter(({origin}) => origin === a)).toMatchObject([{firstSeq: 301, count: 0, lamport: 301}]);
		expect(again.nextOffset).toBe(405);
		gossip.setSubscriptions(new Map([[topic, {subscribers: [a, b], since: 0}]]));
		gossip.setReachable([a]);
		const push = (one: Batch): number => {
			gossip.step(a, {type: 'push', batch: one, hops: 1, complete: true, repair: false});
			let released = 0;
			for (let ready = gossip.ready(); ready; ready = gossip.ready()) released += ready.released.length;
			return released;
		};

		expect(push(batch(a, 298, 3))).toBe(0);
		expect(push(batch(a, 301, 3))).toBe(1);
	});

	test('runs concurrently with appends and reads', async () => {
		const {log} = await open({segmentBytes: 3000});
		let at = 0;
		for (let round = 0; round < 40; round++) {
			const filling = fill(log, 10, round * 10);
			const [{items, next}] = await Promise.all([
				log.read(at, 2000),
				log.retain({bytes: 10_000, ageMs: 1e9, nowMs: 0}),
				filling,
			]);
			for (const [index, one] of items.slice(1).entries())
				expect(one.offset).toBe(items[index]!.offset + items[index]!.batch.count);
			at = Math.max(next, at);
		}

		expect(log.nextOffset).toBe(1600);
		expect(await offsetsFrom(log, 0, 1e6).then(offsets => offsets[0])).toBe(log.firstOffset);
	});
});

test('records that the disk lost leave a gap in the offsets, and no other change', async () => {
	const folder = mkdtempSync(join(tmpdir(), 'dapss-topic-'));
	try {
		const openHere = () => openLog({folder, segmentBytes: 5000, writeDeadlineMs: 5000});
		const log = await openTopicLog(await openHere(), () => undefined);
		await fill(log, 50);
		await log[Symbol.asyncDispose]();
		const {readdirSync, readFileSync, writeFileSync} = await import('node:fs');
		const path = join(folder, readdirSync(folder).toSorted()[1]!);
		const bytes = readFileSync(path);
		bytes.fill(0, 1000, 2000);
		writeFileSync(path, bytes);
		const disk = await openHere();
		expect(disk.damaged).toHaveLength(1);
		const again = await openTopicLog(disk, () => undefined);
		expect(again.nextOffset).toBe(200);
		expect(again.messages).toBeLessThan(200);
		const offsets = await offsetsFrom(again, 0, 3000);
		expect(offsets.length).toBeGreaterThan(80);
		expect(offsets).toEqual(offsets.toSorted((x, y) => x - y));
		expect(again.append([item(batch(a, 500, 1))]).offsets).toEqual([200]);
		await again[Symbol.asyncDispose]();
	} finally {
		rmSync(folder, {recursive: true, force: true});
	}
});

test('a failed log rejects every call with the error of the disk', async () => {
	const {log, memory} = await open();
	await fill(log, 3);
	memory.fail(new Error('EIO'));
	expect(await log.failed).toMatchObject({code: 'storage'});
	await expect(log.append([item(batch(a, 100, 1))]).written).rejects.toMatchObject({code: 'storage'});
	await expect(log.read(0, 100)).rejects.toMatchObject({code: 'storage'});
	expect(log.nextOffset).toBe(12);
});

test('refuses a record that it cannot read', async () => {
	const memory = new MemoryLog({segmentBytes: 1000});
	await memory.append([Buffer.from('something of another version')]).written;
	await expect(openTopicLog(memory, () => undefined)).rejects.toMatchObject({code: 'storage'});
});
