/**
The queue of rumours: the newest claim about each member, piggybacked on other packets, the least sent first. Each is
sent often enough to reach every member with high probability (SWIM, section 4.1). There is one per member, so the queue
is bounded by the membership.
*/
import type {NodeId} from '../message.ts';
import type {Update} from './packet.ts';

export class Updates {
	/** Indexed by how often they were sent. */
	readonly #rumours: Array<Map<NodeId, Update>> = [];
	readonly #sendCounts = new Map<NodeId, number>();

	get size(): number {
		return this.#sendCounts.size;
	}

	has(id: NodeId): boolean {
		return this.#sendCounts.has(id);
	}

	/** Queues a claim; an older one about the same member is dropped. */
	put(update: Update): void {
		this.delete(update[0]);
		this.#insert(update, 0);
	}

	delete(id: NodeId): void {
		const sends = this.#sendCounts.get(id);
		if (sends === undefined) return;
		this.#rumours[sends]!.delete(id);
		this.#sendCounts.delete(id);
	}

	/**
	Up to `count` rumours for `to`, the least sent first. Each is dropped after `transmissions` sends. Rumours about
	`to` are left out, because it gets those separately.
	*/
	take(to: NodeId, count: number, transmissions: number): Update[] {
		const chosen: Update[] = [];
		if (this.#sendCounts.size === 0) return chosen;
		for (const rumours of this.#rumours) {
			if (chosen.length === count) break;
			for (const [id, update] of rumours) {
				if (chosen.length === count) break;
				if (id !== to) chosen.push(update);
			}
		}

		for (const update of chosen) {
			const sends = this.#sendCounts.get(update[0])! + 1;
			this.delete(update[0]);
			if (sends < transmissions) this.#insert(update, sends);
		}

		return chosen;
	}

	#insert(update: Update, sends: number): void {
		(this.#rumours[sends] ??= new Map()).set(update[0], update);
		this.#sendCounts.set(update[0], sends);
	}
}
