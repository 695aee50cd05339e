import fc from 'fast-check';
import stringWidth from 'string-width';
import {describe, expect, test} from 'vitest';
import {fitCells, printable, printableBytes, widthOf, wrapCells} from '../../core/observe/printable.ts';
import {anyText, hostileTexts} from './support/fixtures.ts';
import {Screen} from './support/terminal.ts';

describe('printable', () => {
	test.each([
		['plain text, naïve €', 'plain text, naïve €'],
		['\u001B]52;c;aGk=\u0007', '␛]52;c;aGk=␇'],
		['a\r\nb\tc\u007F', 'a␍␤b␉c␡'],
		['\u202Egnp.exe', '‹U+202E›gnp.exe'],
		['zero\u200Bwidth\u00AD', 'zero‹U+200B›width‹U+00AD›'],
		['\u0085\u2028\uFEFF', '‹U+0085›‹U+2028›‹U+FEFF›'],
		['\uD800x', '‹U+D800›x'],
		['👨‍👩‍👧 👍🏽 🇩🇪 ❤️ 1️⃣ 🤖', '👨👩👧 👍 DE ❤ 1 🤖'],
		['नमस्ते', 'नमस्\u200Cते'], // Letters and vowel signs stay; the conjunct is separated.
		['กำลัง', 'กํ\u0E32ลัง'],
		[`e${'\u0301'.repeat(5)}`, 'é\u0301\u0301‹U+0301›‹U+0301›'],
		['\u0301 stands on nothing', '‹U+0301› stands on nothing'],
		['日本語 한글', '日本語 한글'],
		['\u3000wide space', ' wide space'],
		['\uE000', '‹U+E000›'],
	])('%j is shown as %j', (text, shown) => {
		expect(printable(text)).toBe(shown);
	});

	test('has a bound, and marks a cut text', () => {
		const long = printable('x'.repeat(1_000_000));
		expect(long.length).toBeLessThan(20_000);
		expect(long.endsWith('…')).toBe(true);
	});

	test('leaves no unprintable character, and a width that terminals agree on', () => {
		fc.assert(
			fc.property(anyText(40), text => {
				const shown = printable(text);
				// `printable` adds the non-joiner, which separates the letters of an Indian conjunct.
				expect(shown).not.toMatch(/[[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]--[\u200C]]/v);
				expect([...shown].reduce((sum, character) => sum + stringWidth(character), 0)).toBe(stringWidth(shown));
			}),
			{numRuns: 3000},
		);
	});
});

describe('printableBytes', () => {
	test.each([
		[[0x61, 0xff, 0xe2, 0x82, 0xac], 'a‹ff›€'],
		[[0xed, 0xa0, 0x80], '‹ed›‹a0›‹80›'], // A surrogate is not valid UTF-8.
		[[0xc0, 0x80], '‹c0›‹80›'], // Nor is an overlong zero.
		[[0xf4, 0x90, 0x80, 0x80], '‹f4›‹90›‹80›‹80›'],
		[[0xe2, 0x82], '‹e2›‹82›'],
		[[0x1b, 0x5b, 0x32, 0x4a], '␛[2J'],
	])('%j is shown as %j', (bytes, shown) => {
		expect(printableBytes(Uint8Array.from(bytes))).toBe(shown);
	});

	test('drops only the character that the bound splits', () => {
		const bytes = new TextEncoder().encode('aa€€');
		expect(printableBytes(bytes, 4)).toBe('aa');
		expect(printableBytes(bytes, 5)).toBe('aa€');
	});

	test('agrees with the decoder on valid text', () => {
		fc.assert(
			fc.property(
				anyText(40).map(text => text.toWellFormed()),
				text => {
					expect(printableBytes(new TextEncoder().encode(text))).toBe(printable(text));
				},
			),
			{numRuns: 1000},
		);
	});
});

test('fitCells fills exactly the cells that it is given', () => {
	expect(fitCells('abc', 5)).toBe('abc  ');
	expect(fitCells('abc', 5, 'right')).toBe('  abc');
	expect(fitCells('abcdef', 5)).toBe('abcd…');
	expect(fitCells('日本語', 4)).toBe('日… ');
	expect(fitCells('abc', 0)).toBe('');
	fc.assert(
		fc.property(anyText(30), fc.integer({min: 1, max: 30}), (text, width) => {
			expect(widthOf(fitCells(printable(text), width))).toBe(width);
		}),
		{numRuns: 2000},
	);
});

test('wrapCells keeps every character', () => {
	fc.assert(
		fc.property(anyText(60), fc.integer({min: 2, max: 20}), (raw, width) => {
			const text = printable(raw);
			const lines = wrapCells(text, width, 1000);
			expect(lines.join('')).toBe(text);
			for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
		}),
		{numRuns: 1000},
	);
});

/** `HOSTILE_STRINGS=200000 SEED=…` runs more of them. */
const hostileCount = Number(process.env['HOSTILE_STRINGS'] ?? 20_000);

test(
	'hostile strings move no cell of a terminal, and set no title, clipboard or link',
	async () => {
		const count = hostileCount;
		const pieces = [
			...hostileTexts,
			'\u001B[',
			'\u001B]',
			'\u001BP',
			'\u009B',
			'\u0007',
			' ',
			'abc',
			'é',
			'語',
			'🤖',
			'\u0903',
			'\u093F',
			'\u1160',
			'\u11A8',
			'\uFF9E',
			'\u0E33',
			'\u200D',
			'\uFE0F',
			'\u20E3',
			'\u{1F3FD}',
		];
		// A fixed seed, so that a failure can be repeated.
		const texts = fc.sample(
			fc.array(fc.oneof(fc.constantFrom(...pieces), anyText(6)), {maxLength: 6}).map(parts => parts.join('')),
			{numRuns: count, seed: Number(process.env['SEED'] ?? 20_260_504)},
		);
		const screen = new Screen(60, 50);
		const width = 40;
		let moved = 0;
		for (let start = 0; start < count; start += 50) {
			const rows = texts.slice(start, start + 50).map(text => `│${fitCells(printable(text), width)}│`);
			await new Promise<void>(resolve => screen.emulator.write(`\u001B[H\u001B[2J${rows.join('\r\n')}`, resolve));
			const {active} = screen.emulator.buffer;
			for (let row = 0; row < rows.length; row++) {
				const line = active.getLine(row)!;
				if (
					line.getCell(0)?.getChars() !== '│' ||
					line.getCell(width + 1)?.getChars() !== '│' ||
					line.translateToString(true, width + 2) !== ''
				) {
					moved++;
					if (moved === 1)
						console.error(
							JSON.stringify(texts[start + row]),
							JSON.stringify(rows[row]),
							JSON.stringify(line.translateToString(true)),
						);
				}
			}
		}

		expect(moved).toBe(0);
		expect(screen.leaks).toEqual([]);
	},
	Math.max(120_000, hostileCount * 4),
);
