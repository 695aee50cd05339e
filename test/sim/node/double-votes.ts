/**
Two processes with one id count as one voter, since somebody copied the disk of a voter. Raft has no means against that:
of two majorities that share only this voter each may elect a leader and commit. No process can tell before it has
reached the others that it is the second one, since a restart looks the same. The product accepts that: it refuses the
second process once both are linked, and neither acknowledges a message before it is the agreed one. The simulator
leaves it out, and nothing else: one process at a time speaks for the id in elections and agreement, the other one only
after that has ended; and who has an older log elects nobody that lacks what is committed. What else they say in
agreement gets lost on its way.
*/
import type {NodeId} from '../../../core/message.ts';
import type {RaftPacket} from '../../../core/raft/packet.ts';

type Machine = {readonly id: NodeId; readonly key: string; readonly isUp: boolean};
type End = {readonly lastIndex: number; readonly lastTerm: number};

export class DoubleVotes {
	readonly #doubled = new Set<NodeId>();
	/** The machine that speaks for an id. */
	readonly #voices = new Map<NodeId, Machine>();
	/** By id and term: the machine that voted first. */
	readonly #voted = new Map<string, string>();
	/** By candidate and term: the end of the log that it stands with. */
	readonly #stood = new Map<string, End>();
	#committed: End = {lastIndex: 0, lastTerm: 0};
	/** Packets that did not arrive. */
	lost = 0;

	/** The original speaks on, as long as it runs. */
	copied(host: Machine): void {
		if (!this.#doubled.has(host.id)) this.#voices.set(host.id, host);
		this.#doubled.add(host.id);
	}

	/**
	From now on the one that speaks first is it. Its machine may start another process before the other one speaks, and
	that may be heard by nobody.
	*/
	ended(host: Machine): void {
		if (this.#voices.get(host.id) === host) this.#voices.delete(host.id);
	}

	/** A majority has the log up to this entry. */
	committed({index, term}: {readonly index: number; readonly term: number}): void {
		if (index > this.#committed.lastIndex) this.#committed = {lastIndex: index, lastTerm: term};
	}

	/** A packet leaves a machine: whether it must not arrive. */
	isLost(host: Machine, to: NodeId, packet: RaftPacket): boolean {
		const isLost =
			this.#mayVote(host, to, packet) === false ||
			(counts(packet) && this.#doubled.has(host.id) && !this.#isVoice(host));
		if (isLost) this.lost++;
		return isLost;
	}

	/** `undefined`: it is no vote. */
	#mayVote({id, key}: Machine, to: NodeId, packet: RaftPacket): boolean | undefined {
		if (packet.type === 'vote') this.#stood.set(`${id}:${packet.term}`, packet);
		else if (packet.type !== 'vote-reply' || !packet.granted) return undefined;
		const vote = `${id}:${packet.term}`;
		const first = this.#voted.get(vote) ?? key;
		this.#voted.set(vote, first);
		const stood = packet.type === 'vote' ? packet : this.#stood.get(`${to}:${packet.term}`);
		return !this.#doubled.has(id) || (first === key && (stood === undefined || !isBehind(stood, this.#committed)));
	}

	#isVoice(host: Machine): boolean {
		const voice = this.#voices.get(host.id);
		if (!voice?.isUp) this.#voices.set(host.id, host);
		return voice === host || !voice?.isUp;
	}
}

/** It makes up a majority. */
function counts(packet: RaftPacket): boolean {
	return (
		packet.type === 'vote' ||
		packet.type === 'vote-reply' ||
		packet.type === 'append-reply' ||
		packet.type === 'heartbeat-reply'
	);
}

/** Raft, 5.4.1. */
function isBehind(one: End, other: End): boolean {
	return one.lastTerm < other.lastTerm || (one.lastTerm === other.lastTerm && one.lastIndex < other.lastIndex);
}
