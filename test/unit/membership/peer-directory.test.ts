import {describe, expect, test, vi} from 'vitest';
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {encodeContext} from '../../../core/cluster-state/command.ts';
import {PeerDirectory} from '../../../core/membership/peer-directory.ts';
import type {NodeId} from '../../../core/message.ts';
import type {Links} from '../../../core/ports.ts';
import {encodeControl} from '../../../core/wire/wire.ts';

const id = (index: number): NodeId => index.toString(16).padStart(16, '0') as NodeId;
const [self, one, other] = [id(1), id(2), id(3)] as const;

/** A node whose log names itself and one other. `answers`: the node that answers at each address. */
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
	const directory = new PeerDirectory({
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
				if (found === undefined) throw new Error('no answer');
				return {id: found, frame: encodeControl('joined', {type: 'joined', clusterId: 'c', members: []})};
			},
		},
		nowMs: () => 0,
		leader: () => state.leader,
		clusterId: () => 'c',
		join: () => Promise.reject(new Error('not asked')),
		seeds: [],
		foreign() {},
	});
	directory.link();
	return {state, topics, directory};
}

describe('a node keeps links to', () => {
	test('the members in its own log', () => {
		expect(setUp().state.peers).toEqual([one]);
	});

	test('without a leader, also a caller that its log does not name', () => {
		const {state, directory} = setUp();
		directory.acceptCaller(other, 'a3');
		directory.acceptCaller(other, 'a3');
		expect(state.peers).toEqual([one, other]);
	});

	test('with a leader, only the members in its log', () => {
		const {state, directory} = setUp();
		state.leader = one;
		directory.acceptCaller(other, 'a3');
		expect(state.peers).toEqual([one]);
	});

	test('a bounded number of unknown callers', () => {
		const {state, directory} = setUp();
		for (let index = 10; index < 1000; index++) directory.acceptCaller(id(index), 'a');
		expect(state.peers).toHaveLength(65);
	});

	test('reported members until its own log names it and the leader', () => {
		const {state, topics, directory} = setUp();
		directory.acceptCaller(other, 'a3');
		state.leader = other;
		directory.link();
		// The log does not name the leader yet, so the node still needs the reported members.
		expect(state.peers).toEqual([one, other]);
		topics.applyConfiguration(3, [self, other], encodeContext({node: other, address: 'a3'}));
		directory.link();
		expect(state.peers).toEqual([other]);
	});

	test('reported members, whose addresses are known at once until the log has newer ones', () => {
		const {topics, directory} = setUp();
		expect([directory.address(one), directory.address(other)]).toEqual(['a2', undefined]);
		directory.report([
			[one, 'former'],
			[other, 'a3'],
		]);
		expect([directory.address(one), directory.address(other)]).toEqual(['a2', 'a3']);
		topics.applyConfiguration(3, [self, one, other], encodeContext({node: other, address: 'a4'}));
		expect(directory.address(other)).toBe('a4');
	});

	test('members that a peer reported, and then asks the next peer', () => {
		const {state, directory} = setUp();
		state.up.add(one).add(other);
		directory.ask();
		directory.onAnswered(encodeControl('joined', {type: 'joined', clusterId: 'c', members: [[other, 'a3']]}));
		directory.ask();
		directory.ask();
		expect(state.peers).toEqual([one, other]);
		expect(state.sent).toEqual([one, other, one]);
	});

	test('missing members, for which it asks every address that it knows', async () => {
		const {state, directory} = setUp();
		state.leader = self;
		directory.ask();
		await new Promise(setImmediate);
		expect(state.called).toEqual(['a2', 'seed']);
	});

	test('all members, and asks no address while all are linked and there is a leader', async () => {
		const {state, directory} = setUp();
		state.leader = self;
		state.up.add(one);
		directory.ask();
		await new Promise(setImmediate);
		expect(state.called).toEqual([]);
	});

	test.each(['', 'nonsense', '0.0.0.0:5000', '224.0.0.1:5000'])('no peer at the invalid address %j', address => {
		const {directory} = setUp();
		directory.observe(one, address);
		expect(directory.address(one)).toBe('a2');
		directory.observe(one, '10.0.0.7:5000');
		expect(directory.address(one)).toBe('10.0.0.7:5000');
	});

	test('a missing member at the address where it proves its id; with a leader reports have no effect', async () => {
		const {state, topics, directory} = setUp(new Map([['10.0.0.4:1', other]]));
		topics.applyConfiguration(3, [self, one, other], encodeContext({node: other, address: 'a3'}));
		state.leader = other; // Its frames come over the other member.
		state.up.add(one);
		directory.ask();
		expect(state.sent).toEqual([one]);
		directory.onAnswered(
			encodeControl('joined', {
				type: 'joined',
				clusterId: 'c',
				members: [
					[one, '10.0.0.8:1'],
					[other, '10.0.0.4:1'],
				],
			}),
		);
		await vi.waitFor(() => expect(directory.address(other)).toBe('10.0.0.4:1'));
		directory.onAnswered(
			encodeControl('joined', {type: 'joined', clusterId: 'c', members: [[other, '10.0.0.3:1']]}),
		);
		await vi.waitFor(() => expect(state.called).toContain('10.0.0.3:1'));
		expect([directory.address(one), directory.address(other)]).toEqual(['a2', '10.0.0.4:1']);
		expect(state.called).not.toContain('10.0.0.8:1');
	});

	test('a peer at the address of its link, even if a process of the same id answers elsewhere', async () => {
		const {state, topics, directory} = setUp(
			new Map([
				['10.0.0.9:1', one],
				['10.0.0.5:1', other],
			]),
		);
		topics.applyConfiguration(3, [self, one, other], encodeContext({node: other, address: 'a3'}));
		state.up.add(one);
		directory.ask();
		await new Promise(resolve => setImmediate(resolve));
		expect([directory.address(one), directory.address(other)]).toEqual(['a2', '10.0.0.5:1']);
	});
});
