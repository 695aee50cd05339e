import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {diskFullWhy} from '../../../core/membership/reachability.ts';
import {findingsOf, type Finding} from '../../../core/observe/findings.ts';
import type {CutSnapshot, MemberSnapshot, Snapshot} from '../../../core/snapshot.ts';
import {a, b, c, healthy, member} from '../../tui/support/fixtures.ts';

const cut = (
	between: CutSnapshot['between'],
	what: CutSnapshot['what'],
	blamed: CutSnapshot['blamed'],
	via?: CutSnapshot['via'],
): CutSnapshot => ({between, what, blamed, via, forMs: 4200});
const find = (snapshot: Snapshot, confirmed: number | 'no-quorum' | undefined = 1): readonly Finding[] =>
	findingsOf(snapshot, {confirmed, command: 'dapss-tui '});
const withMember = (changes: Partial<MemberSnapshot>): Snapshot => ({
	...healthy,
	members: [healthy.members[0]!, healthy.members[1]!, member(c, changes)],
});

describe('a cluster of three', () => {
	test('that is healthy has no findings', () => expect(find(healthy)).toEqual([]));

	test('is not healthy for an admitted node that has no log yet', () => {
		expect(find({...healthy, members: [], raft: {...healthy.raft, voters: [], learners: []}})).toEqual([
			expect.objectContaining({
				code: 'no-leader',
				problem: 'This node was admitted but has no Raft log yet: no leader reaches it',
			}),
		]);
	});

	test('with a pair of nodes that is cut is not healthy: the finding has the pair, its relay and the remedy', () => {
		const members = healthy.members.map(one =>
			one.id === b || one.id === c
				? {...one, state: 'degraded' as const, why: 'it and … do not reach each other', cause: 'cut'}
				: one,
		);
		expect(find({...healthy, members, cuts: [cut([b, c], 'all', [b, c], a)]})).toEqual([
			{
				code: 'unhealthy',
				reason: 'cut-off',
				problem:
					`${b.slice(0, 8)} (127.0.0.1:5001) and ${c.slice(0, 8)} (127.0.0.1:5002) ` +
					`do not reach each other for 4 s: served through ${a.slice(0, 8)}`,
				advice: 'Repair the network between them: TCP and UDP ports 5001 and 5002, in both directions.',
			},
		]);
	});

	test('with a node whose TCP is blocked is not healthy: the finding has the node, the error and the port', () => {
		const [finding, ...rest] = find({
			...withMember({
				state: 'degraded',
				cause: 'tcp',
				why: 'TCP blocked: datagrams arrive, no link for 4 s (ETIMEDOUT)',
			}),
			cuts: [cut([a, c], 'tcp', [c]), cut([b, c], 'tcp', [c])],
		});
		expect(rest).toEqual([]);
		expect(finding!.problem).toBe(
			`TCP is blocked between ${c.slice(0, 8)} (127.0.0.1:5002) and each of ${a.slice(0, 8)} ` +
				`(127.0.0.1:5000) and ${b.slice(0, 8)} (127.0.0.1:5001) for 4 s (ETIMEDOUT)`,
		);
		expect(finding!.advice).toContain('Open TCP ports 5002, 5000 and 5001');
	});

	test.each([
		['not-authenticated', 'has another secret than this node', /same secret file/],
		['protocol', 'speaks protocol 3 to 4, this node 1 to 2', /upgrade the older one/],
		[
			'behind',
			'1,204 entries behind and not catching up',
			/Check its disk and its events: dapss-tui events --server 127\.0\.0\.1:5002/,
		],
		['leaderless', 'follows no leader for 2 s', /events/],
		['disk-full', 'its disk is full: it stores no new messages', /Free space on the disk, or retain less/],
		['flags', 'has encryption off', /same security settings/],
	])('with a degraded member (%s) reports the reason and a matching remedy', (cause, why, advice) => {
		const [finding] = find(withMember({state: 'degraded', cause, why, downMs: 5000}));
		expect(finding).toMatchObject({
			code: 'unhealthy',
			problem:
				`${c.slice(0, 8)} (127.0.0.1:5002, ${why}) is degraded for 5 s, and votes: 3 of 3 voters left: ` +
				'1 more may fail',
		});
		expect(finding!.advice).toMatch(advice);
	});

	test('whose asked node has a full disk has one finding of it, and one more when that node has another problem', () => {
		const fullDisk = 'The disk of /data is full: no new messages are stored, stored messages can be read';
		const reasons = (why: string): readonly string[] =>
			find({
				...healthy,
				fullDisk,
				members: healthy.members.map(one =>
					one.self ? {...one, state: 'degraded' as const, cause: 'disk-full', why} : one,
				),
			}).map(({reason}) => reason);
		expect(reasons(diskFullWhy)).toEqual(['disk-full']);
		expect(reasons(`${diskFullWhy}; 5 entries behind and not catching up`)).toEqual(['degraded', 'disk-full']);
	});

	test.each(['unreachable', 'suspect', 'degraded', 'left'] as const)(
		'knows for how long a member is %s if the asked node has heard it, also directly after its start',
		state => {
			const problems = (heardMsAgo: number | undefined, uptimeMs = 6300): string =>
				find({...withMember({state, why: 'x', reached: false, downMs: 3200, heardMsAgo}), uptimeMs})
					.map(({problem}) => problem)
					.join('\n');
			expect(problems(4600)).toContain('for 3 s');
			expect(problems(4600)).not.toContain('since this node started');
			expect(problems(undefined)).toContain('for at least 3 s, since this node started');
			expect(problems(undefined, 60_000)).not.toContain('since this node started');
		},
	);

	test('with a node that no other can call reports that, and not that UDP is blocked (case B)', () => {
		const why = 'no node can call 127.0.0.1:5002 (connection refused): is --advertise right?';
		expect(
			find({
				...withMember({state: 'degraded', cause: 'uncalled', why, voter: false}),
				cuts: [cut([a, c], 'udp', [c]), cut([b, c], 'udp', [c])],
			}),
		).toEqual([
			{
				code: 'unhealthy',
				reason: 'degraded',
				problem: `${c.slice(0, 8)} (127.0.0.1:5002, ${why}) is degraded`,
				advice:
					`Start ${c.slice(0, 8)} with --advertise and an address at which the other nodes reach it, ` +
					'or open TCP and UDP port 5002 to it. Until then it gets no vote.',
			},
		]);
	});

	test('seen by a node that receives no datagram has UDP or that address as its cause (case B)', () => {
		const members = healthy.members.map(one =>
			one.self
				? {
						...one,
						state: 'degraded' as const,
						cause: 'udp',
						why:
							'UDP blocked between it and b and c, or no node can call 127.0.0.1:5000: ' +
							'is --advertise right?',
					}
				: one,
		);
		const [finding] = find({...healthy, members, cuts: [cut([a, b], 'udp', [a]), cut([a, c], 'udp', [a])]});
		expect(finding!.advice).toBe(
			'Open UDP ports 5000, 5001 and 5002 between them, in both directions. ' +
				'Or no other node can call 127.0.0.1:5000: is --advertise right?',
		);
	});

	test.each([
		['127.0.0.1:5001 to answer (ECONNREFUSED)', /Start the nodes that it waits for/],
		[
			'the cluster at 127.0.0.1:5001 to admit this node: an election is under way',
			/^Members of the cluster answer/,
		],
	])('that a node waits for %s has matching advice (case A)', (waits, advice) => {
		const findings = find({
			...healthy,
			phase: 'joining',
			detail: `waiting for ${waits}`,
			members: [],
			raft: {...healthy.raft, voters: [], learners: []},
		});
		expect(findings.find(({problem}) => problem.includes('joining'))!.advice).toMatch(advice);
	});

	test('that has met another cluster of its name is not healthy: the finding has both addresses and a remedy', () => {
		const [finding] = find({
			...healthy,
			foreign: [{clusterId: 'ffff0000ffff0000', address: '10.0.0.9:5000', heardMsAgo: 300}],
		});
		expect(finding).toMatchObject({
			code: 'unhealthy',
			problem:
				'Two clusters have the name dapss: 9c41d2e0 (this node, 127.0.0.1:5000) and ffff0000 (10.0.0.9:5000)',
		});
		expect(finding!.advice).toMatch(/empty data folders and --bootstrap 127\.0\.0\.1:5000 .*another --cluster/);
	});

	test('with a duplicate process is not healthy: the finding has the process to keep and the one to stop', () => {
		const [finding] = find({
			...healthy,
			duplicates: [{id: b, address: '127.0.0.1:5001', other: '127.0.0.1:5009', msAgo: 100}],
		});
		expect(finding).toMatchObject({
			code: 'unhealthy',
			problem:
				`Two processes use the identity of ${b.slice(0, 8)}: ` +
				'127.0.0.1:5001 is kept, 127.0.0.1:5009 is refused',
		});
		expect(finding!.advice).toContain('Stop the process at 127.0.0.1:5009');
	});

	test('with a voter that was stopped on purpose reports its vote; a stopped learner is not reported', () => {
		const findings = find({
			...withMember({state: 'left', why: 'stopped on purpose', reached: false, downMs: 5800}),
			raft: {...healthy.raft, reachableVoters: 2},
		});
		expect(findings.map(({problem}) => problem)).toEqual([
			'No further voter may fail: 2 of 3 are present, 2 needed',
			`${c.slice(0, 8)} (127.0.0.1:5002) was stopped on purpose for 5 s, and votes`,
		]);
		expect(
			find({
				...withMember({state: 'left', why: 'stopped on purpose', reached: false, voter: false}),
				raft: {...healthy.raft, voters: [a, b], reachableVoters: 2},
			}),
		).toEqual([]);
	});

	test('in which two nodes are silent reports neither a quorum of their side nor a cut network', () => {
		const members = healthy.members.map(one =>
			one.self
				? one
				: {
						...one,
						state: 'unreachable' as const,
						reached: false,
						why: 'no answer for 1 s',
						cause: 'unreachable',
					},
		);
		const partition = {
			...healthy.partition,
			state: 'partitioned' as const,
			sides: [[a], [b, c]],
			quorum: -1,
			isFarHeard: false,
			sinceMs: 1000,
			detectedMs: 700,
			waiting: 7,
		};
		const silent = find({...healthy, members, partition}).find(({problem}) =>
			problem.includes('not answered for'),
		)!;
		expect(silent.problem).toBe(
			`2 members have not answered for 1 s: ${b.slice(0, 8)}, ${c.slice(0, 8)}; ` +
				'whether they run is unknown; at least 7 own messages wait for them',
		);
		expect(
			find({...healthy, members, partition})
				.map(({problem}) => problem)
				.join('\n'),
		).not.toMatch(/artition|\(quorum\)/);
		expect(
			find({...healthy, members, partition: {...partition, isFarHeard: true, quorum: 1}}).at(-1)!.problem,
		).toMatch(/^Partitioned for 1 s: .*\(quorum\); at least 7 own messages/);
	});

	test('whose quorum did not confirm is not healthy, although the snapshot shows a quorum', () => {
		const [finding] = find(healthy, 'no-quorum');
		expect(finding).toMatchObject({
			code: 'no-quorum',
			problem: 'The quorum did not confirm (no-quorum), but is held again now: 3 of 3 voters reachable, 2 needed',
		});
	});
});

test('with members in any state is healthy only if every voter is alive, and no text contradicts its numbers', () => {
	const states = fc.constantFrom('alive', 'degraded', 'suspect', 'unreachable', 'down', 'left');
	fc.assert(
		fc.property(
			fc.array(fc.record({state: states, reached: fc.boolean()}), {minLength: 2, maxLength: 2}),
			fc.boolean(),
			(others, isLed) => {
				const members = [
					healthy.members[0]!,
					...others.map((changes, index) =>
						member([b, c][index]!, {...changes, why: changes.state === 'alive' ? '' : 'x'}),
					),
				];
				const reachableVoters = members.filter(({reached}) => reached).length;
				const quorum = reachableVoters < 2 ? 'lost' : isLed ? 'held' : 'electing';
				const findings = find({
					...healthy,
					members,
					raft: {
						...healthy.raft,
						quorum,
						hasQuorum: quorum === 'held',
						leader: isLed ? a : undefined,
						reachableVoters,
					},
				});
				if (members.some(({state}) => state !== 'alive'))
					expect(findings.some(({code}) => code !== 'warning')).toBe(true);
				for (const {problem} of findings) {
					const counted = /No quorum: (\d+) of \d+ voters reachable, (\d+) needed/.exec(problem);
					if (counted) expect(Number(counted[1])).toBeLessThan(Number(counted[2]));
					expect(problem).not.toMatch(/left, left|0 of 0/);
				}
			},
		),
	);
});
