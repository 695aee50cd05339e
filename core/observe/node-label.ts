/**
The label of a node in texts for people: its name, or the first 8 digits of its id if it has none. Names come from the
network, so they are made printable here. Full ids appear in the inspector and in JSON.
*/
import type {MemberSnapshot} from '../snapshot.ts';
import {fitCells, printable, widthOf} from './printable.ts';

export type Label = (id: string) => string;
type Named = Pick<MemberSnapshot, 'id' | 'name'>;

/** The first 8 of 16 digits: enough to tell nodes apart. */
export function shortId(id: string): string {
	return printable(id.slice(0, 8));
}

/** `name`: empty or `undefined` when the node has none. */
export function labelOf(id: string, name: string | undefined): string {
	return name ? printable(name) : shortId(id);
}

const labels = new WeakMap<readonly Named[], Label>();
/**
Label functions by their names: equal names give the same function, so that rows of a console are not drawn again.
*/
const recent = new Map<string, Label>();
const recentMax = 16;

/** The label function for these members, cached for each list because a frame asks for it often. */
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

/** The label function for an event, from the names that it carries. */
export function labelsIn({names}: {readonly names?: Readonly<Record<string, string>>}): Label {
	return id => labelOf(id, names && Object.hasOwn(names, id) ? names[id] : undefined);
}

/** The text of a `named` event. The label of the node may be the new name already, so the text gives its id. */
export function namedText({
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

/** The reason of a refusal without the leading address, which the caller shows before it. */
export function refusalReason({address, reason}: {readonly address: string; readonly reason: string}): string {
	return (reason.startsWith(`peer ${address} `) ? reason.slice(`peer ${address} `.length) : reason).replace(
		/^refuses: /,
		'',
	);
}

/** The width of the longest label in cells, within `min` and `max`: for a column. */
export function labelCells(ids: readonly string[], label: Label, min: number, max: number): number {
	return Math.min(max, Math.max(min, ...ids.map(id => widthOf(label(id)))));
}

/** How many labels fit into `cells`, each with `extra` cells of its own; at least one. */
export function labelsThatFit(ids: readonly string[], label: Label, cells: number, extra: number): number {
	let used = 0;
	const fitting = ids.findIndex(id => (used += widthOf(label(id)) + extra) > cells);
	return Math.max(1, fitting === -1 ? ids.length : fitting);
}

/** For a row with many labels: cuts each label to at most `cells`. */
export function shortened(label: Label, cells: number): Label {
	return id => {
		const text = label(id);
		return widthOf(text) > cells ? fitCells(text, cells) : text;
	};
}
