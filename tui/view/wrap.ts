/**
Wraps a line of spans at spaces instead of cutting it. Pure. The first span is its title: the following lines are
indented by its width.
*/
import {widthOf, wrapCells} from '../../core/observe/printable.ts';
import type {Span} from './columns.ts';

type Line = readonly Span[];

/** Lines of a word that is longer than a line. */
const pieceLinesMax = 16;

/** The line, or the lines of at most `width` cells into which it is broken. */
export function wrapLine(line: Line, width: number): readonly Line[] {
	const cells = line.reduce((sum, {text}) => sum + widthOf(text), 0);
	const [title, ...rest] = line;
	if (cells <= width || !title) return [line];
	// A line without a title is indented like a sentence.
	const isTitled = rest.length > 0 && widthOf(title.text) <= width / 2;
	const indent = isTitled ? widthOf(title.text) : 2;
	const room = Math.max(1, width - indent);
	const lines: Span[][] = [[]];
	let used = 0;
	const begin = (): void => {
		lines.push([{text: ' '.repeat(indent), tone: 'plain'}]);
		used = 0;
	};

	if (isTitled) lines[0]!.push(title);
	for (const {text, tone} of isTitled ? rest : line)
		for (const word of text.split(/(?<=\S )(?=\S)/u)) {
			const isFirst = !isTitled && lines.length === 1;
			const last = isFirst ? width : room;
			if (used > 0 && used + widthOf(word.trimEnd()) > last) begin();
			const pieces = widthOf(word) > last ? wrapCells(word.trimEnd(), room, pieceLinesMax) : [word];
			for (const [index, piece] of pieces.entries()) {
				if (index > 0) begin();
				lines.at(-1)!.push({text: piece, tone});
				used += widthOf(piece);
			}
		}

	return lines;
}

/** As `wrapLine` for many lines. */
export function wrapLines(lines: readonly Line[], width: number): readonly Line[] {
	return lines.flatMap(line => wrapLine(line, width));
}
