/**
The sides of a partition, computed from which members each node hears. Two members are linked when each hears the other.
A side is a connected component of these links, so a single cut link is not a partition (messages take a detour), and a
link that works in one direction does not join two sides. A process that is known to be down is on no side: a crash is
not a cut.

The tracker turns sides into events. Sides must be stable for a moment before they count, so that rows that arrive one
by one do not each report a partition.
*/
import type {NodeId} from '../message.ts';

export type Sides = ReadonlyArray<readonly NodeId[]>;

export type PartitionState = 'whole' | 'partitioned' | 'repairing';

export type PartitionChange = {
	readonly state: 'detected' | 'healed';
	/** Sorted ids per side; this node's side first, the others by their first id. */
	readonly sides: Sides;
	/** detected: since the far sides were last heard. healed: since the first detection. */
	readonly tookTicks: number;
};

export type View = {
	readonly self: NodeId;
	/** Sorted, self included. */
	readonly order: readonly NodeId[];
	/** The process is known to be down, or said goodbye. */
	readonly isDown: (id: NodeId) => boolean;
	/** `undefined`: no fresh row of `node`. */
	readonly hears: (node: NodeId, other: NodeId) => boolean | undefined;
	/** By the last row of `node`, however old. */
	readonly heardLast: (node: NodeId, other: NodeId) => boolean | undefined;
};

/** The sides, this node's first. A whole cluster has one side. */
export function sidesOf({self, order, isDown, hears, heardLast}: View): Sides {
	const isLinked = (a: NodeId, b: NodeId): boolean => {
		const there = hears(a, b);
		const back = hears(b, a);
		// Far members without fresh rows stay together as they were when last heard.
		if (there === undefined && back === undefined) return heardLast(a, b) !== false && heardLast(b, a) !== false;
		return there !== false && back !== false;
	};

	const sides: NodeId[][] = [];
	let rest = [self, ...order.filter(id => id !== self && !isDown(id))];
	while (rest.length > 0) {
		const side = [rest[0]!];
		rest = rest.slice(1);
		// `side` grows during the loop. In a whole cluster the first pass takes all members: n steps, not n².
		for (const member of side) {
			const apart: NodeId[] = [];
			for (const other of rest) (isLinked(member, other) ? side : apart).push(other);
			rest = apart;
		}

		sides.push(side.toSorted());
	}

	return sides;
}

/** Index of the side with more than half of the voters; -1 when none has them. */
export function quorumSide(sides: Sides, voters: readonly NodeId[]): number {
	return sides.findIndex(side => voters.filter(voter => side.includes(voter)).length * 2 > voters.length);
}

export class PartitionTracker {
	#state: PartitionState = 'whole';
	#sides: Sides;
	/** The sides at the last update, with their key. */
	#seen: Sides;
	#seenKey: string;
	#key: string;
	#sinceTick = 0;
	#detectedTick = 0;
	#candidate = '';
	#candidateTick = 0;

	constructor(sides: Sides) {
		this.#sides = sides;
		this.#key = keyOf(sides);
		this.#seen = sides;
		this.#seenKey = this.#key;
	}

	get state(): PartitionState {
		return this.#state;
	}

	get sides(): Sides {
		return this.#sides;
	}

	/** Tick of the last change of state. */
	get sinceTick(): number {
		return this.#sinceTick;
	}

	/** Notes the sides at this tick. `lastHeardTick` gives the tick at which one of these members was last heard. */
	update(
		sides: Sides,
		tick: number,
		debounceTicks: number,
		lastHeardTick: (far: readonly NodeId[]) => number,
	): PartitionChange | undefined {
		// Usually the same object as before.
		if (sides !== this.#seen) {
			this.#seen = sides;
			this.#seenKey = keyOf(sides);
		}

		const key = this.#seenKey;
		if (key !== this.#candidate) {
			this.#candidate = key;
			this.#candidateTick = tick;
		}

		if (key === this.#key || tick - this.#candidateTick < debounceTicks) return undefined;
		const wasPartitioned = this.#state === 'partitioned';
		this.#sides = sides;
		this.#key = key;
		if (sides.length > 1) {
			if (!wasPartitioned) {
				this.#detectedTick = tick;
				this.#enter('partitioned', tick);
			}

			return {state: 'detected', sides, tookTicks: tick - lastHeardTick(sides.slice(1).flat())};
		}

		if (!wasPartitioned) return undefined; // Whole before and after: members joined or left.
		this.#enter('repairing', tick);
		return {state: 'healed', sides, tookTicks: tick - this.#detectedTick};
	}

	/** The backlog between the sides has been exchanged. True when that ends a repair. */
	repaired(tick: number): boolean {
		if (this.#state !== 'repairing') return false;
		this.#enter('whole', tick);
		return true;
	}

	#enter(state: PartitionState, tick: number): void {
		this.#state = state;
		this.#sinceTick = tick;
	}
}

function keyOf(sides: Sides): string {
	return sides.map(side => side.join(' ')).join('|');
}
