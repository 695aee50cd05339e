/**
A simulated disk under the `Files` port that can stop at its nth call. Its content after that is an **image**. A power
cut leaves no unsynced data, some unsynced writes, or some 512-byte sectors of some of them. A killed process leaves
all of its writes. The disk can also fail calls, accept a part of a write only, and be read and changed byte by byte.
All choices come from the given random source; no time passes without `delay`.
*/
import {basename, dirname} from 'node:path';
import type {Files, OpenFile} from '../../../core/io/file-system.ts';
import {DiskContents, type Change, type ChangeOutcomes, type Loss, type StoredFile} from '../../sim/disk-contents.ts';
import type {SeededRandom} from '../../sim/random.ts';

type Call =
	| 'open'
	| 'list'
	| 'makeFolder'
	| 'syncFolder'
	| 'rename'
	| 'unlink'
	| 'removeFolder'
	| 'write'
	| 'read'
	| 'datasync'
	| 'truncate'
	| 'close';

export type DiskFaults = {
	readonly random: SeededRandom;
	/** The disk stops at this call: this call, all later calls and the pending calls never end. */
	diesAt?: number | undefined;
	/** This call fails. */
	failsAt?: number | undefined;
	/** One in this many writes, syncs and renames fails. */
	readonly failsOneIn?: number;
	readonly code?: 'EIO' | 'ENOSPC';
	/** Writes are accepted in parts. */
	readonly shortWrites?: boolean;
	/** How long a call takes. @default turns of different length, so that reads and writes overlap */
	readonly delay?: (call: Call, path: string) => Promise<void>;
};

const mayFail: ReadonlySet<Call> = new Set([
	'write',
	'datasync',
	'truncate',
	'syncFolder',
	'rename',
	'unlink',
	'makeFolder',
]);
const never = new Promise<never>(() => undefined);

export class CrashDisk implements Files {
	/** Resolves when the disk has stopped. */
	readonly died: Promise<void>;
	/** The calls so far, each with the name of its file. */
	readonly calls: string[] = [];
	/** The path of the last call. */
	lastPath = '';
	readonly medium: DiskContents;
	/** The number of calls that failed. */
	failed = 0;
	readonly #died = Promise.withResolvers<void>();
	readonly #faults: DiskFaults;
	#isDead = false;
	#failing: string | undefined;

	constructor(faults: DiskFaults, contents = new DiskContents()) {
		this.#faults = faults;
		this.medium = contents;
		this.died = this.#died.promise;
	}

	/** A disk that holds these files. */
	static of(files: ReadonlyMap<string, Buffer>, faults: DiskFaults): CrashDisk {
		return new CrashDisk(faults, DiskContents.of(files));
	}

	/** The next call that begins with this fails. */
	failNext(call: string): void {
		this.#failing = call;
	}

	/** All files as a program sees them. */
	contents(): Map<string, Buffer> {
		return new Map(this.medium.files().map(([path, {content}]) => [path, Buffer.from(content)]));
	}

	/** The content after a power cut. */
	image(random: SeededRandom, loss: Loss, outcomes?: ChangeOutcomes): DiskContents {
		this.#die();
		return this.medium.afterPowerCut(random, loss, outcomes);
	}

	/**
	The content after the process was killed: its writes are present, and not yet safe from a power cut.
	*/
	killed(random: SeededRandom): DiskContents {
		this.#die();
		this.medium.kill(random);
		return this.medium;
	}

	async open(path: string, mode: 'read' | 'write' | 'update'): Promise<OpenFile> {
		await this.#call('open', path);
		const file = this.medium.file(path);
		if (file) return this.#openFile(path, file);
		if (mode !== 'write' || this.medium.isFolder(path)) throw missing('open', path);
		this.#expectFolderOf(path);
		return this.#openFile(path, this.medium.create(path));
	}

	async list(folder: string): Promise<readonly string[]> {
		await this.#call('list', folder);
		if (!this.medium.isFolder(folder)) throw missing('scandir', folder);
		return this.medium.list(folder);
	}

	async makeFolder(folder: string): Promise<void> {
		const parents = this.#isDead ? [] : this.medium.makeFolder(folder);
		await this.#call('makeFolder', folder);
		for (const parent of parents.length > 0 ? parents : [dirname(folder)]) this.medium.syncFolder(parent);
	}

	async syncFolder(folder: string): Promise<void> {
		await this.#call('syncFolder', folder);
		this.medium.syncFolder(folder);
	}

	async rename(from: string, to: string): Promise<void> {
		await this.#call('rename', from);
		if (!this.medium.file(from) && !this.medium.isFolder(from)) throw missing('rename', from);
		this.medium.rename(from, to);
	}

	async unlink(path: string): Promise<void> {
		await this.#call('unlink', path);
		if (!this.medium.file(path)) throw missing('unlink', path);
		this.medium.unlink(path);
	}

	async removeFolder(folder: string): Promise<void> {
		await this.#call('removeFolder', folder);
		if (!this.medium.isFolder(folder)) throw missing('rmdir', folder);
		this.medium.unlink(folder);
		this.medium.syncFolder(dirname(folder));
	}

	#openFile(path: string, file: StoredFile): OpenFile {
		const {random, shortWrites} = this.#faults;
		const part = (length: number): number => (shortWrites && length > 1 ? random.between(1, length) : length);
		return {
			size: file.size,
			write: async (buffers, at) => {
				const all = Buffer.concat(buffers);
				const bytes = Buffer.from(all.subarray(0, part(all.length)));
				await this.#change('write', path, file, {at, bytes});
				return bytes.length;
			},
			read: async (buffer, at) => {
				await this.#call('read', path);
				return file.read(buffer, at, part(buffer.length));
			},
			datasync: async () => {
				const covered = file.unsynced();
				await this.#call('datasync', path, () => file.unkept(covered));
				file.synced(covered);
			},
			truncate: size => this.#change('truncate', path, file, {truncateTo: size}),
			close: () => this.#call('close', path),
		};
	}

	/** From this call on, a crash may leave any part of the change. */
	async #change(
		call: Call,
		path: string,
		file: StoredFile,
		asked: Parameters<StoredFile['begin']>[0],
	): Promise<void> {
		const change: Change | undefined = this.#isDead ? undefined : file.begin(asked);
		// A failed call may have changed the file nevertheless.
		await this.#call(call, path, () =>
			this.#faults.random.chance(1, 2) ? file.written(change!) : file.forget(change!),
		);
		file.written(change!);
	}

	async #call(name: Call, path: string, onFailure: () => void = () => undefined): Promise<void> {
		if (this.#isDead) return never;
		this.calls.push(`${name} ${basename(path)}`);
		this.lastPath = path;
		const number = this.calls.length;
		const {diesAt, failsAt, failsOneIn, code = 'EIO', random, delay} = this.#faults;
		if (diesAt !== undefined && number >= diesAt) {
			this.#die();
			return never;
		}

		if (delay) await delay(name, path);
		else for (let turns = random.below(3); turns > 0; turns--) await Promise.resolve();
		if (this.#isDead) return never;
		const isFailing = this.#failing !== undefined && this.calls[number - 1]!.startsWith(this.#failing);
		if (isFailing) this.#failing = undefined;
		if (
			!isFailing &&
			number !== failsAt &&
			(failsOneIn === undefined || !mayFail.has(name) || !random.chance(1, failsOneIn))
		)
			return;
		this.failed++;
		onFailure();
		throw Object.assign(new Error(`${code}: injected`), {code});
	}

	#die(): void {
		this.#isDead = true;
		this.#died.resolve();
	}

	#expectFolderOf(path: string): void {
		if (!this.medium.isFolder(dirname(path))) throw missing('open', path);
	}
}

function missing(what: string, path: string): Error {
	return Object.assign(new Error(`ENOENT: no such file or folder, ${what} '${path}'`), {code: 'ENOENT'});
}
