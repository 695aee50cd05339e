/**
What a client published in the last day, in buckets of an hour: bounded memory, however much it publishes. The sum
covers the last 24 to 25 hours.
*/

const hourMs = 3_600_000;
const hoursKept = 25;
/** What a message costs on the disk besides its bytes, when it is alone in its batch. */
export const messageOverheadBytes = 128;

/** The bytes that a publish is charged. */
export function storedBytesOf(bodies: readonly Uint8Array[]): number {
	let bytes = bodies.length * messageOverheadBytes;
	for (const body of bodies) bytes += body.length;
	return bytes;
}

type Hour = {readonly hour: number; bytes: number};

export class DailyUse {
	#hours: readonly Hour[] = [];

	/** The sum. */
	bytes(nowMs: number): number {
		this.#forget(nowMs);
		return this.#hours.reduce((sum, {bytes}) => sum + bytes, 0);
	}

	/** Charges the bytes. The result takes them back, for a publish that failed. */
	charge(bytes: number, nowMs: number): () => void {
		this.#forget(nowMs);
		const hour = Math.floor(nowMs / hourMs);
		let bucket = this.#hours.at(-1);
		if (bucket?.hour !== hour) {
			bucket = {hour, bytes: 0};
			this.#hours = [...this.#hours, bucket];
		}

		const charged = bucket;
		charged.bytes += bytes;
		return () => {
			charged.bytes -= bytes;
		};
	}

	#forget(nowMs: number): void {
		const oldest = Math.floor(nowMs / hourMs) - hoursKept + 1;
		if (this.#hours[0] && this.#hours[0].hour < oldest)
			this.#hours = this.#hours.filter(({hour}) => hour >= oldest);
	}
}
