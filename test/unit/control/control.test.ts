import {expect, test} from 'vitest';
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {encodeContext, encodeEnvelope, type Command, type MemberContext} from '../../../core/cluster-state/command.ts';
import {encode} from '../../../core/codec.ts';
import {defaults} from '../../../core/config.ts';
import type {Control, ControlOptions} from '../../../core/control/control.ts';
import {RaftStore} from '../../../core/control/raft-store.ts';
import {NewerVersionError} from '../../../core/errors.ts';
import type {BrokerEvent} from '../../../core/events.ts';
import {MemoryLog} from '../../../core/io/log/memory-log.ts';
import {Lamport} from '../../../core/lamport.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {encodeConfigurationData} from '../../../core/raft/configuration.ts';
import type {Entry} from '../../../core/raft/raft.ts';
import {
	blobs,
	createControl,
	emptyStore,
	foundedStore,
	leader,
	memoryLog,
	self,
	snapshotPacket,
} from './support/control-node.ts';

test('a node that joins by a snapshot stamps its messages later than every subscription in the snapshot', async () => {
	const topics = new ClusterState({topicsMax: 10, membersMax: 10});
	topics.applyConfiguration(1, [leader, self], encodeContext({clusterId: 'c', node: leader, address: '127.0.0.1:1'}));
	topics.apply(
		2,
		encodeEnvelope({
			node: leader,
			incarnation: 1,
			seq: 1,
			answeredBelow: 0,
			lamport: 901,
			command: {type: 'subscribe', topic: 'news' as Topic, node: leader, since: 900},
		}),
	);
	const data = topics.save();
	const lamport = new Lamport(0, defaults.gossip.lamportJumpMax);
	const agreed = Promise.withResolvers<void>();
	const control = createControl({
		self,
		store: await emptyStore(),
		lamport,
		onAgreed: () => agreed.resolve(),
		failed: error => agreed.reject(error),
	});
	control.step(leader, snapshotPacket(data));
	await agreed.promise;
	expect(control.state.applied).toBe(2);
	expect(lamport.stamp()).toBe(901);
});

test('a node that asks again to join waits while its committed entry is not applied', async () => {
	const store = await foundedStore();
	const append = store.append.bind(store);
	let disk: Promise<void> = Promise.resolve();
	Object.assign(store, {
		append: async (...given: Parameters<typeof append>) => {
			await disk;
			return append(...given);
		},
	});
	const control = createControl({self: leader, store});
	const settled = (isDone: () => boolean): Promise<void> => expect.poll(isDone).toBe(true);
	while (control.raft.status().role !== 'leader') {
		control.tick();
		await new Promise(setImmediate);
	}

	await settled(() => control.raft.status().applied === 2);
	const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
	disk = first.promise;
	const joined = control.join({id: self, address: '127.0.0.1:2', clusterId: ''});
	const done = control.propose({type: 'subscribe', topic: 'news' as Topic, node: leader, since: 0});
	disk = second.promise;
	first.resolve();
	await settled(() => control.raft.status().commit === 3);
	expect(control.raft.status().applied).toBe(2);
	await expect(control.join({id: self, address: '127.0.0.1:2', clusterId: ''})).resolves.toEqual({
		type: 'wait',
		reason: `node ${self} is being admitted`,
	});
	second.resolve();
	await expect(joined).resolves.toMatchObject({type: 'joined', clusterId: 'c'});
	await done;
	await expect(control.join({id: self, address: '127.0.0.1:2', clusterId: ''})).resolves.toMatchObject({
		type: 'joined',
	});
});

/** The founder and leader of a cluster, on a fast disk. */
async function founder(
	context: MemberContext,
	more: Partial<ControlOptions> = {},
): Promise<{
	readonly control: Control;
	readonly events: BrokerEvent[];
	readonly tickUntil: (isDone: () => boolean) => Promise<void>;
}> {
	const events: BrokerEvent[] = [];
	let nowMs = 0;
	const control = createControl({
		self: leader,
		store: await foundedStore(context),
		nowMs: () => nowMs,
		emit: event => events.push(event),
		protocolMax: 2,
		...more,
	});
	const tickUntil = async (isDone: () => boolean): Promise<void> => {
		for (let tick = 0; !isDone(); tick++) {
			if (tick > 2000) throw new Error('Expected it within 2000 ticks');
			nowMs += 25;
			control.tick();
			await new Promise(setImmediate);
		}
	};

	await tickUntil(
		() => control.raft.status().role === 'leader' && control.state.applied === control.raft.status().lastIndex,
	);
	return {control, events, tickUntil};
}

test('a leader without other members raises the protocol to its own newest version', async () => {
	const {control, events, tickUntil} = await founder({});
	await tickUntil(() => control.state.protocol === 2);
	expect(events).toContainEqual({type: 'protocol', protocol: 2});
});

test('a pause of the process fails neither a proposal nor a read', async () => {
	const clock = {nowMs: 0};
	const {control} = await founder({protocol: 2}, {nowMs: () => clock.nowMs, awakeMs: () => 0});
	const done = Promise.all([control.propose({type: 'name', node: leader, name: 'n1'}), control.readIndex()]);
	clock.nowMs += 12_000;
	control.tick();
	await done;
});

test('a leader raises the protocol once the version of every member is known and allows it', async () => {
	const spoken = new Map<NodeId, {protocol: number; version: string}>([[self, {protocol: 1, version: '0.1.0'}]]);
	const store = await RaftStore.open(new MemoryLog({segmentBytes: 4096}), blobs());
	await store.found(
		{
			term: 1,
			index: 1,
			kind: 'configuration',
			data: encodeConfigurationData(
				{voters: [leader], learners: [self]},
				encodeContext({clusterId: 'c', node: leader, address: '127.0.0.1:1'}),
			),
		},
		leader,
	);
	const {control, tickUntil} = await founder({}, {store, speaks: peer => spoken.get(peer)});
	let beats = 0;
	await tickUntil(() => ++beats > 100);
	expect(control.state.protocol).toBe(1);
	spoken.delete(self);
	await tickUntil(() => ++beats > 200);
	expect(control.state.protocol).toBe(1);
	spoken.set(self, {protocol: 2, version: '0.2.0'});
	await tickUntil(() => control.state.protocol === 2);
});

test('a node with an older protocol than the agreed one cannot join, and the refusal has both numbers', async () => {
	const {control} = await founder({protocol: 2});
	await expect(
		control.join({id: self, address: '127.0.0.1:2', clusterId: '', facts: {protocol: 1, version: '0.1.0'}}),
	).resolves.toEqual({
		type: 'refused',
		reason:
			`node ${self} speaks protocol 1 (version 0.1.0), this cluster has agreed on protocol 2: ` +
			'start a newer version of dapss-tui there',
	});
	expect(control.raft.status().configuration.learners).toEqual([]);
});

test('the entry that adds a node sets its name and its identity; a taken default name gets a number', async () => {
	const {control} = await founder({protocol: 2, name: 'db1'});
	const facts = {protocol: 2, version: '', incarnation: 3, instance: '00000000000000aa'};
	await expect(
		control.join({id: self, address: '127.0.0.1:2', clusterId: '', name: 'DB1', isNameChosen: true, facts}),
	).resolves.toEqual({
		type: 'refused',
		reason: 'the name DB1 belongs to node aaaaaaaa at 127.0.0.1:1: choose another --name',
	});
	await expect(
		control.join({id: self, address: '127.0.0.1:2', clusterId: '', name: 'db1', facts}),
	).resolves.toMatchObject({type: 'joined'});
	expect([control.state.name(self), control.state.instance(self)]).toEqual([
		'db1-2',
		{incarnation: 3, instance: '00000000000000aa'},
	]);
});

test('a snapshot of a newer version from the leader does not replace the own state on disk', async () => {
	const store = await emptyStore();
	let saved = 0;
	Object.assign(store, {saveSnapshot: async () => void saved++});
	const failed = Promise.withResolvers<unknown>();
	const data = encode({version: 5});
	const control = createControl({self, store, failed: error => failed.resolve(error)});
	control.step(leader, snapshotPacket(data));
	await expect(failed.promise).resolves.toBeInstanceOf(NewerVersionError);
	expect(saved).toBe(0);
});

/** A control whose log was read from the disk, or is empty; and a leader that sends it appends. */
async function withLog(recovered: readonly Entry[], commit: number, isReached: (node: NodeId) => boolean = () => true) {
	const store = await emptyStore();
	if (recovered.length > 0) await store.append({term: 1, vote: undefined, commit}, recovered);
	const events: BrokerEvent[] = [];
	const announced: NodeId[] = [];
	let agreed = Promise.withResolvers<void>();
	const control = createControl({
		self,
		store:
			recovered.length > 0
				? new RaftStore(
						memoryLog(),
						blobs(),
						{hardState: {term: 1, vote: undefined, commit}, snapshot: undefined, entries: recovered},
						[],
					)
				: store,
		isReached,
		emit: event => events.push(event),
		announce: node => announced.push(node),
		onAgreed: () => agreed.resolve(),
		failed: error => agreed.reject(error),
	});
	const append = async (
		term: number,
		prevIndex: number,
		commitNow: number,
		entries: readonly Entry[],
	): Promise<void> => {
		agreed = Promise.withResolvers();
		control.step(leader, {
			group: 0,
			term,
			type: 'append',
			prevIndex,
			prevTerm: prevIndex === 0 ? 0 : 1,
			commit: commitNow,
			entries,
		});
		await agreed.promise;
	};

	return {control, events, announced, append, applied: () => agreed.promise};
}

const member = (index: number, voters: readonly NodeId[], learners: readonly NodeId[], node: NodeId): Entry => ({
	term: 1,
	index,
	kind: 'configuration',
	data: encodeConfigurationData(
		{voters, learners},
		encodeContext({clusterId: 'c', node, address: `127.0.0.1:${index}`}),
	),
});
const subscribed = (index: number, topic: string): Entry => ({
	term: 1,
	index,
	kind: 'command',
	data: encodeEnvelope({
		node: leader,
		incarnation: 1,
		seq: index,
		answeredBelow: 0,
		lamport: index,
		command: {type: 'subscribe', topic: topic as Topic, node: leader, since: 0},
	}),
});
const withoutLeader = (events: readonly BrokerEvent[]): readonly BrokerEvent[] =>
	events.filter(({type}) => type !== 'leader');

test('entries of the own log cause no events after a start; the voters come with a leader', async () => {
	const {control, events, announced, append, applied} = await withLog(
		[
			member(1, [leader], [], leader),
			subscribed(2, 'old'),
			member(3, [leader, self], [], self),
			subscribed(4, 'not known to be committed'),
		],
		3,
	);
	control.schedulePump();
	await applied();
	expect([control.state.applied, events, announced]).toEqual([3, [], []]);
	await append(1, 4, 4, []);
	expect([control.state.applied, withoutLeader(events)]).toEqual([4, [{type: 'voters', voters: [leader, self]}]]);
	await append(1, 4, 5, [subscribed(5, 'new')]);
	expect(withoutLeader(events).at(-1)).toEqual({type: 'subscribed', topic: 'new', node: leader});
});

test('a node that joins reports the entries after it heard the leader, and no earlier ones', async () => {
	const {control, events, announced, append} = await withLog([], 0);
	await append(1, 0, 3, [member(1, [leader], [], leader), subscribed(2, 'old')]);
	expect([control.state.applied, withoutLeader(events)]).toEqual([2, []]);
	await append(1, 2, 3, [member(3, [leader], [self], self)]);
	expect([withoutLeader(events), announced]).toEqual([[{type: 'voters', voters: [leader]}], []]);
	const other = 'cccccccccccccccc' as NodeId;
	await append(1, 3, 6, [
		subscribed(4, 'new'),
		member(5, [leader], [self, other], other),
		member(6, [leader, self], [other], self),
	]);
	expect([withoutLeader(events).slice(1), announced]).toEqual([
		[
			{type: 'subscribed', topic: 'new', node: leader},
			{type: 'voters', voters: [leader, self]},
		],
		[other, self],
	]);
});

test('a leader counts a voter without a link once that voter has answered, and not before', async () => {
	const [voter, absent] = [leader, 'cccccccccccccccc' as NodeId];
	const {control, applied} = await withLog([member(1, [voter, self, absent], [], voter)], 1, node => node === self);
	control.schedulePump();
	await applied();
	control.raft.campaign();
	control.schedulePump();
	await new Promise(setImmediate); // The own vote is durable.
	control.step(voter, {group: 0, term: control.raft.term, type: 'vote-reply', granted: true});
	expect([control.raft.role, control.quorum()]).toMatchObject(['leader', {reachable: 1}]);
	await new Promise(setImmediate);
	control.step(voter, {
		group: 0,
		term: control.raft.term,
		type: 'append-reply',
		ok: true,
		index: 1,
		hintTerm: 0,
		rejected: 0,
	});
	expect(control.quorum()).toMatchObject({reachable: 2, state: 'held'});
});

/** Lets pending writes finish. */
const turn = (): Promise<void> =>
	new Promise(resolve => {
		setImmediate(resolve);
	});

test('a leader refuses proposals in the name of another node, and those that are no commands', async () => {
	const bounds: string[] = [];
	const control = createControl({
		self: leader,
		store: await foundedStore(),
		bound: name => void bounds.push(name),
	});
	for (; control.raft.role !== 'leader'; await turn()) control.tick();
	const propose = (node: NodeId, command: Command): void =>
		control.step(self, {
			group: 0,
			term: control.raft.status().term,
			type: 'propose',
			data: encodeEnvelope({node, incarnation: 1, seq: 1, answeredBelow: 0, lamport: 1, command}),
		});
	const subscribe = (node: NodeId, since = 0): Command => ({type: 'subscribe', topic: 'news' as Topic, node, since});
	propose(leader, subscribe(leader, 2 ** 40));
	propose(self, subscribe(leader, 2 ** 40));
	propose(self, {type: 'protocol', node: self, protocol: 9});
	control.step(self, {group: 0, term: control.raft.status().term, type: 'propose', data: Uint8Array.of(1, 2, 3)});
	expect(bounds).toEqual(Array(4).fill('foreign-proposals'));
	const {lastIndex} = control.raft.status();
	propose(self, subscribe(self));
	expect([bounds.length, control.raft.status().lastIndex]).toEqual([4, lastIndex + 1]);
});
