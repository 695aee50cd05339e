/** The reserve on the disk: released when the disk is full, made again when there is space. */
import {existsSync, mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {realFiles, type Files, type OpenFile} from '../../core/io/file-system.ts';
import {Reserve} from '../../core/io/files/reserve.ts';
import {reservingFiles} from '../../core/io/files/reserving-files.ts';

const MiB = 1024 * 1024;
let folder: string;
let reports: string[];
let freeBytes: number;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-reserve-'));
	reports = [];
	freeBytes = 100 * MiB;
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const create = (files: Files = realFiles): Reserve =>
	new Reserve({files, folder, freeBytes: async () => freeBytes, report: text => reports.push(text)});
const has = (): boolean => existsSync(join(folder, 'reserve'));

test('is made if there is space, and occupies it', async () => {
	const reserve = create();
	await reserve.maintain();
	expect(reserve.isFull).toBe(false);
	expect(statSync(join(folder, 'reserve')).blocks * 512).toBeGreaterThanOrEqual(8 * MiB);
	await reserve.maintain();
	expect(reports).toEqual([]);
});

test('is released on a full disk, which is reported once with advice, and refuses publishes', async () => {
	await create().maintain();
	freeBytes = 1000;
	const reserve = create();
	await reserve.maintain();
	await reserve.maintain();
	expect([has(), reserve.isFull]).toEqual([false, true]);
	expect(reports).toEqual([
		expect.stringMatching(/is full.*storage\.retain_bytes.*limits\.disk_bytes.*A reserve of 8 MiB was released/),
	]);
	expect(reserve.reason).toMatch(/no new messages are stored, stored messages can be read\. Free space/);
	// The space of the released reserve is not for messages.
	freeBytes = 9 * MiB;
	await reserve.maintain();
	expect([has(), reserve.isFull]).toEqual([false, true]);
	freeBytes = 20 * MiB;
	await reserve.maintain();
	expect([has(), reserve.isFull]).toEqual([true, false]);
	expect(reports.at(-1)).toBe('The disk has free space again');
});

test('a disk without free inodes counts as full, for any number of free bytes', async () => {
	let freeFiles = 63;
	const reserve = new Reserve({
		files: realFiles,
		folder,
		freeBytes: async () => freeBytes,
		freeFiles: async () => freeFiles,
		report: text => reports.push(text),
	});
	await reserve.maintain();
	expect([has(), reserve.isFull, reports.length]).toEqual([false, true, 1]);
	expect(reserve.reason).toMatch(/has no room for more files \(inodes, `df -i`\): no new messages are stored/);
	freeFiles = 64;
	await reserve.maintain();
	expect([has(), reserve.isFull, reports.at(-1)]).toEqual([true, false, 'The disk has free space again']);
});

test.each([
	['ENOSPC', true],
	['EDQUOT', true],
	['EFBIG', false],
])('an incomplete reserve is removed; %s counts as a full disk: %s', async (code, isFull) => {
	const reserve = create({
		...realFiles,
		async open(path, mode) {
			const file = await realFiles.open(path, mode);
			return {
				size: file.size,
				read: (...args) => file.read(...args),
				truncate: size => file.truncate(size),
				datasync: () => file.datasync(),
				close: () => file.close(),
				async write(buffers, position) {
					if (position > MiB) throw Object.assign(new Error(code), {code});
					return file.write(buffers, position);
				},
			};
		},
	});
	await reserve.maintain();
	await reserve.maintain();
	expect([has(), existsSync(join(folder, 'reserve.new')), reserve.isFull]).toEqual([false, false, isFull]);
	if (!isFull) expect(reports).toEqual(['No reserve for a full disk can be kept: EFBIG']);
});

test('a disk that does not report its free space counts as having space', async () => {
	const reserve = new Reserve({
		files: realFiles,
		folder,
		freeBytes: () => Promise.reject(new Error('ENOSYS')),
		report: text => reports.push(text),
	});
	await reserve.maintain();
	expect([has(), reserve.isFull]).toEqual([true, false]);
});

describe('a write that finds the disk full', () => {
	/** The file system with a disk that is full while the reserve exists, and again when `isFull`. */
	class FullDisk {
		isFull = false;
		failures = 0;
		synced = 0;

		readonly files: Files = {
			...realFiles,
			open: async (path, mode) => {
				const file = await realFiles.open(path, mode);
				const write: OpenFile['write'] = async (buffers, position) => {
					if (this.isFull && path.endsWith('log')) {
						this.failures++;
						throw Object.assign(new Error('ENOSPC: no space left on device, write'), {code: 'ENOSPC'});
					}

					return file.write(buffers, position);
				};
				const datasync = async (): Promise<void> => {
					this.synced++;
					if (this.isFull) throw Object.assign(new Error('ENOSPC: fsync'), {code: 'ENOSPC'});
					await file.datasync();
				};
				const {size} = file;
				return {
					size,
					write,
					datasync,
					read: (buffer, position) => file.read(buffer, position),
					truncate: to => file.truncate(to),
					close: () => file.close(),
				};
			},
			unlink: async path => {
				await realFiles.unlink(path);
				this.isFull = false;
			},
		};
	}

	async function open(): Promise<{readonly disk: FullDisk; readonly reserve: Reserve; readonly file: OpenFile}> {
		const disk = new FullDisk();
		const files = reservingFiles(disk.files, () => reserve);
		const reserve: Reserve = create(files);
		await reserve.maintain();
		return {disk, reserve, file: await files.open(join(folder, 'log'), 'write')};
	}

	test('releases the reserve and succeeds; no messages are stored from then on', async () => {
		const {disk, reserve, file} = await open();
		disk.isFull = true;
		// All of them fail before the reserve is released.
		const written = await Promise.all([0, 1, 2].map(at => file.write([Buffer.from([65 + at])], at)));
		expect(written).toEqual([1, 1, 1]);
		expect([has(), reserve.isFull, disk.failures, reserve.releases]).toEqual([false, true, 3, 1]);
		expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('ABC');
		expect(reports).toEqual([expect.stringMatching(/is full.*A reserve of 8 MiB was released/)]);
		await file.close();
	});

	test('fails when the reserve was released before, and an fsync is never repeated', async () => {
		const {disk, file} = await open();
		disk.isFull = true;
		await expect(file.datasync()).rejects.toMatchObject({code: 'ENOSPC'});
		expect([disk.synced, has()]).toEqual([2, true]); // One of them of the reserve.
		await file.write([Buffer.from('A')], 0);
		disk.isFull = true;
		await expect(file.write([Buffer.from('B')], 1)).rejects.toMatchObject({code: 'ENOSPC'});
		await file.close();
	});
});
