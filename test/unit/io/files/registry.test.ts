import {spawn} from 'node:child_process';
import {mkdir, mkdtemp, readdir, readFile, rm, stat, unlink, utimes, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test, vi} from 'vitest';
import {formLock, listNodes, register, registryFolder} from '../../../../core/io/files/registry.ts';

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

test('the registry admits one founder at a time for each name', async () => {
	const folder = folderOf('c');
	const first = await formLock('dapss', folder);
	const order: string[] = [];
	const second = formLock('dapss', folder).then(lock => {
		order.push('second');
		return lock;
	});
	const other = await formLock('other', folder);
	order.push('other');
	await first[Symbol.asyncDispose]();
	await (await second)[Symbol.asyncDispose]();
	await other[Symbol.asyncDispose]();
	expect(order).toEqual(['other', 'second']);
	await (await formLock('dapss', folder))[Symbol.asyncDispose]();
});

test('the lock of a killed process is released', async () => {
	const folder = folderOf('d');
	const path = new URL('../../../../core/io/files/registry.ts', import.meta.url).pathname;
	const child = spawn(
		process.execPath,
		[
			'--input-type=module',
			'-e',
			`
		const {formLock} = await import(${JSON.stringify(path)});
		globalThis.lock = await formLock('dapss', ${JSON.stringify(folder)});
		console.log('held');
		setInterval(() => {}, 1000);
	`,
		],
		{stdio: ['ignore', 'pipe', 'inherit']},
	);
	await new Promise(resolve => child.stdout.once('data', resolve));
	const timers = vi.spyOn(globalThis, 'setTimeout');
	let isHeld = false;
	const lock = formLock('dapss', folder).then(taken => {
		isHeld = true;
		return taken;
	});
	// A try that finds the lock held sets a timer for the next one.
	await vi.waitUntil(() => timers.mock.calls.length >= 2);
	expect(isHeld).toBe(false);
	timers.mockRestore();
	child.kill('SIGKILL');
	await (await lock)[Symbol.asyncDispose]();
});

test.runIf(process.platform === 'linux')('the folder follows XDG', () => {
	expect(registryFolder({XDG_RUNTIME_DIR: '/run/user/1'})).toBe('/run/user/1/dapss');
	expect(registryFolder({XDG_STATE_HOME: '/s', HOME: '/h'})).toBe('/s/dapss/run');
	expect(registryFolder({HOME: '/h'})).toBe('/h/.local/state/dapss/run');
});
