import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {printable, widthOf} from '../../core/observe/printable.ts';
import {clustersOf, edited, lineOf, viewOf, type Edit, type EditedLine} from '../../tui/input/line-editor.ts';

const targets = ['left', 'right', 'word-left', 'word-right', 'start', 'end'] as const;
const emoji = ['😀', '👨‍👩‍👧', '🇨🇭', 'é', 'e\u0301', '\u0301', '\u200D', '한', '\u1112\u1161\u11AB', ' ', 'a', '\uFE0F'];
const text = fc
	.array(fc.oneof(fc.constantFrom(...emoji), fc.string({unit: 'grapheme'})), {maxLength: 8})
	.map(parts => parts.join(''));
const edit: fc.Arbitrary<Edit> = fc.oneof(
	fc.record({type: fc.constant('insert' as const), text}),
	fc.record({type: fc.constantFrom('move' as const, 'delete' as const), to: fc.constantFrom(...targets)}),
);

function after(start: string, ...edits: readonly Edit[]): EditedLine {
	return edits.reduce((line, one) => edited(line, one), lineOf(start));
}

const insert = (added: string): Edit => ({type: 'insert', text: added});
const move = (to: (typeof targets)[number]): Edit => ({type: 'move', to});
const remove = (to: (typeof targets)[number]): Edit => ({type: 'delete', to});

/** The line with `|` for the cursor. */
const shown = ({text: all, cursor}: EditedLine): string => `${all.slice(0, cursor)}|${all.slice(cursor)}`;

describe('an edit moves over and removes whole characters', () => {
	test.each([
		[after('a😀b', move('left'), move('left'), insert('x')), 'ax|😀b'],
		[after('👨‍👩‍👧', remove('left')), '|'],
		[after('ab', move('start'), remove('right')), '|b'],
		[after('e\u0301x', move('start'), move('right')), 'e\u0301|x'],
		[after('one two  three', move('word-left')), 'one two  |three'],
		[after('one two  three', move('word-left'), move('word-left')), 'one |two  three'],
		[after('one two', move('start'), move('word-right')), 'one| two'],
		[after('one two', remove('word-left')), 'one |'],
		[after('one two', move('word-left'), remove('start')), '|two'],
		[after('one two', move('word-left'), remove('end')), 'one |'],
		[after('', remove('left'), remove('right'), move('left'), move('word-right')), '|'],
		[after('ab', move('left'), insert('xy')), 'axy|b'],
	])('%#', (line, expected) => {
		expect(shown(line)).toBe(expected);
	});
});

test('the cursor is always between two characters', () => {
	fc.assert(
		fc.property(text, fc.array(edit, {maxLength: 20}), (start, edits) => {
			const line = after(start, ...edits);
			const before = clustersOf(line.text.slice(0, line.cursor));
			expect(clustersOf(line.text).slice(0, before.length)).toEqual(before);
		}),
		{numRuns: 2000},
	);
});

test('left and right are inverse, and so are typing and removing', () => {
	fc.assert(
		fc.property(text, fc.nat(6), (start, steps) => {
			let line = lineOf(start);
			for (let step = 0; step < steps; step++) line = edited(line, move('left'));
			if (line.cursor < line.text.length) expect(after2(line, move('right'), move('left'))).toEqual(line);
			const typed = edited(line, insert('a'));
			// A mark after the cursor joins the new letter.
			if (typed.cursor === line.cursor + 1) expect(edited(typed, remove('left')).text).toBe(line.text);
		}),
		{numRuns: 1000},
	);
});

function after2(line: EditedLine, ...edits: readonly Edit[]): EditedLine {
	return edits.reduce((current, one) => edited(current, one), line);
}

test('a full line takes whole characters only, and keeps what it has', () => {
	fc.assert(
		fc.property(text, text, fc.nat(12), (start, added, more) => {
			const max = start.length + more;
			const line = edited(lineOf(start), insert(added), max);
			expect(line.text.length).toBeLessThanOrEqual(max);
			expect(line.text.startsWith(start)).toBe(true);
			expect(added.startsWith(line.text.slice(start.length))).toBe(true);
		}),
	);
});

test('the view fits its row, and shows the cursor', () => {
	fc.assert(
		fc.property(text, text, fc.integer({min: 12, max: 40}), (left, right, width) => {
			const line = {text: left + right, cursor: edited(lineOf(left), insert('')).cursor};
			const settled = edited({...line, cursor: 0}, move('end'));
			for (const one of [settled, edited(settled, move('start')), edited(settled, move('word-left'))]) {
				const {before, at, after: rest} = viewOf(one, width, printable, widthOf);
				expect(widthOf(before + at + rest)).toBeLessThanOrEqual(Math.max(width, widthOf(at)));
				expect(at).toBe(printable(clustersOf(one.text.slice(one.cursor))[0] ?? ' '));
			}
		}),
		{numRuns: 1000},
	);
});

test('a long line shows the text around the cursor, with marks where it goes on', () => {
	const line = lineOf('0123456789'.repeat(5));
	expect(viewOf(line, 10, printable, widthOf)).toEqual({before: '…23456789', at: ' ', after: ''});
	const start = edited(line, move('start'));
	expect(viewOf(start, 10, printable, widthOf)).toEqual({before: '', at: '0', after: '12345678…'});
	const middle = {...line, cursor: 25};
	expect(viewOf(middle, 10, printable, widthOf)).toEqual({before: '…01234', at: '5', after: '67…'});
});
