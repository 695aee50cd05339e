/** A `Control` of one node for tests: a log in memory, a fixed clock, and a network that accepts every packet. */
import {expect} from 'vitest';
import {encodeContext, type MemberContext} from '../../../../core/cluster-state/command.ts';
import {defaults} from '../../../../core/config.ts';
import {Control, type ControlOptions} from '../../../../core/control/control.ts';
import {RaftStore, type Blobs} from '../../../../core/control/raft-store.ts';
import {MemoryLog} from '../../../../core/io/log/memory-log.ts';
import {Lamport} from '../../../../core/lamport.ts';
import type {NodeId} from '../../../../core/message.ts';
import {encodeConfigurationData} from '../../../../core/raft/configuration.ts';
import type {RaftPacket} from '../../../../core/raft/packet.ts';

export const [leader, self] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'] as [NodeId, NodeId];

export function blobs(): Blobs {
	const files = new Map<string, Uint8Array>();
	return {
		write: async (name, bytes) => void files.set(name, bytes),
		read: async name => files.get(name),
		list: async () => [...files.keys()],
		unlink: async name => void files.delete(name),
	};
}

export const memoryLog = (): MemoryLog => new MemoryLog({segmentBytes: 4096});

export const emptyStore = (): Promise<RaftStore> => RaftStore.open(memoryLog(), blobs());

/** The store of `leader`, which has founded the cluster `c` alone. */
export async function foundedStore(context: MemberContext = {}): Promise<RaftStore> {
	const store = await emptyStore();
	const data = encodeConfigurationData(
		{voters: [leader], learners: []},
		encodeContext({clusterId: 'c', node: leader, address: '127.0.0.1:1', ...context}),
	);
	await store.found({term: 1, index: 1, kind: 'configuration', data}, leader);
	return store;
}

/** A failure of the store fails the test, unless `failed` is given. */
export function createControl(options: Pick<ControlOptions, 'self' | 'store'> & Partial<ControlOptions>): Control {
	return new Control({
		lamport: new Lamport(0, defaults.gossip.lamportJumpMax),
		incarnation: 1,
		tickMs: 25,
		config: {...defaults, port: 1, data: '', secret: new Uint8Array(0)},
		random: {below: () => 0},
		nowMs: () => 0,
		send: () => undefined,
		isReachable: () => true,
		isReached: () => true,
		addressOf: () => undefined,
		dialBack: async () => undefined,
		emit: () => undefined,
		bound: () => undefined,
		onAgreed: () => undefined,
		failed: error => expect.unreachable(String(error)),
		...options,
		awakeMs: options.awakeMs ?? options.nowMs ?? (() => 0),
	});
}

/** The whole snapshot of `leader` up to entry 2, for the learner `self`. */
export const snapshotPacket = (data: Uint8Array): RaftPacket => ({
	group: 0,
	term: 1,
	type: 'snapshot',
	index: 2,
	snapshotTerm: 1,
	configuration: {voters: [leader], learners: [self]},
	offset: 0,
	size: data.length,
	data,
});
