/**
The check of subscription histories: what it leaves out, what it counts, and that it shows the part that matters.
*/
import {describe, expect, test} from 'vitest';
import {checkHistory} from './node/checks/subscription-history.ts';
import type {Operation} from './node/observer/operations.ts';

type Call = Operation['call'];

/** Operations one after the other, two moments each. An open operation has no return. */
function history(
	...list: ReadonlyArray<{
		readonly call: Call;
		readonly result?: number;
		readonly node?: string;
		readonly isOpen?: boolean;
	}>
): Operation[] {
	return list.map(({call, result, node = 'a', isOpen = false}, index) => ({
		client: 'c',
		topic: 'news',
		node,
		call,
		result,
		invoked: 2 * index,
		returned: isOpen ? undefined : 2 * index + 1,
	}));
}

const subscribe = (since: number, isOpen = false) => ({call: {type: 'subscribe', since} as const, isOpen});
const unsubscribe = {call: {type: 'unsubscribe'} as const};
const read = (result?: number) => ({call: {type: 'read'} as const, result});
const nobody = (): boolean => false;

describe('a history', () => {
	test('is checked for each topic and node', () => {
		expect(
			checkHistory(
				history(
					subscribe(5),
					{...read(), node: 'b'},
					read(5),
					{...subscribe(7), node: 'b'},
					unsubscribe,
					{...read(7), node: 'b'},
					read(),
				),
				nobody,
			),
		).toEqual({keys: 2, operations: 7, undecided: 0});
	});

	test('of a removed node is left out, because no client call ended its subscriptions', () => {
		const list = history(subscribe(5), read());
		expect(checkHistory(list, node => node === 'a')).toEqual({keys: 0, operations: 0, undecided: 0});
		expect(() => checkHistory(list, nobody)).toThrow(
			'subscriptions are linearizable: news a: [0, 1] subscribe since 5; [2, 3] read → false',
		);
	});

	test('that fails is reduced to the part that fails, without reads that do not matter', () => {
		const before = Array.from({length: 20}, (_, index) => [
			subscribe(index + 1),
			read(index + 1),
			unsubscribe,
			read(),
		]).flat();
		expect(() =>
			checkHistory(
				history(
					...before,
					subscribe(77),
					read(77),
					read(77),
					unsubscribe,
					read(),
					read(77),
					read(),
					subscribe(78),
				),
				nobody,
			),
		).toThrow(/news a: \[168, 169\] read → false; \[170, 171\] read → 77$/);
	});

	test('keeps operations without an answer that may have happened', () => {
		expect(() => checkHistory(history(subscribe(3, true), read(), read(3), read()), nobody)).toThrow(
			/\[0, …\] subscribe since 3; .*read → 3; .*read → false$/,
		);
	});
});
