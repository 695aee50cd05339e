import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {PairFault} from '../../../core/membership/pair-faults.ts';
import {ageText, assess, quorumOf, type MemberFacts} from '../../../core/membership/reachability.ts';
import type {NodeId} from '../../../core/message.ts';
import {quorumText} from '../../../core/observe/quorum-health.ts';
import {healthy} from '../../tui/support/fixtures.ts';

const [self, peer, third] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc'] as [NodeId, NodeId, NodeId];
const well: MemberFacts = {
	self: false,
	former: 'alive',
	standing: 'alive',
	standingWhy: '',
	unheardMs: 50,
	unlinkedMs: 50,
	silentMs: 50,
	isLinked: true,
	limitMs: 1225,
	failure: undefined,
	called: {state: 'works'},
	address: 'h:1',
	isUdpIsolated: false,
	via: undefined,
	faults: [],
	isDiskFull: false,
	leaderlessMs: undefined,
	behind: undefined,
	name: id => id.slice(0, 2),
	observer: self,
	id: peer,
};
const fault = (one: NodeId, other: NodeId, what: 'tcp' | 'udp' | 'all'): PairFault => ({
	between: one < other ? [one, other] : [other, one],
	link: what !== 'udp',
	datagram: what !== 'tcp',
	sinceMs: 0,
	blamed: [one, other],
});
const noLink = {isLinked: false, unlinkedMs: 4200};

describe('the state of a member follows from the evidence', () => {
	test.each<[string, Partial<MemberFacts>, string, string]>([
		['all works', {}, 'alive', ''],
		[
			'TCP is blocked',
			{...noLink, faults: [fault(self, peer, 'tcp')], failure: {code: 'ETIMEDOUT', reason: 'no answer'}},
			'degraded',
			'TCP blocked: datagrams arrive, no link for 4 s (ETIMEDOUT)',
		],
		[
			'UDP is blocked',
			{silentMs: 3100, faults: [fault(self, peer, 'udp')]},
			'degraded',
			'UDP blocked: no datagram for 3 s, TCP works',
		],
		[
			'UDP is blocked, and the link is of its making',
			{silentMs: 3100, faults: [fault(self, peer, 'udp')], called: {state: 'untried'}},
			'degraded',
			'UDP blocked: no datagram for 3 s, the link that it opened works',
		],
		[
			'nobody gets through to its address (case B)',
			{
				silentMs: 3100,
				faults: [fault(self, peer, 'udp'), fault(peer, third, 'udp')],
				called: {state: 'failed', code: 'ECONNREFUSED'},
				isUdpIsolated: true,
			},
			'degraded',
			'no node can call h:1 (connection refused): is --advertise right?',
		],
		[
			'this node does not get through to its address (case B)',
			{called: {state: 'failed', code: 'ENOTFOUND'}},
			'degraded',
			'it cannot be called at h:1 (ENOTFOUND): is --advertise right?',
		],
		[
			'it is cut off from this node alone',
			{...noLink, silentMs: 4300, faults: [fault(self, peer, 'all')], via: third},
			'degraded',
			'not reached directly for 4 s: served through cc',
		],
		[
			'it is cut off from another member',
			{faults: [fault(peer, third, 'all')], via: self},
			'degraded',
			'it and cc do not reach each other: served through aa',
		],
		[
			'TCP is blocked between it and another',
			{faults: [fault(peer, third, 'tcp')]},
			'degraded',
			'TCP blocked between it and cc',
		],
		[
			'this node itself is cut off from another',
			{id: self, self: true, faults: [fault(self, third, 'all')], via: peer},
			'degraded',
			'it and cc do not reach each other: served through bb',
		],
		[
			'no datagram of anybody gets to this node',
			{id: self, self: true, faults: [fault(self, third, 'udp'), fault(self, peer, 'udp')], isUdpIsolated: true},
			'degraded',
			'UDP blocked between it and cc and bb, or no node can call h:1: is --advertise right?',
		],
		['its disk is full', {isDiskFull: true}, 'degraded', 'its disk is full: it stores no new messages'],
		[
			'the disk of this node is full',
			{id: self, self: true, isDiskFull: true},
			'degraded',
			'its disk is full: it stores no new messages',
		],
		[
			'TCP is blocked, its disk is full, and its log is stuck',
			{...noLink, faults: [fault(self, peer, 'tcp')], isDiskFull: true, behind: 5},
			'degraded',
			'TCP blocked: datagrams arrive, no link for 4 s; its disk is full: it stores no new messages; ' +
				'5 entries behind and not catching up',
		],
		[
			'its disk was full when it went silent',
			{isDiskFull: true, standing: 'dead'},
			'unreachable',
			'no answer for 0.0 s',
		],
		[
			'it has another secret',
			{...noLink, standing: 'dead', failure: {code: 'not-authenticated', reason: 'x'}},
			'degraded',
			'has another secret than this node',
		],
		[
			'it said goodbye, and then came back with another secret',
			{...noLink, standing: 'left', failure: {code: 'not-authenticated', reason: 'x'}},
			'degraded',
			'has another secret than this node',
		],
		[
			'it speaks another protocol',
			{...noLink, failure: {code: 'protocol', reason: 'peer h:1 speaks protocol 3 to 4, this node 1 to 2'}},
			'degraded',
			'speaks protocol 3 to 4, this node 1 to 2',
		],
		[
			'another node is at its address',
			{...noLink, standing: 'dead', failure: {code: 'identity', reason: 'x'}},
			'unreachable',
			'another node answers at its address',
		],
		['an old refusal, and a link now', {failure: {code: 'protocol', reason: 'x'}}, 'alive', ''],
		[
			'a refusal that passes by itself',
			{...noLink, unlinkedMs: 300, failure: {code: 'duplicate', reason: 'x'}},
			'alive',
			'',
		],
		['it follows no leader', {leaderlessMs: 2300}, 'degraded', 'follows no leader for 2 s'],
		['its log stands still', {behind: 1204}, 'degraded', '1,204 entries behind and not catching up'],
		[
			'several things at once',
			{silentMs: 3100, faults: [fault(self, peer, 'udp')], leaderlessMs: 4000},
			'degraded',
			'UDP blocked: no datagram for 3 s, TCP works; follows no leader for 4 s',
		],
		['a stall of 300 ms', {unheardMs: 300, unlinkedMs: 300, silentMs: 300}, 'alive', ''],
		['no link for long, and nobody complains yet', {...noLink}, 'degraded', 'no working link for 4 s'],
		[
			'it does not answer',
			{standing: 'suspect', unheardMs: 420, isLinked: false, unlinkedMs: 420},
			'suspect',
			'no answer for 0.4 s',
		],
		[
			'it is silent',
			{
				standing: 'dead',
				standingWhy: 'silent',
				unheardMs: 12_400,
				isLinked: false,
				unlinkedMs: 12_400,
				failure: {code: 'EHOSTUNREACH', reason: 'x'},
			},
			'unreachable',
			'no answer for 12 s (EHOSTUNREACH)',
		],
		[
			'its machine refuses connections',
			{standing: 'dead', standingWhy: 'connection refused', isLinked: false},
			'down',
			'connection refused',
		],
		['it said goodbye', {standing: 'left', isLinked: false}, 'left', 'stopped on purpose'],
		[
			'it was gone, speaks again, and no link works yet',
			{former: 'unreachable', isLinked: false, unlinkedMs: 200},
			'unreachable',
			'heard again, no link yet',
		],
		['it was gone, and a link works', {former: 'unreachable'}, 'alive', ''],
		['a newcomer without a link yet', {former: undefined, isLinked: false, unlinkedMs: 200}, 'alive', ''],
	])('%s', (_, facts, state, why) => {
		expect(assess({...well, ...facts})).toMatchObject({state, why});
	});

	test('a changed cause counts as a change, a changed number does not', () => {
		const at = (unlinkedMs: number, what: 'tcp' | 'all'): string =>
			assess({...well, isLinked: false, unlinkedMs, faults: [fault(self, peer, what)]}).key;
		expect(at(4000, 'tcp')).toBe(at(9000, 'tcp'));
		expect(at(4000, 'tcp')).not.toBe(at(4000, 'all'));
		expect(assess({...well, isDiskFull: true}).key).not.toBe(assess({...well, behind: 5}).key);
	});

	const anyFacts: fc.Arbitrary<MemberFacts> = fc.record({
		self: fc.constant(false),
		former: fc.constantFrom(undefined, 'alive', 'degraded', 'suspect', 'unreachable', 'down', 'left'),
		standing: fc.constantFrom('alive', 'suspect', 'dead', 'left'),
		standingWhy: fc.constantFrom('', 'silent', 'connection refused'),
		unheardMs: fc.nat(10_000),
		unlinkedMs: fc.nat(10_000),
		silentMs: fc.nat(10_000),
		isLinked: fc.boolean(),
		limitMs: fc.constant(1225),
		failure: fc.constantFrom(
			undefined,
			{code: 'ETIMEDOUT', reason: ''},
			{code: 'not-authenticated', reason: ''},
			{code: 'duplicate', reason: ''},
		),
		called: fc.constantFrom<MemberFacts['called'][]>({state: 'works'}, {state: 'untried'}),
		address: fc.constant('h:1'),
		isUdpIsolated: fc.boolean(),
		via: fc.constantFrom(undefined, third),
		faults: fc.constantFrom([], [fault(self, peer, 'tcp')], [fault(peer, third, 'all')]),
		isDiskFull: fc.boolean(),
		leaderlessMs: fc.constantFrom(undefined, 3000),
		behind: fc.constantFrom(undefined, 5),
		name: fc.constant((id: NodeId) => id),
		observer: fc.constant(self),
		id: fc.constant(peer),
	});

	test('alive requires a link that works or worked just now, directly; any other state has a reason', () => {
		fc.assert(
			fc.property(anyFacts, facts => {
				const {state, why} = assess(facts);
				if (state === 'alive') {
					expect(facts.standing).toBe('alive');
					expect(facts.isLinked || facts.unlinkedMs < facts.limitMs).toBe(true);
					expect(facts.faults).toEqual([]);
					expect(facts.isDiskFull).toBe(false);
				}

				expect(why === '').toBe(state === 'alive');
				if (facts.standing === 'left' && facts.failure?.code !== 'not-authenticated')
					expect(state).toBe('left');
			}),
		);
	});
});

describe('the quorum', () => {
	test.each([
		[3, 3, peer, 'held'],
		[3, 2, peer, 'held'],
		[3, 1, peer, 'lost'],
		[3, 3, undefined, 'electing'],
		[3, 1, undefined, 'lost'],
		[1, 1, self, 'held'],
		[5, 3, undefined, 'electing'],
		[4, 2, peer, 'lost'],
	] as Array<[number, number, NodeId | undefined, string]>)(
		'%i voters, %i reached, led by %s: %s',
		(count, reached, leader, state) => {
			const voters = Array.from({length: count}, (_, index) => String(index) as NodeId);
			expect(quorumOf({voters, leader, reaches: voter => Number(voter) < reached})).toMatchObject({
				state,
				reachable: reached,
			});
		},
	);

	test('its state never contradicts its numbers', () => {
		fc.assert(
			fc.property(fc.integer({min: 1, max: 7}), fc.nat(7), fc.boolean(), (count, reached, isLed) => {
				const voters = Array.from({length: count}, (_, index) => String(index) as NodeId);
				const view = quorumOf({
					voters,
					leader: isLed ? voters[0] : undefined,
					reaches: voter => Number(voter) < reached,
				});
				expect(view.state === 'lost').toBe(view.reachable < view.needed);
				expect(view.state === 'held').toBe(view.reachable >= view.needed && isLed);
				const text = quorumText({...healthy.raft, voters, quorum: view.state, reachableVoters: view.reachable});
				const [, has, of, needed] = /(\d+) of (\d+) voters? reachable, (\d+) needed/.exec(text)!.map(Number);
				expect(text.startsWith('LOST')).toBe(has! < needed!);
				expect(of).toBe(count);
			}),
		);
	});
});

test('ages are rounded down to one unit', () => {
	expect([0, 640, 999, 4200, 59_999, 60_000, 7_200_000].map(ms => ageText(ms))).toEqual([
		'0.0 s',
		'0.6 s',
		'0.9 s',
		'4 s',
		'59 s',
		'1 min',
		'2 h',
	]);
});
