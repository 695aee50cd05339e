/** The identity of the user, which a start or a command makes at its first use. The judgement is pure. */
import {DapssError, errorMessage} from '../../core/errors.ts';
import {readIdentity} from '../../core/io/files/identity-file.ts';
import {exists} from '../../core/io/files/private-file.ts';
import {remedyFor} from '../../core/preflight.ts';
import type {Settings} from '../settings/settings.ts';
import {closedTo, type Closed} from './access.ts';
import {bad, good, type Check} from './outcome.ts';

export type IdentityFacts = {
	readonly path: string;
	/** The file was given, so a start does not create it. */
	readonly isNamed: boolean;
	/** The reason why this user cannot create it. */
	readonly closed: Closed | undefined;
	readonly found: 'usable' | 'missing' | {readonly problem: string};
};

/** Looks at the file without creating it. */
export function identityFacts(settings: Settings): IdentityFacts {
	const path = settings.list.find(({name}) => name === 'identity_file')!.value as string;
	return {path, isNamed: settings.isIdentityNamed, closed: closedTo(path), found: lookAt(path)};
}

function lookAt(path: string): IdentityFacts['found'] {
	if (!exists(path)) return 'missing';
	try {
		readIdentity(path);
		return 'usable';
	} catch (error) {
		if (!(error instanceof DapssError)) throw error;
		return {problem: errorMessage(error)};
	}
}

export function judgeIdentity({path, isNamed, closed, found}: IdentityFacts): Check {
	const values = {path};
	if (found === 'usable') return good('identity', `${path} is private and holds an identity`, values);
	if (found !== 'missing')
		return bad(
			'identity',
			'unusable',
			{found: found.problem, remedy: 'Correct the file, or use another one with --identity-file'},
			values,
		);
	if (isNamed)
		return bad(
			'identity',
			'missing',
			{
				found: `There is no file ${path}, which is named as the identity`,
				remedy: 'Copy it from where the identity is used (mode 0600), or leave the setting out',
			},
			values,
		);
	if (closed)
		return bad(
			'identity',
			'not-makable',
			{
				found:
					`${path} cannot be made: ${closed.message}. ` +
					'Without an identity you are no operator of the cluster',
				remedy: `${remedyFor(closed.code) ?? 'Make its folder writable'}; or name a file with --identity-file`,
			},
			values,
		);
	return good('identity', `${path} is created at the first use`, values);
}
