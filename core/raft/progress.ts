/**
What a leader knows of one follower: how far its log matches, where to send next, and how much is on its way. `probe`:
one append at a time until the logs are known to meet. `replicate`: appends in a row, without waiting, up to a bound.
`snapshot`: it is too far behind for the log.
*/
import type {Snapshot} from './snapshot.ts';

/** Appends, and bytes of entries, on their way to one follower. */
export const inflightMax = 64;
export const inflightBytesMax = 4 * 1024 * 1024;

export class Progress {
	match = 0;
	next: number;
	state: 'probe' | 'replicate' | 'snapshot' = 'probe';
	/** Tick at which it last said something in this term; and at which what is on its way last moved. */
	heardTick: number;
	movedTick: number;
	/** The last round of heartbeats it answered. */
	round = 0;
	/** The commit index that it was last told. */
	toldCommit = 0;
	/** probe: an append is on its way; and the round of heartbeats before it. */
	isWaiting = false;
	#waitingRound = 0;
	/**
	The snapshot it is being sent (that one to its end, whatever is taken meanwhile), the bytes it has, the tick of the
	last chunk.
	*/
	snapshot: Snapshot | undefined;
	received = 0;
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

	/** Something was sent that has not been acknowledged. */
	get isInflight(): boolean {
		return this.#inflight.length > 0;
	}

	/** An append left that ends at `lastIndex`. */
	sent(lastIndex: number, bytes: number, tick: number, round: number): void {
		if (this.state === 'probe') {
			this.isWaiting = true;
			this.#waitingRound = round;
			return;
		}

		if (lastIndex < this.next) return; // It only told the commit index.
		if (!this.isInflight) this.movedTick = tick;
		this.next = lastIndex + 1;
		this.#inflight.push({lastIndex, bytes});
		this.#inflightBytes += bytes;
	}

	/** It answered this round of heartbeats: a probe that left before the round, and was not answered, is lost. */
	answered(round: number): void {
		this.round = Math.max(this.round, round);
		if (round > this.#waitingRound) this.isWaiting = false;
	}

	/** It matches up to `index`. True when that is news. */
	matched(index: number, tick: number): boolean {
		const isNews = index > this.match;
		if (isNews) {
			this.match = index;
			this.movedTick = tick;
		}

		this.next = Math.max(this.next, this.match + 1);
		while (this.#inflight.length > 0 && this.#inflight[0]!.lastIndex <= index)
			this.#inflightBytes -= this.#inflight.shift()!.bytes;
		if (this.state === 'probe') {
			const {toldCommit} = this;
			this.become('replicate');
			this.toldCommit = toldCommit;
		}

		return isNews;
	}

	/** It refused an append that followed `rejected`; the logs may meet at `hint`. False when that is old news. */
	refused(rejected: number, hint: number): boolean {
		if (this.state === 'replicate') {
			if (rejected <= this.match) return false; // A late reply: it has matched further since.
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
		this.toldCommit = 0;
		if (state !== 'snapshot') this.next = this.match + 1;
	}
}
