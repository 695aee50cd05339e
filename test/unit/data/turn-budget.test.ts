/** Work that is divided over turns of the event loop. */
import {expect, test} from 'vitest';
import {TurnBudget, TurnShare} from '../../../core/data/turn-budget.ts';

/** A loop whose turns the test takes. */
function loop(): {readonly budget: TurnBudget; turn(): boolean} {
	let next: Array<() => void> = [];
	return {
		budget: new TurnBudget({soon: run => next.push(run), max: 8, slice: 2}),
		turn() {
			const runs = next;
			next = [];
			for (const run of runs) run();
			return runs.length > 0;
		},
	};
}

/** A user with that much work of cost 1 each. Writes its name for each piece. */
function work(budget: TurnBudget, name: string, pieces: number, done: string[]): TurnShare {
	const share = new TurnShare(budget);
	const run = (): void => {
		for (; pieces > 0; pieces--) {
			if (share.isSpent) return share.whenFree(run);
			share.spend(1);
			done.push(name);
		}
	};

	run();
	return share;
}

test('little work is done at once, also in later turns', () => {
	const {budget, turn} = loop();
	const done: string[] = [];
	for (let round = 0; round < 3; round++) {
		work(budget, 'a', 8, done);
		expect(done).toHaveLength((round + 1) * 8);
		turn();
	}

	expect(turn()).toBe(false);
});

test('more work waits for later turns, and those who wait take turns', () => {
	const {budget, turn} = loop();
	const done: string[] = [];
	for (const name of ['a', 'b', 'c', 'd', 'e']) work(budget, name, 12, done);
	expect(done.join('')).toBe('aaaaaaaa');
	turn();
	expect(done.splice(8).join('')).toBe('aabbccdd');
	turn();
	expect(done.splice(8).join('')).toBe('eeaabbcc');
	while (turn());
	expect(done.splice(8).toSorted().join('').length).toBe(60 - 8 - 16);
});

test('a user that has ended gets no turn', () => {
	const {budget, turn} = loop();
	const done: string[] = [];
	work(budget, 'a', 8, done);
	const ended = work(budget, 'b', 5, done);
	work(budget, 'c', 2, done);
	ended.end();
	while (turn());
	expect(done.join('')).toBe('aaaaaaaacc');
});
