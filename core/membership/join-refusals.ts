/**
Reports nodes that the leader does not admit as events, for the operator of the cluster. (The refused node gets the
reason in its answer.) A node that retries, or is restarted repeatedly, is reported once a minute.
*/
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';

const againMs = 60_000;
/** Bound on the refusals that are remembered; when it is reached, all may be reported again. */
const reportedMax = 64;

export class JoinRefusals {
	readonly #reported = new Map<string, number>();
	readonly #emit: (event: BrokerEvent) => void;

	constructor(emit: (event: BrokerEvent) => void) {
		this.#emit = emit;
	}

	/** `node`, which advertises `address`, asked to join and was refused. */
	report(node: NodeId, address: string, reason: string, nowMs: number): void {
		const key = `${address} ${reason}`;
		const reportedMs = this.#reported.get(key);
		if (reportedMs !== undefined && nowMs - reportedMs < againMs) return;
		if (this.#reported.size >= reportedMax) this.#reported.clear();
		this.#reported.set(key, nowMs);
		this.#emit({type: 'refused', id: node, address, code: 'join', reason: `is not admitted: ${reason}`, by: 'us'});
	}
}
