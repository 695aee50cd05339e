/**
The metrics of a node, in one table: name, help, labels, and the values in a snapshot. Names follow the conventions of
Prometheus. Labels hold names and states, never contents: `topic` has at most `limits.topics` values, `member` at most
`limits.members`, and all others are words of this program. Pure; `../host/metrics.ts` serves it.
*/
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {MemberSnapshot, Snapshot, TopicSnapshot} from '../snapshot.ts';
import {quorumHealthOf} from './quorum-health.ts';
import {labelsOf} from './node-label.ts';

/** What a metric is read from. */
export type Measured = {
	readonly snapshot: Snapshot;
	readonly counts: EventCounts;
	/** Topics with values of their own; `limits.topics`. */
	readonly topicsMax: number;
	/** Connections of scrapers that were refused. */
	readonly refused: number;
};
export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [value: number, labels?: Labels];
export type Metric = {
	readonly name: string;
	readonly help: string;
	readonly type: 'gauge' | 'counter';
	readonly labels?: readonly string[];
	readonly read: (measured: Measured) => readonly Sample[];
};

const counter = (name: string, help: string, read: (measured: Measured) => number): Metric => ({
	name,
	help,
	type: 'counter',
	read: measured => [[read(measured)]],
});
const gauge = (name: string, help: string, read: (measured: Measured) => number | undefined): Metric => ({
	name,
	help,
	type: 'gauge',
	read(measured) {
		const value = read(measured);
		return value === undefined ? [] : [[value]];
	},
});
/** A gauge for each state: 1 for the present one. */
const states = (
	name: string,
	help: string,
	label: string,
	all: readonly string[],
	read: (s: Snapshot) => string,
): Metric => ({
	name,
	help,
	type: 'gauge',
	labels: [label],
	read: ({snapshot}) => all.map(state => [Number(read(snapshot) === state), {[label]: state}]),
});
const byTopic = (name: string, help: string, type: Metric['type'], read: (topic: TopicSnapshot) => number): Metric => ({
	name,
	help,
	type,
	labels: ['topic'],
	read: ({snapshot, topicsMax}) =>
		snapshot.topics.slice(0, topicsMax).map(topic => [read(topic), {topic: topic.name}]),
});
const byMember = (name: string, help: string, read: (member: MemberSnapshot) => number | undefined): Metric => ({
	name,
	help,
	type: 'gauge',
	labels: ['member'],
	read({snapshot}) {
		const label = labelsOf(snapshot.members);
		return snapshot.members
			.filter(({self}) => !self)
			.flatMap((member): readonly Sample[] => {
				const value = read(member);
				return value === undefined ? [] : [[value, {member: label(member.id)}]];
			});
	},
});
const byReason = (
	name: string,
	help: string,
	label: string,
	read: (measured: Measured) => Readonly<Record<string, number>>,
): Metric => ({
	name,
	help,
	type: 'counter',
	labels: [label],
	read: measured => Object.entries(read(measured)).map(([reason, count]) => [count, {[label]: reason}]),
});

const phases: readonly Snapshot['phase'][] = ['starting', 'joining', 'running', 'stopping'];
const roles: readonly Snapshot['raft']['role'][] = ['leader', 'follower', 'candidate', 'pre-candidate', 'learner'];
const quorums: readonly Snapshot['raft']['quorum'][] = ['held', 'electing', 'lost'];
const partitions: readonly Snapshot['partition']['state'][] = ['whole', 'partitioned', 'repairing'];
const memberStates: readonly MemberSnapshot['state'][] = [
	'alive',
	'degraded',
	'suspect',
	'unreachable',
	'down',
	'left',
];

const nodeMetrics: readonly Metric[] = [
	{
		name: 'dapss_node_info',
		help: 'The node, its cluster and its program; always 1.',
		type: 'gauge',
		labels: ['cluster', 'node', 'id', 'version', 'protocol'],
		read: ({snapshot: {cluster, name, self, version, protocol}}) => [
			[1, {cluster, node: name, id: self, version, protocol: String(protocol)}],
		],
	},
	gauge('dapss_uptime_seconds', 'Time since the start of the node.', ({snapshot}) => snapshot.uptimeMs / 1000),
	states('dapss_phase', 'Phase of the node: 1 for the present one.', 'phase', phases, ({phase}) => phase),
	gauge('dapss_lamport_time', 'Logical time of the node.', ({snapshot}) => snapshot.lamport),
	gauge('dapss_faults', 'Faults that are injected into this node.', ({snapshot}) => snapshot.faults.length),
	gauge('dapss_disk_full', '1 while the disk is full and no messages are stored.', ({snapshot}) =>
		Number(snapshot.fullDisk !== undefined),
	),
];

const raftMetrics: readonly Metric[] = [
	states('dapss_raft_role', 'Role of the node: 1 for the present one.', 'role', roles, ({raft}) => raft.role),
	gauge('dapss_raft_term', 'Term of Raft.', ({snapshot}) => snapshot.raft.term),
	gauge('dapss_raft_has_leader', '1 while the node knows a leader.', ({snapshot}) =>
		Number(snapshot.raft.leader !== undefined),
	),
	counter(
		'dapss_raft_leader_changes_total',
		'Leaders that followed another one, as this node saw it.',
		({counts}) => counts.leaderChanges,
	),
	states(
		'dapss_raft_quorum',
		'State of the quorum: 1 for the present one.',
		'state',
		quorums,
		({raft}) => raft.quorum,
	),
	gauge('dapss_raft_voters', 'Voters of the cluster.', ({snapshot}) => snapshot.raft.voters.length),
	gauge(
		'dapss_raft_reachable_voters',
		'Voters that this node reaches, itself included.',
		({snapshot}) => snapshot.raft.reachableVoters,
	),
	gauge('dapss_raft_spare_voters', 'Voters that may still fail; negative without a quorum.', ({snapshot}) =>
		snapshot.raft.voters.length === 0 ? undefined : quorumHealthOf(snapshot).spare,
	),
	gauge('dapss_raft_commit_index', 'Index up to which the log is committed.', ({snapshot}) => snapshot.raft.commit),
	gauge('dapss_raft_applied_index', 'Index up to which the log is applied.', ({snapshot}) => snapshot.raft.applied),
	gauge('dapss_raft_last_index', 'Last index of the log.', ({snapshot}) => snapshot.raft.lastIndex),
	gauge(
		'dapss_raft_pending_proposals',
		'Proposals that wait for their commit.',
		({snapshot}) => snapshot.raft.pending,
	),
];

const memberMetrics: readonly Metric[] = [
	{
		name: 'dapss_members',
		help: 'Members of the cluster by state, this node included.',
		type: 'gauge',
		labels: ['state'],
		read: ({snapshot}) =>
			memberStates.map(state => [snapshot.members.filter(member => member.state === state).length, {state}]),
	},
	byMember('dapss_member_up', '1 while the member is alive, as this node sees it.', ({state}) =>
		Number(state === 'alive'),
	),
	byMember('dapss_member_round_trip_seconds', 'Measured round trip to the member.', ({rttMs}) =>
		rttMs === undefined ? undefined : rttMs / 1000,
	),
	byMember('dapss_member_queued_bytes', 'Bytes that wait to be sent to the member.', ({queuedBytes}) => queuedBytes),
];

const partitionMetrics: readonly Metric[] = [
	states(
		'dapss_partition_state',
		'State of the cluster: 1 for the present one.',
		'state',
		partitions,
		({partition}) => partition.state,
	),
	counter('dapss_partitions_total', 'Partitions that this node detected.', ({counts}) => counts.partitions),
	gauge(
		'dapss_partition_sides',
		'Groups of members that do not hear each other; 1 without a partition.',
		({snapshot}) => snapshot.partition.sides.length,
	),
	gauge(
		'dapss_partition_waiting_messages',
		'Own messages that members on the far side have not received.',
		({snapshot}) => snapshot.partition.waiting,
	),
];

const messageMetrics: readonly Metric[] = [
	counter(
		'dapss_messages_published_total',
		'Messages published at this node.',
		({snapshot}) => snapshot.counters.published,
	),
	counter(
		'dapss_messages_delivered_total',
		'Messages delivered at this node.',
		({snapshot}) => snapshot.counters.delivered,
	),
	gauge(
		'dapss_stored_messages_per_second',
		'Messages stored here per second, over the last five seconds.',
		({snapshot}) => snapshot.counters.rates?.stored,
	),
	gauge(
		'dapss_stored_bytes_per_second',
		'Bytes of messages stored here per second, over the last five seconds.',
		({snapshot}) => snapshot.counters.rates?.bytes,
	),
	byReason(
		'dapss_messages_deleted_total',
		'Messages that retention or the deletion of a topic removed, by reason.',
		'reason',
		({snapshot}) => {
			const {age = 0, size = 0, disk = 0, topic = 0} = snapshot.counters.deleted ?? {};
			return {age, size, disk, topic};
		},
	),
	counter(
		'dapss_messages_deleted_unread_total',
		'Messages that were removed before a reader of this node had read them.',
		({snapshot}) => snapshot.counters.deleted?.unread ?? 0,
	),
	counter(
		'dapss_messages_missed_total',
		'Messages that this node will not get, because no node has them any more.',
		({counts}) => counts.missed,
	),
	gauge(
		'dapss_gossip_missing_messages',
		'Messages that other nodes have and that are not here yet.',
		({snapshot}) => snapshot.gossip.missing,
	),
	gauge(
		'dapss_gossip_unsynced_peers',
		'Peers whose messages were not all pulled since they appeared.',
		({snapshot}) => snapshot.gossip.unsynced,
	),
	gauge(
		'dapss_gossip_held_batches',
		'Batches that wait for an earlier one of their origin.',
		({snapshot}) => snapshot.gossip.held,
	),
	gauge('dapss_gossip_fanout', 'Copies of a batch that this node pushes.', ({snapshot}) => snapshot.gossip.fanout),
	gauge(
		'dapss_gossip_duplicate_ratio',
		'Share of duplicates among received batches.',
		({snapshot}) => snapshot.gossip.duplicates,
	),
	gauge(
		'dapss_gossip_pulled_ratio',
		'Share of pulled batches among new ones.',
		({snapshot}) => snapshot.gossip.misses,
	),
];

const topicMetrics: readonly Metric[] = [
	gauge('dapss_topics', 'Topics that this node knows.', ({snapshot}) => snapshot.topics.length),
	gauge('dapss_topics_limit', 'Topics that this node counts at most (limits.topics).', ({topicsMax}) => topicsMax),
	gauge('dapss_topics_omitted', 'Topics beyond limits.topics, which have no values of their own here.', measured =>
		Math.max(0, measured.snapshot.topics.length - measured.topicsMax),
	),
	byTopic(
		'dapss_topic_stored_messages',
		'Messages of the topic that are kept here.',
		'gauge',
		({messages}) => messages,
	),
	byTopic('dapss_topic_stored_bytes', 'Bytes of the topic that are kept here.', 'gauge', ({bytes}) => bytes),
	byTopic(
		'dapss_topic_delivered_total',
		'Messages of the topic delivered here.',
		'counter',
		({delivered}) => delivered,
	),
	byTopic(
		'dapss_topic_lost_messages',
		'Messages of the topic that the disk lost and no node returned.',
		'gauge',
		({missing}) => missing,
	),
	byTopic(
		'dapss_topic_held_batches',
		'Batches of the topic that wait for an earlier one.',
		'gauge',
		({held}) => held,
	),
	byTopic(
		'dapss_topic_subscribers',
		'Nodes that subscribe to the topic.',
		'gauge',
		({subscribers}) => subscribers.length,
	),
];

const linkMetrics: readonly Metric[] = [
	counter(
		'dapss_links_received_bytes_total',
		'Bytes received over links.',
		({snapshot}) => snapshot.counters.receivedBytes,
	),
	counter('dapss_links_sent_bytes_total', 'Bytes sent over links.', ({snapshot}) => snapshot.counters.sentBytes),
	gauge('dapss_links_queued_bytes', 'Bytes that wait to be sent to all members.', ({snapshot}) =>
		snapshot.members.reduce((sum, {queuedBytes}) => sum + queuedBytes, 0),
	),
	byReason(
		'dapss_rejected_total',
		'Frames and batches that were rejected, by reason.',
		'reason',
		({snapshot}) => snapshot.counters.rejected,
	),
	byReason(
		'dapss_bounds_reached_total',
		'How often each limit was reached.',
		'bound',
		({snapshot}) => snapshot.counters.bounds,
	),
	counter('dapss_metrics_refused_total', 'Connections for metrics beyond the limit.', ({refused}) => refused),
];

/** All metrics that are read from a snapshot. */
export const metrics: readonly Metric[] = [
	...nodeMetrics,
	...raftMetrics,
	...memberMetrics,
	...partitionMetrics,
	...messageMetrics,
	...topicMetrics,
	...linkMetrics,
];

/** The histogram of the time of an fsync, which has no place in a snapshot. */
export const fsyncMetric = {
	name: 'dapss_fsync_seconds',
	help: 'Time of an fsync of a log.',
	buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
} as const;

/** Counts of events: what changed between two snapshots is not in either of them. */
export class EventCounts {
	leaderChanges = 0;
	partitions = 0;
	missed = 0;
	#leader: NodeId | undefined;

	add(event: BrokerEvent): void {
		if (event.type === 'leader' && event.leader !== undefined) {
			if (this.#leader !== undefined && this.#leader !== event.leader) this.leaderChanges++;
			this.#leader = event.leader;
		} else if (event.type === 'partition' && event.state === 'detected') this.partitions++;
		else if (event.type === 'missed') this.missed += event.messages;
	}
}
