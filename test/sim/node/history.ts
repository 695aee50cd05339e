/**
The operations on the agreed subscriptions, as those who asked saw them: is each topic and node one object that does one thing at a time?
*/
import {linearizable, subscriptionModel, type Call, type SubscriptionInput} from '../linearizable.ts';
import type {Operation} from './witness.ts';

export type HistoryResult = {readonly keys: number; readonly operations: number; readonly undecided: number};

const stepsMax = 200_000;

/** @param isLeftOut nodes that were removed: that ends their subscriptions, and nobody called it. @throws what is not linearizable, cut to its end */
export function checkHistory(history: readonly Operation[], isLeftOut: (node: string) => boolean): HistoryResult {
	const byKey = Map.groupBy(history.filter(({node}) => !isLeftOut(node)), ({topic, node}) => `${topic} ${node}`);
	let operations = 0;
	let undecided = 0;
	for (const [key, list] of byKey) {
		const calls = list.map(toCall);
		operations += calls.length;
		const verdict = linearizable(calls, subscriptionModel, stepsMax);
		if (verdict === 'undecided') undecided++;
		if (verdict !== 'not linearizable') continue;
		throw new Error(`subscriptions are linearizable: ${key}: ${smallestPart(calls).map(call => describe(call)).join('; ')}`);
	}

	return {keys: byKey.size, operations, undecided};
}

function toCall({call, result, invoked, returned}: Operation): Call<SubscriptionInput, number | false> {
	return {input: call, output: call.type === 'read' ? result ?? false : undefined, invoked, returned};
}

/** The shortest beginning that is wrong already, and of that the last few operations. */
function smallestPart(calls: ReadonlyArray<Call<SubscriptionInput, number | false>>): ReadonlyArray<Call<SubscriptionInput, number | false>> {
	const ends = calls.map(({returned}) => returned).filter(returned => returned !== undefined).toSorted((a, b) => a - b);
	for (const end of ends) {
		const part = calls.filter(({invoked}) => invoked <= end).map(call => (call.returned !== undefined && call.returned > end ? {...call, returned: undefined, output: undefined} : call));
		if (linearizable(part, subscriptionModel, stepsMax) === 'not linearizable') return part.slice(-8);
	}

	return calls.slice(-8);
}

function describe({input, output, invoked, returned}: Call<SubscriptionInput, number | false>): string {
	return `[${invoked}, ${returned ?? '…'}] ${input.type}${input.type === 'subscribe' ? ` since ${input.since}` : ''}${input.type === 'read' ? ` → ${output}` : ''}`;
}
