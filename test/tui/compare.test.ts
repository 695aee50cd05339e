/** Two nodes side by side, and lines that are wrapped instead of cut. */
import {expect, test} from 'vitest';
import {widthOf} from '../../core/observe/printable.ts';
import type {Span} from '../../tui/view/columns.ts';
import {comparisonLines} from '../../tui/view/compare.ts';
import {wrapLine} from '../../tui/view/wrap.ts';
import {minority, nodes} from './support/incidents.ts';
import {openConsole} from './support/terminal.ts';

const text = (line: readonly Span[]): string => line.map(span => span.text).join('');

test('a comparison says what differs, who lacks what, and what only the other node knows', () => {
	const lines = comparisonLines(minority, nodes[0]!, 76).map(line => text(line).trimEnd());
	expect(lines[0]).toMatch(/^ +n4 \(this node\) +n1$/u);
	expect(lines.find(line => line.startsWith('state'))).toMatch(/^state +alive +unreachable$/u);
	expect(lines.find(line => line.startsWith('only n1'))).toMatch(/deploy, health, jobs and weather$/u);
	expect(lines.join(' ')).toContain('n1 lacks 388 messages of n4');
	expect(lines.join(' ').replaceAll(/\s+/gu, ' ')).toContain(
		'known to it only: dapss-tui status --server 127.0.0.1:5000',
	);
	for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(76);
});

test('d compares the selected peer; elsewhere, and for this node, it says what to do', async () => {
	await using running = await openConsole(minority, 120, 36);
	const {screen} = running;
	screen.type('d');
	await screen.until('Select a node in pane 1');
	screen.type('1d');
	await screen.until('Compare with n1');
	screen.type('\u001B');
	await screen.until('┏━ 1 Peers');
	screen.type('jjjd');
	await screen.until('This is the node of this console');
});

test('Enter shows a whole event, which its row cuts', async () => {
	await using running = await openConsole(minority, 80, 24);
	const {screen} = running;
	screen.type('6jj\r');
	await screen.until('Event');
	await screen.until(/event +61acdda2dd0d \(127\.0\.0\.1:36456\) requested: inject a fault \(cut\)/u);
});

test('the reports about the quorum and elections open from the prompt', async () => {
	await using running = await openConsole(minority, 80, 24);
	const {screen} = running;
	screen.type(':quorum\r');
	await screen.until('To get the quorum back, the safest first');
	screen.type('\u001B');
	await screen.until('q quit');
	screen.type(':elections\r');
	await screen.until('n1 is given up: n1 was silent for 825 ms');
});

test('a line is wrapped at spaces, under its text, and no word of it is lost', () => {
	const line: readonly Span[] = [
		{text: 'missing  ', tone: 'muted'},
		{text: 'n1 (18 s) n2 (18 s) ', tone: 'bad'},
		{text: `· ${'x'.repeat(30)} end`, tone: 'bad'},
	];
	const lines = wrapLine(line, 24).map(spans => text(spans));
	expect(lines.map(one => one.trimEnd())).toEqual([
		'missing  n1 (18 s) n2',
		'         (18 s) ·',
		`         ${'x'.repeat(15)}`,
		`         ${'x'.repeat(15)}`,
		'         end',
	]);
	for (const one of lines) expect(widthOf(one.trimEnd())).toBeLessThanOrEqual(24);
	expect(wrapLine(line, 80)).toEqual([line]);
});
