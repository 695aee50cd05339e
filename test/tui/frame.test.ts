import {describe, expect, test} from 'vitest';
import {frameOf, type FrameFormat} from '../../tui/frame.tsx';
import {svgOf} from '../../tui/view/svg.ts';
import {FakeSource, healthy, hostile} from './support/fixtures.ts';

const frame = (format: FrameFormat, snapshot = healthy): string =>
	frameOf({source: new FakeSource(snapshot), format, columns: 100, rows: 30, environment: {}});

describe('one frame', () => {
	test('as text has the lines of the screen', () => {
		const lines = frame('text').split('\n');
		expect(lines.length).toBe(30);
		expect(lines.every(line => line.length <= 100 && line === line.trimEnd())).toBe(true);
		expect(lines[0]).toContain('LEADER term 4');
	});

	test('as JSON has its size', () => {
		const {columns, rows, lines} = JSON.parse(frame('json')) as {
			readonly columns: number;
			readonly rows: number;
			readonly lines: readonly string[];
		};
		expect([columns, rows, lines.length]).toEqual([100, 30, 30]);
	});

	test('has no control sequence of a message', () => {
		for (const format of ['text', 'json', 'svg'] as const) {
			// oxlint-disable-next-line no-control-regex
			expect(frame(format, hostile)).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/u);
		}

		// oxlint-disable-next-line no-control-regex
		expect(frame('ansi', hostile).replaceAll(/\u001B\[[\d;]*m/g, '')).not.toContain('\u001B');
	});
});

test('a picture has the styles and the colours, and escapes text', () => {
	const svg = svgOf(
		'\u001B[31ma<b\u001B[39m\u001B[1m&\u001B[22m \u001B[38;5;81mc\u001B[0m\u001B[7mx\u001B[27m',
		20,
		1,
	);
	expect(svg).toContain('fill="#cd3131">a&lt;b</text>');
	expect(svg).toContain('font-weight="bold">&amp;</text>');
	expect(svg).toContain('fill="rgb(95,215,255)">c</text>');
	expect(svg).toMatch(/<rect x="58\.4"[^>]*fill="#d4d4d4"\/>\n<text x="58\.4"[^>]*fill="#1e1e1e">x/);
});
