/**
The log survives crashes that lose or tear unsynced data, calls that fail, and flipped bits. `SEEDS=2000` runs more
images, `SEED=7` replays one, `BIT_STEP=1` flips every bit.
*/
import {describe, expect, test} from 'vitest';
import {openLog, type SegmentedLog} from '../../core/io/log/log.ts';
import {DiskContents, type Loss} from '../sim/disk-contents.ts';
import {createRandom, seeds, type SeededRandom} from '../sim/random.ts';
import {CrashDisk} from './support/crash-disk.ts';

const folder = '/log';
const open = (disk: CrashDisk, segmentBytes = 4000): Promise<SegmentedLog> =>
	openLog({folder, segmentBytes, writeDeadlineMs: 60_000, files: disk});

type Model = {
	/** All appended records, by position. */
	readonly records: Map<number, Buffer>;
	/** Everything before this position was acknowledged as synced. */
	syncedEnd: number;
	/** Retention was asked to drop up to this position. */
	droppedTo: number;
	end: number;
};

async function readAll(log: SegmentedLog): Promise<Map<number, Buffer>> {
	const records = new Map<number, Buffer>();
	for (let at = log.first; at < log.end;) {
		const read = await log.read(at, 3000);
		for (const {position, bytes} of read.records) records.set(position, Buffer.from(bytes));
		if (read.next <= at) throw new Error(`Expected to get on from ${at}, got ${read.next}`);
		at = read.next;
	}

	return records;
}

/** Appends, rolls and drops at random until the disk dies. */
async function work(log: SegmentedLog, model: Model, random: SeededRandom, steps: number): Promise<void> {
	for (let step = 0; step < steps; step++) {
		const sync = random.chance(1, 2);
		const records = Array.from({length: random.between(1, 4)}, () => {
			const bytes = random.chance(1, 12) ? random.between(4000, 9000) : random.between(0, 700);
			return Buffer.alloc(bytes, random.below(256)); // Runs of one byte, zeros too, look most like other records.
		});
		const {positions, synced, written} = log.append(records, {sync});
		for (const [index, position] of positions.entries()) model.records.set(position, records[index]!);
		model.end = log.end;
		const {end} = log;
		synced.then(
			() => {
				model.syncedEnd = Math.max(model.syncedEnd, end);
			},
			() => undefined,
		);
		if (random.chance(1, 3)) await written;
		// Without `sync` the sync happens later in the background.
		if (random.chance(1, 6) && (sync || random.chance(1, 10))) await synced;
		if (random.chance(1, 15)) await log.roll();
		if (random.chance(1, 10)) {
			model.droppedTo = Math.max(model.droppedTo, random.between(log.first, log.end));
			await log.dropBefore(model.droppedTo);
		}
	}
}

/**
A crash may leave any contiguous run of the appended records that begins at the oldest one not dropped and includes all
synced ones.
*/
async function check(log: SegmentedLog, model: Model): Promise<void> {
	expect(log.damaged).toEqual([]);
	expect(log.end).toBeGreaterThanOrEqual(model.syncedEnd);
	expect(log.end).toBeLessThanOrEqual(model.end);
	expect(log.first).toBeLessThanOrEqual(model.droppedTo);
	const found = await readAll(log);
	expect([...found]).toEqual([...model.records].filter(([position]) => position >= log.first && position < log.end));
}

describe('after a crash', () => {
	test.each(seeds(100))('no synced record is lost, and none is invented (seed %i)', async seed => {
		const random = createRandom(`log-crash/${seed}`);
		const model: Model = {records: new Map(), syncedEnd: 0, droppedTo: 0, end: 0};
		let contents = new DiskContents();
		for (let life = 0; life < 3; life++) {
			const faults = {
				random: random.child(`disk ${life}`),
				diesAt: random.between(1, 250),
				shortWrites: random.chance(1, 3),
			};
			const disk = new CrashDisk(faults, contents);
			const run = (async () => {
				const log = await open(disk);
				await check(log, model);
				// Records that were cut off count as never written; their positions are used again.
				for (const position of model.records.keys()) if (position >= log.end) model.records.delete(position);
				model.end = log.end;
				model.syncedEnd = log.end; // A node acts on the records that it has read back.
				await work(log, model, random.child(`work ${life}`), 60);
				await log[Symbol.asyncDispose]();
			})();
			await Promise.race([run, disk.died]);
			const loss = random.pick<Loss | 'kill'>(['all', 'writes', 'sectors', 'sectors', 'none', 'kill', 'kill']);
			contents = loss === 'kill' ? disk.killed(random) : disk.image(random, loss);
		}

		const log = await open(new CrashDisk({random}, contents));
		await check(log, model);
		await log[Symbol.asyncDispose]();
	});

	test('retention has not removed the next position of the log', async () => {
		const random = createRandom(1);
		for (let diesAfter = 1; diesAfter < 20; diesAfter++) {
			const faults = {random, diesAt: undefined as number | undefined};
			const disk = new CrashDisk(faults);
			const log = await open(disk, 100);
			await log.append([Buffer.alloc(90)]).synced;
			const {end} = log;
			faults.diesAt = disk.calls.length + diesAfter;
			log.append([Buffer.alloc(90)]); // In a segment that is not there yet.
			await Promise.race([log.dropBefore(log.end), disk.died]);
			for (const loss of ['all', 'none'] as const) {
				const again = await open(new CrashDisk({random}, disk.image(random, loss)), 100);
				expect(again.end).toBeGreaterThanOrEqual(end);
				expect(again.damaged).toEqual([]);
			}
		}
	});

	test('the next start syncs the name of a segment that was not durable when the process was killed', async () => {
		for (let kills = 1; kills < 14; kills++) {
			const random = createRandom(kills);
			const disk = new CrashDisk({random});
			const log = await open(disk, 100);
			await log.append([Buffer.alloc(90)]).synced;
			// Killed: the calls so far have reached the operating system, the next call was never made.
			const killed = new CrashDisk({random, diesAt: kills + 1}, disk.medium);
			open(killed, 100)
				.then(one => one.append([Buffer.alloc(90, 'k')]).synced)
				.catch(() => undefined); // Its calls never end; a deadline reports that later.
			await killed.died;
			const nextDisk = new CrashDisk({random}, killed.killed(random));
			const next = await open(nextDisk, 100);
			const {
				positions: [position],
				synced,
			} = next.append([Buffer.from('acknowledged')]);
			await synced;
			const found = await readAll(await open(new CrashDisk({random}, nextDisk.image(random, 'all')), 100));
			expect(String(found.get(position!)), `killed after ${kills} calls`).toBe('acknowledged');
		}
	});

	test('a record after a lost record of the same unsynced write is cut off too', async () => {
		const random = createRandom(1);
		const disk = new CrashDisk({random});
		const log = await open(disk);
		await log.append([Buffer.from('synced')]).synced;
		await log.append([Buffer.alloc(1000, 'a'), Buffer.alloc(1000, 'b'), Buffer.from('last')], {sync: false})
			.written;
		const [[path, bytes]] = [...disk.contents()] as [[string, Buffer]];
		bytes.fill(0, 512, 1024); // A sector of the first of them.
		const again = await open(CrashDisk.of(new Map([[path, bytes]]), {random}));
		expect([...(await readAll(again)).values()].map(String)).toEqual(['synced']);
		expect(again.damaged).toEqual([]);
	});
});

describe('a call that fails', () => {
	test.each(seeds(60))('stops the log, which opens again with all acknowledged records (seed %i)', async seed => {
		const random = createRandom(`log-fail/${seed}`);
		const model: Model = {records: new Map(), syncedEnd: 0, droppedTo: 0, end: 0};
		const disk = new CrashDisk({
			random: random.child('disk'),
			failsAt: random.between(6, 150),
			code: random.pick(['EIO', 'ENOSPC']),
			shortWrites: random.chance(1, 2),
		});
		const log = await open(disk);
		await work(log, model, random.child('work'), 60).catch((error: unknown) =>
			expect(error).toMatchObject({code: 'storage'}),
		);
		await log[Symbol.asyncDispose]();
		const again = await open(
			new CrashDisk({random}, disk.image(random, random.pick(['all', 'writes', 'sectors', 'none']))),
		);
		await check(again, model);
	});

	test('rejects pending and later appends, and is reported', async () => {
		const faults = {random: createRandom(1), failsAt: undefined as number | undefined, code: 'ENOSPC' as const};
		const disk = new CrashDisk(faults);
		const log = await open(disk);
		await log.append([Buffer.from('a')]).synced;
		faults.failsAt = disk.calls.length + 1;
		const failing = log.append([Buffer.from('b')]);
		await expect(failing.written).rejects.toMatchObject({code: 'storage', cause: {code: 'ENOSPC'}});
		await expect(failing.synced).rejects.toMatchObject({code: 'storage'});
		await expect(log.append([Buffer.from('c')]).synced).rejects.toMatchObject({code: 'storage'});
		await expect(log.read(0, 100)).rejects.toMatchObject({code: 'storage'});
		await expect(log.roll()).rejects.toMatchObject({code: 'storage'});
		expect(await log.failed).toMatchObject({code: 'storage', message: expect.stringContaining('ENOSPC')});
		const {
			calls: {length},
		} = disk;
		await log[Symbol.asyncDispose]();
		// Nothing is written after the first error.
		expect(disk.calls.slice(length)).toEqual(['close 0000000000000000.log']);
	});

	test('is final if it was an fsync, also for a new segment that waits for it', async () => {
		const faults = {
			random: createRandom(1),
			failsAt: undefined as number | undefined,
			async delay(call: string) {
				for (let turns = call === 'datasync' ? 50 : 1; turns > 0; turns--) await Promise.resolve();
			},
		};
		const disk = new CrashDisk(faults);
		const log = await open(disk, 100);
		await log.append([Buffer.alloc(20)]).synced;
		const {
			calls: {length},
		} = disk;
		faults.failsAt = length + 2;
		const {written, synced} = log.append([Buffer.alloc(20)]);
		await written;
		const next = log.append([Buffer.alloc(90)], {sync: false}); // It begins the next segment.
		await expect(synced).rejects.toMatchObject({code: 'storage'});
		await expect(next.written).rejects.toMatchObject({code: 'storage'});
		await log[Symbol.asyncDispose]();
		expect(disk.calls.slice(length)).toEqual([
			'write 0000000000000000.log',
			'datasync 0000000000000000.log',
			'close 0000000000000000.log',
		]);
	});

	test('leaves data in the page cache that are not on the disk; the next process writes them again', async () => {
		for (let failsAt = 4; failsAt < 16; failsAt++) {
			// From the first call after opening.
			const random = createRandom(failsAt);
			const failing = new CrashDisk({random, failsAt});
			const log = await open(failing, 100);
			const ended = [log.append([Buffer.alloc(90, 'a')]).synced, log.append([Buffer.alloc(90, 'b')]).synced];
			await Promise.allSettled(ended);
			const disk = new CrashDisk({random}, failing.killed(random));
			const again = await open(disk, 100);
			const found = await readAll(again);
			await again.append([Buffer.alloc(20, 'c')]).synced;
			const last = await open(new CrashDisk({random}, disk.image(random, 'all')), 100);
			expect(last.damaged, `call ${failsAt} failed`).toEqual([]);
			expect([...(await readAll(last))].slice(0, -1), `call ${failsAt} failed`).toEqual([...found]);
		}
	});

	test('is reported even if no caller waits: in the background, and when the log is closed', async () => {
		for (const call of ['datasync', 'write synced', 'close'] as const) {
			const random = createRandom(1);
			const disk = new CrashDisk({random});
			const log = await open(disk);
			await log.append([Buffer.from('a')]).synced;
			disk.failNext(call);
			await log.append([Buffer.from('b')], {sync: false}).written;
			const closing = call === 'datasync' ? undefined : log[Symbol.asyncDispose]();
			expect(await log.failed).toMatchObject({code: 'storage', message: expect.stringContaining('EIO')});
			await closing;
			await log[Symbol.asyncDispose]();
			const again = await open(CrashDisk.of(disk.contents(), {random}));
			expect([...(await readAll(again)).values()].map(String)).toEqual(['a', 'b']);
		}
	});

	test('a write that does not end in time counts as failed', async () => {
		const faults = {random: createRandom(1), diesAt: undefined as number | undefined};
		const disk = new CrashDisk(faults);
		const log = await openLog({folder, segmentBytes: 4000, writeDeadlineMs: 5, files: disk});
		await log.append([Buffer.from('a')]).synced;
		faults.diesAt = disk.calls.length + 1;
		await expect(log.append([Buffer.from('b')]).synced).rejects.toMatchObject({
			code: 'storage',
			message: expect.stringContaining('5 ms'),
		});
		await log[Symbol.asyncDispose]();
	});
});

describe('damage', () => {
	/** Three segments, closed in order. */
	async function closedLog(): Promise<{readonly files: Map<string, Buffer>; readonly records: Map<number, Buffer>}> {
		const random = createRandom('damage');
		const disk = new CrashDisk({random});
		const log = await open(disk, 5600);
		for (let index = 0; index < 60; index++)
			await log.append([
				Buffer.from(
					`record ${index} ${String.fromCodePoint(97 + (index % 26)).repeat(random.between(0, 400))}`,
				),
			]).synced;
		const records = await readAll(log);
		await log[Symbol.asyncDispose]();
		return {files: disk.contents(), records};
	}

	/** Each record is returned unchanged, or is in a reported hole. */
	async function checkDamaged(log: SegmentedLog, records: ReadonlyMap<number, Buffer>): Promise<number> {
		const found = await readAll(log);
		const wrong = [...found].filter(([position, bytes]) => !records.get(position)?.equals(bytes));
		const missing = [...records.keys()].filter(position => !found.has(position));
		const unreported = missing.filter(
			position => !log.damaged.some(hole => position >= hole.position && position < hole.position + hole.bytes),
		);
		expect({wrong, unreported}).toEqual({wrong: [], unreported: []});
		return missing.length;
	}

	test('of one bit loses at most one record, and is reported', async () => {
		const {files, records} = await closedLog();
		const bits = [...files].flatMap(([path, bytes]) =>
			Array.from({length: bytes.length * 8}, (_, bit) => ({path, bit})),
		);
		expect(bits.length).toBeGreaterThan(16 * 1024 * 8 * 0.75);
		const step = Number(process.env['BIT_STEP'] ?? 7);
		const random = createRandom('flip');
		for (let index = 0; index < bits.length; index += step) {
			const {path, bit} = bits[index]!;
			const bytes = Buffer.from(files.get(path)!);
			bytes[bit >> 3]! ^= 1 << (bit & 7);
			const log = await open(CrashDisk.of(new Map([...files, [path, bytes]]), {random}), 5600);
			const missing = await checkDamaged(log, records);
			expect(missing).toBe(log.damaged.length);
			expect(missing).toBeLessThanOrEqual(1);
		}
	}, 120_000);

	test.each(seeds(40))(
		'of any kind never returns a wrong record, and is reported again after a restart (seed %i)',
		async seed => {
			const {files, records} = await closedLog();
			const random = createRandom(`damage/${seed}`);
			const path = random.pick([...files.keys()].filter(name => name.endsWith('.log')));
			const bytes = files.get(path)!;
			const at = random.below(bytes.length);
			switch (random.pick(['cut', 'zeros', 'noise', 'copy', 'gone'] as const)) {
				case 'cut': {
					files.set(path, bytes.subarray(0, at));
					break;
				}

				case 'zeros': {
					bytes.fill(0, at, Math.min(bytes.length, at + random.between(1, 3000)));
					break;
				}

				case 'noise': {
					for (let index = at; index < Math.min(bytes.length, at + 1000); index++)
						bytes[index] = random.below(256);
					break;
				}

				case 'copy': {
					// Good records at a wrong position.
					bytes.copy(bytes, at, random.below(bytes.length));
					break;
				}

				case 'gone': {
					files.delete(path);
					break;
				}
			}

			const disk = CrashDisk.of(files, {random});
			const log = await open(disk, 5600);
			const isFirstGone = !files.has(path) && log.first > 0;
			// It is unknown whether the oldest segment was dropped or lost.
			if (!isFirstGone) await checkDamaged(log, records);
			const {end} = log;
			expect(end).toBeGreaterThanOrEqual(Math.max(...records.keys()));
			const found = await readAll(log);
			const {positions, synced} = log.append([Buffer.from('after')]);
			await synced;
			expect(positions[0]).toBeGreaterThanOrEqual(end);
			await log[Symbol.asyncDispose]();
			const again = await open(CrashDisk.of(disk.contents(), {random}), 5600);
			expect(again.damaged).toEqual(log.damaged);
			expect([...(await readAll(again))]).toEqual([...found, [positions[0], Buffer.from('after')]]);
		},
	);

	test('in the last segment after a crash is distinguished from a torn tail by later records', async () => {
		const random = createRandom(1);
		const disk = new CrashDisk({random});
		const log = await open(disk);
		for (const text of ['first', 'second', 'third']) await log.append([Buffer.from(text)]).synced;
		const [[path, bytes]] = [...disk.contents()] as [[string, Buffer]];
		bytes[bytes.indexOf('second')]! ^= 1;
		const damaged = CrashDisk.of(new Map([[path, bytes]]), {random});
		const again = await open(damaged);
		expect([...(await readAll(again)).values()].map(String)).toEqual(['first', 'third']);
		expect(again.damaged).toEqual([{file: '0000000000000000.corrupt', position: 21, bytes: 22}]);
		await again.dropBefore(again.end); // Retention deletes it like any other segment.
		await again[Symbol.asyncDispose]();
		expect([...damaged.contents().keys()].some(name => name.endsWith('.corrupt'))).toBe(false);
	});

	test('found by a read stops the log', async () => {
		const random = createRandom(1);
		const disk = new CrashDisk({random});
		const log = await open(disk);
		await log.append([Buffer.from('text')]).synced;
		const file = await disk.open('/log/0000000000000000.log', 'write');
		await file.write([Buffer.from('T')], disk.contents().get('/log/0000000000000000.log')!.indexOf('text'));
		await expect(log.read(0, 100)).rejects.toMatchObject({code: 'storage'});
		expect(await log.failed).toMatchObject({code: 'storage'});
	});
});
