/**
Turns the state of the quorum into events: one for each change, so that the last event always says how it stands.
*/
import type {BrokerEvent, QuorumState} from '../events.ts';
import type {QuorumView} from '../membership/reachability.ts';

export type QuorumWatchOptions = {
	/** After the start, links need so long to come up: until then a quorum is not reported as lost. */
	readonly startMs: number;
	/** An election that lasts longer than this is an event. */
	readonly electingMs: number;
	readonly emit: (event: BrokerEvent) => void;
};

export class QuorumWatch {
	readonly #options: QuorumWatchOptions;
	#said: QuorumState | undefined;
	#seen: QuorumState | undefined;
	#sinceMs = 0;

	constructor(options: QuorumWatchOptions) {
		this.#options = options;
	}

	look({state, reachable, voters}: QuorumView, nowMs: number): void {
		if (voters === 0) return; // Not a member of a cluster yet.
		if (state !== this.#seen) {
			this.#seen = state;
			this.#sinceMs = nowMs;
		}

		if (state === this.#said || nowMs - this.#sinceMs < this.#waitMs(state)) return;
		this.#said = state;
		this.#options.emit({type: 'quorum', held: state === 'held', state, reachable, voters});
	}

	#waitMs(state: QuorumState): number {
		const {startMs, electingMs} = this.#options;
		if (state === 'held') return 0;
		if (state === 'electing') return electingMs;
		return this.#said === undefined ? startMs : 0;
	}
}
