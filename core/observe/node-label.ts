/**
How a node is called in front of people: by its name, or, before it has one, by the first 8 digits of its id. Names come from the network, so
they are made printable here. Ids in full stand in the inspector and in JSON.
*/
import {printable} from './printable.ts';
import type {MemberSnapshot} from './snapshot.ts';

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

/** Made once for each list of members: a frame asks often. */
export function labelsOf(members: readonly Named[]): Label {
	let label = labels.get(members);
	if (!label) {
		const names = new Map<string, string>(members.map(({id, name}) => [id, name]));
		label = id => labelOf(id, names.get(id));
		labels.set(members, label);
	}

	return label;
}

/** For an event: by the names that it carries. */
export function labelsIn({names}: {readonly names?: Readonly<Record<string, string>>}): Label {
	return id => labelOf(id, names && Object.hasOwn(names, id) ? names[id] : undefined);
}
