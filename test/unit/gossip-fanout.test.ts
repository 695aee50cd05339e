import {describe, expect, test} from 'vitest';
import {baseFanout, Fanout} from '../../core/gossip/fanout.ts';

const bounds = {fanoutMin: 3, fanoutMax: 12};

/** One turn of the window in which `fresh` batches came, with these duplicates and misses. */
function turn(fanout: Fanout, {fresh, duplicates = 0, misses = 0}: {readonly fresh: number; readonly duplicates?: number; readonly misses?: number}): void {
	for (let index = 0; index < fresh; index++) fanout.fresh();
	for (let index = 0; index < duplicates; index++) fanout.duplicate();
	for (let index = 0; index < misses; index++) fanout.miss();
	fanout.turn();
}

describe('fanout', () => {
	test('begins with everybody in a small cluster, then ⌈ln n⌉ + 2 within the bounds', () => {
		expect([0, 1, 2, 3, 4, 5, 9, 49, 999].map(others => baseFanout(others, bounds))).toEqual([0, 1, 2, 3, 4, 4, 5, 6, 9]);
		expect(baseFanout(10 ** 6, bounds)).toBe(12);
		expect(baseFanout(8, {fanoutMin: 6, fanoutMax: 12})).toBe(6);
	});

	test('grows with misses, one step for two windows that agree, up to the bound', () => {
		const fanout = new Fanout(bounds);
		expect(fanout.of(49)).toBe(6);
		turn(fanout, {fresh: 1000, misses: 50});
		expect(fanout.of(49)).toBe(6);
		turn(fanout, {fresh: 1000, misses: 50});
		expect(fanout.of(49)).toBe(7);
		for (let index = 0; index < 100; index++) turn(fanout, {fresh: 1000, misses: 50});
		expect(fanout.of(49)).toBe(12);
	});

	test('shrinks with duplicates when hardly anything was missed, down to the bound', () => {
		const fanout = new Fanout(bounds);
		for (let index = 0; index < 100; index++) turn(fanout, {fresh: 1000, duplicates: 4000});
		expect(fanout.of(49)).toBe(3);
		const careful = new Fanout(bounds);
		for (let index = 0; index < 100; index++) turn(careful, {fresh: 1000, duplicates: 4000, misses: 5});
		expect(careful.of(49)).toBe(6); // Between the two marks it stays.
	});

	test('does not follow windows that disagree, or a few batches', () => {
		const fanout = new Fanout(bounds);
		for (let index = 0; index < 10; index++) {
			for (let quiet = 0; quiet < 8; quiet++) turn(fanout, {fresh: 1, misses: 1});
			expect(fanout.of(49)).toBe(6);
		}
	});

	test('leaves a cluster alone in which everybody is pushed to', () => {
		const fanout = new Fanout(bounds);
		for (let index = 0; index < 20; index++) turn(fanout, {fresh: 1000, duplicates: 4000});
		expect([2, 3, 4].map(others => fanout.of(others))).toEqual([2, 3, 4]);
	});

	test('tells both shares over a sliding window', () => {
		const fanout = new Fanout(bounds);
		turn(fanout, {fresh: 10, duplicates: 30, misses: 5});
		expect(fanout.shares()).toEqual({duplicates: 0.75, misses: 0.5});
		for (let index = 0; index < 8; index++) turn(fanout, {fresh: 1});
		expect(fanout.shares()).toEqual({duplicates: 0, misses: 0});
	});
});
