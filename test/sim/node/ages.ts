/**
Whether retention deletes nothing early: what goes by its age came to the node about as long ago, in the time of the
world, whatever the clocks of the machine and of the publisher say, jump and drift.
*/
import type {BatchHeader} from '../../../core/message.ts';
import type {Deletion} from '../../../core/topic-log/retention.ts';
import type {Host} from './host.ts';

/** Clocks drift, and each start believes a clock that is ahead by an eighth of the retention time. */
const leastShare = 0.5;

const keyOf = ({topic, origin, incarnation, firstSeq}: BatchHeader): string =>
	`${topic} ${origin} ${incarnation} ${firstSeq}`;

export class Ages {
	readonly #cameMs = new Map<Host, Map<string, number>>();
	/** Batches that went by their age, and were looked at. */
	checked = 0;

	came(host: Host, batch: BatchHeader): void {
		const came = this.#cameMs.get(host) ?? new Map<string, number>();
		this.#cameMs.set(host, came);
		came.set(keyOf(batch), host.options.schedule.nowMs);
	}

	/** Retention took these. What is wrong about it, if anything. */
	taken(
		host: Host,
		batches: readonly BatchHeader[],
		deletions: readonly Deletion[],
		ageMs: number,
	): string | undefined {
		const came = this.#cameMs.get(host);
		const isByAge = deletions.length > 0 && deletions.every(({reason}) => reason === 'age');
		for (const batch of batches) {
			const atMs = came?.get(keyOf(batch));
			came?.delete(keyOf(batch));
			if (atMs === undefined || !isByAge) continue;
			this.checked++;
			const agedMs = host.options.schedule.nowMs - atMs;
			if (agedMs < ageMs * leastShare)
				return `retention deletes nothing early: ${host.id} deleted ${keyOf(batch)} after ${agedMs} ms, it is to be kept for ${ageMs}`;
		}

		return undefined;
	}
}
