/**
The contents of a simulated disk. For each file: the content that the operating system has (`current`), the content at
the last datasync (`synced`), and the changes between them. For each folder: which of its names are durable. A change is
in progress, then written, then synced. The process may be killed: each change in progress is done or lost. The power
may be cut: each unsynced change is then lost, kept, or torn at 512 bytes, in any order, and so are names. The contents
can be damaged: bits flip, files are cut short.

Writes and syncs cost only what they write. Only a power cut copies whole files.
*/
import {basename, dirname} from 'node:path';
import type {SeededRandom} from './random.ts';

/** What a power cut loses of unsynced changes: all, some writes, some sectors of writes, or none. */
export type Loss = 'all' | 'writes' | 'sectors' | 'none';
export type Change =
	| {readonly at: number; readonly bytes: Buffer; isWritten: boolean}
	| {readonly truncateTo: number; isWritten: boolean};
/** What happened to the unsynced changes. */
export type ChangeOutcomes = {lost: number; kept: number; torn: number};

type Names = Map<string, StoredFile | 'folder'>;
type NameChange = {readonly folder: string; readonly change: (names: Names) => void};

const sectorBytes = 512;
const root = '/';

export class DiskContents {
	#names: Names = new Map([[root, 'folder']]);
	#durable: Names = new Map(this.#names);
	#nameChanges: NameChange[] = [];

	/** Contents with these files, all of them durable. */
	static of(files: ReadonlyMap<string, Buffer>): DiskContents {
		const contents = new DiskContents();
		for (const [path, bytes] of files) {
			contents.makeFolder(dirname(path));
			contents.#names.set(path, new StoredFile(bytes));
		}

		contents.#durable = new Map(contents.#names);
		return contents;
	}

	file(path: string): StoredFile | undefined {
		const found = this.#names.get(path);
		return found === 'folder' ? undefined : found;
	}

	isFolder(path: string): boolean {
		return this.#names.get(path) === 'folder';
	}

	/** Whether a power cut keeps the file under this name. */
	hasDurableName(path: string): boolean {
		return this.#durable.get(path) === this.#names.get(path) && isIn(this.#durable, dirname(path));
	}

	/** All files as a program sees them, in the order of their creation. */
	files(): ReadonlyArray<readonly [string, StoredFile]> {
		return [...this.#names].filter((entry): entry is [string, StoredFile] => entry[1] !== 'folder');
	}

	/** The names directly in a folder. */
	list(folder: string): string[] {
		return [...this.#names.keys()]
			.filter(path => path !== root && dirname(path) === folder)
			.map(path => basename(path));
	}

	/** Create an empty file. Its name is not durable yet. */
	create(path: string): StoredFile {
		const file = new StoredFile();
		this.#change(path, names => names.set(path, file));
		return file;
	}

	/** Create a folder and its parents. Returns the folders that must be synced to make it durable. */
	makeFolder(folder: string): string[] {
		const made: string[] = [];
		for (let path = folder; !this.#names.has(path); path = dirname(path)) made.unshift(path);
		for (const path of made) this.#change(path, names => names.set(path, 'folder'));
		return made.map(path => dirname(path));
	}

	/** Rename a file, or a folder with everything in it, whose names become durable. */
	rename(from: string, to: string): void {
		const isInside = (path: string): boolean => path === from || path.startsWith(`${from}/`);
		if (this.isFolder(from))
			for (const folder of [...this.#names.keys()].filter(path => isInside(path) && this.isFolder(path)))
				this.syncFolder(folder);
		this.#change(to, names => {
			const moved =
				names.get(from) === 'folder'
					? [...names].filter(([path]) => isInside(path))
					: [[from, names.get(from)] as const];
			for (const [path, found] of moved) {
				if (!found) continue;
				names.delete(path);
				names.set(to + path.slice(from.length), found);
			}
		});
	}

	unlink(path: string): void {
		this.#change(path, names => names.delete(path));
	}

	/** Make the names in one folder durable. */
	syncFolder(folder: string): void {
		for (const {folder: of, change} of this.#nameChanges) if (of === folder) change(this.#durable);
		this.#nameChanges = this.#nameChanges.filter(({folder: of}) => of !== folder);
	}

	/** SIGKILL: the operating system keeps what it was given. Each change in progress is done or lost. */
	kill(random: SeededRandom): void {
		for (const [, file] of this.files()) file.settleUnderWay(random);
	}

	/** The contents after a power cut. */
	afterPowerCut(
		random: SeededRandom,
		loss: Loss,
		outcomes: ChangeOutcomes = {lost: 0, kept: 0, torn: 0},
	): DiskContents {
		const names = new Map(this.#durable);
		// Names are also kept independently of one another, because not every file system has a journal.
		for (const {change} of this.#nameChanges)
			if (loss === 'none' || (loss !== 'all' && random.chance(1, 2))) change(names);
		const after = new DiskContents();
		for (const [path, found] of names) {
			const isReachable = path === root || isIn(names, dirname(path));
			if (found !== 'folder') {
				const file = new StoredFile(found.contentAfter(random, loss, outcomes));
				if (isReachable) after.#names.set(path, file);
			} else if (isReachable) after.#names.set(path, found);
		}

		after.#durable = new Map(after.#names);
		return after;
	}

	#change(path: string, change: NameChange['change']): void {
		change(this.#names);
		this.#nameChanges.push({folder: dirname(path), change});
	}
}

/** Whether the folder and all its parents exist. */
function isIn(names: Names, folder: string): boolean {
	for (let path = folder; ; path = dirname(path)) {
		if (names.get(path) !== 'folder') return false;
		if (path === root) return true;
	}
}

export class StoredFile {
	readonly #synced: Bytes;
	readonly #current: Bytes;
	/** Unsynced changes, in the order of their calls. */
	#changes: Change[] = [];

	constructor(content: Buffer = Buffer.alloc(0)) {
		this.#synced = new Bytes(content);
		this.#current = new Bytes(content);
	}

	get size(): number {
		return this.#current.size;
	}

	/** The content as a program sees it: a view, valid until the next change. */
	get content(): Buffer {
		return this.#current.content;
	}

	read(buffer: Uint8Array, at: number, bytes: number): number {
		return this.#current.content.copy(buffer, 0, at, at + bytes);
	}

	/** Start a change: a crash may leave any part of it. `written` or `forget` ends it. */
	begin(change: {readonly at: number; readonly bytes: Buffer} | {readonly truncateTo: number}): Change {
		const begun = {...change, isWritten: false};
		this.#changes.push(begun);
		return begun;
	}

	/** The operating system has the change. */
	written(change: Change): void {
		this.#current.apply(change);
		change.isWritten = true;
	}

	forget(change: Change): void {
		this.#changes = this.#changes.filter(other => other !== change);
	}

	/** The changes that a datasync starting now covers. */
	unsynced(): ReadonlySet<Change> {
		return new Set(this.#changes.filter(({isWritten}) => isWritten));
	}

	synced(covered: ReadonlySet<Change>): void {
		for (const change of covered) this.#synced.apply(change);
		this.unkept(covered);
	}

	/** A datasync failed: the operating system considers these changes written, and will not write them again. */
	unkept(covered: ReadonlySet<Change>): void {
		this.#changes = this.#changes.filter(change => !covered.has(change));
	}

	settleUnderWay(random: SeededRandom): void {
		for (const change of this.#changes) if (!change.isWritten && random.chance(1, 2)) this.written(change);
		this.#changes = this.#changes.filter(({isWritten}) => isWritten);
	}

	contentAfter(random: SeededRandom, loss: Loss, outcomes: ChangeOutcomes): Buffer {
		const bytes = new Bytes(this.#synced.content);
		for (const change of this.#changes) {
			const isWhole = loss === 'writes' || (loss === 'sectors' && 'truncateTo' in change);
			if (loss === 'all' || (isWhole && random.chance(1, 2))) {
				outcomes.lost++;
				continue;
			}

			if (loss !== 'sectors' || 'truncateTo' in change) {
				outcomes.kept++;
				bytes.apply(change);
				continue;
			}

			outcomes.torn++;
			const end = change.at + change.bytes.length;
			for (let from = change.at; from < end;) {
				const to = Math.min(end, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
				if (random.chance(1, 2)) bytes.put(from, change.bytes.subarray(from - change.at, to - change.at));
				from = to;
			}
		}

		return bytes.content;
	}

	/** Flip a bit in the current and in the synced content. */
	flip(bit: number): void {
		for (const bytes of [this.#current, this.#synced])
			if (bit >> 3 < bytes.size) bytes.content[bit >> 3]! ^= 1 << (bit & 7);
	}

	/** Cut the file short, including changes that have not reached the disk. */
	cut(size: number): void {
		this.#changes = this.#changes.flatMap(change => {
			if ('truncateTo' in change || change.at + change.bytes.length <= size) return [change];
			return change.at < size ? [{...change, bytes: change.bytes.subarray(0, size - change.at)}] : [];
		});
		const change = {truncateTo: size, isWritten: true};
		this.#current.apply(change);
		this.#synced.apply(change);
	}
}

/** A growing byte buffer. */
class Bytes {
	#room: Buffer;
	size: number;

	constructor(content: Buffer) {
		this.#room = Buffer.from(content);
		this.size = content.length;
	}

	get content(): Buffer {
		return this.#room.subarray(0, this.size);
	}

	apply(change: Change): void {
		if ('truncateTo' in change) this.#resize(change.truncateTo);
		else this.put(change.at, change.bytes);
	}

	put(at: number, bytes: Buffer): void {
		if (at + bytes.length > this.size) this.#resize(at + bytes.length);
		bytes.copy(this.#room, at);
	}

	#resize(size: number): void {
		if (size > this.#room.length) {
			const room = Buffer.alloc(Math.max(size, this.#room.length * 2, 1024));
			this.content.copy(room);
			this.#room = room;
		} else if (size > this.size) this.#room.fill(0, this.size, size);
		this.size = size;
	}
}
