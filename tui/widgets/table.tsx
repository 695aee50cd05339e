/**
A table of columns and rows, on `ink-table`. That component measures code units and has neither tones nor a selection.
So its data are only the positions of the cells; the cell widget gets the fitted text from a context.
*/
import {Box, Text} from 'ink';
import {Table as InkTable} from 'ink-table';
import {createContext, memo, useContext, useMemo, type ReactNode} from 'react';
import {fitCells} from '../../core/observe/printable.ts';
import {windowStart} from '../state/state.ts';
import {useTheme, type Tone} from '../theme.ts';
import {placeColumns, type Column, type Placed} from '../view/columns.ts';

type Model = {
	readonly cell: (
		row: number,
		column: number,
	) => {readonly text: string; readonly tone: Tone; readonly isSelected: boolean};
	readonly title: (column: number) => string;
};

const ModelContext = createContext<Model>({
	cell: () => ({text: '', tone: 'plain', isSelected: false}),
	title: () => '',
});

// ink-table reads its widgets once, at mount, so they must not depend on the rows.
const Cell = ({column, children}: {readonly column: number; readonly children?: ReactNode}): ReactNode => {
	const theme = useTheme();
	const {text, tone, isSelected} = useContext(ModelContext).cell(Number(children), column);
	return (
		<Text wrap="truncate" {...theme[isSelected ? 'selected' : tone]}>
			{text}
		</Text>
	);
};

const Title = (props: {readonly children?: ReactNode}): ReactNode => {
	const theme = useTheme();
	const model = useContext(ModelContext);
	return (
		<Text wrap="truncate" {...theme.muted}>
			{model.title('column' in props ? Number(props.column) : 0)}
		</Text>
	);
};

/** No lines between cells and rows: the frame is enough, and a row takes one line instead of two. */
const Nothing = (): ReactNode => null;

type TableProps<Row> = {
	readonly columns: ReadonlyArray<Column<Row>>;
	readonly rows: readonly Row[];
	readonly width: number;
	readonly height: number;
	/** Index of the row that stays visible. */
	readonly selected: number;
	readonly isFocused: boolean;
	/** Text if there are no rows. */
	readonly empty: string;
};

function PlainTable<Row>({columns, rows, width, height, selected, isFocused, empty}: TableProps<Row>): ReactNode {
	const theme = useTheme();
	const placed = useMemo(() => placeColumns(columns, width), [columns, width]);
	const room = Math.max(0, height - 1);
	const start = windowStart(rows.length, selected, room);
	const visible = useMemo(() => rows.slice(start, start + room), [rows, start, room]);
	const model = useMemo(
		() => modelOf(placed, visible, isFocused ? selected - start : -1),
		[placed, visible, selected, start, isFocused],
	);
	const places = useMemo(
		() => visible.map((_, row) => Object.fromEntries(placed.map(column => [column.title, String(row)]))),
		[placed, visible],
	);
	return (
		<ModelContext value={model}>
			<Box flexDirection="column" width={width} height={height}>
				<InkTable
					data={places}
					columns={placed.map(column => column.title)}
					padding={1}
					header={Title}
					cell={Cell}
					skeleton={Nothing}
				/>
				{rows.length === 0 ? (
					<Text wrap="truncate" {...theme.muted}>
						{empty}
					</Text>
				) : null}
			</Box>
		</ModelContext>
	);
}

function modelOf<Row>(columns: ReadonlyArray<Placed<Row>>, rows: readonly Row[], selected: number): Model {
	const gap = (column: number): string => (column === columns.length - 1 ? '' : ' ');
	return {
		cell(row, column) {
			const placed = columns[column];
			const value = rows[row];
			if (!placed || value === undefined) return {text: '', tone: 'plain', isSelected: false};
			return {
				text: fitCells(placed.cell(value), placed.cells, placed.align) + gap(column),
				tone: placed.tone?.(value) ?? 'plain',
				isSelected: row === selected,
			};
		},
		title(column) {
			const placed = columns[column];
			return placed ? fitCells(placed.title, placed.cells, placed.align) + gap(column) : '';
		},
	};
}

export const Table = memo(PlainTable) as typeof PlainTable;
