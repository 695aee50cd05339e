/** Maps a press, or a turn of the wheel, to effects: a press focuses a pane and selects a row; the wheel scrolls. */
import type {Effect, Situation} from './dispatch.ts';
import type {MouseEvent} from './input/read-parser.ts';
import type {Layout, PlacedPane} from './layout.ts';
import {indexOfSelected, isListPane, windowStart, type ConsoleState, type ListPane} from './state/state.ts';
import {keysOf} from './view/lists.ts';

/** Rows that one turn of the wheel scrolls. */
const wheelRows = 3;
/** Rows of a list before its first row: the line of titles. */
const titleRows: Readonly<Record<ListPane, number>> = {peers: 1, topics: 1, messages: 1, events: 0};

export function point(event: MouseEvent, state: ConsoleState, situation: Situation, layout: Layout): readonly Effect[] {
	if (layout.type !== 'panes' || state.prompt || state.confirmsQuit) return [];
	const by = event.kind === 'wheel-up' ? -wheelRows : event.kind === 'wheel-down' ? wheelRows : 0;
	if (state.overlay) {
		const last = Math.max(0, situation.overlayLines - situation.page);
		const to = Math.min(Math.max(state.overlay.scroll + by, 0), last);
		return by === 0 ? [] : [{type: 'change', action: {type: 'scroll', to}}];
	}

	const place = layout.rows.flat().find(box => isIn(box, event));
	if (!place || !situation.snapshot) return [];
	const {pane} = place;
	const isOpenList = place.shape === 'open' && isListPane(pane);
	if (by !== 0) {
		if (!isOpenList) return [];
		return [{type: 'change', action: {type: 'move', pane, by, keys: keysOf(pane, situation.snapshot, state)}}];
	}

	const key = isOpenList ? keyAt(event.row, place, pane, keysOf(pane, situation.snapshot, state), state) : undefined;
	return [
		{type: 'change', action: {type: 'focus', pane}},
		...(isOpenList && key !== undefined
			? [
					{
						type: 'change',
						action: {type: 'select', pane, key, keys: keysOf(pane, situation.snapshot, state)},
					} as const,
				]
			: []),
	];
}

function isIn(box: PlacedPane, {column, row}: MouseEvent): boolean {
	return column >= box.x && column < box.x + box.width && row >= box.y && row < box.y + box.height;
}

/** The key of the list's row in this row of the screen. */
function keyAt(
	row: number,
	place: PlacedPane,
	pane: ListPane,
	keys: readonly string[],
	state: ConsoleState,
): string | undefined {
	const room = place.height - 2 - titleRows[pane];
	const start = windowStart(keys.length, indexOfSelected(keys, state.lists[pane].selected, pane), room);
	const index = row - place.y - 1 - titleRows[pane];
	return index >= 0 && index < room ? keys[start + index] : undefined;
}
