/**
Linearizability of a history (Herlihy and Wing 1990), by the search of Wing and Gong (1993) with Lowe's memory of what
was tried (2017): is there an order of the operations, each between its call and its return, that a sequential object
would answer in the same way? Histories of independent objects are judged apart (Herlihy and Wing's locality), which is
what makes the search short.

Operations without an answer may have happened or not, which would double the search with each. Three observations keep
them cheap: one that would change nothing need not be placed; of those that ask for the same the one that was called
first is placed first; and what was tried in vain with some of them left need not be tried with fewer left.
*/

/**
`invoked` and `returned` are moments of one count, no two alike. Without `returned` it may have taken effect at any time
since, or never.
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
	The state behind the operation, or `undefined` when it would not have answered so. `output` is `undefined` when the
	answer is not known.
	*/
	readonly step: (state: State, input: Input, output: Output | undefined) => State | undefined;
	/** Equal states, equal keys. */
	readonly key: (state: State) => string;
};
export type Verdict = 'linearizable' | 'not linearizable' | 'undecided';

/** @param stepsMax tries until the search is given up as undecided */
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
	/** With an answer, by their calls; what of them is placed, and how far all are. */
	readonly #answered: ReadonlyArray<Call<Input, Output>>;
	readonly #isPlaced: boolean[];
	#placedTo = 0;
	/** Without an answer: those that ask for the same, by their calls; how many of each are placed. */
	readonly #open: ReadonlyArray<ReadonlyArray<Call<Input, Output>>>;
	readonly #spent: number[];
	/**
	What was placed and the state that came of it → numbers of open ones that were spent to come there, none below
	another.
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
		// What did not return may never have happened.
		if (from === answered.length) return true;
		if (this.#wasTried(state)) return false;
		// Next may be whatever was called before the first return among those that are left.
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

	/** `undefined` as well when there are no steps left. */
	#step(state: State, {input, output}: Call<Input, Output>): State | undefined {
		return --this.#steps < 0 ? undefined : this.#model.step(state, input, output);
	}

	/** Here before, with as many open operations left or more; otherwise it is noted. */
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

/** What is agreed of one topic and one node. `false`: not subscribed. */
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
