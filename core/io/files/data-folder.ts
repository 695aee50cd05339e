/**
The data folder of a node, locked for one process at a time. The lock is SQLite's: the kernel releases it whenever the
process ends (Node itself has no file locks). It also excludes other threads of the process. The files in the folder are
the subject of `node-files.ts`.

Only SQLite may open the file `lock`: a POSIX lock is released when the process closes any descriptor of the file.
*/
import {statSync} from 'node:fs';
import {chmod, lstat, readFile, stat, writeFile} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import {DapssError, errorMessage} from '../../errors.ts';
import {advice, trustedOwners} from '../../platform.ts';
import {causeOf, writeProblem} from '../cause.ts';
import {realFiles, remedyFor, withRemedy} from '../file-system.ts';
import {DatabaseSync} from './sqlite.ts';

const sqliteBusy = 5;
/** Error codes for a lock file that is read-only, malformed, cannot be opened, or is no database. */
const sqliteNoLock: ReadonlySet<number> = new Set([8, 11, 14, 26]);

export class Folder implements Disposable {
	/** Absolute, so that it stays valid when the working directory changes. */
	readonly path: string;
	readonly #lock: DatabaseSync;

	private constructor(path: string, lock: DatabaseSync) {
		this.path = path;
		this.#lock = lock;
	}

	/**
	Opens the folder, makes it if it is missing, and locks it.
	@throws `config` when other users have access, `locked` when another node holds the lock, `storage`
	*/
	static async open(path: string): Promise<Folder> {
		const absolute = resolve(path);
		try {
			await realFiles.makeFolder(absolute);
			await expectClosed(absolute);
			const closed = writeProblem(absolute);
			if (closed) throw closed;
			const lock = await takeLock(absolute);
			// Only informs a process that finds the folder locked, so a failure is ignored.
			await writeFile(join(absolute, 'pid'), `${process.pid}\n`, {mode: 0o600}).catch(() => undefined);
			return new Folder(absolute, lock);
		} catch (error) {
			throw error instanceof DapssError
				? error
				: new DapssError(
						'storage',
						`The data folder ${absolute} cannot be used: ${unusable(absolute, causeOf(error, absolute))}`,
						{cause: error},
					);
		}
	}

	[Symbol.dispose](): void {
		if (this.#lock.isOpen) this.#lock.close();
	}
}

function unusable(path: string, cause: unknown): string {
	const {code} = cause as NodeJS.ErrnoException;
	return isRefusal(code) ? `${errorMessage(cause)}. ${placeRemedy(path, code)}` : withRemedy(cause);
}

/** The system does not let this user write there: the rights are missing, or the disk is mounted read-only. */
function isRefusal(code: string | undefined): boolean {
	return code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
}

/**
Advice for a data folder that can be neither made nor written.
@param code of the error that explains why (`causeOf`)
*/
export function placeRemedy(path: string, code: string | undefined): string {
	const [self] = trustedOwners() ?? [];
	if ((code !== 'EACCES' && code !== 'EPERM') || self === undefined)
		return `${remedyFor(code) ?? 'Mend that'}${code === 'EROFS' ? ' (--data)' : '; or choose another --data'}`;
	const isOwn = ownerOf(path) === self;
	return `${isOwn ? advice.closeFolder(path) : advice.makeFolder(path, self)}; or choose another --data`;
}

function ownerOf(path: string): number | undefined {
	try {
		return statSync(path, {throwIfNoEntry: false})?.uid;
	} catch {
		return undefined; // A parent folder is not accessible.
	}
}

async function expectClosed(path: string): Promise<void> {
	const link = await lstat(path);
	const own = trustedOwners();
	if (own && link.isSymbolicLink() && !own.includes(link.uid))
		throw new DapssError(
			'config',
			`Expected the data folder ${path} to be yours (user ${own[0]!}), ` +
				`it is a symbolic link of user ${link.uid}: ${advice.remove(path)}; or choose another --data`,
		);
	const {mode, uid} = await stat(path);
	const finding = ownershipProblem(path, {mode, uid}, trustedOwners()?.[0], writeProblem(path)?.code);
	if (finding)
		throw new DapssError('config', `Expected the data folder ${path} ${finding.problem}: ${finding.remedy}`);
}

/**
Why other users have access to a folder, with advice; `undefined` when they have none.
@param closed code of the error that prevents this user from writing there
*/
export function ownershipProblem(
	path: string,
	{mode, uid}: {readonly mode: number; readonly uid: number},
	self: number | undefined,
	closed: string | undefined,
): {readonly reason: 'not-yours' | 'open'; readonly problem: string; readonly remedy: string} | undefined {
	if (self === undefined) return undefined;
	if (uid !== self) {
		// A volume that is writable by group: the node owns the folders that it makes in it.
		const remedy =
			(mode & 0o020) !== 0 && closed === undefined
				? `use a folder in it, which the node makes itself: --data ${join(path, 'dapss')}`
				: `${advice.takeFolder(path, self)}; or choose another --data`;
		return {reason: 'not-yours', problem: `to be yours (user ${self}), it belongs to user ${uid}`, remedy};
	}

	if ((mode & 0o077) === 0) return undefined;
	return {
		reason: 'open',
		problem: `to be closed to others (0700), its mode is 0${(mode & 0o7777).toString(8)}`,
		remedy: closed === 'EROFS' ? 'its disk is mounted read-only, choose another --data' : advice.closeFolder(path),
	};
}

/**
Whether a process holds the folder: `free`, or the process id that the holder recorded. Changes nothing.
@throws `storage` for a file that is no lock
*/
export async function folderHolder(path: string): Promise<'free' | {readonly pid: number | undefined}> {
	if (
		!(await stat(join(path, 'lock')).then(
			() => true,
			() => false,
		))
	)
		return 'free';
	try {
		(await takeLock(path)).close();
		return 'free';
	} catch (error) {
		if (!(error instanceof DapssError) || error.code !== 'locked') throw error;
		const holder = await holderOf(path);
		return {pid: holder === undefined ? undefined : Number(holder)};
	}
}

async function takeLock(path: string): Promise<DatabaseSync> {
	const lockPath = join(path, 'lock');
	let lock: DatabaseSync | undefined;
	try {
		lock = new DatabaseSync(lockPath);
		lock.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
	} catch (error) {
		lock?.close();
		const {errcode = 0} = error as {readonly errcode?: number};
		if (errcode !== sqliteBusy) {
			// A damaged lock is not replaced: a new file beside one that another node holds would admit two nodes.
			const remedy = sqliteNoLock.has(errcode & 0xff)
				? '. It is damaged, or not yours. When no node uses the folder, remove it, ' +
					`nothing is lost with it: ${advice.remove(lockPath)}`
				: '';
			throw new DapssError('storage', `The lock ${lockPath} cannot be taken: ${errorMessage(error)}${remedy}`, {
				cause: error,
			});
		}

		const holder = await holderOf(path);
		throw new DapssError(
			'locked',
			`The data folder ${path} is in use by another ` +
				`node${holder === undefined ? '' : ` (process ${holder})`}: stop it, or choose another --data`,
			{cause: error},
		);
	}

	await chmod(lockPath, 0o600);
	return lock;
}

/** The recorded process id of the holder; `undefined` when there is none. */
async function holderOf(path: string): Promise<string | undefined> {
	const text = await readFile(join(path, 'pid'), 'utf8').catch(() => '');
	return /^\d{1,10}\n$/.test(text) ? text.trim() : undefined;
}
