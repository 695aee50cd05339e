/**
The situation as lines between the header and the panes: a panel while something is wrong, one line when it is folded
away, and the summary of the last incident afterwards. Pure. Sentences are wrapped and never cut.
*/
import {limitText, whoText} from '../../core/observe/limit-text.ts';
import {clockSeconds} from '../../core/observe/quantity-text.ts';
import {fitCells, printable, widthOf, wrapCells} from '../../core/observe/printable.ts';
import {pastSituation} from '../../core/observe/situation-past.ts';
import {situationOf, type About, type Situation, type Statement} from '../../core/observe/situation.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {SourceState} from '../source/source.ts';
import type {ConsoleState} from '../state/state.ts';
import type {Tone} from '../theme.ts';
import type {Span} from './columns.ts';
import {age, plural, wrapWords} from './words.ts';

type Line = readonly Span[];

/** Everything between the header and the panes, before it is fitted to the screen. */
export type Shown = {
	/** Lines that are always shown: the connection, a folded situation, the last incident, security. */
	readonly bars: readonly Line[];
	/** The open panel. */
	readonly panel: Situation | undefined;
	/** Keys of the present problems, folded or not. */
	readonly keys: readonly string[];
	/** The end of the incident whose summary is shown. */
	readonly pastMs: number | undefined;
};

const titles: Readonly<Record<About, string>> = {
	what: 'What',
	do: 'Do',
	here: 'Here',
	sides: 'Sides',
	nodes: 'Nodes',
	links: 'Links',
	quorum: 'Quorum',
	leader: 'Leader',
	messages: 'Messages',
	faults: 'Faults',
	also: 'Also',
};
/** Cells before a sentence: a space, the title and a space. */
const titleCells = 10;
/** A bar takes at most this many rows. */
const barRows = 6;
/** Wider text is set in columns of at least this many cells. */
const columnCells = 78;

/**
@param keys the signs of the keys that fold the panel and remove a summary
@param lostMs time since the last snapshot, milliseconds; 0 while connected
*/
export function shownSituation(
	source: SourceState,
	{situation: {folded, dismissedMs}, zoom}: Pick<ConsoleState, 'situation' | 'zoom'>,
	{width, lostMs, keys}: {readonly width: number; readonly lostMs: number; readonly keys: SituationKeys},
): Shown {
	const {snapshot, connection} = source;
	const bars = connectionBars(source, lostMs, width);
	if (!snapshot) return {bars, panel: undefined, keys: [], pastMs: undefined};
	const situation = situationOf(snapshot, ':');
	const isOpen = situation?.keys.some(key => !folded.includes(key)) && !zoom && connection !== 'lost';
	if (situation && isOpen) return {bars, panel: situation, keys: situation.keys, pastMs: undefined};
	const standing = [...insecureBars(snapshot, width), ...limitBars(snapshot, width)];
	if (situation) {
		const hint = connection === 'lost' ? '' : zoom ? '' : `${keys.fold} shows it`;
		const state = connection === 'lost' ? `Before ${clockSeconds(snapshot.atMs)}: ` : '';
		return {
			bars: [...bars, headingLine(situation, width, hint, state), ...standing],
			panel: undefined,
			keys: situation.keys,
			pastMs: undefined,
		};
	}

	const past = connection === 'lost' ? undefined : pastSituation(snapshot);
	const isShown = past !== undefined && past.endedAtMs > dismissedMs;
	return {
		bars: [...bars, ...(isShown ? pastBars(past.text, keys.dismiss, width) : []), ...standing],
		panel: undefined,
		keys: [],
		pastMs: isShown ? past.endedAtMs : undefined,
	};
}

export type SituationKeys = {
	readonly fold: string;
	readonly down: string;
	readonly up: string;
	readonly dismiss: string;
};

function connectionBars({connection, detail, snapshot}: SourceState, lostMs: number, width: number): readonly Line[] {
	if (connection === 'lost') {
		const old = snapshot
			? ` · below: before the connection was lost at ${clockSeconds(snapshot.atMs)}, ` +
				(lostMs < 1000 ? 'a moment ago' : `${age(lostMs)} ago`)
			: '';
		return bar(`NODE LOST: ${printable(detail)}${old}`, 'alarm', width);
	}

	return connection === 'connected' && detail !== '' ? bar(printable(detail), 'accent', width, '·') : [];
}

function insecureBars({insecure}: Snapshot, width: number): readonly Line[] {
	if (insecure.length === 0) return [];
	return bar(`INSECURE: ${insecure.map(part => printable(part)).join(', ')} switched off`, 'alarm', width);
}

/** A limit that a client has just reached; clients that reached one earlier are among the counters. */
const limitFreshMs = 60_000;

/** The limit that a client reached last. */
function limitBars(
	{atMs, counters: {boundsBy = {}, boundsAtMs = {}, clientNames}}: Snapshot,
	width: number,
): readonly Line[] {
	const fresh = Object.keys(boundsBy)
		.filter(name => atMs - (boundsAtMs[name] ?? 0) <= limitFreshMs)
		.toSorted((one, other) => boundsAtMs[other]! - boundsAtMs[one]!);
	const [name] = fresh;
	if (name === undefined) return [];
	const more = fresh.length > 1 ? ` · and ${plural(fresh.length - 1, 'other limit')}` : '';
	const who = whoText(boundsBy[name], clientNames);
	return bar(
		`LIMIT REACHED: ${printable(limitText(name))}${printable(who)}${more} · \`:counters\` shows all clients`,
		'warning',
		width,
	);
}

function pastBars(text: string, dismiss: string, width: number): readonly Line[] {
	return bar(`${text} ${dismiss} removes this line.`, 'good', width, '✓');
}

/** The text in as few rows as it needs. */
function bar(text: string, tone: Tone, width: number, mark = '!'): readonly Line[] {
	return wrapped(text, width - 3)
		.slice(0, barRows)
		.map((line, index): Line => [
			{text: `${index === 0 ? ` ${mark} ` : '   '}${line}`.padEnd(tone === 'alarm' ? width : 0), tone},
		]);
}

/**
The heading in one row: what is wrong, since when, and the keys. Headings that have no room are counted; the keys always
have room.
*/
function headingLine(
	{headings, since, tone}: Pick<Situation, 'headings' | 'since' | 'tone'>,
	width: number,
	hint: string,
	before = '',
): Line {
	const text = (shown: number, end: string): string => {
		const more = headings.length - shown;
		return ` ! ${before}${headings.slice(0, shown).join(' · ')}${more > 0 ? ` · ${more} more` : ''}${end} `;
	};

	const room = width - (hint === '' ? 0 : widthOf(hint) + 3);
	// The first sentence has the time and the age as well.
	const ends = since === '' ? [''] : [` ${since}`, ` ${since.replace(/ \(.*\)$/, '')}`, ''];
	const candidates = ends.flatMap(end => headings.map((_, index) => text(headings.length - index, end)));
	const heading = candidates.find(one => widthOf(one) <= room) ?? candidates.at(-1)!;
	const fitted = widthOf(heading) > room ? fitCells(heading, room) : heading;
	if (hint === '') return [{text: fitted, tone}];
	return [
		{text: fitted, tone},
		{text: `${'─'.repeat(Math.max(1, width - widthOf(fitted) - widthOf(hint) - 2))} ${hint} `, tone: 'muted'},
	];
}

/** The panel in `height` rows: the heading, then the statements from `scroll` on. */
export function situationLines(
	situation: Situation,
	{width, height, scroll, keys}: {width: number; height: number; scroll: number; keys: SituationKeys},
): readonly Line[] {
	const room = height - 1;
	const lines = fittedLines(situation.statements, width, room);
	const start = Math.max(0, Math.min(scroll, lines.length - room));
	const place =
		lines.length > room ? `${start + 1}–${start + room} of ${lines.length} [${keys.down} ${keys.up}] · ` : '';
	return [headingLine(situation, width, `${place}[${keys.fold}] folds`), ...lines.slice(start, start + room)];
}

/** Rows of the panel when it shows everything. */
export function situationRows({statements}: Situation, width: number): number {
	return 1 + statementLines(statements, width).length;
}

/** The number of rows that are scrolled through. */
export function situationLength({statements}: Situation, width: number, height: number): number {
	return fittedLines(statements, width, height - 1).length;
}

/** If the rows are few, statements about one question share a paragraph; if they are too few, extras go. */
function fittedLines(statements: readonly Statement[], width: number, room: number): readonly Line[] {
	for (const shorter of [statements, joined(statements)]) {
		const lines = statementLines(shorter, width);
		if (lines.length <= room) return lines;
	}

	return statementLines(joined(statements.filter(({isExtra}) => !isExtra)), width);
}

function joined(statements: readonly Statement[]): readonly Statement[] {
	const out: Statement[] = [];
	for (const statement of statements) {
		const last = out.at(-1);
		if (last?.about === statement.about)
			out[out.length - 1] = {...last, text: `${last.text} ${statement.text}`, tone: worse(last, statement)};
		else out.push(statement);
	}

	return out;
}

const ranks: readonly Statement['tone'][] = ['plain', 'good', 'warning', 'bad', 'alarm'];
const worse = (one: Statement, other: Statement): Statement['tone'] =>
	ranks.indexOf(one.tone) > ranks.indexOf(other.tone) ? one.tone : other.tone;

/** On a wide screen the sentences stand in columns, because long lines are hard to read. */
function statementLines(statements: readonly Statement[], width: number): readonly Line[] {
	const columns = Math.max(1, Math.min(3, Math.floor(width / columnCells)));
	const cells = Math.floor(width / columns) - (columns > 1 ? 1 : 0);
	const blocks = statements.map((statement, index) =>
		blockOf(statement, cells, statements[index - 1]?.about === statement.about),
	);
	if (columns === 1) return blocks.flat();
	const total = blocks.reduce((sum, block) => sum + block.length, 0);
	const sides: Line[][] = [[]];
	for (const block of blocks) {
		const last = sides.at(-1)!;
		const isFull = last.length > 0 && last.length + block.length / 2 > total / columns;
		if (isFull && sides.length < columns) sides.push([...block]);
		else last.push(...block);
	}

	const rows = Math.max(...sides.map(({length}) => length));
	return Array.from({length: rows}, (_, row) =>
		sides.flatMap((side, index): Line => {
			const line = side[row] ?? [];
			const used = line.reduce((sum, {text}) => sum + widthOf(text), 0);
			const gap = index < sides.length - 1 ? width / columns : 0;
			return gap === 0 ? line : [...line, {text: ' '.repeat(Math.max(1, Math.floor(gap) - used)), tone: 'plain'}];
		}),
	);
}

function blockOf({about, tone, text}: Statement, cells: number, isContinued: boolean): readonly Line[] {
	return wrapped(text, cells - titleCells - 1).map((line, index): Line => [
		{
			text: ` ${index === 0 && !isContinued ? titles[about].padEnd(titleCells - 1) : ' '.repeat(titleCells - 1)}`,
			tone: 'muted',
		},
		{text: line, tone: about === 'do' ? 'accent' : tone},
	]);
}

/**
Lines of at most `cells`, broken at spaces, and in a word only where the word is longer than a line. A command stays in
one line if it can, so that it can be copied.
*/
function wrapped(text: string, cells: number): readonly string[] {
	const whole = text.replaceAll(/`[^`]*`/gu, command =>
		widthOf(command) <= cells ? command.replaceAll(' ', '\u00A0') : command,
	);
	return wrapWords(whole, cells, '')
		.map(line => line.replaceAll('\u00A0', ' '))
		.flatMap(line => (widthOf(line) > cells ? wrapCells(line, cells, 8) : [line]));
}
