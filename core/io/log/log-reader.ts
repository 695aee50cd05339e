/**
The reading side of the log: finds the segment of a position, skips holes, and verifies every record. Reads use
descriptors of their own. A few of these stay open; the least recently used is closed first.
*/
import type {LogRecord} from '../../ports.ts';
import {readFully, type Files, type OpenFile} from '../file-system.ts';
import type {Segment} from './recovery.ts';
import {isPayloadGood, payloadAt, payloadLengthAt, recordHeaderBytes, segmentHeaderBytes} from './segment.ts';

/** Retention dropped the segment during the read: the caller reads again. */
export class DroppedError extends Error {}

type Read = {readonly records: readonly LogRecord[]; readonly next: number};
type Entry = {readonly file: Promise<OpenFile>; users: number};

/** More descriptors than this are open only while that many reads run at once. */
const openMax = 4;
const readBytesMin = 4096;

export class LogReader {
	readonly #files: Files;
	/** By path, the most recently used last. */
	readonly #open = new Map<string, Entry>();

	constructor(files: Files) {
		this.#files = files;
	}

	/**
	Reads records from `from` on, at most to the end of the segment.
	@throws {DroppedError}, and errors of the disk
	*/
	async read(segments: readonly Segment[], from: number, writtenEnd: number, bytesMax: number): Promise<Read> {
		let at = from;
		while (at < writtenEnd) {
			const segment = segmentAt(segments, at);
			const hole = segment.holes.find(({to}) => to > at);
			if (hole && hole.from <= at) {
				at = hole.to;
				continue;
			}

			const limit = Math.min(segment.end, writtenEnd, hole?.from ?? Infinity);
			try {
				return await this.#use(segment.path, file => readRecords(file, segment, at, limit, bytesMax));
			} catch (error) {
				throw segment.isDropped ? new DroppedError('The segment was dropped', {cause: error}) : error;
			}
		}

		return {records: [], next: at};
	}

	/** Closes the file as soon as no read uses it. */
	close(path: string): void {
		const entry = this.#open.get(path);
		if (!entry) return;
		this.#open.delete(path);
		closeIdle(entry);
	}

	closeAll(): void {
		for (const path of [...this.#open.keys()]) this.close(path);
	}

	async #use(path: string, work: (file: OpenFile) => Promise<Read>): Promise<Read> {
		const entry: Entry = this.#open.get(path) ?? {file: this.#files.open(path, 'read'), users: 0};
		this.#open.delete(path);
		this.#open.set(path, entry);
		entry.users++;
		try {
			return await work(await entry.file);
		} catch (error) {
			if (this.#open.get(path) === entry) this.#open.delete(path); // The next read opens it again.
			throw error;
		} finally {
			entry.users--;
			if (this.#open.get(path) !== entry) closeIdle(entry);
			this.#trim();
		}
	}

	#trim(): void {
		for (const [path, {users}] of this.#open) {
			if (this.#open.size <= openMax) return;
			if (users === 0) this.close(path);
		}
	}
}

/** The last segment that starts at or before the position, which must exist. */
export function segmentAt(segments: readonly Segment[], position: number): Segment {
	let low = 0;
	let high = segments.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (segments[middle]!.first <= position) low = middle + 1;
		else high = middle;
	}

	return segments[low - 1]!;
}

async function readRecords(
	file: OpenFile,
	segment: Segment,
	from: number,
	limit: number,
	bytesMax: number,
): Promise<Read> {
	const fileAt = from - segment.first + segmentHeaderBytes;
	// A buffer of its own, because the records are slices of it and stay alive with it.
	let chunk = await readFully(
		file,
		Buffer.allocUnsafeSlow(Math.min(limit - from, Math.max(bytesMax, readBytesMin))),
		fileAt,
	);
	const records: LogRecord[] = [];
	let at = 0;
	while (from + at < limit && at + recordHeaderBytes <= chunk.length) {
		const length = payloadLengthAt(chunk, at, from + at, segment.salt);
		const end = at + recordHeaderBytes + length;
		if (length < 0 || from + end > limit)
			throw new Error(`Expected a record at position ${from + at} of ${segment.path}`);
		if (records.length > 0 && end > Math.min(bytesMax, chunk.length)) break;
		if (end > chunk.length) chunk = await readFully(file, Buffer.allocUnsafeSlow(end), fileAt);
		const bytes = payloadAt(chunk, at, length);
		if (end > chunk.length || !isPayloadGood(chunk, at, bytes))
			throw new Error(`Expected the record at position ${from + at} of ${segment.path} to match its checksum`);
		records.push({position: from + at, bytes});
		at = end;
	}

	if (records.length === 0)
		throw new Error(`Expected a record at position ${from} of ${segment.path}, the file ends before`);
	return {records, next: from + at};
}

function closeIdle(entry: Entry): void {
	// A read-only descriptor loses no data when its close fails.
	if (entry.users === 0) entry.file.then(file => file.close()).catch(() => undefined);
}
