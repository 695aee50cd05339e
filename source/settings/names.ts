/**
One setting, three spellings: `raft.electionMs` in code, `raft.election_ms` in config.json, `DAPSS_RAFT_ELECTION_MS` in
the environment.
*/
import {defaults} from '../../core/config.ts';

/** A value in a configuration file. */
export type Plain = string | number | boolean | readonly unknown[];

/** Settings that only the command line uses; empty means the default path. */
export const places = {data: '', secret_file: '', identity_file: ''} as const;

/** Every setting by its name in config.json, with its default. */
export const known: ReadonlyMap<string, Plain> = new Map([...flatten(spell(defaults)), ...Object.entries(places)]);

/** config.json in full: every setting with its default. */
export function defaultFile(): Record<string, unknown> {
	return {...places, ...spell(defaults)};
}

/** Names of groups of settings: `raft`, `limits`, … */
export const groups: ReadonlySet<string> = new Set(
	[...known.keys()].filter(name => name.includes('.')).map(name => name.slice(0, name.indexOf('.'))),
);

export function flatten(value: object, prefix = ''): Array<[string, Plain]> {
	return Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
		isGroup(inner)
			? flatten(inner, `${prefix}${key}.`)
			: [[`${prefix}${key}`, inner as Plain] satisfies [string, Plain]],
	);
}

/** Converts a flat map of settings to a nested object with camelCase names. */
export function nest(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
	const top: Record<string, unknown> = {};
	for (const [name, value] of values) {
		const [group, key] = camel(name).split('.');
		if (key === undefined) top[group!] = value;
		else top[group!] = {...(top[group!] as object | undefined), [key]: value};
	}

	return top;
}

export function envName(name: string): string {
	return `DAPSS_${name.replace('.', '_').toUpperCase()}`;
}

export function snake(name: string): string {
	return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
}

export function camel(name: string): string {
	return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export function isGroup(value: unknown): value is object {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function spell(value: object): Record<string, unknown> {
	return Object.fromEntries(
		Object.entries(value).map(([key, inner]: [string, unknown]) => [
			snake(key),
			isGroup(inner) ? spell(inner) : inner,
		]),
	);
}
