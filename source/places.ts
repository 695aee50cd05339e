/**
Where things are kept for this user, after the XDG base directory specification: settings and the secret, data, logs, caches.
*/
import {homedir} from 'node:os';
import {isAbsolute, join} from 'node:path';

export type Env = Readonly<Record<string, string | undefined>>;

const folder = (env: Env, name: string, ...fallback: readonly string[]): string => {
	const given = env[name];
	// The specification: a relative path is to be ignored.
	return join(given !== undefined && isAbsolute(given) ? given : join(env['HOME'] ?? homedir(), ...fallback), 'dapss');
};

/** Settings, preferences and secrets. */
export const configFolder = (env: Env): string => folder(env, 'XDG_CONFIG_HOME', '.config');
/** Identity, logs and messages of the nodes. */
export const dataFolder = (env: Env): string => folder(env, 'XDG_DATA_HOME', '.local', 'share');
/** What the console writes about itself. */
export const stateFolder = (env: Env): string => folder(env, 'XDG_STATE_HOME', '.local', 'state');
/** May be deleted at any time. */
export const cacheFolder = (env: Env): string => folder(env, 'XDG_CACHE_HOME', '.cache');

export const secretPath = (env: Env, cluster: string): string => join(configFolder(env), `${cluster}.secret`);
export const nodeDataPath = (env: Env, cluster: string, port: number): string => join(dataFolder(env), cluster, String(port));
