/**
CRC32C (Castagnoli), the checksum of everything that a node keeps. The native implementation is several times as fast
with long records, but it comes as an optional package for each platform, which may be missing or fail to load. The one
in JavaScript gives the same sums everywhere.
*/
import library from 'crc-32/crc32c.js'; // CommonJS that shows Node no names.

/** @param seed the checksum of what stands before it @default 0 */
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
