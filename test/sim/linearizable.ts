/**
Linearizability of a history (Herlihy and Wing 1990), by the search of Wing and Gong (1993) with Lowe's memory of tried
states (2017). Is there an order of the operations, each between its call and its return, in which a sequential object
would give the same answers? Histories of independent objects are checked separately (Herlihy and Wing's locality),
which keeps the search short.

An operation without an answer may or may not have happened, so each one would double the search. Three observations
keep them cheap: an operation that changes nothing need not be placed; of equal operations, the one called first is
placed first; a state that was tried in vain with some open operations left need not be tried with fewer of them.
*/

/**
`invoked` and `returned` are distinct moments of one count. Without `returned`, the operation may have taken effect at
any time since, or never.
*/
export type Call<Input, Output> = {
	readonly input: Input;
	readonly output: Output | undefined;
	readonly invoked: number;
	readonly returned: number | undefined;
};
export type Model<State, Input, Output> = {
	readonly initial: State;
	/**
	The state after the operation, or `undefined` if the object would not give this answer. `output` is `undefined` if
	the answer is not known.
	*/
	readonly step: (state: State, input: Input, output: Output | undefined) => State | undefined;
	/** Equal states, equal keys. */
	readonly key: (state: State) => string;
};
export type Verdict = 'linearizable' | 'not linearizable' | 'undecided';

/** @param stepsMax steps after which the search gives up and returns `undecided` */
export function linearizable<State, Input, Output>(
	calls: ReadonlyArray<Call<Input, Output>>,
	model: Model<State, Input, Output>,
	stepsMax = 1_000_000,
): Verdict {
	return new Search(calls, model, stepsMax).verdict;
}

class Search<State, Input, Output> {
	readonly verdict: Verdict;
	readonly #model: Model<State, Input, Output>;
	/** Calls with an answer, by the time of the call; whether each is placed; the first that is not. */
	readonly #answered: ReadonlyArray<Call<Input, Output>>;
	readonly #isPlaced: boolean[];
	#placedTo = 0;
	/** Calls without an answer: groups of equal calls, by the time of the call; how many of each group are placed. */
	readonly #open: ReadonlyArray<ReadonlyArray<Call<Input, Output>>>;
	readonly #spent: number[];
	/**
	Placed calls and resulting state → numbers of open calls that were placed to get there. No entry includes another.
	*/
	readonly #tried = new Map<string, number[][]>();
	#steps: number;

	constructor(calls: ReadonlyArray<Call<Input, Output>>, model: Model<State, Input, Output>, stepsMax: number) {
		const inOrder = calls.toSorted((a, b) => a.invoked - b.invoked);
		this.#model = model;
		this.#answered = inOrder.filter(({returned}) => returned !== undefined);
		this.#isPlaced = this.#answered.map(() => false);
		this.#open = [
			...Map.groupBy(
				inOrder.filter(({returned}) => returned === undefined),
				({input, output}) => JSON.stringify([input, output]),
			).values(),
		];
		this.#spent = this.#open.map(() => 0);
		this.#steps = stepsMax;
		this.verdict = this.#search(model.initial)
			? 'linearizable'
			: this.#steps < 0
				? 'undecided'
				: 'not linearizable';
	}

	#search(state: State): boolean {
		const answered = this.#answered;
		const from = this.#placedTo;
		// Calls without a return may never have happened.
		if (from === answered.length) return true;
		if (this.#wasTried(state)) return false;
		// The next call is any that was made before the first return among the remaining calls.
		let horizon = Infinity;
		for (let index = from; index < answered.length && answered[index]!.invoked < horizon; index++)
			if (!this.#isPlaced[index]) horizon = Math.min(horizon, answered[index]!.returned!);
		for (let index = from; index < answered.length && answered[index]!.invoked < horizon; index++) {
			if (this.#isPlaced[index]) continue;
			const next = this.#step(state, answered[index]!);
			if (next === undefined) continue;
			this.#isPlaced[index] = true;
			while (this.#isPlaced[this.#placedTo]) this.#placedTo++;
			if (this.#search(next)) return true;
			this.#isPlaced[index] = false;
			this.#placedTo = from;
		}

		for (const [kind, list] of this.#open.entries()) {
			const call = list[this.#spent[kind]!];
			if (!call || call.invoked > horizon) continue;
			const next = this.#step(state, call);
			if (next === undefined || this.#model.key(next) === this.#model.key(state)) continue;
			this.#spent[kind]!++;
			if (this.#search(next)) return true;
			this.#spent[kind]!--;
		}

		return false;
	}

	/** Also `undefined` if no steps are left. */
	#step(state: State, {input, output}: Call<Input, Output>): State | undefined {
		return --this.#steps < 0 ? undefined : this.#model.step(state, input, output);
	}

	/** Whether the search was here before, with at least as many open calls left. Otherwise notes this state. */
	#wasTried(state: State): boolean {
		const ahead: number[] = [];
		for (let index = this.#placedTo; index < this.#isPlaced.length; index++)
			if (this.#isPlaced[index]) ahead.push(index);
		const memory = `${this.#placedTo} ${ahead.join(',')} ${this.#model.key(state)}`;
		const before = this.#tried.get(memory) ?? [];
		if (before.some(spent => spent.every((count, kind) => count <= this.#spent[kind]!))) return true;
		this.#tried.set(memory, [
			...before.filter(spent => spent.some((count, kind) => count < this.#spent[kind]!)),
			[...this.#spent],
		]);
		return false;
	}
}

/** The agreed subscription of one node to one topic. `false`: not subscribed. */
export type SubscriptionInput =
	{readonly type: 'subscribe'; readonly since: number} | {readonly type: 'unsubscribe'} | {readonly type: 'read'};
export const subscriptionModel: Model<number | false, SubscriptionInput, number | false> = {
	initial: false,
	step(state, input, output) {
		switch (input.type) {
			case 'subscribe':
				return state === false ? input.since : state; // The first one counts.
			case 'unsubscribe':
				return false;
			case 'read':
				return output === undefined || output === state ? state : undefined;
			default:
				return input satisfies never;
		}
	},
	key: String,
};
