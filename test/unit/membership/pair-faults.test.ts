import {expect, test} from 'vitest';
import {PairFaults} from '../../../core/membership/pair-faults.ts';
import type {NodeId} from '../../../core/message.ts';
import type {Complaint} from '../../../core/swim/rows.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'] as NodeId[] as [NodeId, NodeId, NodeId, NodeId];
const complaintOf = (node: NodeId, unlinked: readonly NodeId[], silent: readonly NodeId[] = []): Complaint => ({
	node,
	unlinked,
	silent,
});
const afterMs = 600;

function after(complaints: readonly Complaint[], isPresent: (id: NodeId) => boolean = () => true): PairFaults {
	const pairs = new PairFaults();
	for (const nowMs of [1000, 1000 + afterMs]) pairs.update(complaints, isPresent, nowMs, afterMs);
	return pairs;
}

test('a complaint of one end is enough, and a path that works in one direction only is broken for both', () => {
	expect(after([complaintOf(a, [c])]).faults).toMatchObject([
		{between: [a, c], link: true, datagram: false, blamed: [a, c]},
	]);
	expect(after([complaintOf(c, [], [a]), complaintOf(a, [c])]).faults).toMatchObject([
		{between: [a, c], link: true, datagram: true},
	]);
});

test('a failure that ends within the time is no fault', () => {
	const pairs = new PairFaults();
	for (const [nowMs, complaints] of [
		[0, [complaintOf(a, [c])]],
		[500, [complaintOf(a, [c])]],
		[550, []],
		[600, [complaintOf(a, [c])]],
		[1100, [complaintOf(a, [c])]],
	] as const)
		pairs.update(complaints, () => true, nowMs, afterMs);
	expect(pairs.faults).toEqual([]);
	pairs.update([complaintOf(a, [c])], () => true, 1200, afterMs);
	expect(pairs.faults).toHaveLength(1);
	pairs.update([], () => true, 1225, afterMs);
	expect(pairs.faults).toEqual([]);
});

test('datagrams that fail later than the link become a fault later', () => {
	const pairs = new PairFaults();
	for (const [nowMs, complaint] of [
		[0, complaintOf(a, [c])],
		[600, complaintOf(a, [c], [c])],
	] as const)
		pairs.update([complaint], () => true, nowMs, afterMs);
	expect(pairs.faults).toMatchObject([{link: true, datagram: false}]);
});

test('a member that is cut off from several others is blamed, not each of them', () => {
	const {faults} = after([complaintOf(a, [d]), complaintOf(b, [d]), complaintOf(d, [a, b, c])]);
	expect(faults.map(({between, blamed}) => [between, blamed])).toEqual([
		[[a, d], [d]],
		[[b, d], [d]],
		[[c, d], [d]],
	]);
});

test('members that are gone have no pairs, and their own complaints no longer count', () => {
	expect(after([complaintOf(a, [c]), complaintOf(c, [b])], id => id !== c).faults).toEqual([]);
});

test('faults are listed under either end', () => {
	const pairs = after([complaintOf(a, [c])]);
	expect([pairs.of(a).length, pairs.of(c).length, pairs.of(b).length]).toEqual([1, 1, 0]);
});
