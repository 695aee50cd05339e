/** Bounds of the retention settings of a topic, the same as for `storage` in the configuration. */
const retainAgeSMax = 3650 * 86_400;
const retainBytesMin = 4096;
const retainBytesMax = 2 ** 50;
/** The bounds as text, with the units of the command line. */
export const retainAgeRange = '1s to 3650d';
export const retainBytesRange = '4 KiB to 1 PiB';

/** @param seconds whole */
export function isRetainAge(seconds: number): boolean {
	return Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= retainAgeSMax;
}

/** @param bytes whole */
export function isRetainBytes(bytes: number): boolean {
	return Number.isSafeInteger(bytes) && bytes >= retainBytesMin && bytes <= retainBytesMax;
}
