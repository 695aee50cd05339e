/**
The bound on open files: a released descriptor is reopened without the user of the file, and disk errors that occur
meanwhile are not lost.
*/
import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {sharesOf} from '../../core/io/descriptors.ts';
import {realFiles, type Files, type OpenFile} from '../../core/io/file-system.ts';
import {FilePool} from '../../core/io/log/file-pool.ts';
import {openLog} from '../../core/io/log/log.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-pool-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

type Watched = {readonly files: Files; open: number; most: number; readonly calls: string[]};

/** The file system, with its open files counted. @param failing called before each `open` and `datasync` */
function watched(failing: (call: 'open' | 'datasync') => NodeJS.ErrnoException | undefined = () => undefined): Watched {
	const seen: Watched = {
		open: 0,
		most: 0,
		calls: [],
		files: {
			...realFiles,
			async open(path, mode) {
				const error = failing('open');
				if (error) throw error;
				seen.open++;
				seen.most = Math.max(seen.most, seen.open);
				const file = await realFiles.open(path, mode);
				return {
					size: file.size,
					read: (...args) => file.read(...args),
					truncate: size => file.truncate(size),
					write: (...args) => file.write(...args),
					async datasync() {
						const failure = failing('datasync');
						if (failure) throw failure;
						seen.calls.push(`sync ${path.slice(folder.length + 1)}`);
						await file.datasync();
					},
					async close() {
						seen.calls.push(`close ${path.slice(folder.length + 1)}`);
						await file.close();
						seen.open--;
					},
				} satisfies OpenFile;
			},
		},
	};
	return seen;
}

const coded = (code: string): NodeJS.ErrnoException => Object.assign(new Error(`${code}: injected`), {code});

test('a hundred logs share ten descriptors, and return all records', async () => {
	const seen = watched();
	const pool = new FilePool(seen.files, {openMax: 10});
	const openAt = (index: number) =>
		openLog({folder: join(folder, String(index)), segmentBytes: 300, writeDeadlineMs: 30_000, files: pool});
	const logs = await Promise.all(Array.from({length: 100}, (_, index) => openAt(index)));
	for (const round of [1, 2, 3])
		await Promise.all(
			logs.map(
				(log, index) =>
					log.append([Buffer.from(`${index} ${round} ${'x'.repeat(100)}`)], {sync: round !== 2})[
						round === 2 ? 'written' : 'synced'
					],
			),
		);
	await Promise.all(logs.map(log => log[Symbol.asyncDispose]()));
	expect(seen.most).toBeLessThanOrEqual(10);
	expect(seen.open).toBe(0);
	expect(pool.openCount).toBe(0);
	const again = await Promise.all(logs.map((_, index) => openAt(index)));
	for (const [index, log] of again.entries()) {
		const found: string[] = [];
		for (let at = log.first; at < log.end;) {
			const {records, next} = await log.read(at, 1000);
			found.push(...records.map(({bytes}) => Buffer.from(bytes).toString().slice(0, -101)));
			at = next;
		}

		expect(found).toEqual([1, 2, 3].map(round => `${index} ${round}`));
	}

	await Promise.all(again.map(log => log[Symbol.asyncDispose]()));
	expect(seen.most).toBeLessThanOrEqual(10);
});

test('the most recently used file keeps its descriptor the longest', async () => {
	const seen = watched();
	const pool = new FilePool(seen.files, {openMax: 2});
	const first = await pool.open(join(folder, 'first'), 'write');
	const second = await pool.open(join(folder, 'second'), 'write');
	await first.read(Buffer.alloc(1), 0);
	const third = await pool.open(join(folder, 'third'), 'write');
	expect(seen.calls).toEqual(['close second']);
	await Promise.all([first, second, third].map(file => file.close()));
	expect(seen.open).toBe(0);
});

test('writes are synced before the descriptor is released', async () => {
	const seen = watched();
	const pool = new FilePool(seen.files, {openMax: 1});
	const first = await pool.open(join(folder, 'first'), 'write');
	await first.write([Buffer.from('a')], 0);
	const second = await pool.open(join(folder, 'second'), 'write');
	expect(seen.calls).toEqual(['sync first', 'close first']);
	await first.datasync();
	await second.close();
	await first.close();
});

test('an fsync that fails during the release fails the next and every later use', async () => {
	let failure: NodeJS.ErrnoException | undefined = coded('EIO');
	const pool = new FilePool(watched(call => (call === 'datasync' ? failure : undefined)).files, {openMax: 1});
	const first = await pool.open(join(folder, 'first'), 'write');
	await first.write([Buffer.from('a')], 0);
	const second = await pool.open(join(folder, 'second'), 'write');
	await second.close();
	failure = undefined;
	await expect(first.datasync()).rejects.toMatchObject({code: 'EIO'});
	await expect(first.write([Buffer.from('b')], 1)).rejects.toMatchObject({code: 'EIO'});
	await first.close();
});

test('a deleted file is not made again when it is reopened', async () => {
	const pool = new FilePool(realFiles, {openMax: 1});
	const first = await pool.open(join(folder, 'first'), 'write');
	const second = await pool.open(join(folder, 'second'), 'write');
	await pool.unlink(join(folder, 'first'));
	await expect(first.write([Buffer.from('a')], 0)).rejects.toMatchObject({code: 'ENOENT'});
	await second.close();
	await first.close();
	expect(readdirSync(folder)).toEqual(['second']);
});

/** A clock whose timers wait in `passed`; `pass` lets all steps of a deadline pass. */
function stepClock() {
	const passed: Array<() => void> = [];
	const clock = {
		wallMs: () => 1,
		monotonicMs: () => 1,
		soon: setImmediate,
		every: () => ({[Symbol.dispose]: () => undefined}),
		after: (_: number, run: () => void) => {
			passed.push(run);
			return {[Symbol.dispose]: () => undefined};
		},
	};
	const pass = async (): Promise<void> => {
		for (let step = 0; step < 10; step++) {
			for (const run of passed.splice(0)) run();
			await new Promise(resolve => setImmediate(resolve));
		}
	};

	return {clock, passed, pass};
}

test.each(['EMFILE', 'ENFILE'])(
	'an open that fails with %s is repeated, and does not count as a fault of the disk',
	async code => {
		let isOut = false;
		let shortages = 0;
		const due: Array<() => void> = [];
		const seen = watched(call => (call === 'open' && isOut ? coded(code) : undefined));
		const pool = new FilePool(seen.files, {
			openMax: 8,
			onShort: () => void shortages++,
			clock: {
				after: (_delayMs, run) => {
					due.push(run);
					return {[Symbol.dispose]: () => undefined};
				},
			},
		});
		// The deadline passes while the log waits for a descriptor.
		const {clock, pass} = stepClock();
		await using log = await openLog({
			folder: join(folder, 'log'),
			segmentBytes: 1000,
			writeDeadlineMs: 100,
			files: pool,
			clock,
		});
		isOut = true;
		const {synced} = log.append([Buffer.from('a')]);
		await expect.poll(() => due.length).toBeGreaterThan(0);
		expect(pool.isShort).toBe(true);
		await pass();
		for (const run of due.splice(0)) run();
		await expect.poll(() => due.length).toBeGreaterThan(0);
		expect(shortages).toBe(1);
		isOut = false;
		for (const run of due.splice(0)) run();
		await synced;
		expect(pool.isShort).toBe(false);
	},
);

test('a log does not count the time before the end of a shortage against its disk', async () => {
	const gate = Promise.withResolvers<void>();
	const state = {isShort: false, shortages: 0, isArmed: false};
	const files: Files = {
		...realFiles,
		get isShort() {
			return state.isShort;
		},
		get shortages() {
			return state.shortages;
		},
		async open(...wanted) {
			if (state.isArmed) await gate.promise;
			return realFiles.open(...wanted);
		},
	};
	const {clock, passed, pass} = stepClock();
	const log = await openLog({folder: join(folder, 'log'), segmentBytes: 1000, writeDeadlineMs: 100, files, clock});
	state.isArmed = true;
	let problem = '';
	const {synced} = log.append([Buffer.from('a')]);
	synced.catch((error: unknown) => (problem = (error as Error).message));
	await expect.poll(() => passed.length).toBeGreaterThan(0);
	state.shortages += 2; // It began and ended during the call.
	await pass();
	expect(problem).toBe('');
	await pass();
	expect(problem).toContain('took longer than 100 ms');
	gate.resolve();
	await log[Symbol.asyncDispose]();
});

test('without descriptors, an idle file is closed at once', async () => {
	let openMax = 3;
	const seen: Watched = watched(call => (call === 'open' && seen.open >= openMax ? coded('EMFILE') : undefined));
	let shortages = 0;
	const pool = new FilePool(seen.files, {openMax: 100, onShort: () => void shortages++});
	const opened: OpenFile[] = [];
	for (let index = 0; index < 20; index++) opened.push(await pool.open(join(folder, String(index)), 'write'));
	openMax = 1;
	for (const file of opened) await file.write([Buffer.from('a')], 0);
	for (const file of opened) await file.close();
	expect([seen.open, shortages]).toEqual([0, 0]);
});

test('a call that starts to wait at any step of a release gets the descriptor', async () => {
	// Steps of the event loop between the end of the other use and the start of the wait.
	for (let steps = 0; steps < 12; steps++) {
		const {promise, resolve} = Promise.withResolvers<number>();
		const file: OpenFile = {
			size: 0,
			read: () => promise,
			write: async () => 0,
			datasync: async () => undefined,
			truncate: async () => undefined,
			close: async () => undefined,
		};
		const pool = new FilePool({...realFiles, open: async () => file}, {openMax: 1});
		const one = await pool.open('one', 'read');
		const reading = one.read(Buffer.alloc(1), 0);
		resolve(1);
		// oxlint-disable-next-line typescript/await-thenable -- one step of the event loop
		for (let step = 0; step < steps; step++) await undefined;
		const other = await pool.open('other', 'read');
		expect(await other.read(Buffer.alloc(1), 0)).toBe(1);
		await reading;
	}
});

test('files and connections share the descriptors of the process', () => {
	const configured = {openFiles: 256, connections: 1024};
	expect(sharesOf(configured, 1_000_000)).toEqual(configured);
	expect(sharesOf(configured, Infinity)).toEqual(configured);
	expect(sharesOf(configured, 256)).toEqual({openFiles: 64, connections: 128});
	expect(sharesOf(configured, 1024)).toEqual({openFiles: 256, connections: 704});
	expect(sharesOf(configured, 20)).toEqual({openFiles: 16, connections: 8});
});
