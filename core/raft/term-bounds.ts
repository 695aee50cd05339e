/**
Bounds on the terms that the packets of one peer may set. A term never goes back, and each higher term deposes the
leader. So a peer with a fault could use up all terms, or keep the cluster without a leader.

- All jumps of a peer together take at most a sixteenth of the terms that are left. The terms of correct peers are far
  below that, and however many peers and starts take their share, terms are left.
- A member with a fault may have raised the terms of the others while this node was away. So a term that two peers have
  shown counts, and what a node without a term hears first, however far it is ahead: up to half of all terms.
- A peer that raised the term `raisesMax` times within twenty election timeouts is ignored with higher terms for the
  next 120. In that time the others elect a leader, and an operator can remove the peer. A correct candidate campaigns
  at most once in an election timeout.
*/
import type {NodeId} from '../message.ts';

/** The width of a term in the records on disk. */
export const termMax = 2 ** 48 - 1;
const share = 16;
const raisesMax = 32;
const windowTimeouts = 20;
const mutedTimeouts = 120;

type Raises = {
	/** Sum of all jumps. */
	jumps: number;
	sinceTick: number;
	count: number;
	mutedUntilTick: number;
};

export class TermBounds {
	readonly #electionTicks: number;
	readonly #peers = new Map<NodeId, Raises>();
	/** By peer: its highest term that was ignored. */
	readonly #ignored = new Map<NodeId, number>();

	constructor(electionTicks: number) {
		this.#electionTicks = electionTicks;
	}

	/**
	A packet of the peer would raise the term from `term` to `higher`. Returns the name of the bound if it must be
	ignored.
	*/
	raise(peer: NodeId, term: number, higher: number, tick: number): 'term-jump' | 'term-raises' | undefined {
		const raises = this.#peers.get(peer) ?? {jumps: 0, sinceTick: tick, count: 0, mutedUntilTick: 0};
		this.#peers.set(peer, raises);
		const jump = higher - term;
		const isWithinShare = raises.jumps + jump <= (termMax - term) / share;
		if (!isWithinShare) {
			if (this.#isBelieved(peer, term, higher)) return undefined;
			this.#ignored.set(peer, Math.max(this.#ignored.get(peer) ?? 0, higher));
			return 'term-jump';
		}

		if (tick < raises.mutedUntilTick) return 'term-raises';
		if (tick - raises.sinceTick >= windowTimeouts * this.#electionTicks) {
			raises.sinceTick = tick;
			raises.count = 0;
		}

		raises.jumps += jump;
		if (++raises.count >= raisesMax) {
			raises.mutedUntilTick = tick + mutedTimeouts * this.#electionTicks;
			raises.sinceTick = raises.mutedUntilTick;
			raises.count = 0;
		}

		return undefined;
	}

	#isBelieved(peer: NodeId, term: number, higher: number): boolean {
		if (higher > termMax / 2) return false;
		if (term === 0) return true;
		for (const [other, ignored] of this.#ignored) if (other !== peer && ignored >= higher) return true;
		return false;
	}
}
