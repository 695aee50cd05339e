/**
The data folder and the secret of a program that names neither: those of the command line. So a program and the commands
of the same user reach each other without settings.
*/
import type {DefaultFiles} from './config-schema.ts';
import {openSecret, readSecret} from './io/files/secret.ts';
import {nodeDataPath, secretPath} from './io/files/user-files.ts';

/** For a node: the first node of a cluster makes the secret. A file that is named must exist. */
export const nodeFiles: DefaultFiles = {
	dataFolder: (cluster, port) => nodeDataPath(process.env, cluster, port),
	secret: (cluster, file) =>
		file === undefined ? openSecret(secretPath(process.env, cluster)).secret : readSecret(file),
};

/** For a client, which never makes a secret: its nodes have one. */
export function clientSecret(cluster: string, file: string | undefined): Uint8Array {
	return readSecret(file ?? secretPath(process.env, cluster));
}
