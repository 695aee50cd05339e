/**
One suite for the log, and what it must survive: torn tails, flipped bits, crashes that lose or tear what was not synced.
*/
import {mkdtempSync, rmSync} from 'node:fs';
import {readdir, readFile, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {openLog, type SegmentedLog} from '../../core/io/log.ts';
import {realFiles, type Files} from '../../core/io/files.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-log-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const openHere = (options: {readonly segmentBytes?: number; readonly files?: Files} = {}): Promise<SegmentedLog> => openLog({folder, segmentBytes: options.segmentBytes ?? 1000, writeDeadlineMs: 5000, ...(options.files ? {files: options.files} : {})});
const payload = (text: string): Buffer => Buffer.from(text);

async function everything(log: SegmentedLog): Promise<string[]> {
	const texts: string[] = [];
	for (let at = log.first; at < log.end;) {
		const {records, next} = await log.read(at, 300);
		for (const {bytes} of records) texts.push(Buffer.from(bytes).toString());
		if (next <= at) break;
		at = next;
	}

	return texts;
}

describe('the log', () => {
	test('gives back what was appended, in order, across segments and restarts', async () => {
		const texts = Array.from({length: 200}, (_, index) => `record ${index} ${'x'.repeat(index % 40)}`);
		const log = await openHere();
		const {positions, synced} = log.append(texts.slice(0, 100).map(text => payload(text)));
		await Promise.all([synced, ...texts.slice(100).map(text => log.append([payload(text)]).synced)]);
		expect(positions).toEqual([...positions].toSorted((a, b) => a - b));
		expect(await everything(log)).toEqual(texts);
		expect(log.segments().length).toBeGreaterThan(3);
		await log[Symbol.asyncDispose]();
		const again = await openHere();
		expect(again.damaged).toEqual([]);
		expect(await everything(again)).toEqual(texts);
		expect((await again.read(positions[50]!, 1)).records[0]).toMatchObject({position: positions[50]});
		await again.append([payload('after')]).synced;
		expect((await everything(again)).at(-1)).toBe('after');
		await again[Symbol.asyncDispose]();
	});

	test('is closed to others', async () => {
		const log = await openHere();
		await log.append([payload('a')]).synced;
		const [name] = await readdir(folder);
		expect((await stat(join(folder, name!))).mode & 0o777).toBe(0o600);
		await log[Symbol.asyncDispose]();
	});

	test('shares an fsync between what arrives while one runs', async () => {
		let syncs = 0;
		const files: Files = {
			...realFiles,
			async open(path, mode) {
				const file = await realFiles.open(path, mode);
				return {size: file.size, write: (...args) => file.write(...args), read: (...args) => file.read(...args), truncate: size => file.truncate(size), close: () => file.close(), async datasync() {
					syncs++;
					await file.datasync();
				}};
			},
		};
		const log = await openHere({segmentBytes: 1e6, files});
		await log.append([payload('first')]).synced;
		syncs = 0;
		await Promise.all(Array.from({length: 500}, (_, index) => log.append([payload(String(index))]).synced));
		expect(syncs).toBeLessThan(20);
		await log[Symbol.asyncDispose]();
	});

	test('written comes before synced, and a read never sees more than is written', async () => {
		const log = await openHere();
		const order: string[] = [];
		const {written, synced} = log.append([payload('a')]);
		expect((await log.read(0, 100)).records).toEqual([]);
		await Promise.all([written.then(() => order.push('written')), synced.then(() => order.push('synced'))]);
		expect(order).toEqual(['written', 'synced']);
		const {synced: later} = log.append([payload('b')], {sync: false});
		await later; // In the background, at the latest.
		await log[Symbol.asyncDispose]();
	});

	test('retention unlinks whole segments and never the one that is written', async () => {
		const log = await openHere({segmentBytes: 200});
		for (let index = 0; index < 50; index++) await log.append([payload(`record ${index}`)]).synced;
		const before = log.segments();
		await log.dropBefore(before[3]!.first + 1);
		expect(log.first).toBe(before[3]!.first);
		expect((await readdir(folder)).length).toBe(before.length - 3);
		await log.dropBefore(log.end);
		expect(log.segments()).toHaveLength(1);
		await log[Symbol.asyncDispose]();
	});

	test('a torn tail is cut off and writing goes on behind it', async () => {
		const log = await openHere({segmentBytes: 1e6});
		await log.append(['a', 'b', 'c'].map(text => payload(text))).synced;
		await log[Symbol.asyncDispose]();
		const [name] = await readdir(folder);
		const bytes = await readFile(join(folder, name!));
		for (const cut of [1, 5, 8]) {
			await writeFile(join(folder, name!), bytes.subarray(0, bytes.length - cut));
			const torn = await openHere({segmentBytes: 1e6});
			expect(await everything(torn)).toEqual(['a', 'b']);
			expect(torn.damaged).toEqual([]);
			await torn.append([payload('d')]).synced;
			expect(await everything(torn)).toEqual(['a', 'b', 'd']);
			await torn[Symbol.asyncDispose]();
		}
	});

	test('damage before valid records is reported and kept aside, not passed over', async () => {
		const log = await openHere({segmentBytes: 1e6});
		await log.append(['first', 'second', 'third'].map(text => payload(text))).synced;
		await log[Symbol.asyncDispose]();
		const [name] = await readdir(folder);
		const bytes = await readFile(join(folder, name!));
		bytes[bytes.indexOf('second')]! ^= 1;
		await writeFile(join(folder, name!), bytes);
		const opened = await openHere({segmentBytes: 1e6});
		expect(opened.damaged).toHaveLength(1);
		expect(await everything(opened)).toEqual(['first']);
		expect(await readdir(folder)).toContain(`${name}.damaged`);
		await opened[Symbol.asyncDispose]();
	});

	test('no flipped bit is ever returned as a record', async () => {
		const texts = Array.from({length: 60}, (_, index) => `record ${index} ${'y'.repeat(200)}`);
		const log = await openHere({segmentBytes: 1e6});
		await log.append(texts.map(text => payload(text))).synced;
		await log[Symbol.asyncDispose]();
		const [name] = await readdir(folder);
		const bytes = await readFile(join(folder, name!));
		const step = Number(process.env['BIT_STEP'] ?? 397);
		for (let bit = 0; bit < bytes.length * 8; bit += step) {
			const flipped = Buffer.from(bytes);
			flipped[bit >> 3]! ^= 1 << (bit & 7);
			await writeFile(join(folder, name!), flipped);
			const opened = await openHere({segmentBytes: 1e6});
			const seen = await everything(opened);
			expect(texts.slice(0, seen.length)).toEqual(seen);
			await opened[Symbol.asyncDispose]();
			for (const other of await readdir(folder)) if (other !== name) rmSync(join(folder, other));
		}
	});

	test('the first failed write or fsync is the last word', async () => {
		let fail = false;
		const files: Files = {
			...realFiles,
			async open(path, mode) {
				const file = await realFiles.open(path, mode);
				return {size: file.size, write: (...args) => file.write(...args), read: (...args) => file.read(...args), truncate: size => file.truncate(size), close: () => file.close(), async datasync() {
					if (fail) throw Object.assign(new Error('EIO: i/o error'), {code: 'EIO'});
					await file.datasync();
				}};
			},
		};
		const log = await openHere({files});
		await log.append([payload('a')]).synced;
		fail = true;
		await expect(log.append([payload('b')]).synced).rejects.toMatchObject({code: 'storage', message: expect.stringContaining('EIO')});
		fail = false;
		await expect(log.append([payload('c')]).written).rejects.toMatchObject({code: 'storage'});
		expect((await log.failed).message).toContain('EIO');
		await log[Symbol.asyncDispose]();
	});
});
