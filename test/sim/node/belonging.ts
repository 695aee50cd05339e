/**
Who belongs to the cluster, by the configurations that were applied anywhere. There is one cluster here, with room for all, so nobody who asks to
be taken in is ever to be sent away for good but who was removed.
*/
import type {NodeId} from '../../../core/message.ts';

export class Belonging {
	readonly #ever = new Set<NodeId>();
	#members: ReadonlySet<NodeId> = new Set();
	#index = 0;

	/** Voters and learners by the configuration at this index. */
	configured(index: number, members: readonly NodeId[]): void {
		for (const member of members) this.#ever.add(member);
		if (index <= this.#index) return;
		this.#index = index;
		this.#members = new Set(members);
	}

	wasRemoved(node: NodeId): boolean {
		return this.#ever.has(node) && !this.#members.has(node);
	}
}
