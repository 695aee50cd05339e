/**
From who hears whom to sides. A picture is a line a node: `1` hears, `0` does not, `?` no fresh word. After a `/` stands
the last word.
*/
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {NodeId} from '../../../core/message.ts';
import {PartitionTracker, quorumSide, sidesOf, type Sides} from '../../../core/swim/partition.ts';

const ids = (text: string): NodeId[] => [...text] as NodeId[];

/** Sides as text: `ab|c`. */
function sides(self: string, picture: string, down = ''): string {
	const rows = picture
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
	test('all hear all', () =>
		expect(
			sides(
				'b',
				`
		111
		111
		111`,
			),
		).toBe('abc'));

	test('2 | 3, this node first', () =>
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

	test('one link is cut: the way around holds them together', () =>
		expect(
			sides(
				'a',
				`
		101
		011
		111`,
			),
		).toBe('abc'));

	test('one way is cut, and there is a way around', () =>
		expect(
			sides(
				'a',
				`
		111
		011
		111`,
			),
		).toBe('abc'));

	test('one way is cut, and there is none: neither side has the other', () => {
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

	test('who is down is on no side', () => {
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

	test('far members of whom nothing is known stay together as they were last heard', () => {
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

	test('a member whose row did not come yet is with those who hear it', () =>
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

	test('every member that is not down is on exactly one side, whatever is heard', () => {
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
					// Given the same rows, all members draw the same sides.
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

test('the quorum is with more than half of the voters, whoever else is there', () => {
	const of = (text: string, voters: string): number =>
		quorumSide(
			text.split('|').map(side => ids(side)),
			ids(voters),
		);
	expect(of('ab|cde', 'abcde')).toBe(1);
	expect(of('ab|cd', 'abcd')).toBe(-1);
	expect(of('abcd|ef', 'aef')).toBe(1); // Learners do not count.
	expect(of('a|b|c', 'abc')).toBe(-1);
	expect(of('ab', 'abcde')).toBe(-1); // The others are down.
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

	test('whole, partitioned, repairing, whole', () => {
		const {tracker, at} = setUp();
		expect(at(100, 'abc')).toBeUndefined();
		expect(tracker.state).toBe('whole');
		expect(at(120, 'ab|c')).toBeUndefined();
		expect(at(123, 'ab|c')).toBeUndefined();
		expect(at(124, 'ab|c')).toBe('detected ab|c 24'); // Since the last word, at 100.
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

	test('a moment is no partition', () => {
		const {at} = setUp();
		for (let tick = 100; tick < 200; tick++) expect(at(tick, tick % 4 === 0 ? 'abc' : 'ab|c')).toBeUndefined();
	});

	test('sides that change are detected anew; the heal counts from the first', () => {
		const {at} = setUp();
		at(100, 'ab|c');
		expect(at(104, 'ab|c')).toBe('detected ab|c 4');
		at(110, 'a|b|c');
		expect(at(114, 'a|b|c')).toBe('detected a|b|c 14');
		at(120, 'abc');
		expect(at(124, 'abc')).toBe('healed abc 20');
	});

	test('a cut while repairing', () => {
		const {tracker, at} = setUp();
		at(100, 'ab|c');
		at(104, 'ab|c');
		at(110, 'abc');
		at(114, 'abc');
		at(120, 'a|bc');
		expect(at(124, 'a|bc')).toBe('detected a|bc 24');
		expect(tracker.state).toBe('partitioned');
	});

	test('members that come and go while all is whole are no event', () => {
		const {tracker, at} = setUp();
		at(100, 'abcd');
		expect(at(110, 'abcd')).toBeUndefined();
		expect(tracker.sides).toEqual(parse('abcd'));
		expect(tracker.state).toBe('whole');
	});
});
