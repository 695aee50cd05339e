/**
The screen of a terminal emulator as SVG: cells of one size, and one `<text>` per run of one style. A text is stretched
to its cells, so that it looks the same in any monospaced font. Box drawing and block characters are drawn as shapes.
*/
import type xterm from '@xterm/headless';

type Terminal = InstanceType<typeof xterm.Terminal>;
type Cell = NonNullable<ReturnType<NonNullable<ReturnType<Terminal['buffer']['active']['getLine']>>['getCell']>>;

const cellWidth = 8.4;
const cellHeight = 17;
const fontSize = 14;
const margin = 12;
const barHeight = 26;

const colours = {background: '#11151c', foreground: '#d5dae3', bar: '#1b212b'};
const palette = [
	'#2b303b',
	'#ec5f67',
	'#8fc77b',
	'#f0c36a',
	'#6aa6e8',
	'#c18ae0',
	'#5fc6c9',
	'#cdd3de',
	'#6f7a8c',
	'#ff7b82',
	'#a9e094',
	'#ffd98a',
	'#8cc2ff',
	'#dcaaf5',
	'#7fe3e6',
	'#ffffff',
];

/** @param title the text in the bar of the window; without a title there is no bar */
export function screenToSvg(terminal: Terminal, title?: string): string {
	const {
		cols,
		rows,
		buffer: {active},
	} = terminal;
	const top = margin + (title === undefined ? 0 : barHeight);
	const width = cols * cellWidth + margin * 2;
	const height = rows * cellHeight + top + margin;
	const out = [
		`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ` +
			`${height}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="${fontSize}">`,
		`<rect width="${width}" height="${height}" rx="8" fill="${colours.background}"/>`,
	];
	if (title !== undefined) {
		out.push(
			`<path d="M0 8a8 8 0 0 1 8-8h${width - 16}a8 8 0 0 1 8 8v${barHeight - 8}h-${width}z" ` +
				`fill="${colours.bar}"/>`,
		);
		for (const [index, fill] of ['#ec5f67', '#f0c36a', '#8fc77b'].entries())
			out.push(`<circle cx="${16 + index * 18}" cy="${barHeight / 2}" r="5.5" fill="${fill}"/>`);
		out.push(
			`<text x="${width / 2}" y="${barHeight / 2 + 5}" text-anchor="middle" fill="#9aa4b5" ` +
				`font-size="13">${escape(title)}</text>`,
		);
	}

	for (let row = 0; row < rows; row++) {
		const line = active.getLine(active.baseY + row);
		if (!line) continue;
		const y = top + row * cellHeight;
		for (const run of runsOf(column => line.getCell(column), cols)) {
			const x = margin + run.start * cellWidth;
			const cells = run.cells * cellWidth;
			if (run.background !== colours.background)
				out.push(
					`<rect x="${x.toFixed(1)}" y="${y}" width="${(cells + 0.3).toFixed(1)}" ` +
						`height="${cellHeight + 0.3}" fill="${run.background}"/>`,
				);
			if (run.text.trim() === '') continue;
			const style =
				(run.bold ? ' font-weight="bold"' : '') +
				(run.dim ? ' opacity="0.6"' : '') +
				(run.underline ? ' text-decoration="underline"' : '');
			out.push(
				`<text x="${x.toFixed(1)}" y="${y + 13}" fill="${run.foreground}" ` +
					`textLength="${cells.toFixed(1)}" lengthAdjust="spacingAndGlyphs" ` +
					`xml:space="preserve"${style}>${escape(run.text)}</text>`,
			);
		}
	}

	out.push('</svg>');
	return `${out.join('\n')}\n`;
}

type Run = {
	start: number;
	cells: number;
	text: string;
	readonly foreground: string;
	readonly background: string;
	readonly bold: boolean;
	readonly dim: boolean;
	readonly underline: boolean;
};

function runsOf(cellAt: (column: number) => Cell | undefined, columns: number): Run[] {
	const runs: Run[] = [];
	for (let column = 0; column < columns; column++) {
		const cell = cellAt(column);
		if (!cell || cell.getWidth() === 0) continue;
		const style = styleOf(cell);
		const text = cell.getChars() || ' ';
		const last = runs.at(-1);
		// A character outside ASCII may come from another font with another width, so it is a run of its own. Lines
		// are joined again.
		const isPlain = /^[ -~─━]$/.test(text);
		if (
			last &&
			isPlain &&
			/^[ -~─━]+$/.test(last.text) &&
			/[─━]/.test(text) === /[─━]/.test(last.text) &&
			last.start + last.cells === column &&
			last.foreground === style.foreground &&
			last.background === style.background &&
			last.bold === style.bold &&
			last.dim === style.dim &&
			last.underline === style.underline
		) {
			last.text += text;
			last.cells += cell.getWidth();
		} else {
			runs.push({start: column, cells: cell.getWidth(), text, ...style});
		}
	}

	return runs;
}

function styleOf(cell: Cell): Pick<Run, 'foreground' | 'background' | 'bold' | 'dim' | 'underline'> {
	const bold = cell.isBold() !== 0;
	const foreground = cell.isFgDefault() ? colours.foreground : colourOf(cell.getFgColor(), cell.isFgRGB());
	const background = cell.isBgDefault() ? colours.background : colourOf(cell.getBgColor(), cell.isBgRGB());
	const isInverse = cell.isInverse() !== 0;
	return {
		foreground: isInverse ? background : foreground,
		background: isInverse ? foreground : background,
		bold,
		dim: cell.isDim() !== 0,
		underline: cell.isUnderline() !== 0,
	};
}

function colourOf(value: number, isRgb: boolean): string {
	if (isRgb) return `#${value.toString(16).padStart(6, '0')}`;
	if (value < 16) return palette[value]!;
	if (value >= 232) return `#${(8 + (value - 232) * 10).toString(16).padStart(2, '0').repeat(3)}`;
	const cube = [0, 95, 135, 175, 215, 255];
	const index = value - 16;
	const parts = [Math.floor(index / 36), Math.floor(index / 6) % 6, index % 6];
	return `#${parts.map(part => cube[part]!.toString(16).padStart(2, '0')).join('')}`;
}

function escape(text: string): string {
	return (
		text
			// oxlint-disable-next-line no-control-regex -- XML does not allow these characters
			.replaceAll(/[\u0000-\u0008\u000B-\u001F]/g, ' ')
			.replaceAll('&', '&amp;')
			.replaceAll('<', '&lt;')
			.replaceAll('>', '&gt;')
	);
}
