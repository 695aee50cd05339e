/**
Linearizability of a history (Herlihy and Wing 1990), by the search of Wing and Gong (1993) with Lowe's memory of what was tried (2017): is
there an order of the operations, each between its call and its return, that a sequential object would answer in the same way? Histories
of independent objects are judged apart (Herlihy and Wing's locality), which is what makes the search short.
*/

/** `invoked` and `returned` are moments of one count, no two alike. Without `returned` it may have taken effect at any time since, or never. */
export type Call<Input, Output> = {readonly input: Input; readonly output: Output | undefined; readonly invoked: number; readonly returned: number | undefined};
export type Model<State, Input, Output> = {
	readonly initial: State;
	/** The state behind the operation, or `undefined` when it would not have answered so. `output` is `undefined` when the answer is not known. */
	readonly step: (state: State, input: Input, output: Output | undefined) => State | undefined;
	/** Equal states, equal keys. */
	readonly key: (state: State) => string;
};
export type Verdict = 'linearizable' | 'not linearizable' | 'undecided';

/** @param stepsMax tries until the search is given up as undecided */
export function linearizable<State, Input, Output>(calls: ReadonlyArray<Call<Input, Output>>, {initial, step, key}: Model<State, Input, Output>, stepsMax = 1_000_000): Verdict {
	const operations = calls.toSorted((a, b) => a.invoked - b.invoked);
	const done = new Set<number>();
	const tried = new Set<string>();
	let steps = 0;
	let isGivenUp = false;

	const search = (state: State): boolean => {
		// All that returned is placed; what did not may never have happened.
		if (operations.every(({returned}, index) => returned === undefined || done.has(index))) return true;
		const memory = `${[...done].toSorted((a, b) => a - b).join(',')}|${key(state)}`;
		if (tried.has(memory)) return false;
		tried.add(memory);
		// Next may be whatever was called before the first return among those that are left.
		const horizon = Math.min(...operations.map(({returned}, index) => (done.has(index) ? Infinity : returned ?? Infinity)));
		for (const [index, {input, output, invoked}] of operations.entries()) {
			if (invoked > horizon) break;
			if (done.has(index)) continue;
			if (++steps > stepsMax) {
				isGivenUp = true;
				return false;
			}

			const next = step(state, input, output);
			if (next === undefined) continue;
			done.add(index);
			if (search(next)) return true;
			done.delete(index);
		}

		return false;
	};

	if (search(initial)) return 'linearizable';
	return isGivenUp ? 'undecided' : 'not linearizable';
}

/** What is agreed of one topic and one node. `false`: not subscribed. */
export type SubscriptionInput = {readonly type: 'subscribe'; readonly since: number} | {readonly type: 'unsubscribe'} | {readonly type: 'read'};
export const subscriptionModel: Model<number | false, SubscriptionInput, number | false> = {
	initial: false,
	step(state, input, output) {
		switch (input.type) {
			case 'subscribe': return state === false ? input.since : state; // The first one counts.
			case 'unsubscribe': return false;
			case 'read': return output === undefined || output === state ? state : undefined;
			default: return input satisfies never;
		}
	},
	key: String,
};
