/**
The layout of the screen: (columns, rows, focus, zoom, bars, situation) → boxes in whole cells. Pure.

There are two shapes. A small screen has an **accordion**: the focused pane is open and large, and each other pane is
one line with its most important fact, in the order of their numbers. A screen from 100×30 on has a **grid** of all six
panes, three rows of two. At 80×24 a sixth of the screen is too small for a pane, so the accordion keeps the summaries
instead. While something is wrong, the situation is above the panes.
*/

export const paneIds = ['peers', 'raft', 'topics', 'messages', 'partition', 'events'] as const;
export type PaneId = (typeof paneIds)[number];

export const columnsMin = 60;
export const rowsMin = 15;

export type Box = {readonly x: number; readonly y: number; readonly width: number; readonly height: number};
/** `summary` is one line without a frame; `name` is a part of a line. */
export type PlacedPane = Box & {readonly pane: PaneId; readonly shape: 'open' | 'summary' | 'name'};

export type Layout =
	| {readonly type: 'too-small'; readonly columns: number; readonly rows: number}
	| {
			readonly type: 'panes';
			readonly shape: 'accordion' | 'grid';
			readonly header: Box;
			/** Lines about the connection, a folded situation and the last incident; height 0 without any. */
			readonly bars: Box;
			/** The open situation; height 0 without one. */
			readonly situation: Box;
			/** The area between the bars and the prompt, for an overlay. */
			readonly body: Box;
			/** The situation leaves no room for the focused pane, which is folded to its summary. */
			readonly hidesFocus: boolean;
			/** Rows from top to bottom; panes from left to right. */
			readonly rows: ReadonlyArray<readonly PlacedPane[]>;
			/** The prompt, or the last notice. */
			readonly prompt: Box;
			/** Hints; height 0 if the row of the prompt shows them while it is free. */
			readonly hints: Box;
	  };

export type LayoutInput = {
	readonly columns: number;
	readonly rows: number;
	readonly focus: PaneId;
	readonly zoom: boolean;
	/** Rows of the bars. */
	readonly bars: number;
	/** Rows that the situation needs; 0 without one. */
	readonly situation: number;
};

/** Rows of an open pane in the accordion: a frame, a title and two rows. */
const openRowsMin = 5;

/** The grid: the panes of each row, the width of the left one and the height of the row, in percent. */
const grid: ReadonlyArray<{
	readonly left: PaneId;
	readonly right: PaneId;
	readonly leftShare: number;
	readonly share: number;
}> = [
	{left: 'peers', right: 'raft', leftShare: 61, share: 30},
	{left: 'messages', right: 'topics', leftShare: 61, share: 38},
	{left: 'partition', right: 'events', leftShare: 50, share: 32},
];

export function layOut({columns, rows, focus, zoom, bars, situation}: LayoutInput): Layout {
	if (columns < columnsMin || rows < rowsMin) return {type: 'too-small', columns, rows};
	const isGrid = columns >= 100 && rows >= 30;
	const barRows = Math.min(bars, rows >= 20 ? 6 : 2);
	const hintRows = isGrid ? 1 : 0;
	const box = (y: number, height: number): Box => ({x: 0, y, width: columns, height});
	const body = box(1 + barRows, rows - 2 - barRows - hintRows);
	const panes = zoom
		? zoomed(body, focus)
		: isGrid
			? gridBelow(body, situation, focus)
			: accordionBelow(body, focus, situation);
	return {
		type: 'panes',
		shape: isGrid ? 'grid' : 'accordion',
		header: box(0, 1),
		bars: box(1, barRows),
		situation: box(body.y, panes.used),
		body,
		hidesFocus: panes.hidesFocus,
		rows: panes.rows,
		prompt: box(rows - 1 - hintRows, 1),
		hints: box(rows - hintRows, hintRows),
	};
}

/** The panes below the situation, which uses `used` rows. */
type Below = {
	readonly used: number;
	readonly hidesFocus: boolean;
	readonly rows: ReadonlyArray<readonly PlacedPane[]>;
};

function zoomed(body: Box, focus: PaneId): Below {
	return {used: 0, hidesFocus: false, rows: [[{...body, pane: focus, shape: 'open'}]]};
}

/** On a large screen the situation takes at most half of the rows. */
function gridBelow(body: Box, wanted: number, focus: PaneId): Below {
	const used = Math.min(wanted, Math.floor(body.height / 2));
	const rest = below(body, used);
	return {used, hidesFocus: false, rows: rest.height < gridRowsMin ? focusedRows(rest, focus) : gridRows(rest)};
}

/** With fewer rows than this, three rows of panes would show almost nothing. */
const gridRowsMin = 21;

/** The row of the focused pane is open, and the other panes are one line each. */
function focusedRows(body: Box, focus: PaneId): ReadonlyArray<readonly PlacedPane[]> {
	let {y} = body;
	return grid.flatMap(({left, right, leftShare}): ReadonlyArray<readonly PlacedPane[]> => {
		const closed = (pane: PaneId): PlacedPane => ({...body, y: y++, height: 1, pane, shape: 'summary'});
		if (focus !== left && focus !== right) return [[closed(left)], [closed(right)]];
		const height = body.height - paneIds.length + 2;
		const width = Math.round((body.width * leftShare) / 100);
		const row: readonly PlacedPane[] = [
			{x: body.x, y, width, height, pane: left, shape: 'open'},
			{x: body.x + width, y, width: body.width - width, height, pane: right, shape: 'open'},
		];
		y += height;
		return [row];
	});
}

/**
On a small screen the situation takes what it needs. If that leaves no room for the focused pane, all panes are closed,
and those whose facts the situation states are shown by their names only.
*/
function accordionBelow(body: Box, focus: PaneId, wanted: number): Below {
	if (body.height - wanted - paneIds.length + 1 >= openRowsMin)
		return {used: wanted, hidesFocus: false, rows: accordionRows(below(body, wanted), focus)};
	const used = body.height - summarized.length - 1;
	return {used, hidesFocus: true, rows: closedRows(below(body, used))};
}

/** Panes whose summary is shown beside an incident. */
const summarized: readonly PaneId[] = ['messages', 'events'];

function closedRows({x, y, width}: Box): ReadonlyArray<readonly PlacedPane[]> {
	const named = paneIds.filter(pane => !summarized.includes(pane));
	const cells = Math.floor(width / named.length);
	return [
		named.map((pane, index) => ({
			x: x + index * cells,
			y,
			width: index === named.length - 1 ? width - index * cells : cells,
			height: 1,
			pane,
			shape: 'name',
		})),
		...summarized.map((pane, index): readonly PlacedPane[] => [
			{x, y: y + 1 + index, width, height: 1, pane, shape: 'summary'},
		]),
	];
}

const below = (body: Box, used: number): Box => ({...body, y: body.y + used, height: body.height - used});

function accordionRows(body: Box, focus: PaneId): ReadonlyArray<readonly PlacedPane[]> {
	let {y} = body;
	return paneIds.map(pane => {
		const height = pane === focus ? body.height - paneIds.length + 1 : 1;
		const placed: PlacedPane = {
			x: body.x,
			y,
			width: body.width,
			height,
			pane,
			shape: pane === focus ? 'open' : 'summary',
		};
		y += height;
		return [placed];
	});
}

function gridRows(body: Box): ReadonlyArray<readonly PlacedPane[]> {
	let {y} = body;
	return grid.map(({left, right, leftShare, share}, index) => {
		// The last row gets the rows that are left by rounding.
		const height = index === grid.length - 1 ? body.y + body.height - y : Math.round((body.height * share) / 100);
		const width = Math.round((body.width * leftShare) / 100);
		const row: readonly PlacedPane[] = [
			{x: body.x, y, width, height, pane: left, shape: 'open'},
			{x: body.x + width, y, width: body.width - width, height, pane: right, shape: 'open'},
		];
		y += height;
		return row;
	});
}
