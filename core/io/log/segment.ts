/**
The format of a segment of the log.

```
header  48 bytes, twice: "DAPSLOG2" | u64 first position | u32 salt | u32 CRC32C of the 20 bytes before it
record  u32 length | u32 back | u32 check | u32 CRC32C of the payload, begun with check | payload
```

Positions count the bytes of all records since the log began, without the headers of segments.

- `check` is a hash of the salt, the position, `length` and `back`. It binds a record to its position: a record of
  another place, left in a reused block, is never mistaken for one of this place. It is computed without a call, so the
  next good record after damage can be searched at every byte. The salt is drawn for each segment, so that a publisher
  cannot plant bytes that look like a record.
- `back` is the distance from this record to the position before which everything was synced when it was written. It
  distinguishes a crash from damage. A bad record that a later record knows to have been synced is damage. A bad record
  about which nothing is known may never have been written. (The problem of Alagappan et al., "Protocol-Aware Recovery
  for Consensus-Based Storage", FAST 2018, section 3.3.)
- The header exists twice, because without its salt no record of the segment can be checked.
*/
import {crc32c} from '../../crc32c.ts';

export type SegmentHead = {readonly first: number; readonly salt: number};

const copyBytes = 24;
export const segmentHeaderBytes = 2 * copyBytes;
export const recordHeaderBytes = 16;
/** The maximal length of a record's payload in bytes. */
export const recordBytesMax = 16 * 1024 * 1024;
const magic = Buffer.from('DAPSLOG2');

/** Both copies of the header. */
export function encodeSegmentHead({first, salt}: SegmentHead): Buffer {
	const copy = Buffer.alloc(copyBytes);
	magic.copy(copy);
	copy.writeBigUInt64BE(BigInt(first), 8);
	copy.writeUInt32BE(salt, 16);
	copy.writeUInt32BE(crc32c(copy.subarray(0, 20)), 20);
	return Buffer.concat([copy, copy]);
}

/** The content of the first intact copy of the header; `undefined` when both are damaged. */
export function decodeSegmentHead(bytes: Buffer): SegmentHead | undefined {
	for (let at = 0; at + copyBytes <= bytes.length && at < segmentHeaderBytes; at += copyBytes) {
		const copy = bytes.subarray(at, at + copyBytes);
		if (!copy.subarray(0, 8).equals(magic) || copy.readUInt32BE(20) !== crc32c(copy.subarray(0, 20))) continue;
		const first = Number(copy.readBigUInt64BE(8));
		if (Number.isSafeInteger(first)) return {first, salt: copy.readUInt32BE(16)};
	}

	return undefined;
}

/** The newer format of a segment with an intact header, as text; `undefined` when this program knows the format. */
export function newerSegment(bytes: Buffer): string | undefined {
	const format = /^DAPSLOG(\d)$/.exec(bytes.toString('latin1', 0, 8))?.[1];
	if (
		bytes.length < copyBytes ||
		format === undefined ||
		format <= '2' ||
		bytes.readUInt32BE(20) !== crc32c(bytes.subarray(0, 20))
	)
		return undefined;
	return `format ${format}, this program reads 2`;
}

/**
Writes the head of a record into `target` at `at`.
@param syncedEnd everything before this position is on the disk
*/
export function writeRecordHead(
	target: Buffer,
	at: number,
	payload: Uint8Array,
	position: number,
	syncedEnd: number,
	salt: number,
): void {
	const back = position - syncedEnd;
	const check = checkOf(salt, position, payload.length, back);
	target.writeUInt32BE(payload.length, at);
	target.writeUInt32BE(back, at + 4);
	target.writeUInt32BE(check, at + 8);
	target.writeUInt32BE(crc32c(payload, check), at + 12);
}

/** The length of the payload whose head is at `at`; -1 when no valid head for this position is there. */
export function payloadLengthAt(bytes: Buffer, at: number, position: number, salt: number): number {
	if (at + recordHeaderBytes > bytes.length) return -1;
	const length = uint32(bytes, at);
	if (length > recordBytesMax) return -1;
	return uint32(bytes, at + 8) === checkOf(salt, position, length, uint32(bytes, at + 4)) ? length : -1;
}

/** A slice with the payload after a valid head at `at`. All of it must be in `bytes`. */
export function payloadAt(bytes: Buffer, at: number, length: number): Buffer {
	const start = at + recordHeaderBytes;
	return bytes.subarray(start, start + length);
}

/** Whether the payload after the head at `at` matches its checksum. */
export function isPayloadGood(bytes: Buffer, at: number, payload: Buffer): boolean {
	return crc32c(payload, uint32(bytes, at + 8)) === uint32(bytes, at + 12);
}

/** The position before which everything was on the disk when this record was written. */
export function syncedBefore(bytes: Buffer, at: number, position: number): number {
	return position - uint32(bytes, at + 4);
}

/** Every step is a bijection, so a change of one field alone, such as a flipped bit, always changes the result. */
function checkOf(salt: number, position: number, length: number, back: number): number {
	let hash = mix(salt ^ (position >>> 0));
	hash = mix(hash ^ Math.floor(position / 2 ** 32));
	hash = mix(hash ^ length);
	return mix(hash ^ back) >>> 0;
}

/** The finisher of MurmurHash3 after adding an odd constant, so that zero is no fixed point. */
function mix(value: number): number {
	let hash = (value + 0x9e_37_79_b9) | 0;
	hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
	return hash ^ (hash >>> 16);
}

/** `readUInt32BE` without its range checks: this runs for every byte of a damaged segment. */
function uint32(bytes: Buffer, at: number): number {
	return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
