/** A reserve on the disk: given back when the disk is full, there again when there is room. */
import {existsSync, mkdtempSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {realFiles, type Files} from '../../core/io/file-system.ts';
import {Reserve} from '../../core/io/files/reserve.ts';

const MiB = 1024 * 1024;
let folder: string;
let said: string[];
let freeBytes: number;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-reserve-'));
	said = [];
	freeBytes = 100 * MiB;
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const create = (files: Files = realFiles): Reserve =>
	new Reserve({files, folder, freeBytes: async () => freeBytes, say: text => said.push(text)});
const has = (): boolean => existsSync(join(folder, 'reserve'));

test('is made where there is room, and takes it (case 15)', async () => {
	const reserve = create();
	await reserve.tend();
	expect(reserve.isFull).toBe(false);
	expect(statSync(join(folder, 'reserve')).blocks * 512).toBeGreaterThanOrEqual(8 * MiB);
	await reserve.tend();
	expect(said).toEqual([]);
});

test('is given back on a full disk, which is told once with what helps, and refuses what is published (case 15)', async () => {
	await create().tend();
	freeBytes = 1000;
	const reserve = create();
	await reserve.tend();
	await reserve.tend();
	expect([has(), reserve.isFull]).toEqual([false, true]);
	expect(said).toEqual([
		expect.stringMatching(/is full.*storage\.retain_bytes.*limits\.disk_bytes.*A reserve of 8 MiB was given back/),
	]);
	expect(reserve.reason).toMatch(/nothing can be published, what is there can be read\. Make room/);
	// The room that it left is not room for messages.
	freeBytes = 9 * MiB;
	await reserve.tend();
	expect([has(), reserve.isFull]).toEqual([false, true]);
	freeBytes = 20 * MiB;
	await reserve.tend();
	expect([has(), reserve.isFull]).toEqual([true, false]);
	expect(said.at(-1)).toBe('The disk has room again');
});

test('a disk on which few files can still be made is full, however many bytes are free (case 15)', async () => {
	let freeFiles = 63;
	const reserve = new Reserve({
		files: realFiles,
		folder,
		freeBytes: async () => freeBytes,
		freeFiles: async () => freeFiles,
		say: text => said.push(text),
	});
	await reserve.tend();
	expect([has(), reserve.isFull, said.length]).toEqual([false, true, 1]);
	expect(reserve.reason).toMatch(/has no room for more files \(inodes, `df -i`\): nothing can be published/);
	freeFiles = 64;
	await reserve.tend();
	expect([has(), reserve.isFull, said.at(-1)]).toEqual([true, false, 'The disk has room again']);
});

test.each([
	['ENOSPC', true],
	['EDQUOT', true],
	['EFBIG', false],
])('half a reserve is none; %s means a full disk: %s (case 15)', async (code, isFull) => {
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
	await reserve.tend();
	await reserve.tend();
	expect([has(), existsSync(join(folder, 'reserve.new')), reserve.isFull]).toEqual([false, false, isFull]);
	if (!isFull) expect(said).toEqual(['No reserve can be kept for a full disk: EFBIG']);
});

test('a disk that does not say how much is free has room (case 15)', async () => {
	const reserve = new Reserve({
		files: realFiles,
		folder,
		freeBytes: () => Promise.reject(new Error('ENOSYS')),
		say: text => said.push(text),
	});
	await reserve.tend();
	expect([has(), reserve.isFull]).toEqual([true, false]);
});
