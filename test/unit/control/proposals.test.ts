import {describe, expect, test} from 'vitest';
import type {Envelope} from '../../../core/cluster-state/command.ts';
import {demotion, promotion} from '../../../core/control/promotion.ts';
import {Proposals} from '../../../core/control/proposals.ts';
import {quorumOf, type QuorumView} from '../../../core/membership/reachability.ts';
import type {NodeId, Topic} from '../../../core/message.ts';

const node = 'aaaaaaaaaaaaaaaa' as NodeId;
const leader = 'bbbbbbbbbbbbbbbb' as NodeId;
const command = {type: 'subscribe', topic: 'news' as Topic, node, since: 0} as const;

function setUp(quorum: QuorumView) {
	const sent: Envelope[] = [];
	const state = {quorum};
	const proposals = new Proposals({
		node,
		incarnation: 1,
		pendingMax: 2,
		electionMs: 500,
		deadlineMs: 5000,
		stamp: () => 1,
		propose(envelope) {
			sent.push(envelope);
			return state.quorum.leader === undefined ? 'no-leader' : 'forwarded';
		},
		quorum: () => state.quorum,
	});
	return {proposals, sent, state};
}

const three = [node, leader, 'cccccccccccccccc' as NodeId];
const view = (led: NodeId | undefined, reachable: number): QuorumView =>
	quorumOf({voters: three, leader: led, reaches: voter => three.indexOf(voter) < reachable});
const healthy = view(leader, 3);

describe('a proposal', () => {
	test('resolves when its entry is applied, not when it is sent', async () => {
		const {proposals, sent} = setUp(healthy);
		let done = false;
		const work = proposals.propose(command, 0).then(() => {
			done = true;
		});
		await Promise.resolve();
		expect(done).toBe(false);
		proposals.applied(sent[0]!, {ok: true});
		await work;
		expect(proposals.size).toBe(0);
	});

	test('fails at once in a minority partition, with the reason', async () => {
		const {proposals, sent} = setUp(view(undefined, 1));
		await expect(proposals.propose(command, 0)).rejects.toMatchObject({
			code: 'no-quorum',
			message: 'no quorum: 1 of 3 voters reachable',
		});
		expect(sent).toEqual([]);
	});

	test('fails once the quorum is lost for an election timeout', async () => {
		const {proposals, state} = setUp(healthy);
		const work = proposals.propose(command, 0);
		state.quorum = view(undefined, 1);
		proposals.tick(400);
		expect(proposals.size).toBe(1);
		proposals.tick(500);
		await expect(work).rejects.toMatchObject({code: 'no-quorum'});
	});

	test('is repeated with the same number to a new leader, and after an election timeout without a commit', () => {
		const {proposals, sent} = setUp(healthy);
		proposals.propose(command, 0).catch(() => undefined);
		proposals.leaderChanged(100);
		proposals.tick(300);
		expect(sent).toHaveLength(2);
		proposals.tick(700);
		expect(sent.map(({seq}) => seq)).toEqual([1, 1, 1]);
	});

	test('carries the number below which answers are no longer needed', async () => {
		const {proposals, sent} = setUp(healthy);
		const first = proposals.propose(command, 0);
		proposals.propose(command, 0).catch(() => undefined);
		proposals.applied(sent[0]!, {ok: true});
		await first;
		proposals.propose(command, 0).catch(() => undefined);
		expect(sent.map(({seq, answeredBelow}) => [seq, answeredBelow])).toEqual([
			[1, 1],
			[2, 1],
			[3, 2],
		]);
	});

	test('is refused beyond the bound', async () => {
		const {proposals} = setUp(healthy);
		proposals.propose(command, 0).catch(() => undefined);
		proposals.propose(command, 0).catch(() => undefined);
		await expect(proposals.propose(command, 0)).rejects.toMatchObject({code: 'refused'});
	});
});

describe('promotion', () => {
	const ids = ['a', 'b', 'c', 'd', 'e', 'f'] as NodeId[];
	const next = (voters: number, learners: number, fit = learners, max = 5) =>
		promotion(
			{voters: ids.slice(0, voters), learners: ids.slice(voters, voters + learners)},
			id => ids.indexOf(id) < voters + fit,
			max,
		);

	test('keeps the number of voters odd', () => {
		expect(next(1, 1)).toBeUndefined();
		expect(next(1, 2)).toBe('b');
		expect(next(2, 1)).toBe('c');
		expect(next(3, 1)).toBeUndefined();
		expect(next(3, 2)).toBe('d');
		expect(next(4, 1)).toBe('e');
	});

	test('waits for learners that have not caught up, and stops at the maximum of voters', () => {
		expect(next(1, 2, 1)).toBeUndefined();
		expect(next(5, 1)).toBeUndefined();
		expect(next(3, 2, 2, 3)).toBeUndefined();
	});
});

describe('demotion', () => {
	const [a, b, c] = ['a', 'b', 'c'] as [NodeId, NodeId, NodeId];
	const all = (): boolean => true;

	test('demotes the voter that does not lead, if there are two voters and no learner', () => {
		expect(demotion({voters: [a, b], learners: []}, a, all)).toBe(b);
		expect(demotion({voters: [a, b], learners: []}, b, all)).toBe(a);
		expect(demotion({voters: [a, b], learners: [c]}, a, id => id !== c)).toBe(b);
	});

	test('waits while a learner may become the third voter, and while the second voter is unreachable', () => {
		expect(demotion({voters: [a, b], learners: [c]}, a, all)).toBeUndefined();
		expect(demotion({voters: [a, b], learners: []}, a, id => id !== b)).toBeUndefined();
	});

	test.each([1, 3, 4, 5])('does not change %i voters', voters => {
		expect(
			demotion({voters: [a, b, c, 'd', 'e'].slice(0, voters) as NodeId[], learners: []}, a, all),
		).toBeUndefined();
	});
});
