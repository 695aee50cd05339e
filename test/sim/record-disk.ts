/**
A simple disk for records, from a seed. A written record is synced after a while. A crash keeps everything that was
synced and a random prefix of the rest, because records reach the disk in order.
*/
import type {SeededRandom} from './random.ts';
import type {Schedule} from './schedule.ts';

export type RecordDiskOptions = {
	readonly schedule: Schedule;
	readonly random: SeededRandom;
	/** Least and most duration of a sync, milliseconds. */
	readonly syncMs: readonly [number, number];
};

export class RecordDisk {
	readonly #options: RecordDiskOptions;
	#items: Uint8Array[] = [];
	/** How many of the kept items, counted from the first, are synced. */
	#synced = 0;
	/** Grows at a crash, which cancels the callbacks of writes in progress. */
	#crashes = 0;
	#lastSyncAtMs = 0;
	lostItems = 0;

	constructor(options: RecordDiskOptions) {
		this.#options = options;
	}

	/** What a restart reads back. Call after `crash`. */
	get items(): readonly Uint8Array[] {
		return this.#items;
	}

	append(items: readonly Uint8Array[], onSynced: () => void): void {
		const {
			schedule,
			random,
			syncMs: [least, most],
		} = this.#options;
		const crashes = this.#crashes;
		for (const item of items) this.#items.push(Uint8Array.from(item));
		// Syncs end in the order of their calls.
		const atMs = Math.max(this.#lastSyncAtMs, schedule.nowMs + random.between(least, most));
		this.#lastSyncAtMs = atMs;
		schedule.after(atMs - schedule.nowMs, () => {
			if (crashes !== this.#crashes) return;
			this.#synced += items.length;
			onSynced();
		});
	}

	/** Remove the oldest `count` items, as retention does, but only synced ones. */
	drop(count: number): void {
		const dropped = Math.min(count, this.#synced);
		this.#items.splice(0, dropped);
		this.#synced -= dropped;
	}

	crash(): void {
		const unsynced = this.#items.length - this.#synced;
		const kept = this.#options.random.between(0, unsynced);
		this.lostItems += unsynced - kept;
		this.#items.length = this.#synced + kept;
		this.#synced = this.#items.length;
		this.#crashes++;
		this.#lastSyncAtMs = 0;
	}
}
