/**
Turns the state of the quorum into events: one for each change, so that the last event always gives the present state.
*/
import type {BrokerEvent, QuorumState} from '../events.ts';
import type {QuorumView} from '../membership/reachability.ts';

export type QuorumWatchOptions = {
	/** How long links may take to come up after the start; until then a quorum is not reported as lost. */
	readonly startMs: number;
	/** An election that takes longer than this is an event. */
	readonly electingMs: number;
	readonly emit: (event: BrokerEvent) => void;
};

export class QuorumWatch {
	readonly #options: QuorumWatchOptions;
	#reported: QuorumState | undefined;
	#current: QuorumState | undefined;
	#sinceMs = 0;

	constructor(options: QuorumWatchOptions) {
		this.#options = options;
	}

	/** Reports a change that has lasted long enough. Called periodically. */
	update({state, reachable, voters}: QuorumView, nowMs: number): void {
		if (voters === 0) return; // Not a member of a cluster yet.
		if (state !== this.#current) {
			this.#current = state;
			this.#sinceMs = nowMs;
		}

		if (state === this.#reported || nowMs - this.#sinceMs < this.#waitMs(state)) return;
		this.#reported = state;
		this.#options.emit({type: 'quorum', held: state === 'held', state, reachable, voters});
	}

	#waitMs(state: QuorumState): number {
		const {startMs, electingMs} = this.#options;
		if (state === 'held') return 0;
		if (state === 'electing') return electingMs;
		return this.#reported === undefined ? startMs : 0;
	}
}
