import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {MemoryLog} from '../../../core/io/log/memory-log.ts';
import {lastSeq, streamKey, type Batch, type NodeId, type StreamKey, type Topic} from '../../../core/message.ts';
import {openTopicLog, type TopicLog} from '../../../core/topic-log/topic-log.ts';
import {createRandom, type SeededRandom} from '../../sim/random.ts';
import {batchOf, zeros} from '../../support/batches.ts';

const topic = 't' as Topic;
const origins: readonly NodeId[] = [
	'aaaaaaaaaaaaaaaa' as NodeId,
	'bbbbbbbbbbbbbbbb' as NodeId,
	'cccccccccccccccc' as NodeId,
];
const [a, b] = origins as [NodeId, NodeId];

const batch = (origin: NodeId, firstSeq: number, count: number, lamport = firstSeq * 10): Batch =>
	batchOf({origin, topic, firstSeq, lamport}, zeros(count, 40));

/** The same log on a disk that lost the records at these indexes; their positions are empty. */
function damaged(memory: MemoryLog, isLost: (index: number) => boolean): MemoryLog {
	const log = memory.reopen();
	const {read} = log;
	let places: Map<number, number> | undefined;
	log.read = async (from, bytesMax) => {
		places ??= new Map(
			(await read.call(log, log.first, 1e9)).records.map(({position}, index) => [position, index]),
		);
		for (let at = from; ;) {
			const {records, next} = await read.call(log, at, bytesMax);
			const kept = records.filter(({position}) => !(places!.has(position) && isLost(places!.get(position)!)));
			if (kept.length > 0 || next <= at) return {records: kept, next};
			at = next;
		}
	};

	return log;
}

type Row = readonly [offset: number, origin: NodeId, firstSeq: number, count: number];

async function rows(log: TopicLog, bytesMax = 1000): Promise<Row[]> {
	const all: Row[] = [];
	for (let at = log.firstOffset; at < log.nextOffset;) {
		const {items, next} = await log.read(at, bytesMax);
		for (const {
			offset,
			batch: {origin, firstSeq, count},
		} of items)
			all.push([offset, origin, firstSeq, count]);
		if (next <= at) throw new Error(`Expected to get on from ${at}, got ${next}`);
		at = next;
	}

	return all;
}

const open = (log: MemoryLog): Promise<TopicLog> => openTopicLog(log, () => undefined);
const gapsOf = (log: TopicLog): unknown[] =>
	log.holes.map(({from, to, gaps}) => [
		from,
		to,
		[...gaps.values()]
			.map(gap => [gap.origin.slice(0, 1), gap.from, gap.to])
			.toSorted(([x], [y]) => (x! < y! ? -1 : 1)),
	]);

async function filled(segmentBytes = 4000): Promise<{readonly memory: MemoryLog; readonly all: readonly Batch[]}> {
	const memory = new MemoryLog({segmentBytes});
	const log = await open(memory);
	const all = Array.from({length: 60}, (_, index) =>
		batch(
			index % 3 === 2 ? b : a,
			index % 3 === 2 ? (index - 2) / 3 + 1 : index - Math.floor(index / 3) + 1,
			1,
			index + 1,
		),
	);
	await log.append(all.map(one => ({batch: one, hops: 1, repaired: false}))).synced;
	return {memory, all};
}

describe('holes', () => {
	test('behave as in the example at the top of topic-holes.ts', async () => {
		const [a1, b1, a2, b2, a3, a4] = [
			batch(a, 1, 1, 1),
			batch(b, 1, 1, 2),
			batch(a, 2, 1, 3),
			batch(b, 2, 1, 4),
			batch(a, 3, 1, 5),
			batch(a, 4, 1, 6),
		];
		const openDamaged = async (): Promise<{readonly log: TopicLog; readonly reopen: () => Promise<TopicLog>}> => {
			const memory = new MemoryLog({segmentBytes: 4000});
			const log = await open(memory);
			await log.append([a1, b1, a2, b2, a3, a4].map(one => ({batch: one, hops: 1, repaired: false}))).synced;
			const disk = damaged(memory, index => index >= 2 && index < 5);
			return {log: await open(disk), reopen: () => open(damaged(disk, index => index >= 2 && index < 5))};
		};

		const gaps = [
			['a', 2, 3],
			['b', 2, 2],
		];
		const all = await openDamaged();
		expect(gapsOf(all.log)).toEqual([[2, 5, gaps]]);
		expect(
			(await all.log.backfill([a3, b2, a2])).map(({batch: {origin, firstSeq}, offset}) => [
				offset,
				origin[0],
				firstSeq,
			]),
		).toEqual([
			[2, 'a', 2],
			[3, 'b', 2],
			[4, 'a', 3],
		]);
		expect((await all.reopen()).holes).toEqual([]);
		const one = await openDamaged();
		expect(await one.log.backfill([b2])).toMatchObject([{offset: 2}]);
		expect(one.log.holes).toMatchObject([{from: 3, to: 5}]);
		const first = await openDamaged();
		await first.log.backfill([a2]);
		expect(gapsOf(await first.reopen())).toEqual([
			[
				3,
				5,
				[
					['a', 3, 3],
					['b', 2, 2],
				],
			],
		]);
	});

	test('are the missing offsets, with the numbers that each stream may have lost there', async () => {
		const {memory} = await filled();
		expect((await open(memory.reopen())).holes).toEqual([]);
		// The offsets 0, 1, 3, 4, … are of `a`, with increasing numbers; 2, 5, … are of `b`.
		expect(gapsOf(await open(damaged(memory, index => index >= 9 && index < 14)))).toEqual([
			[
				9,
				14,
				[
					['a', 7, 10],
					['b', 4, 4],
				],
			],
		]);
		expect(gapsOf(await open(damaged(memory, index => index < 3)))).toEqual([
			[
				0,
				3,
				[
					['a', 1, 2],
					['b', 1, 1],
				],
			],
		]);
		// A stream without a batch between two holes: its gap may be in either.
		expect(
			gapsOf(await open(damaged(memory, index => (index >= 3 && index < 6) || (index >= 8 && index < 11)))),
		).toEqual([
			[
				3,
				6,
				[
					['a', 3, 4],
					['b', 2, 3],
				],
			],
			[
				8,
				11,
				[
					['a', 7, 8],
					['b', 2, 3],
				],
			],
		]);
	});

	test('in an emptied segment keep backfilled messages as long as others, also after a restart', async () => {
		let nowMs = 1000;
		const at = (log: MemoryLog): Promise<TopicLog> =>
			openTopicLog(
				log,
				() => undefined,
				a,
				() => nowMs,
			);
		const memory = new MemoryLog({segmentBytes: 400});
		const log = await at(memory);
		const all = Array.from({length: 12}, (_, index) => batch(a, index + 1, 1, index + 1));
		await log.append(all.map(one => ({batch: one, hops: 0, repaired: false}))).synced;
		const {end} = memory.segments()[0]!;
		const lost = (await memory.read(0, 1e9)).records.filter(({position}) => position < end).length;
		const isLost = (index: number): boolean => index < lost;
		const broken = damaged(memory, isLost);
		const one = await at(broken);
		await one.backfill(all.slice(0, lost));
		nowMs += 1000;
		const again = await at(damaged(broken, isLost));
		expect(await again.retain({bytes: 1e9, ageMs: 10_000, nowMs})).toBeUndefined();
		expect(again.messages).toBe(12);
		// It is counted when it is deleted.
		expect(await again.retain({bytes: 500, ageMs: 1e9, nowMs})).toMatchObject({
			from: 0,
			deletions: [{reason: 'size', messages: 12 - again.messages}],
		});
	});

	test('may have held all messages of their own node, and other messages from the subscription on', async () => {
		const memory = new MemoryLog({segmentBytes: 4000});
		const log = await open(memory);
		// The node subscribed when `b` published its third message.
		const all = [batch(a, 1, 1, 1), batch(b, 3, 1, 2), batch(a, 2, 1, 3), batch(b, 4, 1, 4), batch(a, 3, 1, 5)];
		await log.append(all.map(one => ({batch: one, hops: 0, repaired: false}))).synced;
		const broken = damaged(memory, index => index < 3);
		const own = await openTopicLog(broken, () => undefined, a);
		expect(
			own.holes.map(({from, to, gaps}) => [
				from,
				to,
				[...gaps.values()].map(({origin, from: first, to: last, isFirst}) => [origin, first, last, isFirst]),
			]),
		).toEqual([
			[
				0,
				3,
				[
					[b, 1, 3, true],
					[a, 1, 2, false],
				],
			],
		]);
		await own.backfill([batch(b, 2, 1, 1), all[1]!, all[0]!, all[2]!]);
		expect((await rows(own)).map(([offset, origin, seq]) => [offset, origin, seq])).toEqual([
			[0, a, 1],
			[1, b, 3],
			[2, a, 2],
			[3, b, 4],
			[4, a, 3],
		]);
	});

	test('may have held the end of a stream, if other streams do not account for all lost messages', async () => {
		const memory = new MemoryLog({segmentBytes: 4000});
		const log = await open(memory);
		const all = [
			batch(a, 1, 1, 1),
			batch(b, 1, 1, 2),
			batch(a, 2, 1, 3),
			batch(b, 2, 2, 4),
			batch(a, 3, 1, 5),
			batch(b, 4, 1, 6),
			batch(a, 4, 1, 7),
		];
		await log.append(all.map(one => ({batch: one, hops: 0, repaired: false}))).synced;
		const isLost = (index: number): boolean => index === 3 || index === 5;
		const broken = damaged(memory, isLost);
		expect(gapsOf(await open(damaged(memory, index => index === 2)))).toEqual([[2, 3, [['a', 2, 2]]]]);
		const one = await open(broken);
		expect(gapsOf(one)).toEqual([
			[3, 5, [['b', 2, 3]]],
			[6, 7, [['b', 2, 2]]],
		]);
		await one.backfill([all[3]!]);
		// The batch in the first hole follows the batches that may be in the other hole.
		const again = await open(damaged(broken, isLost));
		expect(gapsOf(again)).toEqual([[6, 7, [['b', 4, 4]]]]);
		await again.backfill([all[5]!]);
		expect((await rows(again)).map(([offset, origin, seq]) => [offset, origin.slice(0, 1), seq])).toEqual([
			[0, 'a', 1],
			[1, 'b', 1],
			[2, 'a', 2],
			[3, 'b', 2],
			[5, 'a', 3],
			[6, 'b', 4],
			[7, 'a', 4],
		]);
	});

	test('do not exist at the end of the log: later messages of a stream are pulled by repair', async () => {
		const {memory} = await filled();
		const log = await open(damaged(memory, index => index >= 50));
		expect([log.holes, log.nextOffset, log.missing]).toEqual([[], 50, 0]);
	});

	test('are backfilled at their offsets, for readers and for peers, also after a restart', async () => {
		const {memory, all} = await filled();
		const isLost = (index: number): boolean => index >= 9 && index < 14;
		const broken = damaged(memory, isLost);
		const log = await open(broken);
		expect([log.missing, log.messages]).toEqual([5, 55]);
		const lost = all.filter((_, index) => isLost(index));
		expect(await log.backfill(lost.toReversed())).toEqual(
			lost.map((one, index) => ({batch: one, offset: 9 + index})),
		);
		for (const one of [log, await open(damaged(broken, isLost))]) {
			expect([one.missing, one.messages, one.nextOffset, one.holes]).toEqual([0, 60, 60, []]);
			for (const bytesMax of [1, 300, 1e6])
				expect(await rows(one, bytesMax)).toEqual(all.map((of, index) => [index, of.origin, of.firstSeq, 1]));
			expect((await one.read(12, 1)).items[0]).toMatchObject({offset: 12, repaired: true});
			const {batches} = await one.serve([{origin: a, incarnation: 1, from: 7, to: 12, sinceLamport: 0}], 1e6);
			expect(batches.map(({firstSeq}) => firstSeq).toSorted((x, y) => x - y)).toEqual([7, 8, 9, 10, 11, 12]);
		}
	});

	test('that peers fill only in part keep the rest empty, and each stream in order', async () => {
		const {memory, all} = await filled();
		const isLost = (index: number): boolean => index >= 9 && index < 14;
		const broken = damaged(memory, isLost);
		const log = await open(broken);
		await log.backfill([all[10]!, all[13]!]);
		expect(log.missing).toBe(3);
		const again = await open(damaged(broken, isLost));
		// A batch that precedes a backfilled batch is not placed after it.
		expect(gapsOf(again)).toEqual([[11, 14, [['b', 4, 4]]]]);
		expect((await rows(again)).filter(([offset]) => offset > 7 && offset < 16)).toEqual([
			[8, b, 3, 1],
			[9, a, 8, 1],
			[10, a, 10, 1],
			[14, b, 5, 1],
			[15, a, 11, 1],
		]);
	});

	test('count in the reported floors of a stream, also after retention', async () => {
		const {memory, all} = await filled(1000);
		const log = await open(damaged(memory, index => index < 2 || (index >= 48 && index < 50)));
		expect(log.lowest(streamKey(all[0]!))).toBe(3);
		await log.backfill([...all.slice(0, 2), ...all.slice(48, 50)]);
		expect(log.lowest(streamKey(all[0]!))).toBe(1);
		const {floors} = (await log.retain({bytes: 1100, ageMs: 1e12, nowMs: 0}))!;
		for (const [stream, floor] of floors) {
			expect(log.lowest(stream)).toBe(floor);
			expect((await rows(log)).find(([, origin]) => stream.startsWith(origin))![2]).toBe(floor);
		}
	});

	test('are deleted with the messages around them', async () => {
		const {memory, all} = await filled(1000);
		const broken = damaged(memory, index => index === 1 || index === 20);
		const log = await open(broken);
		await log.backfill([all[1]!]);
		expect(log.missing).toBe(1);
		await log.retain({bytes: 2000, ageMs: 1e12, nowMs: 0});
		expect(log.firstOffset).toBeGreaterThan(21);
		expect([log.missing, log.messages]).toEqual([0, 60 - log.firstOffset]);
		const again = await open(damaged(broken, () => false));
		expect([again.firstOffset, again.missing, again.messages]).toEqual([log.firstOffset, 0, log.messages]);
		expect(await rows(again)).toEqual(await rows(log));
	});
});

/** Streams of three origins in any order. */
function mixture(random: SeededRandom, count: number): Batch[] {
	const next = new Map<NodeId, number>();
	return Array.from({length: count}, (_, index) => {
		const origin = random.pick(origins);
		const one = batch(origin, next.get(origin) ?? 1, random.between(1, 3), index + 1);
		next.set(origin, lastSeq(one) + 1);
		return one;
	});
}

test('for any loss, each returned batch exists once, in stream order, and others keep their offsets', async () => {
	await fc.assert(
		fc.asyncProperty(fc.integer(), fc.integer({min: 1, max: 12}), fc.boolean(), async (seed, runs, isAll) => {
			const random = createRandom(`holes/${seed}`);
			const all = mixture(random, 80);
			const memory = new MemoryLog({segmentBytes: 1500});
			const log = await open(memory);
			const {offsets, synced} = log.append(all.map(one => ({batch: one, hops: 0, repaired: false})));
			await synced;
			const lost = new Set<number>();
			for (let run = 0; run < runs; run++)
				for (
					let index = random.below(80), end = index + random.between(1, 6);
					index < Math.min(end, 79);
					index++
				)
					lost.add(index);
			lost.delete(79); // A lost end of the log is no hole.
			const broken = damaged(memory, index => lost.has(index));
			const damagedLog = await open(broken);
			const isIn = (one: Batch): boolean =>
				damagedLog.holes.some(({gaps}) => {
					const gap = gaps.get(streamKey(one));
					return gap !== undefined && gap.from <= one.firstSeq && lastSeq(one) <= gap.to;
				});
			// Peers have more than was lost here, and sometimes less.
			const given = all.filter(one => isIn(one) && (isAll || random.chance(3, 4)));
			const put = await damagedLog.backfill(given);
			for (const reader of [damagedLog, await open(damaged(broken, index => lost.has(index)))]) {
				const got = await rows(reader, random.pick([1, 500, 1e6]));
				const isKept = (row: Row): boolean =>
					all.some(
						(one, index) =>
							!lost.has(index) &&
							row[0] === offsets[index] &&
							row[1] === one.origin &&
							row[2] === one.firstSeq,
					);
				expect(got.filter(row => isKept(row))).toHaveLength(80 - lost.size);
				expect(got).toHaveLength(80 - lost.size + put.length);
				const ends = new Map<StreamKey | NodeId, number>();
				let end = 0;
				for (const [offset, origin, firstSeq, count] of got) {
					expect(offset).toBeGreaterThanOrEqual(end);
					expect(firstSeq).toBeGreaterThan(ends.get(origin) ?? 0);
					end = offset + count;
					ends.set(origin, firstSeq + count - 1);
				}

				expect(reader.missing).toBe(
					all.reduce((sum, {count}) => sum + count, 0) - got.reduce((sum, [, , , count]) => sum + count, 0),
				);
			}
		}),
		{numRuns: 150},
	);
});

test('a hole after which every stream continues is backfilled completely', async () => {
	await fc.assert(
		fc.asyncProperty(fc.integer(), async seed => {
			const random = createRandom(`whole/${seed}`);
			const all = [...mixture(random, 60)];
			for (const origin of origins)
				all.push(
					batch(
						origin,
						all.filter(one => one.origin === origin).reduce((sum, {count}) => sum + count, 1),
						1,
						all.length + 1,
					),
				);
			const memory = new MemoryLog({segmentBytes: 1500});
			await (await open(memory)).append(all.map(one => ({batch: one, hops: 0, repaired: false}))).synced;
			const from = random.below(55);
			const isLost = (index: number): boolean => index >= from && index < from + 5;
			const log = await open(damaged(memory, isLost));
			await log.backfill(all.filter((_, index) => isLost(index)));
			expect([log.missing, log.holes]).toEqual([0, []]);
			expect((await rows(log)).map(([, origin, firstSeq]) => [origin, firstSeq])).toEqual(
				all.map(({origin, firstSeq}) => [origin, firstSeq]),
			);
		}),
		{numRuns: 100},
	);
});
