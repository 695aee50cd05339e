/**
A member did not answer; how long it has to say that it lives. One accuser may be at fault itself, so the wait starts
long and shrinks with every other member that failed to reach the suspect on its own, by the logarithm of their number
(Lifeguard, section IV-B).
*/
import type {NodeId} from '../message.ts';
import type {Timing} from './pace.ts';

export class Suspicion {
	readonly #sinceTick: number;
	readonly #pace: Pick<Timing, 'suspicionMin' | 'suspicionMax' | 'confirmations'>;
	readonly #accusers: Set<NodeId>;
	/** When this node asked it a last time. */
	askedTick: number | undefined;

	constructor(
		sinceTick: number,
		accuser: NodeId,
		pace: Pick<Timing, 'suspicionMin' | 'suspicionMax' | 'confirmations'>,
	) {
		this.#sinceTick = sinceTick;
		this.#pace = pace;
		this.#accusers = new Set([accuser]);
	}

	/** Accusers besides the first. */
	get confirmations(): number {
		return this.#accusers.size - 1;
	}

	/** Whether this accuser is new and wanted; the word of one that is, is worth passing on. */
	confirm(accuser: NodeId): boolean {
		if (this.confirmations >= this.#pace.confirmations || this.#accusers.has(accuser)) return false;
		this.#accusers.add(accuser);
		return true;
	}

	/** How long this suspicion lasts, as far as is known now. */
	get ticks(): number {
		const {suspicionMin, suspicionMax, confirmations} = this.#pace;
		if (confirmations === 0) return suspicionMin;
		const share = Math.log(this.confirmations + 1) / Math.log(confirmations + 1);
		return Math.max(suspicionMin, Math.ceil(suspicionMax - (suspicionMax - suspicionMin) * share));
	}

	isOver(tick: number): boolean {
		return tick - this.#sinceTick >= this.ticks;
	}
}
