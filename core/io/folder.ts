/**
The data folder of a node: its identity, its Raft log, a log for each topic. One process at a time: the lock is SQLite's, which the
kernel releases when the process ends, however it ends (Node itself has no file locks).
*/
import {createHash} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {chmod, mkdir, open, readdir, readFile, rename, stat, unlink} from 'node:fs/promises';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {crc32c} from '@node-rs/crc32';
import {DapssError} from '../errors.ts';
import {parseTopic, type Topic} from '../message.ts';
import type {Blobs} from '../raft-store.ts';

export class Folder implements Disposable {
	readonly path: string;
	readonly #lock: DatabaseSync;

	constructor(path: string, lock: DatabaseSync) {
		this.path = path;
		this.#lock = lock;
	}

	/** Make or open the folder and take it. @throws `config` when others can get in, `locked` when another process has it */
	static async open(path: string): Promise<Folder> {
		await mkdir(path, {recursive: true, mode: 0o700});
		const {mode, uid} = await stat(path);
		if (process.getuid && uid !== process.getuid()) throw new DapssError('config', `Expected the data folder ${path} to be yours, it belongs to user ${uid}`);
		if ((mode & 0o077) !== 0) throw new DapssError('config', `Expected the data folder ${path} to be closed to others, its mode is ${(mode & 0o777).toString(8)}: chmod 700 ${path}`);
		const lock = new DatabaseSync(join(path, 'lock'));
		try {
			lock.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
		} catch (error) {
			lock.close();
			let holder = '';
			try {
				holder = ` (process ${readFileSync(join(path, 'pid'), 'utf8').trim()})`;
			} catch {
				// Not told; the lock says enough.
			}

			throw new DapssError('locked', `The data folder ${path} is in use by another node${holder}: stop it, or choose another --data`, {cause: error});
		}

		await chmod(join(path, 'lock'), 0o600);
		writeFileSync(join(path, 'pid'), `${process.pid}\n`, {mode: 0o600});
		return new Folder(path, lock);
	}

	/** `undefined` when there is none. @throws `storage` when it cannot be read */
	async readJson(name: string): Promise<unknown> {
		const bytes = await readMaybe(join(this.path, name));
		if (!bytes) return undefined;
		try {
			return JSON.parse(bytes.toString()) as unknown;
		} catch (error) {
			throw new DapssError('storage', `Expected JSON in ${join(this.path, name)}: the file is damaged`, {cause: error});
		}
	}

	writeJson(name: string, value: unknown): Promise<void> {
		return writeDurably(this.path, name, Buffer.from(`${JSON.stringify(value, undefined, '\t')}\n`));
	}

	/** Raft's snapshots. */
	get blobs(): Blobs {
		return {
			write: async (name, bytes) => {
				const head = Buffer.alloc(4);
				head.writeUInt32BE(crc32c(bytes));
				await writeDurably(this.path, name, Buffer.concat([head, bytes]));
			},
			read: async name => {
				const bytes = await readMaybe(join(this.path, name));
				if (!bytes) return undefined;
				if (bytes.length < 4 || bytes.readUInt32BE(0) !== crc32c(bytes.subarray(4))) throw new DapssError('storage', `The file ${join(this.path, name)} is damaged`);
				return bytes.subarray(4);
			},
			list: () => readdir(this.path),
			unlink: name => unlink(join(this.path, name)),
		};
	}

	/** The folder of a topic's log: a readable part of its name and a hash, so that any topic has a safe and unique one. */
	async topicFolder(topic: Topic): Promise<string> {
		const readable = topic.replaceAll(/[^\p{L}\p{N}._-]/gu, '_').slice(0, 40);
		const folder = join(this.path, 'topics', `${readable}-${createHash('sha256').update(topic).digest('hex').slice(0, 16)}`);
		await mkdir(folder, {recursive: true, mode: 0o700});
		if (!await readMaybe(join(folder, 'topic.json'))) await writeDurably(folder, 'topic.json', Buffer.from(JSON.stringify({topic})));
		return folder;
	}

	/** Topics that have a log here. */
	async topics(): Promise<readonly Topic[]> {
		const parent = join(this.path, 'topics');
		const names = await readdir(parent).catch(() => []);
		const topics: Topic[] = [];
		for (const name of names.toSorted((a, b) => (a < b ? -1 : 1))) {
			// oxlint-disable-next-line no-await-in-loop -- once, at the start
			const bytes = await readMaybe(join(parent, name, 'topic.json'));
			const raw = bytes && JSON.parse(bytes.toString()) as {readonly topic?: unknown};
			const topic = typeof raw?.topic === 'string' ? parseTopic(raw.topic) : undefined;
			if (typeof topic === 'string') topics.push(topic);
		}

		return topics;
	}

	[Symbol.dispose](): void {
		if (this.#lock.isOpen) this.#lock.close();
	}
}

async function readMaybe(path: string): Promise<Buffer | undefined> {
	try {
		return await readFile(path);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
		throw new DapssError('storage', `Could not read ${path}`, {cause: error});
	}
}

/** All of it or nothing, and on the disk: a new file, fsync, rename over the old, fsync of the folder. */
async function writeDurably(folder: string, name: string, bytes: Uint8Array): Promise<void> {
	const path = join(folder, name);
	const handle = await open(`${path}.new`, 'w', 0o600);
	try {
		await handle.writeFile(bytes);
		await handle.sync();
	} finally {
		await handle.close();
	}

	await rename(`${path}.new`, path);
	const parent = await open(folder, 'r');
	try {
		await parent.sync();
	} finally {
		await parent.close();
	}
}
