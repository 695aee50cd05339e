/**
Divides work over turns of the event loop, so that many requests at once do not stall it: between two turns the node
reads heartbeats and serves others. Users whose turn is over wait in line, and each gets a slice in its turn. While
there is little work, nobody waits.
*/

export type TurnBudgetOptions = {
	/** Calls after the input that waits now has been read. */
	readonly soon: (run: () => void) => void;
	/** What may be spent in one turn. The last piece may exceed it. */
	readonly max: number;
	/** What a user that waits gets in its turn. */
	readonly slice: number;
};

export class TurnBudget {
	readonly #options: TurnBudgetOptions;
	readonly #waiting = new Set<() => void>();
	#spent = 0;
	#isScheduled = false;

	constructor(options: TurnBudgetOptions) {
		this.#options = options;
	}

	get slice(): number {
		return this.#options.slice;
	}

	/** The budget of this turn is used up, or is for those who wait. */
	get isSpent(): boolean {
		return this.#waiting.size > 0 || this.#spent >= this.#options.max;
	}

	spend(cost: number): void {
		this.#spent += cost;
		this.#schedule();
	}

	/** Calls once in a later turn, after the others that wait. It must spend its slice. */
	whenFree(run: () => void): void {
		this.#waiting.add(run);
		this.#schedule();
	}

	forget(run: () => void): void {
		this.#waiting.delete(run);
	}

	#schedule(): void {
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		this.#options.soon(() => {
			this.#isScheduled = false;
			this.#spent = 0;
			for (const run of this.#waiting) {
				if (this.#spent >= this.#options.max) break;
				this.#waiting.delete(run);
				run();
			}

			if (this.#waiting.size > 0) this.#schedule();
		});
	}
}

/** The part of one user: a connection, or a subscription that opens its topics. */
export class TurnShare {
	readonly #budget: TurnBudget;
	#prepaid = 0;
	#onFree: (() => void) | undefined;

	readonly #next = (): void => {
		this.#prepaid = this.#budget.slice;
		this.#budget.spend(this.#prepaid);
		this.#onFree?.();
	};

	constructor(budget: TurnBudget) {
		this.#budget = budget;
	}

	/** Its turn is over. */
	get isSpent(): boolean {
		return this.#prepaid <= 0 && this.#budget.isSpent;
	}

	spend(cost: number): void {
		const prepaid = Math.min(cost, this.#prepaid);
		this.#prepaid -= prepaid;
		if (cost > prepaid) this.#budget.spend(cost - prepaid);
	}

	/** Calls in its next turn. */
	whenFree(run: () => void): void {
		this.#onFree = run;
		this.#budget.whenFree(this.#next);
	}

	/** It needs no further turn. */
	end(): void {
		this.#budget.forget(this.#next);
	}
}
