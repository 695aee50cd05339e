/** One valid packet of each kind, as members send them; the fuzzer changes them. */
import {parseGossipPacket, type ControlPacket} from '../../core/gossip/packet.ts';
import type {NodeId, Topic} from '../../core/message.ts';
import {parseRaftPacket, type RaftPacket} from '../../core/raft/packet.ts';
import {parseSwimPacket, type SwimPacket} from '../../core/swim/packet.ts';
import {must} from './target.ts';

export const peer = '2'.repeat(16) as NodeId;
const topic = 't' as Topic;
const head = {group: 0, term: 1};
const entry = {term: 1, index: 2, kind: 'command' as const, data: Uint8Array.of(1, 2, 3)};

export const raftPackets: readonly RaftPacket[] = [
	{...head, type: 'pre-vote', lastIndex: 1, lastTerm: 1},
	{...head, type: 'pre-vote-reply', granted: true},
	{...head, type: 'vote', lastIndex: 1, lastTerm: 1, isTransfer: false},
	{...head, type: 'vote-reply', granted: true},
	{...head, type: 'append', prevIndex: 1, prevTerm: 1, commit: 1, entries: [entry]},
	{...head, type: 'append-reply', ok: true, index: 2, hintTerm: 1, rejected: 0},
	{...head, type: 'heartbeat', commit: 1, round: 1},
	{...head, type: 'heartbeat-reply', round: 1},
	{
		...head,
		type: 'snapshot',
		index: 5,
		snapshotTerm: 1,
		configuration: {voters: [peer], learners: []},
		offset: 0,
		size: 3,
		data: Uint8Array.of(1, 2, 3),
	},
	{...head, type: 'snapshot-reply', index: 5, offset: 0, received: 3},
	{...head, type: 'timeout-now'},
	{...head, type: 'propose', data: Uint8Array.of(1, 2, 3)},
	{...head, type: 'read', context: 'x'},
	{...head, type: 'read-reply', context: 'x', index: 1},
];

export const gossipPackets: readonly ControlPacket[] = [
	{type: 'ihave', topics: [[topic, [[peer, 1, 1, 5, 9]]]]},
	{type: 'iwant', topic, wants: [{origin: peer, incarnation: 1, from: 1, to: 5, sinceLamport: 0}], bytesMax: 1000},
	{type: 'ihavenot', topic, gaps: [[peer, 1, 1, 3]], isEnd: true, deleted: [[peer, 1, 2]]},
	{type: 'served', topic, passed: [[peer, 1, 1, 3, 0]]},
	{type: 'digest', round: 1, topics: [[topic, 5]]},
];

export const swimPackets: readonly SwimPacket[] = [
	{type: 'ping', seq: 1, link: true, incarnation: 3, updates: [[peer, 'suspect', 4, peer]], rows: []},
	{type: 'ack', seq: 1, incarnation: 3, updates: [], rows: [[peer, 1, 2, 7, Uint8Array.of(1, 2)]]},
	{type: 'ping-req', seq: 4, target: peer, incarnation: 3, updates: [], rows: []},
	{type: 'gossip', incarnation: 3, updates: [], rows: [], diskFull: true},
	{
		type: 'ack',
		seq: 5,
		incarnation: 3,
		updates: [],
		rows: [[peer, 1, 2, 7, Uint8Array.of(1, 2)]],
		states: [[7, 2, 1204, Uint8Array.of(4), new Uint8Array(0)]],
	},
];

/** The packets are what the parsers accept; else changes of them would test little. */
export function expectValid(): void {
	for (const packet of raftPackets)
		must(parseRaftPacket(packet) !== undefined, `${packet.type} to be a packet of Raft`);
	for (const packet of gossipPackets)
		must(parseGossipPacket(packet) !== undefined, `${packet.type} to be a packet of gossip`);
	for (const packet of swimPackets)
		must(parseSwimPacket(packet) !== undefined, `${packet.type} to be a packet of SWIM`);
}
