/**
Columns of a list: title, width, text and tone of each cell. Pure, so that columns are tested without a terminal. A
narrow pane drops the least important columns first.
*/
import {fitCells} from '../../core/observe/printable.ts';
import type {Tone} from '../theme.ts';

export type Column<Row> = {
	readonly title: string;
	/** Cells, without the gap. A column with `grow` also gets the remaining cells. */
	readonly width: number;
	readonly grow?: boolean;
	readonly align?: 'left' | 'right';
	/** The column with the highest rank is dropped first; 0 is never dropped. @default 0 */
	readonly rank?: number;
	/** Printable text. */
	readonly cell: (row: Row) => string;
	readonly tone?: (row: Row) => Tone;
};

/** `colour`: in place of that of the tone, where there are colours. */
export type Span = {readonly text: string; readonly tone: Tone; readonly colour?: string | undefined};
export type Placed<Row> = Column<Row> & {readonly cells: number};

const gap = 1;

/** The columns that fit into `width` cells, with their widths. */
export function placeColumns<Row>(columns: ReadonlyArray<Column<Row>>, width: number): ReadonlyArray<Placed<Row>> {
	let kept = [...columns];
	const needed = (): number => kept.reduce((sum, column) => sum + column.width + gap, -gap);
	while (needed() > width) {
		const worst = Math.max(...kept.map(column => column.rank ?? 0));
		if (worst === 0) break;
		kept = kept.toSpliced(
			kept.findLastIndex(column => (column.rank ?? 0) === worst),
			1,
		);
	}

	let left = width - needed();
	const growing = kept.filter(column => column.grow).length;
	return kept.map(column => {
		const more = column.grow && left > 0 ? Math.ceil(left / growing) : 0;
		left -= Math.min(more, left);
		return {...column, cells: column.width + more};
	});
}

/** A row as spans that fill the columns exactly. */
export function rowSpans<Row>(columns: ReadonlyArray<Placed<Row>>, row: Row): readonly Span[] {
	return columns.map((column, index) => ({
		text:
			fitCells(column.cell(row), column.cells, column.align) +
			(index === columns.length - 1 ? '' : ' '.repeat(gap)),
		tone: column.tone?.(row) ?? 'plain',
	}));
}

export function titleSpan<Row>(columns: ReadonlyArray<Placed<Row>>): Span {
	return {
		text: columns.map(column => fitCells(column.title, column.cells, column.align)).join(' '.repeat(gap)),
		tone: 'muted',
	};
}
