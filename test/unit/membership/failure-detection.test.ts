import {describe, expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import type {BrokerEvent} from '../../../core/events.ts';
import {FailureDetection} from '../../../core/membership/failure-detection.ts';
import type {NodeId} from '../../../core/message.ts';
import type {Links} from '../../../core/ports.ts';
import {hashMembers, type SwimPacket} from '../../../core/swim/packet.ts';

const [self, peer] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'] as [NodeId, NodeId];
const tickMs = 25;

function setUp(options: Partial<ConstructorParameters<typeof FailureDetection>[0]> = {}) {
	const state = {nowMs: 1000, published: 0, isLinked: false};
	const events: BrokerEvent[] = [];
	/** The destinations of datagrams, and the links that something was sent over. */
	const sent: string[] = [];
	const links = {
		called: () => ({state: 'untried'}),
		tryCall: () => undefined,
		send: (to: NodeId) => sent.push(`link ${to}`) > 0,
		drop: () => undefined,
		hint: () => undefined,
		state: () => ({state: state.isLinked ? 'up' : 'down', why: 'connection refused', code: ''}),
	} as unknown as Links;
	const presence = new FailureDetection({
		self,
		links,
		tickMs,
		incarnation: 1,
		random: {below: () => 0},
		config: {...defaults, port: 1, data: '', secret: new Uint8Array(0)},
		nowMs: () => state.nowMs,
		datagrams: {send: (_at, _bytes, to) => void sent.push(`datagram ${to}`)},
		address: () => '127.0.0.1:2',
		voters: () => [self, peer],
		raft: () => ({term: 1, leader: self, applied: 0, commit: 0, matches: []}),
		name: id => id,
		published: () => state.published,
		resync: () => undefined,
		emit: event => void events.push(event),
		...options,
	});
	const downMs = (): number | undefined => presence.members().find(({id}) => id === peer)?.downMs;
	const advance = (ms: number): void => {
		for (const endMs = state.nowMs + ms; state.nowMs < endMs;) {
			state.nowMs += tickMs;
			presence.tick();
		}
	};

	return {presence, state, events, sent, downMs, advance};
}

test('the down time of a member runs from its detection until it is heard again', () => {
	const {presence, state, events, downMs, advance} = setUp();

	presence.setMembers([self, peer]);
	presence.heard(peer);
	advance(tickMs);
	expect(downMs()).toBeUndefined();
	const isSuspected = (): boolean => events.some(event => event.type === 'member' && event.state === 'suspect');
	for (let ticks = 0; ticks < 2000 && !isSuspected(); ticks++) advance(tickMs);
	const foundMs = state.nowMs;
	advance(40_000); // It becomes dead meanwhile: the count continues.
	expect(events.some(event => event.type === 'member' && event.state === 'unreachable')).toBe(true);
	expect(downMs()).toBe(state.nowMs - foundMs);
	presence.step(peer, {type: 'gossip', incarnation: 2, updates: [], rows: []});
	advance(tickMs);
	// It answers pings, but counts as down until a link works.
	expect(downMs()).toBe(state.nowMs - foundMs);
	presence.heard(peer);
	advance(tickMs);
	expect(downMs()).toBeUndefined();
	const heardMs = state.nowMs;
	advance(60_000);
	expect(state.nowMs - heardMs - downMs()!).toBe(300); // The time until the silence is detected.
	presence.setMembers([self]);
	presence.setMembers([self, peer]);
	expect(downMs()).toBeUndefined();
});

test('the down time of a degraded member starts anew when it becomes unreachable', () => {
	const {presence, state, downMs, advance} = setUp();
	presence.setMembers([self, peer]);
	presence.heard(peer);
	// It answers pings, but no link works.
	for (let count = 0; count < 400; count++) {
		presence.step(peer, {type: 'gossip', incarnation: 1, updates: [], rows: []});
		advance(tickMs);
	}

	expect(presence.members().find(({id}) => id === peer)).toMatchObject({state: 'degraded'});
	const wasMs = downMs()!;
	const killedMs = state.nowMs;
	advance(5000);
	expect(presence.members().find(({id}) => id === peer)?.state).toBe('unreachable');
	expect(wasMs).toBeGreaterThan(2000);
	expect(downMs()).toBeLessThanOrEqual(state.nowMs - killedMs);
});

test('a member with a full disk is degraded until it reports room, and so is this node', () => {
	let isFull = false;
	const {presence, events, advance} = setUp({isDiskFull: () => isFull});
	const order = [self, peer];
	presence.setMembers(order);
	let counter = 0;
	const hear = (diskFull?: true): void => {
		presence.heard(peer);
		presence.step(peer, {
			type: 'gossip',
			incarnation: 1,
			updates: [],
			rows: [[peer, 1, ++counter, hashMembers(order), new Uint8Array(0)]],
			...(diskFull && {diskFull}),
		});
		advance(2 * tickMs);
	};

	hear();
	hear(true);
	hear(true);
	hear();
	const why = 'its disk is full: it stores no new messages';
	const states = (id: NodeId): unknown[] =>
		events.flatMap(event => (event.type === 'member' && event.id === id ? [[event.state, event.why]] : []));
	expect(states(peer)).toEqual([
		['alive', ''],
		['degraded', why],
		['alive', ''],
	]);
	isFull = true;
	advance(2 * tickMs);
	expect(presence.members().find(({id}) => id === self)).toMatchObject({state: 'degraded', why, cause: 'disk-full'});
	isFull = false;
	advance(2 * tickMs);
	expect(states(self)).toEqual([
		['degraded', why],
		['alive', ''],
	]);
});

test('a silent far side is not reported as quorum; its waiting messages count from its last answer', () => {
	const [one, other] = [peer, 'cccccccccccccccc' as NodeId];
	const {presence, state, events, advance} = setUp({voters: () => [self, one, other]});
	presence.setMembers([self, one, other]);
	for (const id of [one, other]) presence.heard(id);
	advance(tickMs);
	state.published = 1000; // No member has detected the silence yet.
	for (let ticks = 0; ticks < 400 && presence.view().state === 'whole'; ticks++) advance(tickMs);
	expect(presence.view()).toMatchObject({
		state: 'partitioned',
		sides: [[self], [one, other]],
		quorum: -1,
		isFarHeard: false,
		waiting: 1000,
		waitingFor: [
			{id: one, messages: 1000},
			{id: other, messages: 1000},
		],
	});
	expect(events.find(({type}) => type === 'partition')).toMatchObject({
		state: 'detected',
		quorum: -1,
		isFarHeard: false,
	});
});

describe('the end of a partition', () => {
	const [one, other] = [peer, 'cccccccccccccccc' as NodeId];
	const goodbye = (id: NodeId): SwimPacket => ({
		type: 'gossip',
		incarnation: 1,
		updates: [[id, 'left', 1, id]],
		rows: [],
	});

	function cutOff() {
		const set = setUp({voters: () => [self, one, other]});
		const {presence, events, advance} = set;
		presence.setMembers([self, one, other]);
		for (const id of [one, other]) presence.heard(id);
		for (let ticks = 0; ticks < 400 && presence.view().state === 'whole'; ticks++) advance(tickMs);
		expect(presence.view().state).toBe('partitioned');
		events.length = 0;
		/** Events of the end. Sides that change are events too. */
		const partitions = (): readonly BrokerEvent[] =>
			events.filter(event => event.type === 'partition' && event.state !== 'detected');
		return {...set, partitions};
	}

	test('is no heal when all members of the far side turn out to be down or stopped', () => {
		const {presence, advance, partitions} = cutOff();
		presence.link(one, 'refused');
		presence.step(other, goodbye(other));
		advance(5000);
		expect(partitions()).toEqual([
			{
				type: 'partition',
				state: 'ended',
				sides: [[self]],
				quorum: -1,
				gone: [one, other],
				tookMs: expect.any(Number) as number,
			},
		]);
		expect(presence.view()).toMatchObject({state: 'whole', repairedMs: undefined});
	});

	test('is a heal when one of them comes back; the event names the other one', () => {
		const {presence, advance, partitions} = cutOff();
		presence.step(other, goodbye(other));
		for (let count = 0; count < 100; count++) {
			presence.step(one, {type: 'gossip', incarnation: 2, updates: [], rows: []});
			presence.heard(one);
			advance(tickMs);
		}

		expect(partitions().at(-1)).toMatchObject({state: 'healed', sides: [[self, one]], gone: [other]});
		presence.synced(one, 3);
		expect(partitions().at(-1)).toMatchObject({state: 'repaired', messages: 3});
	});
});

test('while members are suspected, this node is not reported as cut off from them', () => {
	const {presence, state, advance} = setUp({voters: () => [self, peer, 'cccccccccccccccc' as NodeId]});
	presence.setMembers([self, peer, 'cccccccccccccccc' as NodeId]);
	for (const id of [peer, 'cccccccccccccccc' as NodeId]) presence.heard(id);
	for (; state.nowMs < 20_000;) {
		advance(tickMs);
		expect([presence.cuts(), presence.members().find(({id}) => id === self)?.state]).toEqual([[], 'alive']);
	}

	expect(presence.members().find(({id}) => id === peer)?.state).toBe('unreachable');
});

test('a process that is not confirmed sends only to peers that accepted its link, and sends no goodbye', () => {
	const identity = {isConfirmed: false, wasConfirmed: false};
	const {presence, state, sent, advance} = setUp({identity});
	presence.setMembers([self, peer]);
	presence.step(peer, {
		type: 'ping',
		seq: 1,
		link: false,
		incarnation: 1,
		updates: [[self, 'refused', 1, peer]],
		rows: [],
	});
	advance(3000);
	presence.leave();
	expect(sent).toEqual([]);
	state.isLinked = true;
	advance(1000);
	expect(new Set(sent)).toEqual(new Set([`link ${peer}`, `datagram ${peer}`]));
	Object.assign(identity, {isConfirmed: true, wasConfirmed: true});
	presence.heard(peer);
	sent.length = 0;
	presence.leave();
	expect(sent.slice(-2)).toEqual([`link ${peer}`, `datagram ${peer}`]);
});

test('a pause of the process counts as a moment', () => {
	const {presence, state, advance} = setUp();
	advance(1000);
	expect(presence.awakeMs).toBe(1000);
	state.nowMs += 12_000;
	advance(tickMs);
	expect(presence.awakeMs).toBe(1100);
});

test('a node that stops because of a fault sends no goodbye, and answers nothing', () => {
	const {presence, sent, advance} = setUp();
	presence.setMembers([self, peer]);
	presence.heard(peer);
	advance(1000);
	expect(sent).not.toEqual([]);
	sent.length = 0;
	presence.silence();
	presence.step(peer, {type: 'ping', seq: 1, link: false, incarnation: 1, updates: [], rows: []});
	presence.link(peer, 'refused');
	advance(1000);
	expect(sent).toEqual([]);
});

test('a member is reported as alive when it is first heard, and again after it has moved', () => {
	const {presence, events, advance} = setUp();
	presence.setMembers([self, peer]);
	advance(200);
	expect(events).toEqual([]);
	presence.heard(peer);
	advance(200);
	expect(events).toEqual([{type: 'member', id: peer, address: '127.0.0.1:2', state: 'alive', why: ''}]);
	presence.announce(peer);
	presence.heard(peer);
	advance(200);
	expect(events).toHaveLength(2);
	presence.announce(self);
	presence.heard(peer);
	advance(100);
	expect(events).toHaveLength(2);
});
