/**
Creates the snapshot of a node from its parts, without changing them. Created on request, at most a few times a second.
*/
import type {IdentityKey} from '../access.ts';
import {promotion} from '../control/promotion.ts';
import type {Control} from '../control/control.ts';
import type {Data} from '../data/data.ts';
import type {FailureDetection} from '../membership/failure-detection.ts';
import type {NodeId, Topic} from '../message.ts';
import type {Journal} from '../observe/journal.ts';
import type {Waiting} from '../observe/waiting.ts';
import type {Counters, MemberSnapshot, Snapshot, TopicSnapshot} from '../snapshot.ts';
import type {NodeOptions} from './node-options.ts';
import type {OwnIdentity} from './own-identity.ts';

/** The parts of a node that a snapshot needs. */
export type ViewedNode = {
	readonly id: NodeId;
	readonly clusterId: string;
	readonly startedMs: number;
	readonly phase: Snapshot['phase'];
	readonly waiting: Pick<Waiting, 'detail'>;
	readonly options: NodeOptions;
	readonly control: Control;
	readonly data: Data;
	readonly desired: {readonly own: ReadonlySet<Topic>};
	readonly failureDetection: FailureDetection;
	readonly identity: Pick<OwnIdentity, 'conflicts'>;
	readonly journal: Journal;
};

/** Multicast delivers beacons to all listeners: beacons of other clusters and interfaces are ignored, not rejected. */
const ignoredReasons = /^beacon-/;

export function viewOf(node: ViewedNode): Snapshot {
	const {options, control, data, failureDetection: presence, journal} = node;
	const {config, io, lamport} = options;
	const raft = control.raft.status();
	const quorum = control.quorum();
	return {
		atMs: io.clock.wallMs(),
		version: options.version,
		protocol: control.state.protocol,
		cluster: config.cluster,
		clusterId: node.clusterId,
		self: node.id,
		address: options.address,
		name: control.state.name(node.id),
		uptimeMs: io.clock.monotonicMs() - node.startedMs,
		lamport: lamport.now,
		...(io.keys && {keys: io.keys.view()}),
		phase: node.phase,
		detail: node.waiting.detail,
		insecure: [
			...(config.enableNodeAuth ? [] : ['node authentication']),
			...(config.enableMessageSigning ? [] : ['message signing']),
			...(config.enableEncryption ? [] : ['encryption']),
		],
		raft: {
			role: raft.configuration.voters.includes(node.id) || raft.role === 'leader' ? raft.role : 'learner',
			term: raft.term,
			leader: raft.leader,
			vote: raft.vote,
			votes: raft.votes,
			commit: raft.commit,
			applied: raft.applied,
			lastIndex: raft.lastIndex,
			snapshotIndex: raft.snapshotIndex,
			voters: raft.configuration.voters,
			learners: raft.configuration.learners,
			isPromoting:
				promotion(
					raft.configuration,
					id => id === node.id || presence.reach(id) !== undefined,
					config.raft.votersMax,
				) !== undefined,
			reachableVoters: quorum.reachable,
			quorum: quorum.state,
			hasQuorum: quorum.state === 'held',
			pending: control.proposals.size,
			leaders: journal.leaders(),
		},
		members: membersOf(node),
		topics: topicsOf(node),
		topicSlots: data.table.slots,
		...(io.room?.isFull ? {fullDisk: io.room.problem} : {}),
		partition: presence.view(),
		cuts: presence.cuts(),
		gossip: gossipOf(node),
		counters: countersOf(node),
		feed: journal.feed(),
		events: journal.events(),
		...node.identity.conflicts.snapshot(),
		faults: faultsOf(node),
	};
}

function gossipOf({data, desired, control, id}: ViewedNode): Snapshot['gossip'] {
	const {fanout, duplicates, misses, held, missing, missingOf, inSync} = data.gossip.status();
	return {
		fanout,
		duplicates,
		misses,
		held,
		missing,
		missingOf,
		unsynced: inSync.filter(({synced}) => !synced).length,
		unsubscribed: [...desired.own].filter(topic => !control.state.subscribers(topic).has(id)).length,
	};
}

function membersOf(node: ViewedNode): readonly MemberSnapshot[] {
	const {control, failureDetection: presence, options} = node;
	const {links} = options.io;
	const {
		configuration: {voters},
		progress,
	} = control.raft.status();
	const counted = control.reached();
	const seen = new Map(presence.members().map(member => [member.id, member]));
	return control.state.members().map(({id, address}) => {
		const member = seen.get(id);
		const isSelf = id === node.id;
		const link = links.state(id);
		const spoken = isSelf ? {protocol: options.protocolMax, version: options.version} : links.speaks(id);
		return {
			id,
			address,
			name: control.state.name(id),
			version: spoken?.version ?? '',
			protocol: spoken?.protocol ?? 0,
			state: member?.state ?? 'alive',
			why: member?.why ?? '',
			cause: member?.cause ?? '',
			reached: isSelf || (counted.get(id) ?? member?.reached ?? false),
			via: member?.via,
			voter: voters.includes(id),
			self: isSelf,
			rttMs: isSelf ? 0 : member?.rttMs,
			heardMsAgo: isSelf ? 0 : member?.heardMsAgo,
			downMs: member?.downMs,
			link: isSelf ? 'self' : link.state,
			queuedBytes: isSelf ? 0 : links.queuedBytes(id),
			match: progress.find(peer => peer.id === id)?.match,
			incarnation: isSelf ? node.options.incarnation : (member?.incarnation ?? 0),
		};
	});
}

function topicsOf(node: ViewedNode): readonly TopicSnapshot[] {
	const {control, data} = node;
	const known = new Map<Topic, readonly TopicSnapshot['subscribers'][number][]>();
	for (const {name, subscribers} of control.state.topics()) known.set(name, [...subscribers.keys()].toSorted());
	for (const [name, live] of data.topics) if (!known.has(name) && live.messages > 0) known.set(name, []);
	const held = data.gossip.status().heldByTopic;
	return [...known]
		.toSorted(([a], [b]) => (a < b ? -1 : 1))
		.map(([name, subscribers]) => {
			const live = data.topics.get(name);
			const rates = data.rates.of(name);
			return {
				name,
				durable: false,
				subscribers,
				created: control.state.settings(name) !== undefined,
				settings: control.state.settings(name) ?? {},
				retention: data.retentionOf(name),
				subscribed: subscribers.includes(node.id),
				messages: live?.messages ?? 0,
				bytes: live?.bytes ?? 0,
				missing: live?.missing ?? 0,
				delivered: live?.delivered ?? 0,
				perSecond: rates.stored,
				rates,
				held: held.get(name) ?? 0,
				lastLamport: live?.lastLamport ?? 0,
			};
		});
}

function countersOf(node: ViewedNode): Counters {
	const {
		journal,
		data,
		options: {
			io: {links},
		},
	} = node;
	return {
		published: data.publisher.published,
		delivered: journal.delivered,
		deleted: {...data.deleted},
		rates: data.rates.total,
		receivedBytes: links.stats.receivedBytes,
		sentBytes: links.stats.sentBytes,
		...refusalsOf(journal.rejected, links.refusals),
		bounds: Object.fromEntries(journal.bounds),
		boundsAtMs: Object.fromEntries(journal.boundsAtMs),
		...clientsOf(node),
	};
}

/** The clients that reached limits, and the names that operators gave them. */
function clientsOf({journal, control}: ViewedNode): Pick<Counters, 'boundsBy' | 'clientNames'> {
	const boundsBy = journal.boundsBy.all();
	const clientNames: Record<string, string> = {};
	for (const [client] of Object.values(boundsBy).flat()) {
		const name = control.state.access.nameOf(client.replace(/^identity /, '') as IdentityKey);
		if (name !== '') clientNames[client] = name;
	}

	return {boundsBy, clientNames};
}

/** Counters of rejected input, and of input that was for other nodes. */
export function refusalsOf(...all: ReadonlyArray<ReadonlyMap<string, number>>): Pick<Counters, 'rejected' | 'ignored'> {
	const rejected = new Map<string, number>();
	const ignored = new Map<string, number>();
	for (const [reason, count] of all.flatMap(counts => [...counts])) {
		const counts = ignoredReasons.test(reason) ? ignored : rejected;
		counts.set(reason, (counts.get(reason) ?? 0) + count);
	}

	return {rejected: Object.fromEntries(rejected), ignored: Object.fromEntries(ignored)};
}

/** The active injected faults, for people. */
export function faultsOf(node: ViewedNode): readonly string[] {
	return node.options.io.faults?.active(peer => node.control.state.name(peer) || peer.slice(0, 6)) ?? [];
}
