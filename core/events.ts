/**
What happens on a node, as values. The console, `--headless -o jsonl`, `events`, recordings and metrics are all folds
over this one stream. `at` is the wall clock in milliseconds, added where an event is recorded.
*/
import type {Message, NodeId, Topic} from './message.ts';

/**
`alive`: usable. `degraded`: answers, but not all of it works; the reason says what. `suspect`: did not answer just now.
`unreachable`: no answer. `down`: its machine refuses the connection, so no process runs there. `left`: it said that it
stops.
*/
export type MemberState = 'alive' | 'degraded' | 'suspect' | 'unreachable' | 'down' | 'left';
/**
`held`: there is a leader and a majority of the voters is reachable. `electing`: a majority, but no leader. `lost`: no
majority.
*/
export type QuorumState = 'held' | 'electing' | 'lost';
/**
Why the leader changed, as this node saw it. `silent`: nothing was heard from the former leader for `silentMs`.
`crashed`: its link closed and its machine refuses connections. `transferred`: the former leader handed over.
`quorum-lost`: a leader that heard no majority stepped down. `newer-term`: another term began. `started`: this node has
just started, or the cluster has just been founded.
*/
export type LeaderCause = 'silent' | 'crashed' | 'transferred' | 'quorum-lost' | 'newer-term' | 'removed' | 'started';
/** What a frame from the network was refused for. */
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

export type PartitionEvent = {
	readonly type: 'partition';
	readonly state: 'detected' | 'healed' | 'repaired';
	/** Node ids a side, this node's side first. */
	readonly sides: ReadonlyArray<readonly NodeId[]>;
	/** Index into `sides` of the one that is known to hold a majority of voters; -1 for none. */
	readonly quorum: number;
	/**
	Somebody of the other sides was heard. Else it is not known whether they run. Missing from a node of an older
	version.
	*/
	readonly isFarHeard?: boolean;
	/** detected: since the last word from the far side. healed: since detection. repaired: since the heal. */
	readonly tookMs: number;
	/** repaired: messages that were missing here and came in since the heal. */
	readonly messages?: number;
};

export type BrokerEvent =
	| {readonly type: 'ready'; readonly id: NodeId; readonly port: number; readonly cluster: string}
	/**
	`silentMs`: how long nothing had been heard from `previous` when this node gave it up, where it knows.
	`withoutLeaderMs`: from then on, that silence included, until this node knew the new leader.

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
	The leader `from` hands over, since an operator asked for it through the node `by`, or since it stops (`by` is
	`from`). Told by the leader alone.
	*/
	| {readonly type: 'transfer'; readonly from: NodeId; readonly to: NodeId; readonly by: NodeId}
	/** This process did not run for an election timeout or longer: it was stopped, or its event loop was blocked. */
	| {readonly type: 'paused'; readonly forMs: number}
	/** A connection was refused. `by`: whether this node refused or the peer. */
	| {
			readonly type: 'refused';
			readonly id: NodeId | undefined;
			readonly address: string;
			readonly code: string;
			readonly reason: string;
			readonly by: 'us' | 'peer';
	  }
	/**
	Two processes use the identity of one node: `address` is where the one runs that is kept, `other` the one that is
	refused.
	*/
	| {readonly type: 'duplicate'; readonly id: NodeId; readonly address: string; readonly other: string}
	/**
	The cluster has taken this node in, or it has founded one, or it is back as a member. `ready` says only that it
	listens.
	*/
	| {readonly type: 'admitted'; readonly id: NodeId; readonly clusterId: string}
	/** What this node waits for before it is a member, or before it serves. */
	| {readonly type: 'waiting'; readonly for: string}
	/** `was`: its name before, if it had one. */
	| {readonly type: 'named'; readonly id: NodeId; readonly name: string; readonly was?: string}
	/** All members speak this version of the protocol, and the cluster uses it from now on. */
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
	/** It was agreed, through `node`, that the topic exists with these settings, or that it is deleted. */
	| {
			readonly type: 'topic';
			readonly topic: Topic;
			readonly state: 'created' | 'deleted';
			readonly node: NodeId;
			readonly retainAgeS?: number;
			readonly retainBytes?: number;
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
	| {readonly type: 'missed'; readonly topic: Topic; readonly origin: NodeId; readonly messages: number}
	| {readonly type: 'fault'; readonly text: string}
	/**
	The node's Raft log or identity is damaged and was set aside in `folder`: it goes on as `id`. `formerId`: who it
	was, if that can be told.
	*/
	| {
			readonly type: 'quarantined';
			readonly problem: string;
			readonly folder: string;
			readonly formerId: NodeId | undefined;
			readonly id: NodeId;
	  }
	/** A hole in the topic's log was refilled from peers; `missing` messages in holes are left. */
	| {readonly type: 'refilled'; readonly topic: Topic; readonly messages: number; readonly missing: number}
	/**
	Retention deleted messages of a topic that nobody had read through this node since its start (`unread` of them), or
	that had to go for the disk. What was read and goes by age or size is only counted. `age`: older than the topic's
	settings or `storage.retain_age_s` say. `size`: more than they or `storage.retain_bytes` say. `disk`: more than
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

/** `names`: of the nodes that the event names, those that have a name. */
export type RecordedEvent = BrokerEvent & {readonly at: number; readonly names?: Readonly<Record<NodeId, string>>};
