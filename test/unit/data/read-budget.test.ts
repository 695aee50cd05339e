import {expect, test} from 'vitest';
import {ReadBudget, readBytesMax, type ReadingSink, type ReadTurn} from '../../../core/data/read-budget.ts';

const sink = (room: number, owner?: object): ReadingSink & {set: (bytes: number) => void} => {
	let now = room;
	return {
		room: () => now,
		owner,
		set(bytes) {
			now = bytes;
		},
	};
};

/** Asks for turns; `given` has those that were given, in their order. */
function asking(budget: ReadBudget) {
	const given: Array<{readonly name: string; readonly turn: ReadTurn}> = [];
	return {
		given,
		async ask(name: string, one: ReadingSink) {
			void budget.acquire(one).then(turn => given.push({name, turn}));
			await Promise.resolve();
		},
		async release(index: number) {
			given[index]!.turn.release();
			for (let waits = 0; waits < 3; waits++) await Promise.resolve();
		},
		names: () => given.map(({name}) => name),
	};
}

test('a read has the bytes of its sink, and 256 KiB at most', async () => {
	const budget = new ReadBudget();
	expect((await budget.acquire(sink(10))).bytes).toBe(10);
	expect((await budget.acquire(sink(1e9))).bytes).toBe(readBytesMax);
	expect((await budget.acquire(sink(0))).bytes).toBe(0);
});

test('the reads of one sink stay within its room', async () => {
	const budget = new ReadBudget();
	const {given, ask, release, names} = asking(budget);
	const little = sink(1);
	for (const name of ['a', 'b', 'c']) await ask(name, little);
	await ask('other', sink(1));
	expect(names()).toEqual(['a', 'other']);
	little.set(0); // The first read has used the credit.
	await release(0);
	expect(given.slice(2).map(({name, turn}) => [name, turn.bytes])).toEqual([
		['b', 0],
		['c', 0],
	]);
});

test('reads at once are bounded by number, by the bytes of a connection, and by the bytes of the node', async () => {
	let full = 0;
	const budget = new ReadBudget({
		reads: 5,
		bytes: 4 * readBytesMax,
		bytesPerOwner: 2 * readBytesMax,
		onFull: () => full++,
	});
	const {ask, release, names} = asking(budget);
	const [one, two, three] = [{}, {}, {}];
	for (let index = 0; index < 3; index++) await ask(`one ${index}`, sink(1e9, one));
	expect(names()).toEqual(['one 0', 'one 1']);
	for (let index = 0; index < 3; index++) await ask(`two ${index}`, sink(1e9, two));
	await ask('three', sink(1e9, three));
	expect(names()).toEqual(['one 0', 'one 1', 'two 0', 'two 1']);
	expect(budget.usedBytes).toBe(4 * readBytesMax);
	expect(full).toBeGreaterThan(0);
	await release(2);
	await release(3);
	// The first connection has all that it may have; the others take turns.
	expect(names().slice(4)).toEqual(['two 2', 'three']);
	await release(0);
	expect(names().at(-1)).toBe('one 2');
	for (const index of [1, 4, 5, 6]) await release(index);
	expect(budget.usedBytes).toBe(0);
});

test('a connection with thousands of waiting readers does not hold up another one', async () => {
	const budget = new ReadBudget({reads: 1});
	const {ask, release, names} = asking(budget);
	const many = {};
	for (let index = 0; index < 3000; index++) await ask('many', sink(1e9, many));
	await ask('few', sink(1e9, {}));
	await release(0);
	await release(1);
	expect(names().slice(0, 3)).toContain('few');
});

test('a read that is larger than a bound runs alone', async () => {
	const budget = new ReadBudget({bytes: 1, bytesPerOwner: 1});
	const {ask, release, names} = asking(budget);
	await ask('a', sink(1e9));
	await ask('b', sink(1e9));
	expect(names()).toEqual(['a']);
	await release(0);
	expect(names()).toEqual(['a', 'b']);
});
