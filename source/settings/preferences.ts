/**
Preferences of the console: keys, theme, and some settings. `conf` stores them in `preferences.json` next to the
settings. Only a console uses them; `config` and `doctor` report their problems.
*/
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import Conf from 'conf';
import {errorMessage} from '../../core/errors.ts';
import {buildKeymap} from '../../tui/input/keymap.ts';
import {themeProblems, type ThemePreferences} from '../../tui/theme.ts';
import {readContexts, type ClusterContext} from './contexts.ts';
import {isGroup} from './names.ts';
import {configFolder, type Env} from './places.ts';

export type Preferences = {
	readonly path: string;
	/** Keys by action; the console reports unknown actions. */
	readonly keymap: Readonly<Record<string, string | readonly string[]>>;
	/** The name of a theme, and styles of single tones. */
	readonly theme: ThemePreferences;
	/**
	Settings as in config.json, from the group `console` only. Other settings belong into config.json, which a headless
	node reads, too.
	*/
	readonly settings: object;
	/** Named clusters, for `attach`. */
	readonly contexts: ReadonlyMap<string, ClusterContext>;
	/** Parts that are ignored, for people; without those of the key map, which the console reports itself. */
	readonly problems: readonly string[];
};

const groups: ReadonlySet<string> = new Set(['keymap', 'theme', 'console', 'contexts']);

export const preferencesPath = (env: Env): string => join(configFolder(env), 'preferences.json');

/**
A start continues without preferences that cannot be read.
@param say prints a warning
*/
export function loadPreferences(env: Env, say: (line: string) => void): Preferences {
	const cwd = configFolder(env);
	try {
		const conf = new Conf<Record<string, unknown>>({
			projectName: 'dapss',
			cwd,
			configName: 'preferences',
			configFileMode: 0o600,
			clearInvalidConfig: false,
		});
		const group = (name: string): Readonly<Record<string, unknown>> => {
			const value = conf.get(name);
			if (value === undefined || isGroup(value)) return (value as Record<string, unknown> | undefined) ?? {};
			say(`Warning: ${conf.path}: expected ${name} to be an object; it is ignored`);
			return {};
		};

		const keymap = group('keymap');
		const keys = Object.entries(keymap).filter((row): row is [string, string | readonly string[]] =>
			isKeys(row[1]),
		);
		const themed = group('theme');
		const {name, tones} = themed;
		const shown = group('console');
		const {contexts, problems: unusable} = readContexts(group('contexts'), conf.path);
		const problems = [
			...Object.keys(conf.store)
				.filter(key => !groups.has(key))
				.map(key => `Expected keymap, theme, console or contexts in the preferences, got \`${key}\``),
			...Object.entries(keymap)
				.filter(([, value]) => !isKeys(value))
				.map(([action]) => `Expected a key or a list of keys for \`${action}\``),
			...themeProblems(themed),
			...unusable,
		];
		const theme = {
			...(typeof name === 'string' ? {name} : {}),
			...(isGroup(tones)
				? {tones: Object.fromEntries(Object.entries(tones).filter(([, style]) => isGroup(style)))}
				: {}),
		};
		return {
			path: conf.path,
			keymap: Object.fromEntries(keys),
			theme,
			settings: Object.keys(shown).length === 0 ? {} : {console: shown},
			contexts,
			problems,
		};
	} catch (error) {
		say(`Warning: ${preferencesPath(env)} cannot be read and is ignored: ${errorMessage(error)}`);
		return {path: preferencesPath(env), keymap: {}, theme: {}, settings: {}, contexts: new Map(), problems: []};
	}
}

/**
The preferences that a start with a console would load, without creating their folder; `undefined` when there are none.
@param say prints a line about each part that is ignored
*/
export function existingPreferences(env: Env, say: (line: string) => void): Preferences | undefined {
	if (!existsSync(preferencesPath(env))) return undefined;
	const preferences = loadPreferences(env, line => say(line.replace(/^Warning: /, '')));
	for (const problem of [...preferences.problems, ...buildKeymap(preferences.keymap).problems])
		say(`${preferences.path}: ${problem}`);
	return preferences;
}

function isKeys(value: unknown): value is string | readonly string[] {
	return typeof value === 'string' || (Array.isArray(value) && value.every(key => typeof key === 'string'));
}
