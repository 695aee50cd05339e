/**
The data folder of a node, for one process at a time: the lock is SQLite's, which the kernel releases when the process ends, however it
ends (Node itself has no file locks). It holds between threads of one process, too. What lies in the folder is `node-files.ts`.

Nothing but SQLite may open the file `lock`: a POSIX lock goes when the process closes any descriptor of the file.
*/
import {chmod, readFile, stat, writeFile} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {DapssError, errorMessage} from '../errors.ts';
import {isMissing, realFiles} from './files.ts';

const sqliteBusy = 5;

export class Folder implements Disposable {
	/** Absolute: the lock must mean the same folder whatever becomes of the working directory. */
	readonly path: string;
	readonly #lock: DatabaseSync;

	private constructor(path: string, lock: DatabaseSync) {
		this.path = path;
		this.#lock = lock;
	}

	/** Make or open the folder and take it. @throws `config` when others can get in, `locked` when another node has it, `storage` */
	static async open(path: string): Promise<Folder> {
		const absolute = resolve(path);
		try {
			await realFiles.makeFolder(absolute);
			await expectClosed(absolute);
			const lock = await takeLock(absolute);
			await writeFile(join(absolute, 'pid'), `${process.pid}\n`, {mode: 0o600});
			return new Folder(absolute, lock);
		} catch (error) {
			throw error instanceof DapssError ? error : new DapssError('storage', `The data folder ${absolute} cannot be used: ${errorMessage(error)}`, {cause: error});
		}
	}

	[Symbol.dispose](): void {
		if (this.#lock.isOpen) this.#lock.close();
	}
}

async function expectClosed(path: string): Promise<void> {
	const {mode, uid} = await stat(path);
	if (process.getuid && uid !== process.getuid()) throw new DapssError('config', `Expected the data folder ${path} to be yours (user ${process.getuid()}), it belongs to user ${uid}`);
	// Windows knows no such modes.
	if (process.getuid && (mode & 0o077) !== 0) throw new DapssError('config', `Expected the data folder ${path} to be closed to others (0700), its mode is 0${(mode & 0o777).toString(8)}: chmod 700 ${path}`);
}

async function takeLock(path: string): Promise<DatabaseSync> {
	const lockPath = join(path, 'lock');
	const lock = new DatabaseSync(lockPath);
	try {
		lock.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
	} catch (error) {
		lock.close();
		if ((error as {readonly errcode?: number}).errcode !== sqliteBusy) throw new DapssError('storage', `The lock ${lockPath} cannot be taken: ${errorMessage(error)}`, {cause: error});
		const holder = await holderOf(path);
		throw new DapssError('locked', `The data folder ${path} is in use by another node${holder ? ` (process ${holder})` : ''}: stop it, or choose another --data`, {cause: error});
	}

	await chmod(lockPath, 0o600);
	return lock;
}

async function holderOf(path: string): Promise<string | undefined> {
	try {
		return (await readFile(join(path, 'pid'), 'utf8')).trim();
	} catch (error) {
		if (isMissing(error)) return undefined;
		throw error;
	}
}
