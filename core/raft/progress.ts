/**
The leader's view of one follower: how far its log matches, the next entry to send, and the appends in flight. States:

- `probe`: one append at a time, until the leader knows where the logs match.
- `replicate`: many appends without waiting for replies, up to a bound.
- `snapshot`: the leader's log no longer has the entries that the follower needs.
*/
import type {Snapshot} from './snapshot.ts';

/** Bounds of the appends in flight to one follower: packets, and bytes of entries. */
export const inflightMax = 64;
export const inflightBytesMax = 4 * 1024 * 1024;

export class Progress {
	match = 0;
	next: number;
	state: 'probe' | 'replicate' | 'snapshot' = 'probe';
	/** Tick of the last packet from the follower in this term. */
	heardTick: number;
	/** Tick at which an append was last acknowledged, or sent while none was in flight. */
	movedTick: number;
	/** The last round of heartbeats that the follower answered. */
	round = 0;
	/** The commit index in the last append to the follower. */
	sentCommit = 0;
	/** probe: an append is in flight. */
	isWaiting = false;
	/** probe: the round of heartbeats before that append. */
	#waitingRound = 0;
	/** The snapshot in transfer. It is sent to its end, even if a newer one exists meanwhile. */
	snapshot: Snapshot | undefined;
	/** Bytes of the snapshot that the follower has. */
	received = 0;
	/** Tick of the last chunk. */
	sentTick = 0;
	#inflight: Array<{readonly lastIndex: number; readonly bytes: number}> = [];
	#inflightBytes = 0;

	constructor(next: number, tick: number) {
		this.next = next;
		this.heardTick = tick;
		this.movedTick = tick;
	}

	get isPaused(): boolean {
		switch (this.state) {
			case 'probe':
				return this.isWaiting;
			case 'replicate':
				return this.#inflight.length >= inflightMax || this.#inflightBytes >= inflightBytesMax;
			case 'snapshot':
				return true;
			default:
				return this.state satisfies never;
		}
	}

	/** An append was sent and is not acknowledged. */
	get isInflight(): boolean {
		return this.#inflight.length > 0;
	}

	/** Record that an append with the last entry `lastIndex` was sent. */
	sent(lastIndex: number, bytes: number, tick: number, round: number): void {
		if (this.state === 'probe') {
			this.isWaiting = true;
			this.#waitingRound = round;
			return;
		}

		if (lastIndex < this.next) return; // It had no entries, only a commit index.
		if (!this.isInflight) this.movedTick = tick;
		this.next = lastIndex + 1;
		this.#inflight.push({lastIndex, bytes});
		this.#inflightBytes += bytes;
	}

	/**
	The follower answered this round of heartbeats. A probe that was sent before the round, and not answered, is lost.
	*/
	answered(round: number): void {
		this.round = Math.max(this.round, round);
		if (round > this.#waitingRound) this.isWaiting = false;
	}

	/** The follower matches up to `index`. True when `match` grew. */
	matched(index: number, tick: number): boolean {
		const isNew = index > this.match;
		if (isNew) {
			this.match = index;
			this.movedTick = tick;
		}

		this.next = Math.max(this.next, this.match + 1);
		while (this.#inflight.length > 0 && this.#inflight[0]!.lastIndex <= index)
			this.#inflightBytes -= this.#inflight.shift()!.bytes;
		if (this.state === 'probe') {
			const {sentCommit} = this;
			this.become('replicate');
			this.sentCommit = sentCommit;
		}

		return isNew;
	}

	/**
	The follower rejected an append after the entry `rejected`; the logs may match at `hint`. False when the reply is
	outdated.
	*/
	rejected(rejected: number, hint: number): boolean {
		if (this.state === 'replicate') {
			if (rejected <= this.match) return false; // A late reply: the follower has matched further since.
		} else if (rejected !== this.next - 1) return false;
		this.become('probe');
		this.next = Math.max(this.match + 1, Math.min(rejected, hint + 1));
		return true;
	}

	become(state: Progress['state']): void {
		this.state = state;
		this.isWaiting = false;
		this.#inflight = [];
		this.#inflightBytes = 0;
		this.snapshot = undefined;
		this.received = 0;
		this.sentCommit = 0;
		if (state !== 'snapshot') this.next = this.match + 1;
	}
}
