/** The account of the demo's messages, the folders of killed demos, and the words of the guide. */
import {mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {holdFolder, removeLeftovers} from '../../../source/demo/leftovers.ts';
import {Ledger} from '../../../source/demo/ledger.ts';
import {runStep} from '../../../source/demo/play.ts';
import {scenarioNames, scenarios} from '../../../source/demo/scenarios.ts';
import {BrokenPromise, listText, type Stage} from '../../../source/demo/stage.ts';
import {guideLines, guideRows} from '../../../tui/panes/guide.tsx';

const key = (publisher: string, number: number) => ({publisher, number});

test('a reader that lacks an acknowledged message, or has one twice, is a shortfall', () => {
	const ledger = new Ledger();
	for (const reader of ['r1', 'r2', 'r3']) ledger.addReader(reader);
	for (const number of [1, 2, 3]) ledger.acknowledge(key('n1', number));
	for (const number of [1, 2, 3]) ledger.receive('r1', key('n1', number));
	for (const number of [1, 3]) ledger.receive('r2', key('n1', number));
	for (const number of [1, 2, 2, 3]) ledger.receive('r3', key('n1', number));
	expect(ledger.shortfalls()).toEqual([
		{reader: 'r2', missing: 1, twice: 0},
		{reader: 'r3', missing: 0, twice: 1},
	]);
	ledger.removeReader('r2'); // It left, so nothing is expected of it.
	expect(ledger.shortfalls().map(({reader}) => reader)).toEqual(['r3']);
});

test('a message without an acknowledgement may come or not, but not twice', () => {
	const ledger = new Ledger();
	ledger.addReader('r1');
	ledger.receive('r1', key('n1', 1));
	expect(ledger.shortfalls()).toEqual([]);
	ledger.receive('r1', key('n1', 1));
	expect(ledger.shortfalls()).toEqual([{reader: 'r1', missing: 0, twice: 1}]);
});

test('a new account ignores the messages of the one before', () => {
	const ledger = new Ledger();
	ledger.addReader('r1');
	ledger.acknowledge(key('n1', 1));
	ledger.restart(new Map([['n1', 2]]));
	ledger.receive('r1', key('n1', 1));
	ledger.receive('r1', key('n1', 1));
	ledger.acknowledge(key('n1', 2));
	expect([ledger.acknowledged, ledger.shortfalls()]).toEqual([1, [{reader: 'r1', missing: 1, twice: 0}]]);
	ledger.receive('r1', key('n1', 2));
	expect(ledger.shortfalls()).toEqual([]);
});

test('only folders of demos that have ended are removed, and no link is followed', async () => {
	const parent = mkdtempSync(join(tmpdir(), 'dapss-leftovers-'));
	onTestFinished(() => rmSync(parent, {recursive: true, force: true}));
	const folder = (name: string): string => {
		const path = join(parent, name);
		mkdirSync(path, {mode: 0o700});
		return path;
	};

	(await holdFolder(folder('dapss-demo-ended')))[Symbol.dispose]();
	using _held = await holdFolder(folder('dapss-demo-runs'));
	folder('dapss-demo-starts');
	utimesSync(folder('dapss-demo-never-started'), 0, 0);
	utimesSync(folder('dapss-other'), 0, 0);
	utimesSync(folder('elsewhere'), 0, 0);
	symlinkSync(join(parent, 'elsewhere'), join(parent, 'dapss-demo-link'));
	expect(await removeLeftovers(parent)).toBe(2);
	expect(readdirSync(parent).toSorted()).toEqual([
		'dapss-demo-link',
		'dapss-demo-runs',
		'dapss-demo-starts',
		'dapss-other',
		'elsewhere',
	]);
});

test('a broken promise is a result with its cause, and so is any other error', async () => {
	const step = (error: Error) => ({
		name: 'cut',
		says: () => '',
		async run() {
			throw error;
		},
	});
	const stage = {} as Stage;
	expect(
		await runStep(step(new BrokenPromise('it is repaired within 30 s', {cause: new Error('n3 ended')})), stage),
	).toMatchObject({broken: 'it is repaired within 30 s', text: 'Not kept: it is repaired within 30 s (n3 ended)'});
	expect(await runStep(step(new Error('n3 is gone')), stage)).toMatchObject({
		broken: 'the step cut succeeds',
		text: 'Not kept: the step cut succeeds (n3 is gone)',
	});
});

test.each(scenarioNames)('the guide of %s shows each text and outcome whole at 80×24', name => {
	const names = ['n1', 'n2', 'n3'];
	const stage = {
		names,
		leader: () => 'n1',
		follower: () => 'n3',
		crashable: () => 'n2',
		up: () => ['n2', 'n3'],
		down: () => ['n1'],
	} as unknown as Stage;
	for (const {says} of scenarios[name].steps) {
		const text = says(stage);
		const outcome = {tone: 'good' as const, text: 'x'.repeat(70) + ' ' + 'y'.repeat(70)};
		const lines = guideLines(
			{title: 'DEMO', text, outcome, hints: [{key: 'n', word: 'next step'}]},
			80,
			guideRows(24),
		);
		const shown = lines.map(spans => spans.map(span => span.text).join(''));
		expect(
			shown
				.slice(1, -2)
				.map(line => line.trim())
				.join(' '),
		).toBe(text);
		expect(shown.at(-1)).toContain('y'.repeat(70));
		expect(Math.max(...shown.map(line => line.length))).toBeLessThanOrEqual(80);
	}
});

test('names in a sentence', () => {
	expect([[], ['n1'], ['n1', 'n2'], ['n1', 'n2', 'n3']].map(names => listText(names))).toEqual([
		'',
		'n1',
		'n1 and n2',
		'n1, n2 and n3',
	]);
});
