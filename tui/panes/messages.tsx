/** The feed: a sample of the delivered messages, newest last. One `<Text>` per row; only visible rows exist. */
import {Box} from 'ink';
import {memo, useMemo, type ReactNode} from 'react';
import {shortId, type Label} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import type {MessageSnapshot} from '../../core/snapshot.ts';
import {messageKey} from '../source/share.ts';
import {windowStart} from '../state/state.ts';
import {placeColumns, rowSpans, titleSpan, type Column} from '../view/columns.ts';
import {previewText} from '../view/lists.ts';
import {brief, clockTime, count} from '../view/words.ts';
import {Line} from '../widgets/lines.tsx';

/** @param width cells of the pane; a wide pane has room for milliseconds and long names */
export const messageColumns = (
	width: number,
	label: Label = shortId,
	fromCells = 8,
): ReadonlyArray<Column<MessageSnapshot>> => [
	{
		title: 'TIME',
		width: width >= 90 ? 12 : 8,
		rank: 2,
		cell: message => clockTime(message.sentAtMs).slice(0, width >= 90 ? 12 : 8),
		tone: () => 'muted',
	},
	{title: '', width: 1, cell: message => (message.repaired ? '↻' : ''), tone: () => 'warning'},
	{title: 'TOPIC', width: width >= 110 ? 18 : 12, cell: message => printable(message.topic), tone: () => 'accent'},
	{title: 'FROM', width: fromCells, rank: 1, cell: message => label(message.origin)},
	{title: 'SEQ', width: 7, rank: 3, align: 'right', cell: message => count(message.seq), tone: () => 'muted'},
	{title: 'LAMPORT', width: 8, rank: 4, align: 'right', cell: message => count(message.lamport), tone: () => 'muted'},
	{title: 'SIZE', width: 6, rank: 3, align: 'right', cell: message => brief(message.size), tone: () => 'muted'},
	{title: 'MESSAGE', width: 20, grow: true, cell: message => previewText(message)},
];

type MessagesProps = {
	readonly rows: readonly MessageSnapshot[];
	readonly selected: number;
	readonly hint: string;
	readonly label: Label;
	readonly fromCells: number;
	readonly isFocused: boolean;
	readonly width: number;
	readonly height: number;
};

export const Messages = memo(
	({rows, selected, hint, label, fromCells, isFocused, width, height}: MessagesProps): ReactNode => {
		const columns = useMemo(
			() => placeColumns(messageColumns(width, label, fromCells), width),
			[width, label, fromCells],
		);
		const room = Math.max(0, height - 1);
		const start = windowStart(rows.length, selected, room);
		return (
			<Box flexDirection="column" width={width} height={height}>
				<Line spans={[titleSpan(columns)]} width={width} />
				{rows.length === 0 ? <Line spans={[{text: hint, tone: 'muted'}]} width={width} /> : null}
				{rows.slice(start, start + room).map((message, index) => (
					<MessageRow
						key={messageKey(message)}
						message={message}
						columns={columns}
						width={width}
						isSelected={isFocused && start + index === selected}
					/>
				))}
			</Box>
		);
	},
);

/** A message never changes, so its row is drawn only once. */
const MessageRow = memo(
	({
		message,
		columns,
		width,
		isSelected,
	}: {
		readonly message: MessageSnapshot;
		readonly columns: ReturnType<typeof placeColumns<MessageSnapshot>>;
		readonly width: number;
		readonly isSelected: boolean;
	}) => <Line spans={rowSpans(columns, message)} width={width} isSelected={isSelected} />,
);
