/**
The members of the cluster, by the configurations applied on any node. There is one cluster with room for all, so a node
may permanently reject a joining node only if that node was removed. And no member may be removed while its data exist,
unless an operator asks for it: a new host at its address says nothing about its disk.
*/
import type {NodeId} from '../../../../core/message.ts';

export class MembershipHistory {
	readonly #ever = new Set<NodeId>();
	#members: ReadonlySet<NodeId> = new Set();
	#index = 0;

	/** Voters and learners of the configuration at this index. Returns the members that it removes. */
	apply(index: number, members: readonly NodeId[]): readonly NodeId[] {
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
