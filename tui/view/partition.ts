/**
The partition as sentences and as a matrix of the nodes that hear each other. Pure. A one-way cut has its own mark,
because it is often misread: `↛` means that the row does not hear the column although the column hears the row.
*/
import {labelCells, labelsOf, shortId, type Label} from '../../core/observe/node-label.ts';
import {fitCells} from '../../core/observe/printable.ts';
import {cutPairs, hearing, oneWays, type Hearing} from '../../core/observe/sight.ts';
import type {PartitionSnapshot, Snapshot} from '../../core/snapshot.ts';
import type {Span} from './columns.ts';
import {duration, names, plural} from './words.ts';

/** Digits of an id that are shown for a node without a name. */
const idCells = 8;

const marks: Readonly<Record<Hearing, Span>> = {
	self: {text: '·', tone: 'muted'},
	yes: {text: '●', tone: 'good'},
	no: {text: '×', tone: 'bad'},
	'one-way': {text: '↛', tone: 'warning'},
	unknown: {text: '?', tone: 'muted'},
};

/** The state in short sentences. */
export function partitionSentences({partition, self, members, cuts: pairs}: Snapshot): readonly Span[] {
	const cuts = oneWays(partition);
	const label = labelsOf(members);
	const present = members.filter(member => member.state !== 'left');
	const spans: Span[] = [
		stateSentence(
			partition,
			self,
			present.length,
			present.filter(({state}) => state === 'unreachable' || state === 'down').length,
			cuts.length,
			pairs.length,
		),
	];
	for (const {
		between: [one, other],
		what,
		via,
	} of pairs.slice(0, 2))
		spans.push({
			text:
				`${{tcp: 'TCP blocked', udp: 'UDP blocked', all: 'Cut'}[what]}: ` +
				`${label(one)} and ${label(other)}${via === undefined ? '' : `, served through ${label(via)}`}`,
			tone: 'warning',
		});
	if (pairs.length > 2) spans.push({text: `and ${pairs.length - 2} more pairs`, tone: 'warning'});
	for (const [deaf, heard] of cuts.slice(0, 2))
		spans.push({text: `One way: ${label(deaf)} does not hear ${label(heard)}`, tone: 'warning'});
	if (cuts.length > 2) spans.push({text: `and ${cuts.length - 2} more one-way cuts`, tone: 'warning'});
	if (partition.state !== 'whole' || partition.sides.length > 1) {
		for (const [index, side] of partition.sides.entries()) {
			const isQuorum = index === partition.quorum;
			const isHere = side.includes(self);
			const state = isQuorum
				? 'QUORUM   '
				: partition.isFarHeard === false && !isHere
					? 'not heard'
					: 'no quorum';
			const letter = String.fromCodePoint(0x41 + (index % 26));
			spans.push({
				text: `${isHere ? '▸' : ' '} ${letter}  ${state}  ${names(side, label, 8)}`,
				tone: isQuorum ? 'good' : 'bad',
			});
		}
	}

	return spans;
}

export function partitionTimes({partition}: Snapshot): readonly Span[] {
	const {detectedMs, healedMs, repairedMs, backlog, waiting} = partition;
	const parts = [
		...(detectedMs === undefined ? [] : [`seen in ${duration(detectedMs)}`]),
		...(healedMs === undefined ? [] : [`cut for ${duration(healedMs)}`]),
		...(repairedMs === undefined ? [] : [`repaired in ${duration(repairedMs)}`]),
		...(backlog > 0 ? [`${plural(backlog, 'message')} repaired`] : []),
	];
	const spans: Span[] = [];
	if (waiting > 0)
		spans.push({text: `${plural(waiting, 'message waits', 'messages wait')} for the far side`, tone: 'warning'});
	if (parts.length > 0)
		spans.push({
			text: `${partition.state === 'whole' ? 'Last' : 'This'} partition: ${parts.join(', ')}`,
			tone: 'muted',
		});
	else if (partition.state === 'whole') spans.push({text: 'No partition since the start', tone: 'muted'});
	return spans;
}

/** One line, for a summary and for reports. */
export function partitionSummary(snapshot: Snapshot): Span {
	const [first] = partitionSentences(snapshot);
	return first!;
}

function stateSentence(
	partition: PartitionSnapshot,
	self: Snapshot['self'],
	members: number,
	down: number,
	cuts: number,
	pairs: number,
): Span {
	if (partition.state === 'whole') {
		if (members <= 1) return {text: 'Whole: this node is alone in its cluster', tone: 'good'};
		// A crash is not a cut: the process is known to have ended.
		if (down > 0)
			return {
				text: `No cut: ${members - down} of ${members} members see one another, ${down} down`,
				tone: 'warning',
			};
		if (pairs > 0)
			return {
				text:
					`Whole, but ${plural(pairs, 'pair', 'pairs')} of members ${pairs === 1 ? 'does' : 'do'} not ` +
					'reach each other directly',
				tone: 'warning',
			};
		return cuts === 0
			? {text: `Whole: all ${members} members see one another`, tone: 'good'}
			: {text: `Whole, but ${plural(cuts, 'link carries', 'links carry')} one way only`, tone: 'warning'};
	}

	if (partition.state === 'repairing')
		return {
			text:
				`Healed; repairing for ${duration(partition.sinceMs)}: ` +
				`${plural(partition.backlog, 'message')} came in`,
			tone: 'warning',
		};
	const here = partition.sides.findIndex(side => side.includes(self));
	const quorum =
		partition.quorum === -1
			? partition.isFarHeard === false
				? 'no quorum here, no answer from the other side'
				: 'no side has the quorum'
			: partition.quorum === here
				? 'this side has the quorum'
				: 'the other side has the quorum';
	return {
		text: `CUT into ${partition.sides.length} for ${duration(partition.sinceMs)}: ${quorum}`,
		tone: partition.quorum === here ? 'warning' : 'bad',
	};
}

/**
The matrix, at most `height` lines of `width` cells: a line of column letters, then one row per node. If not all nodes
fit, those with a problem come first, and the last line says so.
*/
export function matrixLines(
	partition: PartitionSnapshot,
	self: string,
	width: number,
	height: number,
	label: Label = shortId,
): ReadonlyArray<readonly Span[]> {
	const {order} = partition;
	// Long names are cut before rows are dropped.
	const cells = nodeCells(order, label, Math.max(idCells, width - 3 - order.length * 2));
	const fits = Math.min(Math.floor((width - cells - 3) / 2), 52);
	const room = order.length <= Math.min(fits, height - 1) ? order.length : Math.min(fits, height - 2);
	if (order.length < 2 || room < 2) return [];
	const shown = order.map((_, index) => index);
	if (room < order.length) {
		const trouble = shown.map(
			row =>
				shown.filter(
					column => hearing(partition, row, column) === 'no' || hearing(partition, row, column) === 'one-way',
				).length,
		);
		shown.sort((a, b) => trouble[b]! - trouble[a]! || a - b);
		shown.length = room;
	}

	const letter = (index: number): string => String.fromCodePoint(index < 26 ? 0x61 + index : 0x41 + index - 26);
	const lines: Span[][] = [
		[{text: `${' '.repeat(cells + 3)}${shown.map((_, index) => letter(index)).join(' ')}`, tone: 'muted'}],
	];
	for (const [at, row] of shown.entries()) {
		const line: Span[] = [
			{
				text: `${letter(at)} ${fitCells(label(order[row]!), cells)} `,
				tone: order[row] === self ? 'accent' : 'plain',
			},
		];
		for (const column of shown) {
			const span = marks[hearing(partition, row, column)];
			const last = line.at(-1)!;
			// A run of one tone is one span, because a matrix has hundreds of cells.
			if (last.tone === span.tone) line[line.length - 1] = {text: `${last.text}${span.text} `, tone: span.tone};
			else line.push({text: `${span.text} `, tone: span.tone});
		}

		lines.push(line);
	}

	if (room < order.length)
		lines.push([{text: `${room} of ${order.length} members, those with trouble first`, tone: 'muted'}]);
	return lines;
}

/** Cells of a matrix of these nodes: letter, name, and two per node. */
export function matrixCells(order: readonly string[], label: Label): number {
	return nodeCells(order, label) + 3 + order.length * 2;
}

function nodeCells(order: readonly string[], label: Label, max = 16): number {
	return labelCells(order, label, idCells, Math.min(16, max));
}

export const legend: readonly Span[] = [
	{text: 'row hears column ', tone: 'muted'},
	{text: '● ', tone: 'good'},
	{text: 'yes ', tone: 'muted'},
	{text: '× ', tone: 'bad'},
	{text: 'no ', tone: 'muted'},
	{text: '↛ ', tone: 'warning'},
	{text: 'one way ', tone: 'muted'},
	{text: '? not known', tone: 'muted'},
];
