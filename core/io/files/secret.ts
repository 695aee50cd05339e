/**
The cluster secret: 32 random bytes in a file that only its owner can read. It is made at the first start and shared by
this user's nodes. A weak, published or readable secret refuses the start, so that a forgotten setting never opens a
cluster. No error contains a secret or a part of one.

The secret is the text of the file without surrounding white space, as bytes.
*/
import {randomBytes} from 'node:crypto';
import {
	closeSync,
	constants,
	fstatSync,
	fsyncSync,
	linkSync,
	lstatSync,
	openSync,
	readSync,
	realpathSync,
	statSync,
	unlinkSync,
	writeSync,
	type Stats,
} from 'node:fs';
import {dirname, join} from 'node:path';
import {DapssError} from '../../errors.ts';
import {advice, trustedOwners} from '../../platform.ts';
import {causeOf, writeProblem} from '../cause.ts';
import {withRemedy} from '../file-system.ts';
import {makeFoldersNow} from '../make-folder.ts';

export const secretBytesMin = 32;
const secretFileBytesMax = 4096;

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
	const text = readPrivate(path, 'secret file');
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

/**
The trimmed text of a regular file that only its owner (this user or root) can read or change, as far as the platform
reports that.
@throws `config`
*/
export function readPrivate(path: string, what: string): string {
	const refuse = (why: string, cause?: unknown): never => {
		throw new DapssError('config', `Expected a private ${what}, ${path} ${why}`, {cause});
	};

	let file: number;
	try {
		// Non-blocking: a pipe in its place must not block the start.
		file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
	} catch (error) {
		return refuse(
			isMissing(error)
				? 'does not exist: copy it from another node; or, for a new cluster, write one with: ' +
						advice.writeSecret(path)
				: unreadable(path, error),
			error,
		);
	}

	try {
		const link = lstatSync(path);
		const stats = fstatSync(file);
		const own = trustedOwners();
		if (own && link.isSymbolicLink() && (!own.includes(link.uid) || !own.includes(stats.uid)))
			refuse(`is a symbolic link to ${realpathSync(path)} that belongs to another user`);
		if (!stats.isFile()) refuse('is not a regular file');
		const problem = accessProblem(stats, own);
		if (problem !== undefined) refuse(`${problem}: ${accessRemedy(path, stats)}`);
		if (stats.size > secretFileBytesMax) refuse(`has ${stats.size} bytes, at most ${secretFileBytesMax} are read`);
		const bytes = Buffer.alloc(secretFileBytesMax);
		return bytes.toString('utf8', 0, readSync(file, bytes, 0, secretFileBytesMax, 0)).trim();
	} finally {
		closeSync(file);
	}
}

/**
Why a file is not private; `undefined` when it is, or when the platform reports no owners.
@param owners users whose files are trusted (`trustedOwners`)
*/
export function accessProblem(
	stats: Pick<Stats, 'mode' | 'uid'>,
	owners: readonly number[] | undefined,
): string | undefined {
	if (!owners) return undefined;
	const mode = stats.mode & 0o777;
	if (!owners.includes(stats.uid)) return 'belongs to another user';
	// A group may read it if only its owner can write it (0440, 0640): container and service managers provide secrets
	// in this way.
	return (mode & 0o037) === 0 ? undefined : `can be read or changed by others (mode ${octal(mode)})`;
}

function unreadable(path: string, error: unknown): string {
	const {code} = error as NodeJS.ErrnoException;
	const [self] = trustedOwners() ?? [];
	const stats = (code === 'EACCES' || code === 'EPERM') && self !== undefined ? statOrNothing(path) : undefined;
	if (!stats) return `cannot be read: ${withRemedy(error)}`;
	const place = writeProblem(dirname(path))?.code === 'EROFS';
	return (
		`cannot be read by user ${self!} (owner ${stats.uid}, mode ${octal(stats.mode)}): ` +
		(place ? mountedFor(self!) : stats.uid === self ? advice.closeFile(path) : advice.takeFile(path, self!))
	);
}

function statOrNothing(path: string): Stats | undefined {
	try {
		return statSync(path, {throwIfNoEntry: false});
	} catch {
		return undefined; // Its folder is not accessible.
	}
}

/** Advice for an `accessProblem`. */
export function accessRemedy(path: string, {uid}: Pick<Stats, 'uid'>): string {
	const [self = 0] = trustedOwners() ?? [];
	const copy = `copy it, ${advice.copyFile(path)}, and name the copy`;
	if (writeProblem(path)?.code === 'EROFS')
		return uid === self || uid === 0
			? `its disk is mounted read-only: mount it with mode 0400 or 0440, or ${copy}`
			: `${mountedFor(self)}; or run this as user ${uid}; or ${copy}`;
	if (uid === self) return advice.closeFile(path);
	// A file that root takes away is lost for the user that runs the node.
	return self === 0 ? `run this as user ${uid}; or ${copy}` : `${advice.takeFile(path, self)}; or ${copy}`;
}

function mountedFor(uid: number): string {
	return `its disk is mounted read-only: mount it with mode 0400 for user ${uid}, or 0440 for a group of this user`;
}

function octal(mode: number): string {
	return (mode & 0o777).toString(8).padStart(4, '0');
}

/** Returns false when another process made the file first. */
function createSecret(path: string): boolean {
	const folder = dirname(path);
	const draft = join(folder, `.secret-${randomBytes(8).toString('hex')}`);
	try {
		makeFoldersNow(folder);
		const file = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
		try {
			writeSync(file, `${randomBytes(32).toString('base64url')}\n`);
			fsyncSync(file);
		} finally {
			closeSync(file);
		}

		try {
			linkSync(draft, path); // Fails if the name exists: like O_EXCL, for a file that is already complete.
			return true;
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
			throw error;
		} finally {
			unlinkSync(draft);
		}
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

function isMissing(error: unknown): boolean {
	return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function exists(path: string): boolean {
	try {
		lstatSync(path);
		return true;
	} catch (error) {
		return !isMissing(error); // A file that exists but cannot be examined is refused by `readSecret`.
	}
}
