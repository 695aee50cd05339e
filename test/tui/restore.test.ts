import {expect, test} from 'vitest';
import {runConsole} from '../../tui/index.tsx';
import {FakeSource, healthy} from './fixtures.ts';
import {openConsole, Screen, type Running} from './terminal.ts';

/** Alternate screen left, cursor shown, raw and paste mode off, wrap on: in what was written, and in what the emulator holds. */
async function expectRestored({screen}: Running): Promise<void> {
	await screen.settle();
	expect(screen.emulator.buffer.active.type).toBe('normal');
	expect(screen.rawMode).toBe(false);
	expect(screen.emulator.modes.bracketedPasteMode).toBe(false);
	expect(screen.emulator.modes.wraparoundMode).toBe(true);
	expect(screen.raw.lastIndexOf('\u001B[?25h')).toBeGreaterThan(screen.raw.lastIndexOf('\u001B[?25l'));
}

/** What the console listens to, called as the process would. */
function listenersAdded(name: string, before: readonly unknown[]): ReadonlyArray<(...values: unknown[]) => void> {
	return process.listeners(name as 'SIGINT').filter(listener => !before.includes(listener)) as unknown as ReadonlyArray<(...values: unknown[]) => void>;
}

test('q asks, n stays, y leaves', async () => {
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

test('attached, q leaves the node running, and says so', async () => {
	const running = await openConsole(healthy, 80, 24, {remote: true});
	running.screen.type('q');
	await running.screen.until('The node goes on running');
	running.screen.type('\r');
	expect(await running.exit).toBe('quit');
});

test('Ctrl-C leaves at once, from a prompt too', async () => {
	const running = await openConsole(healthy, 80, 24);
	running.screen.type(':publish weat');
	await running.screen.settle();
	running.screen.type('\u0003');
	expect(await running.exit).toBe('interrupted');
	await expectRestored(running);
});

test.each([['SIGINT', 'interrupted'], ['SIGHUP', 'interrupted'], ['SIGTERM', 'quit']] as const)('%s ends as %s', async (signal, how) => {
	const before = process.listeners(signal);
	const running = await openConsole(healthy, 80, 24);
	const [first] = listenersAdded(signal, before).slice(0, 1);
	first!(signal);
	expect(await running.exit).toBe(how);
	await expectRestored(running);
	expect(listenersAdded(signal, before).filter(listener => listener === first)).toEqual([]);
});

test('an error elsewhere in the process: the terminal first, then the error', async () => {
	const before = process.listeners('uncaughtException');
	const running = await openConsole(healthy, 80, 24);
	for (const listener of listenersAdded('uncaughtException', before)) listener(new Error('somebody else failed'));
	await expect(running.exit).rejects.toThrow('somebody else failed');
	await expectRestored(running);
});

test('quitting after the node was lost is told from a plain quit', async () => {
	const running = await openConsole(healthy, 80, 24);
	running.source.show({connection: 'lost', detail: 'gone'});
	await running.screen.until('NODE LOST');
	running.screen.type(':quit\r');
	expect(await running.exit).toBe('lost');
	await expectRestored(running);
});

test('the terminal goes away', async () => {
	const running = await openConsole(healthy, 80, 24);
	running.screen.stdin.emit('end');
	expect(await running.exit).toBe('interrupted');
});

test('without a terminal it refuses, and writes nothing', async () => {
	const screen = new Screen(80, 24);
	Object.assign(screen.stdout, {isTTY: false});
	await expect(runConsole({source: new FakeSource(healthy), readonly: false, remote: false, preferences: {}, stdin: screen.stdin, stdout: screen.stdout})).rejects.toThrow('Expected a terminal');
	expect(screen.raw).toBe('');
});
