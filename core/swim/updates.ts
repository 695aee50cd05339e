/**
Rumours on their way: the newest word about each member, passed on with the packets that go out anyway, the least told first,
until each was told often enough to have reached everyone with high probability (SWIM, section 4.1). One a member, so it is
bounded by the membership.
*/
import type {NodeId} from '../message.ts';
import type {Update} from './packet.ts';

type Rumour = {readonly update: Update; told: number};

export class Updates {
	readonly #rumours = new Map<NodeId, Rumour>();

	get size(): number {
		return this.#rumours.size;
	}

	has(id: NodeId): boolean {
		return this.#rumours.has(id);
	}

	/** Pass this word on from now; an older one about the same member is dropped. */
	put(update: Update): void {
		this.#rumours.delete(update[0]);
		this.#rumours.set(update[0], {update, told: 0});
	}

	delete(id: NodeId): void {
		this.#rumours.delete(id);
	}

	/** Up to `count` words for `to`, the least told first; each is forgotten once told `transmissions` times. Not those about `to`: it gets its own apart. */
	take(to: NodeId, count: number, transmissions: number): Update[] {
		if (this.#rumours.size === 0) return [];
		const chosen = [...this.#rumours.values()].filter(({update}) => update[0] !== to).toSorted((a, b) => a.told - b.told).slice(0, count);
		for (const rumour of chosen) {
			rumour.told++;
			if (rumour.told >= transmissions) this.#rumours.delete(rumour.update[0]);
		}

		return chosen.map(({update}) => update);
	}
}
