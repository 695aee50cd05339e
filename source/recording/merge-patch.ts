/**
The difference of two plain values as a JSON Merge Patch (RFC 7396), with one extension: an array of the same length is
patched by index, as an object would be. `null` removes a field. Snapshots change in few places, so a patch is small.
*/
type Fields = Readonly<Record<string, unknown>>;

/** The patch that turns `before` into `after`; `undefined` when they are equal. Both are plain JSON. */
export function difference(before: unknown, after: unknown): unknown {
	if (Object.is(before, after)) return undefined;
	if (!isFields(before) || !isFields(after) || Array.isArray(before) !== Array.isArray(after)) return after;
	if (Array.isArray(before) && before.length !== (after as unknown as readonly unknown[]).length) return after;
	const patch: Record<string, unknown> = {};
	for (const name of Object.keys(after)) {
		const value = own(after, name);
		const change = Object.hasOwn(before, name) ? difference(own(before, name), value) : value;
		if (change !== undefined) patch[name] = change;
	}

	for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) patch[name] = null;
	return Object.keys(patch).length === 0 ? undefined : patch;
}

/** The value after the patch. Unchanged parts are shared; nothing is changed in place. */
export function patched(value: unknown, patch: unknown): unknown {
	if (!isFields(patch) || Array.isArray(patch)) return patch;
	if (Array.isArray(value)) {
		const items: unknown[] = [...(value as readonly unknown[])];
		for (const [index, change] of Object.entries(patch)) {
			// An index beyond the end would make a list of any length from a few bytes.
			if (!/^\d{1,9}$/.test(index) || Number(index) >= items.length) continue;
			items[Number(index)] = patched(items[Number(index)], change);
		}

		return items;
	}

	const fields = new Map<string, unknown>(isFields(value) ? Object.entries(value) : []);
	for (const [name, change] of Object.entries(patch)) {
		if (change === null) fields.delete(name);
		else fields.set(name, patched(fields.get(name), change));
	}

	return Object.fromEntries(fields);
}

function isFields(value: unknown): value is Fields {
	return typeof value === 'object' && value !== null;
}

function own(fields: Fields, name: string): unknown {
	return fields[name];
}
