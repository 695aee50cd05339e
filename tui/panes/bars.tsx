/** The lines around the panes: header and hints; and the message on a terminal that is too small. */
import {Box} from 'ink';
import type {ReactNode} from 'react';
import {widthOf} from '../../core/observe/printable.ts';
import {hintsOf, type KeyContext, type Keymap} from '../input/keymap.ts';
import {columnsMin, rowsMin} from '../layout.ts';
import type {ConsoleState} from '../state/state.ts';
import type {Span} from '../view/columns.ts';
import {headerSpans, type HeaderFacts} from '../view/header.ts';
import {isOffered, type Standing} from '../view/offered.ts';
import {Line} from '../widgets/lines.tsx';

export function Header({width, ...facts}: HeaderFacts & {readonly width: number}): ReactNode {
	return <Line spans={headerSpans(facts, width)} width={width} />;
}

/** Hints that a narrow screen drops, in this order. Help and quit stay, and help has the rest. */
const dropped = [
	...['up', 'down', 'zoom', 'pane', 'filter', 'inspect', 'command', 'pause', 'page', 'publish', 'subscribe'],
	...['again', 'write', 'view', 'copy'],
];

export function hintSpans(
	keymap: Keymap,
	context: KeyContext,
	state: ConsoleState,
	standing: Standing,
	width: number,
): readonly Span[] {
	let hints = hintsOf(keymap, context).filter(({action}) => isOffered(action, state, standing));
	for (const word of dropped) {
		if (hints.reduce((sum, hint) => sum + widthOf(hint.key) + hint.word.length + 3, 0) <= width) break;
		hints = hints.filter(hint => hint.word !== word);
	}

	return hints.flatMap(({key, word}) => [
		{text: ` ${key}`, tone: 'accent' as const},
		{text: ` ${word === 'pause' && state.paused ? 'resume' : word} `, tone: 'muted' as const},
	]);
}

export function TooSmall({columns, rows}: {readonly columns: number; readonly rows: number}): ReactNode {
	const lines = [`Needs at least ${columnsMin}×${rowsMin}`, `this is ${columns}×${rows}`, 'Ctrl-C quits'];
	return (
		<Box flexDirection="column" width={columns} height={rows}>
			{lines.slice(0, rows).map((text, index) => (
				<Line key={index} width={columns} spans={[{text, tone: index === 0 ? 'warning' : 'muted'}]} />
			))}
		</Box>
	);
}
