/**
The cluster secret: 32 random bytes in a file that only its owner can read. It is made at the first start and shared by
this user's nodes. A weak, published or readable secret refuses the start, so that a forgotten setting never opens a
cluster. No error contains a secret or a part of one.

The secret is the text of the file without surrounding white space, as bytes.
*/
import {randomBytes} from 'node:crypto';
import {DapssError} from '../../errors.ts';
import {advice} from '../../platform.ts';
import {causeOf} from '../cause.ts';
import {withRemedy} from '../file-system.ts';
import {createPrivate, exists, readPrivate} from './private-file.ts';

export const secretBytesMin = 32;

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
