/**
The settings of this run: defaults ← config.json ← saved preferences ← `DAPSS_*` ← flags. Every value has its origin,
and all problems are reported at once.
*/
import {canonicalAddress} from '../../core/address.ts';
import {nearest, problemsOf, withCanonicalAddresses, type Tunables} from '../../core/config-schema.ts';
import {defaults, type Config} from '../../core/config.ts';
import {DapssError} from '../../core/errors.ts';
import {identityKeyOf, type IdentityKey} from '../../core/access.ts';
import {openIdentity, readIdentity} from '../../core/io/files/identity-file.ts';
import {openSecret, readSecret, secretProblem} from '../../core/io/files/secret.ts';
import type {Flags} from '../arguments/flags.ts';
import {
	envLayer,
	fileLayer,
	flagLayer,
	isSecretSetting,
	objectLayer,
	secretKeys,
	type Entry,
	type Layer,
	type UnusedFile,
} from './layers.ts';
import {known, nest, snake} from './names.ts';
import {identityPath, nodeDataPath, secretPath, type Env} from './places.ts';

export type Setting = {readonly name: string; readonly value: unknown; readonly from: string};

export type Settings = {
	readonly tunables: Tunables;
	/** Every setting by its name in config.json; of a secret only whether it is set. */
	readonly list: readonly Setting[];
	readonly warnings: readonly string[];
	/** The config.json that was read. */
	readonly configPath: string | undefined;
	/** A config.json in the working directory that was not read. */
	readonly unusedConfig: UnusedFile | undefined;
	/** The port was set, so a start does not use another one in its place. */
	readonly isPortExplicit: boolean;
	/** The secret file was named, so a start does not create it. */
	readonly isSecretNamed: boolean;
	/** The identity file was named, so a program does not create it. */
	readonly isIdentityNamed: boolean;
	/** Data folder of a node on that port. */
	data(port: number): string;
	/** @throws `config`; `not-authenticated` when there is no secret and `create` is false */
	secret(options: {readonly create: boolean}): {
		readonly secret: Uint8Array;
		readonly path: string;
		readonly created: boolean;
	};
	/**
	The identity of this user, made at its first use unless its file is named; or why it cannot be made.
	@throws `config`
	*/
	identity(): OwnIdentity | {readonly problem: string};
};

/** The identity of this user, and its file. */
export type OwnIdentity = {readonly key: IdentityKey; readonly path: string};

export type SettingsInput = {
	readonly flags: Flags;
	readonly env: Env;
	readonly cwd: string;
	/** Settings that the console saved, from the group `console` only. */
	readonly preferences?: {readonly path: string; readonly settings: object};
};

const fromDefault = 'default';
const addressSettings = ['host', 'advertise', 'bootstrap'] as const;

/** @throws `config`, with a line for every problem */
export function loadSettings(input: SettingsInput): Settings {
	const {flags, env, cwd} = input;
	const file = fileLayer({explicit: flags.config ?? env['DAPSS_CONFIG'], cwd, env});
	const layers: readonly Layer[] = [
		file,
		...(input.preferences ? [objectLayer(input.preferences.settings, input.preferences.path)] : []),
		envLayer(env),
		flagLayer(flags),
	];
	const entries = merged(layers);
	const secrets = new Map(secretKeys.flatMap(name => (entries.has(name) ? [[name, entries.get(name)!]] : [])));
	const {data, secretFile, identityFile, ...tunables} = nest(
		new Map([...entries].flatMap(([name, {value}]) => (known.has(name) ? [[name, value]] : []))),
	) as Tunables & Readonly<Record<'data' | 'secretFile' | 'identityFile', string>>;
	throwProblems([
		...layers.flatMap(layer => layer.problems),
		...problemsOf(tunables).map(
			({setting, message}) => `${snake(setting)} (${originOf(entries, snake(setting))}): ${message}`,
		),
		...secretProblems(secrets),
		...pathProblems(entries),
	]);
	const dataPath = (port: number): string => (data === '' ? nodeDataPath(env, tunables.cluster, port) : data);
	const secretFilePath = secretFile === '' ? secretPath(env, tunables.cluster) : secretFile;
	const places: Readonly<Record<string, string>> = {
		data: dataPath(tunables.port),
		secret_file: secretFilePath,
		identity_file: identityFile === '' ? identityPath(env, tunables.cluster) : identityFile,
	};
	const port = entries.get('port')!;
	return {
		tunables,
		list: [...entries].map(([name, {value, from}]) => ({name, value: shown(name, places[name] ?? value), from})),
		warnings: layers.flatMap(layer => layer.warnings),
		configPath: file.path,
		unusedConfig: file.unused,
		isPortExplicit: port.from.startsWith('--') || port.from.startsWith('DAPSS_') || port.value !== defaults.port,
		isSecretNamed: secretFile !== '',
		isIdentityNamed: identityFile !== '',
		data: dataPath,
		secret({create}) {
			const inConfig = secretKeys.map(name => secrets.get(name)).find(entry => entry && entry.value !== '');
			if (inConfig && secretFile === '')
				return {secret: Buffer.from(inConfig.value as string), path: inConfig.from, created: false};
			// A file that was named is not created: a typing error must not found another cluster.
			return create && secretFile === ''
				? {path: secretFilePath, ...openSecret(secretFilePath)}
				: {path: secretFilePath, secret: readSecret(secretFilePath), created: false};
		},
		identity() {
			const path = places['identity_file']!;
			const identity = identityFile === '' ? openIdentity(path) : readIdentity(path);
			return 'problem' in identity ? identity : {key: identityKeyOf(identity.publicKey), path};
		},
	};
}

function shown(name: string, value: unknown): unknown {
	return isSecretSetting(name) && value !== '' ? '(set)' : value;
}

type Entries = ReadonlyMap<string, Entry>;

/** Later layers win. */
function merged(layers: readonly Layer[]): Entries {
	const entries = new Map<string, Entry>([...known].map(([name, value]) => [name, {value, from: fromDefault}]));
	for (const layer of layers) for (const [name, entry] of layer.entries) entries.set(name, entry);

	const written = Object.fromEntries(addressSettings.map(name => [name, entries.get(name)!.value])) as Pick<
		Tunables,
		(typeof addressSettings)[number]
	>;
	const canonical = withCanonicalAddresses(written);
	for (const name of addressSettings) entries.set(name, {...entries.get(name)!, value: canonical[name]});
	return entries;
}

/** @throws `config` when there are any */
function throwProblems(problems: readonly string[]): void {
	if (problems.length === 0) return;
	const lines = problems.map(problem => `  ${problem}`).join('\n');
	throw new DapssError(
		'config',
		problems.length === 1 ? problems[0]! : `${problems.length} settings are wrong:\n${lines}`,
	);
}

function pathProblems(entries: Entries): readonly string[] {
	return (['data', 'secret_file', 'identity_file'] as const)
		.map(name => ({name, ...entries.get(name)!}))
		.filter(({value}) => typeof value !== 'string')
		.map(({name, from}) => `${name} (${from}): Expected a path`);
}

/** The configuration of a node on `port`. A missing secret is created. */
export function nodeConfig(
	settings: Settings,
	port: number,
): {
	readonly config: Config;
	readonly secretPath: string;
	readonly secretCreated: boolean;
	/** Why this user has no identity. */
	readonly identityProblem: string | undefined;
} {
	const {secret, path, created} = settings.secret({create: true});
	const identity = settings.identity();
	return {
		config: {
			...settings.tunables,
			port,
			data: settings.data(port),
			secret,
			secretPath: path,
			...('problem' in identity ? {} : {identityFile: identity.path}),
		},
		secretPath: path,
		secretCreated: created,
		identityProblem: 'problem' in identity ? identity.problem : undefined,
	};
}

/** An address from a flag. @throws `usage` */
export function addressOf(written: string, what: string): string {
	const address = canonicalAddress(written);
	if (address === undefined)
		throw new DapssError('usage', `Expected ${what} to be host:port or a port, got ${JSON.stringify(written)}`);
	return address;
}

export {nearest};

function originOf(entries: Entries, name: string): string {
	return (
		entries.get(name)?.from ?? entries.get(name.slice(0, Math.max(0, name.lastIndexOf('.'))))?.from ?? fromDefault
	);
}

/** Configurations of the prototype hold up to two secrets. One is enough: all keys are derived from it. */
function secretProblems(secrets: Entries): string[] {
	return [...secrets].flatMap(([name, {value, from}]) => {
		if (value === '') return [];
		const problem = typeof value === 'string' ? secretProblem(value.trim()) : 'it is not a string';
		return problem === undefined
			? []
			: [
					`${name} (${from}): this is not a secret: ${problem}. Remove the line: ` +
						'a node creates its own secret at its first start',
				];
	});
}
