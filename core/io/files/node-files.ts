/**
The whole files of a node besides its logs, on the `Files` port: `node.json`, Raft's snapshots, and a folder for the log
of each topic. Each file is replaced atomically and durably.

The name of a topic is stored in `topic.json` in its folder. The folder's name contains a hash of the topic's name, so a
damaged file is detected, and a name from another source can be verified: from the readable part of the folder's name,
from the topics that the node knows, or from the messages. The file is then written again, and the damaged one is set
aside as `.corrupt`. A folder whose topic cannot be determined is left unchanged and reported; the node continues
without it.
*/
import {createHash} from 'node:crypto';
import {join} from 'node:path';
import type {Blobs} from '../../control/raft-store.ts';
import {crc32c} from '../../crc32c.ts';
import {DamagedError, DapssError, errorMessage} from '../../errors.ts';
import {parseTopic, type Topic} from '../../message.ts';
import {fileName} from '../../platform.ts';
import type {Log} from '../../ports.ts';
import {decodeRecordHeader} from '../../topic-log/topic-record.ts';
import {isMissing, isNoFolder, readWhole, replaceFile, withRemedy, type Files} from '../file-system.ts';

export type TopicAids = {
	/** The topics that the node knows; called only when a folder does not contain its topic's name. */
	readonly known?: () => readonly Topic[];
	/** Opens the log in a topic's folder, to find the name in its records. */
	readonly openLog?: (folder: string) => Promise<Log>;
};

const topicFile = 'topic.json';
const asideFile = `${topicFile}.corrupt`;
const topicFiles: ReadonlySet<string> = new Set([topicFile, asideFile, `${topicFile}.new`]);
/** Files that a log creates in its folder. */
const logFile = /^(?:[0-9a-f]{16}\.(?:log|corrupt)|synced)$/;
const checksumBytes = 4;
const hashDigits = 16;
const readBytes = 512 * 1024;
const withoutIt =
	'Without the file the node would start under a new id and join its cluster again, which a lone node cannot';

type Stored =
	| {readonly topic: Topic}
	| {readonly problem: string}
	| {readonly problem: string; readonly isMissing: true}
	| {readonly problem: string; readonly isStray: true};

export class NodeFiles {
	readonly path: string;
	readonly #files: Files;
	readonly #report: (problem: string) => void;

	/**
	@param path the data folder, which must exist
	@param report reports to an operator what was damaged, and what was done about it
	*/
	constructor(files: Files, path: string, report: (problem: string) => void = () => undefined) {
		this.#files = files;
		this.path = path;
		this.#report = report;
	}

	/**
	`undefined` when the file does not exist.
	@throws `storage` when it cannot be read
	*/
	async readJson(name: string): Promise<unknown> {
		const path = join(this.path, name);
		const bytes = await this.#read(path, withoutIt);
		return bytes && parseJson(path, bytes);
	}

	/**
	Atomic and durable.
	@throws `storage`
	*/
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
				const bytes = await this.#read(path, withoutIt);
				if (!bytes) return undefined;
				const body = bytes.subarray(checksumBytes);
				if (bytes.length < checksumBytes || bytes.readUInt32BE(0) !== crc32c(body))
					throw new DamagedError(`The file ${path} is damaged`);
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

	/** The folder of a topic's log, made if it is missing. */
	async topicFolder(topic: Topic): Promise<string> {
		const parent = join(this.path, 'topics');
		const folder = join(parent, folderNameOf(topic));
		try {
			// Made by itself first: a concurrent call that finds it would not wait until its name is durable.
			await this.#files.makeFolder(parent);
			await this.#files.makeFolder(folder);
		} catch (error) {
			throw storageError(`The folder ${folder} cannot be made`, error);
		}

		const found = await this.#storedIn(folder);
		if (!('topic' in found && found.topic === topic)) await this.#writeTopic(folder, topic, found);
		return folder;
	}

	/**
	Removes the folder of a topic whose log is closed. The note `synced` is removed first and the name of the topic
	last, so that the rest opens as an empty log after a crash.
	@throws `storage`
	*/
	async removeTopic(topic: Topic): Promise<void> {
		const folder = join(this.path, 'topics', folderNameOf(topic));
		const names = await this.#list(folder);
		try {
			for (const part of [
				names.filter(name => name === 'synced'),
				names.filter(name => logFile.test(name) && name !== 'synced'),
				names.filter(name => topicFiles.has(name)),
			]) {
				await Promise.all(part.map(name => this.#files.unlink(join(folder, name))));
				if (part.length > 0) await this.#files.syncFolder(folder);
			}

			// Other files in the folder are not the node's.
			if (names.every(name => logFile.test(name) || topicFiles.has(name))) await this.#files.removeFolder(folder);
		} catch (error) {
			if (!isMissing(error)) throw storageError(`The folder ${folder} cannot be removed`, error); // Gone already.
		}
	}

	/**
	The topics that have a log here, sorted. A folder without its topic's name is repaired, or reported.
	@throws `storage` when a folder cannot be read
	*/
	async topics(aids: TopicAids = {}): Promise<readonly Topic[]> {
		const parent = join(this.path, 'topics');
		const topics: Topic[] = [];
		for (const name of await this.#list(parent)) {
			const topic = await this.#topicOf(join(parent, name), name, aids);
			if (topic !== undefined) topics.push(topic);
		}

		return topics.toSorted();
	}

	async #topicOf(folder: string, name: string, {known = () => [], openLog}: TopicAids): Promise<Topic | undefined> {
		const found = await this.#storedIn(folder);
		const matchesFolder = (topic: Topic): boolean => folderNameOf(topic) === name;
		if ('topic' in found && matchesFolder(found.topic)) return found.topic;
		if ('isStray' in found) {
			this.#report(
				`Expected nothing but folders of topics in ${join(this.path, 'topics')}: ` +
					`${JSON.stringify(name)} is none, and is left as it is`,
			);
			return undefined;
		}

		const hasLog = await this.#hasLog(folder);
		// The process ended while it made the folder: nothing was ever written there.
		if (!hasLog && 'isMissing' in found) return undefined;
		const readable = parseTopic(name.slice(0, -(hashDigits + 1)));
		let topic = [...(typeof readable === 'string' ? [readable] : []), ...known()].find(one => matchesFolder(one));
		let isEmpty = !hasLog;
		if (topic === undefined && hasLog && openLog)
			({topic, isEmpty} = await topicInLog(folder, openLog, matchesFolder));
		if (topic !== undefined) {
			await this.#writeTopic(folder, topic, found);
			return topic;
		}

		const path = join(folder, topicFile);
		const problem =
			'topic' in found
				? `names ${JSON.stringify(found.topic)}, whose folder is ${folderNameOf(found.topic)}`
				: found.problem;
		if (!isEmpty)
			this.#report(
				`The topic of the folder ${folder} is unknown: its ${topicFile} ${problem}, and nothing else ` +
					'names it. Its messages stay there and are not read. ' +
					`If you know the topic, stop the node and write {"topic": "its name"} into ${path}; ` +
					'or move the folder away, then other nodes return the messages that they still retain',
			);
		else if (!('isMissing' in found))
			this.#report(
				`The file ${path} ${problem}. Nothing else names its topic, which has no messages there: ` +
					'the file is written again when the topic is used again',
			);
		return undefined;
	}

	/** The topic that the file in a folder names, or the problem with it. */
	async #storedIn(folder: string): Promise<Stored> {
		try {
			const bytes = await readWhole(this.#files, join(folder, topicFile));
			if (!bytes) {
				// Windows does not report that the parent of a path is no folder.
				await this.#files.list(folder).catch((error: unknown) => {
					if (isNoFolder(error)) throw error;
				});
				return {isMissing: true, problem: 'is missing'};
			}

			const {topic: stored} = Object(JSON.parse(bytes.toString())) as {readonly topic?: unknown};
			const topic = typeof stored === 'string' ? parseTopic(stored) : undefined;
			return typeof topic === 'string' ? {topic} : {problem: 'is damaged'};
		} catch (error) {
			if (isNoFolder(error)) return {isStray: true, problem: 'is in no folder'};
			return {problem: error instanceof SyntaxError ? 'is damaged' : `cannot be read (${errorMessage(error)})`};
		}
	}

	/** Writes the topic's name into its folder. A damaged file is set aside and reported. */
	async #writeTopic(folder: string, topic: Topic, found: Stored): Promise<void> {
		const path = join(folder, topicFile);
		const isNew = 'isMissing' in found && !(await this.#hasLog(folder));
		if (!('isMissing' in found)) {
			try {
				await this.#files.rename(path, join(folder, asideFile));
			} catch (error) {
				throw storageError(`The file ${path} cannot be set aside`, error);
			}
		}

		await this.#replace(folder, topicFile, Buffer.from(`${JSON.stringify({topic})}\n`));
		if (isNew) return;
		const problem =
			'topic' in found ? `is damaged: it named the topic ${JSON.stringify(found.topic)}` : found.problem;
		const kept = 'isMissing' in found ? '' : `, the old one is kept as ${asideFile}`;
		this.#report(
			`The file ${path} ${problem}. It was written again for the topic ${JSON.stringify(topic)}${kept}; ` +
				'the messages are kept',
		);
	}

	async #hasLog(folder: string): Promise<boolean> {
		return (await this.#list(folder)).some(file => logFile.test(file));
	}

	async #read(path: string, advice: string): Promise<Buffer | undefined> {
		try {
			return await readWhole(this.#files, path);
		} catch (error) {
			throw storageError(`The file ${path} cannot be read`, error, advice);
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

/** The readable part of the topic's name and a hash, so that every topic has a safe and unique folder name. */
function folderNameOf(topic: Topic): string {
	// ASCII only: some file systems normalize other letters or ignore case. The hash alone distinguishes topics.
	const readable = topic
		.replaceAll(/[^\w.-]+/g, '_')
		.replace(/^[.-]+/, '')
		.slice(0, 40);
	return fileName(`${readable || 'topic'}-${createHash('sha256').update(topic).digest('hex').slice(0, hashDigits)}`);
}

function parseJson(path: string, bytes: Buffer): unknown {
	try {
		return JSON.parse(bytes.toString()) as unknown;
	} catch (error) {
		throw new DamagedError(`Expected JSON in ${path}: the file is damaged`, {cause: error});
	}
}

/**
Finds the topic in the records of a log: the first record that names a matching one decides. A log that cannot be opened
gives no name. `isEmpty`: the log has never held a record.
*/
async function topicInLog(
	folder: string,
	openLog: (folder: string) => Promise<Log>,
	matchesFolder: (topic: Topic) => boolean,
): Promise<{readonly topic: Topic | undefined; readonly isEmpty: boolean}> {
	const log = await openLog(folder).catch(() => undefined);
	if (!log) return {topic: undefined, isEmpty: false};
	try {
		for (let at = log.first; at < log.end;) {
			const {records, next} = await log.read(at, readBytes);
			for (const {bytes} of records) {
				const record = decodeRecordHeader(bytes);
				const topic = record?.type === 'mark' ? record.topic : record?.header.topic;
				if (topic !== undefined && matchesFolder(topic)) return {topic, isEmpty: false};
			}

			if (next <= at) break;
			at = next;
		}

		return {topic: undefined, isEmpty: log.end === 0};
	} finally {
		await log[Symbol.asyncDispose]();
	}
}

function storageError(what: string, cause: unknown, advice = ''): DapssError {
	return new DapssError('storage', `${what}: ${withRemedy(cause)}${advice === '' ? '' : `. ${advice}`}`, {cause});
}
