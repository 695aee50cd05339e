/**
Text of a node without control characters. It is a second line of defence: what shows text on a terminal makes it
printable, and a place that forgets to must not let a node control the terminal of its clients.
*/

/** C0 without tab and newline, DEL, C1. */
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/u;
// oxlint-disable-next-line no-control-regex
const allControls = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/gu;

/** Replaces the control characters in all texts of a decoded value, in place where it can. Bytes stay as they are. */
export function withoutControls(value: unknown): unknown {
	if (typeof value === 'string') return controls.test(value) ? value.replaceAll(allControls, '\uFFFD') : value;
	if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
	const fields = value as Record<string, unknown>;
	for (const name in fields) {
		const field = fields[name];
		const isText = typeof field === 'string';
		if (isText ? controls.test(field) : typeof field === 'object') fields[name] = withoutControls(field);
	}

	return value;
}
