/**
A recording that is read: its frames in order. Only the places of the lines are kept in memory besides the file, and a
frame is made from the whole state before it and the changes since then. The file may be of anyone, so each snapshot is
checked as one from the network is.
*/
import {readFileSync, statSync} from 'node:fs';
import {DapssError} from '../../core/errors.ts';
import type {RecordedEvent} from '../../core/events.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {Frame, Timeline} from '../../tui/source/timeline.ts';
import {
	formatName,
	formatVersion,
	type ChangeRecord,
	type FileRecord,
	type Header,
	type LinkRecord,
	type StateRecord,
} from './format.ts';
import {patched} from './merge-patch.ts';

const fileBytesMax = 1024 * 1024 * 1024;
/** Levels of a record; those of this program have fewer than 10. */
const depthMax = 32;
const kinds = new Set<FileRecord['type']>(['header', 'state', 'change', 'link', 'end']);

/** A snapshot from outside, checked; `undefined` when it is none. */
export type ReadSnapshot = (value: unknown) => Snapshot | undefined;

/** Where a frame is in the file, and what a search needs to know of it. */
type Place = {
	readonly start: number;
	readonly end: number;
	readonly type: 'state' | 'change' | 'link';
	readonly at: number;
	/** The frame with the whole state before this one. */
	readonly base: number;
	readonly isMark: boolean;
};
type Raw = {readonly state: unknown; readonly messages: readonly unknown[]; readonly events: readonly unknown[]};

export class Recording implements Timeline {
	readonly path: string;
	readonly header: Header;
	/** Bytes at the end that are no whole record. */
	readonly torn: number;
	/** The reason of the end; `undefined` when the recorder was killed. */
	readonly ended: string | undefined;
	readonly #file: Buffer;
	readonly #places: readonly Place[];
	readonly #read: ReadSnapshot;
	/** The last frame that was made: the next one is mostly a neighbour. */
	#made: {readonly index: number; readonly raw: Raw} | undefined;

	/** @throws `usage` when the file is no recording, or one of a newer format */
	constructor(path: string, read: ReadSnapshot) {
		this.path = path;
		this.#read = read;
		this.#file = fileOf(path);
		const scan = scanned(path, this.#file);
		({header: this.header, torn: this.torn, ended: this.ended} = scan);
		this.#places = scan.places;
	}

	get length(): number {
		return this.#places.length;
	}

	atMs(index: number): number {
		return this.#places[index]!.at;
	}

	isMark(index: number): boolean {
		return this.#places[index]!.isMark;
	}

	/** @throws `usage` when the snapshot is malformed */
	frame(index: number): Frame {
		const {type, at} = this.#places[index]!;
		const raw = this.#raw(index);
		const snapshot = raw.state === undefined ? undefined : this.#read(snapshotOf(raw));
		if (raw.state !== undefined && !snapshot)
			throw new DapssError(
				'usage',
				`Expected a snapshot in record ${index + 1} of ${this.path}: it is malformed`,
			);
		if (type !== 'link') return {atMs: at, snapshot};
		const {state, server, why} = this.#record(index) as LinkRecord;
		const texts = [server, why].filter(one => typeof one === 'string');
		return {atMs: at, snapshot, ...(state !== 'connected' && {lost: texts.join(': ')})};
	}

	#raw(index: number): Raw {
		if (this.#made?.index === index) return this.#made.raw;
		const {base} = this.#places[index]!;
		const isAfter = this.#made !== undefined && this.#made.index >= base && this.#made.index < index;
		let raw: Raw = isAfter ? this.#made!.raw : {state: undefined, messages: [], events: []};
		for (let at = isAfter ? this.#made!.index + 1 : base; at <= index; at++) raw = next(raw, this.#record(at));
		this.#made = {index, raw};
		return raw;
	}

	#record(index: number): FileRecord {
		const {start, end} = this.#places[index]!;
		return JSON.parse(this.#file.toString('utf8', start, end)) as FileRecord;
	}
}

function fileOf(path: string): Buffer {
	try {
		const {size} = statSync(path);
		if (size > fileBytesMax)
			throw new DapssError(
				'usage',
				`Expected a recording of at most ${fileBytesMax} bytes, got ${size}: ${path}`,
			);
		return readFileSync(path);
	} catch (error) {
		if (error instanceof DapssError) throw error;
		throw new DapssError('usage', `Cannot read ${path}: ${(error as Error).message}`, {cause: error});
	}
}

function scanned(
	path: string,
	file: Buffer,
): {
	readonly header: Header;
	readonly places: readonly Place[];
	readonly torn: number;
	readonly ended: string | undefined;
} {
	const places: Place[] = [];
	let header: Header | undefined;
	let ended: string | undefined;
	let base = 0;
	let start = 0;
	for (let line = 1; start < file.length; line++) {
		const end = file.indexOf(0x0a, start);
		if (end === -1) break;
		const record = recordOf(file.toString('utf8', start, end));
		const isLast = end === file.length - 1;
		// A power cut may leave a block of zeros in place of the last lines.
		if (!record && isLast) break;
		if (!record) throw new DapssError('usage', `Expected a record in line ${line} of ${path}`);
		if (!header && record.type !== 'header') throw new DapssError('usage', `Expected a recording, got ${path}`);
		if (record.type === 'header') {
			expectHeader(path, record);
			header ??= record;
		} else if (record.type === 'end') ended = record.why;
		else {
			if (record.type === 'state' || places.length === 0) base = places.length;
			ended = undefined;
			places.push({
				start,
				end,
				type: record.type,
				at: record.at,
				base,
				isMark: isMark(record),
			});
		}

		start = end + 1;
	}

	if (!header) throw new DapssError('usage', `Expected a recording, got ${path}`);
	if (places.length === 0) throw new DapssError('usage', `The recording ${path} has no snapshot`);
	return {header, places, torn: file.length - start, ended};
}

function recordOf(text: string): FileRecord | undefined {
	try {
		const value = JSON.parse(text) as Partial<FileRecord> | null;
		const isRecord =
			typeof value === 'object' && value !== null && kinds.has(value.type!) && Number.isFinite(value.at);
		return isRecord && isShallow(value, depthMax) ? (value as FileRecord) : undefined;
	} catch {
		return undefined;
	}
}

/** Records are handled recursively. */
function isShallow(value: unknown, levels: number): boolean {
	if (typeof value !== 'object' || value === null) return true;
	return levels > 0 && Object.values(value).every(inner => isShallow(inner, levels - 1));
}

function expectHeader(path: string, {recording, format, cluster, version}: Header): void {
	if (recording !== formatName || typeof cluster !== 'string' || typeof version !== 'string')
		throw new DapssError('usage', `Expected a recording, got ${path}`);
	if (format !== formatVersion)
		throw new DapssError(
			'usage',
			`Expected a recording of format ${formatVersion}, got format ${JSON.stringify(format)} ` +
				`(of dapss-tui ${version}): ${path}`,
		);
}

/** A change of the leader or a partition, to which a reader jumps. */
function isMark(record: StateRecord | ChangeRecord | FileRecord): boolean {
	if (record.type !== 'change' || !Array.isArray(record.events)) return false;
	return record.events.some(
		(event: Partial<RecordedEvent> | null) => event?.type === 'leader' || event?.type === 'partition',
	);
}

/** The frame after a record. The lists keep their newest items, as many as the node had. */
function next(before: Raw, record: FileRecord): Raw {
	if (record.type === 'state')
		return {state: record.state, messages: listOf(record.messages), events: listOf(record.events)};
	if (record.type !== 'change') return before;
	return {
		state: record.change === undefined ? before.state : patched(before.state, record.change),
		messages: grown(before.messages, record.messages, record.kept),
		events: grown(before.events, record.events, record.keptEvents),
	};
}

function grown(before: readonly unknown[], added: unknown, kept: unknown): readonly unknown[] {
	if (added === undefined) return before;
	const all = [...before, ...listOf(added)];
	return Number.isSafeInteger(kept) && (kept as number) > 0 ? all.slice(-(kept as number)) : [];
}

function listOf(value: unknown): readonly unknown[] {
	return Array.isArray(value) ? (value as unknown[]) : [];
}

function snapshotOf({state, messages, events}: Raw): unknown {
	const {partition, ...rest} = (typeof state === 'object' && state !== null ? state : {}) as Record<string, unknown>;
	return {...rest, partition: withoutNull(partition), feed: messages.map(message => withBytes(message)), events};
}

/** JSON has no `undefined` in a list: it becomes `null`. */
function withoutNull(partition: unknown): unknown {
	if (typeof partition !== 'object' || partition === null || !('sees' in partition)) return partition;
	const rows = listOf(partition.sees);
	return {
		...partition,
		sees: rows.map(row => (Array.isArray(row) ? row.map((one: unknown) => one ?? undefined) : row)),
	};
}

function withBytes(message: unknown): unknown {
	if (typeof message !== 'object' || message === null || !('preview' in message)) return message;
	const {preview} = message;
	return {
		...message,
		preview: typeof preview === 'string' ? new Uint8Array(Buffer.from(preview, 'base64')) : preview,
	};
}
