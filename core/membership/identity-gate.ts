/**
No message is accepted before the cluster has agreed that this process is the one that uses the identity of its node: messages of two processes of one identity
would have the same numbers, and one of the two would be lost after it was acknowledged. A restarted node gets the agreement as soon as it sees a leader. While
the cluster has no quorum, a process that was confirmed before continues, and one that has just started must wait.
*/
import {DapssError} from '../errors.ts';

export type IdentityGateOptions = {
	/** The process is confirmed, or the cluster has no way to confirm one (protocol 1). */
	readonly isOpen: () => boolean;
	readonly nowMs: () => number;
};
type Waiting = {readonly resolve: () => void; readonly reject: (error: Error) => void; readonly untilMs: number};

/** How long a publisher waits for the agreement, and how many may. */
const waitMs = 5000;
const waitingMax = 4096;

export class IdentityGate {
	readonly #options: IdentityGateOptions;
	#waiting: Waiting[] = [];
	#isPassed = false;

	constructor(options: IdentityGateOptions) {
		this.#options = options;
	}

	/** `undefined`: publish. Else resolves when it may. @throws `no-quorum` after a while, `refused` when too many wait */
	wait(): Promise<void> | undefined {
		this.#isPassed ||= this.#options.isOpen();
		if (this.#isPassed) return undefined;
		if (this.#waiting.length >= waitingMax) return Promise.reject(new DapssError('refused', `Expected at most ${waitingMax} publishers to wait until the identity of this node is confirmed, got one more. Nothing was stored`));
		const {promise, resolve, reject} = Promise.withResolvers<void>();
		this.#waiting.push({resolve, reject, untilMs: this.#options.nowMs() + waitMs});
		return promise;
	}

	/** Now and then: let those through that may publish now, refuse those that waited for too long. */
	tick(): void {
		if (this.#waiting.length === 0) return;
		this.#isPassed ||= this.#options.isOpen();
		const nowMs = this.#options.nowMs();
		const waiting = this.#waiting;
		this.#waiting = this.#isPassed ? [] : waiting.filter(({untilMs}) => nowMs < untilMs);
		for (const {resolve, reject, untilMs} of waiting) {
			if (this.#isPassed) resolve();
			else if (nowMs >= untilMs) reject(new DapssError('no-quorum', 'The identity of this node is not confirmed yet: the cluster must agree that no second process uses it, and for that this node must reach a leader. Nothing was stored'));
		}
	}

	close(): void {
		for (const {reject} of this.#waiting.splice(0)) reject(new DapssError('closed', 'The node is stopping'));
	}
}
