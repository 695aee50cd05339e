import {expect, test} from 'vitest';
import {defaults} from '../../core/config.ts';
import {Control} from '../../core/control.ts';
import {MemoryLog} from '../../core/io/memory-log.ts';
import {Lamport} from '../../core/lamport.ts';
import type {NodeId, Topic} from '../../core/message.ts';
import {encodeConfigurationData} from '../../core/raft/configuration.ts';
import {RaftStore, type Blobs} from '../../core/raft-store.ts';
import {encodeContext, encodeEnvelope} from '../../core/topics/command.ts';
import {Topics} from '../../core/topics/topics.ts';

const [leader, self] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'] as [NodeId, NodeId];

function blobs(): Blobs {
	const files = new Map<string, Uint8Array>();
	return {
		write: async (name, bytes) => void files.set(name, bytes),
		read: async name => files.get(name),
		list: async () => [...files.keys()],
		unlink: async name => void files.delete(name),
	};
}

test('a node that joins by a snapshot stamps what it publishes behind every subscription in it', async () => {
	const topics = new Topics({topicsMax: 10, membersMax: 10});
	topics.applyConfiguration(1, [leader, self], encodeContext({clusterId: 'c', node: leader, address: '127.0.0.1:1'}));
	topics.apply(2, encodeEnvelope({node: leader, incarnation: 1, seq: 1, answeredBelow: 0, lamport: 901, command: {type: 'subscribe', topic: 'news' as Topic, node: leader, since: 900}}));
	const data = topics.save();
	const lamport = new Lamport(0, defaults.gossip.lamportJumpMax);
	const agreed = Promise.withResolvers<void>();
	const control = new Control({
		self, lamport, incarnation: 1, tickMs: 25, config: {...defaults, port: 1, data: '', secret: new Uint8Array(0)},
		random: {below: () => 0},
		store: await RaftStore.open(new MemoryLog({segmentBytes: 4096}), blobs()),
		nowMs: () => 0, send: () => undefined, isReachable: () => true, isReached: () => true, addressOf: () => undefined, emit: () => undefined,
		onAgreed: () => agreed.resolve(),
		failed: error => agreed.reject(error),
	});
	control.step(leader, {group: 0, term: 1, type: 'snapshot', index: 2, snapshotTerm: 1, configuration: {voters: [leader], learners: [self]}, offset: 0, size: data.length, data});
	await agreed.promise;
	expect(control.topics.applied).toBe(2);
	expect(lamport.stamp()).toBeGreaterThan(900);
});

test('who asks again to be taken in, after that was agreed and before the disk lets it be applied, is told to wait', async () => {
	const store = await RaftStore.open(new MemoryLog({segmentBytes: 4096}), blobs());
	await store.found({term: 1, index: 1, kind: 'configuration', data: encodeConfigurationData({voters: [leader], learners: []}, encodeContext({clusterId: 'c', node: leader, address: '127.0.0.1:1'}))}, leader);
	const append = store.append.bind(store);
	let disk: Promise<void> = Promise.resolve();
	Object.assign(store, {
		append: async (...given: Parameters<typeof append>) => {
			await disk;
			return append(...given);
		},
	});
	const control = new Control({
		self: leader, store, lamport: new Lamport(0, defaults.gossip.lamportJumpMax), incarnation: 1, tickMs: 25, config: {...defaults, port: 1, data: '', secret: new Uint8Array(0)},
		random: {below: () => 0}, nowMs: () => 0, send: () => undefined, isReachable: () => true, isReached: () => true, addressOf: () => undefined, emit: () => undefined, onAgreed: () => undefined, failed: error => expect.unreachable(String(error)),
	});
	const settled = (isDone: () => boolean): Promise<void> => expect.poll(isDone).toBe(true);
	while (control.raft.status().role !== 'leader') {
		control.tick();
		await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop -- one tick after the other
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
	await expect(control.join({id: self, address: '127.0.0.1:2', clusterId: ''})).resolves.toEqual({type: 'wait', reason: `node ${self} is being taken in`});
	second.resolve();
	await expect(joined).resolves.toMatchObject({type: 'joined', clusterId: 'c'});
	await done;
	await expect(control.join({id: self, address: '127.0.0.1:2', clusterId: ''})).resolves.toMatchObject({type: 'joined'});
});
