/**
The rumours that wait to be passed on: the newest word about each member, passed on with the packets that go out anyway,
the least told first, until each was told often enough to have reached everyone with high probability (SWIM, section
4.1). One a member, so it is bounded by the membership.
*/
import type {NodeId} from '../message.ts';
import type {Update} from './packet.ts';

export class Updates {
	/** By how often they were told. */
	readonly #rumours: Array<Map<NodeId, Update>> = [];
	readonly #told = new Map<NodeId, number>();

	get size(): number {
		return this.#told.size;
	}

	has(id: NodeId): boolean {
		return this.#told.has(id);
	}

	/** Pass this word on from now; an older one about the same member is dropped. */
	put(update: Update): void {
		this.delete(update[0]);
		this.#file(update, 0);
	}

	delete(id: NodeId): void {
		const told = this.#told.get(id);
		if (told === undefined) return;
		this.#rumours[told]!.delete(id);
		this.#told.delete(id);
	}

	/**
	Up to `count` words for `to`, the least told first; each is forgotten once told `transmissions` times. Not those
	about `to`: it gets its own apart.
	*/
	take(to: NodeId, count: number, transmissions: number): Update[] {
		const chosen: Update[] = [];
		if (this.#told.size === 0) return chosen;
		for (const rumours of this.#rumours) {
			if (chosen.length === count) break;
			for (const [id, update] of rumours) {
				if (chosen.length === count) break;
				if (id !== to) chosen.push(update);
			}
		}

		for (const update of chosen) {
			const told = this.#told.get(update[0])! + 1;
			this.delete(update[0]);
			if (told < transmissions) this.#file(update, told);
		}

		return chosen;
	}

	#file(update: Update, told: number): void {
		(this.#rumours[told] ??= new Map()).set(update[0], update);
		this.#told.set(update[0], told);
	}
}
