/**
The data folder of a node: its identity, its Raft log, a log for each topic. One process at a time: the lock is SQLite's, which the
kernel releases when the process ends, however it ends (Node itself has no file locks). It holds between threads of one process, too.

Nothing but SQLite may open the file `lock`: a POSIX lock goes when the process closes any descriptor of the file.
*/
import {createHash} from 'node:crypto';
import {chmod, readdir, readFile, stat, unlink, writeFile} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {crc32c} from '@node-rs/crc32';
import {DapssError, errorMessage} from '../errors.ts';
import {parseTopic, type Topic} from '../message.ts';
import type {Blobs} from '../raft-store.ts';
import {realFiles, replaceFile} from './files.ts';

const topicFile = 'topic.json';
const checksumBytes = 4;
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
			throw error instanceof DapssError ? error : storageError(`The data folder ${absolute} cannot be used`, error);
		}
	}

	/** `undefined` when there is none. @throws `storage` when it cannot be read */
	async readJson(name: string): Promise<unknown> {
		const path = join(this.path, name);
		const bytes = await readMaybe(path);
		return bytes && parseJson(path, bytes);
	}

	/** Atomic and durable. @throws `storage` */
	async writeJson(name: string, value: unknown): Promise<void> {
		await replace(this.path, name, Buffer.from(`${JSON.stringify(value, undefined, '\t')}\n`));
	}

	/** Raft's snapshots: whole files with a checksum. */
	get blobs(): Blobs {
		return {
			write: async (name, bytes) => {
				const checksum = Buffer.alloc(checksumBytes);
				checksum.writeUInt32BE(crc32c(bytes));
				await replace(this.path, name, Buffer.concat([checksum, bytes]));
			},
			read: async name => {
				const path = join(this.path, name);
				const bytes = await readMaybe(path);
				if (!bytes) return undefined;
				const body = bytes.subarray(checksumBytes);
				if (bytes.length < checksumBytes || bytes.readUInt32BE(0) !== crc32c(body)) throw new DapssError('storage', `The file ${path} is damaged`);
				return body;
			},
			list: () => readdir(this.path),
			unlink: name => unlink(join(this.path, name)),
		};
	}

	/** The folder of a topic's log, made when missing: a readable part of its name and a hash, so that any topic has a safe and unique one. */
	async topicFolder(topic: Topic): Promise<string> {
		// ASCII: some file systems change the form of other letters, or know no capitals. The hash alone tells topics apart.
		const readable = topic.replaceAll(/[^\w.-]+/g, '_').replace(/^[.-]+/, '').slice(0, 40);
		const folder = join(this.path, 'topics', `${readable || 'topic'}-${createHash('sha256').update(topic).digest('hex').slice(0, 16)}`);
		try {
			await realFiles.makeFolder(folder);
		} catch (error) {
			throw storageError(`The folder ${folder} cannot be made`, error);
		}

		if (!await readMaybe(join(folder, topicFile))) await replace(folder, topicFile, Buffer.from(`${JSON.stringify({topic})}\n`));
		return folder;
	}

	/** Topics that have a log here, sorted. @throws `storage` when a folder does not say whose it is */
	async topics(): Promise<readonly Topic[]> {
		const parent = join(this.path, 'topics');
		const topics: Topic[] = [];
		for (const name of await listMaybe(parent)) {
			const path = join(parent, name, topicFile);
			// oxlint-disable-next-line no-await-in-loop -- once, at the start
			const bytes = await readMaybe(path);
			if (!bytes) continue; // Made when the process ended: nothing was ever written there.
			const {topic: stored} = Object(parseJson(path, bytes)) as {readonly topic?: unknown};
			const topic = typeof stored === 'string' ? parseTopic(stored) : undefined;
			if (typeof topic !== 'string') throw new DapssError('storage', `Expected the name of a topic in ${path}: the file is damaged. Without its folder the node starts, and pulls the messages of that topic from other nodes`);
			topics.push(topic);
		}

		return topics.toSorted();
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
		if ((error as {readonly errcode?: number}).errcode !== sqliteBusy) throw storageError(`The lock ${lockPath} cannot be taken`, error);
		const holder = (await readMaybe(join(path, 'pid')))?.toString().trim();
		throw new DapssError('locked', `The data folder ${path} is in use by another node${holder ? ` (process ${holder})` : ''}: stop it, or choose another --data`, {cause: error});
	}

	await chmod(lockPath, 0o600);
	return lock;
}

async function listMaybe(path: string): Promise<readonly string[]> {
	try {
		return await readdir(path);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
		throw storageError(`The folder ${path} cannot be read`, error);
	}
}

async function readMaybe(path: string): Promise<Buffer | undefined> {
	try {
		return await readFile(path);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
		throw storageError(`The file ${path} cannot be read`, error);
	}
}

function parseJson(path: string, bytes: Buffer): unknown {
	try {
		return JSON.parse(bytes.toString()) as unknown;
	} catch (error) {
		throw new DapssError('storage', `Expected JSON in ${path}: the file is damaged`, {cause: error});
	}
}

async function replace(folder: string, name: string, bytes: Uint8Array): Promise<void> {
	try {
		await replaceFile(realFiles, folder, name, bytes);
	} catch (error) {
		throw storageError(`The file ${join(folder, name)} cannot be written`, error);
	}
}

function storageError(what: string, cause: unknown): DapssError {
	return new DapssError('storage', `${what}: ${errorMessage(cause)}`, {cause});
}
