/** The guide above the panes: its title with its keys, what happens, and how it ended. */
import {Box} from 'ink';
import {useSyncExternalStore, type ReactNode} from 'react';
import {printable, widthOf} from '../../core/observe/printable.ts';
import {rowsMin} from '../layout.ts';
import type {Guide, GuideState} from '../source/guide.ts';
import type {Span} from '../view/columns.ts';
import {wrapWords} from '../view/words.ts';
import {Line} from '../widgets/lines.tsx';

/** Rows of the guide on a screen with so many rows; constant, so that the panes do not move. They come first. */
export function guideRows(rows: number): number {
	return Math.max(2, Math.min(6, rows - rowsMin));
}

export function GuideLines({
	guide,
	width,
	height,
}: {
	readonly guide: Guide;
	readonly width: number;
	readonly height: number;
}): ReactNode {
	const state = useSyncExternalStore(guide.subscribe, guide.getState);
	const lines = guideLines(state, width, height);
	return (
		<Box flexDirection="column" width={width} height={height}>
			{lines.map((spans, index) => (
				<Line key={index} width={width} spans={spans} />
			))}
		</Box>
	);
}

/** The lines of the guide. The outcome is at the end, and takes room from the text when both do not fit. */
export function guideLines(
	{title, text, outcome, hints}: GuideState,
	width: number,
	height: number,
): ReadonlyArray<readonly Span[]> {
	const keys = hints.flatMap(({key, word}): readonly Span[] => [
		{text: ` ${key}`, tone: 'accent'},
		{text: ` ${word} `, tone: 'muted'},
	]);
	const keyCells = keys.reduce((sum, span) => sum + widthOf(span.text), 0);
	const head = ` ${printable(title)} `;
	const gap = ' '.repeat(Math.max(1, width - widthOf(head) - keyCells));
	const wrapped = (raw: string, tone: Span['tone']): ReadonlyArray<readonly Span[]> =>
		wrapWords(printable(raw), width - 2).map(line => [{text: ` ${line.trim()}`, tone}]);
	const ended = outcome ? wrapped(outcome.text, outcome.tone) : [];
	const said = wrapped(text, 'plain').slice(0, Math.max(0, height - 1 - ended.length));
	const first: readonly Span[] = [{text: head, tone: 'title'}, {text: gap, tone: 'plain'}, ...keys];
	return [first, ...said, ...ended].slice(0, height);
}
