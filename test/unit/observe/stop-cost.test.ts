import {expect, test} from 'vitest';
import {leaveCost, stopCost} from '../../../core/observe/stop-cost.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {healthy, ids, leaderless, member} from '../../tui/support/fixtures.ts';

/** This node is the first voter or the last learner; `away` of the other voters do not answer. */
function snapshotOf({
	voters,
	learners = 0,
	away = 0,
	isLearner = false,
	awayLearners = 0,
}: {
	readonly voters: number;
	readonly learners?: number;
	readonly away?: number;
	readonly isLearner?: boolean;
	readonly awayLearners?: number;
}): Snapshot {
	const all = ids.slice(0, voters + learners);
	const self = isLearner ? all.at(-1)! : all[0]!;
	const isAway = (index: number): boolean =>
		index < voters ? index >= voters - away : index - voters < awayLearners;
	const members = all.map((id, index) =>
		member(id, {
			self: id === self,
			voter: index < voters,
			...(isAway(index) ? {state: 'down' as const, downMs: 5} : {}),
		}),
	);
	return {
		...healthy,
		self,
		members,
		raft: {
			...healthy.raft,
			voters: all.slice(0, voters),
			learners: all.slice(voters),
			hasQuorum: (voters - away) * 2 > voters,
		},
	};
}

test.each([
	[{voters: 1}, 'nothing', 'This node is alone: no other node depends on it'],
	[{voters: 1, learners: 1}, 'quorum', 'Stopping this node leaves 0 of 1 voter: no quorum until it is back'],
	[{voters: 3}, 'spare', 'Stopping this node leaves 2 of 3 voters: no other voter may fail until it is back'],
	[{voters: 3, away: 1}, 'quorum', 'Stopping this node leaves 1 of 3 voters: no quorum until it is back'],
	[{voters: 3, away: 2}, 'quorum', 'There is no quorum, and stopping this node leaves 0 of 3 voters'],
	[{voters: 5}, 'nothing', 'Stopping this node leaves 4 of 5 voters: 1 more may fail'],
	[
		{voters: 5, away: 1},
		'spare',
		'Stopping this node leaves 3 of 5 voters: no other voter may fail until it is back',
	],
	[{voters: 3, learners: 1, isLearner: true}, 'nothing', 'This node has no vote: no other node depends on it'],
] as const)('the cost of stopping one of %j', (shape, costs, text) => {
	expect(stopCost(snapshotOf(shape))).toEqual({costs, text});
});

test.each([
	[{voters: 3}, true, '1 voter remains: none may fail; it starts again as a new member'],
	[{voters: 3, learners: 1}, true, '3 voters remain: 1 may fail; it starts again as a new member'],
	[
		{voters: 3, learners: 1, awayLearners: 1},
		true,
		'1 voter remains: none may fail; it starts again as a new member',
	],
	[{voters: 5}, true, '4 voters remain: 1 may fail; it starts again as a new member'],
	[{voters: 5, away: 1}, true, '4 voters remain: none may fail; it starts again as a new member'],
	[
		{voters: 3, learners: 1, isLearner: true},
		true,
		'This node has no vote, the 3 voters stay; it starts again as a new member',
	],
	[{voters: 1, learners: 1}, true, 'Another member takes over the only vote; it starts again as a new member'],
	[
		{voters: 1, learners: 1, awayLearners: 1},
		false,
		'This node has the only vote, and no other member can be reached to take it over',
	],
	[{voters: 3, away: 1}, false, 'Without this node 1 of 2 voters would be reachable: no quorum'],
	[{voters: 3, away: 2}, false, 'Without a quorum nothing can be agreed, so no node can leave'],
	[{voters: 1}, false, 'This node is the only member: there is nothing to leave'],
] as const)('the cost of leaving as one of %j', (shape, isPossible, text) => {
	expect(leaveCost(snapshotOf(shape))).toEqual({isPossible, text});
});

test('a node that is no member yet has nothing to leave; one without a quorum cannot', () => {
	expect(leaveCost({...healthy, phase: 'joining'})).toEqual({
		isPossible: false,
		text: 'This node is no member yet: there is nothing to leave',
	});
	expect(leaveCost(leaderless).isPossible).toBe(false);
});
