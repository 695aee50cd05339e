import {expect, test} from 'vitest';
import type {NodeId} from '../../../core/message.ts';
import {lostMs, meaningOf, quorumHealthOf, remedyOf, type QuorumHealth} from '../../../core/observe/quorum-health.ts';
import {healthy, ids, lost, member} from '../../tui/support/fixtures.ts';

/** `away`: for how long each of the last voters has been away, in milliseconds. */
function healthWith(voters: number, ...away: readonly number[]): QuorumHealth {
	const members = ids.slice(0, voters).map((id, index) => {
		const downMs = away[index - (voters - away.length)];
		return member(id, {
			self: index === 0,
			...(downMs === undefined ? {} : {state: 'unreachable' as const, downMs}),
		});
	});
	return quorumHealthOf({raft: {...healthy.raft, voters: members.map(({id}) => id)}, members});
}

test.each([
	[1, [], '1 of 1 voters left: no further may fail'],
	[3, [], '3 of 3 voters left: 1 more may fail'],
	[3, [5], '2 of 3 voters left: no further may fail'],
	[3, [5, 5], '1 of 3 voters left, 2 needed: nothing can be agreed'],
	[4, [5], '3 of 4 voters left: no further may fail'],
	[5, [5], '4 of 5 voters left: 1 more may fail'],
	[5, [5, 5, 5], '2 of 5 voters left, 3 needed: nothing can be agreed'],
] as Array<[number, number[], string]>)('the meaning of %i voters, away %j', (voters, away, meaning) => {
	expect(meaningOf(healthWith(voters, ...away))).toBe(meaning);
});

test('the longest missing voter is listed first; learners and former voters are not listed', () => {
	const {missing} = healthWith(5, 10, 2000);
	expect(missing.map(({id, downMs}) => [id, downMs])).toEqual([
		[ids[4], 2000],
		[ids[3], 10],
	]);
	const {members, raft} = lost;
	expect(quorumHealthOf({members, raft: {...raft, voters: raft.voters.slice(0, 2)}}).missing).toEqual([]);
	expect(quorumHealthOf({members: members.slice(0, 2), raft}).missing).toEqual([
		{id: raft.voters[2], name: '', address: '', state: 'suspect', cause: '', downMs: undefined, isLost: false},
	]);
});

test('for refused voters the advice is to share the secret, not to restart or remove them', () => {
	const refused = (voters: number, gone: number): QuorumHealth => {
		const {raft, members} = {
			raft: healthy.raft,
			members: ids.slice(0, voters).map((id, index) =>
				member(id, {
					self: index === 0,
					...(index === 0
						? {}
						: index <= gone
							? {state: 'unreachable' as const, downMs: lostMs}
							: {
									state: 'degraded' as const,
									cause: 'not-authenticated',
									why: 'has another secret than this node',
									downMs: lostMs,
									reached: false,
								}),
				}),
			),
		};
		return quorumHealthOf({raft: {...raft, voters: members.map(({id}) => id)}, members});
	};

	const mend = 'give all nodes the same secret file (--secret-file), and restart the one that has another';
	expect(refused(3, 0).missing.map(({isLost}) => isLost)).toEqual([false, false]);
	expect(remedyOf(refused(3, 0), ':')).toBe(mend);
	expect(remedyOf(refused(5, 2), ':')).toBe(mend); // Two running voters and this node are a quorum.
	expect(remedyOf(refused(5, 3), ':')).toMatch(
		/^give all nodes the same secret file .* another; start 1 of the missing nodes again, .* Only if their disks are gone for good/,
	);
	const {missing, ...numbers} = refused(3, 0);
	expect(remedyOf({...numbers, present: 2, spare: 0, missing: missing.slice(1)}, ':')).toBe(mend);
});

test('removal is advised when a voter is away for longer than a restart takes, and only with a quorum', () => {
	expect(remedyOf(healthWith(3), ':')).toBe('');
	expect(remedyOf(healthWith(3, lostMs - 1), ':')).toBe('start it again, or repair the network to it');
	expect(remedyOf(healthWith(5, lostMs, 1), ':')).toBe(
		'start them again, or repair the network to them; a node that is gone for good is taken out by `:peer ' +
			`remove ${(ids[3] as NodeId).slice(0, 8)}\`, and a new one takes its place`,
	);
	expect(remedyOf(healthWith(5, lostMs, lostMs, 1), ':')).toBe(
		'start 1 of the missing nodes again, or repair the network: then nothing is lost. Only if their disks ' +
			'are gone for good: stop this node and run `dapss-tui recover` for it (unsafe; --help says what it costs)',
	);
	expect(remedyOf(healthWith(2, 1), ':')).toMatch(
		/^start it again, or repair the network: then nothing is lost\. Only if its disk is gone/,
	);
});
