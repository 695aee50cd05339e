/**
The state of a node in one immutable value, which every pane and every status command draws. It is plain data (strings,
numbers, arrays), so it crosses a MessagePort or a TLS link unchanged. Ids are sorted. Text is raw and must pass
`printable()` before a terminal sees it.
*/
import type {KeyId, KeyUse} from './cluster-keys.ts';
import type {MemberState, QuorumState, RecordedEvent, RecordedLeader} from './events.ts';
import type {NodeId, Topic} from './message.ts';
import type {WrongKey} from './cluster-keys.ts';
import type {TopicSettings} from './topic-settings.ts';

export type MemberSnapshot = {
	readonly id: NodeId;
	/** Agreed and unique; empty before it is agreed. */
	readonly name: string;
	/** host:port */
	readonly address: string;
	readonly state: MemberState;
	/** Why it is not alive, for people: `connection refused`, `no answer`, `TCP blocked: …`, … Empty when alive. */
	readonly why: string;
	/** The reason as a keyword: `tcp`, `udp`, `cut`, `disk-full`, `not-authenticated`, `protocol`, `behind`, … */
	readonly cause: string;
	readonly voter: boolean;
	readonly self: boolean;
	/** Measured round trip, milliseconds; `undefined` before the first measurement. */
	readonly rttMs: number | undefined;
	/** Milliseconds since a packet arrived directly from it; 0 for self. */
	readonly heardMsAgo: number | undefined;
	/** Milliseconds since this node found it not alive; `undefined` while it is alive. */
	readonly downMs: number | undefined;
	readonly link: 'up' | 'connecting' | 'down' | 'self';
	/** Bytes in the send queue to it. */
	readonly queuedBytes: number;
	/** Leader only: index up to which the peer's log matches. */
	readonly match: number | undefined;
	readonly incarnation: number;
	/**
	Whether this node reaches it over a working link, its own or one through the member `via`. Only reached voters count
	for the quorum.
	*/
	readonly reached: boolean;
	readonly via: NodeId | undefined;
	/** Version of its program, and of the protocol on the link; empty and 0 before the first link. */
	readonly version: string;
	readonly protocol: number;
};

/**
Two members that do not reach each other, as either reports it. `what`: over TCP, over UDP, or at all. `via`: the member
that relays between them.
*/
export type CutSnapshot = {
	readonly between: readonly [NodeId, NodeId];
	readonly what: 'tcp' | 'udp' | 'all';
	readonly forMs: number;
	readonly via: NodeId | undefined;
	/** The member that is cut off from more others; both when equal. */
	readonly blamed: readonly NodeId[];
};

export type TopicSnapshot = {
	readonly name: Topic;
	readonly durable: boolean;
	/** Created explicitly, so it stays without subscribers; absent from an older node. */
	readonly created?: boolean;
	/** Effective retention on this node, from `settings` or its configuration; absent from an older node. */
	readonly retention?: {readonly retainAgeS: number; readonly retainBytes: number};
	/** Agreed settings. Values that are not set follow the configuration of each node. */
	readonly settings?: TopicSettings;
	readonly subscribers: readonly NodeId[];
	/** Whether this node is subscribed. */
	readonly subscribed: boolean;
	/** Retained on this node. */
	readonly messages: number;
	readonly bytes: number;
	/** Messages lost here to damage that no peer has returned. */
	readonly missing: number;
	/** Delivered here since the start. */
	readonly delivered: number;
	/** Messages stored here per second, published or received, over the last five seconds. */
	readonly perSecond: number;
	/** Counts per second; absent from an older node. */
	readonly rates?: Counts;
	/** Batches that wait for an earlier one of their origin. */
	readonly held: number;
	readonly lastLamport: number;
};

export type MessageSnapshot = {
	readonly topic: Topic;
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly seq: number;
	readonly lamport: number;
	readonly sentAtMs: number;
	/** Size of the whole body in bytes. */
	readonly size: number;
	/** The first bytes of the body, at most `console.previewBytes`. */
	readonly preview: Uint8Array;
	/** Transmissions from its origin to here: 0 published here, 1 pushed by its origin, … */
	readonly hops: number;
	/** Arrived by repair, not by push. */
	readonly repaired: boolean;
};

export type RaftSnapshot = {
	readonly role: 'leader' | 'follower' | 'candidate' | 'pre-candidate' | 'learner';
	readonly term: number;
	readonly leader: NodeId | undefined;
	readonly vote: NodeId | undefined;
	/** Votes granted to this node in the current campaign; empty when none runs. */
	readonly votes: readonly NodeId[];
	readonly commit: number;
	readonly applied: number;
	readonly lastIndex: number;
	readonly snapshotIndex: number;
	readonly voters: readonly NodeId[];
	readonly learners: readonly NodeId[];
	/** A reachable learner is to become a voter; absent from an older node. */
	readonly isPromoting?: boolean;
	/**
	Voters that this node reaches, itself included, directly or through another member. On a leader: those that Raft
	heard within an election timeout.
	*/
	readonly reachableVoters: number;
	readonly quorum: QuorumState;
	/** Whether `quorum` is `held`. */
	readonly hasQuorum: boolean;
	/** Proposals that wait for their commit. */
	readonly pending: number;
	/** The last changes of the leader since the start of the node, oldest first; absent from an older node. */
	readonly leaders?: readonly RecordedLeader[];
};

export type PartitionSnapshot = {
	readonly state: 'whole' | 'partitioned' | 'repairing';
	readonly sides: ReadonlyArray<readonly NodeId[]>;
	/** Index into `sides` of the side that is known to have the quorum; -1 for none. */
	readonly quorum: number;
	/** A node of another side is heard. If not, it is unknown whether those nodes run. Absent from an older node. */
	readonly isFarHeard?: boolean;
	/** Milliseconds in this state. */
	readonly sinceMs: number;
	/** Duration of the last detection, cut and repair; `undefined` before the first. */
	readonly detectedMs: number | undefined;
	readonly healedMs: number | undefined;
	readonly repairedMs: number | undefined;
	/** Messages repaired since the last heal. */
	readonly backlog: number;
	/** Own messages that members on the far side have not received yet. */
	readonly waiting: number;
	/** The same for each member of the far side; absent from an older node. */
	readonly waitingFor?: ReadonlyArray<{readonly id: NodeId; readonly messages: number}>;
	/** `sees[i][j]`: whether `order[i]` hears `order[j]` directly; `undefined` without a fresh report of `order[i]`. */
	readonly order: readonly NodeId[];
	readonly sees: ReadonlyArray<ReadonlyArray<boolean | undefined>>;
};

export type GossipSnapshot = {
	readonly fanout: number;
	/** Shares over the last seconds, 0 to 1: duplicates among received batches, and pulled batches among new ones. */
	readonly duplicates: number;
	readonly misses: number;
	readonly held: number;
	/** Wanted messages that other nodes are known to have, and that are not here; absent from an older node. */
	readonly missing?: number;
	/** The origins of `missing`, the most first; absent from an older node. */
	readonly missingOf?: ReadonlyArray<{readonly origin: NodeId; readonly messages: number}>;
	/** Reachable peers whose messages were not all pulled since the peer appeared; absent from an older node. */
	readonly unsynced?: number;
	/** Own topics to which the subscription is not agreed yet; absent from an older node. */
	readonly unsubscribed?: number;
};

export type Counters = {
	readonly published: number;
	readonly delivered: number;
	/**
	Messages that retention deleted, by reason, and those of them that no reader here had read; absent from an older
	node.
	*/
	readonly deleted?: {
		readonly age: number;
		readonly size: number;
		readonly disk: number;
		readonly topic?: number;
		readonly unread: number;
	};
	/** Of all topics, per second over the last five; absent from an older node. */
	readonly rates?: Counts;
	readonly receivedBytes: number;
	readonly sentBytes: number;
	/** Refused frames and batches by reason. */
	readonly rejected: Readonly<Record<string, number>>;
	/** Frames of other clusters on a shared multicast group, by reason. */
	readonly ignored: Readonly<Record<string, number>>;
	/** How often each bound was hit, by name: `out-queue`, `topics`, `open-files`, … */
	readonly bounds: Readonly<Record<string, number>>;
	/** When each bound was last hit, by the wall clock of the node; absent from an older node. */
	readonly boundsAtMs?: Readonly<Record<string, number>>;
	/**
	Clients that hit each bound, with their counts, the highest first; an empty name stands for all others. Absent from
	an older node.
	*/
	readonly boundsBy?: Readonly<Record<string, ReadonlyArray<readonly [name: string, count: number]>>>;
	/** The names that operators gave the identities of these clients, by client; absent from an older node. */
	readonly clientNames?: Readonly<Record<string, string>>;
};

/** What a process knows and uses of the cluster's keys. */
export type KeysSnapshot = {
	/** The one that it calls and seals with. */
	readonly active: KeyId;
	/** Those that it accepts. */
	readonly valid: readonly KeyId[];
	/** `outdated`: a restart and the commands of the user would use a former key. `none`: a program gave the secret. */
	readonly file: KeyUse['file'];
	/** The path of that file; empty without one. */
	readonly secretFile: string;
	/** Keys of callers that were refused in the last ten minutes. */
	readonly wrong: readonly WrongKey[];
};

/** The state of a node, and of the cluster as this node observes it, at one moment. Times are milliseconds. */
export type Snapshot = {
	/** Wall clock of the node when the snapshot was taken. Ages are relative to it, so that no pane reads a clock. */
	readonly atMs: number;
	readonly version: string;
	/** Agreed version of the protocol; 1 until all members support a later one. */
	readonly protocol: number;
	readonly cluster: string;
	readonly clusterId: string;
	readonly self: NodeId;
	readonly address: string;
	/** Name of this node; empty before it is agreed. */
	readonly name: string;
	readonly uptimeMs: number;
	readonly lamport: number;
	/** The keys of the cluster in this process; absent from an older node. */
	readonly keys?: KeysSnapshot;
	/** `joining` until the cluster has admitted this node; `detail` says what it waits for. */
	readonly phase: 'starting' | 'joining' | 'running' | 'stopping';
	readonly detail: string;
	/** Security features that are switched off; empty when all are on. Shown as a permanent red banner. */
	readonly insecure: readonly string[];
	readonly raft: RaftSnapshot;
	readonly members: readonly MemberSnapshot[];
	readonly topics: readonly TopicSnapshot[];
	/** Topics that count against `limits.topics` on this node, agreed ones included; absent from an older node. */
	readonly topicSlots?: {readonly used: number; readonly max: number};
	/** Set while the disk is full and no messages are stored: the reason. */
	readonly fullDisk?: string;
	readonly partition: PartitionSnapshot;
	readonly cuts: readonly CutSnapshot[];
	readonly gossip: GossipSnapshot;
	readonly counters: Counters;
	/** The newest messages delivered here, oldest first; a bounded sample of `counters.delivered`. */
	readonly feed: readonly MessageSnapshot[];
	/** The newest events other than messages, oldest first. */
	readonly events: readonly RecordedEvent[];
	/** Other clusters of this name that were heard recently. While there are any, this cluster is not healthy. */
	readonly foreign: ReadonlyArray<{
		readonly clusterId: string;
		readonly address: string;
		readonly heardMsAgo: number;
	}>;
	/** Processes that recently used the identity of a member a second time, and were refused. */
	readonly duplicates: ReadonlyArray<{
		readonly id: NodeId;
		readonly address: string;
		readonly other: string;
		readonly msAgo: number;
	}>;
	/** Active faults, for people; empty when none. */
	readonly faults: readonly string[];
};

export type Counts = {
	/** Messages published here. */
	readonly published: number;
	/** Messages delivered here, to readers of this node or to its own subscription. */
	readonly delivered: number;
	/** Messages stored here, published or received. */
	readonly stored: number;
	/** Bytes of the stored messages. */
	readonly bytes: number;
};
