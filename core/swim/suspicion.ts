/**
A suspicion: the time that a member without an answer has to refute it. A single accuser may itself be at fault, so the
time starts long. It shrinks with every other member that could not reach the suspect, by the logarithm of their number
(Lifeguard, section IV-B).
*/
import type {NodeId} from '../message.ts';
import type {Timing} from './timing.ts';

export class Suspicion {
	readonly #sinceTick: number;
	readonly #timing: Pick<Timing, 'suspicionMin' | 'suspicionMax' | 'confirmations'>;
	readonly #accusers: Set<NodeId>;
	/** Tick of the last ping of this node to the suspect. */
	askedTick: number | undefined;

	constructor(
		sinceTick: number,
		accuser: NodeId,
		timing: Pick<Timing, 'suspicionMin' | 'suspicionMax' | 'confirmations'>,
	) {
		this.#sinceTick = sinceTick;
		this.#timing = timing;
		this.#accusers = new Set([accuser]);
	}

	/** Number of accusers besides the first. */
	get confirmations(): number {
		return this.#accusers.size - 1;
	}

	/** Adds an accuser. True if it is new and still shortens the suspicion; then the rumour is worth spreading. */
	confirm(accuser: NodeId): boolean {
		if (this.confirmations >= this.#timing.confirmations || this.#accusers.has(accuser)) return false;
		this.#accusers.add(accuser);
		return true;
	}

	/** Duration of the suspicion with the present accusers, in ticks. */
	get ticks(): number {
		const {suspicionMin, suspicionMax, confirmations} = this.#timing;
		if (confirmations === 0) return suspicionMin;
		const share = Math.log(this.confirmations + 1) / Math.log(confirmations + 1);
		return Math.max(suspicionMin, Math.ceil(suspicionMax - (suspicionMax - suspicionMin) * share));
	}

	isOver(tick: number): boolean {
		return tick - this.#sinceTick >= this.ticks;
	}
}
