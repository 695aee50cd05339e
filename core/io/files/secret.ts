/**
The cluster secret: 32 random bytes in a file that only its owner can read. It is made at the first start and shared by
this user's nodes. A weak, published or readable secret refuses the start, so that a forgotten setting never opens a
cluster. No error contains a secret or a part of one.

The secret is the text of the file without surrounding white space, as bytes.
*/
import {randomBytes} from 'node:crypto';
import {chmodSync} from 'node:fs';
import {DapssError} from '../../errors.ts';
import {advice} from '../../platform.ts';
import type {SecretFile} from '../../ports.ts';
import {causeOf} from '../cause.ts';
import {withRemedy} from '../file-system.ts';
import {createPrivate, exists, readPrivate, replacePrivate} from './private-file.ts';

export const secretBytesMin = 32;

/** SQLITE_BUSY: another process holds the lock. */
const busyCode = 5;

/** Secrets in the public repository of the prototype. */
const published = new Set(['DAPSS_CLUSTER_SECRET', 'default_secret', 'rGBzJ0U89kasl0ikd2KDXskjhAI0gvCsEIK8sMpQT3U=']);
const placeholderWords =
	'put|insert|add|enter|replace|your|example|sample|placeholder|changeme|change[_-]?me|todo|secret|password|' +
	'passwort|default|test|dapss';
const placeholder = new RegExp(String.raw`^[\W_]*(?:${placeholderWords})(?=$|[\W_]|\d)`, 'i');

/** Why a text is not acceptable as a secret; `undefined` when it is. Never quotes the text. */
export function secretProblem(text: string): string | undefined {
	if (text === '') return 'it is empty';
	if (published.has(text)) return 'it is the published secret of the prototype, which everybody knows';
	const bytes = Buffer.byteLength(text);
	if (placeholder.test(text) && !isMixed(text)) return 'it is a placeholder, not a secret';
	if (bytes < secretBytesMin) return `it has ${bytes} bytes, at least ${secretBytesMin} are needed`;
	// The output of a generator has many different characters: 32 hexadecimal digits have about 14.
	if (new Set(text).size < 8) return 'it repeats a few characters';
	if (isRepeated(text)) return 'it repeats a short text';
	return undefined;
}

/**
Reads the secret from a file.
@throws `config` for a file that is missing, that others can read or change, or whose content is no acceptable secret
*/
export function readSecret(path: string): Uint8Array {
	const text = readPrivate(path, 'secret file', missingSecret(path));
	const problem = secretProblem(text);
	if (problem !== undefined)
		throw new DapssError(
			'config',
			`Expected a secret in ${path}, but ${problem}: remove the file and a node makes a good one at its ` +
				`next start, or write one with: ${advice.writeSecret(path)}`,
		);
	return Buffer.from(text);
}

/**
Reads the secret from a file, and makes the file if it is missing. When two nodes start at once, one of them makes it
and both use the same secret: the complete file appears under its name in one step.
*/
export function openSecret(path: string): {readonly secret: Uint8Array; readonly created: boolean} {
	const created = !exists(path) && createSecret(path);
	return {secret: readSecret(path), created};
}

/** Advice for a secret file that does not exist. */
export function missingSecret(path: string): string {
	return `copy it from another node; or, for a new cluster, write one with: ${advice.writeSecret(path)}`;
}

/** The file of a secret, for a node that keeps it at the active key of its cluster. */
export function secretFileAt(path: string): SecretFile {
	return {
		path,
		read() {
			try {
				return readSecret(path);
			} catch {
				return undefined;
			}
		},
		async replace(former, next) {
			// Several nodes of the user do this at once. A slow one must not undo what a later rotation wrote.
			using lock = await lockBeside(path);
			if (lock && Buffer.from(former).equals(readSecret(path)))
				await replacePrivate(path, Buffer.from(next).toString());
		},
	};
}

/** `undefined` while another process holds the lock; it does the same work. */
async function lockBeside(path: string): Promise<Disposable | undefined> {
	// Loaded when it is needed: programs that only read a secret start without it.
	const {DatabaseSync} = await import('./sqlite.ts');
	const lock = new DatabaseSync(`${path}.lock`);
	try {
		lock.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
		chmodSync(`${path}.lock`, 0o600);
	} catch (error) {
		lock.close();
		if ((error as {readonly errcode?: number}).errcode === busyCode) return undefined;
		throw error;
	}

	return {[Symbol.dispose]: () => lock.close()};
}

/** Returns false when another process made the file first. */
function createSecret(path: string): boolean {
	try {
		return createPrivate(path, randomBytes(32).toString('base64url'));
	} catch (error) {
		throw new DapssError(
			'config',
			`Could not make a secret file at ${path}: ${withRemedy(causeOf(error, path))}. Or name another file ` +
				`with --secret-file (for a new cluster, write one with: ${advice.writeSecret('FILE')})`,
			{cause: error},
		);
	}
}

/** Long, with digits and both cases, as generators produce; accepted even if it begins with a word. */
function isMixed(text: string): boolean {
	return text.length >= 43 && new Set(text).size >= 20 && /\d/.test(text) && /[a-z]/.test(text) && /[A-Z]/.test(text);
}

function isRepeated(text: string): boolean {
	// A repetition occurs inside its own doubling at another place than the two ends.
	return (text + text).indexOf(text, 1) < text.length;
}
