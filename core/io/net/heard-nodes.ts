/**
Chooses the node that a command connects to, among the nodes that were heard. A node that subscribes to the command's
topics is best: it has the messages, and forwards new ones without another hop. A member is better than a node that is
still joining. Among equals, the one that was heard first is the nearest or the least busy.

The wait depends on what is known. A node that no other can surpass is taken at once. When members were heard, the
choice waits a moment for a better one. Without members it waits until the search ends. The caller passes the time.
*/
import type {NodeId} from '../../message.ts';
import type {Beacon} from './beacon.ts';

export type HeardNode = Pick<Beacon, 'address' | 'id' | 'clusterId' | 'name'> & {
	readonly isMember: boolean;
	/** The requested topics that it subscribes to. */
	readonly subscribes: readonly string[];
};
export type HeardOptions = {
	readonly topics: readonly string[];
	/** When the search ends, in monotonic milliseconds. */
	readonly untilMs: number;
};

/** The wait after the first member: time for two questions, and for a node that has just answered to answer again. */
export const settleMs = 600;
/** The largest number of members of a cluster. */
const heardMax = 1024;

export class HeardNodes {
	readonly #topics: ReadonlySet<string>;
	readonly #untilMs: number;
	readonly #nodes = new Map<NodeId, HeardNode>();
	readonly #taken = new Set<NodeId>();
	#memberAtMs: number | undefined;

	constructor({topics, untilMs}: HeardOptions) {
		this.#topics = new Set(topics);
		this.#untilMs = untilMs;
	}

	get size(): number {
		return this.#nodes.size;
	}

	/** The clusters of the members among them. */
	get clusterIds(): ReadonlySet<string> {
		return new Set([...this.#nodes.values()].filter(({isMember}) => isMember).map(({clusterId}) => clusterId));
	}

	hear({id, address, clusterId, name, phase, topics}: Beacon, nowMs: number): void {
		const known = this.#nodes.get(id);
		if (!known && this.#nodes.size >= heardMax) return;
		const isMember = phase === 'member';
		// A node that is still joining has no agreed subscriptions. A beacon contains only some of many topics, so
		// earlier ones are kept.
		const heard = isMember ? topics.filter(topic => this.#topics.has(topic)) : [];
		this.#nodes.set(id, {
			id,
			address,
			clusterId,
			name,
			isMember,
			subscribes: [...new Set([...(known?.subscribes ?? []), ...heard])],
		});
		if (isMember) this.#memberAtMs ??= nowMs;
	}

	/**
	The best node that was not taken before, or the time to wait for a better one; `undefined` when the search has
	ended.
	*/
	take(nowMs: number): HeardNode | {readonly waitMs: number} | undefined {
		let best: HeardNode | undefined;
		for (const node of this.#nodes.values())
			if (!this.#taken.has(node.id) && (!best || this.#rank(node) > this.#rank(best))) best = node;
		const isBest = best !== undefined && this.#rank(best) === this.#topics.size + 1;
		const untilMs = best?.isMember ? Math.min(this.#untilMs, this.#memberAtMs! + settleMs) : this.#untilMs;
		if (!isBest && nowMs < untilMs) return {waitMs: untilMs - nowMs};
		if (best) this.#taken.add(best.id);
		return best;
	}

	#rank({isMember, subscribes}: HeardNode): number {
		return isMember ? 1 + subscribes.length : 0;
	}
}
