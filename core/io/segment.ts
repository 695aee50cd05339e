/**
The format of a segment of the log, and the reading of it.

```
segment   "DAPSLOG1" | u64 first position | u32 CRC32C of the two          20 bytes
record    u32 length | u32 CRC32C of (u64 position, u32 length, payload) | payload
```
Positions count the bytes of all records since the log began, headers of segments left out. The position is part of the checksum, so
that a record of another place, left over in a reused block, is never taken for one of this place.
*/
import {crc32c} from '@node-rs/crc32';
import type {LogRecord} from '../ports.ts';

export const segmentHeaderBytes = 20;
export const recordHeaderBytes = 8;
const magic = Buffer.from('DAPSLOG1');

export function encodeSegmentHeader(first: number): Buffer {
	const header = Buffer.alloc(segmentHeaderBytes);
	magic.copy(header);
	header.writeBigUInt64BE(BigInt(first), 8);
	header.writeUInt32BE(crc32c(header.subarray(0, 16)), 16);
	return header;
}

/** The first position that a segment's header names; `undefined` when it is none. */
export function decodeSegmentHeader(header: Buffer): number | undefined {
	if (header.length < segmentHeaderBytes || !header.subarray(0, 8).equals(magic) || header.readUInt32BE(16) !== crc32c(header.subarray(0, 16))) return undefined;
	return Number(header.readBigUInt64BE(8));
}

export function encodeRecordHeader(position: number, payload: Uint8Array): Buffer {
	const header = Buffer.allocUnsafe(recordHeaderBytes);
	header.writeUInt32BE(payload.length, 0);
	header.writeUInt32BE(checksum(position, payload), 4);
	return header;
}

function checksum(position: number, payload: Uint8Array): number {
	const place = Buffer.allocUnsafe(12);
	place.writeBigUInt64BE(BigInt(position), 0);
	place.writeUInt32BE(payload.length, 8);
	return crc32c(payload, crc32c(place));
}

export type Scanned = {
	readonly records: readonly LogRecord[];
	/** Bytes of `chunk` that were whole, valid records. */
	readonly used: number;
	/** `bad`: what follows is no valid record. `short`: it may be one, but the chunk ends. `end`: nothing follows. */
	readonly stop: 'bad' | 'short' | 'end';
	/** `short`: bytes that the next record needs. */
	readonly needed: number;
};

/** The records at the beginning of a chunk that starts at `position`. Payloads are slices of it. */
export function scan(chunk: Buffer, position: number, recordBytesMax: number): Scanned {
	const records: LogRecord[] = [];
	let at = 0;
	while (at + recordHeaderBytes <= chunk.length) {
		const length = chunk.readUInt32BE(at);
		if (length > recordBytesMax) return {records, used: at, stop: 'bad', needed: 0};
		const end = at + recordHeaderBytes + length;
		if (end > chunk.length) return {records, used: at, stop: 'short', needed: recordHeaderBytes + length};
		const payload = chunk.subarray(at + recordHeaderBytes, end);
		if (chunk.readUInt32BE(at + 4) !== checksum(position + at, payload)) return {records, used: at, stop: 'bad', needed: 0};
		records.push({position: position + at, bytes: payload});
		at = end;
	}

	return {records, used: at, stop: at === chunk.length ? 'end' : 'short', needed: recordHeaderBytes};
}

/** Where the next valid record begins behind `from`, byte by byte; -1 when there is none in the chunk. */
export function findRecord(chunk: Buffer, position: number, from: number, recordBytesMax: number): number {
	for (let at = from; at + recordHeaderBytes <= chunk.length; at++) {
		const length = chunk.readUInt32BE(at);
		const end = at + recordHeaderBytes + length;
		if (length > recordBytesMax || end > chunk.length) continue;
		if (chunk.readUInt32BE(at + 4) === checksum(position + at, chunk.subarray(at + recordHeaderBytes, end))) return at;
	}

	return -1;
}
