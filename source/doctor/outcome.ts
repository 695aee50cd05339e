/**
The outcome of a check of `doctor`: a stable `code` of the check, a `reason` for a problem, the finding, and a remedy.
The table has the level of each reason: with a problem a node does not start or does not work; with a warning it works.
`docs/troubleshooting.md` explains each reason; a test compares it with the table.
*/
export type Level = 'ok' | 'warning' | 'problem';

const port = {
	'in-use': 'problem',
	moved: 'warning',
	'not-here': 'problem',
	'not-found': 'problem',
	'not-allowed': 'problem',
	unusable: 'problem',
} as const;

/** In the order of the report. */
export const outcomes = {
	'node-version': {unsupported: 'problem', untested: 'warning'},
	system: {'no-binary': 'warning', untested: 'warning'},
	memory: {'too-little': 'problem', little: 'warning', 'used-up': 'warning'},
	'open-files': {'too-few': 'problem', few: 'warning'},
	settings: {wrong: 'problem', 'left-out': 'warning'},
	secret: {
		missing: 'problem',
		lost: 'problem',
		'not-private': 'problem',
		unreadable: 'problem',
		'no-secret': 'problem',
		'not-makable': 'problem',
	},
	identity: {missing: 'problem', unusable: 'problem', 'not-makable': 'warning'},
	'data-folder': {
		'not-yours': 'problem',
		open: 'problem',
		'not-writable': 'problem',
		'no-folder': 'problem',
		'in-use': 'problem',
		'bad-lock': 'problem',
		silent: 'problem',
		newer: 'problem',
		damaged: 'warning',
	},
	'file-system': {memory: 'warning', network: 'warning', layer: 'warning'},
	'disk-space': {full: 'problem', short: 'problem', 'less-than-limit': 'warning', unknown: 'warning'},
	'disk-speed': {'too-slow': 'problem', slow: 'warning', 'not-measured': 'warning'},
	clock: {behind: 'problem', ahead: 'warning'},
	'tcp-port': port,
	'udp-port': port,
	address: {unclear: 'problem'},
	registry: {closed: 'warning', open: 'warning'},
	multicast: {none: 'warning', some: 'warning'},
	neighbours: {double: 'problem', 'two-clusters': 'warning'},
	'clock-offset': {apart: 'warning'},
} as const satisfies Readonly<Record<string, Readonly<Record<string, Exclude<Level, 'ok'>>>>>;

export type Code = keyof typeof outcomes;
export type ReasonOf<Of extends Code> = keyof (typeof outcomes)[Of] & string;
/** Measured values, in the units of their names. */
export type Values = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export type Check = {
	readonly code: Code;
	readonly level: Level;
	/** `null` when the check passed. */
	readonly reason: string | null;
	readonly found: string;
	/** A remedy for the operator, without a full stop after a path or a command. `null` when the check passed. */
	readonly remedy: string | null;
	readonly values: Values;
};

export const codes = Object.keys(outcomes) as readonly Code[];

/** A check that passed. */
export function good(code: Code, found: string, values: Values = {}): Check {
	return {code, level: 'ok', reason: null, found, remedy: null, values};
}

/** A check with a problem or a warning. */
export function bad<Of extends Code>(
	code: Of,
	reason: ReasonOf<Of>,
	{found, remedy}: {readonly found: string; readonly remedy: string},
	values: Values = {},
): Check {
	const level = (outcomes[code] as Readonly<Record<string, Exclude<Level, 'ok'>>>)[reason]!;
	return {code, level, reason, found, remedy, values};
}

/** The worst level of the checks. */
export function levelOf(checks: readonly Check[]): Level {
	return (['problem', 'warning'] as const).find(level => checks.some(check => check.level === level)) ?? 'ok';
}
