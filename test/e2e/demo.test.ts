/** The demo: real processes, scenarios that keep every promise, and nothing left behind. */
import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {cli, jsonLines, run} from './support/command.ts';
import {CommandProcess} from './support/command-process.ts';
import {userFolders} from './support/folders.ts';
import {Terminal} from './support/terminal.ts';

type Line = {readonly type: string; readonly [key: string]: unknown};
type Process = {readonly name: string; readonly pid: number};

let home: string;
let env: Readonly<Record<string, string>>;
beforeAll(() => {
	home = mkdtempSync(join(tmpdir(), 'dapss-home-'));
	// A folder for temporary files of its own, so that demos of other tests are not counted.
	env = {...userFolders(home), TMPDIR: home};
});
afterAll(() => rmSync(home, {recursive: true, force: true}));

const leftovers = (): string[] => readdirSync(home).filter(name => name.startsWith('dapss-demo'));
const isRunning = (pid: number): boolean => {
	try {
		return process.kill(pid, 0);
	} catch {
		return false;
	}
};

test.each([
	['split', ['start', 'cut', 'publish', 'heal', 'check']],
	['failover', ['start', 'kill', 'publish', 'restart', 'check']],
	['churn', ['start', 'restart', 'join', 'crash', 'leave', 'check']],
])(
	'%s keeps every promise, and leaves nothing behind',
	async (scenario, steps) => {
		const {code, stdout, stderr} = await run(['demo', '--headless', '--scenario', scenario, '-o', 'jsonl'], {env});
		const lines = jsonLines<Line>(stdout.toString());
		expect(lines.filter(({type}) => type === 'step').map(({step}) => step)).toEqual(steps);
		expect(lines.filter(({ok}) => ok === false)).toEqual([]);
		expect(lines.at(-1)).toMatchObject({type: 'result', ok: true, rounds: 1, broken: null});
		expect(lines.at(-1)!['checked']).toBeGreaterThan(20);
		expect([code, stderr]).toEqual([0, 'Starting 3 nodes with temporary data …\n']);
		expect(leftovers()).toEqual([]);
		expect((lines[0]!['nodes'] as Process[]).filter(({pid}) => isRunning(pid))).toEqual([]);
		expect(readdirSync(home)).not.toContain('.config'); // The settings of the user are not touched.
	},
	90_000,
);

test('with --duration the scenario repeats; a node that hangs breaks a promise, which ends with 1', async () => {
	await using demo = new CommandProcess(
		process.execPath,
		[cli, 'demo', '--headless', '--duration', '1h', '-o', 'jsonl'],
		{env},
	);
	const found = (matches: (line: Line) => boolean): boolean => jsonLines<Line>(demo.stdout).some(matches);
	await demo.until(
		() => found(({type, round, step}) => type === 'step' && round === 2 && step === 'start'),
		'round 2',
	);
	const nodes = jsonLines<Line>(demo.stdout)[0]!['nodes'] as readonly Process[];
	process.kill(nodes.at(-1)!.pid, 'SIGSTOP');
	expect(await demo.exited).toBe(1);
	const lines = jsonLines<Line>(demo.stdout);
	const result = lines.find(({type}) => type === 'result');
	expect(result).toMatchObject({ok: false, rounds: 2});
	expect(demo.stderr).toContain(`A promise was not kept: ${String(result!['broken'])}`);
	expect(leftovers()).toEqual([]);
	expect(nodes.filter(({pid}) => isRunning(pid))).toEqual([]);
}, 120_000);

test('Ctrl-C ends the nodes and removes the data; what a killed demo left is removed by the next one', async () => {
	const start = async (): Promise<CommandProcess> => {
		const demo = new CommandProcess(process.execPath, [cli, 'demo', '--headless', '-o', 'jsonl'], {env});
		await demo.until(() => demo.stdout.includes('"step":"start"'), 'the first step');
		return demo;
	};

	await using interrupted = await start();
	interrupted.child.kill('SIGINT');
	expect(await interrupted.exited).toBe(130);
	expect(interrupted.stdout).not.toContain('"ok":false');
	expect(leftovers()).toEqual([]);

	await using killed = await start();
	const nodes = jsonLines<Line>(killed.stdout)[0]!['nodes'] as readonly Process[];
	await killed.kill();
	await expect.poll(() => nodes.filter(({pid}) => isRunning(pid)), {timeout: 10_000}).toEqual([]);
	const [left] = leftovers();
	await using _next = await start();
	expect(leftovers()).toHaveLength(1);
	expect(leftovers()).not.toContain(left);
}, 90_000);

test.each([
	[80, 24],
	[120, 36],
])(
	'the console explains the steps at %i×%i; n goes on, r repeats, q ends the nodes',
	async (columns, rows) => {
		await using terminal = new Terminal(process.execPath, [cli, 'demo', '--scenario', 'failover'], {
			columns,
			rows,
			env,
		});
		await terminal.waitFor(/DEMO A leader that dies · step 1 of 5 .*n next step/, 'the first step');
		expect(terminal.text()).toMatch(/Watch 1 Peers/);
		expect(terminal.text()).toMatch(/n1 leads\. Messages of all 3 nodes flow\./);
		terminal.press('n');
		// The console was attached to the leader, so it goes to another node.
		await terminal.waitFor(/step 2 of 5 .*n next step/, 'the new leader');
		await terminal.waitFor(/instead of n1/, 'the view of another node');
		terminal.press(':');
		await terminal.waitFor(/^:/m, 'the prompt');
		await terminal.type('nn'); // In a prompt the key of the guide is a letter.
		terminal.press('\u001B');
		for (const step of [3, 4, 5]) {
			await terminal.waitFor(/: command/, 'the panes');
			terminal.press('n');
			await terminal.waitFor(new RegExp(`step ${step} of 5 .*r repeat`), `step ${step}`);
		}

		await terminal.waitFor(/acknowledged messages were delivered exactly once/);
		expect(terminal.text()).not.toMatch(/n next step/);
		terminal.press('r');
		await terminal.waitFor(/step 1 of 5 .*n next step/, 'the first step again', 30_000);
		expect(await terminal.quit(/Quit\? Its nodes stop/)).toBe(0);
		expect(terminal.isAlternate).toBe(false);
		expect(leftovers()).toEqual([]);
	},
	120_000,
);

test('a demo without a terminal, and flags that do not fit, are refused before anything starts', async () => {
	const refused = async (...flags: string[]): Promise<string> => {
		const {code, stderr} = await run(['demo', ...flags], {env});
		expect(code).toBe(2);
		return stderr;
	};

	expect(await refused()).toContain('without one use dapss-tui demo --headless');
	expect(await refused('--headless', '--scenario', 'flood')).toContain('Expected --scenario split, failover, churn');
	expect(await refused('--headless', '--nodes', '2')).toContain('--nodes');
	expect(await refused('--duration', '5s')).toContain('together with --headless');
});

test('two demos at once do not disturb each other', async () => {
	const results = await Promise.all(
		['split', 'failover'].map(scenario => run(['demo', '--headless', '--scenario', scenario], {env})),
	);
	expect(results.map(({code}) => code)).toEqual([0, 0]);
	expect(leftovers()).toEqual([]);
}, 90_000);
