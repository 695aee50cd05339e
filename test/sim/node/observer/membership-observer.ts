/**
Observes the membership: the configurations that nodes apply, and the nodes that ask to join or are rejected.
*/
import type {NodeId} from '../../../../core/message.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {Violations} from '../../violations.ts';
import {MembershipHistory} from '../checks/membership-history.ts';
import type {Host} from '../host/host.ts';

/** Rejections in a row. A caller is rejected once and accepted at its next call, but newer reports may displace it. */
const refusalsMax = 5;

export class MembershipObserver {
	readonly #violations: Violations;
	readonly #mayBeRemoved: (node: NodeId) => boolean;
	readonly #history = new MembershipHistory();
	/** Ids whose disk was copied. */
	readonly #sharedIds = new Set<NodeId>();
	/** The id of the cluster that was founded first. */
	#clusterId: string | undefined;

	/** @param mayBeRemoved whether an operator asked for the removal of a member, or its data are gone */
	constructor(violations: Violations, mayBeRemoved: (node: NodeId) => boolean) {
		this.#violations = violations;
		this.#mayBeRemoved = mayBeRemoved;
	}

	/** Another machine gets a copy of a disk with this id. */
	copied(id: NodeId): void {
		this.#sharedIds.add(id);
	}

	/** Observes the answers of a node to nodes that join. */
	booted(host: Host, {control}: Node): void {
		const join = control.join.bind(control);
		Object.assign(control, {
			join: (...given: Parameters<typeof join>) => {
				const answer = join(...given);
				const [{id, facts}] = given;
				void answer.then(said => {
					const isOutdated = (facts?.protocol ?? Infinity) < control.state.protocol;
					const mayBeRefused = isOutdated || this.#history.wasRemoved(id) || this.#sharedIds.has(id);
					if (said.type === 'refused' && !mayBeRefused)
						this.#violations.record(
							`only removed or outdated nodes are refused: ${host.id} rejects ${id}: ${said.reason}`,
						);
				});
				return answer;
			},
		});
	}

	/** A node has applied a configuration. Returns the violation. @param clusterId of the node, from then on */
	configured(host: Host, index: number, members: readonly NodeId[], clusterId: string): string | undefined {
		for (const removed of this.#history.apply(index, members))
			if (!this.#mayBeRemoved(removed))
				return `no member is removed while its data exist: ${removed} is no member at index ${index}, and no operator asked for that`;
		this.#clusterId ??= clusterId;
		return clusterId === this.#clusterId
			? undefined
			: `exactly one cluster is founded: ${host.id} founds ${clusterId}, and ${this.#clusterId} exists`;
	}

	/** A node without a leader has rejected this caller as a non-member, this many times in a row. */
	refused(host: Host, peer: NodeId, times: number): void {
		if (times > refusalsMax)
			throw this.#violations.record(
				`a node without a leader accepts callers: ${host.id} rejects ${peer} for the ${times}th time`,
			);
	}
}
