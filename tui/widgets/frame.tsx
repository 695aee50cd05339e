/**
A frame with its title in the top line. The focused frame has heavy lines, so that focus is visible without colour.
*/
import {Box, Text} from 'ink';
import type {ReactNode} from 'react';
import {widthOf} from '../../core/observe/printable.ts';
import {useTheme, type Tone} from '../theme.ts';
import type {Span} from '../view/columns.ts';
import {fitSpans} from './lines.tsx';

/** Cells of the frame around its content: two lines and two spaces in each row; two rows. */
export const frameColumns = 4;
export const frameRows = 2;

type FrameProps = {
	readonly width: number;
	readonly height: number;
	/** The text after the number and the name. */
	readonly title: readonly Span[];
	readonly name: string;
	readonly isFocused: boolean;
	/** Tone of the lines of an unfocused frame. @default 'muted' */
	readonly tone?: Tone;
	readonly children?: ReactNode;
};

export function Frame({width, height, title, name, isFocused, tone = 'muted', children}: FrameProps): ReactNode {
	const theme = useTheme();
	const line = theme[isFocused ? 'accent' : tone];
	const [left, bar, right] = isFocused ? ['┏━', '━', '┓'] : ['╭─', '─', '╮'];
	const room = Math.max(0, width - 4);
	const used = [
		{text: ` ${name} `, tone: 'title' as const},
		...title,
		...(title.length > 0 ? [{text: ' ', tone: 'plain' as const}] : []),
	];
	const cells = Math.min(
		room,
		used.reduce((sum, span) => sum + widthOf(span.text), 0),
	);
	return (
		<Box flexDirection="column" width={width} height={height}>
			<Text wrap="truncate">
				<Text {...line}>{left}</Text>
				{fitSpans(used, cells).map((span, index) => (
					<Text key={index} {...theme[span.tone]}>
						{span.text}
					</Text>
				))}
				<Text {...line}>
					{bar.repeat(room - cells + 1)}
					{right}
				</Text>
			</Text>
			<Box
				flexDirection="column"
				width={width}
				height={Math.max(0, height - 1)}
				paddingX={1}
				borderStyle={isFocused ? 'bold' : 'round'}
				borderTop={false}
				borderColor={line.color}
				borderDimColor={line.dimColor ?? false}
			>
				{children}
			</Box>
		</Box>
	);
}
