import {expect, test} from 'vitest';
import {healthy} from './support/fixtures.ts';
import {openConsole} from './support/terminal.ts';

/** A press at a cell of the screen, counted from 0, as the terminal reports it. */
const pressAt = (column: number, row: number): string =>
	`\u001B[<0;${column + 1};${row + 1}M\u001B[<0;${column + 1};${row + 1}m`;

test('a press focuses the pane, and selects the row', async () => {
	await using running = await openConsole(healthy, 100, 30);
	const {screen} = running;
	expect(screen.emulator.modes.mouseTrackingMode).toBe('vt200');
	const find = (text: string): number => screen.lines().findIndex(line => line.includes(text));
	screen.type(pressAt(5, find('127.0.0.1:5002')));
	await screen.until('┏━ 1 Peers');
	screen.type('\r');
	await screen.until('Peer 034462a6');
	screen.type('\u001B');
	await screen.until('q quit');
	screen.type(pressAt(10, find('heartbeat')));
	await screen.until('┏━ 4 Messages');
	screen.type('\r');
	await screen.until(/topic +health/);
	// The wheel scrolls the window.
	screen.type('\u001B');
	await screen.until('q quit');
	screen.type('?');
	await screen.until(/1–\d+ of/);
	screen.type('\u001B[<65;5;5M');
	await screen.until(/4–\d+ of/);
	screen.type('\u001B[<64;5;5M');
	await screen.until(/1–\d+ of/);
});

test('a press on the frame, the titles or a closed pane selects nothing', async () => {
	await using running = await openConsole(healthy, 80, 24);
	const {screen} = running;
	screen.type(
		pressAt(
			5,
			screen.lines().findIndex(line => line.startsWith(' 3 Topics')),
		),
	);
	await screen.until('┏━ 3 Topics');
	screen.type(
		pressAt(
			5,
			screen.lines().findIndex(line => line.startsWith('┃ IN TOPIC')),
		),
	);
	screen.type(pressAt(0, 0));
	await screen.settle();
	expect(screen.text()).toContain('┏━ 3 Topics');
	expect(running.source.commands).toEqual([]);
});

test('m gives the mouse back to the terminal, and so does the end', async () => {
	const running = await openConsole(healthy, 100, 30);
	const {screen} = running;
	screen.type('m');
	await screen.until('The mouse selects text in the terminal');
	expect(screen.emulator.modes.mouseTrackingMode).toBe('none');
	screen.type('m');
	await screen.until('The mouse focuses panes');
	expect(screen.emulator.modes.mouseTrackingMode).toBe('vt200');
	screen.type('\u0003');
	await running.exit;
	await screen.drained();
	expect(screen.emulator.modes.mouseTrackingMode).toBe('none');
});
