/**
Records of a topic's log: `u48 offset of the first message | u8 hops | u8 flags (1 repaired, 2 mark, 4 fill, 8 dated)`,
then, if dated, `u48 arrival in milliseconds of the retention clock`, then the batch as its origin sealed it. All
records are dated, except marks and those of earlier programs.

A **mark** stands for what retention deleted: `u16 topic length | topic`, then for each stream without retained batches
`8 B origin | u32 incarnation | u48 next sequence number | u48 Lamport stamp of its last batch`. Without marks a restart
would forget these streams and pull them from other nodes again, and an empty log would count its offsets from 0 again.

A **fill** is a backfilled batch: damage took it and a peer returned it. Its offset is in a hole before it
(`backfilled-ranges.ts`).
*/
import {
	decodeBatch,
	decodeStoredHeader,
	newerBatch,
	type Batch,
	type BatchHeader,
	type NodeId,
	type StoredBatch,
	type Topic,
} from '../message.ts';

/** The position of a stream without retained batches. */
export type DroppedStream = {
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly next: number;
	readonly lamport: number;
};
export type TopicMark = {
	readonly type: 'mark';
	readonly offset: number;
	readonly topic: Topic;
	readonly streams: readonly DroppedStream[];
};
export type TopicRecord = (StoredBatch & {readonly type: 'batch' | 'fill'}) | TopicMark;

const prefixBytes = 8;
const datedPrefixBytes = 14;
const flagRepaired = 1;
const flagMark = 2;
const flagFill = 4;
const flagDated = 8;
const arrivedMsMax = 2 ** 48 - 1;
const streamBytes = 24;

/** @param arrivedMs arrival by the retention clock */
export function encodeStored(
	batch: Batch,
	{offset, hops, repaired, arrivedMs}: Omit<StoredBatch, 'batch'> & {readonly arrivedMs: number},
): Buffer {
	return encode(batch, {offset, hops: Math.min(hops, 255), flags: repaired ? flagRepaired : 0, arrivedMs});
}

/** @param arrivedMs when it came back, by the retention clock */
export function encodeFill(
	batch: Batch,
	{offset, arrivedMs}: {readonly offset: number; readonly arrivedMs: number},
): Buffer {
	return encode(batch, {offset, hops: 0, flags: flagFill, arrivedMs});
}

function encode(
	batch: Batch,
	{
		offset,
		hops,
		flags,
		arrivedMs,
	}: {readonly offset: number; readonly hops: number; readonly flags: number; readonly arrivedMs: number},
): Buffer {
	const record = Buffer.allocUnsafe(datedPrefixBytes + batch.bytes.length);
	record.writeUIntBE(offset, 0, 6);
	record[6] = hops;
	record[7] = flags | flagDated;
	record.writeUIntBE(Math.min(Math.max(0, Math.floor(arrivedMs)), arrivedMsMax), prefixBytes, 6);
	record.set(batch.bytes, datedPrefixBytes);
	return record;
}

export function encodeMark({offset, topic, streams}: Omit<TopicMark, 'type'>): Buffer {
	const name = Buffer.from(topic);
	const record = Buffer.alloc(prefixBytes + 2 + name.length + streams.length * streamBytes);
	record.writeUIntBE(offset, 0, 6);
	record[7] = flagMark;
	record.writeUInt16BE(name.length, prefixBytes);
	name.copy(record, prefixBytes + 2);
	let at = prefixBytes + 2 + name.length;
	for (const {origin, incarnation, next, lamport} of streams) {
		record.write(origin, at, 8, 'hex');
		record.writeUInt32BE(incarnation, at + 8);
		record.writeUIntBE(next, at + 12, 6);
		record.writeUIntBE(lamport, at + 18, 6);
		at += streamBytes;
	}

	return record;
}

/**
Like `decodeRecord`, but with the header of a batch only, which is enough to scan the whole log. `arrivedMs`:
`undefined` for a record without a date.
*/
export function decodeRecordHeader(bytes: Uint8Array):
	| {
			readonly type: 'batch' | 'fill';
			readonly offset: number;
			readonly repaired: boolean;
			readonly arrivedMs: number | undefined;
			readonly header: BatchHeader;
	  }
	| TopicMark
	| undefined {
	const record = asBuffer(bytes);
	if (!isKnown(record)) return undefined;
	const offset = record.readUIntBE(0, 6);
	if (record[7] === flagMark) return decodeMark(record, offset);
	const header = decodeStoredHeader(record, batchAt(record));
	return (
		header && {
			...kindOf(record),
			offset,
			arrivedMs: isDated(record) ? record.readUIntBE(prefixBytes, 6) : undefined,
			header,
		}
	);
}

/** `undefined` for a record that this version does not know. A batch is a slice of `bytes`, not a copy. */
export function decodeRecord(bytes: Uint8Array): TopicRecord | undefined {
	const record = asBuffer(bytes);
	if (!isKnown(record)) return undefined;
	const offset = record.readUIntBE(0, 6);
	if (record[7] === flagMark) return decodeMark(record, offset);
	const batch = decodeBatch(record.subarray(batchAt(record)));
	return batch && {...kindOf(record), offset, hops: record[6]!, batch};
}

/** Describes what is too new about a record; `undefined` when this program reads it. */
export function newerInTopicRecord(record: Buffer): string | undefined {
	if (record.length <= prefixBytes) return `a record of ${record.length} bytes, which this program does not know`;
	if (!isKnown(record)) return `a record with the flags ${record[7]}, which this program does not know`;
	return record[7] === flagMark ? undefined : newerBatch(record, batchAt(record));
}

function isKnown(record: Buffer): boolean {
	const kind = record[7]! & ~flagDated;
	return record.length > batchAt(record) && (kind <= flagRepaired || kind === flagFill || record[7] === flagMark);
}

function isDated(record: Buffer): boolean {
	return (record[7]! & flagDated) !== 0;
}

function batchAt(record: Buffer): number {
	return isDated(record) ? datedPrefixBytes : prefixBytes;
}

function kindOf(record: Buffer): {readonly type: 'batch' | 'fill'; readonly repaired: boolean} {
	const kind = record[7]! & ~flagDated;
	return {type: kind === flagFill ? 'fill' : 'batch', repaired: kind !== 0};
}

function asBuffer(bytes: Uint8Array): Buffer {
	return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decodeMark(record: Buffer, offset: number): TopicMark | undefined {
	if (record.length < prefixBytes + 2) return undefined;
	const start = prefixBytes + 2 + record.readUInt16BE(prefixBytes);
	if (record.length < start || (record.length - start) % streamBytes !== 0) return undefined;
	const streams: DroppedStream[] = [];
	for (let at = start; at < record.length; at += streamBytes) {
		streams.push({
			origin: record.toString('hex', at, at + 8) as NodeId,
			incarnation: record.readUInt32BE(at + 8),
			next: record.readUIntBE(at + 12, 6),
			lamport: record.readUIntBE(at + 18, 6),
		});
	}

	return {type: 'mark', offset, topic: record.toString('utf8', prefixBytes + 2, start) as Topic, streams};
}
