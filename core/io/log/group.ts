/** A group of appends that share a write and an fsync, and the buffers that it becomes. */
import type {Segment} from './recovery.ts';
import {recordHeaderBytes, writeRecordHead} from './segment.ts';

export type Group = {
	readonly type: 'group';
	/** Position of the first record; the others follow without a gap, whatever segments they lie in. */
	readonly first: number;
	readonly records: Uint8Array[];
	bytes: number;
	/** Somebody waits for the disk. */
	mustSync: boolean;
	/** Somebody waits for no more than the operating system: written even while an fsync runs. */
	isEager: boolean;
	readonly written: PromiseWithResolvers<void>;
	readonly synced: PromiseWithResolvers<void>;
};

/** Payloads up to this size are copied into one buffer, which costs less than a place of their own in the writev. */
const copyBytesMax = 4096;

export function createGroup(first: number): Group {
	const group: Group = {
		type: 'group',
		first,
		records: [],
		bytes: 0,
		mustSync: false,
		isEager: false,
		written: Promise.withResolvers(),
		synced: Promise.withResolvers(),
	};
	// Nobody has to wait: a failure is told by the log's `failed`, too.
	group.written.promise.catch(() => undefined);
	group.synced.promise.catch(() => undefined);
	return group;
}

/**
The buffers of the records from `index` on that lie in the segment, with their heads.

@param position where the first of them goes. @param syncedEnd everything before it is on the disk.
*/
export function assemble(
	records: readonly Uint8Array[],
	index: number,
	position: number,
	segment: Segment,
	syncedEnd: number,
): {readonly buffers: Uint8Array[]; readonly count: number; readonly end: number} {
	let past = index;
	let end = position;
	let copied = 0;
	for (; past < records.length && end < segment.end; past++) {
		const {length} = records[past]!;
		copied += recordHeaderBytes + (length > copyBytesMax ? 0 : length);
		end += recordHeaderBytes + length;
	}

	const room = Buffer.allocUnsafe(copied);
	const buffers: Uint8Array[] = [];
	/** What of `room` is not in `buffers` yet. */
	let from = 0;
	let at = 0;
	for (let next = index; next < past; next++) {
		const record = records[next]!;
		writeRecordHead(room, at, record, position, syncedEnd, segment.salt);
		at += recordHeaderBytes;
		position += recordHeaderBytes + record.length;
		if (record.length <= copyBytesMax) {
			room.set(record, at);
			at += record.length;
		} else {
			buffers.push(room.subarray(from, at), record);
			from = at;
		}
	}

	if (from < at) buffers.push(room.subarray(from, at));
	return {buffers, count: past - index, end};
}
