/**
CRC32C (Castagnoli), the checksum of stored data. The native implementation is several times as fast for long records,
but it is an optional package per platform that may be missing or fail to load. The JavaScript implementation gives the
same sums everywhere.
*/
import library from 'crc-32/crc32c.js'; // CommonJS without exports that Node detects.

/** @param seed the checksum of the preceding bytes @default 0 */
export type Crc32c = (bytes: Uint8Array | string, seed?: number) => number;

export const crc32cInJavaScript: Crc32c = (bytes, seed = 0) =>
	library.buf(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, seed) >>> 0;

export const crc32c: Crc32c = (await native()) ?? crc32cInJavaScript;

async function native(): Promise<Crc32c | undefined> {
	try {
		return (await import('@node-rs/crc32')).crc32c;
	} catch {
		return undefined; // No binding for this platform.
	}
}
