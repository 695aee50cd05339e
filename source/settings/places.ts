/**
The folders of this user: settings and secrets, data, logs, caches. The rules of each platform are in
`core/platform.ts`.
*/
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {fileName, here, placesOf, type Env} from '../../core/platform.ts';

export type {Env};

/** Settings, preferences and secrets. */
export const configFolder = (env: Env): string => placesOf(here(env), existsSync).config;
/** Identity, logs and messages of the nodes. */
export const dataFolder = (env: Env): string => placesOf(here(env), existsSync).data;
/** Logs of the console. */
export const stateFolder = (env: Env): string => placesOf(here(env), existsSync).state;
/** Files that may be deleted at any time. */
export const cacheFolder = (env: Env): string => placesOf(here(env), existsSync).cache;

export const secretPath = (env: Env, cluster: string): string => join(configFolder(env), fileName(`${cluster}.secret`));
export const nodeDataPath = (env: Env, cluster: string, port: number): string =>
	join(dataFolder(env), fileName(cluster), String(port));
