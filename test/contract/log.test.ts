/** The contract of every log, on a disk or in memory, and properties of the log on a disk. */
import {mkdtempSync, rmSync} from 'node:fs';
import {readdir, readFile, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {realFiles, type Files} from '../../core/io/file-system.ts';
import {openLog, recordBytesMax, type SegmentedLog} from '../../core/io/log/log.ts';
import {MemoryLog} from '../../core/io/log/memory-log.ts';
import type {Log} from '../../core/ports.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-log-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const openHere = (options: {readonly segmentBytes?: number; readonly files?: Files} = {}): Promise<SegmentedLog> =>
	openLog({
		folder,
		segmentBytes: options.segmentBytes ?? 1000,
		writeDeadlineMs: 5000,
		...(options.files ? {files: options.files} : {}),
	});
const payload = (text: string): Buffer => Buffer.from(text);
const texts = (count: number): string[] =>
	Array.from({length: count}, (_, index) => `record ${index} ${'x'.repeat(index % 40)}`);

async function everything(log: Log, bytesMax = 300): Promise<string[]> {
	const found: string[] = [];
	for (let at = log.first; at < log.end;) {
		const {records, next} = await log.read(at, bytesMax);
		for (const {bytes} of records) found.push(Buffer.from(bytes).toString());
		if (next <= at) break;
		at = next;
	}

	return found;
}

type Side = {
	readonly name: string;
	readonly open: (segmentBytes?: number) => Promise<Log>;
	readonly reopen: (log: Log, segmentBytes?: number) => Promise<Log>;
};
const sides: readonly Side[] = [
	{
		name: 'on a disk',
		open: segmentBytes => openHere({segmentBytes}),
		async reopen(log, segmentBytes) {
			await log[Symbol.asyncDispose]();
			return openHere({segmentBytes});
		},
	},
	{
		name: 'in memory',
		open: async (segmentBytes = 1000) => new MemoryLog({segmentBytes}),
		reopen: async log => (log as MemoryLog).reopen(),
	},
];

describe.each(sides)('a log $name', ({open, reopen}) => {
	test('returns all records in order, across segments and restarts', async () => {
		const all = texts(200);
		const log = await open();
		expect([log.first, log.end, log.segments()]).toEqual([0, 0, []]);
		const {positions, synced} = log.append(all.slice(0, 100).map(text => payload(text)));
		await Promise.all([synced, ...all.slice(100).map(text => log.append([payload(text)]).synced)]);
		expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => a - b));
		for (const bytesMax of [1, 300, 1e6]) expect(await everything(log, bytesMax)).toEqual(all);
		expect(log.segments().length).toBeGreaterThan(3);
		const again = await reopen(log);
		expect(await everything(again)).toEqual(all);
		expect((await again.read(positions[50]!, 1)).records).toEqual([
			{position: positions[50], bytes: payload(all[50]!)},
		]);
		await again.append([payload('after')]).synced;
		expect((await everything(again)).at(-1)).toBe('after');
		await again[Symbol.asyncDispose]();
	});

	test('has segments without gaps; only a segment of one larger record exceeds the segment size', async () => {
		const log = await open();
		await log.append([
			...texts(50).map(text => payload(text)),
			Buffer.alloc(5000, 'y'),
			payload('z'),
			Buffer.alloc(0),
		]).synced;
		const segments = log.segments();
		expect(segments[0]!.first).toBe(log.first);
		expect(segments.at(-1)!.end).toBe(log.end);
		for (const [index, {first}] of segments.slice(1).entries()) expect(first).toBe(segments[index]!.end);
		expect(segments.filter(({first, end}) => end - first > 1000)).toHaveLength(1);
		expect((await everything(log)).slice(-3)).toEqual(['y'.repeat(5000), 'z', '']);
		await log[Symbol.asyncDispose]();
	});

	test('reports a write before its sync, and a read returns only written records', async () => {
		const log = await open();
		const order: string[] = [];
		const {written, synced} = log.append([payload('a')]);
		expect((await log.read(0, 100)).records.length).toBeLessThanOrEqual(1);
		await Promise.all([synced.then(() => order.push('synced')), written.then(() => order.push('written'))]);
		expect(order).toEqual(['written', 'synced']);
		expect(await everything(log)).toEqual(['a']);
		const {written: writtenOnly, synced: later} = log.append([payload('b')], {sync: false});
		await writtenOnly;
		expect(await everything(log)).toEqual(['a', 'b']);
		await later; // In the background.
		expect(log.append([]).positions).toEqual([]);
		await log[Symbol.asyncDispose]();
	});

	test('drops whole segments, but never the segment that it writes', async () => {
		const log = await open(200);
		for (const text of texts(50)) await log.append([payload(text)]).synced;
		const before = log.segments();
		await log.dropBefore(before[3]!.first + 1);
		expect(log.first).toBe(before[3]!.first);
		expect((await log.read(0, 1)).records[0]!.position).toBe(log.first);
		await log.dropBefore(log.end);
		expect(log.segments()).toHaveLength(1);
		const again = await reopen(log, 200);
		expect(again.first).toBe(before.at(-1)!.first);
		expect(await everything(again)).toEqual(texts(50).slice(-(await everything(again)).length));
		await again[Symbol.asyncDispose]();
	});

	test('can drop all records after a roll, and continues the positions after a restart', async () => {
		const log = await open();
		await log.roll();
		expect(log.segments()).toEqual([]);
		await log.append(texts(10).map(text => payload(text))).synced;
		const {end} = log;
		await log.roll();
		await log.roll();
		await log.dropBefore(end);
		expect(log.segments()).toMatchObject([{first: end, end}]);
		const again = await reopen(log);
		expect([again.first, again.end]).toEqual([end, end]);
		expect(again.append([payload('on')]).positions).toEqual([end]);
		await again[Symbol.asyncDispose]();
	});

	test('refuses a record that is too large and a position beyond its end', async () => {
		const log = await open();
		expect(() => log.append([Buffer.alloc(recordBytesMax + 1)])).toThrow(
			expect.objectContaining({code: 'too-large'}),
		);
		expect(log.end).toBe(0);
		await expect(log.read(1, 1)).rejects.toThrow(RangeError);
		await log[Symbol.asyncDispose]();
	});

	test('accepts nothing once it is closed', async () => {
		const log = await open();
		const {synced} = log.append([payload('last')]);
		await log[Symbol.asyncDispose]();
		await synced;
		await expect(log.append([payload('late')]).written).rejects.toMatchObject({code: 'closed'});
	});
});

describe('a log on a disk', () => {
	/** The file system, with each datasync reported. */
	const watched = (onSync: () => void | Promise<void>): Files => ({
		...realFiles,
		async open(path, mode) {
			const file = await realFiles.open(path, mode);
			return {
				size: file.size,
				write: (...args) => file.write(...args),
				read: (...args) => file.read(...args),
				truncate: size => file.truncate(size),
				close: () => file.close(),
				async datasync() {
					await onSync();
					await file.datasync();
				},
			};
		},
	});

	test('has files that only their owner can read', async () => {
		await using log = await openLog({folder: join(folder, 'new'), segmentBytes: 1000, writeDeadlineMs: 5000});
		await log.append([payload('a')]).synced;
		const [name] = await readdir(join(folder, 'new'));
		expect((await stat(join(folder, 'new'))).mode & 0o777).toBe(0o700);
		expect((await stat(join(folder, 'new', name!))).mode & 0o777).toBe(0o600);
	});

	test('shares one fsync among the appends that arrive during another', async () => {
		let syncs = 0;
		await using log = await openHere({segmentBytes: 1e6, files: watched(() => void syncs++)});
		await log.append([payload('first')]).synced;
		syncs = 0;
		await log.append([payload('a')]).written; // Its fsync runs from now on.
		await Promise.all(Array.from({length: 500}, (_, index) => log.append([payload(String(index))]).synced));
		expect(syncs).toBeLessThanOrEqual(3);
	});

	test('writes appends that need no sync during an fsync', async () => {
		const gate = Promise.withResolvers<void>();
		let isBlocked = false;
		await using log = await openHere({files: watched(() => (isBlocked ? gate.promise : undefined))});
		await log.append([payload('first')]).synced;
		isBlocked = true;
		const waiting = log.append([payload('a')]);
		await waiting.written;
		const sharing = log.append([payload('b')]);
		await log.append([payload('c')], {sync: false}).written;
		let isSynced = false;
		sharing.synced.then(
			() => {
				isSynced = true;
			},
			() => undefined,
		);
		expect(isSynced).toBe(false);
		gate.resolve();
		await Promise.all([waiting.synced, sharing.synced]);
		expect(await everything(log)).toEqual(['first', 'a', 'b', 'c']);
	});

	test('returns correct records while it is written, rolled and dropped', async () => {
		await using log = await openHere({segmentBytes: 500});
		const state = {isDone: false};
		const reading = (async () => {
			let reads = 0;
			for (let at = 0; !state.isDone || at < log.end;) {
				const {records, next} = await log.read(at, 200);
				for (const [index, {position, bytes}] of records.entries()) {
					if (index > 0 && position <= records[index - 1]!.position)
						throw new Error('Expected records in order');
					if (!/^record \d+ x*$/.test(Buffer.from(bytes).toString()))
						throw new Error(`Expected a record, got ${Buffer.from(bytes).toString()}`);
				}

				reads += records.length;
				at = next;
				// A read at the end returns at once: let the log make progress.
				if (records.length === 0) await new Promise(resolve => setImmediate(resolve));
			}

			return reads;
		})();
		for (const [index, text] of texts(600).entries()) {
			const {written} = log.append([payload(text)], {sync: index % 7 === 0});
			if (index % 3 === 0) await written;
			if (index % 50 === 0) await log.roll();
			if (index % 20 === 0) await log.dropBefore(log.end - 2000);
		}

		state.isDone = true;
		expect(await reading).toBeGreaterThan(100);
	});

	test('cuts off a torn tail and continues there', async () => {
		const log = await openHere();
		await log.append(['a', 'b', 'c'].map(text => payload(text))).synced;
		const path = join(folder, (await readdir(folder))[0]!);
		const bytes = await readFile(path); // As a crash would leave it: the log was not closed.
		for (const cut of [1, 5, 17]) {
			const torn = join(folder, `torn-${cut}`);
			await realFiles.makeFolder(torn);
			await writeFile(join(torn, '0000000000000000.log'), bytes.subarray(0, bytes.length - cut));
			await using again = await openLog({folder: torn, segmentBytes: 1000, writeDeadlineMs: 5000});
			expect(await everything(again)).toEqual(['a', 'b']);
			expect(again.damaged).toEqual([]);
			await again.append([payload('d')]).synced;
			expect(await everything(again)).toEqual(['a', 'b', 'd']);
		}

		await log[Symbol.asyncDispose]();
	});

	test('sets a damaged segment aside, keeps its good records, and reports the holes at every opening', async () => {
		const log = await openHere();
		await log.append(['first', 'second', 'third'].map(text => payload(text))).synced;
		await log[Symbol.asyncDispose]();
		const path = join(folder, '0000000000000000.log');
		const bytes = await readFile(path);
		bytes[bytes.indexOf('second')]! ^= 1;
		await writeFile(path, bytes);
		for (const more of ['fourth', 'fifth']) {
			await using again = await openHere();
			expect(again.damaged).toEqual([{file: '0000000000000000.corrupt', position: 21, bytes: 22}]);
			expect((await everything(again)).slice(0, 2)).toEqual(['first', 'third']);
			await again.append([payload(more)]).synced;
		}

		await using last = await openHere();
		expect(await everything(last)).toEqual(['first', 'third', 'fourth', 'fifth']);
		expect(await readdir(folder)).toContain('0000000000000000.corrupt');
	});

	test('cannot be opened where no folder can be made', async () => {
		await writeFile(join(folder, 'file'), '');
		await expect(
			openLog({folder: join(folder, 'file'), segmentBytes: 1000, writeDeadlineMs: 5000}),
		).rejects.toMatchObject({code: 'storage'});
	});
});
