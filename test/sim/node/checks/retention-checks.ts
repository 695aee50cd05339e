/**
Rule: retention deletes nothing early. A batch that is deleted by age arrived at the node about that long ago in virtual
time, although the clocks of the machine and of the publisher are wrong, jump and drift.
*/
import type {BatchHeader} from '../../../../core/message.ts';
import type {Deletion} from '../../../../core/topic-log/retention.ts';
import type {Host} from '../host/host.ts';

/** Clocks drift, and each start may trust a clock that is ahead by an eighth of the retention time. */
const leastShare = 0.5;

const keyOf = ({topic, origin, incarnation, firstSeq}: BatchHeader): string =>
	`${topic} ${origin} ${incarnation} ${firstSeq}`;

export class RetentionChecks {
	readonly #arrivedMs = new Map<Host, Map<string, number>>();
	/** Batches deleted by age that were checked. */
	checked = 0;

	arrived(host: Host, batch: BatchHeader): void {
		const arrived = this.#arrivedMs.get(host) ?? new Map<string, number>();
		this.#arrivedMs.set(host, arrived);
		arrived.set(keyOf(batch), host.options.schedule.nowMs);
	}

	/** Retention deleted these batches. Returns what is wrong. */
	deleted(
		host: Host,
		batches: readonly BatchHeader[],
		deletions: readonly Deletion[],
		ageMs: number,
	): string | undefined {
		const arrived = this.#arrivedMs.get(host);
		const isByAge = deletions.length > 0 && deletions.every(({reason}) => reason === 'age');
		for (const batch of batches) {
			const atMs = arrived?.get(keyOf(batch));
			arrived?.delete(keyOf(batch));
			if (atMs === undefined || !isByAge) continue;
			this.checked++;
			const agedMs = host.options.schedule.nowMs - atMs;
			if (agedMs < ageMs * leastShare)
				return `retention deletes nothing early: ${host.id} deleted ${keyOf(batch)} after ${agedMs} ms, and had to keep it for ${ageMs} ms`;
		}

		return undefined;
	}
}
