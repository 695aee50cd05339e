/**
The bytes of a segment of the log.

```
header    twice: "DAPSLOG2" | u64 first position | u32 salt | u32 CRC32C of the twenty       48 bytes
record    u32 length | u32 back | u32 check | u32 CRC32C of the payload, begun with check | payload
```
Positions count the bytes of all records since the log began, headers of segments left out.

- `check` mixes the salt, the position, `length` and `back`, so a record says where it belongs: one of another place,
  left over in a reused block, is never taken for one of this place. It costs no call, so that the next good record
  after damage is found by looking at every byte. The salt is drawn for each segment: a publisher cannot plant bytes
  that look like a record.
- `back` says how far behind this record everything was on the disk when it was written. That tells a crash from damage:
  a bad record that a later one knows to have been synced is damage; one that nothing is known of may never have been
  written. (The question is that of Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018,
  section 3.3.)
- The header is there twice, because without its salt nothing in the segment can be checked.
*/
import {crc32c} from '../../crc32c.ts';

export type SegmentHead = {readonly first: number; readonly salt: number};

const copyBytes = 24;
export const segmentHeaderBytes = 2 * copyBytes;
export const recordHeaderBytes = 16;
/** A record is no longer than this, bytes. */
export const recordBytesMax = 16 * 1024 * 1024;
const magic = Buffer.from('DAPSLOG2');

export function encodeSegmentHead({first, salt}: SegmentHead): Buffer {
	const copy = Buffer.alloc(copyBytes);
	magic.copy(copy);
	copy.writeBigUInt64BE(BigInt(first), 8);
	copy.writeUInt32BE(salt, 16);
	copy.writeUInt32BE(crc32c(copy.subarray(0, 20)), 20);
	return Buffer.concat([copy, copy]);
}

/** What either copy of the header says; `undefined` when both are damaged. */
export function decodeSegmentHead(bytes: Buffer): SegmentHead | undefined {
	for (let at = 0; at + copyBytes <= bytes.length && at < segmentHeaderBytes; at += copyBytes) {
		const copy = bytes.subarray(at, at + copyBytes);
		if (!copy.subarray(0, 8).equals(magic) || copy.readUInt32BE(20) !== crc32c(copy.subarray(0, 20))) continue;
		const first = Number(copy.readBigUInt64BE(8));
		if (Number.isSafeInteger(first)) return {first, salt: copy.readUInt32BE(16)};
	}

	return undefined;
}

/**
What is newer about a segment than this program: the header of a later format, whole; `undefined` when nothing is.
*/
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
Write the head of a record into `target` at `at`.
@param syncedEnd everything before this position is on the disk.
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

/** Length of the payload whose head lies at `at`; -1 when there is no head of a record at that position. */
export function payloadLengthAt(bytes: Buffer, at: number, position: number, salt: number): number {
	if (at + recordHeaderBytes > bytes.length) return -1;
	const length = uint32(bytes, at);
	if (length > recordBytesMax) return -1;
	return uint32(bytes, at + 8) === checkOf(salt, position, length, uint32(bytes, at + 4)) ? length : -1;
}

/** The payload behind a good head at `at`, a slice. All of it must be in `bytes`. */
export function payloadAt(bytes: Buffer, at: number, length: number): Buffer {
	const start = at + recordHeaderBytes;
	return bytes.subarray(start, start + length);
}

/** True when the payload behind the head at `at` is what was written. */
export function isPayloadGood(bytes: Buffer, at: number, payload: Buffer): boolean {
	return crc32c(payload, uint32(bytes, at + 8)) === uint32(bytes, at + 12);
}

/** The position before which all was on the disk when this record was written. */
export function syncedBefore(bytes: Buffer, at: number, position: number): number {
	return position - uint32(bytes, at + 4);
}

/** Every step is a bijection, so that no change of one field alone, and no flipped bit, leaves the result as it was. */
function checkOf(salt: number, position: number, length: number, back: number): number {
	let hash = mix(salt ^ (position >>> 0));
	hash = mix(hash ^ Math.floor(position / 2 ** 32));
	hash = mix(hash ^ length);
	return mix(hash ^ back) >>> 0;
}

/** The finisher of MurmurHash3 behind an odd constant, so that zeros do not stay zeros. */
function mix(value: number): number {
	let hash = (value + 0x9e_37_79_b9) | 0;
	hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
	return hash ^ (hash >>> 16);
}

/** `readUInt32BE` without its checks of the offset: this is asked for every byte of a damaged segment. */
function uint32(bytes: Buffer, at: number): number {
	return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
