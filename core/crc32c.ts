/**
CRC32C (Castagnoli), the checksum of everything that a node keeps. The native implementation is several times as fast
with long records, but it comes as an optional package for each platform, which may be missing or fail to load. The one
in JavaScript gives the same sums everywhere.
*/
import {createRequire} from 'node:module';
import library from 'crc-32/crc32c.js'; // CommonJS that shows Node no names.

/** @param seed the checksum of what stands before it @default 0 */
export type Crc32c = (bytes: Uint8Array | string, seed?: number) => number;

export const crc32cInJavaScript: Crc32c = (bytes, seed = 0) =>
	library.buf(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, seed) >>> 0;

export const crc32c: Crc32c = native() ?? crc32cInJavaScript;

/** Required, not imported: a module that awaits at its top level cannot be required by programs in CommonJS. */
function native(): Crc32c | undefined {
	try {
		return (createRequire(import.meta.url)('@node-rs/crc32') as {readonly crc32c: Crc32c}).crc32c;
	} catch {
		return undefined; // No binding for this platform.
	}
}
