import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {linearizable, subscriptionModel, type Call, type Model} from './linearizable.ts';

type RegisterInput =
	| {readonly type: 'read'}
	| {readonly type: 'write'; readonly value: number}
	| {readonly type: 'swap'; readonly from: number; readonly to: number};
const register: Model<number, RegisterInput, number | boolean> = {
	initial: 0,
	step(state, input, output) {
		switch (input.type) {
			case 'read':
				return output === undefined || output === state ? state : undefined;
			case 'write':
				return input.value;
			case 'swap': {
				const isDone = state === input.from;
				return output === undefined || output === isDone ? (isDone ? input.to : state) : undefined;
			}

			default:
				return input satisfies never;
		}
	},
	key: String,
};

type History = ReadonlyArray<Call<RegisterInput, number | boolean>>;
const write = (value: number, invoked: number, returned?: number): Call<RegisterInput, number | boolean> => ({
	input: {type: 'write', value},
	output: undefined,
	invoked,
	returned,
});
const read = (output: number, invoked: number, returned: number): Call<RegisterInput, number | boolean> => ({
	input: {type: 'read'},
	output,
	invoked,
	returned,
});
const swap = (
	from: number,
	to: number,
	output: boolean,
	invoked: number,
	returned: number,
): Call<RegisterInput, number | boolean> => ({input: {type: 'swap', from, to}, output, invoked, returned});

/** Tries every order, and every subset of the calls that did not return. */
function bruteForce(calls: History): boolean {
	const place = (left: History, state: number): boolean => {
		if (left.every(({returned}) => returned === undefined)) return true;
		return left.some(call => {
			if (left.some(other => other !== call && other.returned !== undefined && other.returned < call.invoked))
				return false;
			const next = register.step(state, call.input, call.output);
			return (
				next !== undefined &&
				place(
					left.filter(other => other !== call),
					next,
				)
			);
		});
	};

	return place(calls, register.initial);
}

describe('known histories', () => {
	test.each([
		['nothing', []],
		['one after the other', [write(1, 1, 2), read(1, 3, 4)]],
		['a read during a write, before it', [write(1, 1, 4), read(0, 2, 3)]],
		['a read during a write, after it', [write(1, 1, 4), read(1, 2, 3)]],
		['two writes at once, either may be last', [write(1, 1, 4), write(2, 2, 3), read(1, 5, 6)]],
		['a write without an answer that takes effect late', [write(1, 1), read(0, 2, 3), read(1, 4, 5)]],
		['a write without an answer that never happens', [write(1, 1), read(0, 2, 3), read(0, 4, 5)]],
		['one of two swaps wins', [swap(0, 1, true, 1, 4), swap(0, 2, false, 2, 3), read(1, 5, 6)]],
	] as Array<[string, History]>)('%s: linearizable', (_name, history) => {
		expect(linearizable(history, register)).toBe('linearizable');
		expect(bruteForce(history)).toBe(true);
	});

	test.each([
		['a stale read', [write(1, 1, 2), read(0, 3, 4)]],
		['a value that nobody wrote', [write(1, 1, 2), read(7, 3, 4)]],
		['a lost write', [write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)]],
		['reads that go back', [write(1, 1, 6), read(1, 2, 3), read(0, 4, 5)]],
		['a write without an answer that comes and goes', [write(1, 1), read(1, 2, 3), read(0, 4, 5)]],
		['both of two swaps win', [swap(0, 1, true, 1, 4), swap(0, 2, true, 2, 3)]],
		[
			'readers that saw two writes in different orders',
			[write(1, 1, 10), write(2, 2, 9), read(1, 3, 4), read(2, 5, 6), read(1, 7, 8)],
		],
	] as Array<[string, History]>)('%s: not linearizable', (_name, history) => {
		expect(linearizable(history, register)).toBe('not linearizable');
		expect(bruteForce(history)).toBe(false);
	});

	test('a search that takes too long is undecided, never linearizable', () => {
		const history = Array.from({length: 12}, (_, index) => write(index, index + 1, 100 + index));
		expect(linearizable([...history, read(99, 200, 201)], register, 500)).toBe('undecided');
		expect(linearizable([...history, read(99, 200, 201)], register)).toBe('not linearizable');
	});
});

describe('operations without an answer are cheap', () => {
	test('any number of equal ones', () => {
		const history = [
			...Array.from({length: 40}, (_, index) => write(1 + (index % 2), index + 1)),
			...Array.from({length: 20}, (_, index) => read(1 + (index % 2), 100 + 2 * index, 101 + 2 * index)),
			read(7, 200, 201),
		];
		expect(linearizable(history, register, 20_000)).toBe('not linearizable');
		expect(linearizable(history.slice(0, -1), register, 2000)).toBe('linearizable');
	});

	test('any number that change nothing', () => {
		const history = [
			write(1, 1, 2),
			...Array.from({length: 40}, (_, index) => ({
				...swap(100 + index, 200 + index, true, 3 + index, 0),
				output: undefined,
				returned: undefined,
			})),
			read(2, 100, 101),
		];
		expect(linearizable(history, register, 1000)).toBe('not linearizable');
	});
});

test('the verdict equals that of a search through every order', () => {
	const operation = fc.record({
		kind: fc.constantFrom('read', 'write', 'swap'),
		value: fc.nat(2),
		to: fc.nat(2),
		output: fc.nat(2),
		isDone: fc.boolean(),
		isAnswered: fc.boolean(),
		at: fc.nat(20),
		lasts: fc.nat(12),
	});
	const counts = {true: 0, false: 0};
	fc.assert(
		fc.property(fc.array(operation, {minLength: 1, maxLength: 6}), drawn => {
			// All moments are distinct.
			const moments = drawn
				.flatMap(({at, lasts}, index) => [
					{at, index, isCall: true},
					{at: at + lasts, index, isCall: false},
				])
				.toSorted((a, b) => a.at - b.at || Number(b.isCall) - Number(a.isCall) || a.index - b.index);
			const momentOf = (index: number, isCall: boolean): number =>
				moments.findIndex(moment => moment.index === index && moment.isCall === isCall);
			const history: History = drawn.map(({kind, value, to, output, isDone, isAnswered}, index) => ({
				input:
					kind === 'read'
						? {type: 'read'}
						: kind === 'write'
							? {type: 'write', value}
							: {type: 'swap', from: value, to},
				output:
					!isAnswered && kind !== 'read'
						? undefined
						: kind === 'read'
							? output
							: kind === 'swap'
								? isDone
								: undefined,
				invoked: momentOf(index, true),
				returned: !isAnswered && kind !== 'read' ? undefined : momentOf(index, false),
			}));
			const expected = bruteForce(history);
			counts[`${expected}`]++;
			expect(linearizable(history, register)).toBe(expected ? 'linearizable' : 'not linearizable');
		}),
		{numRuns: 6000},
	);
	expect(Math.min(counts.true, counts.false)).toBeGreaterThan(500);
});

describe('agreed subscriptions', () => {
	test('the first subscribe counts, until an unsubscribe', () => {
		const subscribe = (since: number, at: number) => ({
			input: {type: 'subscribe', since} as const,
			output: undefined,
			invoked: at,
			returned: at + 0.5,
		});
		const seen = (output: number | false, at: number) => ({
			input: {type: 'read'} as const,
			output,
			invoked: at,
			returned: at + 0.5,
		});
		const unsubscribe = (at: number) => ({
			input: {type: 'unsubscribe'} as const,
			output: undefined,
			invoked: at,
			returned: at + 0.5,
		});
		expect(
			linearizable(
				[seen(false, 1), subscribe(5, 2), subscribe(9, 3), seen(5, 4), unsubscribe(5), seen(false, 6)],
				subscriptionModel,
			),
		).toBe('linearizable');
		expect(linearizable([subscribe(5, 2), subscribe(9, 3), seen(9, 4)], subscriptionModel)).toBe(
			'not linearizable',
		);
	});
});
