/** Output for an operator without the console: the titles of processes in `ps`, and the log of a headless node. */
import {spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {createServer, type AddressInfo} from 'node:net';
import {describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {cli, jsonAt, nodeFlags, runAt, serverFlags, stop} from './support/command.ts';
import {isReady} from './support/events.ts';

/** The command line in `ps`. Zeros fill the space of the original arguments after the title. */
const titleOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();

describe.skipIf(process.platform !== 'linux')('ps', () => {
	test('shows the arguments of a command, and the name, port and cluster of a node, but no message', async () => {
		await using cluster = new Cluster({cli, flags: ['--name', 'berlin.1']});
		await cluster.startAll(1);
		const [node] = cluster.nodes;
		await expect
			.poll(() => titleOf(node!.pid))
			.toMatch(new RegExp(`^dapss-tui .*--port ${node!.port} .* \\(berlin\\.1 port`));

		const client = spawn(process.execPath, [cli, 'subscribe', 'some-topic', ...serverFlags(cluster, node!)], {
			stdio: ['ignore', 'ignore', 'pipe'],
		});
		await new Promise(resolve => client.stderr.once('data', resolve));
		expect(titleOf(client.pid!)).toBe(
			['dapss-tui', 'subscribe', 'some-topic', ...serverFlags(cluster, node!)].join(' '),
		);
		client.kill();

		// The command runs as long as it waits for a node that does not answer.
		const silent = createServer(() => undefined);
		await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
		const connected = new Promise(resolve => silent.once('connection', resolve));
		const args = ['--server', String((silent.address() as AddressInfo).port), ...cluster.clientFlags];
		const publisher = spawn(process.execPath, [cli, 'publish', 'some-topic', 'my diary', ...args], {
			stdio: 'ignore',
		});
		await connected;
		expect(titleOf(publisher.pid!)).toBe(['dapss-tui', 'publish', 'some-topic', '...', ...args].join(' '));
		await stop(publisher);
		silent.close();
	});
});

describe('the log of a headless node', () => {
	/** A node with text output, and its lines so far. */
	function startWithLog(
		cluster: Cluster,
		port: number,
		flags: readonly string[],
	): {readonly lines: () => readonly string[]; readonly stop: () => Promise<number | null>} {
		const child = spawn(process.execPath, [cli, '--headless', ...nodeFlags(cluster, port), ...flags], {
			stdio: ['ignore', 'pipe', 'ignore'],
			env: {...process.env, ...cluster.env, NO_COLOR: '1'},
		});
		let text = '';
		child.stdout.on('data', (chunk: Buffer) => {
			text += chunk.toString();
		});
		return {
			lines: () => text.split('\n').slice(0, -1),
			stop: () => stop(child),
		};
	}

	const logLine = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?:INFO |WARN |ERROR) \S/;

	test('has a date and a level in every line, as `events` has', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(1);
		const [port] = (await freePorts(1)) as [number];
		const node = startWithLog(cluster, port, ['--bootstrap', String(cluster.nodes[0]!.port)]);
		await expect
			.poll(() => node.lines().join('\n'), {timeout: 10_000})
			.toMatch(/ INFO {2}Running: node \S+ is a member of the cluster [0-9a-f]{8}/);
		const events = await runAt(cluster, {port}, 'events');
		for (const text of [...node.lines(), ...events.stdout.toString().trimEnd().split('\n')])
			expect(text).toMatch(logLine);
		expect(await node.stop()).toBe(0);
	});

	test('has each reason of a node that waits to join once, and reports that the node runs only after its admission', async () => {
		await using cluster = new Cluster({cli});
		const [seed, port] = (await freePorts(2)) as [number, number];
		const node = startWithLog(cluster, port, ['--bootstrap', String(seed)]);
		await expect
			.poll(() => node.lines().join('\n'), {timeout: 10_000})
			.toContain(`INFO  Waiting for 127.0.0.1:${seed} to answer (ECONNREFUSED)`);
		expect(node.lines().filter(text => text.includes('Ready: node'))).toEqual([
			expect.stringMatching(`listens on port ${port} for the cluster ${cluster.name}$`),
		]);
		const status = (): Promise<unknown> => jsonAt(cluster, {port}, 'status');
		expect(await status()).toMatchObject({
			phase: 'joining',
			detail: `waiting for 127.0.0.1:${seed} to answer (ECONNREFUSED)`,
		});
		expect(node.lines().join('\n')).not.toMatch(/running|is a member/);

		const first = cluster.startAlone(seed);
		await first.waitFor(isReady, 'the first node');
		await expect.poll(() => node.lines().join('\n'), {timeout: 10_000}).toContain(' INFO  Running: node ');
		expect(await status()).toMatchObject({phase: 'running', detail: ''});
		expect(node.lines().filter(text => text.includes(`${seed} to answer (ECONNREFUSED)`))).toHaveLength(1);
		expect(await node.stop()).toBe(0);
	});
});
