/**
The prompt in the bottom line, drawn with `ink-text-input`. The reducer edits (`input/line-editor.ts`), because that
component edits code units, keeps its own cursor and reads keys itself. The cursor is that of the terminal, so input
methods and screen readers follow it.
*/
import {Box, Text, useCursor} from 'ink';
import TextInput from 'ink-text-input';
import type {ReactNode} from 'react';
import {fitCells, printable, widthOf} from '../../core/observe/printable.ts';
import {viewOf} from '../input/line-editor.ts';
import type {Notice, Prompt as PromptState} from '../state/state.ts';
import {useTheme} from '../theme.ts';

export function promptLabel(
	{kind, topic, question}: Pick<PromptState, 'kind' | 'topic' | 'question'>,
	filtered: string,
): string {
	switch (kind) {
		case 'command':
			return ':';
		case 'filter':
			return `Filter ${filtered}: `;
		case 'subscribe':
			return 'Subscribe to: ';
		case 'unsubscribe':
			return 'Unsubscribe from: ';
		case 'confirm':
			return `To do it, type ${printable(question?.name ?? '')}: `;
		case 'publish-topic':
			return 'Publish to: ';
		case 'publish-again':
			return 'Publish again to: ';
		case 'save':
			return 'Write to the new file: ';
		case 'publish-text':
			return `Message on ${printable(topic)}: `;
		default: {
			const unknown: never = kind;
			return unknown;
		}
	}
}

type PromptProps = {
	readonly prompt: PromptState;
	/** Name of the list that a filter is for. */
	readonly filtered: string;
	readonly width: number;
	/** The row of the screen. */
	readonly row: number;
	/** What is wrong with the line, if no other row shows it. */
	readonly notice: Notice | undefined;
};

/** Fewer cells than these do not let a user see what is typed. */
const draftCellsMin = 12;

export function Prompt({prompt, filtered, width, row, notice}: PromptProps): ReactNode {
	const theme = useTheme();
	const {setCursorPosition} = useCursor();
	const full = promptLabel(prompt, filtered);
	const label = widthOf(full) > width / 2 ? fitCells(full, Math.floor(width / 2)) : full;
	const said = notice === undefined ? '' : ` · ${printable(notice.text)}`;
	const rest = width - widthOf(label);
	const wanted = Math.max(draftCellsMin, Math.min(widthOf(printable(prompt.draft)) + 2, Math.ceil(rest / 3)));
	const room = said === '' ? rest : Math.max(wanted, rest - widthOf(said));
	const {before, at, after} = viewOf({text: prompt.draft, cursor: prompt.cursor}, room - 1, printable, widthOf);
	setCursorPosition({x: widthOf(label) + widthOf(before), y: row});
	return (
		<Box width={width} height={1} overflow="hidden">
			<Text {...theme.accent}>{label}</Text>
			<Box width={room} height={1} overflow="hidden">
				<Text wrap="truncate" {...(prompt.isProposal ? theme.selected : theme.plain)}>
					<TextInput
						value={(before + at + after).trimEnd()}
						focus={false}
						showCursor={false}
						onChange={ignore}
					/>
				</Text>
			</Box>
			{notice ? (
				<Text wrap="truncate" {...theme[notice.tone]}>
					{fitCells(said, Math.max(0, rest - room))}
				</Text>
			) : null}
		</Box>
	);
}

const ignore = (): void => {};
