/**
Who belongs to the cluster, by the configurations that were applied anywhere. There is one cluster here, with room for
all, so nobody who asks to be admitted is ever to be refused for good but who was removed. And nobody is removed whose
data exist, unless an operator wants it: an address that somebody else has now says nothing about the disk of the one
who had it.
*/
import type {NodeId} from '../../../core/message.ts';

export class Belonging {
	readonly #ever = new Set<NodeId>();
	#members: ReadonlySet<NodeId> = new Set();
	#index = 0;

	/** Voters and learners by the configuration at this index. Who is no longer one. */
	configured(index: number, members: readonly NodeId[]): readonly NodeId[] {
		for (const member of members) this.#ever.add(member);
		if (index <= this.#index) return [];
		const removed = [...this.#members].filter(member => !members.includes(member));
		this.#index = index;
		this.#members = new Set(members);
		return removed;
	}

	wasRemoved(node: NodeId): boolean {
		return this.#ever.has(node) && !this.#members.has(node);
	}
}
