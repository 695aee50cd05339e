/** The programs in examples/ run unchanged, with imports of the package by its name. */
import {spawnSync, type SpawnSyncReturns} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess} from '../../bench/cluster.ts';
import {createIdentity} from '../../core/wire/seal.ts';
import {cli, run} from './support/command.ts';
import {CommandProcess} from './support/command-process.ts';
import {isReady} from './support/events.ts';
import {foreignSecret, userFolders} from './support/folders.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const example = (name: string): string => join(root, 'examples', name);
const bin = join(root, 'source/bin.mjs');
const hasBash = spawnSync('bash', ['--version']).status === 0;
const hasVerify = spawnSync('systemd-analyze', ['--version']).status === 0;
if (!hasVerify) process.stderr.write('The unit of systemd was not verified: this machine has no systemd-analyze\n');

/** Runs a program in an empty folder, so that it finds no files of the repository by chance. */
function runInFolder(
	program: string,
	args: readonly string[],
	env: Readonly<Record<string, string>> = {},
): SpawnSyncReturns<string> {
	return spawnSync(program, args, {
		encoding: 'utf8',
		cwd: folder,
		env: {...process.env, ...env, NO_COLOR: '1'},
		timeout: 60_000,
	});
}

/** An example in the empty folder. */
class Program extends CommandProcess {
	constructor(program: string, args: readonly string[]) {
		super(process.execPath, [program, ...args], {cwd: folder});
	}

	get lines(): readonly string[] {
		return this.stdout.split('\n').slice(0, -1);
	}

	/** Resolves when the program has printed the line. */
	waitForLine(line: string | RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
		const isLine = (text: string): boolean => (typeof line === 'string' ? text === line : line.test(text));
		return this.until(() => this[stream].split('\n').some(isLine), String(line));
	}

	/** Writes a line to standard input. */
	writeLine(line: string): void {
		this.child.stdin!.write(`${line}\n`);
	}
}

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-examples-'));
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

test('embedded.mjs runs a node inside a program', async () => {
	const [port] = await freePorts(1);
	const {status, stdout, stderr} = runInFolder(process.execPath, [example('embedded.mjs'), String(port)], {
		...userFolders(folder),
	});
	expect({status, stderr}).toEqual({status: 0, stderr: ''});
	expect(stdout).toMatch(
		new RegExp(
			`^node [0-9a-f]{16} listens on port ${port}\n2 messages stored\nweather: rain\nweather: sun\n$`,
			'u',
		),
	);
}, 60_000);

describe('programs that connect to nodes', () => {
	let cluster: Cluster;
	let addresses: string[];
	beforeAll(async () => {
		cluster = new Cluster({cli, topics: ['jobs', 'results']});
		await cluster.startAll(2);
		addresses = cluster.nodes.map(({port}) => `127.0.0.1:${port}`);
	}, 60_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	/** Starts a program that connects to these servers of the cluster. */
	const startClient = (name: string, args: readonly string[], servers: readonly string[] = addresses): Program =>
		new Program(example(name), [
			...args,
			...servers.flatMap(server => ['--server', server]),
			'--secret-file',
			cluster.secretFile,
			'--cluster',
			cluster.name,
		]);

	test('client.mjs publishes and reads, and its errors name a wrong cluster and missing arguments', () => {
		const address = addresses[0]!;
		const {status, stdout, stderr} = runInFolder(process.execPath, [
			example('client.mjs'),
			address,
			cluster.secretFile,
			cluster.name,
		]);
		expect({status, stderr}).toEqual({status: 0, stderr: ''});
		expect(stdout).toMatch(new RegExp(`^connected to ${address}\nweather \\d+: rain\nweather \\d+: sun\n$`, 'u'));
		const outsider = runInFolder(process.execPath, [example('client.mjs'), address, cluster.secretFile, 'another']);
		expect(outsider).toMatchObject({
			status: 1,
			stdout: '',
			stderr: expect.stringMatching(/^[^\n]+ is not of the cluster "another"[^\n]*\n$/u) as string,
		});
		expect(runInFolder(process.execPath, [example('client.mjs')])).toMatchObject({
			status: 2,
			stderr: 'Expected ADDRESS[,ADDRESS] [SECRET_FILE [CLUSTER]]\n',
		});
	}, 60_000);

	test('work-queue.mjs does each job once, also if a worker restarts', async () => {
		await using worker = startClient('work-queue.mjs', ['work', '0/2'], [addresses[0]!]);
		await using lost = startClient('work-queue.mjs', ['work', '1/2'], [addresses[1]!]);
		await lost.waitForLine('worker 1 of 2 is ready');
		await worker.waitForLine('worker 0 of 2 is ready');
		await using first = startClient('work-queue.mjs', ['submit', 'a job', 'two', 'three', 'four']);
		expect(await first.exited, first.stderr).toBe(0);
		expect(first.lines.toSorted()).toEqual(['A JOB', 'FOUR', 'THREE', 'TWO']);
		await lost.kill();

		await using second = startClient('work-queue.mjs', ['submit', 'five', 'six']);
		await worker.waitForLine(/^did \S+:6$/u);
		await using again = startClient('work-queue.mjs', ['work', '1/2'], [addresses[1]!]);
		expect(await second.exited, second.stderr).toBe(0);
		expect(second.lines.toSorted()).toEqual(['FIVE', 'SIX']);
		const doneBy = (program: Program): string[] =>
			program.lines.filter(line => line.startsWith('did ')).map(line => line.split(':')[2]!);
		expect([doneBy(worker), doneBy(lost), doneBy(again)]).toEqual([['2', '4', '6'], ['1', '3'], ['5']]);
	}, 60_000);

	test('chat.mjs continues at another node', async () => {
		await using ann = startClient('chat.mjs', ['--name', 'ann'], [addresses[0]!]);
		await using bob = startClient('chat.mjs', ['--name', 'bob'], addresses.toReversed());
		await ann.waitForLine(/^\(ann is in chat/u, 'stderr');
		await bob.waitForLine(/^\(bob is in chat/u, 'stderr');
		ann.writeLine('hello \u001B[31mbob');
		for (const program of [ann, bob]) await program.waitForLine('ann: hello [31mbob');
		await cluster.nodes[1]!.kill('SIGTERM');
		await bob.waitForLine(`(connected to ${addresses[0]})`, 'stderr');
		bob.writeLine('still here');
		await ann.waitForLine('bob: still here');
		ann.writeLine('good night');
		await bob.waitForLine('ann: good night');
		for (const program of [ann, bob]) {
			program.endInput();
			expect(await program.exited, program.stderr).toBe(0);
		}
	}, 60_000);
});

test('in-process-cluster.test.mjs passes and removes its files', () => {
	const {status, stdout, stderr} = runInFolder(process.execPath, ['--test', example('in-process-cluster.test.mjs')], {
		TMPDIR: folder,
	});
	expect(status, stdout + stderr).toBe(0);
	expect(stdout).toMatch(/pass 2$/mu);
	expect(readdirSync(folder).filter(name => name.startsWith('my-application-'))).toEqual([]);
}, 60_000);

test.runIf(hasBash)(
	'three-nodes.sh starts a cluster of three',
	async () => {
		// The script uses three consecutive ports. Those after a free port are usually free, too.
		const [port] = await freePorts(1);
		const first = Math.min(port!, 65_000);
		const {status, stdout, stderr} = runInFolder('bash', [example('three-nodes.sh'), String(first)], {
			DAPSS: `${process.execPath} ${bin}`,
		});
		expect(status, stderr + stdout).toBe(0);
		expect(stdout).toMatch(/^(?:ok|warning): cluster three-nodes-\d+/u);
		expect(stdout).toContain('3 of 3 members alive');
		expect(stdout.endsWith('one\ntwo\nthree\n'), stdout).toBe(true);
	},
	90_000,
);

describe.skipIf(process.platform === 'win32')('dapss-tui.service', () => {
	const unit = readFileSync(example('dapss-tui.service'), 'utf8');
	const line = (name: string): string => new RegExp(`^${name}=(.*)$`, 'mu').exec(unit)![1]!;
	/** Moves the paths of the unit below the test's folder. */
	const moved = (text: string): string =>
		text.replaceAll('/var/lib/dapss', join(folder, 'lib')).replaceAll('/etc/dapss', join(folder, 'etc'));

	test.runIf(hasVerify)('systemd-analyze accepts the unit', () => {
		const copy = join(folder, 'dapss-tui.service');
		// The program is not installed on this machine.
		writeFileSync(copy, unit.replaceAll('/usr/bin/dapss-tui', '/bin/true'));
		const {status, stderr} = spawnSync('systemd-analyze', ['verify', '--man=no', copy], {encoding: 'utf8'});
		expect(stderr.split('\n').filter(text => text.includes('dapss-tui.service'))).toEqual([]);
		expect(status).toBe(0);
	});

	test('the command lines of the unit run doctor, then start and stop a node', async () => {
		const [port] = await freePorts(1);
		mkdirSync(join(folder, 'lib'), {mode: 0o700});
		mkdirSync(join(folder, 'etc'));
		writeFileSync(join(folder, 'etc/cluster.secret'), `${foreignSecret}\n`, {
			mode: 0o400,
		});
		writeFileSync(join(folder, 'etc/operator.identity'), JSON.stringify(createIdentity().toJson()), {mode: 0o400});
		const env = {
			...(Object.fromEntries(
				[...unit.matchAll(/^Environment=(.*)$/gmu)]
					.flatMap(match => moved(match[1]!).split(' '))
					.map(pair => pair.split('=')),
			) as Record<string, string>),
			DAPSS_PORT: String(port),
			XDG_RUNTIME_DIR: '',
		};
		const args = (name: string): string[] => moved(line(name)).split(' ').slice(1);
		const examined = await run(args('ExecStartPre'), {program: bin, env});
		expect(examined.code, examined.stdout.toString()).toBe(0);
		const node = new NodeProcess(port!, [bin, ...args('ExecStart'), '-o', 'jsonl'], false, process.execPath, env);
		await node.waitFor(isReady, 'ready');
		await node.kill(line('KillSignal') as NodeJS.Signals);
		expect(await node.exited).toBe(0);
	}, 60_000);
});
