/**
Holds back publishes until the cluster has agreed that this process uses the identity of its node. Otherwise two
processes of one identity would use the same sequence numbers, and a message of one of them would be lost after its
acknowledgement. A restarted node gets the agreement as soon as it has a leader. While the cluster has no quorum, a
process that was confirmed before continues, and a process that has just started must wait. A process that did not run
for a while must wait too, because another process may have taken its place.
*/
import {DapssError} from '../errors.ts';

export type IdentityGateOptions = {
	/** The process is confirmed, or the cluster speaks protocol 1, which confirms none. */
	readonly isOpen: () => boolean;
	/** Called when the process did not run for a while. */
	readonly onPause: () => void;
	/** Why the gate is closed, as an error text. */
	readonly why: () => string;
	readonly nowMs: () => number;
};
type Waiting = {readonly resolve: () => void; readonly reject: (error: Error) => void; readonly untilMs: number};

/** How long a publisher waits for the agreement, in milliseconds, and how many may wait. */
const waitMs = 5000;
const waitingMax = 4096;
/** Peers replace a process that has not answered for a second (`duplicate-processes.ts`); a shorter pause is safe. */
const pauseMs = 800;

export class IdentityGate {
	readonly #options: IdentityGateOptions;
	#waiting: Waiting[] = [];
	#lastRunMs: number;
	#isClosed = false;

	constructor(options: IdentityGateOptions) {
		this.#options = options;
		this.#lastRunMs = options.nowMs();
	}

	/**
	`undefined` when the publisher may continue at once. Otherwise resolves when it may.
	@throws `no-quorum` after `waitMs`, `refused` when too many wait
	*/
	wait(): Promise<void> | undefined {
		if (this.#isClosed) return Promise.reject(new DapssError('closed', 'The node has stopped'));
		this.#detectPause();
		if (this.#options.isOpen()) return undefined;
		if (this.#waiting.length >= waitingMax)
			return Promise.reject(
				new DapssError(
					'refused',
					`Expected at most ${waitingMax} publishers to wait until the identity of this node is ` +
						'confirmed, got one more. Nothing was stored',
				),
			);
		const {promise, resolve, reject} = Promise.withResolvers<void>();
		this.#waiting.push({resolve, reject, untilMs: this.#options.nowMs() + waitMs});
		return promise;
	}

	/**
	Called periodically: releases the publishers if the gate is open, and rejects those that have waited for too long.
	*/
	tick(): void {
		this.#detectPause();
		if (this.#waiting.length === 0) return;
		const isOpen = this.#options.isOpen();
		const nowMs = this.#options.nowMs();
		const waiting = this.#waiting;
		this.#waiting = isOpen ? [] : waiting.filter(({untilMs}) => nowMs < untilMs);
		for (const {resolve, reject, untilMs} of waiting) {
			if (isOpen) resolve();
			else if (nowMs >= untilMs)
				reject(new DapssError('no-quorum', `${this.#options.why()}. Nothing was stored`));
		}
	}

	close(): void {
		this.#isClosed = true;
		for (const {reject} of this.#waiting.splice(0)) reject(new DapssError('closed', 'The node is stopping'));
	}
	/** Also called before a publish: after a pause, a request may be read before the first tick. */
	#detectPause(): void {
		const nowMs = this.#options.nowMs();
		const sinceMs = nowMs - this.#lastRunMs;
		if (sinceMs >= pauseMs) {
			this.#options.onPause();
			// The leader may be reached again at once, so the pause does not count as waiting.
			this.#waiting = this.#waiting.map(one => ({...one, untilMs: one.untilMs + sinceMs}));
		}

		this.#lastRunMs = nowMs;
	}
}
