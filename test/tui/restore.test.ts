import {expect, test} from 'vitest';
import {runConsole} from '../../tui/index.tsx';
import {FakeSource, healthy, lost} from './support/fixtures.ts';
import {openConsole, Screen, type Running} from './support/terminal.ts';

/**
Alternate screen left, cursor shown, raw and paste mode off, line wrap on: in the written bytes, and in the state of
the emulator.
*/
async function expectRestored({screen}: Running): Promise<void> {
	await screen.drained();
	expect(screen.emulator.buffer.active.type).toBe('normal');
	expect(screen.rawMode).toBe(false);
	expect(screen.emulator.modes.bracketedPasteMode).toBe(false);
	expect(screen.emulator.modes.wraparoundMode).toBe(true);
	expect(screen.raw.lastIndexOf('\u001B[?25h')).toBeGreaterThan(screen.raw.lastIndexOf('\u001B[?25l'));
}

/** The listeners that the console added, to be called as the process would. */
function listenersAdded(name: string, before: readonly unknown[]): ReadonlyArray<(...values: unknown[]) => void> {
	return process
		.listeners(name as 'SIGINT')
		.filter(listener => !before.includes(listener)) as unknown as ReadonlyArray<(...values: unknown[]) => void>;
}

test('q asks for confirmation; n stays, y quits', async () => {
	const running = await openConsole(healthy, 80, 24);
	expect(running.screen.rawMode).toBe(true);
	expect(running.screen.emulator.modes.wraparoundMode).toBe(false);
	running.screen.type('q');
	await running.screen.until('Stopping this node leaves 2 of 3 voters');
	running.screen.type('n');
	await running.screen.until('q quit');
	running.screen.type('q');
	await running.screen.until('Quit?');
	running.screen.type('y');
	expect(await running.exit).toBe('quit');
	await expectRestored(running);
});

test.each([
	[60, 15],
	[80, 24],
	[160, 45],
])('at %i×%i the question of q has the cost of stopping and of leaving', async (columns, rows) => {
	const running = await openConsole(lost, columns, rows);
	running.screen.type('q');
	await running.screen.until('Quit');
	const text = running.screen.text().replaceAll(/[┃\s]+/g, ' ');
	for (const part of [
		's stop It stays a member',
		'Stopping this node leaves 1 of 3 voters: no quorum until it is back.',
		'l leave Not possible: Without this node 1 of 2 voters would be reachable: no quorum.',
		'n stay',
		'Quit? s stop l leave n stay',
	])
		expect(text).toContain(part);
	running.screen.type('l');
	await running.screen.until('Without this node 1 of 2 voters');
	expect(running.source.commands).toEqual([]);
	running.screen.type('\u0003');
	await running.exit;
});

test('l lets the node leave; the console ends when it has left', async () => {
	const running = await openConsole(healthy, 80, 24);
	running.source.answer = {ok: false, text: 'Could not leave: no leader'};
	running.screen.type(':leave\r');
	await running.screen.until('1 voter remains: none may fail');
	running.screen.type('l');
	await running.screen.until('Could not leave: no leader');
	running.source.answer = {ok: true, text: 'left'};
	running.screen.type('q');
	await running.screen.until('Quit?');
	running.screen.type('l');
	expect(await running.exit).toBe('left');
	expect(running.source.commands).toEqual([{type: 'leave'}, {type: 'leave'}]);
	await expectRestored(running);
});

test('keys that were typed before the question appeared are no answer', async () => {
	const running = await openConsole(healthy, 80, 24);
	for (const keys of ['faqq', 'qs', 'ql', 'qy', ':quit\rs', ':leave\rl']) {
		running.screen.type(keys);
		await running.screen.until('Quit?');
		expect(running.source.commands).toEqual([]);
		running.screen.type('n');
		await running.screen.until('q quit');
	}

	running.screen.type('q');
	await running.screen.until('Quit?');
	running.screen.type('s');
	expect(await running.exit).toBe('quit');
});

test('an attached console has no node to stop or to leave: only the console ends', async () => {
	const running = await openConsole(healthy, 100, 30, {remote: true});
	running.screen.type(':leave\r');
	await running.screen.until('dapss-tui leave --server');
	running.screen.type('q');
	await running.screen.until('s detach  n stay');
	running.screen.type('l');
	await running.screen.until(/^(?![^]*s detach)/);
	expect(running.source.commands).toEqual([]);
	running.screen.type(':quit\r');
	expect(await running.exit).toBe('quit');
});

test('q of an attached console leaves the node running, and its question states that', async () => {
	const running = await openConsole(healthy, 80, 24, {remote: true});
	running.screen.type('q');
	await running.screen.until('The node continues to run');
	running.screen.type('\r');
	expect(await running.exit).toBe('quit');
});

test('Ctrl-C leaves at once, from a prompt too', async () => {
	const running = await openConsole(healthy, 80, 24);
	running.screen.type(':publish weat');
	await running.screen.until(':publish weat');
	running.screen.type('\u0003');
	expect(await running.exit).toBe('interrupted');
	await expectRestored(running);
});

test.each([
	['SIGINT', 'interrupted'],
	['SIGHUP', 'interrupted'],
	['SIGTERM', 'quit'],
] as const)('%s ends as %s', async (signal, how) => {
	const before = process.listeners(signal);
	const running = await openConsole(healthy, 80, 24);
	const [first] = listenersAdded(signal, before).slice(0, 1);
	first!(signal);
	expect(await running.exit).toBe(how);
	await expectRestored(running);
	expect(listenersAdded(signal, before).filter(listener => listener === first)).toEqual([]);
});

test('an error in another part of the process is thrown after the terminal is restored', async () => {
	const before = process.listeners('uncaughtException');
	const running = await openConsole(healthy, 80, 24);
	for (const listener of listenersAdded('uncaughtException', before)) listener(new Error('somebody else failed'));
	await expect(running.exit).rejects.toThrow('somebody else failed');
	await expectRestored(running);
});

test('quitting after the node was lost is distinguished from a plain quit', async () => {
	const running = await openConsole(healthy, 80, 24);
	running.source.show({connection: 'lost', detail: 'gone'});
	await running.screen.until('NODE LOST');
	running.screen.type(':quit\r');
	expect(await running.exit).toBe('lost');
	await expectRestored(running);
});

test('a terminal that goes away ends the console', async () => {
	const running = await openConsole(healthy, 80, 24);
	running.screen.stdin.emit('end');
	expect(await running.exit).toBe('interrupted');
});

test('without a terminal it refuses, and writes nothing', async () => {
	const screen = new Screen(80, 24);
	Object.assign(screen.stdout, {isTTY: false});
	await expect(
		runConsole({
			source: new FakeSource(healthy),
			readonly: false,
			remote: false,
			preferences: {},
			stdin: screen.stdin,
			stdout: screen.stdout,
		}),
	).rejects.toThrow('Expected a terminal');
	expect(screen.raw).toBe('');
});
