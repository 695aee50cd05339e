/**
Pairs of members that do not reach each other, computed from the rows of all members. Either end may complain: a link or
datagram path that works in one direction only counts as broken for both. A fault counts once it has lasted for a while,
so a lost packet or a short stall makes none.

Blame: of a pair, the end with more faults is blamed, or both ends when they have the same number. So a member that is
cut off from most others is blamed, instead of each of the others. All nodes see the same rows, so all of them blame the
same member.
*/
import type {NodeId} from '../message.ts';
import type {Complaint} from '../swim/rows.ts';

export type PairFault = {
	/** Sorted. */
	readonly between: readonly [NodeId, NodeId];
	/** No link works between them; datagrams do not get through. */
	readonly link: boolean;
	readonly datagram: boolean;
	readonly sinceMs: number;
	readonly blamed: readonly NodeId[];
};

type Seen = {
	readonly between: readonly [NodeId, NodeId];
	link: boolean;
	datagram: boolean;
	linkSinceMs: number | undefined;
	datagramSinceMs: number | undefined;
	round: number;
};

/** Bound on the pairs; more of them add no information. */
export const pairsMax = 4096;

export class PairFaults {
	readonly #seen = new Map<string, Seen>();
	#round = 0;
	readonly #of = new Map<NodeId, PairFault[]>();
	/** The faults that have lasted long enough to count. */
	faults: readonly PairFault[] = [];

	of(id: NodeId): readonly PairFault[] {
		return this.#of.get(id) ?? [];
	}

	/**
	@param isPresent false for members that are down, unreachable or gone: they have no pairs
	@param afterMs how long a fault must last before it counts
	@param answers false for a suspected member: it may be cut off or down, so its pairs are not reported yet
	*/
	update(
		complaints: readonly Complaint[],
		isPresent: (id: NodeId) => boolean,
		nowMs: number,
		afterMs: number,
		answers: (id: NodeId) => boolean = isPresent,
	): void {
		if (complaints.length === 0 && this.#seen.size === 0) return;
		this.#round++;
		for (const {node, unlinked, silent} of complaints) {
			if (!isPresent(node)) continue;
			for (const other of unlinked) if (isPresent(other)) this.#note(node, other, 'link');
			for (const other of silent) if (isPresent(other)) this.#note(node, other, 'datagram');
		}

		for (const [key, seen] of this.#seen) {
			if (seen.round !== this.#round) {
				this.#seen.delete(key);
				continue;
			}

			seen.linkSinceMs = seen.link ? (seen.linkSinceMs ?? nowMs) : undefined;
			seen.datagramSinceMs = seen.datagram ? (seen.datagramSinceMs ?? nowMs) : undefined;
		}

		const has = (sinceMs: number | undefined): boolean => sinceMs !== undefined && nowMs - sinceMs >= afterMs;
		const lasting = [...this.#seen.values()].filter(
			({between, linkSinceMs, datagramSinceMs}) =>
				(has(linkSinceMs) || has(datagramSinceMs)) && between.every(answers),
		);
		const counts = new Map<NodeId, number>();
		for (const {between} of lasting) for (const id of between) counts.set(id, (counts.get(id) ?? 0) + 1);
		this.faults = lasting
			.map(({between, linkSinceMs, datagramSinceMs}) => {
				const most = Math.max(...between.map(id => counts.get(id)!));
				return {
					between,
					link: has(linkSinceMs),
					datagram: has(datagramSinceMs),
					sinceMs: Math.min(linkSinceMs ?? Infinity, datagramSinceMs ?? Infinity),
					blamed: between.filter(id => counts.get(id) === most),
				};
			})
			.toSorted((one, other) => (one.between.join() < other.between.join() ? -1 : 1));
		this.#of.clear();
		for (const fault of this.faults) {
			for (const id of fault.between) {
				const those = this.#of.get(id);
				if (those) those.push(fault);
				else this.#of.set(id, [fault]);
			}
		}
	}

	#note(node: NodeId, other: NodeId, what: 'link' | 'datagram'): void {
		const between: readonly [NodeId, NodeId] = node < other ? [node, other] : [other, node];
		const key = between.join(' ');
		let seen = this.#seen.get(key);
		if (!seen) {
			if (this.#seen.size >= pairsMax) return;
			seen = {
				between,
				link: false,
				datagram: false,
				linkSinceMs: undefined,
				datagramSinceMs: undefined,
				round: 0,
			};
			this.#seen.set(key, seen);
		}

		if (seen.round !== this.#round) {
			seen.round = this.#round;
			seen.link = false;
			seen.datagram = false;
		}

		seen[what] = true;
	}
}
