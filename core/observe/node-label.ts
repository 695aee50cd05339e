/**
How a node is called in front of people: by its name, or, before it has one, by the first 8 digits of its id. Names come
from the network, so they are made printable here. Ids in full stand in the inspector and in JSON.
*/
import type {MemberSnapshot} from '../snapshot.ts';
import {fitCells, printable, widthOf} from './printable.ts';

export type Label = (id: string) => string;
type Named = Pick<MemberSnapshot, 'id' | 'name'>;

/** The first 8 of 16 digits: enough to tell nodes apart. */
export function shortId(id: string): string {
	return printable(id.slice(0, 8));
}

/** `name`: empty or `undefined` when there is none. */
export function labelOf(id: string, name: string | undefined): string {
	return name ? printable(name) : shortId(id);
}

const labels = new WeakMap<readonly Named[], Label>();
/** By the names: the same names give the same function, so that a row of a console is not drawn again for it. */
const recent = new Map<string, Label>();
const recentMax = 16;

/** Made once for each list of members: a frame asks often. */
export function labelsOf(members: readonly Named[]): Label {
	const known = labels.get(members);
	if (known) return known;
	// A node of an earlier version sends no names.
	const key = JSON.stringify(members.flatMap(({id, name}) => (name ? [id, name] : [])));
	let label = recent.get(key);
	if (!label) {
		const names = new Map<string, string>(members.map(({id, name}) => [id, name]));
		label = id => labelOf(id, names.get(id));
		if (recent.size >= recentMax) recent.clear();
		recent.set(key, label);
	}

	labels.set(members, label);
	return label;
}

/** For an event: by the names that it carries. */
export function labelsIn({names}: {readonly names?: Readonly<Record<string, string>>}): Label {
	return id => labelOf(id, names && Object.hasOwn(names, id) ? names[id] : undefined);
}

/** A node got a name. Its label may be the new name already, so the id says which node it is. */
export function namedWords({
	id,
	name,
	was,
}: {
	readonly id: string;
	readonly name: string;
	readonly was?: string;
}): string {
	return `${shortId(id)} is named ${printable(name)}${was === undefined ? '' : ` (was ${printable(was)})`}`;
}

/** A refusal without the address it begins with, which stands before it. */
export function refusalReason({address, reason}: {readonly address: string; readonly reason: string}): string {
	return (reason.startsWith(`peer ${address} `) ? reason.slice(`peer ${address} `.length) : reason).replace(
		/^refuses: /,
		'',
	);
}

/** Cells of the longest label, within bounds: for a column. */
export function labelCells(ids: readonly string[], label: Label, min: number, max: number): number {
	return Math.min(max, Math.max(min, ...ids.map(id => widthOf(label(id)))));
}

/** How many of the nodes fit into so many cells, each with `extra` cells of its own; at least one. */
export function labelsThatFit(ids: readonly string[], label: Label, cells: number, extra: number): number {
	let used = 0;
	const fitting = ids.findIndex(id => (used += widthOf(label(id)) + extra) > cells);
	return Math.max(1, fitting === -1 ? ids.length : fitting);
}

/** For a row that names many: what is longer than so many cells is cut. */
export function shortened(label: Label, cells: number): Label {
	return id => {
		const text = label(id);
		return widthOf(text) > cells ? fitCells(text, cells) : text;
	};
}
