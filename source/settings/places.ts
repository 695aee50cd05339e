/**
The folders of this user: settings and secrets, data, logs, caches. The rules of each platform are in
`core/platform.ts`.
*/
import {existsSync} from 'node:fs';
import {here, placesOf, type Env} from '../../core/platform.ts';

export {identityPath, nodeDataPath, secretPath} from '../../core/io/files/user-files.ts';
export type {Env};

/** Settings, preferences and secrets. */
export const configFolder = (env: Env): string => placesOf(here(env), existsSync).config;
/** Identity, logs and messages of the nodes. */
export const dataFolder = (env: Env): string => placesOf(here(env), existsSync).data;
/** Logs of the console. */
export const stateFolder = (env: Env): string => placesOf(here(env), existsSync).state;
/** Files that may be deleted at any time. */
export const cacheFolder = (env: Env): string => placesOf(here(env), existsSync).cache;
