/**
Names of nodes. Commands accept a name, a port or an id, so a name must differ from both: it is not all digits like a
port, and not 4 to 16 hexadecimal digits like the start of an id. The replicated state depends on this rule, so a change
needs a new version of the protocol.
*/

export const nameMax = 63;
const form = /^[A-Za-z\d][A-Za-z\d._-]*$/;

/** The rule that a name breaks, with a remedy; `undefined` for a valid name. */
export function problemOfName(name: string): string | undefined {
	if (name.length > nameMax || !form.test(name))
		return `1 to ${nameMax} of the characters A-Z a-z 0-9 . _ -, the first one a letter or a digit`;
	if (/^\d+$/.test(name)) return 'a name that is not all digits, since that is a port: add a letter';
	if (/^[\da-f]{4,16}$/i.test(name))
		return 'a name that is not 4 to 16 hexadecimal digits, since that is an id: add another letter, "-" or "."';
	return undefined;
}

export function isNodeName(value: unknown): value is string {
	return typeof value === 'string' && problemOfName(value) === undefined;
}

/** Names that differ only in case are the same name, as for host names. */
export function nameKey(name: string): string {
	return name.toLowerCase();
}

/** The default name of a node: host name and port. */
export function defaultName(hostName: string, port: number): string {
	const host = hostName
		.replaceAll(/[^\w.-]+/g, '-')
		.replace(/^[^A-Za-z\d]+/, '')
		.slice(0, nameMax - 6)
		.replace(/[._-]+$/, '');
	return `${host === '' ? 'node' : host}-${port}`;
}
