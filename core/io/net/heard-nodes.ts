/**
Which of the nodes that are heard a command speaks to. One that subscribes to its topics has the messages, and passes
new ones on without a hop more; a member is better than a node that still joins. Among equals the one that was heard
first is the nearest, or the least busy.

The more is known, the shorter the wait: a node than which none can be better is taken at once, for a better one than
the members that were heard it waits a moment, and for a member as long as it listens. Time comes from outside.
*/
import type {NodeId} from '../../message.ts';
import type {Beacon} from './beacon.ts';

export type HeardNode = Pick<Beacon, 'address' | 'id' | 'clusterId' | 'name'> & {
	readonly isMember: boolean;
	/** Of the topics that were asked for, those that it subscribes to. */
	readonly subscribes: readonly string[];
};
export type HeardOptions = {
	readonly topics: readonly string[];
	/** When the listening ends. */
	readonly untilMs: number;
};

/** After the first member: two questions, and two answers of a node that was asked just before. */
export const settleMs = 600;
/** Members that a cluster may have. */
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

	/** Clusters that the members among them belong to. */
	get clusterIds(): ReadonlySet<string> {
		return new Set([...this.#nodes.values()].filter(({isMember}) => isMember).map(({clusterId}) => clusterId));
	}

	hear({id, address, clusterId, name, phase, topics}: Beacon, nowMs: number): void {
		const known = this.#nodes.get(id);
		if (!known && this.#nodes.size >= heardMax) return;
		const isMember = phase === 'member';
		// A node that still joins has agreed to nothing. A beacon has only some of many topics: what was heard stays
		// true.
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
	The best one that was not taken before, or until when to wait for a better one, or nothing: the listening is over.
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
