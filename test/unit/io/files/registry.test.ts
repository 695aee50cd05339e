import {execFile, spawn} from 'node:child_process';
import {chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, unlink, utimes, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {listNodes, register, registryFolder} from '../../../../core/io/files/registry.ts';

let base = '';
beforeAll(async () => {
	base = await mkdtemp(join(tmpdir(), 'dapss-registry-'));
});
afterAll(() => rm(base, {recursive: true}));

const node = {
	port: 5000,
	address: '127.0.0.1:5000',
	cluster: 'dapss',
	clusterId: '',
	id: '1111111111111111',
	phase: 'starting',
};
const folderOf = (name: string): string => join(base, name, 'run');

test('nodes are listed while they run, for this user only', async () => {
	const folder = folderOf('a');
	expect(await listNodes(folder)).toEqual([]);
	const later = await register({...node, port: 5001}, folder);
	const registration = await register(node, folder);
	await Promise.all([registration.update({phase: 'running', clusterId: 'c1'}), registration.update({name: 'west'})]);
	expect(await listNodes(folder)).toMatchObject([
		{...node, phase: 'running', clusterId: 'c1', name: 'west', pid: process.pid},
		{port: 5001, name: ''},
	]);
	expect((await stat(folder)).mode & 0o777).toBe(0o700);
	for (const name of await readdir(folder)) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
	await registration[Symbol.asyncDispose]();
	await later[Symbol.asyncDispose]();
	expect(await listNodes(folder)).toEqual([]);
	expect(await readdir(folder)).toEqual([]);
});

test('entries of dead processes and invalid files are removed', async () => {
	const folder = folderOf('b');
	const registration = await register(node, folder);
	const child = spawn(process.execPath, ['-e', '']);
	await new Promise(resolve => child.once('exit', resolve));
	const left = {...node, born: ''};
	await writeFile(join(folder, 'dead.json'), JSON.stringify({...left, pid: child.pid}));
	// The process id of a dead process was reused.
	await writeFile(join(folder, 'reused.json'), JSON.stringify({...left, pid: process.pid, born: '1'}));
	await writeFile(join(folder, 'torn.json'), '{"pid": 1');
	await writeFile(join(folder, 'odd.json'), 'null');
	expect(await listNodes(folder)).toHaveLength(1);
	expect(await readdir(folder)).toHaveLength(1);
	await registration[Symbol.asyncDispose]();
});

test('drafts that a process left are removed, and those of a running one are kept', async () => {
	const folder = folderOf('drafts');
	const registration = await register(node, folder);
	const [entry] = await readdir(folder);
	const text = await readFile(join(folder, entry!), 'utf8');
	const child = spawn(process.execPath, ['-e', '']);
	await new Promise(resolve => child.once('exit', resolve));
	await writeFile(join(folder, '1-a.json.new'), JSON.stringify({...JSON.parse(text), pid: child.pid}));
	await writeFile(join(folder, '2-b.json.new'), '');
	const old = Date.now() / 1000 - 61;
	await utimes(join(folder, '2-b.json.new'), old, old);
	await writeFile(join(folder, '3-c.json.new'), '');
	await writeFile(join(folder, '4-d.json.new'), text);
	expect(await listNodes(folder)).toHaveLength(1);
	expect((await readdir(folder)).toSorted()).toEqual(['3-c.json.new', '4-d.json.new', entry!].toSorted());
	await registration[Symbol.asyncDispose]();
});

test('a node that stops leaves neither an entry nor a draft, whatever it still writes', async () => {
	const folder = folderOf('stops');
	const registration = await register(node, folder);
	const before = registration.update({phase: 'running'});
	const closed = registration[Symbol.asyncDispose]();
	const after = registration.update({phase: 'stopped'});
	await Promise.all([before, closed, after]);
	await registration.update({name: 'west'});
	expect(await readdir(folder)).toEqual([]);
});

test('a write that fails leaves no draft', async () => {
	const folder = folderOf('fails');
	const registration = await register(node, folder);
	const [entry] = await readdir(folder);
	await unlink(join(folder, entry!));
	await mkdir(join(folder, entry!, 'in-the-way'), {recursive: true});
	await expect(registration.update({phase: 'running'})).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST|EPERM/);
	expect(await readdir(folder)).toEqual([entry]);
	await registration[Symbol.asyncDispose]();
});

describe.runIf(process.platform !== 'win32')('a folder that other users can change', () => {
	test('is not used: a node is not listed there, and entries there are neither read nor removed', async () => {
		const shared = join(base, 'shared');
		await mkdir(shared);
		await chmod(shared, 0o777);
		const folder = join(shared, 'run');
		await expect(register(node, folder)).rejects.toMatchObject({
			code: 'config',
			message: expect.stringMatching(
				/^Expected .*run to be closed to changes by others, the mode of .*chmod go-w/,
			),
		});
		await writeFile(join(folder, 'theirs.json'), JSON.stringify({...node, pid: process.pid, born: ''}));
		expect(await listNodes(folder)).toEqual([]);
		expect(await readdir(folder)).toEqual(['theirs.json']);
	});

	test('is used again when it was closed', async () => {
		const folder = folderOf('closed-again');
		await mkdir(folder, {recursive: true});
		await chmod(folder, 0o777);
		expect(await listNodes(folder)).toEqual([]);
		await chmod(folder, 0o755);
		await using _registration = await register(node, folder);
		expect(await listNodes(folder)).toHaveLength(1);
	});
});

describe.runIf(process.platform !== 'win32')('a link in the folder', () => {
	test('in the place of a draft is replaced, and its target stays as it is', async () => {
		const folder = folderOf('link');
		await mkdir(folder, {recursive: true, mode: 0o700});
		const target = join(base, 'victim.txt');
		await writeFile(target, 'precious');
		await symlink(target, join(folder, `${node.port}-${node.id}.json.new`));
		await using registration = await register(node, folder);
		await registration.update({phase: 'running'});
		expect(await readFile(target, 'utf8')).toBe('precious');
		expect(await listNodes(folder)).toHaveLength(1);
	});

	test('or a pipe, or a huge file in the place of an entry is not read', async () => {
		const folder = folderOf('odd-entries');
		await mkdir(folder, {recursive: true, mode: 0o700});
		const entry = JSON.stringify({...node, pid: process.pid, born: ''});
		await writeFile(join(base, 'elsewhere.json'), entry);
		await symlink(join(base, 'elsewhere.json'), join(folder, 'link.json'));
		await writeFile(join(folder, 'huge.json'), entry + ' '.repeat(100_000));
		await promisify(execFile)('mkfifo', [join(folder, 'pipe.json')]);
		expect(await listNodes(folder)).toEqual([]);
		expect(await readFile(join(base, 'elsewhere.json'), 'utf8')).toBe(entry);
	});
});

test.runIf(process.platform === 'linux')('the folder follows XDG', () => {
	expect(registryFolder({XDG_RUNTIME_DIR: '/run/user/1'})).toBe('/run/user/1/dapss');
	expect(registryFolder({XDG_STATE_HOME: '/s', HOME: '/h'})).toBe('/s/dapss/run');
	expect(registryFolder({HOME: '/h'})).toBe('/h/.local/state/dapss/run');
});
