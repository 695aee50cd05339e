/**
Emits an event when the leader changes, with the cause. A new leader is reported at once. A lost leader is reported with
the next tick, because an election often ends before that.
*/
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {Raft} from '../raft/raft.ts';

export type LeaderWatchOptions = {
	/** Founding a cluster replaces the Raft machine. */
	readonly raft: () => Raft;
	readonly tickMs: number;
	readonly emit: (event: BrokerEvent) => void;
	readonly changed: () => void;
};

export class LeaderWatch {
	readonly #options: LeaderWatchOptions;
	#leader: NodeId | undefined;
	#term = 0;

	constructor(options: LeaderWatchOptions) {
		this.#options = options;
	}

	/** Call after each packet. */
	stepped(): void {
		if (this.#options.raft().leader !== undefined) this.ticked();
	}

	ticked(): void {
		const {raft, changed} = this.#options;
		const {leader, term} = raft();
		if (leader === this.#leader && (leader === undefined || term === this.#term)) return;
		this.#leader = leader;
		this.#term = term;
		this.#report();
		changed();
	}

	#report(): void {
		const {raft, tickMs, emit} = this.#options;
		const {cause, previous, silentTicks, withoutLeaderTicks} = raft().leaderChange;
		emit({
			type: 'leader',
			term: this.#term,
			leader: this.#leader,
			cause,
			...(previous !== undefined && {previous}),
			...(silentTicks !== undefined && {silentMs: silentTicks * tickMs}),
			...(this.#leader !== undefined && {withoutLeaderMs: withoutLeaderTicks * tickMs}),
		});
	}
}
