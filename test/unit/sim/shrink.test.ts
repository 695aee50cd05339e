import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {withoutGlobals} from '../../sim/without-globals.ts';
import {shrink} from '../../sim/shrink.ts';

describe('shrinking a script', () => {
	const range = Array.from({length: 100}, (_, index) => index);

	test('keeps exactly the steps that a failure needs, in order', () => {
		const fails = (items: readonly number[]): boolean => [7, 8, 93].every(item => items.includes(item));
		expect(shrink(range, fails, 1000).items).toEqual([7, 8, 93]);
	});

	test('keeps no step if none is needed, and every step if all are', () => {
		expect(shrink(range, () => true, 1000).items).toEqual([]);
		expect(shrink(range, items => items.length === 100, 1000).items).toEqual(range);
	});

	test('stays within its bound of runs, and returns a failing script', () => {
		fc.assert(
			fc.property(fc.uniqueArray(fc.nat(99), {minLength: 1, maxLength: 8}), fc.nat(200), (needed, budget) => {
				let asked = 0;
				const {items, runs} = shrink(
					range,
					rest => {
						asked++;
						return needed.every(item => rest.includes(item));
					},
					budget,
				);
				expect(asked).toBe(runs);
				expect(runs).toBeLessThanOrEqual(budget);
				expect(items).toEqual(expect.arrayContaining(needed));
			}),
		);
	});
});

describe('a sealed run', () => {
	test.each([
		['Date.now', () => Date.now()],
		['Math.random', () => Math.random()],
		['performance.now', () => performance.now()],
		['setTimeout', () => setTimeout(() => undefined, 1)],
		['process', () => process.pid],
		['crypto', () => crypto.randomUUID()],
	] as Array<[string, () => unknown]>)('has no %s', (_name, touch) => {
		expect(() => withoutGlobals(touch)).toThrow(/determinism/);
		expect(touch).not.toThrow();
	});
});
