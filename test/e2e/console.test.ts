/** The console in a real pseudo-terminal, at three sizes, and the state of the terminal afterwards. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {cli, nodeFlags} from './support/command.ts';
import {publishTexts, withClient} from './support/brokers.ts';
import {userFolders} from './support/folders.ts';
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

/** A console with a node of its own, which joins the cluster. @param fixedPort by default a free one */
async function open(columns: number, rows: number, fixedPort?: number, ...flags: readonly string[]): Promise<Terminal> {
	const port = fixedPort ?? (await freePorts(1))[0]!;
	return new Terminal(
		process.execPath,
		[cli, '--bootstrap', String(cluster.nodes[0]!.port), ...nodeFlags(cluster, port, `console-${port}`), ...flags],
		{
			columns,
			rows,
			env: {...userFolders(home), XDG_RUNTIME_DIR: home, DAPSS_IDENTITY_FILE: cluster.identityFile},
		},
	);
}

const memberAddresses = (): Promise<string[]> =>
	withClient(cluster, cluster.nodes[0]!, async broker =>
		(await broker.snapshot()).members.map(({address}) => address),
	);

describe.each([
	[80, 24],
	[120, 36],
	[160, 45],
])('at %i×%i', (columns, rows) => {
	test('the console shows its panes, subscribes, publishes, filters, inspects a message, resizes and quits', async () => {
		await using terminal = await open(columns, rows);
		await terminal.waitFor(/quorum held: 3 of 3 up/, 'a member of the cluster');
		for (const name of ['Peers', 'Raft', 'Topics', 'Messages', 'Partition', 'Events'])
			expect(terminal.text()).toContain(name);
		const topic = `keys${columns}`;
		terminal.press('s');
		await terminal.waitFor(/Subscribe/);
		await terminal.enter(topic);
		await terminal.waitFor(new RegExp(`ubscribed to ${topic}`), 'the subscription');
		terminal.press(':');
		await terminal.waitFor(/^:/m, 'the prompt');
		await terminal.enter(`publish ${topic} hello from the keys`);
		terminal.press('4');
		await terminal.waitFor(/hello from the keys/);
		const hostile = `${escape}[2J${escape}]0;owned\u0007${escape}]52;c;aGk=\u0007\r\nrow\u202Eflip`;
		await withClient(cluster, cluster.nodes[0]!, broker => publishTexts(broker, topic, ['needle', hostile]));
		await terminal.waitFor(/needle/);
		await terminal.waitFor(/␛\[2J/, 'the visible form of the control characters');
		terminal.press('/');
		await terminal.waitFor(/Filter .*:/, 'the prompt');
		await terminal.enter('needle');
		await terminal.waitFor(
			text => text.includes('needle') && !text.includes('hello from the keys'),
			'only the messages that match the filter',
		);
		terminal.press('\r');
		await terminal.waitFor(/Esc close/, 'the details of the message');
		terminal.press(escape);
		await terminal.waitFor(/: command/, 'the closed window');
		terminal.press(escape);
		await terminal.waitFor(/hello from the keys/, 'all messages, without the filter');
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
		expect(await terminal.quit()).toBe(0);
		expect(terminal.isAlternate).toBe(false);
		expect(terminal.text()).not.toContain('Peers');
		// No text of a message reached the terminal as a command: neither a title nor the clipboard changed.
		expect(terminal.raw).not.toContain(`${escape}]52`);
		expect(terminal.raw).not.toContain(`${escape}]0;owned`);
	}, 90_000);
});

test(':doctor checks the machine and scrolls its report in a window, while the console continues', async () => {
	await using terminal = await open(100, 24, undefined, '--no-discovery');
	await terminal.waitFor(/quorum held: 3 of 3 up/, 'a member of the cluster');
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.enter('doctor');
	await terminal.waitFor(/is examined/, 'the progress of the checks');
	terminal.press(escape);
	await terminal.waitFor(/: command/, 'the panes during the checks');
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.enter('doctor');
	await terminal.waitFor(/its node runs here\. 19 checks/, 'the report');
	await terminal.waitFor(/node-version: /);
	terminal.press('G');
	await terminal.waitFor(/clock-offset: \d+ clocks of nodes compared/, 'the last check');
	terminal.press('g');
	await terminal.waitFor(/19 checks/, 'the first line');
}, 60_000);

test('SIGTERM restores the terminal', async () => {
	await using terminal = await open(100, 30);
	await terminal.waitFor(/Messages/);
	process.kill(terminal.pid, 'SIGTERM');
	expect((await terminal.exited).exitCode).toBe(0);
	expect(terminal.isAlternate).toBe(false);
	// The cursor is visible: the last sequence shows it.
	expect(terminal.raw.lastIndexOf(`${escape}[?25h`)).toBeGreaterThan(terminal.raw.lastIndexOf(`${escape}[?25l`));
});

test('q shows the cost of a stop, and l makes the node leave its cluster', async () => {
	const [port] = await freePorts(1);
	await using terminal = await open(100, 30, port);
	await terminal.waitFor(/quorum held: 3 of 3 up/, 'a member of the cluster');
	terminal.press('ql'); // The l is no answer: the question is not on the screen yet.
	await terminal.waitFor(/What should \S+ do\?/);
	await terminal.waitFor(/it starts again as a new member/);
	terminal.press('l');
	expect((await terminal.exited).exitCode).toBe(0);
	expect(terminal.raw).toContain(
		'The node has left its cluster. Started again with its data folder it joins as a new member',
	);
	expect(await memberAddresses()).not.toContain(`127.0.0.1:${port}`);
}, 60_000);

test('with --leave, SIGTERM makes the node of a console leave its cluster', async () => {
	const [port] = await freePorts(1);
	await using terminal = await open(100, 30, port, '--leave');
	await terminal.waitFor(/quorum held: 3 of 3 up/, 'a member of the cluster');
	process.kill(terminal.pid, 'SIGTERM');
	expect((await terminal.exited).exitCode).toBe(0);
	expect(terminal.isAlternate).toBe(false);
	expect(await memberAddresses()).not.toContain(`127.0.0.1:${port}`);
}, 60_000);
