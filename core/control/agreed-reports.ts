/**
Emits events when the agreed state changes. Entries from before this start, or from before this node joined, are old:
they cause no events. After the last old entry the current voters and the name of this node are reported.
*/
import type {ClusterState, ClusterStateEvent} from '../cluster-state/cluster-state.ts';
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import {agreedEvent} from '../observe/agreed-events.ts';
import {Replay} from '../observe/replay.ts';

export type AgreedReportsOptions = {
	readonly self: NodeId;
	readonly state: ClusterState;
	/** Index of the last entry on disk at the start. */
	readonly lastIndex: number;
	readonly emit: (event: BrokerEvent) => void;
	/** A member is new, or has another address. */
	readonly announce: ((node: NodeId) => void) | undefined;
};

export class AgreedReports {
	/** Voters of the last configuration that was applied. */
	voters: readonly NodeId[] = [];
	readonly #options: AgreedReportsOptions;
	#replay: Replay;
	/** Voters of the last `voters` event. */
	#reportedVoters = '';
	#hasReportedName = false;
	#isReplayed = false;

	constructor(options: AgreedReportsOptions) {
		this.#options = options;
		this.#replay = new Replay(options.lastIndex);
	}

	/** This node founded its cluster: all entries are new. */
	founded(): void {
		this.#replay = new Replay(1, true);
	}

	/** A leader, perhaps this node, reported this commit index: entries after it are new. */
	heardLeader(commit: number): void {
		this.#replay.heard(commit);
	}

	/** Report the changes by an entry, unless the entry is old. */
	applied(index: number, events: readonly ClusterStateEvent[]): void {
		if (!this.#replay.isOld(index)) for (const event of events) this.#report(event);
	}

	/** Report a configuration, unless its entry is old. */
	configured(index: number, voters: readonly NodeId[]): void {
		this.voters = voters;
		if (!this.#replay.isOld(index)) this.#reportVoters();
	}

	/** Call after entries were applied: report the current state after the last old entry. */
	check(): void {
		const {self, state, emit} = this.#options;
		if (!this.#replay.isOver(state.applied)) return;
		this.#reportVoters();
		if (this.#isReplayed) return;
		this.#isReplayed = true;
		const name = state.name(self);
		if (name !== '' && !this.#hasReportedName) emit({type: 'named', id: self, name});
	}

	#reportVoters(): void {
		const {voters} = this;
		if (voters.length === 0 || voters.join() === this.#reportedVoters) return;
		this.#reportedVoters = voters.join();
		this.#options.emit({type: 'voters', voters});
	}

	#report(event: ClusterStateEvent): void {
		const {self, announce, emit} = this.#options;
		if (event.type === 'added' || event.type === 'moved') announce?.(event.node);
		if (event.type === 'named') this.#hasReportedName ||= event.node === self;
		const reported = agreedEvent(event);
		if (reported) emit(reported);
	}
}
