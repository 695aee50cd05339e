import {describe, expect, test} from 'vitest';
import {Fanout} from '../../../core/gossip/fanout.ts';

const bounds = {fanoutMin: 4, fanoutMax: 12};
const many = 49;

type Turn = {readonly fresh: number; readonly duplicates?: number; readonly misses?: number; readonly others?: number};

/** One turn with `fresh` new batches and these duplicates and misses. */
function turn(fanout: Fanout, {fresh, duplicates = 0, misses = 0, others = many}: Turn): void {
	for (let index = 0; index < fresh; index++) fanout.fresh(others);
	for (let index = 0; index < duplicates; index++) fanout.duplicate(others);
	for (let index = 0; index < misses; index++) fanout.miss(others);
	fanout.turn();
}

function turns(fanout: Fanout, count: number, each: Turn): void {
	for (let index = 0; index < count; index++) turn(fanout, each);
}

/** Shrinks to one copy, on links without loss. */
function calm(fanout: Fanout): void {
	turns(fanout, 6, {fresh: 100, duplicates: 100});
	expect(fanout.of(many)).toBe(1);
}

describe('fanout', () => {
	test('is every subscriber in a small cluster, and four copies in a larger one before any measurement', () => {
		const fanout = new Fanout(bounds);
		expect([0, 1, 2, 4, 5, 49, 999].map(others => fanout.of(others))).toEqual([0, 1, 2, 4, 4, 4, 4]);
		expect([4, 5].map(others => fanout.isDirect(others))).toEqual([true, false]);
		expect(new Fanout({fanoutMin: 1, fanoutMax: 2}).of(9)).toBe(2);
	});

	test('shrinks to one copy when there are duplicates and hardly any misses', () => {
		const fanout = new Fanout(bounds);
		const seen = [];
		for (const duplicates of [300, 300, 200, 200, 100, 100, 0, 0]) {
			turn(fanout, {fresh: 100, duplicates});
			seen.push(fanout.of(many));
		}

		expect(seen).toEqual([4, 3, 3, 2, 2, 1, 1, 1]);
		const careful = new Fanout(bounds);
		turns(careful, 100, {fresh: 1000, duplicates: 3000, misses: 5});
		expect(careful.of(many)).toBe(4); // Between the two thresholds it stays.
	});

	test('grows with misses, one step per two measurements that agree, up to the bound', () => {
		const fanout = new Fanout(bounds);
		calm(fanout);
		turn(fanout, {fresh: 1000, misses: 50});
		expect(fanout.of(many)).toBe(1);
		turn(fanout, {fresh: 1000, misses: 50});
		expect(fanout.of(many)).toBe(2);
		turns(fanout, 100, {fresh: 1000, misses: 50});
		expect(fanout.of(many)).toBe(12);
	});

	test('tries a number that was too low again after increasing pauses', () => {
		const fanout = new Fanout(bounds);
		calm(fanout);
		const waits: number[] = [];
		for (let round = 0; round < 5; round++) {
			turns(fanout, 2, {fresh: 200, misses: 10});
			expect(fanout.of(many)).toBe(2);
			let wait = 0;
			for (; fanout.of(many) > 1; wait++) turn(fanout, {fresh: 200, duplicates: 200});
			waits.push(wait);
		}

		expect(waits).toEqual([2, 3, 5, 9, 17]);
	});

	test('ignores measurements that disagree; small samples are measured together', () => {
		const fanout = new Fanout(bounds);
		calm(fanout);
		for (let index = 0; index < 10; index++) {
			turn(fanout, {fresh: 100, misses: 100});
			turn(fanout, {fresh: 100});
		}

		expect(fanout.of(many)).toBe(1);
		turns(fanout, 63, {fresh: 1, misses: 1});
		expect(fanout.of(many)).toBe(1);
		turn(fanout, {fresh: 1, misses: 1});
		expect(fanout.of(many)).toBe(2);
	});

	test('ignores topics whose origins push to every subscriber', () => {
		const fanout = new Fanout(bounds);
		turns(fanout, 20, {fresh: 1000, duplicates: 4000, others: 3});
		expect([2, 3, 4, 49].map(others => fanout.of(others))).toEqual([2, 3, 4, 4]);
	});

	test('reports both shares over a sliding window', () => {
		const fanout = new Fanout(bounds);
		turn(fanout, {fresh: 10, duplicates: 30, misses: 5});
		expect(fanout.shares()).toEqual({duplicates: 0.75, misses: 0.5});
		turns(fanout, 8, {fresh: 1});
		expect(fanout.shares()).toEqual({duplicates: 0, misses: 0});
	});
});
