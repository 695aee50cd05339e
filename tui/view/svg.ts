/** A frame with control sequences as a picture. It knows the sequences that Ink writes: styles and colours. Pure. */
import {widthOf} from '../../core/observe/printable.ts';
import {picture} from '../theme.ts';

type Style = {
	readonly color: string;
	readonly background: string | undefined;
	readonly isBold: boolean;
	readonly isDim: boolean;
	readonly isUnderlined: boolean;
	readonly isInverse: boolean;
};

/** Pixels of a cell. */
const cellWidth = 8.4;
const cellHeight = 18;
const {paper, ink, palette} = picture;
const plain: Style = {
	color: ink,
	background: undefined,
	isBold: false,
	isDim: false,
	isUnderlined: false,
	isInverse: false,
};
export function svgOf(frame: string, columns: number, rows: number): string {
	let style = plain;
	const shapes: string[] = [];
	for (const [row, line] of frame.split('\n').entries()) {
		let column = 0;
		// oxlint-disable-next-line no-control-regex -- The sequences are what this function reads.
		for (const [part, codes] of line.matchAll(/\u001B\[([\d;]*)m|[^\u001B]+/gu)) {
			if (codes !== undefined) {
				style = styled(style, codes);
				continue;
			}

			shapes.push(...shapesOf(part, column, row, style));
			column += widthOf(part);
		}
	}

	const [width, height] = [columns * cellWidth + 16, rows * cellHeight + 16];
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
			`viewBox="0 0 ${width} ${height}">`,
		`<rect width="100%" height="100%" rx="6" fill="${paper}"/>`,
		`<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, monospace" font-size="14" xml:space="preserve">`,
		...shapes,
		'</g>',
		'</svg>',
	].join('\n');
}

function shapesOf(text: string, column: number, row: number, style: Style): readonly string[] {
	const [x, y, width] = [8 + column * cellWidth, 8 + row * cellHeight, widthOf(text) * cellWidth];
	const background = style.isInverse ? style.color : style.background;
	const color = style.isInverse ? (style.background ?? paper) : style.color;
	const shapes: string[] = [];
	if (background !== undefined)
		shapes.push(
			`<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${cellHeight}" ` +
				`fill="${background}"/>`,
		);
	if (text.trim() !== '')
		shapes.push(
			`<text x="${x.toFixed(1)}" y="${y + 14}" textLength="${width.toFixed(1)}" fill="${color}"` +
				(style.isBold ? ' font-weight="bold"' : '') +
				(style.isDim ? ' opacity="0.6"' : '') +
				(style.isUnderlined ? ' text-decoration="underline"' : '') +
				`>${escaped(text)}</text>`,
		);
	return shapes;
}

function styled(before: Style, text: string): Style {
	const codes = text === '' ? [0] : text.split(';').map(Number);
	let style = before;
	for (let at = 0; at < codes.length; at++) {
		const code = codes[at]!;
		if (code === 38 || code === 48) {
			const [colour, used] = extended(codes.slice(at + 1));
			style = code === 38 ? {...style, color: colour} : {...style, background: colour};
			at += used;
		} else style = {...style, ...changeOf(code)};
	}

	return style;
}

function changeOf(code: number): Partial<Style> {
	if (code >= 30 && code <= 37) return {color: palette[code - 30]!};
	if (code >= 90 && code <= 97) return {color: palette[code - 82]!};
	if (code >= 40 && code <= 47) return {background: palette[code - 40]!};
	if (code >= 100 && code <= 107) return {background: palette[code - 92]!};
	return (
		(
			{
				0: plain,
				1: {isBold: true},
				2: {isDim: true},
				4: {isUnderlined: true},
				7: {isInverse: true},
				22: {isBold: false, isDim: false},
				24: {isUnderlined: false},
				27: {isInverse: false},
				39: {color: ink},
				49: {background: undefined},
			} as Readonly<Record<number, Partial<Style>>>
		)[code] ?? {}
	);
}

/** A colour of the palette of 256, or by its parts. @returns the colour, and how many codes it took */
function extended([kind, first = 0, second = 0, third = 0]: readonly number[]): readonly [string, number] {
	if (kind === 2) return [`rgb(${first},${second},${third})`, 4];
	if (first < 16) return [palette[first]!, 2];
	const index = first - 16;
	if (index >= 216)
		return [
			`rgb(${Array(3)
				.fill(8 + (index - 216) * 10)
				.join(',')})`,
			2,
		];
	const levels = [0, 95, 135, 175, 215, 255];
	return [`rgb(${[36, 6, 1].map(step => levels[Math.floor(index / step) % 6]).join(',')})`, 2];
}

function escaped(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
