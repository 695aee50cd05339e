import {describe, expect, test} from 'vitest';
import {Acquaintances} from '../../core/acquaintances.ts';
import type {NodeId} from '../../core/message.ts';
import type {Links} from '../../core/ports.ts';
import {encodeContext} from '../../core/topics/command.ts';
import {Topics} from '../../core/topics/topics.ts';
import {encodeControl} from '../../core/wire.ts';

const id = (index: number): NodeId => index.toString(16).padStart(16, '0') as NodeId;
const [self, one, other] = [id(1), id(2), id(3)] as const;

/** A node whose log names itself and one other. `answers`: who is found at which address. */
function setUp(answers: ReadonlyMap<string, NodeId> = new Map()) {
	const state = {leader: undefined as NodeId | undefined, peers: [] as NodeId[], sent: [] as NodeId[], up: new Set<NodeId>()};
	const topics = new Topics({topicsMax: 8, membersMax: 8});
	topics.applyConfiguration(1, [self], encodeContext({clusterId: 'c', node: self, address: 'a1'}));
	topics.applyConfiguration(2, [self, one], encodeContext({node: one, address: 'a2'}));
	const links = {
		setPeers: (peers: ReadonlyMap<NodeId, string>) => void (state.peers = [...peers.keys()].toSorted()),
		setRemoved() {},
		state: (peer: NodeId) => ({state: state.up.has(peer) ? 'up' : 'down', why: ''}),
		send: (to: NodeId) => state.sent.push(to) > 0,
	} as unknown as Links;
	const acquaintances = new Acquaintances({
		self, address: 'a1', topics, links, peers: {candidates: async () => [...answers.keys()].map(address => ({address, isMember: true})), ask: async (address: string) => ({id: answers.get(address)!, frame: encodeControl('joined', {type: 'joined', clusterId: 'c', members: []})})}, nowMs: () => 0, leader: () => state.leader, clusterId: () => 'c',
		join: () => Promise.reject(new Error('nobody asks')),
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
		expect(state.peers).toEqual([one, other]); // The log does not name the leader yet, and needs it to learn who it is.
		topics.applyConfiguration(3, [self, other], encodeContext({node: other, address: 'a3'}));
		acquaintances.link();
		expect(state.peers).toEqual([other]);
	});

	test('where they are is known from the moment on at which they are told of, and the log knows better', () => {
		const {topics, acquaintances} = setUp();
		expect([acquaintances.address(one), acquaintances.address(other)]).toEqual(['a2', undefined]);
		acquaintances.tell([[one, 'former'], [other, 'a3']]);
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

	test('with a leader, where a member is that it misses, by the word of another', () => {
		const {state, topics, acquaintances} = setUp();
		topics.applyConfiguration(3, [self, one, other], encodeContext({node: other, address: 'a3'}));
		state.leader = other; // Its frames come over the other member.
		state.up.add(one);
		acquaintances.ask();
		expect(state.sent).toEqual([one]);
		acquaintances.onAnswered(encodeControl('joined', {type: 'joined', clusterId: 'c', members: [[one, 'elsewhere'], [other, 'a4']]}));
		expect([acquaintances.address(one), acquaintances.address(other)]).toEqual(['a2', 'a4']);
	});

	test('at the address of the link, whoever of the same id answers elsewhere', async () => {
		const {state, topics, acquaintances} = setUp(new Map([['copy', one], ['moved', other]]));
		topics.applyConfiguration(3, [self, one, other], encodeContext({node: other, address: 'a3'}));
		state.up.add(one);
		acquaintances.ask();
		await new Promise(resolve => setImmediate(resolve));
		expect([acquaintances.address(one), acquaintances.address(other)]).toEqual(['a2', 'moved']);
	});
});
