/**
Linearizable reads without a log entry, "ReadIndex" (Raft, 8; thesis, 6.4). The leader records its commit index, and
starts a round of heartbeats. Once a majority has answered that round or a later one, this node was still the leader,
and the index may be served. The leader counts the rounds, so an old or repeated reply proves nothing.
*/
import type {NodeId} from '../message.ts';

type ReadRequest = {readonly context: string; readonly from: NodeId};
type Read = ReadRequest & {readonly round: number; readonly index: number};

export const readsMax = 1024;
/** Of these, those that one other node may have waiting: a node with a fault must not take the place of the others. */
export const readsOfPeerMax = readsMax / 4;

export class Reads {
	#waiting: Read[] = [];
	/** Requests from before this term's first entry was committed: the leader does not know its commit index yet. */
	#early: ReadRequest[] = [];

	get isWaiting(): boolean {
		return this.#waiting.length > 0;
	}

	/** Whether no more reads of this node may wait. @param isOwn the node is the leader itself */
	isFull(from: NodeId, isOwn: boolean): boolean {
		const waiting = this.#waiting.length + this.#early.length;
		if (isOwn || waiting < readsOfPeerMax) return waiting >= readsMax;
		const isOf = (read: ReadRequest): boolean => read.from === from;
		const ofPeer = this.#waiting.filter(isOf).length + this.#early.filter(isOf).length;
		return ofPeer >= readsOfPeerMax || waiting >= readsMax;
	}

	/** The last round that a read waits for; 0 without reads. */
	get lastRound(): number {
		return this.#waiting.at(-1)?.round ?? 0;
	}

	hold(read: ReadRequest): void {
		this.#early.push(read);
	}

	/** The term's first entry is committed: return the reads that were held. */
	takeHeld(): readonly ReadRequest[] {
		return this.#early.splice(0);
	}

	begin({context, from}: ReadRequest, round: number, index: number): void {
		this.#waiting.push({context, from, round, index});
	}

	/** A quorum has answered this round: return the reads that it proves. */
	proved(round: number): readonly Read[] {
		const end = this.#waiting.findIndex(read => read.round > round);
		return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
	}
}

/**
The requesting node's side: reads that were sent to the leader, and proved reads that wait until their index is
committed here.
*/
export class RequestedReads {
	/** By context: the leader that was asked. */
	readonly #requested = new Map<string, NodeId>();
	#proved: Array<{readonly context: string; readonly index: number}> = [];
	readonly #onBound: () => void;

	/** @param onBound the oldest read was dropped; its caller has timed out by then */
	constructor(onBound: () => void) {
		this.#onBound = onBound;
	}

	ask(context: string, leader: NodeId): void {
		if (this.#requested.size >= readsMax) {
			this.#onBound();
			this.#requested.delete(this.#requested.keys().next().value!);
		}

		this.#requested.set(context, leader);
	}

	/** Handle the leader's answer. False when this node did not ask that leader. */
	answered(from: NodeId, context: string, index: number): boolean {
		if (this.#requested.get(context) !== from) return false;
		this.#requested.delete(context);
		this.proved(context, index);
		return true;
	}

	proved(context: string, index: number): void {
		if (this.#proved.length >= readsMax) {
			this.#onBound();
			this.#proved.shift();
		}

		this.#proved.push({context, index});
	}

	/** Reads whose index is committed. They stay until `take`. */
	committed(commit: number): ReadonlyArray<{readonly context: string; readonly index: number}> {
		return this.#proved.filter(({index}) => index <= commit);
	}

	take(commit: number): void {
		this.#proved = this.#proved.filter(({index}) => index > commit);
	}
}
