/** The programs in examples/ run as they are, with the package's own name. */
import {spawnSync, type SpawnSyncReturns} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess} from '../../bench/cluster.ts';
import {cli, run} from './support/command.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const example = (name: string): string => join(root, 'examples', name);
const bin = join(root, 'source/bin.mjs');
const hasBash = spawnSync('bash', ['--version']).status === 0;
const hasVerify = spawnSync('systemd-analyze', ['--version']).status === 0;
if (!hasVerify) process.stderr.write('The unit of systemd was not verified: there is no systemd-analyze here\n');

/** In the folder of somebody else, so that nothing is found by chance. */
function start(
	program: string,
	words: readonly string[],
	env: Readonly<Record<string, string>> = {},
): SpawnSyncReturns<string> {
	return spawnSync(program, words, {
		encoding: 'utf8',
		cwd: folder,
		env: {...process.env, ...env, NO_COLOR: '1'},
		timeout: 60_000,
	});
}

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-examples-'));
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

test('a node inside a program', async () => {
	const [port] = await freePorts(1);
	const {status, stdout, stderr} = start(process.execPath, [example('embedded.mjs'), String(port)], {
		XDG_CONFIG_HOME: join(folder, 'config'),
		XDG_DATA_HOME: join(folder, 'data'),
		XDG_STATE_HOME: join(folder, 'state'),
		XDG_RUNTIME_DIR: '',
	});
	expect({status, stderr}).toEqual({status: 0, stderr: ''});
	expect(stdout).toMatch(
		new RegExp(
			`^node [0-9a-f]{16} listens on port ${port}\n2 messages stored\nweather: rain\nweather: sun\n$`,
			'u',
		),
	);
}, 60_000);

test('a program that uses nodes of other processes', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const address = `127.0.0.1:${cluster.nodes[0]!.port}`;
	const {status, stdout, stderr} = start(process.execPath, [
		example('client.mjs'),
		address,
		cluster.secretFile,
		cluster.name,
	]);
	expect({status, stderr}).toEqual({status: 0, stderr: ''});
	expect(stdout).toMatch(new RegExp(`^connected to ${address}\nweather \\d+: rain\nweather \\d+: sun\n$`, 'u'));
	const unauthenticated = start(process.execPath, [example('client.mjs'), address, cluster.secretFile, 'another']);
	expect(unauthenticated).toMatchObject({
		status: 1,
		stdout: '',
		stderr: expect.stringMatching(/^[^\n]+ is not of the cluster "another"[^\n]*\n$/u) as string,
	});
	expect(start(process.execPath, [example('client.mjs')])).toMatchObject({
		status: 2,
		stderr: 'Expected ADDRESS[,ADDRESS] [SECRET_FILE [CLUSTER]]\n',
	});
}, 60_000);

test.runIf(hasBash)(
	'a cluster of three, by a script',
	async () => {
		// Three in a row: the first of them is where others are free too, most of the time.
		const [port] = await freePorts(1);
		const first = Math.min(port!, 65_000);
		const {status, stdout, stderr} = start('bash', [example('three-nodes.sh'), String(first)], {
			DAPSS: `${process.execPath} ${bin}`,
		});
		expect(status, stderr + stdout).toBe(0);
		expect(stdout).toMatch(/^(?:ok|warning): cluster three-nodes-\d+/u);
		expect(stdout).toContain('3 of 3 members alive');
		expect(stdout.endsWith('one\ntwo\nthree\n'), stdout).toBe(true);
	},
	90_000,
);

describe.skipIf(process.platform === 'win32')('the unit of systemd', () => {
	const unit = readFileSync(example('dapss-tui.service'), 'utf8');
	const line = (name: string): string => new RegExp(`^${name}=(.*)$`, 'mu').exec(unit)![1]!;
	/** Its paths, below the test's folder. */
	const moved = (text: string): string =>
		text.replaceAll('/var/lib/dapss', join(folder, 'lib')).replaceAll('/etc/dapss', join(folder, 'etc'));

	test.runIf(hasVerify)('is accepted by systemd', () => {
		const copy = join(folder, 'dapss-tui.service');
		// The program is not installed here, and that is all that may be missing.
		writeFileSync(copy, unit.replaceAll('/usr/bin/dapss-tui', '/bin/true'));
		const {status, stderr} = spawnSync('systemd-analyze', ['verify', '--man=no', copy], {encoding: 'utf8'});
		expect(stderr.split('\n').filter(text => text.includes('dapss-tui.service'))).toEqual([]);
		expect(status).toBe(0);
	});

	test('starts a node with its own command line, after doctor', async () => {
		const [port] = await freePorts(1);
		mkdirSync(join(folder, 'lib'), {mode: 0o700});
		mkdirSync(join(folder, 'etc'));
		writeFileSync(join(folder, 'etc/cluster.secret'), 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M\n', {
			mode: 0o400,
		});
		const env = {
			...(Object.fromEntries(
				[...unit.matchAll(/^Environment=(.*)$/gmu)]
					.flatMap(match => moved(match[1]!).split(' '))
					.map(pair => pair.split('=')),
			) as Record<string, string>),
			DAPSS_PORT: String(port),
			XDG_RUNTIME_DIR: '',
		};
		const words = (name: string): string[] => moved(line(name)).split(' ').slice(1);
		const examined = await run(words('ExecStartPre'), {program: bin, env});
		expect(examined.code, examined.stdout.toString()).toBe(0);
		const node = new NodeProcess(port!, [bin, ...words('ExecStart'), '-o', 'jsonl'], false, process.execPath, env);
		await node.waitFor(({type}) => type === 'ready', 'ready');
		await node.kill(line('KillSignal') as NodeJS.Signals);
		expect(await node.exited).toBe(0);
	}, 60_000);
});
