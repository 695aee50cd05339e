/**
The disk of one simulated machine, behind the `Files` port. A write is queued, then written (the operating system has it), then synced.
The process may be killed (what was queued is taken or not) or the power cut (of what was not synced each write is lost, kept or torn at
512 bytes, in any order; so are names). It fails with EIO or ENOSPC when told to, and rots: bits flip, files are cut short.
*/
import {basename, dirname} from 'node:path';
import type {Files, OpenFile} from '../../../core/io/files.ts';
import type {Schedule} from '../schedule.ts';
import type {SeededRandom} from '../random.ts';

type Change = {readonly at: number; readonly bytes: Buffer; isWritten: boolean} | {readonly truncateTo: number; isWritten: boolean};
type NameChange = {readonly folder: string; readonly change: (names: Map<string, Inode>) => void};

const sectorBytes = 512;

class Inode {
	readonly synced: Bytes;
	readonly current: Bytes;
	changes: Change[] = [];
	modifiedMs = 0;

	constructor(content: Buffer = Buffer.alloc(0)) {
		this.synced = new Bytes(content);
		this.current = new Bytes(content);
	}
}

/** Bytes that grow. */
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

export type DiskCounts = {writes: number; syncs: number; kills: number; powerCuts: number; lost: number; kept: number; torn: number; eio: number; enospc: number; flips: number; truncations: number; wipes: number};
export const noDiskCounts = (): DiskCounts => ({writes: 0, syncs: 0, kills: 0, powerCuts: 0, lost: 0, kept: 0, torn: 0, eio: 0, enospc: 0, flips: 0, truncations: 0, wipes: 0});

export class SimDisk implements Files {
	readonly counts: DiskCounts;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	readonly #syncMs: readonly [number, number];
	/** Runs a callback in the process that asked, unless that has ended. */
	#run: (work: () => void) => void = () => undefined;
	#names = new Map<string, Inode>();
	#durable = new Map<string, Inode>();
	#nameChanges: NameChange[] = [];
	/** The next write or sync fails with it. */
	#failure: 'EIO' | 'ENOSPC' | undefined;

	constructor({schedule, random, syncMs, counts}: {readonly schedule: Schedule; readonly random: SeededRandom; readonly syncMs: readonly [number, number]; readonly counts: DiskCounts}) {
		this.#schedule = schedule;
		this.#random = random;
		this.#syncMs = syncMs;
		this.counts = counts;
	}

	/** A process begins to use it. */
	attach(run: (work: () => void) => void): void {
		this.#run = run;
		this.#failure = undefined;
	}

	/** SIGKILL: the operating system goes on and has what it was given; what was on its way it has or has not. */
	kill(): void {
		this.counts.kills++;
		for (const inode of this.#names.values()) {
			for (const change of inode.changes) {
				if (change.isWritten) continue;
				if (this.#random.chance(1, 2)) {
					inode.current.apply(change);
					change.isWritten = true;
				}
			}

			inode.changes = inode.changes.filter(({isWritten}) => isWritten);
		}
	}

	/** The power goes. What is found later: everything that was synced, and of the rest what chance leaves. */
	powerCut(): void {
		this.counts.powerCuts++;
		const mode = this.#random.pick(['lost', 'writes', 'torn', 'torn', 'kept'] as const);
		const names = new Map(this.#durable);
		for (const {change} of this.#nameChanges) if (mode === 'kept' || (mode !== 'lost' && this.#random.chance(1, 2))) change(names);
		this.#nameChanges = [];
		this.#names = new Map();
		for (const [path, inode] of names) {
			for (const change of inode.changes) this.#settle(inode, change, mode);
			const after = new Inode(inode.synced.content);
			after.modifiedMs = inode.modifiedMs;
			this.#names.set(path, after);
		}

		this.#durable = new Map(this.#names);
	}

	/** A new disk in the machine. */
	wipe(): void {
		this.counts.wipes++;
		this.#names.clear();
		this.#durable.clear();
		this.#nameChanges = [];
	}

	failNext(code: 'EIO' | 'ENOSPC'): void {
		this.#failure = code;
	}

	/** No failure is to come. */
	heal(): void {
		this.#failure = undefined;
	}

	/** Change what lies there: a flipped bit, or a file cut short. Only files that `isOf` takes. False when there is none. */
	rot(kind: 'flip' | 'truncate', isOf: (path: string) => boolean): boolean {
		const paths = [...this.#names].filter(([path, inode]) => isOf(path) && inode.current.size > 0).map(([path]) => path).toSorted();
		if (paths.length === 0) return false;
		const inode = this.#names.get(this.#random.pick(paths))!;
		const {size} = inode.current;
		if (kind === 'flip') {
			const at = this.#random.below(size);
			const bit = 1 << this.#random.below(8);
			for (const bytes of [inode.current, inode.synced]) if (at < bytes.size) bytes.content[at]! ^= bit;
			this.counts.flips++;
		} else {
			const change: Change = {truncateTo: this.#random.below(size), isWritten: true};
			inode.current.apply(change);
			inode.synced.apply(change);
			this.counts.truncations++;
		}

		return true;
	}

	paths(): string[] {
		return [...this.#names.keys()].toSorted();
	}

	/** `undefined` when there is no such file. */
	content(path: string): Buffer | undefined {
		return this.#names.get(path)?.current.content;
	}

	async open(path: string, mode: 'read' | 'write'): Promise<OpenFile> {
		let inode = this.#names.get(path);
		if (!inode && mode === 'read') throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), {code: 'ENOENT'});
		if (!inode) {
			const made = new Inode();
			made.modifiedMs = this.#schedule.nowMs;
			this.#rename(dirname(path), names => names.set(path, made));
			inode = made;
		}

		return this.#openFile(inode);
	}

	async list(folder: string): Promise<readonly string[]> {
		return [...this.#names.keys()].filter(path => dirname(path) === folder).map(path => basename(path));
	}

	async makeFolder(): Promise<void> {} // oxlint-disable-line no-empty-function -- folders are there

	async syncFolder(folder: string): Promise<void> {
		await this.#after(this.#latency(), () => {
			for (const {folder: of, change} of this.#nameChanges) if (of === folder) change(this.#durable);
			this.#nameChanges = this.#nameChanges.filter(({folder: of}) => of !== folder);
		});
	}

	async rename(from: string, to: string): Promise<void> {
		this.#rename(dirname(to), names => {
			const inode = names.get(from);
			if (!inode) return;
			names.delete(from);
			names.set(to, inode);
		});
	}

	async unlink(path: string): Promise<void> {
		this.#rename(dirname(path), names => names.delete(path));
	}

	async modifiedMs(path: string): Promise<number> {
		return this.#names.get(path)?.modifiedMs ?? 0;
	}

	#openFile(inode: Inode): OpenFile {
		const queue = (change: Change): Promise<void> => {
			this.counts.writes++;
			inode.changes.push(change);
			return this.#after(this.#random.below(2), () => {
				inode.current.apply(change);
				inode.modifiedMs = this.#schedule.nowMs;
				change.isWritten = true;
			}, () => void (inode.changes = inode.changes.filter(other => other !== change)));
		};

		return {
			size: inode.current.size,
			write: async (buffers, at) => {
				const bytes = Buffer.concat(buffers);
				await queue({at, bytes, isWritten: false});
				return bytes.length;
			},
			read: async (buffer, at) => inode.current.content.copy(buffer, 0, at, at + buffer.length),
			datasync: async () => {
				this.counts.syncs++;
				const covered = inode.changes.filter(({isWritten}) => isWritten);
				const forget = (): void => void (inode.changes = inode.changes.filter(change => !covered.includes(change)));
				await this.#after(this.#latency(), () => {
					for (const change of covered) inode.synced.apply(change);
					forget();
				}, forget); // A failed fsync: the pages count as clean, and never reach the disk.
			},
			truncate: async size => queue({truncateTo: size, isWritten: false}),
			async close() {}, // oxlint-disable-line no-empty-function
		};
	}

	#latency(): number {
		return this.#random.between(...this.#syncMs);
	}

	#after(inMs: number, done: () => void, failed: () => void = () => undefined): Promise<void> {
		const {promise, resolve, reject} = Promise.withResolvers<void>();
		const run = this.#run;
		this.#schedule.after(inMs, () => run(() => {
			const code = this.#failure;
			if (code === undefined) {
				done();
				resolve();
				return;
			}

			this.#failure = undefined;
			this.counts[code === 'EIO' ? 'eio' : 'enospc']++;
			failed();
			reject(Object.assign(new Error(`${code}: injected`), {code}));
		}));
		return promise;
	}

	#rename(folder: string, change: NameChange['change']): void {
		change(this.#names);
		this.#nameChanges.push({folder, change});
	}

	#settle(inode: Inode, change: Change, mode: 'lost' | 'writes' | 'torn' | 'kept'): void {
		const {synced} = inode;
		if (mode === 'lost' || (mode === 'writes' && this.#random.chance(1, 2))) {
			this.counts.lost++;
			return;
		}

		if (mode === 'kept' || mode === 'writes' || 'truncateTo' in change) {
			this.counts.kept++;
			synced.apply(change);
			return;
		}

		this.counts.torn++;
		const end = change.at + change.bytes.length;
		for (let from = change.at; from < end;) {
			const to = Math.min(end, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
			if (this.#random.chance(1, 2)) synced.put(from, change.bytes.subarray(from - change.at, to - change.at));
			from = to;
		}
	}
}
