/**
A snapshot as `status -o json` prints it: the contract that scripts read.
*/
import {outlookOf} from '../core/observe/outlook.ts';
import type {Snapshot} from '../core/observe/snapshot.ts';

export type Status = ReturnType<typeof statusOf>;

export function statusOf({raft, members, topics, partition, ...snapshot}: Snapshot) {
	return {
		cluster: snapshot.cluster,
		self: snapshot.self,
		phase: snapshot.phase,
		role: raft.role,
		term: raft.term,
		leader: raft.leader ?? null,
		commit: raft.commit,
		applied: raft.applied,
		quorum: {has: raft.hasQuorum, state: raft.quorum, voters: raft.voters.length, reachable: raft.reachableVoters, missing: outlookOf({raft, members}).missing.map(({id, address, state, downMs}) => ({id, address, state, downMs: downMs ?? null}))},
		members: members.map(({id, address, state, voter, rttMs}) => ({id, address, state, voter, rttMs: rttMs ?? null})),
		topics: topics.map(({name, durable, subscribers, messages, bytes, missing}) => ({name, durable, subscribers, messages, bytes, missing})),
		partition: {state: partition.state, sides: partition.sides},
		cuts: snapshot.cuts.map(({between, what, via, forMs}) => ({between, what, via: via ?? null, forMs})),
		gossip: snapshot.gossip,
		lamport: snapshot.lamport,
		faults: snapshot.faults,
		insecure: snapshot.insecure,
		version: snapshot.version,
	};
}
