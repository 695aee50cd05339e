/**
Who leads, as this node sees it, and why it is another leader than before. The first explanation counts, since it is
what happened; only `newer-term`, which explains nothing, gives way to the word of a new leader. Times are ticks of this
node.
*/
import type {LeaderCause} from '../events.ts';
import type {NodeId} from '../message.ts';

export type LeaderChange = {
	readonly cause: LeaderCause;
	/** The last leader before the current one, or before there was none. */
	readonly previous: NodeId | undefined;
	/**
	How long this node had heard nothing from `previous` when it gave it up; from a majority, if it led itself.
	Undefined when it cannot know: it has just started, it led without noticing that it was replaced, or others say that
	the leader was silent.

	*/
	readonly silentTicks: number | undefined;
	/** From the last sign of `previous` to the first of the current leader; to now if there is none. */
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

/** What a candidate, and the leader that it becomes, tell others: whom they followed before, and why no more. */
export type Former = {readonly leader: NodeId; readonly cause: LeaderCause};

export class Succession {
	leader: NodeId | undefined;
	#previous: NodeId | undefined;
	#cause: LeaderCause = 'started';
	#silentTicks: number | undefined;
	#lostTick = 0;
	#foundTick = 0;

	/** The leader is given up. Without one this adds at most an explanation. */
	lose(cause: LeaderCause, tick: number, silentTicks?: number): void {
		if (this.leader === undefined) return;
		this.#previous = this.leader;
		this.leader = undefined;
		this.#cause = cause;
		this.#silentTicks = silentTicks;
		this.#lostTick = tick - (silentTicks ?? 0);
	}

	find(leader: NodeId, tick: number): void {
		if (this.leader === leader) return;
		this.lose('newer-term', tick);
		this.leader = leader;
		this.#foundTick = tick;
	}

	/** For others; nothing when it would not help them. */
	get former(): Former | undefined {
		return this.#previous === undefined || this.#cause === 'started' || this.#cause === 'newer-term'
			? undefined
			: {leader: this.#previous, cause: this.#cause};
	}

	/** The new leader says why it leads; what this node saw itself counts for more. */
	explain({leader, cause}: Former): void {
		if (this.leader === undefined && this.#cause === 'newer-term' && this.#previous === leader) this.#cause = cause;
	}

	/**
	A candidate or a new leader of a later term makes this node give up its leader: what explains that best, its word or
	the silence here. Its word counts if it is about the same leader. `silentTicks`: undefined at the leader that is
	replaced.

	*/
	replaced(said: Former | undefined, tick: number, silentTicks: number | undefined, electionTicks: number): void {
		const cause = said?.leader === this.leader ? said?.cause : undefined;
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
