/**
Sides of a partition from a matrix. Each line is a node: `1` hears, `0` does not hear, `?` no fresh row. The last known
row follows after a `/`.
*/
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {NodeId} from '../../../core/message.ts';
import {PartitionTracker, quorumSide, sidesOf, type Sides} from '../../../core/swim/partition.ts';

const ids = (text: string): NodeId[] => [...text] as NodeId[];

/** Sides as text: `ab|c`. */
function sides(self: string, matrix: string, down = ''): string {
	const rows = matrix
		.trim()
		.split('\n')
		.map(line => line.trim());
	const order = ids('abcdefgh').slice(0, rows.length);
	const read = (node: NodeId, other: NodeId, half: 0 | 1): boolean | undefined => {
		const [fresh, last] = rows[order.indexOf(node)]!.split(' / ');
		const mark = (half === 0 ? fresh! : (last ?? fresh!))[order.indexOf(other)];
		return mark === '?' ? undefined : mark === '1';
	};

	const found = sidesOf({
		self: self as NodeId,
		order,
		isDown: id => down.includes(id),
		hears: (node, other) => read(node, other, 0),
		heardLast: (node, other) => read(node, other, 1),
	});
	return found.map(side => side.join('')).join('|');
}

describe('sides', () => {
	test('a whole cluster is one side', () =>
		expect(
			sides(
				'b',
				`
		111
		111
		111`,
			),
		).toBe('abc'));

	test('2 | 3: the side of this node is first', () =>
		expect(
			sides(
				'd',
				`
		11000
		11000
		00111
		00111
		00111`,
			),
		).toBe('cde|ab'));

	test('one cut link is no partition: a detour connects the two members', () =>
		expect(
			sides(
				'a',
				`
		101
		011
		111`,
			),
		).toBe('abc'));

	test('a one-way cut with a detour is no partition', () =>
		expect(
			sides(
				'a',
				`
		111
		011
		111`,
			),
		).toBe('abc'));

	test('a one-way cut without a detour separates both sides', () => {
		expect(
			sides(
				'a',
				`
			11
			01`,
			),
		).toBe('a|b');
		expect(
			sides(
				'b',
				`
			11
			01`,
			),
		).toBe('b|a');
	});

	test('a member that is down is on no side', () => {
		expect(
			sides(
				'a',
				`
			110
			110
			???`,
				'c',
			),
		).toBe('ab');
		expect(
			sides(
				'a',
				`
			1100
			1100
			???? / 0011
			???? / 0011`,
				'c',
			),
		).toBe('ab|d');
	});

	test('far members without fresh rows stay together as they were last heard', () => {
		expect(
			sides(
				'a',
				`
			1000
			???? / 1111
			???? / 1111
			???? / 1111`,
			),
		).toBe('a|bcd');
		expect(
			sides(
				'a',
				`
			1000
			???? / 1110
			???? / 1110
			???? / 1001`,
			),
		).toBe('a|bc|d');
	});

	test('a member without a row is on the side of the members that hear it', () =>
		expect(
			sides(
				'a',
				`
		111
		111
		???`,
			),
		).toBe('abc'));

	test('a fresh "not heard" outweighs an old "heard"', () =>
		expect(
			sides(
				'a',
				`
		10
		?? / 11`,
			),
		).toBe('a|b'));

	test('for any matrix, every member that is not down is on exactly one side', () => {
		fc.assert(
			fc.property(
				fc.array(fc.array(fc.constantFrom(true, false, undefined), {minLength: 6, maxLength: 6}), {
					minLength: 6,
					maxLength: 6,
				}),
				fc.subarray(ids('bcdef')),
				(sees, down) => {
					const order = ids('abcdef');
					const hears = (node: NodeId, other: NodeId): boolean | undefined =>
						sees[order.indexOf(node)]![order.indexOf(other)];
					const of = (self: NodeId): Sides =>
						sidesOf({self, order, isDown: id => down.includes(id), hears, heardLast: hears});
					const found = of('a' as NodeId);
					expect(found.flat().toSorted()).toEqual(order.filter(id => !down.includes(id)));
					expect(found[0]).toContain('a');
					// From the same rows all members compute the same sides.
					for (const self of found.flat())
						expect(
							of(self)
								.map(side => side.join(''))
								.toSorted(),
						).toEqual(found.map(side => side.join('')).toSorted());
				},
			),
		);
	});
});

test('the quorum is on the side with more than half of the voters; other members do not count', () => {
	const of = (text: string, voters: string): number =>
		quorumSide(
			text.split('|').map(side => ids(side)),
			ids(voters),
		);
	expect(of('ab|cde', 'abcde')).toBe(1);
	expect(of('ab|cd', 'abcd')).toBe(-1);
	expect(of('abcd|ef', 'aef')).toBe(1); // Learners do not count.
	expect(of('a|b|c', 'abc')).toBe(-1);
	expect(of('ab', 'abcde')).toBe(-1); // The other members are down.
	expect(of('abc', 'abcde')).toBe(0);
	expect(of('a', '')).toBe(-1);
});

describe('the tracker', () => {
	const parse = (text: string): Sides => text.split('|').map(side => ids(side));
	const setUp = () => {
		const tracker = new PartitionTracker(parse('abc'));
		const at = (tick: number, text: string): string | undefined => {
			const change = tracker.update(parse(text), tick, 4, () => 100);
			return change && `${change.state} ${change.sides.map(side => side.join('')).join('|')} ${change.tookTicks}`;
		};

		return {tracker, at};
	};

	test('reports whole, partitioned, repairing, and whole again', () => {
		const {tracker, at} = setUp();
		expect(at(100, 'abc')).toBeUndefined();
		expect(tracker.state).toBe('whole');
		expect(at(120, 'ab|c')).toBeUndefined();
		expect(at(123, 'ab|c')).toBeUndefined();
		expect(at(124, 'ab|c')).toBe('detected ab|c 24'); // Since c was last heard, at 100.
		expect(at(125, 'ab|c')).toBeUndefined();
		expect(tracker.state).toBe('partitioned');
		expect(tracker.repaired(126)).toBe(false);
		expect(at(200, 'abc')).toBeUndefined();
		expect(at(204, 'abc')).toBe('healed abc 80'); // Since its detection.
		expect(tracker.state).toBe('repairing');
		expect(tracker.sinceTick).toBe(204);
		expect(tracker.repaired(210)).toBe(true);
		expect(tracker.repaired(211)).toBe(false);
		expect(tracker.state).toBe('whole');
	});

	test('a cut shorter than the debounce time is no partition', () => {
		const {at} = setUp();
		for (let tick = 100; tick < 200; tick++) expect(at(tick, tick % 4 === 0 ? 'abc' : 'ab|c')).toBeUndefined();
	});

	test('changed sides are detected again; the heal counts from the first detection', () => {
		const {at} = setUp();
		at(100, 'ab|c');
		expect(at(104, 'ab|c')).toBe('detected ab|c 4');
		at(110, 'a|b|c');
		expect(at(114, 'a|b|c')).toBe('detected a|b|c 14');
		at(120, 'abc');
		expect(at(124, 'abc')).toBe('healed abc 20');
	});

	test('a cut during the repair is a new partition', () => {
		const {tracker, at} = setUp();
		at(100, 'ab|c');
		at(104, 'ab|c');
		at(110, 'abc');
		at(114, 'abc');
		at(120, 'a|bc');
		expect(at(124, 'a|bc')).toBe('detected a|bc 24');
		expect(tracker.state).toBe('partitioned');
	});

	test('members that join or leave a whole cluster cause no event', () => {
		const {tracker, at} = setUp();
		at(100, 'abcd');
		expect(at(110, 'abcd')).toBeUndefined();
		expect(tracker.sides).toEqual(parse('abcd'));
		expect(tracker.state).toBe('whole');
	});
});
