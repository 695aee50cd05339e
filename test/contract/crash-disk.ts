/**
A disk in memory that forgets. What is written stays unsynced until a datasync, names until the folder is synced. It can die at its
nth call; what is found afterwards is an **image**: of what was not synced nothing, some writes, or some 512-byte sectors of some writes.
It can also fail a call, take only part of a write, and be read and changed byte by byte.
*/
import {basename} from 'node:path';
import type {Files, OpenFile} from '../../core/io/files.ts';
import type {SeededRandom} from '../sim/random.ts';

export type Loss = 'all' | 'writes' | 'sectors' | 'none';
type Change = {readonly at: number; readonly bytes: Buffer} | {readonly truncateTo: number};
type Inode = {synced: Buffer; current: Buffer; changes: Change[]};
type NameChange = (names: Map<string, Inode>) => void;

export type DiskFaults = {
	readonly random: SeededRandom;
	/** The disk dies at this call: it and all later ones never end. */
	diesAt?: number;
	/** This call fails. */
	failsAt?: number;
	readonly code?: 'EIO' | 'ENOSPC';
	/** Writes are taken in parts. */
	readonly shortWrites?: boolean;
};

const sectorBytes = 512;

export class CrashDisk implements Files {
	/** Resolves when the disk has died. */
	readonly died: Promise<void>;
	/** What was called, with the name of the file. */
	readonly calls: string[] = [];
	readonly #died = Promise.withResolvers<void>();
	readonly #faults: DiskFaults;
	#names = new Map<string, Inode>();
	#durableNames = new Map<string, Inode>();
	#nameChanges: NameChange[] = [];

	constructor(faults: DiskFaults) {
		this.#faults = faults;
		this.died = this.#died.promise;
	}

	/** A disk that holds these files. */
	static of(files: ReadonlyMap<string, Buffer>, faults: DiskFaults): CrashDisk {
		const disk = new CrashDisk(faults);
		for (const [path, bytes] of files) {
			const inode = {synced: Buffer.from(bytes), current: Buffer.from(bytes), changes: []};
			disk.#names.set(path, inode);
			disk.#durableNames.set(path, inode);
		}

		return disk;
	}

	/** All files as a program sees them. */
	contents(): Map<string, Buffer> {
		return new Map([...this.#names].map(([path, {current}]) => [path, Buffer.from(current)]));
	}

	/** All files as they are found after the power went. */
	image(random: SeededRandom, loss: Loss): Map<string, Buffer> {
		const names = new Map(this.#durableNames);
		// Names too are kept one without the other: not every file system has a journal.
		for (const change of this.#nameChanges) if (loss === 'none' || (loss !== 'all' && random.chance(1, 2))) change(names);
		return new Map([...names].map(([path, inode]) => [path, contentAfter(inode, random, loss)]));
	}

	async open(path: string, mode: 'read' | 'write'): Promise<OpenFile> {
		await this.#call('open', path);
		let inode = this.#names.get(path);
		if (!inode && mode === 'read') throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), {code: 'ENOENT'});
		if (!inode) {
			const made: Inode = {synced: Buffer.alloc(0), current: Buffer.alloc(0), changes: []};
			this.#rename(names => names.set(path, made));
			inode = made;
		}

		return this.#openFile(path, inode);
	}

	async list(): Promise<readonly string[]> {
		await this.#call('list', '');
		return [...this.#names.keys()].map(path => basename(path));
	}

	async makeFolder(): Promise<void> {
		await this.#call('makeFolder', '');
	}

	async syncFolder(): Promise<void> {
		await this.#call('syncFolder', '');
		for (const change of this.#nameChanges) change(this.#durableNames);
		this.#nameChanges = [];
	}

	async rename(from: string, to: string): Promise<void> {
		await this.#call('rename', from);
		this.#rename(names => {
			const inode = names.get(from);
			if (!inode) return;
			names.delete(from);
			names.set(to, inode);
		});
	}

	async unlink(path: string): Promise<void> {
		await this.#call('unlink', path);
		this.#rename(names => names.delete(path));
	}

	async modifiedMs(path: string): Promise<number> {
		await this.#call('modifiedMs', path);
		return 0;
	}

	#rename(change: NameChange): void {
		change(this.#names);
		this.#nameChanges.push(change);
	}

	#openFile(path: string, inode: Inode): OpenFile {
		const {random, shortWrites} = this.#faults;
		const change = (one: Change): void => {
			inode.changes.push(one);
			inode.current = applied(inode.current, one);
		};

		return {
			size: inode.current.length,
			write: async (buffers, at) => {
				const all = Buffer.concat(buffers);
				const bytes = shortWrites && all.length > 1 ? all.subarray(0, random.between(1, all.length)) : all;
				// A write that the crash interrupts may have reached the disk in part.
				await this.#call('write', path, () => change({at, bytes: Buffer.from(bytes)}));
				change({at, bytes: Buffer.from(bytes)});
				return bytes.length;
			},
			read: async (buffer, at) => {
				await this.#call('read', path);
				return inode.current.copy(buffer, 0, at, at + (shortWrites && buffer.length > 1 ? random.between(1, buffer.length) : buffer.length));
			},
			datasync: async () => {
				const before = inode.changes.length;
				await this.#call('datasync', path);
				for (const one of inode.changes.slice(0, before)) inode.synced = applied(inode.synced, one);
				inode.changes = inode.changes.slice(before);
			},
			truncate: async size => {
				await this.#call('truncate', path);
				change({truncateTo: size});
			},
			close: () => this.#call('close', path),
		};
	}

	async #call(name: string, path: string, onDeath: () => void = () => undefined): Promise<void> {
		this.calls.push(`${name} ${basename(path)}`.trim());
		const number = this.calls.length;
		const {diesAt, failsAt, code = 'EIO', random} = this.#faults;
		// Calls take turns of different length, so that reads and writes overlap.
		for (let turns = random.below(3); turns > 0; turns--) await Promise.resolve();
		if (diesAt !== undefined && number >= diesAt) {
			if (number === diesAt) onDeath();
			this.#died.resolve();
			await new Promise(() => undefined);
		}

		if (number === failsAt) throw Object.assign(new Error(`${code}: injected`), {code});
	}
}

function applied(bytes: Buffer, change: Change): Buffer {
	if ('truncateTo' in change) return Buffer.concat([bytes.subarray(0, change.truncateTo), Buffer.alloc(Math.max(0, change.truncateTo - bytes.length))]);
	const end = change.at + change.bytes.length;
	const result = end > bytes.length ? Buffer.concat([bytes, Buffer.alloc(end - bytes.length)]) : Buffer.from(bytes);
	change.bytes.copy(result, change.at);
	return result;
}

function contentAfter({synced, changes}: Inode, random: SeededRandom, loss: Loss): Buffer {
	let content = Buffer.from(synced);
	if (loss === 'all') return content;
	for (const change of changes) {
		if (loss === 'none') content = Buffer.from(applied(content, change));
		else if ('truncateTo' in change || loss === 'writes') content = random.chance(1, 2) ? Buffer.from(applied(content, change)) : content;
		else {
			const end = change.at + change.bytes.length;
			for (let from = change.at; from < end;) {
				const to = Math.min(end, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
				if (random.chance(1, 2)) content = Buffer.from(applied(content, {at: from, bytes: change.bytes.subarray(from - change.at, to - change.at)}));
				from = to;
			}
		}
	}

	return content;
}
