/**
The leader that this node follows, and the cause of the last change. The first cause that a node records counts, because
it is closest to the event. Only the cause `newer-term`, which explains nothing, is replaced by the cause that a new
leader reports. Times are ticks of this node.
*/
import type {LeaderCause} from '../events.ts';
import type {NodeId} from '../message.ts';

export type LeaderChange = {
	readonly cause: LeaderCause;
	/** The last leader before the current one, or before the time without a leader. */
	readonly previous: NodeId | undefined;
	/**
	Ticks without a packet from `previous` when this node gave it up; without a majority, if this node led. `undefined`
	when this node cannot know: it has just started, it led until another leader replaced it, or other nodes report that
	the leader was silent.
	*/
	readonly silentTicks: number | undefined;
	/** From the last packet of `previous` to the first packet of the current leader, or to now without a leader. */
	readonly withoutLeaderTicks: number;
};

export const leaderCauses: readonly LeaderCause[] = [
	'silent',
	'crashed',
	'transferred',
	'quorum-lost',
	'newer-term',
	'removed',
	'started',
];

/**
A candidate, and the leader that it becomes, report their former leader, its term and the cause of its loss. The term
matters: the same node may have led again since, and then the cause is about its earlier leadership.
*/
export type Former = {readonly leader: NodeId; readonly term: number; readonly cause: LeaderCause};

export class Succession {
	leader: NodeId | undefined;
	/** The term in which `leader` leads. */
	#term = 0;
	#previous: NodeId | undefined;
	#previousTerm = 0;
	#cause: LeaderCause = 'started';
	#silentTicks: number | undefined;
	#lostTick = 0;
	#foundTick = 0;

	/** Give up the leader. Without a leader this does nothing. */
	lose(cause: LeaderCause, tick: number, silentTicks?: number): void {
		if (this.leader === undefined) return;
		this.#previous = this.leader;
		this.#previousTerm = this.#term;
		this.leader = undefined;
		this.#cause = cause;
		this.#silentTicks = silentTicks;
		this.#lostTick = tick - (silentTicks ?? 0);
	}

	/** Follow the leader of a term. */
	find(leader: NodeId, term: number, tick: number): void {
		if (this.leader === leader) return;
		this.lose('newer-term', tick);
		this.leader = leader;
		this.#term = term;
		this.#foundTick = tick;
	}

	/** The former leader and its cause for other nodes; `undefined` when it would explain nothing. */
	get former(): Former | undefined {
		return this.#previous === undefined || this.#cause === 'started' || this.#cause === 'newer-term'
			? undefined
			: {leader: this.#previous, term: this.#previousTerm, cause: this.#cause};
	}

	/** Take the cause that the new leader reports, unless this node saw a cause itself. */
	explain({leader, term, cause}: Former): void {
		if (this.leader !== undefined || this.#cause !== 'newer-term') return;
		if (this.#previous === leader && this.#previousTerm === term) this.#cause = cause;
	}

	/**
	Give up the leader because of a candidate or a leader of a later term. The cause is the one that this node reports,
	if it is about the same leadership, or the silence that this node observed.
	@param silentTicks `undefined` at the leader that is replaced
	*/
	replaced(reported: Former | undefined, tick: number, silentTicks: number | undefined, electionTicks: number): void {
		const isSame = reported?.leader === this.leader && reported?.term === this.#term;
		const cause = isSame ? reported?.cause : undefined;
		const isSilent = silentTicks !== undefined && silentTicks >= electionTicks;
		if (cause !== undefined && cause !== 'silent')
			this.lose(cause, tick, cause === 'transferred' || cause === 'removed' ? undefined : silentTicks);
		else if (isSilent) this.lose('silent', tick, silentTicks);
		else this.lose(cause ?? 'newer-term', tick);
	}

	change(tick: number): LeaderChange {
		const untilTick = this.leader === undefined ? tick : this.#foundTick;
		return {
			cause: this.#cause,
			previous: this.#previous,
			silentTicks: this.#silentTicks,
			withoutLeaderTicks: untilTick - this.#lostTick,
		};
	}
}
