/**
Snapshots of incidents in a cluster of five named nodes: what a node sends in each of them. Times are fixed, so that the
sentences and the frames are always the same.
*/
import type {RecordedEvent, RecordedLeader} from '../../../core/events.ts';
import type {NodeId} from '../../../core/message.ts';
import type {MemberSnapshot, Snapshot} from '../../../core/snapshot.ts';
import {atMs, healthy, ids, member} from './fixtures.ts';

/** The nodes `n1` to `n5`. */
export const nodes = ids.slice(0, 5);
const [n1, n2, n3, n4, n5] = nodes as [NodeId, NodeId, NodeId, NodeId, NodeId];
const names = Object.fromEntries(nodes.map((id, index) => [id, `n${index + 1}`]));

type Changes = Partial<Omit<Snapshot, 'raft' | 'partition' | 'gossip' | 'counters'>> & {
	readonly raft?: Partial<Snapshot['raft']>;
	readonly partition?: Partial<Snapshot['partition']>;
	readonly gossip?: Partial<Snapshot['gossip']>;
	/** Changes of single members. */
	readonly away?: Readonly<Record<NodeId, Partial<MemberSnapshot>>>;
};

const sees = (isHeard: (row: number, column: number) => boolean | undefined): Snapshot['partition']['sees'] =>
	nodes.map((_, row) => nodes.map((__, column) => row === column || isHeard(row, column)));

/** The cluster as `self` sees it, n1 leads. */
function seen(
	self: NodeId,
	{raft = {}, partition = {}, gossip = {}, away = {}, events = [], ...rest}: Changes,
): Snapshot {
	return {
		...healthy,
		self,
		name: names[self]!,
		address: `127.0.0.1:${5000 + nodes.indexOf(self)}`,
		uptimeMs: 900_000,
		raft: {
			...healthy.raft,
			role: 'follower',
			term: 4,
			leader: n1,
			vote: n1,
			voters: nodes,
			reachableVoters: 5,
			leaders: [founded],
			...raft,
		},
		members: nodes.map(id =>
			member(id, {
				name: names[id]!,
				...(id === self ? {self: true, link: 'self', rttMs: 0, heardMsAgo: 0, reached: true} : {}),
				...away[id],
			}),
		),
		partition: {...healthy.partition, sides: [nodes], order: nodes, sees: sees(() => true), ...partition},
		gossip: {...healthy.gossip, missing: 0, missingOf: [], ...gossip},
		counters: {...healthy.counters, rates: {published: 20, delivered: 1284, stored: 1284, bytes: 84_000}},
		events: events.map(event => ({...event, names})),
		...rest,
	};
}

const founded: RecordedLeader = {type: 'leader', at: atMs - 900_000, term: 4, leader: n1, cause: 'started', names};
const elected = (changes: Partial<RecordedLeader>): RecordedLeader => ({
	type: 'leader',
	at: atMs - 19_000,
	term: 5,
	leader: n2,
	previous: n1,
	cause: 'crashed',
	silentMs: 120,
	withoutLeaderMs: 640,
	names,
	...changes,
});

const down = (downMs: number): Partial<MemberSnapshot> => ({
	state: 'down',
	why: 'connection refused',
	cause: 'down',
	link: 'down',
	rttMs: undefined,
	heardMsAgo: downMs + 400,
	downMs,
	reached: false,
});
const silent = (downMs: number): Partial<MemberSnapshot> => ({
	state: 'unreachable',
	why: `no answer for ${Math.round(downMs / 1000)} s (ETIMEDOUT)`,
	cause: 'unreachable',
	link: 'connecting',
	rttMs: undefined,
	heardMsAgo: downMs + 700,
	downMs,
	reached: false,
});

const cutAt = atMs - 19_300;
const detected = (sides: ReadonlyArray<readonly NodeId[]>, quorum: number): RecordedEvent => ({
	at: cutAt,
	type: 'partition',
	state: 'detected',
	sides,
	quorum,
	isFarHeard: false,
	tookMs: 700,
});

/** n4 and n5 are cut off by an injected fault; n4 publishes. */
export const minority = seen(n4, {
	raft: {
		role: 'pre-candidate',
		leader: undefined,
		reachableVoters: 2,
		quorum: 'lost',
		hasQuorum: false,
		leaders: [
			founded,
			elected({
				leader: undefined,
				term: 4,
				cause: 'silent',
				silentMs: 825,
				withoutLeaderMs: 825,
				at: atMs - 19_100,
			}),
		],
	},
	away: {[n1]: silent(18_900), [n2]: silent(18_900), [n3]: silent(19_000)},
	partition: {
		state: 'partitioned',
		sides: [
			[n4, n5],
			[n1, n2, n3],
		],
		quorum: -1,
		isFarHeard: false,
		sinceMs: 19_300,
		detectedMs: 700,
		waiting: 388,
		waitingFor: [
			{id: n1, messages: 388},
			{id: n2, messages: 388},
			{id: n3, messages: 386},
		],
		sees: sees((row, column) => (row < 3 ? undefined : column >= 3)),
	},
	faults: ['cut from n1,n2,n3 (40.7 s left)'],
	events: [
		{at: atMs - 20_000, type: 'fault', text: 'cut from n1,n2,n3 (60.0 s left)'},
		{
			at: atMs - 20_000,
			type: 'audit',
			action: 'fault',
			target: 'cut',
			by: '61acdda2dd0d8e1f',
			address: '127.0.0.1:36456',
			outcome: 'done',
		},
		detected(
			[
				[n4, n5],
				[n1, n2, n3],
			],
			-1,
		),
		{at: atMs - 19_100, type: 'quorum', held: false, state: 'lost', reachable: 2, voters: 5},
	],
});

/** The same partition from the other side, which has elected n2. */
export const majority = seen(n3, {
	raft: {
		term: 5,
		leader: n2,
		vote: n2,
		reachableVoters: 3,
		leaders: [founded, elected({cause: 'silent', silentMs: 550})],
	},
	away: {[n4]: silent(19_000), [n5]: silent(19_000)},
	partition: {
		state: 'partitioned',
		sides: [
			[n1, n2, n3],
			[n4, n5],
		],
		quorum: 0,
		isFarHeard: false,
		sinceMs: 19_300,
		detectedMs: 725,
		sees: sees((row, column) => (row < 3 ? column < 3 : undefined)),
	},
	events: [
		detected(
			[
				[n1, n2, n3],
				[n4, n5],
			],
			0,
		),
	],
});

/** The process of the leader was killed; n2 leads. */
export const leaderKilled = seen(n4, {
	raft: {term: 5, leader: n2, vote: n2, reachableVoters: 4, leaders: [founded, elected({at: atMs - 3000})]},
	away: {[n1]: down(3200)},
	partition: {sides: [[n2, n3, n4, n5]], sees: sees((row, column) => (row === 0 ? undefined : column > 0))},
	events: [
		{at: atMs - 3200, type: 'member', id: n1, address: '127.0.0.1:5000', state: 'down', why: 'connection refused'},
	],
});

/** Five links are cut in a ring; every node is reached through another one. */
export const ring = seen(n4, {
	away: Object.fromEntries(
		nodes.map((id, index) => [
			id,
			{
				state: 'degraded' as const,
				why: `not reached directly for 9 s: served through n${((index + 2) % 5) + 1}`,
				cause: 'cut',
				downMs: 8000,
				reached: true,
			},
		]),
	),
	partition: {sees: sees((row, column) => ![1, 4].includes(Math.abs(row - column)))},
	cuts: nodes.map((id, index) => ({
		between: [id, nodes[(index + 1) % 5]!] as const,
		what: 'all' as const,
		forMs: 9000,
		via: nodes[(index + 3) % 5],
		blamed: [id, nodes[(index + 1) % 5]!],
	})),
	events: nodes.map((id, index) => ({
		at: atMs - 8000,
		type: 'member',
		id,
		address: `127.0.0.1:${5000 + index}`,
		state: 'degraded',
		why: `not reached directly for 1.0 s: served through n${((index + 2) % 5) + 1}`,
	})),
});

/** n5 was started with another secret. */
export const wrongKey = seen(n4, {
	raft: {reachableVoters: 4},
	away: {
		[n5]: {
			state: 'degraded',
			why: 'has another secret than this node',
			cause: 'not-authenticated',
			link: 'down',
			downMs: 42_000,
			reached: false,
		},
	},
	partition: {sides: [[n1, n2, n3, n4]], sees: sees((row, column) => row < 4 && column < 4)},
	events: [
		{
			at: atMs - 42_000,
			type: 'member',
			id: n5,
			address: '127.0.0.1:5004',
			state: 'degraded',
			why: 'has another secret than this node',
		},
	],
});

/** The disk of this node is full. */
export const fullDisk = seen(n4, {
	fullDisk: '12 MiB are left on the disk of /var/lib/dapss, 64 MiB are kept free (limits.disk_reserve_bytes)',
	away: {[n4]: {state: 'degraded', why: 'its disk is full: it stores no new messages', cause: 'disk-full'}},
});

/** The disk of n3 is so slow that it does not keep up with the log. */
export const slowDisk = seen(n1, {
	raft: {role: 'leader', commit: 9000, applied: 9000, lastIndex: 9000},
	away: {
		[n2]: {match: 9000},
		[n3]: {
			state: 'degraded',
			why: '1,200 entries behind and not catching up',
			cause: 'behind',
			downMs: 12_000,
			match: 7800,
		},
	},
});

/** n5 lost its disk and joined again; the leader sends it the log. */
export const catchingUp = seen(n1, {
	raft: {
		role: 'leader',
		voters: [n1, n2, n3, n4],
		learners: [n5],
		isPromoting: true,
		reachableVoters: 4,
		lastIndex: 9000,
		commit: 9000,
		applied: 9000,
	},
	away: {[n5]: {voter: false, match: 2000}},
	events: [{at: atMs - 21_000, type: 'member', id: n5, address: '127.0.0.1:5004', state: 'alive', why: ''}],
});

/** The same from the node that was wiped: it copies what its topics retain elsewhere. */
export const wiped = seen(n5, {
	raft: {role: 'learner', voters: [n1, n2, n3, n4], learners: [n5], isPromoting: true, reachableVoters: 4},
	away: {[n5]: {voter: false}},
	gossip: {
		missing: 48_000,
		missingOf: [
			{origin: n1, messages: 40_000},
			{origin: n4, messages: 8000},
		],
	},
});

/** n1 hears n4, which does not hear n1. */
export const oneWay = seen(n4, {
	away: {
		[n1]: {
			state: 'degraded',
			why: 'not reached directly for 8 s (ETIMEDOUT): served through n2',
			cause: 'cut',
			downMs: 7000,
		},
	},
	partition: {sees: sees((row, column) => !(row === 3 && column === 0))},
	cuts: [{between: [n1, n4], what: 'all', forMs: 8000, via: n2, blamed: [n1, n4]}],
	events: [
		{
			at: atMs - 7000,
			type: 'member',
			id: n1,
			address: '127.0.0.1:5000',
			state: 'degraded',
			why: 'not reached directly for 1.0 s (ETIMEDOUT): served through n2',
		},
	],
});

/** The partition has healed, and nothing is wrong any more. */
export const healed = seen(n3, {
	raft: {term: 5, leader: n2, vote: n2, leaders: [founded, elected({at: atMs - 150_000})]},
	partition: {detectedMs: 700, healedMs: 122_000, repairedMs: 4000, backlog: 132},
	events: [
		{
			...detected(
				[
					[n1, n2, n3],
					[n4, n5],
				],
				0,
			),
			at: atMs - 152_000,
		},
		{at: atMs - 30_000, type: 'partition', state: 'healed', sides: [nodes], quorum: 0, tookMs: 122_000},
		{
			at: atMs - 26_000,
			type: 'partition',
			state: 'repaired',
			sides: [nodes],
			quorum: 0,
			tookMs: 4000,
			messages: 132,
		},
	],
});

/** Three of five processes were killed. */
export const quorumLost = seen(n4, {
	raft: {
		role: 'pre-candidate',
		leader: undefined,
		reachableVoters: 2,
		quorum: 'lost',
		hasQuorum: false,
		leaders: [founded, elected({leader: undefined, term: 4, at: atMs - 4000})],
	},
	away: {[n1]: down(4000), [n2]: down(4100), [n3]: down(4200)},
	partition: {sides: [[n4, n5]], sees: sees((row, column) => row > 2 && column > 2)},
	events: [{at: atMs - 4000, type: 'quorum', held: false, state: 'lost', reachable: 2, voters: 5}],
});
