/**
The data folder, the secret and the identity of a program that names none: those of the command line. So a program and
the commands of the same user reach each other without settings.
*/
import type {DefaultFiles} from './config-schema.ts';
import {openIdentity, readIdentity} from './io/files/identity-file.ts';
import {openSecret, readSecret} from './io/files/secret.ts';
import type {Env} from './platform.ts';
import type {Identity} from './wire/seal.ts';
import {identityPath, nodeDataPath, secretPath} from './io/files/user-files.ts';

/** For a node: the first node of a cluster makes the secret. A file that is named must exist. */
export const nodeFiles: DefaultFiles = {
	dataFolder: (cluster, port) => nodeDataPath(process.env, cluster, port),
	secret: (cluster, file) =>
		file === undefined ? openSecret(secretPath(process.env, cluster)).secret : readSecret(file),
	secretPath: (cluster, file) => file ?? secretPath(process.env, cluster),
	identityFile(cluster) {
		const path = identityPath(process.env, cluster);
		return 'problem' in openIdentity(path) ? undefined : path;
	},
};

/** For a client, which never makes a secret: its nodes have one. */
export function clientSecret(cluster: string, file: string | undefined): Uint8Array {
	return readSecret(file ?? secretPath(process.env, cluster));
}

/**
The identity of this user; `undefined` when no file can be made.
@param file one that exists
@throws `config`
@internal
*/
export function userIdentity(env: Env, cluster: string, file?: string): Identity | undefined {
	if (file !== undefined) return readIdentity(file);
	const identity = openIdentity(identityPath(env, cluster));
	return 'problem' in identity ? undefined : identity;
}
