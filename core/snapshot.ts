/**
The node as it stands, in one immutable value: what every pane and every status command draws. Plain data (strings,
numbers, arrays), so that it crosses a MessagePort or a TLS link as it is. Ids are sorted; text is raw and must pass
`printable()` before a terminal sees it.
*/
import type {MemberState, QuorumState, RecordedEvent} from './events.ts';
import type {NodeId, Topic} from './message.ts';
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
	/** The same as one word: `tcp`, `udp`, `cut`, `not-authenticated`, `protocol`, `behind`, … */
	readonly cause: string;
	readonly voter: boolean;
	readonly self: boolean;
	/** Measured round trip, milliseconds; `undefined` before the first measurement. */
	readonly rttMs: number | undefined;
	/** Since a packet came from it directly, milliseconds; 0 for self. */
	readonly heardMsAgo: number | undefined;
	/** Since this node found it not alive, milliseconds; `undefined` while it is. */
	readonly downMs: number | undefined;
	readonly link: 'up' | 'connecting' | 'down' | 'self';
	/** Bytes waiting to leave for it. */
	readonly queuedBytes: number;
	/** Leader only: how far the peer's log matches ours. */
	readonly match: number | undefined;
	readonly incarnation: number;
	/**
	This node reaches it over a link that works, its own or that of the member `via`. Voters that are reached count for
	the quorum.
	*/
	readonly reached: boolean;
	readonly via: NodeId | undefined;
	/** Version of its program, and of the protocol that the link speaks; empty and 0 while there was no link. */
	readonly version: string;
	readonly protocol: number;
};

/**
Two members that do not reach each other, by the word of either. `what`: by TCP, by UDP, or not at all. `via`: the
member that serves one to the other.
*/
export type CutSnapshot = {
	readonly between: readonly [NodeId, NodeId];
	readonly what: 'tcp' | 'udp' | 'all';
	readonly forMs: number;
	readonly via: NodeId | undefined;
	/** The member that is cut off from more others, or both. */
	readonly blamed: readonly NodeId[];
};

export type TopicSnapshot = {
	readonly name: Topic;
	readonly durable: boolean;
	/** It was created, and stays without subscribers; absent from an older node. */
	readonly created?: boolean;
	/**
	What this node keeps of it, by its own settings (`settings`) or by the configuration of the node; absent from an
	older node.
	*/
	readonly retention?: {readonly retainAgeS: number; readonly retainBytes: number};
	/** As agreed; what is not named is as each node is configured. */
	readonly settings?: TopicSettings;
	readonly subscribers: readonly NodeId[];
	/** This node is subscribed. */
	readonly subscribed: boolean;
	/** Retained here. */
	readonly messages: number;
	readonly bytes: number;
	/** Lost here to damage and not back from peers. */
	readonly missing: number;
	/** Delivered here since the start. */
	readonly delivered: number;
	/** Messages a second that are stored here, published or received, over the last five. */
	readonly perSecond: number;
	/** Each a second; absent from an older node. */
	readonly rates?: Counts;
	/** Waiting for an earlier message of their origin. */
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
	/** Copies made on the way from its origin: 0 published here, 1 pushed by its origin, … */
	readonly hops: number;
	/** Came through repair, not push. */
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
	/**
	Voters that this node reaches, itself included, directly or through another member; of a leader, those that Raft
	heard within an election timeout.
	*/
	readonly reachableVoters: number;
	readonly quorum: QuorumState;
	/** `quorum` is `held`. */
	readonly hasQuorum: boolean;
	/** Proposals waiting to commit. */
	readonly pending: number;
};

export type PartitionSnapshot = {
	readonly state: 'whole' | 'partitioned' | 'repairing';
	readonly sides: ReadonlyArray<readonly NodeId[]>;
	/** Index into `sides` of the side that is known to have the quorum; -1 for none. */
	readonly quorum: number;
	/**
	Somebody of the other sides is heard. Else it is not known whether they run. Missing from a node of an older
	version.
	*/
	readonly isFarHeard?: boolean;
	/** Milliseconds in this state. */
	readonly sinceMs: number;
	/** How long the last detection, cut and repair took; `undefined` before the first. */
	readonly detectedMs: number | undefined;
	readonly healedMs: number | undefined;
	readonly repairedMs: number | undefined;
	/** Messages repaired since the last heal. */
	readonly backlog: number;
	/** Own messages that members on the far side have not got yet. */
	readonly waiting: number;
	/**
	Row hears column directly: `sees[i][j]` of `order[i]`, `order[j]`; undefined when the row's node has not been heard
	from lately.
	*/
	readonly order: readonly NodeId[];
	readonly sees: ReadonlyArray<ReadonlyArray<boolean | undefined>>;
};

export type GossipSnapshot = {
	readonly fanout: number;
	/**
	Share of received batches that were duplicates, and that came by repair instead of push: 0 to 1, over the last
	seconds.
	*/
	readonly duplicates: number;
	readonly misses: number;
	readonly held: number;
};

export type Counters = {
	readonly published: number;
	readonly delivered: number;
	/**
	Messages that retention deleted, by reason, and how many of them nobody had read here; absent from an older node.
	*/
	readonly deleted?: {
		readonly age: number;
		readonly size: number;
		readonly disk: number;
		readonly topic?: number;
		readonly unread: number;
	};
	/** Of all topics, each a second over the last five; absent from an older node. */
	readonly rates?: Counts;
	readonly receivedBytes: number;
	readonly sentBytes: number;
	/** Refused frames and batches by reason. */
	readonly rejected: Readonly<Record<string, number>>;
	/** Frames of others on a shared multicast group that are none of this node's business, by reason. */
	readonly ignored: Readonly<Record<string, number>>;
	/** Bounds that were hit, by name: `out-queue`, `topics`, `open-files`, … */
	readonly bounds: Readonly<Record<string, number>>;
	/** When each was hit last, by the wall clock of the node; absent from an older node. */
	readonly boundsAtMs?: Readonly<Record<string, number>>;
};

export type Snapshot = {
	/** Wall clock of the node when this was taken. Ages are counted from here, so that no pane reads a clock. */
	readonly atMs: number;
	readonly version: string;
	/** Version of the protocol that the cluster agreed to use; 1 until all members speak a later one. */
	readonly protocol: number;
	readonly cluster: string;
	readonly clusterId: string;
	readonly self: NodeId;
	readonly address: string;
	/** Name of this node; empty before it is agreed. */
	readonly name: string;
	readonly uptimeMs: number;
	readonly lamport: number;
	/** `joining` until the cluster took this node in; `detail` says what it waits for. */
	readonly phase: 'starting' | 'joining' | 'running' | 'stopping';
	readonly detail: string;
	/** Security that is switched off by configuration; empty when all is on. A permanent red banner otherwise. */
	readonly insecure: readonly string[];
	readonly raft: RaftSnapshot;
	readonly members: readonly MemberSnapshot[];
	readonly topics: readonly TopicSnapshot[];
	/**
	Topics that count against `limits.topics` on this node, those of the agreement included; absent from an older node.
	*/
	readonly topicSlots?: {readonly used: number; readonly max: number};
	readonly partition: PartitionSnapshot;
	readonly cuts: readonly CutSnapshot[];
	readonly gossip: GossipSnapshot;
	readonly counters: Counters;
	/** The newest messages delivered here, oldest first, a bounded sample: `counters.delivered` is the true number. */
	readonly feed: readonly MessageSnapshot[];
	/** The newest events other than messages, oldest first. */
	readonly events: readonly RecordedEvent[];
	/** Other clusters of this name that were heard lately. While there is one, this cluster is not healthy. */
	readonly foreign: ReadonlyArray<{
		readonly clusterId: string;
		readonly address: string;
		readonly heardMsAgo: number;
	}>;
	/** Second processes that used the identity of a member lately, and were refused. */
	readonly duplicates: ReadonlyArray<{
		readonly id: NodeId;
		readonly address: string;
		readonly other: string;
		readonly msAgo: number;
	}>;
	/** Active fault injection, for people; empty when none. */
	readonly faults: readonly string[];
};

export type Counts = {
	/** Messages that were published here. */
	readonly published: number;
	/** Messages that were delivered here: to who reads through this node, or subscribed it. */
	readonly delivered: number;
	/** Messages that were stored here: published, or received from others. */
	readonly stored: number;
	/** Of what was stored. */
	readonly bytes: number;
};
