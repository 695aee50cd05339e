/**
Evidence that the process of a peer has ended: its link, which was up, closed, and its machine refuses the next
connection. A closed link alone proves nothing (a network does that too), nor does a refused connection to a peer that
was not linked (it may have moved, or a firewall refuses). It hints at a crash of the leader and never declares a member
dead: that is left to failure detection.
*/
import type {NodeId} from '../message.ts';

export class CrashEvidence {
	/** Peers whose link closed since it was last up. */
	readonly #closed = new Set<NodeId>();
	readonly #up = new Set<NodeId>();

	/** True when this completes the evidence; once for each link that closed. */
	link(peer: NodeId, change: 'up' | 'down' | 'refused'): boolean {
		switch (change) {
			case 'up': {
				this.#up.add(peer);
				this.#closed.delete(peer);
				return false;
			}

			case 'down': {
				if (this.#up.delete(peer)) this.#closed.add(peer);
				return false;
			}

			case 'refused':
				return this.#closed.delete(peer);
			default:
				return change satisfies never;
		}
	}

	/** Forget closed links to others: they do not come up again. */
	setMembers(members: readonly NodeId[]): void {
		const known = new Set(members);
		for (const peer of this.#closed) if (!known.has(peer)) this.#closed.delete(peer);
	}
}
