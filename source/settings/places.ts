/**
Where things are kept for this user: settings and the secret, data, logs, caches. The rules of each platform are in
`core/platform.ts`.
*/
import {existsSync} from 'node:fs';
import {here, placesOf, type Env} from '../../core/platform.ts';

export {nodeDataPath, secretPath} from '../../core/io/files/user-files.ts';
export type {Env};

/** Settings, preferences and secrets. */
export const configFolder = (env: Env): string => placesOf(here(env), existsSync).config;
/** Identity, logs and messages of the nodes. */
export const dataFolder = (env: Env): string => placesOf(here(env), existsSync).data;
/** What the console writes about itself. */
export const stateFolder = (env: Env): string => placesOf(here(env), existsSync).state;
/** May be deleted at any time. */
export const cacheFolder = (env: Env): string => placesOf(here(env), existsSync).cache;
