/**
What a leader knows of one follower: how far its log matches, where to send next, and how much is on its way. `probe`: one append at a
time until the logs are known to meet. `replicate`: appends in a row, without waiting. `snapshot`: it is too far behind for
the log.
*/
export const inflightMax = 64;

export class Progress {
	match = 0;
	next: number;
	state: 'probe' | 'replicate' | 'snapshot' = 'probe';
	/** Tick at which it last said something in this term. */
	heardTick: number;
	/** Bytes of the snapshot that it has; which snapshot; and when a chunk was last sent. */
	received = 0;
	snapshotIndex = 0;
	sentTick = 0;
	/** probe: an append is on its way. */
	isWaiting = false;
	/** The last round of heartbeats it answered. */
	round = 0;
	#stalledMatch = 0;
	#stalledRound = 0;
	/** Last index of each append on its way. */
	#inflight: number[] = [];

	constructor(next: number, tick: number) {
		this.next = next;
		this.heardTick = tick;
	}

	get isPaused(): boolean {
		return this.state === 'replicate' ? this.#inflight.length >= inflightMax : this.isWaiting;
	}

	sent(lastIndex: number, count: number): void {
		if (this.state === 'probe') {
			this.isWaiting = true;
			return;
		}

		if (count === 0) return;
		this.next = lastIndex + 1;
		this.#inflight.push(lastIndex);
	}

	/** It matches up to `index`. True when that is news. */
	matched(index: number): boolean {
		const isNews = index > this.match;
		if (isNews) this.match = index;
		this.next = Math.max(this.next, this.match + 1);
		while (this.#inflight.length > 0 && this.#inflight[0]! <= index) this.#inflight.shift();
		if (this.state === 'probe') this.become('replicate');
		return isNews;
	}

	/** It refused an append that followed `rejected`. False when that is old news. */
	refused(rejected: number, hint: number): boolean {
		if (this.state === 'replicate') {
			if (rejected <= this.match) return false; // A late reply: it has matched further since.
		} else if (rejected !== this.next - 1) return false;
		this.become('probe');
		this.next = Math.max(this.match + 1, Math.min(rejected, hint + 1));
		return true;
	}

	/** Nothing more has matched for two rounds of heartbeats: an append, or its reply, was lost. */
	isStalled(round: number): boolean {
		if (this.#stalledMatch !== this.match) {
			this.#stalledMatch = this.match;
			this.#stalledRound = round;
		}

		return round - this.#stalledRound >= 2;
	}

	become(state: Progress['state']): void {
		this.state = state;
		this.isWaiting = false;
		this.#inflight = [];
		if (state !== 'snapshot') this.next = this.match + 1;
	}
}
