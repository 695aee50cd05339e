/**
A voter whose disk was copied: two processes with one node id count as one voter. Raft cannot handle that: two
majorities that share only this voter may each elect a leader and commit. A process cannot know that it is the second
one before it has reached the others, because a restart looks the same. The product accepts this window: it refuses the
second process once both are linked, and neither process acknowledges a message before it is confirmed.

The simulator excludes this one case. One process at a time takes part in elections and agreement for the id; the other
one only after the first has ended. A node with an older log elects no candidate that lacks committed entries. All other
Raft packets of the second process are lost in transit.
*/
import type {NodeId} from '../../../core/message.ts';
import type {RaftPacket} from '../../../core/raft/packet.ts';

type Machine = {readonly id: NodeId; readonly key: string; readonly isUp: boolean};
type End = {readonly lastIndex: number; readonly lastTerm: number};

export class DoubleVotes {
	readonly #sharedIds = new Set<NodeId>();
	/** The machine that takes part in Raft for each id. */
	readonly #participants = new Map<NodeId, Machine>();
	/** By id and term: the key of the machine that voted first. */
	readonly #voted = new Map<string, string>();
	/** By candidate and term: the last entry of the candidate's log. */
	readonly #campaigns = new Map<string, End>();
	#committed: End = {lastIndex: 0, lastTerm: 0};
	/** Packets that were dropped. */
	lost = 0;

	/** The original keeps its role as long as it runs. */
	copied(host: Machine): void {
		if (!this.#sharedIds.has(host.id)) this.#participants.set(host.id, host);
		this.#sharedIds.add(host.id);
	}

	/**
	The next process that sends takes over the role. Its machine may start another process before the other machine
	sends, and that process may have reached no node.
	*/
	ended(host: Machine): void {
		if (this.#participants.get(host.id) === host) this.#participants.delete(host.id);
	}

	/** A majority holds the log up to this entry. */
	committed({index, term}: {readonly index: number; readonly term: number}): void {
		if (index > this.#committed.lastIndex) this.#committed = {lastIndex: index, lastTerm: term};
	}

	/** Whether a packet that leaves a machine must be dropped. */
	isLost(host: Machine, to: NodeId, packet: RaftPacket): boolean {
		const isLost =
			this.#mayVote(host, to, packet) === false ||
			(counts(packet) && this.#sharedIds.has(host.id) && !this.#participates(host));
		if (isLost) this.lost++;
		return isLost;
	}

	/** Whether this vote or vote request may arrive; `undefined` for other packets. */
	#mayVote({id, key}: Machine, to: NodeId, packet: RaftPacket): boolean | undefined {
		if (packet.type === 'vote') this.#campaigns.set(`${id}:${packet.term}`, packet);
		else if (packet.type !== 'vote-reply' || !packet.granted) return undefined;
		const vote = `${id}:${packet.term}`;
		const first = this.#voted.get(vote) ?? key;
		this.#voted.set(vote, first);
		const campaign = packet.type === 'vote' ? packet : this.#campaigns.get(`${to}:${packet.term}`);
		return (
			!this.#sharedIds.has(id) ||
			(first === key && (campaign === undefined || !isOlder(campaign, this.#committed)))
		);
	}

	#participates(host: Machine): boolean {
		const participant = this.#participants.get(host.id);
		if (!participant?.isUp) this.#participants.set(host.id, host);
		return participant === host || !participant?.isUp;
	}
}

/** Whether the packet can count towards a majority. */
function counts(packet: RaftPacket): boolean {
	return (
		packet.type === 'vote' ||
		packet.type === 'vote-reply' ||
		packet.type === 'append-reply' ||
		packet.type === 'heartbeat-reply'
	);
}

/** Raft, §5.4.1. */
function isOlder(one: End, other: End): boolean {
	return one.lastTerm < other.lastTerm || (one.lastTerm === other.lastTerm && one.lastIndex < other.lastIndex);
}
