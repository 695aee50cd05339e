/**
The settings of this run: defaults ← config.json ← saved preferences ← `DAPSS_*` ← flags. Every value knows where it
came from, and whatever is wrong is told at once.
*/
import {canonicalAddress} from '../../core/address.ts';
import {nearest, problemsOf, withCanonicalAddresses, type Tunables} from '../../core/config-schema.ts';
import {defaults, type Config} from '../../core/config.ts';
import {DapssError} from '../../core/errors.ts';
import {openSecret, readSecret, secretProblem} from '../../core/io/files/secret.ts';
import type {Flags} from '../arguments/flags.ts';
import {envLayer, fileLayer, flagLayer, objectLayer, secretKeys, type Entry, type Layer} from './layers.ts';
import {known, nest, snake} from './names.ts';
import {nodeDataPath, secretPath, type Env} from './places.ts';

export type Setting = {readonly name: string; readonly value: unknown; readonly from: string};

export type Settings = {
	readonly tunables: Tunables;
	/** Every setting by its name in config.json; a secret is never among them. */
	readonly list: readonly Setting[];
	readonly warnings: readonly string[];
	/** The config.json that was read. */
	readonly configPath: string | undefined;
	/** The port was asked for: another is not taken in its place. */
	readonly isPortExplicit: boolean;
	/** The file of the secret was named: it is not made. */
	readonly isSecretNamed: boolean;
	/** Data folder of a node on that port. */
	data(port: number): string;
	/** @throws `config`; `not-authenticated` when there is none and `create` is not asked for */
	secret(options: {readonly create: boolean}): {
		readonly secret: Uint8Array;
		readonly path: string;
		readonly created: boolean;
	};
};

export type SettingsInput = {
	readonly flags: Flags;
	readonly env: Env;
	readonly cwd: string;
	/** Settings that the console has saved; only what the console shows may be saved. */
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
	const entries = new Map<string, Entry>([...known].map(([name, value]) => [name, {value, from: fromDefault}]));
	const secrets = new Map<string, Entry>();
	for (const layer of layers) {
		for (const [name, entry] of layer.entries)
			((secretKeys as readonly string[]).includes(name) ? secrets : entries).set(name, entry);
	}

	const written = Object.fromEntries(addressSettings.map(name => [name, entries.get(name)!.value])) as Pick<
		Tunables,
		(typeof addressSettings)[number]
	>;
	const canonical = withCanonicalAddresses(written);
	for (const name of addressSettings) entries.set(name, {...entries.get(name)!, value: canonical[name]});
	const {data, secretFile, ...tunables} = nest(
		new Map([...entries].map(([name, {value}]) => [name, value])),
	) as Tunables & {readonly data: unknown; readonly secretFile: unknown};
	const problems = [
		...layers.flatMap(layer => layer.problems),
		...problemsOf(tunables).map(
			({setting, message}) => `${snake(setting)} (${originOf(entries, snake(setting))}): ${message}`,
		),
		...secretProblems(secrets),
		...(['data', 'secret_file'] as const).flatMap(name =>
			typeof entries.get(name)!.value === 'string'
				? []
				: [`${name} (${entries.get(name)!.from}): Expected a path`],
		),
	];
	if (problems.length > 0)
		throw new DapssError(
			'config',
			problems.length === 1
				? problems[0]!
				: `${problems.length} settings are wrong:\n${problems.map(problem => `  ${problem}`).join('\n')}`,
		);

	const port = entries.get('port')!;
	return {
		tunables,
		list: [...entries].map(([name, {value, from}]) => ({
			name,
			value:
				name === 'secret_file' && value === ''
					? secretPath(env, tunables.cluster)
					: name === 'data' && value === ''
						? nodeDataPath(env, tunables.cluster, tunables.port)
						: value,
			from,
		})),
		warnings: layers.flatMap(layer => layer.warnings),
		configPath: file.path,
		isPortExplicit: port.from.startsWith('--') || port.from.startsWith('DAPSS_') || port.value !== defaults.port,
		isSecretNamed: secretFile !== '',
		data: chosen => (data === '' ? nodeDataPath(env, tunables.cluster, chosen) : (data as string)),
		secret({create}) {
			const inFile = secretKeys
				.map(name => secrets.get(name))
				.find(entry => entry !== undefined && entry.value !== '');
			if (inFile && secretFile === '')
				return {secret: Buffer.from(inFile.value as string), path: inFile.from, created: false};
			const path = secretFile === '' ? secretPath(env, tunables.cluster) : (secretFile as string);
			// A file that was named is not made: a typing error must not become a cluster of its own.
			return create && secretFile === ''
				? {path, ...openSecret(path)}
				: {path, secret: readSecret(path), created: false};
		},
	};
}

/** The configuration of a node on `port`. The secret is made when there is none yet. */
export function nodeConfig(
	settings: Settings,
	port: number,
): {readonly config: Config; readonly secretPath: string; readonly secretCreated: boolean} {
	const {secret, path, created} = settings.secret({create: true});
	return {
		config: {...settings.tunables, port, data: settings.data(port), secret},
		secretPath: path,
		secretCreated: created,
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

function originOf(entries: ReadonlyMap<string, Entry>, name: string): string {
	return (
		entries.get(name)?.from ?? entries.get(name.slice(0, Math.max(0, name.lastIndexOf('.'))))?.from ?? fromDefault
	);
}

/** The prototype kept two secrets in config.json; one strong secret is enough, all keys are derived from it. */
function secretProblems(secrets: ReadonlyMap<string, Entry>): string[] {
	return [...secrets].flatMap(([name, {value, from}]) => {
		if (value === '') return [];
		const problem = typeof value === 'string' ? secretProblem(value.trim()) : 'it is not a text';
		return problem === undefined
			? []
			: [
					`${name} (${from}): this is no secret: ${problem}. Remove the line: a node makes a secret of its own at its first start`,
				];
	});
}
