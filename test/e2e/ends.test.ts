/** How commands and nodes end, with real signals, pipes and shells. */
import {spawn, type ChildProcess} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {portHolder} from '../../source/nodes/port.ts';
import {cli, run} from './support/command.ts';

const node = process.execPath;
const quoted = (words: readonly string[]): string =>
	words.map(word => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');

/** Runs a line of bash to its end; its standard output. */
function bash(line: string): Promise<{readonly code: number | null; readonly out: string; readonly err: string}> {
	return new Promise(resolve => {
		const child = spawn('bash', ['-c', line], {
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {...process.env, NO_COLOR: '1'},
		});
		let out = '';
		let err = '';
		child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
		child.stderr.on('data', (chunk: Buffer) => void (err += chunk.toString()));
		child.once('close', code => resolve({code, out, err}));
	});
}

/** Resolves when the text has appeared on the stream. */
function appears(child: ChildProcess, stream: 'stdout' | 'stderr', text: string): Promise<void> {
	return new Promise((resolve, reject) => {
		let seen = '';
		child[stream]!.on('data', (chunk: Buffer) => {
			seen += chunk.toString();
			if (seen.includes(text)) resolve();
		});
		child.once('close', code => reject(new Error(`ended with ${code} before it said ${text}: ${seen}`)));
	});
}

const childrenOf = (pid: number): readonly number[] =>
	readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** Not ended; who has ended and was not waited for is a zombie. */
function isRunning(pid: number): boolean {
	try {
		return !/\) Z /u.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
	} catch {
		return false;
	}
}

const codeOf = (child: ChildProcess): Promise<number | null> =>
	new Promise(resolve => child.once('close', code => resolve(code)));

describe.skipIf(process.platform !== 'linux')('followers end with their reader (case 23)', () => {
	test('subscribe and events --watch detect a closed pipe at once, although no message arrives', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(1);
		const where = ['--server', String(cluster.nodes[0]!.port), ...cluster.clientFlags];
		// They would wait for ever: no message comes, and nothing happens.
		const quiet = await bash(
			`${quoted([node, cli, 'subscribe', 'quiet', ...where])} | true; echo "\${PIPESTATUS[0]}"`,
		);
		expect(quiet.out).toBe('0\n');
		const events = await bash(
			`${quoted([node, cli, 'events', '--watch', ...where])} | head -1; echo "\${PIPESTATUS[0]}"`,
		);
		expect(events.out).toMatch(/^\S+Z INFO .*\n0\n$/);
		// What it is noticed with is an inner part of Node: neither that nor its absence is for the user.
		const pending = await bash(
			`${quoted([node, '--pending-deprecation', cli, 'subscribe', 'quiet', ...where])} | true`,
		);
		expect(pending.err).not.toMatch(/deprecat/i);
		// A program for Node has its child write into a socket, as sshd does.
		for (const command of [
			['subscribe', 'quiet'],
			['events', '--watch'],
		]) {
			const child = spawn(node, [cli, ...command, ...where], {stdio: ['ignore', 'pipe', 'pipe']});
			await appears(
				child,
				command[0] === 'subscribe' ? 'stderr' : 'stdout',
				command[0] === 'subscribe' ? 'Subscribed' : 'Ready',
			);
			const code = codeOf(child);
			child.stdout.destroy();
			expect(await code, command.join(' ')).toBe(0);
		}

		const counted = await bash(
			`${quoted([node, cli, 'subscribe', 'quiet', '--count', '2', ...where])} | true; echo "\${PIPESTATUS[0]}"`,
		);
		expect(counted.out).toBe('16\n');
		expect(counted.err).toContain('The reader of the output is gone: 0 of 2 messages received');
	}, 60_000);
});

describe('signals (case 24)', () => {
	test('a follower ends with the code of its signal, with or without enough messages; --wait ends with 16', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(1);
		const where = ['--server', String(cluster.nodes[0]!.port), ...cluster.clientFlags];
		for (const [signal, expected] of [
			['SIGTERM', 143],
			['SIGHUP', 129],
			['SIGINT', 130],
		] as const) {
			for (const flags of [[], ['--count', '2']]) {
				const child = spawn(node, [cli, 'subscribe', 'quiet', ...flags, ...where], {
					stdio: ['ignore', 'ignore', 'pipe'],
				});
				await appears(child, 'stderr', 'Subscribed');
				child.kill(signal);
				expect(await codeOf(child), `${signal} ${flags.join(' ')}`).toBe(expected);
			}
		}

		expect(await run(['subscribe', 'quiet', '--count', '1', '--wait', '200ms', ...where])).toMatchObject({
			code: 16,
		});
	}, 60_000);
});

test('an interrupted publish says how many messages are stored (case 30)', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const where = ['--server', String(cluster.nodes[0]!.port), ...cluster.clientFlags];
	await using broker = await cluster.client(cluster.nodes[0]);
	await using subscription = broker.subscribe(['lines']);
	await subscription.agreed;
	const child = spawn(node, [cli, 'publish', 'lines', '-', '-o', 'json', ...where], {
		stdio: ['pipe', 'pipe', 'pipe'],
	});
	let out = '';
	let err = '';
	child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
	child.stderr.on('data', (chunk: Buffer) => void (err += chunk.toString()));
	child.stdin.write('one\ntwo\nthree\nwithout an end');
	let seen = 0;
	for await (const deliveries of subscription) {
		seen += deliveries.length;
		if (seen >= 3) break;
	}

	child.kill('SIGTERM');
	expect(await codeOf(child)).toBe(143);
	expect(err).toBe('dapss-tui: Interrupted by SIGTERM (3 messages are stored)\n');
	expect(JSON.parse(out)).toMatchObject({type: 'error', code: 'interrupted', exitCode: 143, stored: 3});
}, 60_000);

describe.skipIf(process.platform !== 'linux')('a headless node (case 29)', () => {
	/** A node that a shell starts, and its process. */
	async function started(
		cluster: Cluster,
		line: (command: string) => string,
	): Promise<{readonly shell: ChildProcess; readonly pid: number; readonly port: number}> {
		const [port] = (await freePorts(1)) as [number];
		const command = quoted([
			node,
			cli,
			'--headless',
			'-o',
			'jsonl',
			'--port',
			String(port),
			'--data',
			join(cluster.folder, String(port)),
			...cluster.clientFlags,
		]);
		const shell = spawn('bash', ['-c', line(command)], {
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {...process.env, ...cluster.env},
		});
		let pid = '';
		shell.stderr.on('data', (chunk: Buffer) => {
			pid ||= /^pid (\d+)$/m.exec(chunk.toString())?.[1] ?? '';
		});
		await appears(shell, 'stdout', '"type":"admitted"');
		return {shell, pid: Number(pid), port};
	}

	test.each([
		['nohup', (command: string) => `nohup ${command} & echo "pid $!" >&2; wait $!`],
		['a shell that ignores it', (command: string) => `trap '' HUP; ${command} & echo "pid $!" >&2; wait $!`],
	])(
		'started by %s ignores SIGHUP, and SIGTERM ends it cleanly',
		async (_by, line) => {
			await using cluster = new Cluster({cli});
			const {shell, pid, port} = await started(cluster, line);
			process.kill(pid, 'SIGHUP');
			// It continues: it answers, and it is the same process.
			expect(await run(['status', '-o', 'json', '--server', String(port), ...cluster.clientFlags])).toMatchObject(
				{code: 0},
			);
			process.kill(pid, 'SIGTERM');
			expect(await codeOf(shell)).toBe(0);
		},
		60_000,
	);

	test('started in another way is ended cleanly by SIGHUP, with 129', async () => {
		await using cluster = new Cluster({cli});
		const {shell, pid} = await started(cluster, command => `${command} & echo "pid $!" >&2; wait $!`);
		let out = '';
		shell.stdout!.on('data', (chunk: Buffer) => void (out += chunk.toString()));
		process.kill(pid, 'SIGHUP');
		expect(await codeOf(shell)).toBe(129);
		expect(out).toContain('"type":"stopped"');
	}, 60_000);

	test('started by an older Node as launcher, is killed with the launcher by SIGKILL', async () => {
		await using cluster = new Cluster({cli});
		const [port] = await freePorts(1);
		const args = [
			cli,
			'--headless',
			'-o',
			'jsonl',
			'--port',
			String(port),
			'--data',
			join(cluster.folder, 'handed'),
			...cluster.clientFlags,
		];
		const script = `const {handOver} = await import(${JSON.stringify(new URL('../../source/node-version.mjs', import.meta.url).href)}); handOver(process.execPath, ${JSON.stringify(args)});`;
		const launcher = spawn(node, ['--input-type=module', '-e', script], {
			stdio: ['ignore', 'pipe', 'inherit'],
			env: {...process.env, ...cluster.env},
		});
		await appears(launcher, 'stdout', '"type":"admitted"');
		launcher.kill('SIGKILL');
		// Its output closes when the last who has it ends.
		await codeOf(launcher);
		expect(portHolder('127.0.0.1', port!, 'TCP')).toBeUndefined();
	}, 60_000);

	test('nodes and clients of a benchmark end when it is killed by SIGKILL', async () => {
		const bench = spawn(node, [cli, 'bench', 'latency', '--nodes', '3', '--rate', '100', '--count', '1000000'], {
			stdio: ['ignore', 'ignore', 'pipe'],
			env: process.env,
		});
		await appears(bench, 'stderr', 'publishing');
		const spawned = childrenOf(bench.pid!);
		expect(spawned.length).toBeGreaterThanOrEqual(3);
		bench.kill('SIGKILL');
		await expect.poll(() => spawned.filter(pid => isRunning(pid)), {timeout: 20_000}).toEqual([]);
	}, 60_000);

	test('SIGUSR1 opens no debugger', async () => {
		await using cluster = new Cluster({cli});
		const {shell, pid, port} = await started(cluster, command => `${command} & echo "pid $!" >&2; wait $!`);
		process.kill(pid, 'SIGUSR1');
		expect(await run(['status', '--server', String(port), ...cluster.clientFlags])).toMatchObject({code: 0});
		expect(portHolder('127.0.0.1', 9229, 'TCP') ?? '').not.toContain(`(pid ${pid})`);
		process.kill(pid, 'SIGTERM');
		expect(await codeOf(shell)).toBe(0);
	}, 60_000);
});
