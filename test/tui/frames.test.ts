/**
Whole frames of incidents as text, which people review. The files are in `frames`; `UPDATE=1` writes them. Each frame
must answer an operator's questions, and nothing that matters may end in `…`.
*/
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {describe, expect, test} from 'vitest';
import {situationOf} from '../../core/observe/situation.ts';
import {healed, leaderKilled, majority, minority, oneWay, quorumLost, ring, wrongKey} from './support/incidents.ts';
import {openConsole} from './support/terminal.ts';

const folder = new URL('frames/', import.meta.url);
const sizes = [
	[80, 24],
	[120, 36],
	[160, 45],
	[300, 80],
] as const;
const running = {minority, majority, leaderKilled, quorumLost, ring, oneWay, wrongKey} as const;
const shown = Object.entries({...running, healed});

/** The text of a frame without line breaks, columns and double spaces. */
const flat = (text: string): string => text.replaceAll(/\s+/gu, ' ');

describe.each(shown)('%s', (name, snapshot) => {
	test.each(sizes)('at %i×%i', async (columns, rows) => {
		await using opened = await openConsole(snapshot, columns, rows);
		const text = `${opened.screen.text()}\n`;
		const file = new URL(`${name}-${columns}x${rows}.txt`, folder);
		if (process.env['UPDATE'] === '1') {
			mkdirSync(folder, {recursive: true});
			writeFileSync(file, text);
		}

		expect(text).toBe(readFileSync(file, 'utf8'));
	});
});

test.each(Object.entries(running))('at 80×24 every sentence about %s is there, whole', async (_, snapshot) => {
	await using opened = await openConsole(snapshot, 80, 24);
	const text = flat(opened.screen.text());
	for (const statement of situationOf(snapshot, ':')!.statements)
		if (!statement.isExtra) expect(text).toContain(statement.text);
});

test('the panel folds to a line and back; a new problem unfolds it; Esc removes the summary afterwards', async () => {
	await using opened = await openConsole(leaderKilled, 80, 24);
	const {screen, source} = opened;
	await screen.until(' What     n1 is down');
	screen.type('0');
	await screen.until(/n1 DOWN · NEW LEADER since .* 0 shows it/u);
	expect(screen.text()).not.toContain(' What ');
	screen.type('0');
	await screen.until(' What     n1 is down');
	screen.type('1'); // The panel leaves no room for the pane, so it gives way.
	await screen.until('┏━ 1 Peers');
	expect(screen.text()).not.toContain(' What ');
	source.show({snapshot: quorumLost});
	await screen.until(' What     n1, n2 and n3 are down');
	source.show({snapshot: healed});
	await screen.until(/132\s+messages\s+came\s+in\s+here\s+within\s+4.0 s/u);
	screen.type('\u001B');
	await screen.until(/^(?![^]*messages repaired)/u);
});

test('a panel that is too long scrolls with a mark', async () => {
	await using opened = await openConsole(minority, 60, 15);
	const {screen} = opened;
	await screen.until(/1–\d+ of \d+ \[J K\] · \[0\] folds/u);
	screen.type('JJ');
	await screen.until(/3–\d+ of \d+ \[J K\]/u);
	screen.type('K');
	await screen.until(/2–\d+ of \d+ \[J K\]/u);
	screen.type('J'.repeat(40));
	await screen.until(/Faults +At n4/u);
});

test('a notice goes after ten seconds of snapshots; the one of a running command stays', async () => {
	await using opened = await openConsole(healed, 80, 24);
	const {screen, source} = opened;
	const {atMs} = healed;
	screen.type(':nonsense\r');
	await screen.until('No command `nonsense`');
	source.show({snapshot: {...healed, atMs: atMs + 1000}});
	source.show({snapshot: {...healed, atMs: atMs + 9000}});
	await screen.settle();
	expect(screen.text()).toContain('No command `nonsense`');
	source.show({snapshot: {...healed, atMs: atMs + 12_000}});
	await screen.until(/^(?![^]*No command)/u);
});
