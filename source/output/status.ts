/**
A snapshot as `status -o json` prints it: a contract with scripts.
*/
import {quorumHealthOf} from '../../core/observe/quorum-health.ts';
import type {Snapshot} from '../../core/snapshot.ts';

/** The bounds that were hit since the start, and the clients that hit them. */
function boundsOf({counters: {bounds, boundsAtMs = {}, boundsBy = {}, clientNames = {}}}: Pick<Snapshot, 'counters'>) {
	return Object.entries(bounds).map(([name, count]) => ({
		name,
		count,
		at: boundsAtMs[name] ?? null,
		by: (boundsBy[name] ?? []).map(([client, times]) => ({
			client,
			name: Object.hasOwn(clientNames, client) ? clientNames[client] : '',
			count: times,
		})),
	}));
}

/** The keys of the node; `null` for a node of an earlier release. */
function keysOf({keys}: Pick<Snapshot, 'keys'>) {
	if (!keys) return null;
	const {active, valid, file, wrong} = keys;
	return {active, valid, file, wrong: wrong.map(({key, state, address, msAgo}) => ({key, state, address, msAgo}))};
}

export type Status = ReturnType<typeof statusOf>;

export function statusOf({raft, members, topics, partition, ...snapshot}: Snapshot) {
	return {
		cluster: snapshot.cluster,
		clusterId: snapshot.clusterId,
		self: snapshot.self,
		name: snapshot.name,
		phase: snapshot.phase,
		detail: snapshot.detail,
		role: raft.role,
		term: raft.term,
		leader: raft.leader ?? null,
		commit: raft.commit,
		applied: raft.applied,
		quorum: {
			has: raft.hasQuorum,
			state: raft.quorum,
			voters: raft.voters.length,
			reachable: raft.reachableVoters,
			missing: quorumHealthOf({raft, members}).missing.map(({id, name, address, state, downMs}) => ({
				id,
				name,
				address,
				state,
				downMs: downMs ?? null,
			})),
		},
		members: members.map(({id, name, address, state, voter, rttMs, version, protocol}) => ({
			id,
			name,
			address,
			state,
			voter,
			rttMs: rttMs ?? null,
			version,
			protocol,
		})),
		topics: topics.map(
			({name, durable, subscribers, messages, bytes, missing, rates, created, retention, settings}) => ({
				name,
				durable,
				subscribers,
				messages,
				bytes,
				missing,
				rates: rates ?? null,
				created: created ?? false,
				retention: retention ?? null,
				settings: settings ?? {},
			}),
		),
		rates: snapshot.counters.rates ?? null,
		deleted: snapshot.counters.deleted ?? null,
		bounds: boundsOf(snapshot),
		partition: {state: partition.state, sides: partition.sides},
		cuts: snapshot.cuts.map(({between, what, via, forMs}) => ({between, what, via: via ?? null, forMs})),
		foreign: snapshot.foreign,
		duplicates: snapshot.duplicates,
		gossip: snapshot.gossip,
		lamport: snapshot.lamport,
		keys: keysOf(snapshot),
		faults: snapshot.faults,
		insecure: snapshot.insecure,
		version: snapshot.version,
		protocol: snapshot.protocol,
	};
}
