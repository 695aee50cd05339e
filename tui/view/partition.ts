/**
The partition as sentences and as a matrix of the nodes that hear each other. Pure. A one-way cut has its own mark,
because it is often misread: `↛` means that the row does not hear the column although the column hears the row.
*/
import {labelCells, labelsOf, shortId, type Label} from '../../core/observe/node-label.ts';
import {fitCells, widthOf} from '../../core/observe/printable.ts';
import {cutPairs, foldedRows, halfLinks, hearing, type Hearing} from '../../core/observe/sight.ts';
import type {PartitionSnapshot, Snapshot} from '../../core/snapshot.ts';
import type {Span} from './columns.ts';
import {duration, names, plural, roundTrip} from './words.ts';

/** Digits of an id that are shown for a node without a name. */
const idCells = 8;

const marks: Readonly<Record<Hearing, Span>> = {
	self: {text: '·', tone: 'muted'},
	yes: {text: '●', tone: 'good'},
	no: {text: '×', tone: 'bad'},
	'one-way': {text: '↛', tone: 'warning'},
	unknown: {text: '?', tone: 'muted'},
};

/** The state in short sentences, which agree with the matrix. */
export function partitionSentences(snapshot: Snapshot): readonly Span[] {
	const {partition, self, members} = snapshot;
	const label = labelsOf(members);
	const spans: Span[] = [stateSentence(snapshot)];
	const pairs = cutPairs(snapshot);
	for (const {
		between: [one, other],
		what,
		via,
	} of pairs.slice(0, pairsMax))
		spans.push({
			text:
				`${{tcp: 'TCP blocked', udp: 'UDP blocked', all: 'Cut'}[what]}: ` +
				`${label(one)} and ${label(other)}${via === undefined ? '' : `, served through ${label(via)}`}`,
			tone: 'warning',
		});
	if (pairs.length > pairsMax) spans.push({text: `and ${pairs.length - pairsMax} more pairs`, tone: 'warning'});
	const cuts = halfLinks(snapshot);
	for (const [deaf, heard] of cuts.slice(0, pairsMax))
		spans.push({text: `One way: ${label(deaf)} does not hear ${label(heard)}, which hears it`, tone: 'warning'});
	if (cuts.length > pairsMax) spans.push({text: `and ${cuts.length - pairsMax} more one-way links`, tone: 'warning'});
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

/** Details of the present partition, or of the last one while nothing is wrong. */
export function partitionTimes(snapshot: Snapshot): readonly Span[] {
	const {partition, members, raft} = snapshot;
	const {state, detectedMs, healedMs, repairedMs, backlog, waiting} = partition;
	const isOver = state !== 'partitioned';
	const parts = [
		...(detectedMs === undefined ? [] : [`noticed after ${duration(detectedMs)}`]),
		...(isOver && healedMs !== undefined ? [`cut for ${duration(healedMs)}`] : []),
		...(isOver && repairedMs !== undefined ? [`repaired in ${duration(repairedMs)}`] : []),
		...(isOver && healedMs !== undefined && (backlog > 0 || repairedMs !== undefined)
			? [backlog > 0 ? `${plural(backlog, 'message')} repaired` : 'no message was missing here']
			: []),
	];
	const spans: Span[] = waiting > 0 ? [{text: waitingText(snapshot), tone: 'warning'}] : [];
	// Details of an old partition beside a running incident are taken for the incident.
	const isSound = raft.quorum === 'held' && members.every(({state: one}) => one === 'alive' || one === 'left');
	if (parts.length > 0 && (state !== 'whole' || isSound))
		spans.push({text: `${state === 'whole' ? 'Last' : 'This'} partition: ${parts.join(', ')}`, tone: 'muted'});
	else if (state === 'whole' && isSound) spans.push({text: 'No partition since the start', tone: 'muted'});
	return spans;
}

/** Pairs and links that have a sentence of their own; the matrix has all. */
const pairsMax = 3;

function waitingText({partition: {waiting, waitingFor = [], sides}, self, members}: Snapshot): string {
	const label = labelsOf(members);
	const far = waitingFor.filter(({messages}) => messages > 0).map(({id}) => id);
	const ids = far.length > 0 ? far : sides.filter(side => !side.includes(self)).flat();
	const verb = waiting === 1 ? 'waits' : 'wait';
	return `${plural(waiting, 'message')} of ${label(self)} ${verb} for ${names(ids, label, 6)}`;
}

/** One line, for a summary and for reports. */
export function partitionSummary(snapshot: Snapshot): Span {
	const [first] = partitionSentences(snapshot);
	return first!;
}

function stateSentence(snapshot: Snapshot): Span {
	const {partition, members, self, raft} = snapshot;
	const {state, sinceMs, backlog, sides} = partition;
	const present = members.filter(member => member.state !== 'left');
	const gone = present.filter(member => member.state === 'unreachable' || member.state === 'down').length;
	if (state === 'repairing')
		return {
			text:
				`Healed ${duration(sinceMs)} ago; repairing: ` +
				(backlog > 0 ? `${plural(backlog, 'message')} came in so far` : 'no message was missing here so far'),
			tone: 'warning',
		};
	if (state === 'partitioned') {
		const here = sides.findIndex(side => side.includes(self));
		const quorum =
			partition.quorum === -1
				? partition.isFarHeard === false
					? 'no quorum here, no answer from the other side'
					: 'no side has the quorum'
				: partition.quorum === here
					? 'this side has the quorum'
					: 'the other side has the quorum';
		return {
			text: `CUT into ${sides.length} for ${duration(sinceMs)}: ${quorum}`,
			tone: partition.quorum === here ? 'warning' : 'bad',
		};
	}

	if (present.length <= 1) return {text: 'This node is alone in its cluster', tone: 'plain'};
	// A crash is not a cut: the process is known to have ended.
	if (gone > 0)
		return {
			text: `No cut: ${present.length - gone} of ${present.length} members see one another, ${gone} gone`,
			tone: 'warning',
		};
	const pairs = cutPairs(snapshot).length;
	const ways = halfLinks(snapshot).length;
	if (pairs > 0)
		return {
			text:
				`Not split, but ${plural(pairs, 'pair', 'pairs')} of members ${pairs === 1 ? 'does' : 'do'} not ` +
				'reach each other directly',
			tone: 'warning',
		};
	if (ways > 0)
		return {text: `Not split, but ${plural(ways, 'link carries', 'links carry')} one way only`, tone: 'warning'};
	const isCalm = raft.quorum === 'held' && present.every(member => member.state === 'alive');
	return isCalm
		? {text: `Whole: all ${present.length} members see one another`, tone: 'good'}
		: {text: `No cut is known among ${present.length} members`, tone: 'plain'};
}

/** The state in one word, for a title: green only while everything is sound. */
export function partitionWord(snapshot: Snapshot): Span {
	const {state} = snapshot.partition;
	if (state !== 'whole') return {text: state.toUpperCase(), tone: state === 'repairing' ? 'warning' : 'bad'};
	const {tone} = stateSentence(snapshot);
	return tone === 'good' ? {text: 'whole', tone} : {text: 'not split', tone};
}

/** Round trips that this node measured, by node; they stand at the end of the rows if there is room. */
export type RoundTrips = ReadonlyMap<string, string>;

const roundTripCells = 9;

export function roundTrips(members: Snapshot['members']): RoundTrips {
	return new Map(
		members.flatMap(({id, self, rttMs}) => (self || rttMs === undefined ? [] : [[id, roundTrip(rttMs)] as const])),
	);
}

/**
The matrix, at most `height` lines of `width` cells: a line of column letters, then one row per node. If not all nodes
fit, nodes that see and are seen alike share a row. If that is still too much, those with a problem come first, and the
last line says so.
*/
export function matrixLines(
	partition: PartitionSnapshot,
	self: string,
	width: number,
	height: number,
	label: Label = shortId,
	trips: RoundTrips = new Map(),
): ReadonlyArray<readonly Span[]> {
	const {order} = partition;
	if (order.length < 2 || height < 3) return [];
	const single = order.map((_, index): readonly number[] => [index]);
	const isRoomy = (rows: number, cells: number): boolean =>
		rows <= height - 1 && rows <= 52 && cells + 3 + rows * 2 <= width;
	const cells = nodeCells(order, label, Math.max(idCells, width - 3 - order.length * 2));
	if (isRoomy(order.length, cells)) return rowsOf(single, cells);
	const folded = foldedRows(partition);
	const foldedCells = Math.min(24, Math.max(cells, width - 3 - folded.length * 2));
	if (folded.length > 1 && isRoomy(folded.length, foldedCells)) return rowsOf(folded, foldedCells);
	const room = Math.min(Math.floor((width - cells - 3) / 2), 52, height - 2);
	if (room < 2) return [];
	const trouble = single.map(
		([row]) => single.filter(([column]) => ['no', 'one-way'].includes(hearing(partition, row!, column!))).length,
	);
	const worst = single
		.toSorted(([one], [other]) => trouble[other!]! - trouble[one!]! || one! - other!)
		.slice(0, room);
	return [...rowsOf(worst, cells), [{text: `${room} of ${order.length}, worst first`, tone: 'muted'}]];

	function rowsOf(groups: ReadonlyArray<readonly number[]>, nameRoom: number): ReadonlyArray<readonly Span[]> {
		const letter = (index: number): string => String.fromCodePoint(index < 26 ? 0x61 + index : 0x41 + index - 26);
		const hasTrips = trips.size > 0 && nameRoom + 3 + groups.length * 2 + roundTripCells <= width;
		const head = `${' '.repeat(nameRoom + 3)}${groups.map((_, index) => letter(index)).join(' ')}`;
		return [
			[{text: `${head}${hasTrips ? '      RTT' : ''}`, tone: 'muted'}],
			...groups.map((group, at): readonly Span[] => {
				const [row] = group;
				const isSelf = group.some(index => order[index] === self);
				const line: Span[] = [
					{
						text: `${letter(at)} ${fitCells(groupName(group, nameRoom), nameRoom)} `,
						tone: isSelf ? 'accent' : 'plain',
					},
				];
				for (const [column] of groups) {
					// Within a group all hear each other.
					const span =
						column === row && group.length > 1 ? marks.yes : marks[hearing(partition, row!, column!)];
					const last = line.at(-1)!;
					// A run of one tone is one span, because a matrix has hundreds of cells.
					if (last.tone === span.tone)
						line[line.length - 1] = {text: `${last.text}${span.text} `, tone: span.tone};
					else line.push({text: `${span.text} `, tone: span.tone});
				}

				const trip = group.length === 1 ? trips.get(order[row!]!) : undefined;
				return hasTrips ? [...line, {text: (trip ?? '–').padStart(roundTripCells - 1), tone: 'muted'}] : line;
			}),
		];
	}

	function groupName(group: readonly number[], nameRoom: number): string {
		const [first, ...more] = group.map(index => label(order[index]!));
		if (more.length === 0) return first!;
		const count = ` +${more.length}`;
		const isLong = widthOf(first!) + count.length > nameRoom;
		return `${isLong ? fitCells(first!, nameRoom - count.length) : first!}${count}`;
	}
}

/** Cells of a matrix of these nodes: letter, name, and two per node. */
export function matrixCells(order: readonly string[], label: Label): number {
	return nodeCells(order, label) + 3 + order.length * 2;
}

function nodeCells(order: readonly string[], label: Label, max = 16): number {
	return labelCells(order, label, idCells, Math.min(16, max));
}

const legend: readonly Span[] = [
	{text: 'row hears column ', tone: 'muted'},
	{text: '● ', tone: 'good'},
	{text: 'yes ', tone: 'muted'},
	{text: '× ', tone: 'bad'},
	{text: 'no ', tone: 'muted'},
	{text: '↛ ', tone: 'warning'},
	{text: 'one way ', tone: 'muted'},
	{text: '? not known', tone: 'muted'},
];

/** The legend, in two lines if one is too short. */
export function legendLines(width: number): ReadonlyArray<readonly Span[]> {
	return width >= legend.reduce((sum, {text}) => sum + text.length, 0)
		? [legend]
		: [legend.slice(0, 5), legend.slice(5)];
}
