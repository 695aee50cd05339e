/**
The files that a start reads first: settings, the cluster's secret, and the registry of this user's nodes. The
judgements are pure.
*/
import {lstatSync} from 'node:fs';
import {DapssError, errorMessage} from '../../core/errors.ts';
import {accessProblem, accessRemedy, readPrivate} from '../../core/io/files/private-file.ts';
import {missingSecret, secretProblem} from '../../core/io/files/secret.ts';
import {advice, here} from '../../core/platform.ts';
import {causeOf, folderProblem, isMissing, remedyFor, writeProblem, type FolderProblem} from '../../core/preflight.ts';
import {unusedText} from '../settings/layers.ts';
import type {Settings} from '../settings/settings.ts';
import {bad, good, type Check} from './outcome.ts';

/** Settings that a start would use, or the reason why it would refuse them. */
export type SettingsFacts = {readonly settings: Settings} | {readonly problem: string};

/** @param leftOut lines about ignored files */
export function judgeSettings(facts: SettingsFacts, leftOut: readonly string[]): Check {
	if ('problem' in facts)
		return bad('settings', 'wrong', {
			found: facts.problem,
			remedy: 'Correct the settings at the places in brackets; dapss-tui config shows all settings',
		});
	const {configPath, unusedConfig: unused, list} = facts.settings;
	const own = list.filter(({from}) => from !== 'default');
	const values = {
		file: configPath ?? null,
		unused: unused?.path ?? null,
		changed: own.map(({name, from}) => `${name} (${from})`),
	};
	const ignored = [...leftOut, ...(unused?.isMeant ? [unusedText(unused)] : [])];
	if (ignored.length > 0)
		return bad(
			'settings',
			'left-out',
			{found: ignored.join('; '), remedy: 'Correct or remove the file, or give another one with --config'},
			values,
		);
	const used = configPath ?? (unused ? 'No config.json is used' : 'No config.json');
	const given = own.length === 0 ? 'all settings are defaults' : `${own.length} of ${list.length} settings are given`;
	return good('settings', `${used}; ${given}${unused ? `; ${unusedText(unused)}` : ''}`, values);
}

export type Closed = {readonly code: string | undefined; readonly message: string};
export type SecretFacts = {
	readonly path: string;
	/** The file was given, so a start does not create it. */
	readonly isNamed: boolean;
	/** The reason why this user cannot create it. */
	readonly closed?: Closed | undefined;
	readonly found:
		| 'usable'
		| 'missing'
		| {readonly access: string; readonly remedy: string}
		| {readonly content: string}
		| {readonly failure: string; readonly remedy: string};
};

export function secretFacts(settings: Settings): SecretFacts {
	const path = settings.list.find(({name}) => name === 'secret_file')!.value as string;
	const isNamed = settings.isSecretNamed;
	try {
		return {path: settings.secret({create: false}).path, isNamed, found: 'usable'};
	} catch (error) {
		return {path, isNamed, closed: closedTo(path), found: whyUnusable(path, error)};
	}
}

/** @param hasNode the data folder belongs to a node that has run before */
export function judgeSecret({path, isNamed, closed, found}: SecretFacts, hasNode: boolean): Check {
	const values = {path};
	if (found === 'usable') return good('secret', `${path} is private and long enough`, values);
	if (found !== 'missing') {
		if ('access' in found)
			return bad('secret', 'not-private', {found: `${path} ${found.access}`, remedy: found.remedy}, values);
		if ('content' in found)
			return bad(
				'secret',
				'no-secret',
				{
					found: `${path} holds no secret: ${found.content}`,
					remedy:
						'Copy the file of another node; or, for a new cluster, remove it, ' +
						`and a node creates one at its next start, or write one: ${advice.writeSecret(path)}`,
				},
				values,
			);
		return bad('secret', 'unreadable', {found: found.failure, remedy: found.remedy}, values);
	}

	if (isNamed)
		return bad(
			'secret',
			'missing',
			{
				found: `There is no file ${path}, which is named as the secret`,
				remedy:
					'Copy it from another node (mode 0600); or, for a new cluster, write one: ' +
					advice.writeSecret(path),
			},
			values,
		);
	if (hasNode)
		return bad(
			'secret',
			'lost',
			{
				found:
					`There is no secret ${path}, and the data folder has a node that had one: ` +
					'with a new one no other node would know it',
				remedy: 'Copy the file from another node of the cluster, or restore it from a backup (mode 0600)',
			},
			values,
		);
	if (closed)
		return bad(
			'secret',
			'not-makable',
			{
				found: `${path} cannot be made: ${closed.message}`,
				remedy:
					`${remedyFor(closed.code) ?? 'Make its folder writable'}; or use another file with ` +
					`--secret-file; for a new cluster, write it with: ${advice.writeSecret('FILE')}`,
			},
			values,
		);
	return good(
		'secret',
		`${path} is created at the first start; to join nodes of other machines, copy their secret first`,
		values,
	);
}

/**
@param closed the reason why this user cannot create files there
@param open the reason why other users can change what is there
*/
export function judgeRegistry(folder: string, closed: Closed | undefined, open?: FolderProblem): Check {
	if (open)
		return bad(
			'registry',
			'open',
			{
				found: `A node is not listed in ${folder}: expected ${folder} ${open.problem}`,
				remedy:
					`${open.remedy}; or name another folder in XDG_RUNTIME_DIR. ` +
					'Until then, commands find the node only with --server',
			},
			{folder},
		);
	if (closed)
		return bad(
			'registry',
			'closed',
			{
				found: `A node cannot be listed in ${folder}: ${closed.message}`,
				remedy:
					`${remedyFor(closed.code) ?? 'Make the folder writable'}. ` +
					'Until then, commands find the node only with --server',
			},
			{folder},
		);
	return good('registry', `Nodes of this user are listed in ${folder}`, {folder});
}

/** The reason why other users can change what is in a folder; `undefined` also when it cannot be examined. */
export function openTo(folder: string): FolderProblem | undefined {
	try {
		return folderProblem(folder);
	} catch {
		return undefined;
	}
}

/** The reason why the path cannot be written or, if it is missing, created. */
export function closedTo(folder: string): Closed | undefined {
	const problem = writeProblem(folder);
	const cause = problem && causeOf(problem, folder);
	// A missing path is created by a start.
	return cause === undefined || (cause === problem && isMissing(cause))
		? undefined
		: {code: (cause as NodeJS.ErrnoException).code, message: errorMessage(cause)};
}

function whyUnusable(path: string, error: unknown): SecretFacts['found'] {
	const self = here().uid ?? 0;
	try {
		const stats = lstatSync(path);
		const access = stats.isFile() ? accessProblem(stats, [self, 0]) : undefined;
		if (access !== undefined) return {access, remedy: accessRemedy(path, stats)};
		const content = secretProblem(readPrivate(path, 'secret file', missingSecret(path)));
		if (content !== undefined) return {content};
	} catch (again) {
		if (isMissing(again)) return 'missing';
		const {code} = Object(again instanceof DapssError ? again.cause : again) as {readonly code?: string};
		return {
			failure:
				code === undefined
					? errorMessage(again instanceof DapssError ? again : error)
					: `${path} cannot be read (${code})`,
			remedy:
				remedyFor(code) ?? 'Put your own regular file there (mode 0600), or use another one with --secret-file',
		};
	}

	return {failure: errorMessage(error), remedy: 'Use another file with --secret-file'};
}
