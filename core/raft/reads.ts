/**
Reads that are linearizable without a log entry (Raft, 8; thesis, 6.4): the leader notes its commit index, proves by a round of
heartbeats that began afterwards that it is still the leader, and then the index may be served. The rounds are the leader's own
count, so an old or repeated reply proves nothing.
*/
import type {NodeId} from '../message.ts';

type Read = {readonly context: string; readonly from: NodeId; readonly round: number; readonly index: number};

const readsMax = 1024;

export class Reads {
	#waiting: Read[] = [];
	/** Came before this term's first entry was committed: the leader does not know its own commit index yet. */
	#early: Array<{readonly context: string; readonly from: NodeId}> = [];

	hold(context: string, from: NodeId): void {
		if (this.#early.length < readsMax) this.#early.push({context, from});
	}

	/** The term's first entry is committed: what was held may begin. */
	takeHeld(): ReadonlyArray<{readonly context: string; readonly from: NodeId}> {
		const early = this.#early;
		this.#early = [];
		return early;
	}

	begin(context: string, from: NodeId, round: number, index: number): void {
		if (this.#waiting.length < readsMax) this.#waiting.push({context, from, round, index});
	}

	/** A quorum has answered this round: everything that began by then is proved. */
	proved(round: number): readonly Read[] {
		const done = this.#waiting.filter(read => read.round <= round);
		if (done.length > 0) this.#waiting = this.#waiting.filter(read => read.round > round);
		return done;
	}

	get isWaiting(): boolean {
		return this.#waiting.length > 0;
	}

	clear(): void {
		this.#waiting = [];
		this.#early = [];
	}
}
