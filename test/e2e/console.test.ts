/**
The console in a real pseudo-terminal, at three sizes, and the state of the terminal afterwards.
*/
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {Terminal} from './support/terminal.ts';

const escape = '\u001B';
let cluster: Cluster;
let home: string;
beforeAll(async () => {
	home = mkdtempSync(join(tmpdir(), 'dapss-home-'));
	cluster = new Cluster({cli});
	await cluster.startAll(3);
}, 60_000);
afterAll(async () => {
	await cluster[Symbol.asyncDispose]();
	rmSync(home, {recursive: true, force: true});
});

const env = (): Record<string, string> => ({
	HOME: home,
	XDG_CONFIG_HOME: join(home, 'config'),
	XDG_DATA_HOME: join(home, 'data'),
	XDG_STATE_HOME: join(home, 'state'),
	XDG_CACHE_HOME: join(home, 'cache'),
	XDG_RUNTIME_DIR: home,
});

async function open(columns: number, rows: number, wanted?: number, ...flags: readonly string[]): Promise<Terminal> {
	const port = wanted ?? (await freePorts(1))[0];
	return new Terminal(
		process.execPath,
		[
			cli,
			'--port',
			String(port),
			'--bootstrap',
			String(cluster.nodes[0]!.port),
			...cluster.clientFlags,
			'--data',
			join(cluster.folder, `console-${port}`),
			...flags,
		],
		{columns, rows, env: env()},
	);
}

describe.each([
	[80, 24],
	[120, 36],
	[160, 45],
])('at %i×%i', (columns, rows) => {
	test('panes, subscribe, publish, filter, inspect, resize, quit', async () => {
		await using terminal = await open(columns, rows);
		await terminal.waitFor(/quorum 3\/3/, 'a member of the cluster');
		for (const name of ['Peers', 'Raft', 'Topics', 'Messages', 'Partition', 'Events'])
			expect(terminal.text()).toContain(name);
		const topic = `keys${columns}`;
		terminal.press('s');
		await terminal.waitFor(/Subscribe/);
		await terminal.type(`${topic}\r`);
		await terminal.waitFor(new RegExp(`ubscribed to ${topic}`), 'the subscription');
		terminal.press(':');
		await terminal.waitFor(/^:/m, 'the prompt');
		await terminal.type(`publish ${topic} hello from the keys\r`);
		terminal.press('4');
		await terminal.waitFor(/hello from the keys/);
		const broker = await cluster.client();
		await broker.publish(topic, [
			Buffer.from('needle'),
			Buffer.from(`${escape}[2J${escape}]0;owned\u0007${escape}]52;c;aGk=\u0007\r\nrow\u202Eflip`),
		]);
		await broker[Symbol.asyncDispose]();
		await terminal.waitFor(/needle/);
		await terminal.waitFor(/␛\[2J/, 'the hostile text, made visible');
		terminal.press('/');
		await terminal.type('needle\r');
		await terminal.waitFor(
			text => text.includes('needle') && !text.includes('hello from the keys'),
			'only what the filter lets through',
		);
		terminal.press('\r');
		await terminal.waitFor(/Esc close/, 'all about the message');
		terminal.press(escape);
		await terminal.waitFor(/: command/, 'the window closed');
		terminal.press(escape);
		await terminal.waitFor(/hello from the keys/, 'the filter dropped');
		terminal.resize(columns + 20, rows + 4);
		await terminal.waitFor(
			text => text.split('\n').some(line => /[┓╮]$/.test(line) && line.length === columns + 20),
			'the new size',
		);
		terminal.resize(columns, rows);
		await terminal.waitFor(
			text =>
				/[┓╮]$/m.test(text) &&
				text.split('\n').some(line => /[┓╮]$/.test(line) && line.length === columns) &&
				text.includes('hello from the keys'),
			'the old size',
		);
		expect(terminal.isAlternate).toBe(true);
		terminal.press('q');
		await terminal.waitFor(/Quit\?/);
		terminal.press('y');
		expect((await terminal.exited).exitCode).toBe(0);
		expect(terminal.isAlternate).toBe(false);
		expect(terminal.text()).not.toContain('Peers');
		// No text of a message reached the terminal as a command: no title, no clipboard.
		expect(terminal.raw).not.toContain(`${escape}]52`);
		expect(terminal.raw).not.toContain(`${escape}]0;owned`);
	}, 90_000);
});

test(':doctor examines the machine in a window that scrolls, while the console continues', async () => {
	await using terminal = await open(100, 24, undefined, '--no-discovery');
	await terminal.waitFor(/quorum 3\/3/, 'a member of the cluster');
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.type('doctor\r');
	await terminal.waitFor(/is examined/, 'that it is examined');
	terminal.press(escape);
	await terminal.waitFor(/: command/, 'the panes, meanwhile');
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.type('doctor\r');
	await terminal.waitFor(/its node runs here\. 18 checks/, 'what was found');
	await terminal.waitFor(/node-version: /);
	terminal.press('G');
	await terminal.waitFor(/clock-offset: \d+ clocks of nodes compared/, 'the last check');
	terminal.press('g');
	await terminal.waitFor(/18 checks/, 'the first line');
}, 60_000);

test('a signal restores the terminal, too', async () => {
	await using terminal = await open(100, 30);
	await terminal.waitFor(/Messages/);
	process.kill(terminal.pid, 'SIGTERM');
	await terminal.exited;
	expect(terminal.isAlternate).toBe(false);
	expect(terminal.raw.lastIndexOf(`${escape}[?25h`)).toBeGreaterThan(terminal.raw.lastIndexOf(`${escape}[?25l`));
});

test('q shows the cost, and l lets the node leave its cluster', async () => {
	const [port] = await freePorts(1);
	await using terminal = await open(100, 30, port);
	await terminal.waitFor(/quorum 3\/3/, 'a member of the cluster');
	terminal.press('ql'); // Not an answer: the question was not seen yet.
	await terminal.waitFor(/What should \S+ do\?/);
	await terminal.waitFor(/it starts again as a new member/);
	terminal.press('l');
	expect((await terminal.exited).exitCode).toBe(0);
	expect(terminal.raw).toContain(
		'The node has left its cluster. Started again with its data folder it joins as a new member',
	);
	const broker = await cluster.client();
	const {members} = await broker.snapshot();
	expect(members.map(({address}) => address)).not.toContain(`127.0.0.1:${port}`);
	await broker[Symbol.asyncDispose]();
}, 60_000);

test('with --leave a signal lets the node of a console leave its cluster', async () => {
	const [port] = await freePorts(1);
	await using terminal = await open(100, 30, port, '--leave');
	await terminal.waitFor(/quorum 3\/3/, 'a member of the cluster');
	process.kill(terminal.pid, 'SIGTERM');
	expect((await terminal.exited).exitCode).toBe(0);
	expect(terminal.isAlternate).toBe(false);
	const broker = await cluster.client();
	expect((await broker.snapshot()).members.map(({address}) => address)).not.toContain(`127.0.0.1:${port}`);
	await broker[Symbol.asyncDispose]();
}, 60_000);
