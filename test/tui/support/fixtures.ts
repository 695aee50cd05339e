/**
Snapshots of nodes: healthy, leaderless, partitioned, large, hostile, just starting. Times are fixed, so that a frame of
one of them is always the same.
*/
import fc from 'fast-check';
import type {RecordedEvent} from '../../../core/events.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import type {MemberSnapshot, MessageSnapshot, Snapshot, TopicSnapshot} from '../../../core/snapshot.ts';
import type {CommandResult, ConsoleCommand, ConsoleSource, ReadBody, SourceState} from '../../../tui/source/source.ts';

process.env['TZ'] = 'UTC';

export const atMs = Date.UTC(2026, 4, 4, 9, 41, 7, 250);

export const ids = Array.from(
	{length: 50},
	(_, index) =>
		(((0x3f_2a_91_c4 ^ Math.imul(index, 0x9e_37_79_b1)) >>> 0).toString(16).padStart(8, '0') +
			'5bd1e995') as NodeId,
);
export const [a, b, c, d, e] = ids as [NodeId, NodeId, NodeId, NodeId, NodeId];

export function member(id: NodeId, changes: Partial<MemberSnapshot> = {}): MemberSnapshot {
	const port = 5000 + ids.indexOf(id);
	return {
		id,
		name: '',
		address: `127.0.0.1:${port}`,
		state: 'alive',
		why: '',
		cause: '',
		voter: true,
		self: false,
		rttMs: 0.42 + (port % 7) * 0.13,
		heardMsAgo: 80 + (port % 5) * 30,
		downMs: undefined,
		link: 'up',
		queuedBytes: 0,
		match: undefined,
		incarnation: 1,
		reached: changes.state === undefined || changes.state === 'alive' || changes.state === 'degraded',
		via: undefined,
		version: '0.1.0',
		protocol: 2,
		...changes,
	};
}

export function topic(name: string, changes: Partial<TopicSnapshot> = {}): TopicSnapshot {
	return {
		name: name as Topic,
		durable: false,
		subscribers: [a, b],
		subscribed: true,
		messages: 128,
		bytes: 9216,
		delivered: 128,
		perSecond: 0,
		missing: 0,
		held: 0,
		lastLamport: 1042,
		...changes,
	};
}

const utf8 = new TextEncoder();

export function message(
	seq: number,
	text: string | Uint8Array,
	changes: Partial<MessageSnapshot> = {},
): MessageSnapshot {
	const preview = typeof text === 'string' ? utf8.encode(text) : text;
	return {
		topic: 'weather' as Topic,
		origin: b,
		incarnation: 1,
		seq,
		lamport: 1000 + seq,
		sentAtMs: atMs - (60 - seq) * 850,
		size: preview.length,
		preview,
		hops: 1,
		repaired: false,
		...changes,
	};
}

const feedTexts = [
	'Bern 18.4 °C, wind NW 12 km/h',
	'Oslo 7.1 °C, rain',
	'job 8812 done in 41 ms',
	'{"sensor":"door-3","open":true}',
	'Zürich 21.0 °C ☀',
	'東京 24.6 °C くもり',
	'deploy web@a41f9c finished',
	'heartbeat',
];
const feedTopics = [
	'weather',
	'weather',
	'jobs',
	'sensors/door',
	'weather',
	'weather',
	'deploy',
	'health',
] as readonly string[] as readonly Topic[];

export const feed: readonly MessageSnapshot[] = Array.from({length: 60}, (_, index) =>
	message(index + 1, feedTexts[index % feedTexts.length]!, {
		topic: feedTopics[index % feedTexts.length]!,
		origin: [a, b, c][index % 3]!,
		hops: index % 3,
		repaired: index % 17 === 9,
	}),
);

export const events: readonly RecordedEvent[] = [
	{at: atMs - 184_000, type: 'ready', id: a, port: 5000, cluster: 'dapss'},
	{at: atMs - 183_200, type: 'leader', term: 3, leader: undefined},
	{at: atMs - 183_000, type: 'leader', term: 4, leader: a},
	{at: atMs - 182_500, type: 'quorum', held: true, reachable: 3, voters: 3},
	{at: atMs - 120_000, type: 'member', id: b, address: '127.0.0.1:5001', state: 'alive'},
	{at: atMs - 119_000, type: 'subscribed', topic: 'weather' as Topic, node: b},
	{at: atMs - 60_500, type: 'member', id: c, address: '127.0.0.1:5002', state: 'suspect'},
	{at: atMs - 58_000, type: 'member', id: c, address: '127.0.0.1:5002', state: 'alive'},
	{at: atMs - 12_000, type: 'rejected', from: '127.0.0.1:49822', reason: 'bad-signature', count: 2},
	{at: atMs - 700, type: 'voters', voters: [a, b, c]},
];

const byTime = (one: RecordedEvent, other: RecordedEvent): number => one.at - other.at;

const all = (size: number): ReadonlyArray<readonly boolean[]> =>
	Array.from({length: size}, () => Array.from({length: size}, () => true));

export const healthy: Snapshot = {
	atMs,
	version: '0.1.0',
	protocol: 2,
	cluster: 'dapss',
	clusterId: '9c41d2e07af3b816',
	self: a,
	address: '127.0.0.1:5000',
	name: '',
	uptimeMs: 184_000,
	lamport: 10_428,
	phase: 'running',
	detail: '',
	insecure: [],
	raft: {
		role: 'leader',
		term: 4,
		leader: a,
		vote: a,
		votes: [],
		commit: 318,
		applied: 318,
		lastIndex: 318,
		snapshotIndex: 0,
		voters: [a, b, c],
		learners: [],
		reachableVoters: 3,
		quorum: 'held',
		hasQuorum: true,
		pending: 0,
	},
	members: [
		member(a, {self: true, link: 'self', rttMs: undefined, heardMsAgo: 0}),
		member(b, {match: 318}),
		member(c, {match: 317, queuedBytes: 18_432}),
	],
	topics: [
		topic('deploy', {messages: 7, bytes: 812, delivered: 7}),
		topic('health', {subscribers: [a, b, c], messages: 1204, bytes: 84_112, delivered: 1204, perSecond: 3}),
		topic('jobs', {durable: true, messages: 48_210, bytes: 5_811_200, delivered: 48_210, perSecond: 1240}),
		topic('sensors/door', {subscribed: false, subscribers: [c], messages: 0, bytes: 0}),
		topic('weather', {messages: 512, bytes: 40_960, perSecond: 12, held: 2}),
	],
	partition: {
		state: 'whole',
		sides: [[a, b, c]],
		quorum: 0,
		sinceMs: 58_000,
		detectedMs: undefined,
		healedMs: undefined,
		repairedMs: undefined,
		backlog: 0,
		waiting: 0,
		order: [a, b, c],
		sees: all(3),
	},
	gossip: {fanout: 2, duplicates: 0.031, misses: 0.002, held: 2},
	counters: {
		published: 1840,
		delivered: 49_933,
		receivedBytes: 8_400_000,
		sentBytes: 12_100_000,
		rejected: {'bad-signature': 2},
		ignored: {},
		bounds: {},
	},
	cuts: [],
	feed,
	events,
	foreign: [],
	duplicates: [],
	faults: [],
};

/** Two of three voters are missing: this node is alone, without leader and quorum. */
export const leaderless: Snapshot = {
	...healthy,
	raft: {
		...healthy.raft,
		role: 'pre-candidate',
		term: 4,
		leader: undefined,
		vote: undefined,
		votes: [a],
		reachableVoters: 1,
		quorum: 'lost',
		hasQuorum: false,
		pending: 3,
	},
	members: [
		healthy.members[0]!,
		member(b, {state: 'down', why: 'connection refused', link: 'down', heardMsAgo: 14_200, downMs: 13_800}),
		member(c, {state: 'suspect', why: 'silent', link: 'connecting', heardMsAgo: 1900, downMs: 600}),
	],
	partition: {
		...healthy.partition,
		state: 'partitioned',
		sides: [[a], [b, c]],
		quorum: -1,
		sinceMs: 12_400,
		detectedMs: 640,
		waiting: 34,
		sees: [
			[true, false, false],
			[undefined, undefined, undefined],
			[undefined, undefined, undefined],
		],
	},
	insecure: ['encryption'],
	events: (
		[
			...events,
			{at: atMs - 13_800, type: 'member', id: b, address: '127.0.0.1:5001', state: 'down'},
			{at: atMs - 12_400, type: 'quorum', held: false, reachable: 1, voters: 3},
			{at: atMs - 12_390, type: 'partition', state: 'detected', sides: [[a], [b, c]], quorum: -1, tookMs: 640},
		] satisfies RecordedEvent[]
	).toSorted(byTime),
};

/** One of three voters is missing for longer than a restart takes. */
export const lost: Snapshot = {
	...healthy,
	raft: {...healthy.raft, reachableVoters: 2},
	members: [
		healthy.members[0]!,
		healthy.members[1]!,
		member(c, {state: 'down', why: 'connection refused', link: 'down', heardMsAgo: 125_600, downMs: 125_000}),
	],
};

/** Five members, partitioned 3 : 2, and one link that works in one direction only. */
export const partitioned: Snapshot = {
	...healthy,
	raft: {
		...healthy.raft,
		role: 'follower',
		leader: b,
		vote: b,
		term: 7,
		voters: [a, b, c, d, e],
		reachableVoters: 3,
		commit: 1204,
		applied: 1204,
		lastIndex: 1205,
	},
	members: [
		healthy.members[0]!,
		member(b),
		member(c, {rttMs: 48.2}),
		member(d, {
			state: 'unreachable',
			why: 'no answer, directly or through others',
			link: 'down',
			heardMsAgo: 21_000,
			downMs: 20_400,
			queuedBytes: 2_400_000,
		}),
		member(e, {
			state: 'unreachable',
			why: 'no answer, directly or through others',
			link: 'down',
			heardMsAgo: 21_300,
			downMs: 20_700,
		}),
	],
	partition: {
		state: 'partitioned',
		sides: [
			[a, b, c],
			[d, e],
		],
		quorum: 0,
		sinceMs: 20_400,
		detectedMs: 710,
		healedMs: 30_200,
		repairedMs: 900,
		backlog: 0,
		waiting: 1204,
		order: [a, b, c, d, e],
		sees: [
			[true, true, true, false, false],
			[true, true, false, false, false],
			[true, true, true, false, false],
			[false, false, false, true, true],
			[undefined, undefined, undefined, undefined, undefined],
		],
	},
	faults: [`cut ${d.slice(0, 8)}, ${e.slice(0, 8)} both for 10 s`],
	events: (
		[
			...events,
			{
				at: atMs - 20_400,
				type: 'partition',
				state: 'detected',
				sides: [
					[a, b, c],
					[d, e],
				],
				quorum: 0,
				tookMs: 710,
			},
			{at: atMs - 20_350, type: 'fault', text: 'cut 2 peers'},
		] satisfies RecordedEvent[]
	).toSorted(byTime),
};

export const largeCluster: Snapshot = {
	...healthy,
	raft: {
		...healthy.raft,
		role: 'learner',
		leader: b,
		voters: ids.slice(1, 6),
		learners: [a, ...ids.slice(6)],
		reachableVoters: 5,
	},
	members: ids.map((id, index) =>
		member(id, {
			self: index === 0,
			voter: index > 0 && index < 6,
			...(index % 13 === 7 ? {state: 'suspect' as const, why: 'silent'} : {}),
			rttMs: index === 0 ? undefined : 0.4 + index,
			link: index === 0 ? 'self' : 'up',
		}),
	),
	topics: Array.from({length: 40}, (_, index) =>
		topic(`room/${String(index).padStart(3, '0')}`, {subscribers: ids.slice(0, index + 1), perSecond: index * 3}),
	),
	partition: {...healthy.partition, sides: [ids], order: ids, sees: all(50)},
};

export const joining: Snapshot = {
	...healthy,
	phase: 'joining',
	detail: '127.0.0.1:5000 does not answer (connection refused); trying again',
	uptimeMs: 4200,
	lamport: 0,
	raft: {
		...healthy.raft,
		role: 'learner',
		term: 0,
		leader: undefined,
		vote: undefined,
		voters: [],
		learners: [],
		reachableVoters: 0,
		hasQuorum: false,
		commit: 0,
		applied: 0,
		lastIndex: 0,
	},
	members: [healthy.members[0]!],
	topics: [],
	feed: [],
	events: [{at: atMs - 4000, type: 'warning', text: '127.0.0.1:5000: connection refused'}],
	partition: {...healthy.partition, sides: [[a]], order: [a], sees: [[true]]},
	counters: {...healthy.counters, delivered: 0, published: 0, rejected: {}},
};

export const longName = `rack-07.${'x'.repeat(50)}.east`;
/**
The partitioned cluster with names: short ones, one of the maximum length, and a member of an old version without a
name.
*/
export const named: Snapshot = (() => {
	const names = new Map<NodeId, string>([
		[a, 'berlin-1'],
		[b, 'oslo-2'],
		[c, longName],
		[d, 'paris-4'],
	]);
	return {
		...partitioned,
		name: 'berlin-1',
		faults: ['cut paris-4 both for 10 s'],
		members: partitioned.members.map(row => ({...row, name: names.get(row.id) ?? ''})),
		events: partitioned.events.map(event => ({...event, names: Object.fromEntries(names)})),
	};
})();

/** Hostile text for a terminal. */
export const hostileTexts: readonly string[] = [
	'\u001B]52;c;cm0gLXJm\u0007',
	'\u001B]0;owned\u0007',
	'\u001B]8;;http://evil\u0007link\u001B]8;;\u0007',
	'\u001B[2J\u001B[H',
	'\u001B[8mhidden\u001B[0m',
	'\u009B31mred',
	'\u009D0;t\u009C',
	'a\rb',
	'a\u0008\u0008b',
	'bell\u0007',
	'two\nlines',
	'tab\tstop',
	'\u202Egnp.exe',
	'\u2066x\u2069',
	'zero\u200Bwidth',
	'join\u200Der',
	'\uFEFFbom',
	'soft\u00ADhyphen',
	'line\u2028sep\u2029',
	'\uD800 lone',
	'\uDFFF',
	'\u001BPq#0\u001B\\',
	'\u001B[?1049l',
	`z${'\u0301'.repeat(200)}`,
	'\u{E0041}\u{E0042}',
	'👨‍👩‍👧‍👦 family',
	'🇩🇪🇫🇷',
	'1️⃣ ❤️ 👍🏽',
	'नमस्ते दुनिया',
	'ภาษาไทย กำลัง',
	'한\u1112\u1161\u11AB',
	'ﾊﾟﾋﾟ',
	'日本語の話題',
	'שלום עולם',
	'\u0600\u0D4E',
	'__proto__',
	'\u115F\u3164',
	'﷽﷽﷽',
];

export const hostile: Snapshot = {
	...healthy,
	cluster: '\u001B]0;cluster\u0007',
	detail: '\u001B[31m',
	version: '\u001B[7m0',
	address: '\u001B[2J:1',
	faults: ['\u001B]52;c;AA\u0007'],
	members: [
		healthy.members[0]!,
		...hostileTexts
			.slice(0, 30)
			.map((text, index) => member(ids[index + 1]!, {name: text, address: text, why: text, state: 'suspect'})),
	],
	topics: hostileTexts.map(text => topic(text)),
	feed: hostileTexts.map((text, index) => message(index + 1, text, {topic: text as Topic})),
	events: hostileTexts.map((text, index): RecordedEvent => ({at: atMs - index * 1000, type: 'warning', text})),
};

/** Any code points, including lone surrogates; half of them are from problematic blocks. */
export function anyText(maxLength: number): fc.Arbitrary<string> {
	const point = fc.oneof(
		fc.integer({min: 0, max: 0x10_ff_ff}),
		fc.integer({min: 0, max: 0x33_ff}),
		fc.integer({min: 0x1_f0_00, max: 0x1_fa_ff}),
	);
	return fc.array(point, {maxLength}).map(points => String.fromCodePoint(...points));
}

/** A source that shows given snapshots and records commands. */
export class FakeSource implements ConsoleSource {
	readonly commands: ConsoleCommand[] = [];
	answer: CommandResult = {ok: true, text: 'done'};
	#state: SourceState;
	readonly #listeners = new Set<() => void>();

	constructor(snapshot: Snapshot | undefined) {
		this.#state = {
			snapshot,
			connection: snapshot ? 'connected' : 'connecting',
			detail: snapshot ? '' : 'waiting for the first snapshot of the node',
		};
	}

	readonly getState = (): SourceState => this.#state;
	readonly subscribe = (onChange: () => void): (() => void) => {
		this.#listeners.add(onChange);
		return () => this.#listeners.delete(onChange);
	};

	readonly run = async (command: ConsoleCommand): Promise<CommandResult> => {
		this.commands.push(command);
		return this.answer;
	};

	/** Bodies by sequence number. */
	readonly bodies = new Map<number, Uint8Array>();

	readonly read = async ({seq}: MessageSnapshot): Promise<ReadBody> => {
		const body = this.bodies.get(seq);
		return body ? {body, offset: seq + 100} : {problem: 'the log of the node does not have it'};
	};

	show(changes: Partial<SourceState>): void {
		this.#state = {...this.#state, ...changes};
		for (const listener of this.#listeners) listener();
	}
}
