import {execFileSync, fork, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {readdir, readFile, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Worker} from 'node:worker_threads';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {realFiles} from '../../core/io/file-system.ts';
import {Folder, placeRemedy} from '../../core/io/files/data-folder.ts';
import {NodeFiles} from '../../core/io/files/node-files.ts';
import type {Topic} from '../../core/message.ts';

let parent: string;
let path: string;
beforeEach(() => {
	parent = mkdtempSync(join(tmpdir(), 'dapss-folder-'));
	path = join(parent, 'data');
});
afterEach(() => rmSync(parent, {recursive: true, force: true}));

const opener = new URL('support/folder-opener.ts', import.meta.url);

describe('one node at a time uses the folder', () => {
	test('within one process', async () => {
		const first = await Folder.open(path);
		await expect(Folder.open(path)).rejects.toMatchObject({
			code: 'locked',
			message: expect.stringContaining(`process ${process.pid}`),
		});
		first[Symbol.dispose]();
		using again = await Folder.open(path);
		expect(again.path).toBe(path);
	});

	test('among processes; the lock of a killed process is released', async () => {
		const child: ChildProcess = fork(opener, [path], {execArgv: []});
		expect((await once(child, 'message'))[0]).toBe('open');
		await expect(Folder.open(path)).rejects.toMatchObject({
			code: 'locked',
			message: expect.stringMatching(new RegExp(`${path}.*process ${child.pid}`)),
		});
		child.kill('SIGKILL');
		await once(child, 'exit');
		using folder = await Folder.open(path);
		expect(await readFile(join(folder.path, 'pid'), 'utf8')).toBe(`${process.pid}\n`);
	});

	test('among threads', async () => {
		using folder = await Folder.open(path);
		expect(folder.path).toBe(path);
		const worker = new Worker(opener, {argv: [path]});
		expect((await once(worker, 'message'))[0]).toBe('locked');
		await worker.terminate();
		// The attempt of the thread, which closed its own descriptor, must not release the lock.
		const child = fork(opener, [path], {execArgv: []});
		expect((await once(child, 'message'))[0]).toBe('locked');
		child.kill('SIGKILL');
	});

	test('a file that is no lock does not count as a lock in use', async () => {
		(await Folder.open(path))[Symbol.dispose]();
		await writeFile(join(path, 'lock'), 'x'.repeat(5000));
		await expect(Folder.open(path)).rejects.toMatchObject({code: 'storage'});
	});
});

describe('the folder is private', () => {
	test('when it is made by the node, with all its files', async () => {
		using folder = await Folder.open(path);
		const files = new NodeFiles(realFiles, folder.path);
		await files.writeJson('state.json', {});
		await files.blobs.write('snapshot-1', Buffer.from('x'));
		const inTopic = await files.topicFolder('news' as Topic);
		expect((await stat(path)).mode & 0o777).toBe(0o700);
		expect((await stat(inTopic)).mode & 0o777).toBe(0o700);
		for (const name of ['state.json', 'snapshot-1', 'pid', 'lock'])
			expect([name, (await stat(join(path, name))).mode & 0o777]).toEqual([name, 0o600]);
	});

	test('or refused, with the command that repairs its mode', async () => {
		mkdirSync(path);
		chmodSync(path, 0o750);
		await expect(Folder.open(path)).rejects.toMatchObject({
			code: 'config',
			message: expect.stringContaining(`its mode is 0750: chmod 700 ${path}`),
		});
		chmodSync(path, 0o700);
		(await Folder.open(path))[Symbol.dispose]();
	});

	test('or refused with its full mode, when a group may use it', async () => {
		mkdirSync(path);
		chmodSync(path, 0o2770);
		await expect(Folder.open(path)).rejects.toMatchObject({
			code: 'config',
			message: expect.stringContaining(`its mode is 02770: chmod 700 ${path}`) as string,
		});
		execFileSync('chmod', ['700', path]); // The command in the message works.
		(await Folder.open(path))[Symbol.dispose]();
	});

	test.runIf(process.getuid?.() === 0)(
		"or refused when it is another user's: chown, or a folder in a volume of the group",
		async () => {
			mkdirSync(path);
			chmodSync(path, 0o700);
			chownSync(path, 1001, 1001);
			await expect(Folder.open(path)).rejects.toMatchObject({
				code: 'config',
				message: expect.stringContaining(
					`it belongs to user 1001: as root, chown -R 0 ${path}; or choose another --data`,
				) as string,
			});
			chmodSync(path, 0o2770);
			await expect(Folder.open(path)).rejects.toMatchObject({
				message: expect.stringContaining(
					`use a folder in it, which the node makes itself: --data ${join(path, 'dapss')}`,
				) as string,
			});
			(await Folder.open(join(path, 'dapss')))[Symbol.dispose](); // The remedy of the message works.
			expect((await stat(join(path, 'dapss'))).mode & 0o777).toBe(0o700);
		},
	);

	test.runIf(process.platform === 'linux')(
		'a place where the system makes no folder is refused at once, without endless retries',
		async () => {
			await expect(Folder.open('/proc/dapss/data')).rejects.toMatchObject({
				code: 'storage',
				message: expect.stringContaining('The data folder /proc/dapss/data cannot be used') as string,
			});
		},
	);

	test('or refused with advice, when the process may not make or write it', () => {
		const self = process.getuid!();
		mkdirSync(path);
		expect(placeRemedy(path, 'EACCES')).toBe(`chmod 700 ${path}; or choose another --data`);
		const missing = join(path, 'none');
		expect(placeRemedy(missing, 'EACCES')).toBe(
			`as root, mkdir -p ${missing} && chown ${self} ${missing} && chmod 700 ${missing}; ` +
				'or choose another --data',
		);
		expect(placeRemedy(missing, 'EROFS')).toBe(
			'The disk is mounted read-only: mount it for writing, or choose a place on another one (--data)',
		);
	});

	test('or refused, when no folder can be made at its path', async () => {
		await writeFile(path, '');
		await expect(Folder.open(path)).rejects.toMatchObject({
			code: 'storage',
			message: expect.stringContaining(path),
		});
	});
});

async function openFiles(): Promise<NodeFiles> {
	await realFiles.makeFolder(path);
	return new NodeFiles(realFiles, path);
}

describe('files', () => {
	test('are replaced atomically, also when a crash left a partial file', async () => {
		const folder = await openFiles();
		expect(await folder.readJson('state.json')).toBeUndefined();
		await folder.writeJson('state.json', {a: 'x'.repeat(1000)});
		await writeFile(join(path, 'state.json.new'), 'y'.repeat(5000)); // A crash before the rename.
		expect(await folder.readJson('state.json')).toEqual({a: 'x'.repeat(1000)});
		await folder.writeJson('state.json', {b: 2});
		expect(await folder.readJson('state.json')).toEqual({b: 2});
		expect(await readdir(path)).not.toContain('state.json.new');
		await writeFile(join(path, 'state.json'), '{"b": ');
		await expect(folder.readJson('state.json')).rejects.toMatchObject({
			code: 'storage',
			message: expect.stringContaining('state.json'),
		});
	});

	test('of bytes have a checksum, which a read verifies', async () => {
		const folder = await openFiles();
		const {blobs} = folder;
		expect(await blobs.read('snapshot-1')).toBeUndefined();
		for (const bytes of [Buffer.alloc(0), Buffer.from('snapshot')]) {
			await blobs.write('snapshot-1', bytes);
			expect(Buffer.from((await blobs.read('snapshot-1'))!)).toEqual(bytes);
		}

		const stored = await readFile(join(path, 'snapshot-1'));
		for (let bit = 0; bit < stored.length * 8; bit++) {
			const flipped = Buffer.from(stored);
			flipped[bit >> 3]! ^= 1 << (bit & 7);
			await writeFile(join(path, 'snapshot-1'), flipped);
			await expect(blobs.read('snapshot-1')).rejects.toMatchObject({code: 'storage'});
		}

		await writeFile(join(path, 'snapshot-1'), 'abc');
		await expect(blobs.read('snapshot-1')).rejects.toMatchObject({code: 'storage'});
		expect(await blobs.list()).toContain('snapshot-1');
		await blobs.unlink('snapshot-1');
		expect(await blobs.list()).not.toContain('snapshot-1');
	});
});

describe('topics', () => {
	const names = [
		'news',
		'News',
		'a/b',
		'a_b',
		'..',
		'.',
		'../../etc',
		'-rf',
		'con',
		'ü',
		'u\u0308',
		'日本語'.repeat(20),
		'👩‍👩‍👧',
		'x'.repeat(255),
		' ',
		'a.b-c_d',
		'__proto__',
	] as Topic[];

	test('of any name have a folder of their own inside the data folder, and keep their name', async () => {
		const folder = await openFiles();
		expect(await folder.topics()).toEqual([]);
		const folders = [];
		for (const name of names) folders.push(await folder.topicFolder(name));
		expect(new Set(folders.map(one => one.toLowerCase())).size).toBe(names.length);
		for (const one of folders) expect(one).toMatch(new RegExp(`^${path}/topics/[\\w][\\w.-]{0,60}$`));
		expect(await folder.topicFolder(names[0]!)).toBe(folders[0]);
		expect(await folder.topics()).toEqual(names.toSorted());
	});
});
