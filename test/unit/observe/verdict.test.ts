import {describe, expect, test} from 'vitest';
import type {Snapshot} from '../../../core/index.ts';
import {verdictOf} from '../../../core/observe/verdict.ts';
import {healthy} from '../../tui/support/fixtures.ts';

const withStates = (
	states: ReadonlyArray<'alive' | 'suspect' | 'unreachable' | 'left'>,
	rest: Partial<Snapshot['raft']> = {},
): Snapshot => {
	const members = healthy.members.map((member, index) => ({
		...member,
		state: states[index]!,
		reached: states[index] === 'alive',
	}));
	return {
		...healthy,
		members,
		raft: {...healthy.raft, reachableVoters: states.filter(state => state === 'alive').length, ...rest},
	};
};

describe('the verdict', () => {
	test('of a healthy cluster is 0 without findings', () => {
		expect(verdictOf(healthy, healthy.raft.commit)).toMatchObject({verdict: 'healthy', exitCode: 0});
	});

	test('has the unreachable member and a remedy', () => {
		const {exitCode, findings} = verdictOf(withStates(['alive', 'alive', 'unreachable']), 1);
		expect(exitCode).toBe(10);
		expect(
			findings.some(
				({problem}) => problem.includes(healthy.members[2]!.id.slice(0, 8)) && problem.includes('unreachable'),
			),
		).toBe(true);
	});

	test('is unhealthy when a voter left and no further one may fail', () => {
		const {exitCode, findings} = verdictOf(withStates(['alive', 'alive', 'left']), 1);
		expect(exitCode).toBe(10);
		expect(findings[0]!.problem).toContain('No further voter may fail: 2 of 3 are present, 2 needed');
	});

	test('reports messages lost by a disk', () => {
		const topics = healthy.topics.map((topic, index) => ({...topic, missing: index === 0 ? 3 : 0}));
		const {exitCode, findings} = verdictOf({...healthy, topics}, healthy.raft.commit);
		expect([exitCode, findings.map(({problem}) => problem)]).toEqual([
			0,
			[`The disk lost messages that no other node has returned: 3 of ${topics[0]!.name}`],
		]);
	});

	test('without a quorum is 11, with the missing voters', () => {
		const {exitCode, findings} = verdictOf(
			withStates(['alive', 'unreachable', 'unreachable'], {hasQuorum: false, quorum: 'lost', leader: undefined}),
			'no-quorum',
		);
		expect(exitCode).toBe(11);
		expect(findings[0]!.problem).toContain('1 of 3 voters reachable, 2 needed');
		for (const {id} of healthy.members.slice(1)) expect(findings[0]!.problem).toContain(id.slice(0, 8));
	});

	test('advises the removal of a voter that is missing for long, not of one that restarts', () => {
		const states = withStates(['alive', 'alive', 'unreachable']);
		const after = (downMs: number): string =>
			verdictOf(
				{
					...states,
					members: states.members.map(member =>
						member.state === 'unreachable' ? {...member, downMs} : member,
					),
				},
				1,
			).findings.find(({problem}) => problem.includes('is unreachable'))!.advice;
		expect(after(5000)).not.toContain('peer remove');
		expect(after(31_000)).toContain(`dapss-tui peer remove ${states.members[2]!.id.slice(0, 8)}`);
	});

	test('of a node that is left behind by a recovered cluster has a finding', () => {
		const {exitCode, findings} = verdictOf(
			{...healthy, counters: {...healthy.counters, rejected: {'call-cluster': 3}}},
			1,
		);
		expect(exitCode).toBe(0); // The counter covers the time since the start, so the problem may be over.
		expect(findings).toEqual([
			expect.objectContaining({
				advice:
					'If the cluster was recovered without this node, stop it and start it with an empty data folder: ' +
					'it joins under a new id.',
			}),
		]);
	});

	test('during an election is 12', () => {
		expect(
			verdictOf(
				{...healthy, raft: {...healthy.raft, leader: undefined, hasQuorum: false, quorum: 'electing'}},
				'no-leader',
			).exitCode,
		).toBe(12);
	});
});
