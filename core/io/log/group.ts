/** A group of appends that share a write and an fsync, and the buffers for that write. */
import type {Segment} from './recovery.ts';
import {recordHeaderBytes, writeRecordHead} from './segment.ts';

export type Group = {
	readonly type: 'group';
	/** The position of the first record. The others follow without a gap, also across segments. */
	readonly first: number;
	readonly records: Uint8Array[];
	bytes: number;
	/** An append in the group waits for the fsync. */
	mustSync: boolean;
	/** An append in the group waits only for the write, which then happens even during an fsync. */
	isEager: boolean;
	readonly written: PromiseWithResolvers<void>;
	readonly synced: PromiseWithResolvers<void>;
};

/** Payloads up to this size are copied into one buffer, which costs less than an entry of their own in the writev. */
const copyBytesMax = 4096;

/** An empty group whose first record has this position. */
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
	// The caller need not wait: the log's `failed` reports a failure too.
	group.written.promise.catch(() => undefined);
	group.synced.promise.catch(() => undefined);
	return group;
}

/**
The buffers of the records from `index` on that belong to the segment, with their heads.
@param position the position of the record at `index`
@param syncedEnd everything before this position is on the disk
*/
export function assemble(
	records: readonly Uint8Array[],
	index: number,
	position: number,
	segment: Segment,
	syncedEnd: number,
): {readonly buffers: Uint8Array[]; readonly count: number; readonly end: number} {
	let stop = index;
	let end = position;
	let copied = 0;
	for (; stop < records.length && end < segment.end; stop++) {
		const {length} = records[stop]!;
		copied += recordHeaderBytes + (length > copyBytesMax ? 0 : length);
		end += recordHeaderBytes + length;
	}

	const heads = Buffer.allocUnsafe(copied);
	const buffers: Uint8Array[] = [];
	/** The start of the part of `room` that is not in `buffers` yet. */
	let from = 0;
	let at = 0;
	for (let next = index; next < stop; next++) {
		const record = records[next]!;
		writeRecordHead(heads, at, record, position, syncedEnd, segment.salt);
		at += recordHeaderBytes;
		position += recordHeaderBytes + record.length;
		if (record.length <= copyBytesMax) {
			heads.set(record, at);
			at += record.length;
		} else {
			buffers.push(heads.subarray(from, at), record);
			from = at;
		}
	}

	if (from < at) buffers.push(heads.subarray(from, at));
	return {buffers, count: stop - index, end};
}
