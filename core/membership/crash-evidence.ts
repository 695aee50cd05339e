/**
Evidence that the process of a peer has ended: its link, which was up, closed, and its machine refuses the next
connection. A closed link alone proves nothing, since a network failure closes links too. A refused connection to a peer
that was not linked proves nothing either: the peer may have moved, or a firewall refuses. The evidence is a hint that a
leader has crashed. It never declares a member dead; that is left to failure detection.
*/
import type {NodeId} from '../message.ts';

export class CrashEvidence {
	/** Peers whose link closed since it was last up. */
	readonly #closed = new Set<NodeId>();
	readonly #up = new Set<NodeId>();

	/** Returns true when this change completes the evidence; once for each link that closed. */
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

	/** Forgets the closed links of peers that are no longer members. */
	setMembers(members: readonly NodeId[]): void {
		const known = new Set(members);
		for (const peer of this.#closed) if (!known.has(peer)) this.#closed.delete(peer);
	}
}
