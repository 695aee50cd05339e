/**
Which members hear each other, from the matrix in a snapshot: cells, links that work in one direction, and pairs that do
not reach each other at all. The matrix of the console and the sentences about a situation share it, so that a sentence
never contradicts the matrix. Pure.
*/
import type {NodeId} from '../message.ts';
import type {CutSnapshot, MemberSnapshot, PartitionSnapshot, Snapshot} from '../snapshot.ts';

export type Hearing = 'self' | 'yes' | 'no' | 'one-way' | 'unknown';

export function hearing({sees}: Pick<PartitionSnapshot, 'sees'>, row: number, column: number): Hearing {
	if (row === column) return 'self';
	const heard = sees[row]?.[column];
	if (heard === undefined) return 'unknown';
	if (heard) return 'yes';
	return sees[column]?.[row] === true ? 'one-way' : 'no';
}

/** Pairs [deaf, heard]: the first node does not hear the second, which hears the first. */
export function oneWays(
	partition: Pick<PartitionSnapshot, 'order' | 'sees'>,
): ReadonlyArray<readonly [NodeId, NodeId]> {
	const {order} = partition;
	return order.flatMap((deaf, row) =>
		order.flatMap((heard, column) =>
			hearing(partition, row, column) === 'one-way' ? [[deaf, heard] as const] : [],
		),
	);
}

export type CutPair = {
	readonly between: readonly [NodeId, NodeId];
	readonly what: CutSnapshot['what'];
	readonly via: NodeId | undefined;
};

/**
Pairs on one side that do not reach each other, as members report them or as the matrix shows them. A pair with a
process that is down or stopped is not cut, a link that works in one direction is none of these, and pairs across the
sides of a partition are described by the sides.
*/
export function cutPairs({partition, members, cuts}: Snapshot): readonly CutPair[] {
	const {order, sides} = partition;
	const runs = new Set(members.filter(member => isHeard(member)).map(({id}) => id));
	const sideOf = new Map(sides.flatMap((side, index) => side.map(id => [id, index] as const)));
	const isWithin = (one: NodeId, other: NodeId): boolean =>
		runs.has(one) && runs.has(other) && sideOf.get(one) === sideOf.get(other);
	const halves = new Set(oneWays(partition).map(pair => pair.toSorted().join(' ')));
	const reported = cuts.filter(
		({between: [one, other]}) => isWithin(one, other) && !halves.has([one, other].toSorted().join(' ')),
	);
	const known = new Set(reported.map(({between}) => between.toSorted().join(' ')));
	const seen = order.flatMap((one, row) =>
		order.slice(row + 1).flatMap((other, index): readonly CutPair[] => {
			const isCut =
				hearing(partition, row, row + 1 + index) === 'no' &&
				isWithin(one, other) &&
				!known.has([one, other].toSorted().join(' '));
			return isCut ? [{between: [one, other], what: 'all', via: undefined}] : [];
		}),
	);
	return [...reported.map(({between, what, via}) => ({between, what, via})), ...seen];
}

/**
Links that work in one direction only. While a member falls silent, the reports of the others disagree for a moment: a
suspected member, or one that this node has never heard, has no one-way links.
*/
export function halfLinks({partition, members}: Snapshot): ReadonlyArray<readonly [NodeId, NodeId]> {
	const runs = new Set(members.filter(member => isHeard(member)).map(({id}) => id));
	return oneWays(partition).filter(pair => pair.every(id => runs.has(id)));
}

/** It answers, as far as this node knows. */
function isHeard({self, state, heardMsAgo}: MemberSnapshot): boolean {
	return self || ((state === 'alive' || state === 'degraded') && heardMsAgo !== undefined);
}

/**
Rows of the matrix that are equal for all others, as one group: nodes of one side that hear each other, and hear and are
heard by all other nodes alike. So forty nodes on two sides are two rows.
*/
export function foldedRows(partition: Pick<PartitionSnapshot, 'order' | 'sees'>): ReadonlyArray<readonly number[]> {
	const {order} = partition;
	const rows = order.map((_, index) => index);
	const isAlike = (one: number, other: number): boolean =>
		['yes', 'unknown'].includes(hearing(partition, one, other)) &&
		hearing(partition, one, other) === hearing(partition, other, one) &&
		rows.every(
			row =>
				row === one ||
				row === other ||
				(hearing(partition, one, row) === hearing(partition, other, row) &&
					hearing(partition, row, one) === hearing(partition, row, other)),
		);
	const groups: number[][] = [];
	for (const row of rows) {
		const group = groups.find(([first]) => isAlike(first!, row));
		if (group) group.push(row);
		else groups.push([row]);
	}

	return groups;
}
