/**
The origins of settings, one function each: a file, the environment, flags. Each returns flat entries with their origin;
`settings.ts` merges them.
*/
import {readFileSync, statSync, type Stats} from 'node:fs';
import {join} from 'node:path';
import {nearest} from '../../core/config-schema.ts';
import {accessProblem, accessRemedy} from '../../core/io/files/private-file.ts';
import {trustedOwners} from '../../core/platform.ts';
import type {Flags} from '../arguments/flags.ts';
import {envName, flatten, groups, isGroup, known, type Plain} from './names.ts';
import {configFolder, type Env} from './places.ts';

export type Entry = {readonly value: unknown; readonly from: string};
export type Layer = {
	readonly entries: ReadonlyMap<string, Entry>;
	readonly problems: readonly string[];
	readonly warnings: readonly string[];
};

/** Keys of the Python prototype's config.json that hold a secret. */
export const secretKeys = ['cluster_secret', 'encryption_key'] as const;
/** Settings whose values nothing shows, and where else they can be: a file with one must be its owner's alone. */
const secretSettings: ReadonlyMap<string, string> = new Map([
	...secretKeys.map(name => [name, 'move the secret to a file of its own (secret_file)'] as const),
	['join_token', 'give it with --join-token or DAPSS_JOIN_TOKEN'],
]);

export function isSecretSetting(name: string): boolean {
	return secretSettings.has(name);
}

/** Keys that identify a config.json of dapss-tui: other programs use that file name, too. */
const marks = ['cluster', 'enable_node_auth', 'enable_message_signing', 'enable_encryption', ...secretKeys];
/** Names at the top of a config.json. */
const topNames = new Set<string>([...known.keys()].map(name => name.split('.')[0]!).concat(secretKeys));
const configBytesMax = 1024 * 1024;
const depthMax = 2;

/** Variables that are not settings of a node. */
const otherVariables = ['DAPSS_SERVER', 'DAPSS_CONFIG', 'DAPSS_DATA', 'DAPSS_SECRET_FILE', 'DAPSS_IDENTITY_FILE'];

/** Flags that are settings, by the setting's name. */
const settingFlags = {
	port: 'port',
	bootstrap: 'bootstrap',
	expect: 'expect',
	joinToken: 'join_token',
	name: 'name',
	host: 'host',
	advertise: 'advertise',
	cluster: 'cluster',
	topics: 'topics',
	data: 'data',
	secretFile: 'secret_file',
	identityFile: 'identity_file',
	faults: 'faults',
	discovery: 'discovery.enabled',
	metricsPort: 'metrics.port',
} as const;

const empty: Layer = {entries: new Map(), problems: [], warnings: []};

/** A config.json in the working directory that is not read. */
export type UnusedFile = {
	readonly path: string;
	/** The reason, as the end of a sentence about the file. */
	readonly why: string;
	/** It has names of settings, or cannot be read, so its author may expect that it is used. */
	readonly isMeant: boolean;
};

/** What a person is told about a file that is not used. */
export const unusedText = ({path, why}: UnusedFile): string => `${path} is not used: ${why}`;

/**
The config.json of this run: `--config` or `DAPSS_CONFIG`, else one of dapss-tui in the working directory, else the
user's.
*/
export function fileLayer(options: {
	readonly explicit: string | undefined;
	readonly cwd: string;
	readonly env: Env;
}): Layer & {readonly path: string | undefined; readonly unused: UnusedFile | undefined} {
	const {explicit, cwd, env} = options;
	if (explicit !== undefined) return {path: explicit, unused: undefined, ...readLayer(explicit)};
	const here = join(cwd, 'config.json');
	const local = readLocal(here);
	if (local !== undefined && 'value' in local)
		return {path: here, unused: undefined, ...objectLayer(local.value, here, local.stats)};
	const users = join(configFolder(env), 'config.json');
	const layer = readLayer(users, true);
	const path = layer === empty ? undefined : users;
	// A working directory that is the settings folder has one file, which is used.
	if (here === users || local === undefined) return {path, unused: undefined, ...layer};
	// Commands that need no node say this, too: someone else may have put the file there.
	if (local.isForeign) return {path, unused: undefined, ...layer, warnings: [...layer.warnings, unusedText(local)]};
	return {path, unused: local, ...layer};
}

function readLayer(path: string, isOptional = false): Layer {
	const read = readObject(path);
	if ('value' in read) return objectLayer(read.value, path, read.stats);
	return read.isMissing && isOptional ? empty : {...empty, problems: [`${path}: ${read.problem}`]};
}

/** The file in the working directory; `undefined` when there is none. */
function readLocal(
	path: string,
): {readonly value: object; readonly stats: Stats} | (UnusedFile & {readonly isForeign: boolean}) | undefined {
	const read = readObject(path);
	if ('problem' in read) {
		const {problem, isMissing, text} = read;
		if (isMissing) return undefined;
		// Without the excerpt of the file that Node adds: it may be a part of a secret.
		const why = problem.replace(/, (?:\.{3})?".*$/s, '');
		return {path, why, isMeant: text === undefined || namesSetting(text), isForeign: false};
	}

	const {value, stats} = read;
	if (!marks.some(mark => Object.hasOwn(value, mark))) {
		const why =
			'another program may own it, because it does not set "cluster"; add that, or give the file with --config';
		return {path, why, isMeant: Object.keys(value).some(name => topNames.has(name)), isForeign: false};
	}

	if (accessProblem({mode: 0, uid: stats.uid}, trustedOwners()) === undefined) return read;
	return {path, why: 'it belongs to another user; to use it, give it with --config', isMeant: true, isForeign: true};
}

type Unreadable = {
	readonly problem: string;
	readonly isMissing: boolean;
	/** The content, if it was read or need not be: too large, or no file. */
	readonly text?: string;
};

function readObject(path: string): {readonly value: object; readonly stats: Stats} | Unreadable {
	let stats: Stats;
	let text: string;
	try {
		stats = statSync(path);
		if (!stats.isFile()) return {problem: 'expected a file', isMissing: false, text: ''};
		if (stats.size > configBytesMax)
			return {
				problem: `expected at most ${configBytesMax} bytes, got ${stats.size}`,
				isMissing: false,
				text: '',
			};
		// Editors on Windows may write a byte order mark.
		text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		return {
			problem: code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`,
			isMissing: code === 'ENOENT' || code === 'ENOTDIR',
		};
	}

	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (error) {
		return {problem: `expected JSON: ${(error as Error).message}`, isMissing: false, text};
	}

	return isGroup(value) ? {value, stats} : {problem: 'expected an object with settings', isMissing: false, text};
}

/** Whether a text that is no JSON has the name of a setting, as a key. */
function namesSetting(text: string): boolean {
	return [...text.matchAll(/["'](\w+)["']\s*:/g)].some(([, name]) => topNames.has(name!));
}

/** Entries of a parsed config.json. */
export function objectLayer(value: object, from: string, stats?: Pick<Stats, 'mode' | 'uid'>): Layer {
	const entries = new Map<string, Entry>();
	const problems: string[] = [];
	const depth = depthOf(value, depthMax + 1);
	if (depth > depthMax) return {...empty, problems: [`${from}: expected settings at most ${depthMax} levels deep`]};
	for (const [name, plain] of flatten(value)) {
		const elsewhere = secretSettings.get(name);
		if (elsewhere !== undefined) {
			const access = stats && accessProblem(stats, trustedOwners());
			if (access === undefined) entries.set(name, {value: plain, from});
			else if (plain !== '')
				problems.push(
					`${name} (${from}): the file holds a secret and ${access}: ` +
						`${accessRemedy(from, stats!)}, or better: ${elsewhere}`,
				);
		} else if (known.has(name)) {
			entries.set(name, {
				value:
					name === 'bootstrap' && Array.isArray(plain)
						? plain.map(one => (typeof one === 'number' ? String(one) : (one as unknown)))
						: plain,
				from,
			});
		} else problems.push(`${name} (${from}): ${unknownText(name, [...known.keys(), ...secretKeys])}`);
	}

	for (const [name, inner] of Object.entries(value) as Array<[string, unknown]>) {
		if (groups.has(name) && !isGroup(inner)) problems.push(`${name} (${from}): expected a group of settings`);
	}

	// An unknown setting that is the name of a group is already reported as `expected a group`.
	return {
		entries,
		problems: problems.filter(
			text => ![...groups].some(group => text.startsWith(`${group} (${from}): there is no`)),
		),
		warnings: [],
	};
}

export function envLayer(env: Env): Layer {
	const names = new Map([...known.keys()].map(name => [envName(name), name]));
	const entries = new Map<string, Entry>();
	const problems: string[] = [];
	for (const [variable, text] of Object.entries(env)) {
		if (!variable.startsWith('DAPSS_') || text === undefined) continue;
		const name = names.get(variable);
		if (name !== undefined) entries.set(name, {value: parseText(name, text), from: variable});
		else if (variable === 'DAPSS_CLUSTER_SECRET' || variable === 'DAPSS_ENCRYPTION_KEY') {
			problems.push(
				`${variable}: a secret does not belong in the environment, which every child process and crash ` +
					'report gets: put it into a file (mode 0600) and set DAPSS_SECRET_FILE to its path',
			);
		} else if (!otherVariables.includes(variable))
			problems.push(`${variable}: ${unknownText(variable, [...names.keys(), ...otherVariables])}`);
	}

	return {entries, problems, warnings: []};
}

export function flagLayer(flags: Flags): Layer {
	const entries = new Map<string, Entry>();
	for (const [flag, name] of Object.entries(settingFlags) as Array<[keyof typeof settingFlags, string]>) {
		const value = flags[flag];
		if (value === undefined) continue;
		const from =
			flag === 'discovery' && value === false
				? '--no-discovery'
				: `--${flag.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;
		entries.set(name, {
			value:
				typeof value === 'boolean'
					? value
					: parseText(name, Array.isArray(value) ? value.join(',') : (value as string)),
			from,
		});
	}

	return {entries, problems: [], warnings: []};
}

/** Converts a text to the type of its setting. An unsuitable text stays a text, and the schema rejects it. */
function parseText(name: string, text: string): Plain {
	const standard = known.get(name);
	if (typeof standard === 'number') return /^-?\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : text;
	if (typeof standard === 'boolean') {
		if (/^(?:true|yes|on|1)$/i.test(text)) return true;
		return /^(?:false|no|off|0)$/i.test(text) ? false : text;
	}

	if (!Array.isArray(standard)) return text;
	const items = text
		.split(',')
		.map(item => item.trim())
		.filter(item => item !== '');
	// Only commas, as from empty variables in a script: a node that was to join must not found its own cluster.
	return items.length > 0 || text.trim() === '' ? items : text;
}

function unknownText(name: string, names: readonly string[]): string {
	const near = nearest(name, names);
	return `there is no such setting${near === undefined ? '' : `; did you mean ${near}?`}`;
}

function depthOf(value: unknown, max: number): number {
	if (max === 0 || !isGroup(value)) return 0;
	return 1 + Math.max(0, ...Object.values(value).map(inner => depthOf(inner, max - 1)));
}
