/**
The check of whole histories: what it leaves out, what it counts, and that it shows the part that matters.
*/
import {describe, expect, test} from 'vitest';
import {checkHistory} from './node/history.ts';
import type {Operation} from './node/witness.ts';

type Call = Operation['call'];

/** One operation after the other, two moments each; `undefined` for the end of one without an answer. */
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
	test('of several topics and nodes is judged for each of them', () => {
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

	test('of a node that was removed is left out: nobody called what ended its subscriptions', () => {
		const list = history(subscribe(5), read());
		expect(checkHistory(list, node => node === 'a')).toEqual({keys: 0, operations: 0, undecided: 0});
		expect(() => checkHistory(list, nobody)).toThrow(
			'subscriptions are linearizable: news a: [0, 1] subscribe since 5; [2, 3] read → false',
		);
	});

	test('that is wrong is shown from where it is wrong, whatever was before, without reads that do not matter', () => {
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

	test('keeps what may have happened without an answer', () => {
		expect(() => checkHistory(history(subscribe(3, true), read(), read(3), read()), nobody)).toThrow(
			/\[0, …\] subscribe since 3; .*read → 3; .*read → false$/,
		);
	});
});
