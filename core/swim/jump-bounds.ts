/**
Bounds on how far each peer may raise the incarnations of other members. An incarnation never goes back, and the highest
claim wins. So a peer with a fault could claim the last incarnation, which no member can refute.

The shares are of the incarnations that are left, for each peer. A member refutes more than others believe of it. What
it claims of itself has no bound: it can only harm itself, until it starts again (`linkUp` in `swim.ts`).
*/
import type {NodeId} from '../message.ts';
import {u32Max} from './packet.ts';

export const shares = {
	/** Claims of a peer about other members. */
	hearsay: 1 / 16,
	/** Accusations of a peer against this node, which it refutes with a higher incarnation. */
	refuted: 1 / 8,
} as const;

export class JumpBounds {
	readonly #sums = new Map<string, number>();
	/** Claims that were ignored. */
	refused = 0;

	/** A claim of the peer raises an incarnation. False when it must be ignored. */
	accepts(peer: NodeId, kind: keyof typeof shares, from: number, to: number): boolean {
		const jump = to - from;
		if (jump <= 0) return true;
		const key = `${kind} ${peer}`;
		const sum = (this.#sums.get(key) ?? 0) + jump;
		if (sum > (u32Max - from) * shares[kind]) {
			this.refused++;
			return false;
		}

		this.#sums.set(key, sum);
		return true;
	}

	forget(peer: NodeId): void {
		for (const kind of Object.keys(shares)) this.#sums.delete(`${kind} ${peer}`);
	}
}
