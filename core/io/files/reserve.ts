/**
Reserved space on the node's disk, as a file. A full disk prevents a start, because the start itself writes, and
retention writes before it deletes. So a node that finds its disk full releases the reserve first. Until there is space
for the reserve again, the disk counts as full: the node runs and serves reads, refuses publishes, and stores no
messages of other nodes.
*/
import {randomFillSync} from 'node:crypto';
import {statfs} from 'node:fs/promises';
import {join} from 'node:path';
import {errorMessage} from '../../errors.ts';
import {fullDiskRemedy, isFullDisk, isMissing, writeAll, type Files} from '../file-system.ts';
import type {SpaceReserve} from './reserving-files.ts';

export const reserveFile = 'reserve';
const MiB = 1024 * 1024;

/** Sizes in bytes. */
export type ReserveSizes = {
	readonly reserve: number;
	/** The reserve is released when less than this is free. */
	readonly low: number;
	/** The free space that must remain when the reserve is made. */
	readonly spare: number;
};
const usualSizes: ReserveSizes = {reserve: 8 * MiB, low: 2 * MiB, spare: 8 * MiB};
/** The disk counts as full when fewer files (inodes) than this are free, because a start makes some. */
const lowFiles = 64;

export type ReserveOptions = {
	readonly files: Files;
	/** The data folder. */
	readonly folder: string;
	/** The bytes that this user may still write there. @default as the file system reports */
	readonly freeBytes?: () => Promise<number>;
	/** The files that may still be made there. @default as the file system reports */
	readonly freeFiles?: () => Promise<number>;
	/** @default 8 MiB, with 8 MiB beside it */
	readonly sizes?: ReserveSizes;
	/** Reports to an operator that the reserve was released or restored. */
	readonly report: (text: string) => void;
};

/**
The state of a disk with this much free: `full`; `short`, there is no space for the reserve, so no messages are stored;
`enough`.
*/
export function roomOf(
	freeBytes: number,
	hasReserve: boolean,
	freeFiles = Infinity,
	{reserve, low, spare} = usualSizes,
): 'full' | 'short' | 'enough' {
	if (freeBytes < low || freeFiles < lowFiles) return 'full';
	return hasReserve || freeBytes >= reserve + spare ? 'enough' : 'short';
}

export class Reserve implements SpaceReserve {
	releases = 0;
	readonly #options: ReserveOptions;
	readonly #path: string;
	readonly #sizes: ReserveSizes;
	#isFull = false;
	#isShortOfFiles = false;
	#hasComplained = false;
	#releasing: Promise<boolean> | undefined;

	constructor(options: ReserveOptions) {
		this.#options = options;
		this.#path = join(options.folder, reserveFile);
		this.#sizes = options.sizes ?? usualSizes;
	}

	/** No message can be stored for lack of space. */
	get isFull(): boolean {
		return this.#isFull;
	}

	/** Why no message is stored, with advice. */
	get reason(): string {
		return `${this.problem}. ${fullDiskRemedy}`;
	}

	/** Why no message is stored. */
	get problem(): string {
		const full = this.#isShortOfFiles ? 'has no room for more files (inodes, `df -i`)' : 'is full';
		return `The disk of ${this.#options.folder} ${full}: no new messages are stored, stored messages can be read`;
	}

	/** Releases the reserve at once: a write found the disk full. Resolves with false when there is none. */
	release(): Promise<boolean> {
		this.#releasing ??= this.#releaseAndReport().finally(() => {
			this.#releasing = undefined;
		});
		return this.#releasing;
	}

	/**
	Releases the reserve when the disk is full, and makes it when there is space. A disk that cannot report its free
	space counts as having space.
	*/
	async maintain(): Promise<void> {
		const {
			report,
			folder,
			freeBytes = () => freeBytesOf(folder),
			freeFiles = () => freeFilesOf(folder),
		} = this.#options;
		const [free, files] = (await Promise.all(
			[freeBytes(), freeFiles()].map(measured => measured.catch(() => Infinity)),
		)) as [number, number];
		const hasReserve = await this.#exists();
		const room = roomOf(free, hasReserve, files, this.#sizes);
		this.#isShortOfFiles = files < lowFiles;
		if (room === 'full') {
			await this.release();
			return;
		}

		if (hasReserve) {
			this.#isFull = false;
			return;
		}

		if (room === 'short') {
			if (!this.#isFull) report(this.reason);
			this.#isFull = true;
			return;
		}

		const isMade = await this.#make();
		if (isMade && this.#isFull) report('The disk has free space again');
		this.#isFull = !isMade;
	}

	async #exists(): Promise<boolean> {
		return (await this.#options.files.list(this.#options.folder)).includes(reserveFile);
	}

	/** No messages are stored from now on; the space of the reserve is for what the node itself writes. */
	async #releaseAndReport(): Promise<boolean> {
		const wasFull = this.#isFull;
		this.#isFull = true;
		const hadReserve = await this.#unlink();
		if (hadReserve) this.releases++;
		const released = hadReserve ? `. A reserve of ${this.#sizes.reserve / MiB} MiB was released` : '';
		if (!wasFull) this.#options.report(`${this.reason}${released}`);
		return hadReserve;
	}

	/** Resolves with false when there was none. */
	async #unlink(): Promise<boolean> {
		try {
			await this.#options.files.unlink(this.#path);
			return true;
		} catch (error) {
			if (isMissing(error)) return false;
			throw error;
		}
	}

	/**
	Resolves with false when there is no space. The content is random, because some file systems store no zeros. The
	file is written under another name first, so that an incomplete one does not count.
	*/
	async #make(): Promise<boolean> {
		const {files, folder, report} = this.#options;
		const fresh = `${this.#path}.new`;
		try {
			const file = await files.open(fresh, 'write');
			try {
				const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(MiB, this.#sizes.reserve)));
				for (let at = 0; at < this.#sizes.reserve; at += chunk.length) await writeAll(file, [chunk], at);
				await file.datasync();
			} finally {
				await file.close();
			}

			await files.rename(fresh, this.#path);
			await files.syncFolder(folder);
			return true;
		} catch (error) {
			await files.unlink(fresh).catch(() => undefined);
			// Another program used the space: the next call tries again.
			if (isFullDisk(error)) return false;
			// Another problem with the reserve is no reason to refuse publishes.
			if (!this.#hasComplained) report(`No reserve for a full disk can be kept: ${errorMessage(error)}`);
			this.#hasComplained = true;
			return true;
		}
	}
}

/** The bytes that this user may still write there. */
export async function freeBytesOf(folder: string): Promise<number> {
	const {bavail, bsize} = await statfs(folder);
	return bavail * bsize;
}

/** The files that may still be made there; unbounded on a file system that does not count them. */
async function freeFilesOf(folder: string): Promise<number> {
	const {files, ffree} = await statfs(folder);
	return files === 0 ? Infinity : ffree;
}
