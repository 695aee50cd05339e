/**
The reading side of the log: finds the segment of a position, passes over holes, checks every record. Reads go through
descriptors of their own, of which a few are kept open, the one that was used last the longest.
*/
import type {LogRecord} from '../../ports.ts';
import {readFully, type Files, type OpenFile} from '../file-system.ts';
import type {Segment} from './recovery.ts';
import {isPayloadGood, payloadAt, payloadLengthAt, recordHeaderBytes, segmentHeaderBytes} from './segment.ts';

/** Retention took the segment while it was read: look again. */
export class DroppedError extends Error {}

type Read = {readonly records: readonly LogRecord[]; readonly next: number};
type Entry = {readonly file: Promise<OpenFile>; users: number};

/** More than this are open only while as many reads run at once. */
const openMax = 4;
const readBytesMin = 4096;

export class LogReader {
	readonly #files: Files;
	/** By path, the one used last at the end. */
	readonly #open = new Map<string, Entry>();

	constructor(files: Files) {
		this.#files = files;
	}

	/** Records from `from` on, as far as the segment goes. @throws {DroppedError}, and whatever the disk says */
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

	/** Close the file once nobody reads it. */
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
			if (this.#open.get(path) === entry) this.#open.delete(path); // It is opened anew next time.
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

/** The last segment that begins at or before the position. There must be one. */
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
	// A buffer of its own: the records are slices of it and live as long as somebody holds one.
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
			throw new Error(`Expected the record at position ${from + at} of ${segment.path} to be what was written`);
		records.push({position: from + at, bytes});
		at = end;
	}

	if (records.length === 0)
		throw new Error(`Expected a record at position ${from} of ${segment.path}, the file ends before`);
	return {records, next: from + at};
}

function closeIdle(entry: Entry): void {
	// A descriptor that was only read from has nothing left to lose when it fails to close.
	if (entry.users === 0) entry.file.then(file => file.close()).catch(() => undefined);
}
