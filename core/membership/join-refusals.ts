/**
What members say of nodes that they do not admit: the node hears the reason itself, and the operator of the cluster
finds it in the events of the leader. A node that asks on and on, or is started again and again, is told of once in a
while.
*/
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';

const againMs = 60_000;
/** Refusals that are remembered; more at a time are told again. */
const toldMax = 64;

export class JoinRefusals {
	readonly #told = new Map<string, number>();
	readonly #emit: (event: BrokerEvent) => void;

	constructor(emit: (event: BrokerEvent) => void) {
		this.#emit = emit;
	}

	/** `node` asked to join, and says that it is reached at `address`. */
	tell(node: NodeId, address: string, reason: string, nowMs: number): void {
		const key = `${address} ${reason}`;
		const toldMs = this.#told.get(key);
		if (toldMs !== undefined && nowMs - toldMs < againMs) return;
		if (this.#told.size >= toldMax) this.#told.clear();
		this.#told.set(key, nowMs);
		this.#emit({type: 'refused', id: node, address, code: 'join', reason: `is not admitted: ${reason}`, by: 'us'});
	}
}
