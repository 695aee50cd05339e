/**
What a node may be called. The name has to be told from the other ways to say a node wherever one can be given: a name
of digits alone could be a port, and one of 4 to 16 hexadecimal digits the beginning of an id. Whether a name is valid
is part of the replicated state, so the rule must not change without a new version of the protocol.
*/

export const nameMax = 63;
const form = /^[A-Za-z\d][A-Za-z\d._-]*$/;

/** What is wrong with a name, and what to do; `undefined` when nothing is. */
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

/** Names that differ only in case are one name: people, and host names, do not tell them apart. */
export function nameKey(name: string): string {
	return name.toLowerCase();
}

/** The name of a node that was given none: where it runs. */
export function defaultName(hostName: string, port: number): string {
	const host = hostName
		.replaceAll(/[^\w.-]+/g, '-')
		.replace(/^[^A-Za-z\d]+/, '')
		.slice(0, nameMax - 6)
		.replace(/[._-]+$/, '');
	return `${host === '' ? 'node' : host}-${port}`;
}
