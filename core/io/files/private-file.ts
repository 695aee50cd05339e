/**
Files that only their owner may read, such as a secret or a key. A file that others can read or change is refused, with
advice for its platform. No error contains the content of a file.
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
import {open, rename, unlink} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {DapssError} from '../../errors.ts';
import {advice, trustedOwners} from '../../platform.ts';
import {writeProblem} from '../cause.ts';
import {withRemedy} from '../file-system.ts';
import {makeFoldersNow} from '../make-folder.ts';

const privateBytesMax = 4096;

/**
The trimmed text of a regular file that only its owner (this user or root) can read or change, as far as the platform
reports that.
@param what of the file, in errors
@param missingRemedy advice when the file does not exist
@throws `config`
*/
export function readPrivate(path: string, what: string, missingRemedy: string): string {
	const refuse = (why: string, cause?: unknown): never => {
		throw new DapssError('config', `Expected a private ${what}, ${path} ${why}`, {cause});
	};

	let file: number;
	try {
		// Non-blocking: a pipe in its place must not block the start.
		file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
	} catch (error) {
		return refuse(isMissing(error) ? `does not exist: ${missingRemedy}` : unreadable(path, error), error);
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
		if (stats.size > privateBytesMax) refuse(`has ${stats.size} bytes, at most ${privateBytesMax} are read`);
		const bytes = Buffer.alloc(privateBytesMax);
		return bytes.toString('utf8', 0, readSync(file, bytes, 0, privateBytesMax, 0)).trim();
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

/**
Makes a private file with this text, in one step: the complete file appears under its name. Returns false when the name
exists already.
@throws the error of the system
*/
export function createPrivate(path: string, text: string): boolean {
	const folder = dirname(path);
	const draft = join(folder, `.draft-${randomBytes(8).toString('hex')}`);
	makeFoldersNow(folder);
	// The name is random and must be new (O_EXCL), so that no link is followed.
	const file = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
	try {
		writeSync(file, `${text}\n`);
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
}

/**
Replaces the text of a private file in one step. Its name may not be a link, and only its owner may read it: another one
is managed by somebody else.
@throws the error of the system, or the reason why the file is not replaced
*/
export async function replacePrivate(path: string, text: string): Promise<void> {
	const link = lstatSync(path);
	const own = trustedOwners();
	if (!link.isFile()) throw new DapssError('config', `${path} is not a regular file`);
	if (own && link.uid !== own[0]) throw new DapssError('config', `${path} belongs to another user`);
	if (own && (link.mode & 0o077) !== 0)
		throw new DapssError('config', `${path} can be read by a group (mode ${octal(link.mode)})`);
	const draft = join(dirname(path), `.draft-${randomBytes(8).toString('hex')}`);
	try {
		const file = await open(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
		try {
			await file.writeFile(`${text}\n`);
			await file.sync();
		} finally {
			await file.close();
		}

		await rename(draft, path);
	} catch (error) {
		await unlink(draft).catch(() => undefined);
		throw error;
	}
}

function isMissing(error: unknown): boolean {
	return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** Whether there is a file of that name, of any kind. */
export function exists(path: string): boolean {
	try {
		lstatSync(path);
		return true;
	} catch (error) {
		return !isMissing(error); // A file that exists but cannot be examined is refused by `readPrivate`.
	}
}
