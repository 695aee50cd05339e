/**
What a topic's log stores in a record: `u48 offset of the first message | u8 hops | u8 flags (1 repaired, 2 mark, 4 fill)`, then the batch as its
origin sealed it.

A **mark** stands there for what retention took: `u16 topic length | topic`, then for each stream of which nothing is kept
`8 B origin | u32 incarnation | u48 next sequence number | u48 Lamport stamp of its last batch`. Without it a restart would forget that
the stream was ever read, and pull it from other nodes again; and an emptied log would count its offsets from 0 again.

A **fill** is a batch that damage had taken and a peer gave back: its offset lies in a hole before it (`topic-fills.ts`).
*/
import type {StoredBatch} from './delivery.ts';
import {decodeBatch, decodeStoredHeader, newerBatch, type Batch, type BatchHeader, type NodeId, type Topic} from './message.ts';

/** A stream of which nothing is kept: where it goes on. */
export type GoneStream = {readonly origin: NodeId; readonly incarnation: number; readonly next: number; readonly lamport: number};
export type TopicMark = {readonly type: 'mark'; readonly offset: number; readonly topic: Topic; readonly streams: readonly GoneStream[]};
export type TopicRecord = (StoredBatch & {readonly type: 'batch' | 'fill'}) | TopicMark;

export const prefixBytes = 8;
const flagRepaired = 1;
const flagMark = 2;
const flagFill = 4;
const streamBytes = 24;

export function encodeStored(batch: Batch, offset: number, hops: number, repaired: boolean): Buffer {
	const record = Buffer.allocUnsafe(prefixBytes + batch.bytes.length);
	record.writeUIntBE(offset, 0, 6);
	record[6] = Math.min(hops, 255);
	record[7] = repaired ? flagRepaired : 0;
	record.set(batch.bytes, prefixBytes);
	return record;
}

export function encodeFill(batch: Batch, offset: number): Buffer {
	const record = encodeStored(batch, offset, 0, true);
	record[7] = flagFill;
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

/** As `decodeRecord`, but of a batch no more than its header: what a scan of the whole log needs. */
export function decodeRecordHeader(bytes: Uint8Array): {readonly type: 'batch' | 'fill'; readonly offset: number; readonly repaired: boolean; readonly header: BatchHeader} | TopicMark | undefined {
	const record = asBuffer(bytes);
	if (!isKnown(record)) return undefined;
	const offset = record.readUIntBE(0, 6);
	if (record[7] === flagMark) return decodeMark(record, offset);
	const header = decodeStoredHeader(record, prefixBytes);
	return header && {type: record[7] === flagFill ? 'fill' : 'batch', offset, repaired: record[7] !== 0, header};
}

/** `undefined` for what this version does not know. A batch is a slice of `bytes`, not a copy. */
export function decodeRecord(bytes: Uint8Array): TopicRecord | undefined {
	const record = asBuffer(bytes);
	if (!isKnown(record)) return undefined;
	const offset = record.readUIntBE(0, 6);
	if (record[7] === flagMark) return decodeMark(record, offset);
	const batch = decodeBatch(record.subarray(prefixBytes));
	return batch && {type: record[7] === flagFill ? 'fill' : 'batch', offset, hops: record[6]!, repaired: record[7] !== 0, batch};
}

/** What is newer about a record, which is as it was written, than this program; `undefined` when nothing is. */
export function newerInTopicRecord(record: Buffer): string | undefined {
	if (record.length <= prefixBytes) return `a record of ${record.length} bytes, which this program does not know`;
	if (!isKnown(record)) return `a record with the flags ${record[7]}, which this program does not know`;
	return record[7] === flagMark ? undefined : newerBatch(record, prefixBytes);
}

function isKnown(record: Buffer): boolean {
	return record.length > prefixBytes && (record[7]! <= flagMark || record[7] === flagFill);
}

function asBuffer(bytes: Uint8Array): Buffer {
	return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decodeMark(record: Buffer, offset: number): TopicMark | undefined {
	if (record.length < prefixBytes + 2) return undefined;
	const start = prefixBytes + 2 + record.readUInt16BE(prefixBytes);
	if (record.length < start || (record.length - start) % streamBytes !== 0) return undefined;
	const streams: GoneStream[] = [];
	for (let at = start; at < record.length; at += streamBytes) {
		streams.push({origin: record.toString('hex', at, at + 8) as NodeId, incarnation: record.readUInt32BE(at + 8), next: record.readUIntBE(at + 12, 6), lamport: record.readUIntBE(at + 18, 6)});
	}

	return {type: 'mark', offset, topic: record.toString('utf8', prefixBytes + 2, start) as Topic, streams};
}
