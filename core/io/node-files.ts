/**
What a node keeps besides its logs, as whole files on the `Files` port: what it is (`node.json`), Raft's snapshots, a folder for each topic's
log. Each is replaced atomically and durably.
*/
import {createHash} from 'node:crypto';
import {join} from 'node:path';
import {crc32c} from '@node-rs/crc32';
import {DamagedError, DapssError, errorMessage} from '../errors.ts';
import {parseTopic, type Topic} from '../message.ts';
import type {Blobs} from '../raft-store.ts';
import {isMissing, readWhole, replaceFile, type Files} from './files.ts';

const topicFile = 'topic.json';
const checksumBytes = 4;

export class NodeFiles {
	readonly path: string;
	readonly #files: Files;

	/** @param path the data folder, which is there */
	constructor(files: Files, path: string) {
		this.#files = files;
		this.path = path;
	}

	/** `undefined` when there is none. @throws `storage` when it cannot be read */
	async readJson(name: string): Promise<unknown> {
		const path = join(this.path, name);
		const bytes = await this.#read(path);
		return bytes && parseJson(path, bytes);
	}

	/** Atomic and durable. @throws `storage` */
	async writeJson(name: string, value: unknown): Promise<void> {
		await this.#replace(this.path, name, Buffer.from(`${JSON.stringify(value, undefined, '\t')}\n`));
	}

	/** Raft's snapshots: whole files with a checksum. */
	get blobs(): Blobs {
		return {
			write: async (name, bytes) => {
				const checksum = Buffer.alloc(checksumBytes);
				checksum.writeUInt32BE(crc32c(bytes));
				await this.#replace(this.path, name, Buffer.concat([checksum, bytes]));
			},
			read: async name => {
				const path = join(this.path, name);
				const bytes = await this.#read(path);
				if (!bytes) return undefined;
				const body = bytes.subarray(checksumBytes);
				if (bytes.length < checksumBytes || bytes.readUInt32BE(0) !== crc32c(body)) throw new DamagedError(`The file ${path} is damaged`);
				return body;
			},
			list: () => this.#list(this.path),
			unlink: async name => {
				const path = join(this.path, name);
				try {
					await this.#files.unlink(path);
				} catch (error) {
					throw storageError(`The file ${path} cannot be removed`, error);
				}
			},
		};
	}

	/** The folder of a topic's log, made when missing. */
	async topicFolder(topic: Topic): Promise<string> {
		const parent = join(this.path, 'topics');
		const folder = join(parent, folderNameOf(topic));
		try {
			// On its own: whoever finds it made by another call would not wait until its name is durable.
			await this.#files.makeFolder(parent);
			await this.#files.makeFolder(folder);
		} catch (error) {
			throw storageError(`The folder ${folder} cannot be made`, error);
		}

		if (!await this.#read(join(folder, topicFile))) await this.#replace(folder, topicFile, Buffer.from(`${JSON.stringify({topic})}\n`));
		return folder;
	}

	/** Topics that have a log here, sorted. @throws `storage` when a folder does not say whose it is */
	async topics(): Promise<readonly Topic[]> {
		const parent = join(this.path, 'topics');
		const topics: Topic[] = [];
		for (const name of await this.#list(parent)) {
			const path = join(parent, name, topicFile);
			// oxlint-disable-next-line no-await-in-loop -- once, at the start
			const bytes = await this.#read(path);
			if (!bytes) continue; // Made when the process ended: nothing was ever written there.
			const {topic: stored} = Object(parseJson(path, bytes)) as {readonly topic?: unknown};
			const topic = typeof stored === 'string' ? parseTopic(stored) : undefined;
			if (typeof topic !== 'string' || folderNameOf(topic) !== name) throw new DapssError('storage', `Expected the name of a topic in ${path}: the file is damaged. Without its folder the node starts, and pulls the messages of that topic from other nodes`);
			topics.push(topic);
		}

		return topics.toSorted();
	}

	async #read(path: string): Promise<Buffer | undefined> {
		try {
			return await readWhole(this.#files, path);
		} catch (error) {
			throw storageError(`The file ${path} cannot be read`, error);
		}
	}

	async #list(path: string): Promise<readonly string[]> {
		try {
			return await this.#files.list(path);
		} catch (error) {
			if (isMissing(error)) return [];
			throw storageError(`The folder ${path} cannot be read`, error);
		}
	}

	async #replace(folder: string, name: string, bytes: Uint8Array): Promise<void> {
		try {
			await replaceFile(this.#files, folder, name, bytes);
		} catch (error) {
			throw storageError(`The file ${join(folder, name)} cannot be written`, error);
		}
	}
}

/** A readable part of the topic's name and a hash, so that any topic has a safe and unique one. */
function folderNameOf(topic: Topic): string {
	// ASCII: some file systems change the form of other letters, or know no capitals. The hash alone tells topics apart.
	const readable = topic.replaceAll(/[^\w.-]+/g, '_').replace(/^[.-]+/, '').slice(0, 40);
	return `${readable || 'topic'}-${createHash('sha256').update(topic).digest('hex').slice(0, 16)}`;
}

function parseJson(path: string, bytes: Buffer): unknown {
	try {
		return JSON.parse(bytes.toString()) as unknown;
	} catch (error) {
		throw new DamagedError(`Expected JSON in ${path}: the file is damaged`, {cause: error});
	}
}

function storageError(what: string, cause: unknown): DapssError {
	return new DapssError('storage', `${what}: ${errorMessage(cause)}`, {cause});
}
