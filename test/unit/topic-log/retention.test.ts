import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {MemoryLog} from '../../../core/io/log/memory-log.ts';
import type {Topic} from '../../../core/message.ts';
import {deletedText} from '../../../core/observe/deleted-text.ts';
import {
	keptTimeToJson,
	parseKeptTime,
	resumedTime,
	RetentionClock,
	sharesOfBudget,
	type KeptTime,
} from '../../../core/topic-log/retention.ts';
import {openTopicLog, type TopicLog} from '../../../core/topic-log/topic-log.ts';
import {batchOf, zeros} from '../../support/batches.ts';

const topic = 'news' as Topic;
const dayMs = 86_400_000;
const year2099 = Date.UTC(2099, 0, 1);
const start = Date.UTC(2026, 0, 1);
const age = {bytes: 1e12, ageMs: 7 * dayMs};

const item = (seq: number, sentAtMs: number, repaired = false) => ({
	batch: batchOf({topic, firstSeq: seq, sentAtMs}, zeros(1, 100)),
	hops: 1,
	repaired,
});

/** A log in segments of one message each. */
function create() {
	const time = {nowMs: start};
	let memory = new MemoryLog({segmentBytes: 100});
	const open = (): Promise<TopicLog> =>
		openTopicLog(
			memory,
			() => undefined,
			undefined,
			() => time.nowMs,
		);
	return {
		time,
		open,
		reopen() {
			memory = memory.reopen();
			return open();
		},
	};
}

describe('the age of a message', () => {
	test('the age of messages with a clock of 2099 counts from their arrival', async () => {
		const {time, open, reopen} = create();
		const log = await open();
		for (const seq of [1, 2, 3]) await log.append([item(seq, year2099)]).written;
		const again = await reopen();
		time.nowMs = start + 8 * dayMs;
		expect(await again.retain({...age, nowMs: time.nowMs})).toMatchObject({
			deletions: [{reason: 'age', messages: 3}],
			from: 0,
			to: 3,
		});
	});

	test('a record dated 2099 counts from the start that found it', async () => {
		const {time, open, reopen} = create();
		time.nowMs = year2099;
		await (await open()).append([item(1, start)]).written;
		time.nowMs = start;
		const log = await reopen();
		expect(await log.retain({...age, nowMs: start + 6 * dayMs})).toBeUndefined();
		expect(await log.retain({...age, nowMs: start + 8 * dayMs})).toMatchObject({
			deletions: [{reason: 'age', messages: 1}],
		});
	});

	test('messages with a clock of 1970 are not deleted early, also after a restart', async () => {
		const {time, open, reopen} = create();
		const log = await open();
		await log.append([item(1, 1000)]).written;
		expect(await log.retain({...age, nowMs: start + 6 * dayMs})).toBeUndefined();
		time.nowMs = start + 3 * dayMs;
		expect(await (await reopen()).retain({...age, nowMs: start + 6 * dayMs})).toBeUndefined();
	});

	test('the age of repaired messages counts from their arrival, for any publisher clock', async () => {
		const {open} = create();
		const log = await open();
		await log.append([item(1, start - 6 * dayMs, true)]).written;
		await log.append([item(2, year2099, true)]).written;
		expect(await log.retain({...age, nowMs: start + 2 * dayMs})).toBeUndefined();
		expect(await log.retain({...age, nowMs: start + 8 * dayMs})).toMatchObject({to: 2});
	});

	test('continues over a restart', async () => {
		const {time, open, reopen} = create();
		const log = await open();
		await log.append([item(1, start)]).written;
		time.nowMs = start + 3 * dayMs;
		await log.append([item(2, start)]).written;
		time.nowMs = start + 5 * dayMs;
		const again = await reopen();
		expect(await again.retain({...age, nowMs: start + 7 * dayMs})).toBeUndefined();
		expect(await again.retain({...age, nowMs: start + 8 * dayMs})).toMatchObject({from: 0, to: 1});
		expect(await again.retain({...age, nowMs: start + 11 * dayMs})).toMatchObject({from: 1, to: 2});
	});

	test('of a record without a date counts from the start that found it', async () => {
		const memory = new MemoryLog({segmentBytes: 100});
		const {batch} = item(1, 1000);
		const undated = Buffer.concat([Buffer.alloc(8), batch.bytes]);
		await memory.append([undated]).written;
		const log = await openTopicLog(
			memory,
			() => undefined,
			undefined,
			() => start,
		);
		expect(log.messages).toBe(1);
		expect(await log.retain({...age, nowMs: start + 6 * dayMs})).toBeUndefined();
		expect(await log.retain({...age, nowMs: start + 8 * dayMs})).toMatchObject({to: 1});
	});

	test('does not depend on a segment without messages', async () => {
		const {time, open, reopen} = create();
		const log = await open();
		await log.append([item(1, start)]).written;
		time.nowMs = start + 8 * dayMs;
		expect(await log.retain({...age, nowMs: time.nowMs})).toMatchObject({to: 1}); // It leaves a mark.
		const again = await reopen();
		await again.append([item(2, start)]).written;
		time.nowMs += 4 * dayMs;
		const last = await reopen();
		expect(await last.retain({...age, nowMs: time.nowMs + 4 * dayMs})).toMatchObject({from: 1, to: 2});
	});
});

describe('the retention clock', () => {
	const kept: KeptTime = {nowMs: start, uptimeMs: 100 * dayMs, aheadMs: 0};

	test('does not count 9 days by which the wall clock advanced before a start', () => {
		// The machine has run for an hour since.
		expect(resumedTime(kept, {wallMs: start + 9 * dayMs, uptimeMs: kept.uptimeMs + 3_600_000}, 7 * dayMs)).toEqual({
			nowMs: start + 3_600_000,
			aheadMs: 9 * dayMs - 3_600_000,
			skippedMs: 9 * dayMs - 3_600_000,
		});
		// The machine has been restarted since, and has run for an hour.
		expect(resumedTime(kept, {wallMs: start + 9 * dayMs, uptimeMs: 3_600_000}, 7 * dayMs)).toMatchObject({
			nowMs: start + 3_600_000,
			skippedMs: 9 * dayMs - 3_600_000,
		});
	});

	test('agrees with a wall clock that agrees with the uptime, and ignores one that is behind', () => {
		for (const wallMs of [start + 9 * dayMs + 30_000, start + 9 * dayMs, start, start - 9 * dayMs]) {
			expect(resumedTime(kept, {wallMs, uptimeMs: kept.uptimeMs + 9 * dayMs}, 7 * dayMs)).toMatchObject({
				nowMs: Math.max(wallMs, start + 9 * dayMs),
				skippedMs: 0,
			});
		}

		expect(resumedTime(undefined, {wallMs: start, uptimeMs: 5}, 7 * dayMs).nowMs).toBe(start);
	});

	test('ignores a wall clock that jumps while the node runs', () => {
		let monotonicMs = 5000;
		const clock = new RetentionClock(undefined, {wallMs: start, uptimeMs: 1}, 7 * dayMs, () => monotonicMs);
		monotonicMs += 1000;
		expect(clock.nowMs).toBe(start + 1000);
	});

	test('counts short times without power again after a jump of the wall clock', () => {
		const first = new RetentionClock(
			kept,
			{wallMs: start + 9 * dayMs, uptimeMs: kept.uptimeMs},
			7 * dayMs,
			() => 0,
		);
		const second = new RetentionClock(
			first.kept(kept.uptimeMs),
			{wallMs: start + 9 * dayMs + 20_000, uptimeMs: 5000},
			7 * dayMs,
			() => 0,
		);
		expect([first.skippedMs, second.skippedMs, second.nowMs]).toEqual([9 * dayMs, 0, start + 20_000]);
	});

	test('never jumps, so a message that arrives after a jump of the wall clock is kept for the whole time', () => {
		let uptimeMs = kept.uptimeMs;
		let state = kept;
		// A week of starts, each with the wall clock 9 days ahead.
		for (let days = 0; days < 14; days++) {
			const clock = new RetentionClock(
				state,
				{wallMs: uptimeMs + 9 * dayMs + start, uptimeMs},
				7 * dayMs,
				() => 0,
			);
			expect(clock.nowMs).toBe(start + days * dayMs);
			state = clock.kept(uptimeMs);
			uptimeMs += dayMs;
		}
	});

	test('uses the shortest retention time for the tolerance', () => {
		const clock = new RetentionClock(kept, {wallMs: start + 30_000, uptimeMs: kept.uptimeMs}, 7 * dayMs, () => 0);
		expect([
			clock.nowMs,
			clock.note(7 * dayMs),
			clock.note(8000),
			clock.note(30 * dayMs),
			clock.note(8000),
		]).toEqual([start + 30_000, false, true, false, false]);
		const next = parseKeptTime(JSON.parse(JSON.stringify(keptTimeToJson(clock.kept(kept.uptimeMs)))));
		expect(next?.shortestMs).toBe(8000);
		expect(resumedTime(next, {wallMs: start + 60_000, uptimeMs: kept.uptimeMs}, 7 * dayMs)).toMatchObject({
			nowMs: start + 30_000,
			skippedMs: 30_000,
		});
	});

	test('never advances by more than the time that has passed and the tolerance, for any clocks at any starts', () => {
		const starts = fc.array(
			fc.record({
				goneMs: fc.integer({min: 0, max: 400 * dayMs}),
				wallMs: fc.integer({min: 0, max: year2099}),
				isRebooted: fc.boolean(),
			}),
			{minLength: 1, maxLength: 6},
		);
		fc.assert(
			fc.property(starts, list => {
				let state = kept;
				let passedMs = 0;
				for (const {goneMs, wallMs, isRebooted} of list) {
					// After a reboot the uptime is only a part of the time that has passed.
					const uptimeMs = isRebooted ? Math.floor(goneMs / 2) : state.uptimeMs + goneMs;
					const before = state.nowMs;
					passedMs += goneMs;
					state = new RetentionClock(state, {wallMs, uptimeMs}, 7 * dayMs, () => 0).kept(uptimeMs);
					expect(state.nowMs).toBeGreaterThanOrEqual(before);
				}

				expect(state.nowMs - start).toBeLessThanOrEqual(passedMs + list.length * 60_000);
			}),
		);
	});

	test('does not load from an invalid file', () => {
		for (const value of [
			undefined,
			null,
			5,
			{},
			{nowMs: '1', uptimeMs: 1, aheadMs: 1},
			{nowMs: -1, uptimeMs: 1, aheadMs: 1},
			{nowMs: 1, uptimeMs: 1, aheadMs: '1'},
			{nowMs: 1, aheadMs: 1},
		])
			expect(parseKeptTime(value)).toBeUndefined();
		expect(parseKeptTime({...kept, more: 1})).toEqual(kept);
		// As the previous release wrote it.
		expect(parseKeptTime({nowMs: 1, uptimeMs: 2, laggingMs: 3, ages: [8000, 9000]})).toEqual({
			nowMs: 1,
			uptimeMs: 2,
			aheadMs: 0,
			shortestMs: 8000,
		});
	});
});

test('deletions and their reasons as text', () => {
	expect(deletedText({type: 'deleted', topic, reason: 'age', messages: 3, bytes: 400, unread: 2})).toBe(
		'news: 3 messages (400 bytes) deleted, 2 of them unread here: ' +
			"older than is kept (storage.retain_age_s, or the topic's own)",
	);
	expect(deletedText({type: 'deleted', topic, reason: 'disk', messages: 1, bytes: 400, unread: 0})).toBe(
		'news: 1 message (400 bytes) deleted, all read: more than limits.disk_bytes for all topics',
	);
	expect(deletedText({type: 'deleted', topic, reason: 'topic', messages: 2, bytes: 400, unread: 0})).toBe(
		'news: 2 messages (400 bytes) deleted, all read: the topic was deleted',
	);
});

describe('a budget of all topics', () => {
	test('cuts the largest topics to one size, and no others', () => {
		expect(
			sharesOfBudget(
				new Map([
					['a', 10],
					['b', 100],
					['c', 70],
				]),
				100,
			),
		).toEqual(
			new Map([
				['c', 45],
				['b', 45],
			]),
		);
		expect(
			sharesOfBudget(
				new Map([
					['a', 10],
					['b', 20],
				]),
				30,
			),
		).toEqual(new Map());
		expect(sharesOfBudget(new Map(), 30)).toEqual(new Map());
	});

	test('is met, and no topic is cut below the size of a smaller one', () => {
		fc.assert(
			fc.property(fc.array(fc.nat(1000), {maxLength: 20}), fc.nat(5000), (sizes, budget) => {
				const bytes = new Map(sizes.entries());
				const shares = sharesOfBudget(bytes, budget);
				const left = [...bytes].map(([name, size]) => Math.min(size, shares.get(name) ?? Infinity));
				expect(left.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(budget);
				const [share = 0] = shares.values();
				for (const [name, size] of bytes)
					expect(shares.has(name)).toBe(shares.size > 0 && (size > share || shares.has(name)));
			}),
		);
	});
});
