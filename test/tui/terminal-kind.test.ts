import {describe, expect, test} from 'vitest';
import stringWidth from 'string-width';
import {asciiText} from '../../tui/ascii.ts';
import {backgroundIn, backgroundOfReply, isAsciiOnly} from '../../tui/terminal-kind.ts';
import {chooseTheme, themes} from '../../tui/theme.ts';
import {healthy, hostile, lost} from './support/fixtures.ts';
import {openConsole} from './support/terminal.ts';

describe('the background', () => {
	test.each([
		['15;0', 'dark'],
		['0;15', 'light'],
		['0;default;7', 'light'],
		['7;8', 'dark'],
		['', undefined],
		['x', undefined],
	] as const)('by COLORFGBG=%s is %s', (COLORFGBG, expected) => {
		expect(backgroundIn({COLORFGBG})).toBe(expected);
	});

	test.each([
		['11;rgb:ffff/ffff/ffff', 'light'],
		['11;rgb:1e/1e/2e', 'dark'],
		['11;rgba:0/0/0/0', 'dark'],
		['11;rgb:f/e/d', 'light'],
		['10;rgb:ffff/ffff/ffff', undefined],
		['11;?', undefined],
	] as const)('by the answer %s is %s', (reply, expected) => {
		expect(backgroundOfReply(reply)).toBe(expected);
	});
});

test.each([
	[{}, false],
	[{LANG: 'en_US.UTF-8'}, false],
	[{LANG: 'C.utf8'}, false],
	[{LC_ALL: 'C', LANG: 'en_US.UTF-8'}, true],
	[{LC_ALL: '', LANG: 'de_DE@euro'}, true],
	[{LC_CTYPE: 'UTF-8', LANG: 'C'}, false],
	[{TERM: 'vt100', LANG: 'en_US.UTF-8'}, true],
	[{TERM: 'xterm-256color'}, false],
])('%j: ASCII only is %s', (environment, expected) => {
	expect(isAsciiOnly(environment)).toBe(expected);
});

/** The colour with this number in the palette of 256 colours: a cube of six levels, then greys. */
function paletteColour(name: string): string {
	const index = Number(/^ansi256\((\d+)\)$/.exec(name)![1]) - 16;
	const levels = [0, 95, 135, 175, 215, 255];
	const parts =
		index >= 216
			? [8, 8, 8].map(first => first + (index - 216) * 10)
			: [36, 6, 1].map(step => levels[Math.floor(index / step) % 6]!);
	return `#${parts.map(part => part.toString(16).padStart(2, '0')).join('')}`;
}

/** The contrast of two colours, WCAG 2.2. */
function contrast(one: string, other: string): number {
	const luminance = (colour: string): number => {
		const [red = 0, green = 0, blue = 0] = [1, 3, 5]
			.map(at => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
			.map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
		return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
	};
	const [low = 0, high = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
	return (high + 0.05) / (low + 0.05);
}

test.each([
	['dark', ['#000000', '#1e1e1e', '#2e3440'], 4.5],
	['light', ['#ffffff', '#fdf6e3', '#eeeeee'], 4.5],
	['contrast', ['#000000', '#ffffff'], 7],
] as const)('the colours of the theme %s can be read', (name, backgrounds, least) => {
	for (const style of Object.values(themes[name])) {
		const {color, backgroundColor} = style as {readonly color?: string; readonly backgroundColor?: string};
		if (color === undefined) continue;
		for (const background of backgroundColor === undefined ? backgrounds : [paletteColour(backgroundColor)])
			expect(contrast(paletteColour(color), background), `${color} on ${background}`).toBeGreaterThanOrEqual(
				least,
			);
	}
});

test('a theme is chosen by its name, by the background, or by NO_COLOR', () => {
	expect(chooseTheme({}, {})).toEqual(themes.dark);
	expect(chooseTheme({}, {COLORFGBG: '0;15'})).toEqual(themes.light);
	expect(chooseTheme({name: 'auto'}, {}, 'light')).toEqual(themes.light);
	expect(chooseTheme({name: '16'}, {COLORFGBG: '0;15'})).toEqual(themes['16']);
	expect(chooseTheme({name: 'light'}, {NO_COLOR: '1'})).toEqual(themes.none);
	expect(chooseTheme({name: 'dark', tones: {good: {bold: true}}}, {}).good).toEqual({bold: true});
});

test('a terminal without UTF-8 gets ASCII only, in the same places', async () => {
	for (const snapshot of [healthy, lost, hostile]) {
		await using running = await openConsole(snapshot, 100, 30, {environment: {LC_ALL: 'C'}});
		const {screen} = running;
		for (const key of ['1', '5', '?', '\u001B', ':publish é語\u001B[H']) {
			screen.type(key);
			await screen.settle();
		}

		// oxlint-disable-next-line no-control-regex
		expect(screen.raw).toMatch(/^[\u0000-\u007F]*$/u);
		expect(screen.lines().some(line => line.startsWith('+') && line.endsWith('+') && line.length === 100)).toBe(
			true,
		);
	}
});

test('ASCII has the width of what it replaces', () => {
	for (const text of ['é', '語', 'e\u0301', '┏━┓', '●★✓×', '‹U+202E›', '🤖', '한'])
		expect(stringWidth(asciiText(text)), text).toBe(stringWidth(text));
	expect(asciiText('\u001B[31mñ\u001B[0m')).toBe('\u001B[31mn\u001B[0m');
});

test('a terminal that cannot move its cursor is refused, with what to use', async () => {
	await expect(
		openConsole(healthy, 100, 30, {environment: {TERM: 'dumb'}}).then(running => running.exit),
	).rejects.toThrow(/TERM=dumb cannot.*--headless/);
});
