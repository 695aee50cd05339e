/**
The identity of this user as a client and as the owner of nodes: an Ed25519 key in a file that only its owner can read.
It is made at the first use, and shared by this user's programs and nodes of a cluster.
*/
import {DapssError} from '../../errors.ts';
import {createIdentity, identityFrom, type Identity} from '../../wire/seal.ts';
import {causeOf} from '../cause.ts';
import {withRemedy} from '../file-system.ts';
import {createPrivate, exists, readPrivate} from './private-file.ts';

/**
Reads an identity.
@throws `config` for a file that is missing, that others can read or change, or that holds no identity
*/
export function readIdentity(path: string): Identity {
	const text = readPrivate(
		path,
		'identity file',
		'copy it from where the identity is used, or leave the setting out: a program makes an identity of its own',
	);
	const identity = identityFrom(parsed(text));
	if ('problem' in identity)
		throw new DapssError(
			'config',
			`Expected an identity in ${path}: ${identity.problem}. Restore the file from a copy; or remove it: ` +
				'the next start makes another identity, which an operator must give access',
		);
	return identity;
}

/**
Reads the identity, and makes it if it is missing. Programs that start at once all use the same one. The problem when
the file cannot be made, as on a disk that is mounted read-only: a program can do without.
@throws `config` as `readIdentity`
*/
export function openIdentity(path: string): Identity | {readonly problem: string} {
	if (!exists(path)) {
		try {
			createPrivate(path, JSON.stringify(createIdentity().toJson()));
		} catch (error) {
			return {
				problem:
					`Could not make an identity file at ${path}: ${withRemedy(causeOf(error, path))}. ` +
					'Or name another file (identity_file)',
			};
		}
	}

	return readIdentity(path);
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
