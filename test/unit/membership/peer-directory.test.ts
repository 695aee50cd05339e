import {describe, expect, test, vi} from 'vitest';
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {encodeContext} from '../../../core/cluster-state/command.ts';
import {PeerDirectory} from '../../../core/membership/peer-directory.ts';
import type {NodeId} from '../../../core/message.ts';
import type {Links} from '../../../core/ports.ts';
import {encodeControl} from '../../../core/wire/wire.ts';

const id = (index: number): NodeId => index.toString(16).padStart(16, '0') as NodeId;
const [self, one, other] = [id(1), id(2), id(3)] as const;

/** A node whose log names itself and one other. `answers`: who is found at which address. */
function setUp(answers: ReadonlyMap<string, NodeId> = new Map()) {
	const state = {
		leader: undefined as NodeId | undefined,
		peers: [] as NodeId[],
		sent: [] as NodeId[],
		up: new Set<NodeId>(),
		called: [] as string[],
	};
	const topics = new ClusterState({topicsMax: 8, membersMax: 8});
	topics.applyConfiguration(1, [self], encodeContext({clusterId: 'c', node: self, address: 'a1'}));
	topics.applyConfiguration(2, [self, one], encodeContext({node: one, address: 'a2'}));
	const links = {
		setPeers: (peers: ReadonlyMap<NodeId, string>) => void (state.peers = [...peers.keys()].toSorted()),
		setRemoved() {},
		state: (peer: NodeId) => ({state: state.up.has(peer) ? 'up' : 'down', why: ''}),
		send: (to: NodeId) => state.sent.push(to) > 0,
	} as unknown as Links;
	const acquaintances = new PeerDirectory({
		self,
		address: 'a1',
		topics,
		links,
		peers: {
			candidates: async () =>
				['a1', 'a2', 'seed', ...answers.keys()].map(address => ({address, isMember: false})),
			async ask(address) {
				state.called.push(address);
				const found = answers.get(address);
				if (found === undefined) throw new Error('nobody answers');
				return {id: found, frame: encodeControl('joined', {type: 'joined', clusterId: 'c', members: []})};
			},
		},
		nowMs: () => 0,
		leader: () => state.leader,
		clusterId: () => 'c',
		join: () => Promise.reject(new Error('nobody asks')),
		seeds: [],
		foreign() {},
	});
	acquaintances.link();
	return {state, topics, acquaintances};
}

describe('whom a node keeps links to', () => {
	test('the members by its own log', () => {
		expect(setUp().state.peers).toEqual([one]);
	});

	test('without a leader, also a member that calls and that it does not know', () => {
		const {state, acquaintances} = setUp();
		acquaintances.meet(other, 'a3');
		acquaintances.meet(other, 'a3');
		expect(state.peers).toEqual([one, other]);
	});

	test('with a leader its log decides who is a member', () => {
		const {state, acquaintances} = setUp();
		state.leader = one;
		acquaintances.meet(other, 'a3');
		expect(state.peers).toEqual([one]);
	});

	test('no more callers than a bound', () => {
		const {state, acquaintances} = setUp();
		for (let index = 10; index < 1000; index++) acquaintances.meet(id(index), 'a');
		expect(state.peers).toHaveLength(65);
	});

	test('until its own log names it and the leader', () => {
		const {state, topics, acquaintances} = setUp();
		acquaintances.meet(other, 'a3');
		state.leader = other;
		acquaintances.link();
		// The log does not name the leader yet, and needs it to learn who it is.
		expect(state.peers).toEqual([one, other]);
		topics.applyConfiguration(3, [self, other], encodeContext({node: other, address: 'a3'}));
		acquaintances.link();
		expect(state.peers).toEqual([other]);
	});

	test('where they are is known from the moment on at which they are told of, and the log knows better', () => {
		const {topics, acquaintances} = setUp();
		expect([acquaintances.address(one), acquaintances.address(other)]).toEqual(['a2', undefined]);
		acquaintances.tell([
			[one, 'former'],
			[other, 'a3'],
		]);
		expect([acquaintances.address(one), acquaintances.address(other)]).toEqual(['a2', 'a3']);
		topics.applyConfiguration(3, [self, one, other], encodeContext({node: other, address: 'a4'}));
		expect(acquaintances.address(other)).toBe('a4');
	});

	test('who was told of by a peer, and then asks the next one', () => {
		const {state, acquaintances} = setUp();
		state.up.add(one).add(other);
		acquaintances.ask();
		acquaintances.onAnswered(encodeControl('joined', {type: 'joined', clusterId: 'c', members: [[other, 'a3']]}));
		acquaintances.ask();
		acquaintances.ask();
		expect(state.peers).toEqual([one, other]);
		expect(state.sent).toEqual([one, other, one]);
	});

	test('at every address that it has, while a member is missing', async () => {
		const {state, acquaintances} = setUp();
		state.leader = self;
		acquaintances.ask();
		await new Promise(setImmediate);
		expect(state.called).toEqual(['a2', 'seed']);
	});

	test('and nowhere, while all are linked and there is a leader', async () => {
		const {state, acquaintances} = setUp();
		state.leader = self;
		state.up.add(one);
		acquaintances.ask();
		await new Promise(setImmediate);
		expect(state.called).toEqual([]);
	});

	test.each(['', 'nonsense', '0.0.0.0:5000', '224.0.0.1:5000'])('not at %j, whoever says so', said => {
		const {acquaintances} = setUp();
		acquaintances.observe(one, said);
		expect(acquaintances.address(one)).toBe('a2');
		acquaintances.observe(one, '10.0.0.7:5000');
		expect(acquaintances.address(one)).toBe('10.0.0.7:5000');
	});

	test('with a leader, where a member that it misses proves its id, and another told that it is; what others tell besides changes nothing', async () => {
		const {state, topics, acquaintances} = setUp(new Map([['10.0.0.4:1', other]]));
		topics.applyConfiguration(3, [self, one, other], encodeContext({node: other, address: 'a3'}));
		state.leader = other; // Its frames come over the other member.
		state.up.add(one);
		acquaintances.ask();
		expect(state.sent).toEqual([one]);
		acquaintances.onAnswered(
			encodeControl('joined', {
				type: 'joined',
				clusterId: 'c',
				members: [
					[one, '10.0.0.8:1'],
					[other, '10.0.0.4:1'],
				],
			}),
		);
		await vi.waitFor(() => expect(acquaintances.address(other)).toBe('10.0.0.4:1'));
		acquaintances.onAnswered(
			encodeControl('joined', {type: 'joined', clusterId: 'c', members: [[other, '10.0.0.3:1']]}),
		);
		await vi.waitFor(() => expect(state.called).toContain('10.0.0.3:1'));
		expect([acquaintances.address(one), acquaintances.address(other)]).toEqual(['a2', '10.0.0.4:1']);
		expect(state.called).not.toContain('10.0.0.8:1');
	});

	test('at the address of the link, whoever of the same id answers elsewhere', async () => {
		const {state, topics, acquaintances} = setUp(
			new Map([
				['10.0.0.9:1', one],
				['10.0.0.5:1', other],
			]),
		);
		topics.applyConfiguration(3, [self, one, other], encodeContext({node: other, address: 'a3'}));
		state.up.add(one);
		acquaintances.ask();
		await new Promise(resolve => setImmediate(resolve));
		expect([acquaintances.address(one), acquaintances.address(other)]).toEqual(['a2', '10.0.0.5:1']);
	});
});
