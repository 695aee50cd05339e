/**
The history of operations on subscriptions, as clients saw them: each pair of topic and node must behave as one
linearizable object.
*/
import {linearizable, subscriptionModel, type Call, type SubscriptionInput} from '../../linearizable.ts';
import {shrink} from '../../shrink.ts';
import type {DeletionCall, Operation} from '../observer/operations.ts';

export type HistoryResult = {readonly keys: number; readonly operations: number; readonly undecided: number};

type Calls = ReadonlyArray<Call<SubscriptionInput, number | false>>;

const stepsMax = 200_000;
/** Calls of the search while a failing history is made smaller. */
const shrinkRuns = 500;

/**
@param isLeftOut nodes that were removed. Their removal ended their subscriptions, and no client called it.
@param deletions deletions of topics, which end the subscriptions of all nodes. For these topics the start of a
subscription depends on deletions too, and is ignored.
@throws the history that is not linearizable, reduced to a short window
*/
export function checkHistory(
	history: readonly Operation[],
	isLeftOut: (node: string) => boolean,
	deletions: readonly DeletionCall[] = [],
): HistoryResult {
	const byKey = Map.groupBy(
		history.filter(({node}) => !isLeftOut(node)),
		({topic, node}) => `${topic} ${node}`,
	);
	let operations = 0;
	let undecided = 0;
	for (const [key, list] of byKey) {
		const ended = deletions.filter(({topic}) => topic === list[0]!.topic);
		const calls = [
			...list.map(operation => toCall(ended.length > 0 ? sinceAnytime(operation) : operation)),
			...ended.map(deletion => toCall({...deletion, node: list[0]!.node, call: {type: 'unsubscribe'}})),
		];
		operations += calls.length;
		const verdict = linearizable(calls, subscriptionModel, stepsMax);
		if (verdict === 'undecided') undecided++;
		if (verdict !== 'not linearizable') continue;
		throw new Error(`subscriptions are linearizable: ${key}: ${describe(smallestWindow(calls))}`);
	}

	return {keys: byKey.size, operations, undecided};
}

function sinceAnytime(operation: Operation): Operation {
	const {call, result} = operation;
	return {
		...operation,
		call: call.type === 'subscribe' ? {...call, since: 0} : call,
		result: result === undefined ? undefined : 0,
	};
}

function toCall({call, result, invoked, returned}: Operation): Call<SubscriptionInput, number | false> {
	return {input: call, output: call.type === 'read' ? (result ?? false) : undefined, invoked, returned};
}

/**
The shortest prefix that already fails, then its shortest suffix that fails from every possible state, then as few reads
as possible. Removing a read never makes a correct history wrong. Removing a write can, so writes stay.
*/
function smallestWindow(calls: Calls): Calls {
	const ends = calls
		.map(({returned}) => returned)
		.filter(returned => returned !== undefined)
		.toSorted((a, b) => a - b);
	const beginning = ends.map(end => upTo(calls, end)).find(part => isWrong(part)) ?? calls;
	const states = [
		false as const,
		...new Set(beginning.flatMap(({input}) => (input.type === 'subscribe' ? [input.since] : []))),
	];
	const isAlwaysWrong = (part: Calls): boolean => states.every(initial => isWrong(part, initial));
	const window = beginning
		.map(({invoked}) => invoked)
		.toSorted((a, b) => b - a)
		.map(start => beginning.filter(({returned}) => returned === undefined || returned >= start))
		.find(part => isAlwaysWrong(part));
	const part = window ?? beginning;
	const reads = part.filter(({input}) => input.type === 'read');
	const others = part.filter(({input}) => input.type !== 'read');
	const isStillWrong = (some: Calls): boolean =>
		window ? isAlwaysWrong([...some, ...others]) : isWrong([...some, ...others]);
	return [...shrink(reads, isStillWrong, shrinkRuns).items, ...others].toSorted((a, b) => a.invoked - b.invoked);
}

/** The calls made up to a moment. A call that had not returned by then counts as open. */
function upTo(calls: Calls, end: number): Calls {
	return calls
		.filter(({invoked}) => invoked <= end)
		.map(call =>
			call.returned !== undefined && call.returned > end
				? {...call, returned: undefined, output: undefined}
				: call,
		);
}

function isWrong(calls: Calls, initial = subscriptionModel.initial): boolean {
	return linearizable(calls, {...subscriptionModel, initial}, stepsMax) === 'not linearizable';
}

function describe(calls: Calls): string {
	return calls
		.map(
			({input, output, invoked, returned}) =>
				`[${invoked}, ${returned ?? '…'}] ${input.type}${input.type === 'subscribe' ? ` since ${input.since}` : ''}${input.type === 'read' ? ` → ${output}` : ''}`,
		)
		.join('; ');
}
