/**
Room that a node keeps on its disk, as a file. On a disk that is full nothing can be started: the start itself writes,
and so does retention before it deletes. So a node that finds its disk full gives the reserve back first. Until there is
room for it again the disk counts as full: the node runs and can be read from, and whoever publishes is refused.
*/
import {randomFillSync} from 'node:crypto';
import {statfs} from 'node:fs/promises';
import {join} from 'node:path';
import {errorMessage} from '../../errors.ts';
import {fullDiskRemedy, isMissing, writeAll, type Files} from '../file-system.ts';

export const reserveFile = 'reserve';
const MiB = 1024 * 1024;

/** Bytes. */
export type ReserveSizes = {
	readonly reserve: number;
	/** With less than this free the reserve is given back. */
	readonly low: number;
	/** Left free beside it when it is made. */
	readonly spare: number;
};
const usualSizes: ReserveSizes = {reserve: 8 * MiB, low: 2 * MiB, spare: 8 * MiB};
/** With fewer files that may still be made the disk is full, however many bytes are free: a start makes some. */
const lowFiles = 64;

export type ReserveOptions = {
	readonly files: Files;
	/** The data folder. */
	readonly folder: string;
	/** Bytes that this user may still write there. @default what the file system says */
	readonly freeBytes?: () => Promise<number>;
	/** Files that may still be made there. @default what the file system says */
	readonly freeFiles?: () => Promise<number>;
	/** @default those of a disk of this time: 8 MiB, with 8 MiB beside it */
	readonly sizes?: ReserveSizes;
	/** For people: given back, or there again. */
	readonly say: (text: string) => void;
};

/**
What fits on a disk with so many bytes and files free: `full`, all is; `short`, there is no room for the reserve, so
nothing is published; `enough`.
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

export class Reserve {
	readonly #options: ReserveOptions;
	readonly #path: string;
	readonly #sizes: ReserveSizes;
	#isFull = false;
	#isShortOfFiles = false;
	#hasComplained = false;

	constructor(options: ReserveOptions) {
		this.#options = options;
		this.#path = join(options.folder, reserveFile);
		this.#sizes = options.sizes ?? usualSizes;
	}

	/** There is no room for what is published. */
	get isFull(): boolean {
		return this.#isFull;
	}

	/** Why nothing can be published, and what helps. */
	get reason(): string {
		const full = this.#isShortOfFiles ? 'has no room for more files (inodes, `df -i`)' : 'is full';
		return `The disk of ${this.#options.folder} ${full}: nothing can be published, what is there can be read. ${fullDiskRemedy}`;
	}

	/**
	Give the reserve back when the disk is full, have it when there is room. A disk that cannot tell how much is free
	counts as having room.
	*/
	async tend(): Promise<void> {
		const {
			say,
			folder,
			freeBytes = () => freeBytesOf(folder),
			freeFiles = () => freeFilesOf(folder),
		} = this.#options;
		const [free, files] = (await Promise.all(
			[freeBytes(), freeFiles()].map(asked => asked.catch(() => Infinity)),
		)) as [number, number];
		const hasReserve = await this.#has();
		const room = roomOf(free, hasReserve, files, this.#sizes);
		this.#isShortOfFiles = files < lowFiles;
		if (room === 'full') {
			const hadReserve = await this.#give();
			if (!this.#isFull)
				say(
					`${this.reason}${hadReserve ? `. A reserve of ${this.#sizes.reserve / MiB} MiB was given back` : ''}`,
				);
			this.#isFull = true;
			return;
		}

		if (hasReserve) {
			this.#isFull = false;
			return;
		}

		if (room === 'short') {
			if (!this.#isFull) say(this.reason);
			this.#isFull = true;
			return;
		}

		const isMade = await this.#make();
		if (isMade && this.#isFull) say('The disk has room again');
		this.#isFull = !isMade;
	}

	async #has(): Promise<boolean> {
		return (await this.#options.files.list(this.#options.folder)).includes(reserveFile);
	}

	/** False when there was none. */
	async #give(): Promise<boolean> {
		try {
			await this.#options.files.unlink(this.#path);
			return true;
		} catch (error) {
			if (isMissing(error)) return false;
			throw error;
		}
	}

	/**
	False when there is no room. By chance, since some file systems store no zeros. Under another name first: half a
	reserve is none.
	*/
	async #make(): Promise<boolean> {
		const {files, folder, say} = this.#options;
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
			// Somebody else took the room. It is tried again.
			if (isFullDisk(error)) return false;
			// What keeps the node from a reserve, and is not the room, is no reason to take no messages.
			if (!this.#hasComplained) say(`No reserve can be kept for a full disk: ${errorMessage(error)}`);
			this.#hasComplained = true;
			return true;
		}
	}
}

function isFullDisk(error: unknown): boolean {
	const {code} = Object(error) as {readonly code?: unknown};
	return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Bytes that this user may still write there. */
export async function freeBytesOf(folder: string): Promise<number> {
	const {bavail, bsize} = await statfs(folder);
	return bavail * bsize;
}

/** Files that may still be made there; as many as you like on a file system that does not count them. */
async function freeFilesOf(folder: string): Promise<number> {
	const {files, ffree} = await statfs(folder);
	return files === 0 ? Infinity : ffree;
}
