/**
The layout of the screen: (columns, rows, focus, zoom, alerts) → boxes in whole cells. Pure.

There are two shapes. A small screen has an **accordion**: the focused pane is open and large, and each other pane is
one line with its most important fact, in the order of their numbers. A screen from 100×30 on has a **grid** of all six
panes, three rows of two. At 80×24 a sixth of the screen is too small for a pane, so the accordion keeps the summaries
instead.
*/

export const paneIds = ['peers', 'raft', 'topics', 'messages', 'partition', 'events'] as const;
export type PaneId = (typeof paneIds)[number];

export const columnsMin = 60;
export const rowsMin = 15;

export type Box = {readonly x: number; readonly y: number; readonly width: number; readonly height: number};
/** `summary` is one line without a frame. */
export type PlacedPane = Box & {readonly pane: PaneId; readonly shape: 'open' | 'summary'};

export type Layout =
	| {readonly type: 'too-small'; readonly columns: number; readonly rows: number}
	| {
			readonly type: 'panes';
			readonly shape: 'accordion' | 'grid';
			readonly header: Box;
			/** One row per alert; height 0 without alerts. */
			readonly alerts: Box;
			/** The area between the alerts and the prompt, also for an overlay. */
			readonly body: Box;
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
	/** Number of alerts. */
	readonly alerts: number;
};

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

export function layOut({columns, rows, focus, zoom, alerts}: LayoutInput): Layout {
	if (columns < columnsMin || rows < rowsMin) return {type: 'too-small', columns, rows};
	const isGrid = columns >= 100 && rows >= 30;
	const alertRows = Math.min(alerts, isGrid ? 3 : rows >= 20 ? 2 : 1);
	const hintRows = isGrid ? 1 : 0;
	const header = {x: 0, y: 0, width: columns, height: 1};
	const alertBox = {x: 0, y: 1, width: columns, height: alertRows};
	const body = {x: 0, y: 1 + alertRows, width: columns, height: rows - 2 - alertRows - hintRows};
	return {
		type: 'panes',
		shape: isGrid ? 'grid' : 'accordion',
		header,
		alerts: alertBox,
		body,
		rows: zoom ? [[{...body, pane: focus, shape: 'open'}]] : isGrid ? gridRows(body) : accordionRows(body, focus),
		prompt: {x: 0, y: rows - 1 - hintRows, width: columns, height: 1},
		hints: {x: 0, y: rows - hintRows, width: columns, height: hintRows},
	};
}

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
