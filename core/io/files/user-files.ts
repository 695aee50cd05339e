/**
The files that this user's nodes and programs share when nobody names others: the secret of a cluster, the identity of
the user in it, and the data folder of a node. The folders of each platform are in `platform.ts`.
*/
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {fileName, here, placesOf, type Env} from '../../platform.ts';

/** The file with the secret of a cluster. @param env the environment, whose `XDG_*` variables decide */
export function secretPath(env: Env, cluster: string): string {
	return join(placesOf(here(env), existsSync).config, fileName(`${cluster}.secret`));
}

/** The file with the identity of this user in a cluster. */
export function identityPath(env: Env, cluster: string): string {
	return join(placesOf(here(env), existsSync).config, fileName(`${cluster}.identity`));
}

/** The data folder of the node of a cluster that listens on `port`. */
export function nodeDataPath(env: Env, cluster: string, port: number): string {
	return join(placesOf(here(env), existsSync).data, fileName(cluster), String(port));
}
