/** How commands and nodes exit: real signals, pipes and shells. */
import {spawn, type ChildProcess} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {portHolder} from '../../source/nodes/port.ts';
import {cli, exitCodeOf, nodeFlags, run, runAt, serverFlags} from './support/command.ts';

const node = process.execPath;
const quoted = (args: readonly string[]): string =>
	args.map(word => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');

/** Runs a line of bash until it exits. */
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

/** Resolves when the stream contains the text. */
function waitForOutput(child: ChildProcess, stream: 'stdout' | 'stderr', text: string): Promise<void> {
	return new Promise((resolve, reject) => {
		let output = '';
		child[stream]!.on('data', (chunk: Buffer) => {
			output += chunk.toString();
			if (output.includes(text)) resolve();
		});
		child.once('close', code => reject(new Error(`Exit code ${code} before the output ${text}: ${output}`)));
	});
}

const childrenOf = (pid: number): readonly number[] =>
	readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** A zombie has exited: its parent did not wait for it. */
function isRunning(pid: number): boolean {
	try {
		return !/\) Z /u.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
	} catch (error) {
		expect(['ENOENT', 'ESRCH']).toContain((error as NodeJS.ErrnoException).code);
		return false;
	}
}

describe.skipIf(process.platform !== 'linux')('a follower exits with the reader of its output', () => {
	test('subscribe and events --watch detect a closed pipe at once, also if no message arrives', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(1);
		const server = serverFlags(cluster, cluster.nodes[0]!);
		// No message arrives and no event happens, so nothing but the closed pipe can end these commands.
		const quiet = await bash(
			`${quoted([node, cli, 'subscribe', 'quiet', ...server])} | true; echo "\${PIPESTATUS[0]}"`,
		);
		expect(quiet.out).toBe('0\n');
		const events = await bash(
			`${quoted([node, cli, 'events', '--watch', ...server])} | head -1; echo "\${PIPESTATUS[0]}"`,
		);
		expect(events.out).toMatch(/^\S+Z INFO .*\n0\n$/);
		// Detection uses an internal part of Node. Its deprecation warning must not reach the user.
		const pending = await bash(
			`${quoted([node, '--pending-deprecation', cli, 'subscribe', 'quiet', ...server])} | true`,
		);
		expect(pending.err).toMatch(/^(?:Subscribed to quiet at \S+\n)?$/);
		// The child of a Node program writes into a socket, as the child of sshd does.
		for (const [command, stream, text] of [
			[['subscribe', 'quiet'], 'stderr', 'Subscribed'],
			[['events', '--watch'], 'stdout', 'Ready'],
		] as const) {
			const child = spawn(node, [cli, ...command, ...server], {stdio: ['ignore', 'pipe', 'pipe']});
			await waitForOutput(child, stream, text);
			const code = exitCodeOf(child);
			child.stdout.destroy();
			expect(await code, command.join(' ')).toBe(0);
		}

		const counted = await bash(
			`${quoted([node, cli, 'subscribe', 'quiet', '--count', '2', ...server])} | true; echo "\${PIPESTATUS[0]}"`,
		);
		expect(counted.out).toBe('16\n');
		expect(counted.err).toContain('The reader of the output is gone: 0 of 2 messages received');
	}, 60_000);
});

describe('signals', () => {
	test('subscribe exits with the code of its signal, with and without --count; the end of --wait has code 16', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(1);
		const server = serverFlags(cluster, cluster.nodes[0]!);
		for (const [signal, expected] of [
			['SIGTERM', 143],
			['SIGHUP', 129],
			['SIGINT', 130],
		] as const) {
			for (const flags of [[], ['--count', '2']]) {
				const child = spawn(node, [cli, 'subscribe', 'quiet', ...flags, ...server], {
					stdio: ['ignore', 'ignore', 'pipe'],
				});
				await waitForOutput(child, 'stderr', 'Subscribed');
				child.kill(signal);
				expect(await exitCodeOf(child), `${signal} ${flags.join(' ')}`).toBe(expected);
			}
		}

		expect(await run(['subscribe', 'quiet', '--count', '1', '--wait', '200ms', ...server])).toMatchObject({
			code: 16,
		});
	}, 60_000);
});

test('an interrupted publish reports the number of stored messages', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const server = serverFlags(cluster, cluster.nodes[0]!);
	await using broker = await cluster.client(cluster.nodes[0]);
	await using subscription = broker.subscribe(['lines']);
	await subscription.agreed;
	const child = spawn(node, [cli, 'publish', 'lines', '-', '-o', 'json', ...server], {
		stdio: ['pipe', 'pipe', 'pipe'],
	});
	let out = '';
	let err = '';
	child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
	child.stderr.on('data', (chunk: Buffer) => void (err += chunk.toString()));
	child.stdin.write('one\ntwo\nthree\nwithout an end');
	let received = 0;
	for await (const deliveries of subscription) {
		received += deliveries.length;
		if (received >= 3) break;
	}

	child.kill('SIGTERM');
	expect(await exitCodeOf(child)).toBe(143);
	expect(err).toBe('dapss-tui: Interrupted by SIGTERM (3 messages are stored)\n');
	expect(JSON.parse(out)).toMatchObject({type: 'error', code: 'interrupted', exitCode: 143, stored: 3});
}, 60_000);

describe.skipIf(process.platform !== 'linux')('a headless node', () => {
	/** A node that a shell starts, and its process. @param lineOf the line of the shell for the command of the node */
	async function startInShell(
		cluster: Cluster,
		lineOf: (command: string) => string,
	): Promise<{readonly shell: ChildProcess; readonly pid: number; readonly port: number}> {
		const [port] = (await freePorts(1)) as [number];
		const command = quoted([node, cli, '--headless', '-o', 'jsonl', ...nodeFlags(cluster, port)]);
		const shell = spawn('bash', ['-c', lineOf(command)], {
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {...process.env, ...cluster.env},
		});
		let pid = '';
		shell.stderr.on('data', (chunk: Buffer) => {
			pid ||= /^pid (\d+)$/m.exec(chunk.toString())?.[1] ?? '';
		});
		await waitForOutput(shell, 'stdout', '"type":"admitted"');
		return {shell, pid: Number(pid), port};
	}

	test.each([
		['nohup', (command: string) => `nohup ${command} & echo "pid $!" >&2; wait $!`],
		['a shell that ignores SIGHUP', (command: string) => `trap '' HUP; ${command} & echo "pid $!" >&2; wait $!`],
	])(
		'started by %s ignores SIGHUP, and SIGTERM ends it cleanly',
		async (_parent, lineOf) => {
			await using cluster = new Cluster({cli});
			const {shell, pid, port} = await startInShell(cluster, lineOf);
			process.kill(pid, 'SIGHUP');
			expect(await runAt(cluster, {port}, 'status')).toMatchObject({code: 0, stderr: ''});
			expect(isRunning(pid)).toBe(true);
			process.kill(pid, 'SIGTERM');
			expect(await exitCodeOf(shell)).toBe(0);
		},
		60_000,
	);

	test('started by any other shell ends cleanly on SIGHUP, with exit code 129', async () => {
		await using cluster = new Cluster({cli});
		const {shell, pid} = await startInShell(cluster, command => `${command} & echo "pid $!" >&2; wait $!`);
		let out = '';
		shell.stdout!.on('data', (chunk: Buffer) => void (out += chunk.toString()));
		process.kill(pid, 'SIGHUP');
		expect(await exitCodeOf(shell)).toBe(129);
		expect(out).toContain('"type":"stopped"');
	}, 60_000);

	test('started by an older Node as launcher ends when SIGKILL ends the launcher', async () => {
		await using cluster = new Cluster({cli});
		const [port] = await freePorts(1);
		const args = [cli, '--headless', '-o', 'jsonl', ...nodeFlags(cluster, port!, 'data')];
		const script = `const {handOver} = await import(${JSON.stringify(new URL('../../source/node-version.mjs', import.meta.url).href)}); handOver(process.execPath, ${JSON.stringify(args)});`;
		const launcher = spawn(node, ['--input-type=module', '-e', script], {
			stdio: ['ignore', 'pipe', 'inherit'],
			env: {...process.env, ...cluster.env},
		});
		await waitForOutput(launcher, 'stdout', '"type":"admitted"');
		expect(portHolder('127.0.0.1', port!, 'TCP')).toMatch(/\(pid \d+\)/);
		launcher.kill('SIGKILL');
		// The output closes when the last process that holds it ends.
		await exitCodeOf(launcher);
		expect(portHolder('127.0.0.1', port!, 'TCP')).toBeUndefined();
	}, 60_000);

	test('SIGKILL of a benchmark ends its nodes and clients', async () => {
		const bench = spawn(node, [cli, 'bench', 'latency', '--nodes', '3', '--rate', '100', '--count', '1000000'], {
			stdio: ['ignore', 'ignore', 'pipe'],
			env: process.env,
		});
		await waitForOutput(bench, 'stderr', 'publishing');
		// Three nodes, a subscriber at each, and the publisher.
		await expect.poll(() => childrenOf(bench.pid!), {timeout: 20_000}).toHaveLength(7);
		const children = childrenOf(bench.pid!);
		bench.kill('SIGKILL');
		await expect.poll(() => children.filter(pid => isRunning(pid)), {timeout: 20_000}).toEqual([]);
	}, 60_000);

	test('SIGUSR1 opens no debugger', async () => {
		await using cluster = new Cluster({cli});
		const {shell, pid, port} = await startInShell(cluster, command => `${command} & echo "pid $!" >&2; wait $!`);
		process.kill(pid, 'SIGUSR1');
		expect(await runAt(cluster, {port}, 'status')).toMatchObject({code: 0});
		expect(portHolder('127.0.0.1', 9229, 'TCP') ?? '').not.toContain(`(pid ${pid})`);
		process.kill(pid, 'SIGTERM');
		expect(await exitCodeOf(shell)).toBe(0);
	}, 60_000);
});
