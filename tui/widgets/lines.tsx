/**
Lines of spans. A line is one `<Text>` of the exact width, so that Ink need not measure, wrap or cut it, which is half
the cost of a row.
*/
import {Box, Text} from 'ink';
import {memo, type ReactNode} from 'react';
import {fitCells, widthOf} from '../../core/observe/printable.ts';
import {hasColours, useTheme} from '../theme.ts';
import type {Span} from '../view/columns.ts';

/** The spans cut or padded to exactly `width` cells. */
export function fitSpans(spans: readonly Span[], width: number): readonly Span[] {
	const out: Span[] = [];
	let left = width;
	for (const [index, span] of spans.entries()) {
		if (left <= 0) break;
		const cells = widthOf(span.text);
		const isOver =
			cells > left ||
			(cells === left &&
				index < spans.length - 1 &&
				spans.slice(index + 1).some(next => next.text.trim() !== ''));
		if (!isOver) {
			out.push(span);
			left -= cells;
			continue;
		}

		out.push({...span, text: cells > left ? fitCells(span.text, left) : span.text});
		left = 0;
	}

	if (left > 0) out.push({text: ' '.repeat(left), tone: 'plain'});
	return out;
}

type LineProps = {readonly spans: readonly Span[]; readonly width: number; readonly isSelected?: boolean};

/** Every snapshot creates new spans, but most of them are equal. */
function isSameLine(before: LineProps, after: LineProps): boolean {
	return (
		before.width === after.width &&
		before.isSelected === after.isSelected &&
		before.spans.length === after.spans.length &&
		(before.spans === after.spans ||
			before.spans.every(
				({text, tone, colour}, index) =>
					text === after.spans[index]!.text &&
					tone === after.spans[index]!.tone &&
					colour === after.spans[index]!.colour,
			))
	);
}

export const Line = memo(({spans, width, isSelected = false}: LineProps) => {
	const theme = useTheme();
	const fitted = fitSpans(spans, width);
	if (isSelected)
		return (
			<Text wrap="truncate" {...theme.selected}>
				{fitted.map(span => span.text).join('')}
			</Text>
		);
	return (
		<Text wrap="truncate">
			{fitted.map((span, index) => (
				<Text
					key={index}
					{...theme[span.tone]}
					{...(span.colour !== undefined && hasColours(theme) ? {color: span.colour} : {})}
				>
					{span.text}
				</Text>
			))}
		</Text>
	);
}, isSameLine);

/** At most `height` lines. */
export function Lines({
	lines,
	width,
	height,
}: {
	readonly lines: ReadonlyArray<readonly Span[]>;
	readonly width: number;
	readonly height: number;
}): ReactNode {
	return (
		<Box flexDirection="column" width={width} height={height}>
			{lines.slice(0, height).map((spans, index) => (
				<Line key={index} spans={spans} width={width} />
			))}
		</Box>
	);
}
