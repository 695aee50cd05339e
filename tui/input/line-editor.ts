/**
The editor of one line: text and a cursor between two grapheme clusters (UAX 29), so that an emoji or an accented letter
is moved over and removed as a whole. Pure.
*/

export type EditedLine = {
	readonly text: string;
	/** Code units before the cursor; never inside a cluster. */
	readonly cursor: number;
};

export type Edit =
	| {readonly type: 'insert'; readonly text: string}
	| {readonly type: 'move'; readonly to: Target}
	/** Removes the text between the cursor and the target. */
	| {readonly type: 'delete'; readonly to: Target};

type Target = 'left' | 'right' | 'word-left' | 'word-right' | 'start' | 'end';

const segmenter = new Intl.Segmenter('en', {granularity: 'grapheme'});
const space = /^\s/u;

/** The line after one edit. @param charactersMax code units; text that exceeds them is left out, cluster by cluster */
export function edited(line: EditedLine, edit: Edit, charactersMax = Number.POSITIVE_INFINITY): EditedLine {
	if (edit.type === 'insert') return inserted(line, edit.text, charactersMax);
	const to = targetOf(line, edit.to);
	if (edit.type === 'move') return {text: line.text, cursor: to};
	const [from, end] = to < line.cursor ? [to, line.cursor] : [line.cursor, to];
	return settled(line.text.slice(0, from) + line.text.slice(end), from);
}

/** A line with the cursor after its text. */
export function lineOf(text: string): EditedLine {
	return {text, cursor: text.length};
}

/** The grapheme clusters of the text. */
export function clustersOf(text: string): string[] {
	return Array.from(segmenter.segment(text), ({segment}) => segment);
}

function inserted({text, cursor}: EditedLine, added: string, charactersMax: number): EditedLine {
	const room = charactersMax - text.length;
	let kept = added;
	if (added.length > room) {
		kept = '';
		for (const {segment} of segmenter.segment(added)) {
			if (kept.length + segment.length > room) break;
			kept += segment;
		}
	}

	return settled(text.slice(0, cursor) + kept + text.slice(cursor), cursor + kept.length);
}

/** Text that was joined may form one cluster with its neighbour: then the cursor is after that. */
function settled(text: string, cursor: number): EditedLine {
	if (cursor >= text.length) return {text, cursor: text.length};
	const cluster = segmenter.segment(text).containing(cursor);
	return {
		text,
		cursor: cluster === undefined || cluster.index === cursor ? cursor : cluster.index + cluster.segment.length,
	};
}

function targetOf({text, cursor}: EditedLine, to: Target): number {
	switch (to) {
		case 'start':
			return 0;
		case 'end':
			return text.length;
		case 'left':
			return cursor - (clustersOf(text.slice(0, cursor)).at(-1)?.length ?? 0);
		case 'right':
			return cursor + (segmenter.segment(text).containing(cursor)?.segment.length ?? 0);
		case 'word-left': {
			const before = clustersOf(text.slice(0, cursor));
			return cursor - wordLength(before.toReversed());
		}

		case 'word-right':
			return cursor + wordLength(clustersOf(text.slice(cursor)));
		default:
			return to satisfies never;
	}
}

/** Code units of the spaces and then the word that these clusters begin with. Words are separated by spaces. */
function wordLength(clusters: readonly string[]): number {
	let length = 0;
	let isInWord = false;
	for (const cluster of clusters) {
		const isSpace = space.test(cluster);
		if (isSpace && isInWord) break;
		isInWord = !isSpace;
		length += cluster.length;
	}

	return length;
}

/** The part of a line that fits in the row, as visible text in three pieces around the cursor. */
export type LineView = {readonly before: string; readonly at: string; readonly after: string};

/**
The part of the line around the cursor that fits. `…` marks where text is left out.

@param draw the visible form of a cluster
@param cells its width
*/
export function viewOf(
	{text, cursor}: EditedLine,
	width: number,
	draw: (cluster: string) => string,
	cells: (visible: string) => number,
): LineView {
	const left = clustersOf(text.slice(0, cursor)).map(cluster => draw(cluster));
	const [at = ' ', ...right] = clustersOf(text.slice(cursor)).map(cluster => draw(cluster));
	const atCells = cells(at);
	const leftCells = left.map(cluster => cells(cluster));
	const rightCells = right.map(cluster => cells(cluster));
	const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
	// The text after the cursor gets up to a third of a full row.
	const rightRoom = Math.max(Math.floor(width / 3), width - atCells - sum(leftCells));
	const shownRight = fitting(right, rightCells, Math.max(0, Math.min(rightRoom, width - atCells)));
	const leftRoom = Math.max(0, width - atCells - sum(rightCells.slice(0, shownRight.count)) - shownRight.mark);
	const shownLeft = fitting(left.toReversed(), leftCells.toReversed(), leftRoom);
	return {
		before: (shownLeft.mark ? '…' : '') + left.slice(left.length - shownLeft.count).join(''),
		at,
		after: right.slice(0, shownRight.count).join('') + (shownRight.mark ? '…' : ''),
	};
}

/** How many of these clusters fit, with the mark for those that do not. */
function fitting(
	clusters: readonly string[],
	cells: readonly number[],
	room: number,
): {readonly count: number; readonly mark: number} {
	let used = 0;
	let count = 0;
	while (count < clusters.length && used + cells[count]! <= room) used += cells[count++]!;
	if (count === clusters.length || room === 0) return {count: room === 0 ? 0 : count, mark: 0};
	while (count > 0 && used > room - 1) used -= cells[--count]!;
	return {count, mark: 1};
}
