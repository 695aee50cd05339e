/**
CRC32C (Castagnoli), the checksum of stored data. The native implementation is several times as fast for long records,
but it is an optional package per platform that may be missing or fail to load. The JavaScript implementation gives the
same sums everywhere.
*/
import {createRequire} from 'node:module';
import library from 'crc-32/crc32c.js'; // CommonJS that shows Node no names.

/** @param seed the checksum of the preceding bytes @default 0 */
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
