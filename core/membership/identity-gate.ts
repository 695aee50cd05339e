/**
No message is accepted before the cluster has agreed that this process is the one that uses the identity of its node:
messages of two processes of one identity would have the same numbers, and one of the two would be lost after it was
acknowledged. A restarted node gets the agreement as soon as it sees a leader. While the cluster has no quorum, a
process that was confirmed before continues, and one that has just started must wait. So must one that did not run for
so long that another process may have taken its place: it does not know whether it is still the one.
*/
import {DapssError} from '../errors.ts';

export type IdentityGateOptions = {
	/** The process is confirmed, or the cluster has no way to confirm one (protocol 1). */
	readonly isOpen: () => boolean;
	/** The process did not run for a while. */
	readonly onPause: () => void;
	/** Why the gate is closed, for people. */
	readonly why: () => string;
	readonly nowMs: () => number;
};
type Waiting = {readonly resolve: () => void; readonly reject: (error: Error) => void; readonly untilMs: number};

/** How long a publisher waits for the agreement, and how many may. */
const waitMs = 5000;
const waitingMax = 4096;
/** Peers take another process in the place of one that has not answered for a second (`doubles.ts`). */
const pauseMs = 800;

export class IdentityGate {
	readonly #options: IdentityGateOptions;
	#waiting: Waiting[] = [];
	#ranMs: number;

	constructor(options: IdentityGateOptions) {
		this.#options = options;
		this.#ranMs = options.nowMs();
	}

	/**
	`undefined`: publish. Else resolves when it may.
	@throws `no-quorum` after a while, `refused` when too many wait
	*/
	wait(): Promise<void> | undefined {
		this.#notePause();
		if (this.#options.isOpen()) return undefined;
		if (this.#waiting.length >= waitingMax)
			return Promise.reject(
				new DapssError(
					'refused',
					`Expected at most ${waitingMax} publishers to wait until the identity of this node is confirmed, got one more. Nothing was stored`,
				),
			);
		const {promise, resolve, reject} = Promise.withResolvers<void>();
		this.#waiting.push({resolve, reject, untilMs: this.#options.nowMs() + waitMs});
		return promise;
	}

	/** Now and then: let those through that may publish now, refuse those that waited for too long. */
	tick(): void {
		this.#notePause();
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
		for (const {reject} of this.#waiting.splice(0)) reject(new DapssError('closed', 'The node is stopping'));
	}
	/** Also before a publisher is let through: after a pause, its request may be read before the first tick. */
	#notePause(): void {
		const nowMs = this.#options.nowMs();
		if (nowMs - this.#ranMs >= pauseMs) this.#options.onPause();
		this.#ranMs = nowMs;
	}
}
