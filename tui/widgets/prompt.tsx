/**
The prompt in the bottom line, on `ink-text-input`. The input edits; the reducer holds the draft and decides which
characters it may contain.
*/
import {Box, Text} from 'ink';
import TextInput from 'ink-text-input';
import type {ReactNode} from 'react';
import {fitCells, printable, widthOf} from '../../core/observe/printable.ts';
import type {Prompt as PromptState} from '../state/state.ts';
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
	readonly onChange: (text: string) => void;
	readonly onSubmit: (text: string) => void;
};

export function Prompt({prompt, filtered, width, onChange, onSubmit}: PromptProps): ReactNode {
	const theme = useTheme();
	const full = promptLabel(prompt, filtered);
	const label = widthOf(full) > width / 2 ? fitCells(full, Math.floor(width / 2)) : full;
	const room = width - widthOf(label);
	// One more for the cursor after the text. A longer text shows its end.
	const needed = Math.max(room, widthOf(prompt.draft) + 1);
	return (
		<Box width={width} height={1} overflow="hidden">
			<Text {...theme.accent}>{label}</Text>
			<Box width={room} height={1} overflow="hidden">
				<Box width={needed} flexShrink={0} height={1} marginLeft={room - needed}>
					<TextInput key={prompt.revision} value={prompt.draft} onChange={onChange} onSubmit={onSubmit} />
				</Box>
			</Box>
		</Box>
	);
}
