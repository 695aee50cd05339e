/**
The file that is being recorded. A record is one write, so a crash tears the last line at most. An existing recording
is continued after its last whole line. Only the user may read the file (0600): it holds the first bytes of messages.
*/
import {closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync} from 'node:fs';
import {constants} from 'node:fs';
import {DapssError} from '../../core/errors.ts';
import {formatName, formatVersion, type FileRecord} from './format.ts';

const headBytes = 4096;
const tailBytes = 64 * 1024;

export class RecordingFile implements Disposable {
	/** Bytes at the end of an existing file that were no whole record, and were cut off. */
	readonly torn: number;
	/** The file existed, and is continued. */
	readonly isContinued: boolean;
	readonly #fd: number;
	readonly #bytesMax: number;
	#bytes: number;

	/** @throws `usage` when the file is something else than a recording; `storage` */
	constructor(path: string, bytesMax: number) {
		this.#bytesMax = bytesMax;
		this.#fd = opened(path);
		try {
			const {size} = fstatSync(this.#fd);
			if (size > 0) expectRecording(path, this.#fd);
			const end = size === 0 ? 0 : endOfLines(this.#fd, size);
			this.torn = size - end;
			if (this.torn > 0) ftruncateSync(this.#fd, end);
			this.isContinued = size > 0;
			this.#bytes = end;
		} catch (error) {
			closeSync(this.#fd);
			throw error;
		}
	}

	get bytes(): number {
		return this.#bytes;
	}

	/** Appends a record. @returns false when it does not fit; the end of a recording always does */
	add(record: FileRecord): boolean {
		const line = Buffer.from(`${JSON.stringify(record)}\n`);
		if (record.type !== 'end' && this.#bytes + line.length > this.#bytesMax) return false;
		for (let at = 0; at < line.length;) at += writeSync(this.#fd, line, at, line.length - at, this.#bytes + at);
		this.#bytes += line.length;
		return true;
	}

	[Symbol.dispose](): void {
		closeSync(this.#fd);
	}
}

function opened(path: string): number {
	try {
		return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
	} catch (error) {
		throw new DapssError('storage', `Cannot record to ${path}: ${(error as Error).message}`, {cause: error});
	}
}

function expectRecording(path: string, fd: number): void {
	const head = Buffer.alloc(headBytes);
	const text = head.toString('utf8', 0, readSync(fd, head, 0, headBytes, 0));
	const [line = ''] = text.split('\n', 1);
	if (!line.includes(`"recording":"${formatName}"`))
		throw new DapssError('usage', `Expected a recording or a new file, got ${path}, which is something else`);
	if (!line.includes(`"format":${formatVersion},`))
		throw new DapssError('usage', `Expected a recording of format ${formatVersion} to continue, got ${path}`);
}

/** The end of the last whole line. */
function endOfLines(fd: number, size: number): number {
	const buffer = Buffer.alloc(tailBytes);
	for (let end = size; end > 0;) {
		const start = Math.max(0, end - tailBytes);
		const read = readSync(fd, buffer, 0, end - start, start);
		const at = buffer.lastIndexOf(0x0a, read - 1);
		if (at !== -1 && at < read) return start + at + 1;
		end = start;
	}

	return 0;
}
