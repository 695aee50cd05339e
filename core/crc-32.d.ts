/** The package has types for its main file only. */
declare module 'crc-32/crc32c.js' {
	/** The checksum, as a signed number. */
	export function buf(bytes: Uint8Array, seed?: number): number;
}
