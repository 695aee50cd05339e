/** Keys, pastes and signals as real terminals and shells send them to a console. */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {freePorts} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {userFolders} from './support/folders.ts';
import {Terminal} from './support/terminal.ts';

const escape = '\u001B';
let home: string;
beforeAll(() => {
	home = mkdtempSync(join(tmpdir(), 'dapss-home-'));
});
afterAll(() => rmSync(home, {recursive: true, force: true}));

const flagsOf = (port: number): readonly string[] => [
	cli,
	'--port',
	String(port),
	'--data',
	join(home, `data-${port}`),
	'--cluster',
	`terminal-${port}`,
	'--no-discovery',
];

/** A console with a node alone in its cluster. */
async function open(columns = 100, rows = 30, env: Readonly<Record<string, string>> = {}): Promise<Terminal> {
	const [port] = await freePorts(1);
	const terminal = new Terminal(process.execPath, flagsOf(port!), {
		columns,
		rows,
		env: {...userFolders(home), XDG_RUNTIME_DIR: home, ...env},
	});
	await terminal.waitFor(/quorum held: 1 of 1/, 'a leader');
	return terminal;
}

const settle = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** The modes of the terminal that the last bytes set. */
function modesOf({raw}: Terminal): Readonly<Record<string, boolean>> {
	const isOn = (mode: string): boolean =>
		raw.lastIndexOf(`${escape}[?${mode}h`) > raw.lastIndexOf(`${escape}[?${mode}l`);
	return {wrap: isOn('7'), cursor: isOn('25'), paste: isOn('2004'), alternate: isOn('1049')};
}

const restored = {wrap: true, cursor: true, paste: false, alternate: false};

test('a sequence that is split in transit neither closes the prompt nor types its rest', async () => {
	await using terminal = await open();
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.type('publish weather');
	for (const waitMs of [10, 35, 120, 400]) {
		terminal.press(escape);
		await settle(waitMs);
		terminal.press('[D');
	}

	terminal.press('!');
	await terminal.waitFor(/^:publish wea!ther/m, 'four characters to the left');
	// Escape itself still closes it.
	terminal.press(escape);
	await terminal.waitFor(/: command/, 'the closed prompt');
});

test('a paste that is split in transit stays a paste, and its text is no key', async () => {
	await using terminal = await open();
	const pasted = `${escape}[200~faqq\ry:leave\rl${escape}[201~`;
	for (const at of [3, 8, 14, pasted.length - 2]) {
		terminal.press(pasted.slice(0, at));
		await settle(60);
		terminal.press(pasted.slice(at));
		await terminal.waitFor(/Pasted text is not used as keys/);
		terminal.press(escape);
		await terminal.waitFor(text => !text.includes('Pasted text'), 'no notice');
	}

	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.type('publish a');
	terminal.press(`${escape}[D`);
	terminal.press(`${escape}[200~one\ntwo`);
	await settle(60);
	terminal.press(`\nthree${escape}[201~`);
	await terminal.waitFor(/^:publish one␤two␤threea/m, 'the paste at the cursor');
	await terminal.waitFor(/Pasted 3 lines as one text/);
});

test('keys of one read answer no question', async () => {
	await using terminal = await open();
	terminal.press('faqq\ry');
	await terminal.waitFor(/Quit\?/);
	// Another part of the same paste, which the terminal does not mark.
	terminal.press('sy\r');
	await settle(300);
	expect(terminal.text()).toContain('Quit?');
	terminal.press('n');
	await terminal.waitFor(/q quit/);
	terminal.press(':topic create jobs\r');
	await terminal.waitFor(/jobs is created/);
	terminal.press(':topic delete jobs\rjobs\r');
	await terminal.waitFor(/Press Enter to carry it out/);
	terminal.press('\r');
	await terminal.waitFor(/jobs is deleted/);
	expect(await terminal.quit()).toBe(0);
});

test('a line is edited by character, at the cursor, also with keys that arrive together', async () => {
	await using terminal = await open();
	const keys: ReadonlyArray<readonly [string, string]> = [
		['publish t a語b', ':publish t a語b'],
		[`${escape}[D${escape}[Dx`, ':publish t ax語b'],
		['\u0001\u0004', ':ublish t ax語b'],
		['p', ':publish t ax語b'],
		[`${escape}[F\u007F`, ':publish t ax語'],
		['\u007F', ':publish t ax'],
		['\u0017', ':publish t'],
		[`${escape}bX${escape}f!`, ':publish Xt!'],
		['\u000Bend\u0001\u000B', ':'],
		['one two\u0015', ':'],
		[`abc${escape}[H${escape}[3~`, ':bc'],
	];
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	for (const [typed, line] of keys) {
		terminal.press(typed);
		await terminal.waitFor(text => text.split('\n').some(row => row.trimEnd() === line), line);
	}
});

test('the whole body of a long message comes from the node, and goes into a file', async () => {
	await using terminal = await open();
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.enter('subscribe notes');
	await terminal.waitFor(/ubscribed to notes/);
	// A paste is longer than the 512 bytes of a preview.
	const body = `{"first":1,"text":"${'abcdefgh'.repeat(300)}","last":2}`;
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.type('publish notes');
	terminal.press(' ');
	terminal.press(`${escape}[200~${body}${escape}[201~`);
	await terminal.waitFor(/last":2\}/);
	terminal.press('\r');
	await terminal.waitFor(/Published to notes: #1, /);
	await terminal.waitFor(/1 delivered/);
	terminal.press('4');
	terminal.press('\r');
	await terminal.waitFor(/the first 512 B below; l loads the rest/);
	terminal.press('l');
	await terminal.waitFor(/dapss-tui subscribe notes --from 0 --count 1/);
	terminal.press('G');
	await terminal.waitFor(/"last": 2/);
	terminal.press('w');
	await terminal.waitFor(/Write to the new file: notes-/);
	const file = join(home, 'body.json');
	await terminal.enter(file);
	await terminal.waitFor(/Wrote [\d,]+ B to/);
	expect(readFileSync(file, 'utf8')).toBe(body);
});

test('the colours follow the background that the terminal reports', async () => {
	await using terminal = await open(100, 30, {FORCE_COLOR: '2', NO_COLOR: '', COLORFGBG: ''});
	await terminal.waitFor(() => terminal.raw.includes(`${escape}]11;?`), 'the question');
	const darkAccent = '38;5;81m';
	const lightAccent = '38;5;24m';
	expect(terminal.raw).toContain(darkAccent);
	expect(terminal.raw).not.toContain(lightAccent);
	terminal.press(`${escape}]11;rgb:ffff/ffff/ffff${escape}\\`);
	await terminal.waitFor(() => terminal.raw.includes(lightAccent), 'the colours for a light background');
});

test('with TERM=dumb the node runs without its console, and says so', async () => {
	const [port] = await freePorts(1);
	await using terminal = new Terminal('env', ['TERM=dumb', process.execPath, ...flagsOf(port!)], {
		columns: 100,
		rows: 30,
		env: {...userFolders(home), XDG_RUNTIME_DIR: home},
	});
	await terminal.waitFor(/TERM=dumb cannot show the console: the node runs without its console/);
	await terminal.waitFor(/leads term/);
	expect(terminal.isAlternate).toBe(false);
});

test.each([
	['SIGQUIT', {exitCode: 0, signal: 3}],
	['SIGHUP', {exitCode: 129, signal: 0}],
	['SIGTERM', {exitCode: 0, signal: 0}],
	['SIGINT', {exitCode: 130, signal: 0}],
] as const)('%s restores the terminal', async (signal, exit) => {
	await using terminal = await open();
	process.kill(terminal.pid, signal);
	expect(await terminal.exited).toEqual(exit);
	expect(modesOf(terminal)).toEqual(restored);
});

describe('in a shell with job control', () => {
	async function openInShell(): Promise<Terminal> {
		const [port] = await freePorts(1);
		const terminal = new Terminal('bash', ['--norc', '--noprofile', '-i'], {
			columns: 100,
			rows: 30,
			env: {...userFolders(home), XDG_RUNTIME_DIR: home, PS1: 'shell> '},
		});
		await terminal.waitFor(/shell>/);
		const command = [process.execPath, ...flagsOf(port!)].map(word => `'${word}'`).join(' ');
		terminal.press(` ${command}\r`);
		await terminal.waitFor(/quorum held: 1 of 1/, 'a leader', 30_000);
		return terminal;
	}

	const isStopped = /Stopped/;

	async function expectSuspended(terminal: Terminal): Promise<void> {
		await terminal.waitFor(isStopped, 'the stopped job');
		expect(terminal.text()).toContain('its node pauses with it');
		expect(modesOf(terminal)).toMatchObject({wrap: true, cursor: true, alternate: false});
		// The shell has its terminal again: it echoes, and it edits lines.
		terminal.press('echo shell-$((40 + 2))\r');
		await terminal.waitFor(/shell-42/);
	}

	async function expectContinued(terminal: Terminal): Promise<void> {
		await terminal.waitFor(/Peers[^]*q quit/, 'the console again');
		expect(terminal.isAlternate).toBe(true);
		terminal.press(':');
		await terminal.waitFor(/^:/m, 'the prompt');
		await terminal.enter('status');
		await terminal.waitFor(/Esc close/, 'the window of the command');
		terminal.press(escape);
		await terminal.waitFor(/q quit/);
	}

	test('Ctrl-Z suspends the console, and fg continues it with keys that work', async () => {
		await using terminal = await openInShell();
		for (let round = 0; round < 2; round++) {
			terminal.press('\u001A');
			await expectSuspended(terminal);
			terminal.press('clear; fg; echo "ended $?"\r');
			await expectContinued(terminal);
		}

		terminal.press('q');
		await terminal.waitFor(/Quit\?/);
		terminal.press('y');
		await terminal.waitFor(/ended 0/);
		expect(modesOf(terminal)).toMatchObject({wrap: true, cursor: true, alternate: false});
	}, 60_000);

	test('SIGTSTP and SIGSTOP suspend it too', async () => {
		await using terminal = await openInShell();
		terminal.press('\u001A');
		await expectSuspended(terminal);
		terminal.press('clear; jobs -p\r');
		const pid = Number(/^(\d+)$/m.exec(await terminal.waitFor(/^\d+$/m))![1]);
		terminal.press('clear; fg; echo "ended $?"\r');
		await expectContinued(terminal);
		process.kill(pid, 'SIGTSTP');
		await expectSuspended(terminal);
		terminal.press('clear; fg; echo "ended $?"\r');
		await expectContinued(terminal);
		// Nothing can restore the terminal before this one; the console is whole after it.
		process.kill(pid, 'SIGSTOP');
		await settle(500);
		terminal.press('clear\rfg; echo "ended $?"\r');
		await expectContinued(terminal);
		terminal.press('q');
		await terminal.waitFor(/Quit\?/);
		terminal.press('y');
		await terminal.waitFor(/ended 0/);
	}, 90_000);
});
