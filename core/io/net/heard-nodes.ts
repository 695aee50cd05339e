/**
Chooses the node that a command connects to, among the nodes that were heard. A node that subscribes to the command's
topics is best: it has the messages, and forwards new ones without another hop. A member is better than a node that is
still joining. Among equals, the one that was heard first is the nearest or the least busy.

A beacon that answers the challenge of the search comes before all others, because those may be replays. Nodes of an
earlier version cannot answer: they are chosen when no node has.

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
type Heard = {readonly counter: number; readonly isProved: boolean};
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
	readonly #nodes = new Map<NodeId, HeardNode & Pick<Beacon, 'incarnation'> & Heard>();
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

	/** @param isProved the beacon answers the challenge of this search */
	hear(
		{id, incarnation, counter, address, clusterId, name, phase, topics}: Beacon & Pick<Heard, 'counter'>,
		isProved: boolean,
		nowMs: number,
	): void {
		const known = this.#nodes.get(id);
		if (!known && this.#nodes.size >= heardMax) return;
		if (known && (known.isProved ? !isProved : !isProved && !isNewer({incarnation, counter}, known))) return;
		const isMember = phase === 'member';
		// A node that is still joining has no agreed subscriptions. A beacon contains only some of many topics, so
		// earlier ones are kept.
		const heard = isMember ? topics.filter(topic => this.#topics.has(topic)) : [];
		this.#nodes.set(id, {
			id,
			incarnation,
			counter,
			isProved,
			address,
			clusterId,
			name,
			isMember,
			subscribes: [...new Set([...(known?.isProved === isProved ? known.subscribes : []), ...heard])],
		});
		if (isMember) this.#memberAtMs ??= nowMs;
	}

	/**
	The best node that was not taken before, or the time to wait for a better one; `undefined` when the search has
	ended.
	*/
	take(nowMs: number): HeardNode | {readonly waitMs: number} | undefined {
		let best: (HeardNode & Pick<Heard, 'isProved'>) | undefined;
		for (const node of this.#nodes.values())
			if (!this.#taken.has(node.id) && (!best || this.#rank(node) > this.#rank(best))) best = node;
		const isBest = best !== undefined && best.isProved && this.#rank(best) === this.#rankMax;
		const untilMs = best?.isMember ? Math.min(this.#untilMs, this.#memberAtMs! + settleMs) : this.#untilMs;
		if (!isBest && nowMs < untilMs) return {waitMs: untilMs - nowMs};
		if (!best) return undefined;
		this.#taken.add(best.id);
		const {id, address, clusterId, name, isMember, subscribes} = best;
		return {id, address, clusterId, name, isMember, subscribes};
	}

	get #rankMax(): number {
		return 2 * (this.#topics.size + 1);
	}

	/**
	Among members, a proof counts most, then the topics. A member without a proof is still better than a joining node.
	*/
	#rank({isMember, isProved, subscribes}: HeardNode & Pick<Heard, 'isProved'>): number {
		if (!isMember) return isProved ? 0.5 : 0;
		return 1 + subscribes.length + (isProved ? this.#topics.size + 1 : 0);
	}
}

/** Whether a beacon was sent after another one of the same node. */
function isNewer(
	beacon: {readonly incarnation: number; readonly counter: number},
	than: {readonly incarnation: number; readonly counter: number},
): boolean {
	return (
		beacon.incarnation > than.incarnation ||
		(beacon.incarnation === than.incarnation && beacon.counter > than.counter)
	);
}
