/**
The events of a node, as values. The console, `--headless -o jsonl`, `events`, recordings and metrics are all folds over
this one stream. `at` is the wall clock in milliseconds, added when an event is recorded.
*/
import type {IdentityKey, Role} from './access.ts';
import type {KeyId} from './cluster-keys.ts';
import type {Message, NodeId, Topic} from './message.ts';
import type {TopicPosition} from './position.ts';

/**
`alive`: usable. `degraded`: answers, but not everything works; the reason says what. `suspect`: missed the last answer.
`unreachable`: no answer. `down`: its machine refuses connections, so no process runs there. `left`: it announced that
it stops.
*/
export type MemberState = 'alive' | 'degraded' | 'suspect' | 'unreachable' | 'down' | 'left';
/**
`held`: there is a leader, and a majority of the voters is reachable. `electing`: a majority, but no leader. `lost`: no
majority.
*/
export type QuorumState = 'held' | 'electing' | 'lost';
/**
Why the leader changed, as this node observed it. `silent`: the former leader was not heard for `silentMs`. `crashed`:
its link closed and its machine refuses connections. `transferred`: it handed the leadership over. `quorum-lost`: it
stepped down without a majority. `newer-term`: another term began. `started`: this node has just started, or the cluster
has just been founded.
*/
export type LeaderCause = 'silent' | 'crashed' | 'transferred' | 'quorum-lost' | 'newer-term' | 'removed' | 'started';
/** Why a frame from the network was refused. */
export type Rejection =
	| 'malformed'
	| 'bad-signature'
	| 'unsigned'
	| 'wrong-origin'
	| 'unknown-origin'
	| 'lamport-jump'
	| 'too-large'
	| 'not-authenticated'
	| 'over-limit';

/**
`ended`: no member of the other sides came back; each of them is known to be down, was stopped or was removed. No
`repaired` follows.
*/
export type PartitionEvent = {
	readonly type: 'partition';
	readonly state: 'detected' | 'healed' | 'repaired' | 'ended';
	/** Node ids per side, this node's side first. */
	readonly sides: ReadonlyArray<readonly NodeId[]>;
	/** Index into `sides` of the side that is known to hold a majority of voters; -1 for none. */
	readonly quorum: number;
	/** A node of another side is heard. If not, it is unknown whether those nodes run. Absent from an older node. */
	readonly isFarHeard?: boolean;
	/** healed, ended: members of the other sides that did not come back. Absent without one. */
	readonly gone?: readonly NodeId[];
	/** detected: since the far side was last heard. healed, ended: since the detection. repaired: since the heal. */
	readonly tookMs: number;
	/** repaired: messages that were missing here and arrived since the heal. */
	readonly messages?: number;
};

/** An event of a node. Times and durations are milliseconds. */
export type BrokerEvent =
	| {readonly type: 'ready'; readonly id: NodeId; readonly port: number; readonly cluster: string}
	/**
	`silentMs`: how long `previous` had not been heard when this node gave it up, if known. `withoutLeaderMs`: from the
	start of that silence until this node knew the new leader.
	*/
	| {
			readonly type: 'leader';
			readonly term: number;
			readonly leader: NodeId | undefined;
			readonly previous?: NodeId | undefined;
			readonly cause?: LeaderCause;
			readonly silentMs?: number;
			readonly withoutLeaderMs?: number;
	  }
	/**
	The leader `from` hands over, on request of an operator at node `by`, or because it stops (`by` is `from`). Reported
	by the leader only.
	*/
	| {readonly type: 'transfer'; readonly from: NodeId; readonly to: NodeId; readonly by: NodeId}
	/** This process did not run for an election timeout or longer: it was stopped, or its event loop was blocked. */
	| {readonly type: 'paused'; readonly forMs: number}
	/** A connection was refused, by this node or by the peer. */
	| {
			readonly type: 'refused';
			readonly id: NodeId | undefined;
			readonly address: string;
			readonly code: string;
			readonly reason: string;
			readonly by: 'us' | 'peer';
	  }
	/** Two processes use the identity of one node: the one at `address` keeps it, the one at `other` is refused. */
	| {readonly type: 'duplicate'; readonly id: NodeId; readonly address: string; readonly other: string}
	/**
	This node is a member: the cluster admitted it, it founded a cluster, or it returned. `ready` only means that it
	listens.
	*/
	| {readonly type: 'admitted'; readonly id: NodeId; readonly clusterId: string}
	/** What this node waits for before it is a member, or before it serves. */
	| {readonly type: 'waiting'; readonly for: string}
	/** `was`: the previous name, if any. */
	| {readonly type: 'named'; readonly id: NodeId; readonly name: string; readonly was?: string}
	/** All members support this version of the protocol, and the cluster uses it from now on. */
	| {readonly type: 'protocol'; readonly protocol: number}
	| {
			readonly type: 'quorum';
			readonly held: boolean;
			readonly state?: QuorumState;
			readonly reachable: number;
			readonly voters: number;
	  }
	| {
			readonly type: 'member';
			readonly id: NodeId;
			readonly address: string;
			readonly state: MemberState;
			readonly why?: string;
	  }
	| {readonly type: 'voters'; readonly voters: readonly NodeId[]}
	| {readonly type: 'subscribed' | 'unsubscribed'; readonly topic: Topic; readonly node: NodeId}
	/**
	The cluster agreed, at the request of `node`, that the topic exists with these settings, or that it is deleted.
	*/
	| {
			readonly type: 'topic';
			readonly topic: Topic;
			readonly state: 'created' | 'deleted';
			readonly node: NodeId;
			readonly retainAgeS?: number;
			readonly retainBytes?: number;
	  }
	/** The cluster agreed on a change of access. `by`: the operator's identity; `node`: where it was asked. */
	| {
			readonly type: 'access';
			readonly change: 'granted' | 'revoked' | 'default' | 'node-admitted' | 'token-made' | 'token-withdrawn';
			readonly identity?: IdentityKey;
			readonly name?: string;
			readonly role?: Role;
			readonly topics?: readonly string[];
			/** node-admitted: the node that may become a member. */
			readonly candidate?: NodeId;
			/** The hash of a join token. */
			readonly hash?: string;
			readonly node: NodeId;
			readonly by?: IdentityKey;
	  }
	/** The cluster agreed on a change of its keys. `by`: the operator's identity; `node`: where it was asked. */
	| {
			readonly type: 'keys';
			readonly change: 'added' | 'used' | 'removed';
			readonly key: KeyId;
			readonly node: NodeId;
			readonly by?: IdentityKey;
	  }
	/**
	A caller asked this node for a change, or was refused a publish or a subscription. `by`: its identity; empty without
	one. `failed`: refused or not agreed, for the reason. `count`: such refusals since the event before; absent for one.
	*/
	| {
			readonly type: 'audit';
			readonly action: string;
			readonly target: string;
			readonly by: string;
			readonly address: string;
			readonly outcome: 'done' | 'failed';
			readonly reason?: string;
			readonly count?: number;
	  }
	| {readonly type: 'message'; readonly message: Message}
	| PartitionEvent
	| {readonly type: 'rejected'; readonly from: string; readonly reason: Rejection; readonly count: number}
	| {
			readonly type: 'discovered';
			readonly cluster: string;
			readonly clusterId: string;
			readonly address: string;
			readonly foreign: boolean;
	  }
	| {readonly type: 'lagged'; readonly dropped: number}
	/**
	Messages that the node will not get. `retention`: other nodes deleted them, as the topic's settings say, before they
	arrived here. Otherwise no node has them.
	*/
	| {
			readonly type: 'missed';
			readonly topic: Topic;
			readonly origin: NodeId;
			readonly messages: number;
			readonly cause?: 'retention';
	  }
	| {readonly type: 'fault'; readonly text: string}
	/**
	The node's Raft log or identity is damaged and was set aside in `folder`; the node continues as `id`. `formerId`:
	its previous id, if known.
	*/
	| {
			readonly type: 'quarantined';
			readonly problem: string;
			readonly folder: string;
			readonly formerId: NodeId | undefined;
			readonly id: NodeId;
	  }
	/** A hole in the topic's log was backfilled from peers; `missing` messages are still lost. */
	| {readonly type: 'refilled'; readonly topic: Topic; readonly messages: number; readonly missing: number}
	/**
	Retention deleted messages that no reader of this node had read since its start (`unread` of them), or that had to
	go for disk space. Read messages that go by age or size are only counted. `age`: older than the topic's settings or
	`storage.retain_age_s` allow. `size`: more than they or `storage.retain_bytes` allow. `disk`: more than
	`limits.disk_bytes`. `topic`: the topic was deleted.
	*/
	| {
			readonly type: 'deleted';
			readonly topic: Topic;
			readonly reason: 'age' | 'size' | 'disk' | 'topic';
			readonly messages: number;
			readonly bytes: number;
			readonly unread: number;
	  }
	| {readonly type: 'warning'; readonly text: string}
	| {readonly type: 'stopped'; readonly reason: string};

/** A change of the leader, as recorded. */
export type RecordedLeader = Extract<BrokerEvent, {readonly type: 'leader'}> & Recorded;

type Recorded = {readonly at: number; readonly names?: Readonly<Record<NodeId, string>>};

/** `names`: names of the nodes in the event, where they have one. */
export type RecordedEvent = BrokerEvent & Recorded;

/**
In a tracked stream of events: the messages of this own topic come next, and begin after the position. `isResumed`: it
is the position that the reader asked for. If not, the reader may have missed messages before it.
*/
export type TopicStart = TopicPosition & {readonly at: number; readonly type: 'start'; readonly isResumed: boolean};
export type TrackedEvent = RecordedEvent | TopicStart;
export type TrackedEvents = {
	/**
	As `events` of a broker with messages, for readers that continue at another node.
	@param after positions reached at another node: the messages of those topics begin after them
	*/
	trackedEvents(after?: readonly TopicPosition[]): AsyncIterable<TrackedEvent>;
};
