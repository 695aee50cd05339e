/**
What a program can do with a node, whether it runs in this process (`openBroker`), in a worker thread or on another
machine (`connect`). Names no protocol, so that another engine can stand behind the same console and commands.
*/
export type {TopicSettings} from './topic-settings.ts';
import type {RecordedEvent} from './events.ts';
import type {Message, NodeId, Topic} from './message.ts';
import type {From, TopicPosition} from './position.ts';
import type {Snapshot} from './snapshot.ts';
import type {TopicSettings} from './topic-settings.ts';

/** Why a node stopped that left its cluster. */
export const leftReason = 'left the cluster';

/** What the cluster said yes to: where the messages of one `publish` went. */
export type Published = {
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly topic: Topic;
	readonly firstSeq: number;
	readonly count: number;
};

/** A message as a reader gets it. `offset` is its place in the log of the node that it was read from. */
export type Delivery = Message & {readonly offset: number; readonly hops: number; readonly repaired: boolean};

/**
A reader's messages, in delivery order, in arrays of what was there at once. Memory is bounded: a reader that falls
behind is served from the node's log; what retention has taken away meanwhile is counted in `dropped`.
*/
export type Subscription = AsyncDisposable &
	AsyncIterable<readonly Delivery[]> & {
		/**
		Resolves once the cluster has agreed to the subscription; rejects with `no-quorum` where it cannot. When the
		subscription is tracked, with where it begins, unless the node is of a release that does not know.

		*/
		readonly agreed: Promise<readonly TopicPosition[] | void>;
		/**
		Messages that were gone before they could be read: from the node's log, or everywhere before they came to it, as
		when the topic is deleted while it is published.
		*/
		readonly dropped: number;
		/**
		Streams whose position is not kept, because there are too many: after another node took over, their messages may
		come twice.
		*/
		readonly forgotten?: number;
	};

export type SubscribeOptions = {
	/** An offset is that of the node's own log. @default 'now' */
	readonly from?: From;
	/**
	What was read at another node already: go on behind it. May be passed over by a node of an earlier release, which
	then begins at `from`. For tracked subscriptions.
	*/
	readonly after?: readonly TopicPosition[] | undefined;
	/** Tell where it begins, so that it can go on at another node. @default false */
	readonly isTracked?: boolean;
};

/** Traffic that this node shall lose or delay; for nodes started with `--faults`. */
export type FaultCommand =
	| {
			readonly type: 'cut';
			readonly peers: readonly NodeId[];
			readonly direction: 'both' | 'in' | 'out';
			readonly forMs: number;
	  }
	| {readonly type: 'delay'; readonly ms: number; readonly forMs: number}
	| {readonly type: 'drop'; readonly percent: number; readonly forMs: number}
	| {readonly type: 'heal'};

/** What `createTopic` found: `changed` is said of one that had other settings. */
export type TopicChange = 'created' | 'changed' | 'unchanged';
/**
`messages`: the most that one member had. `missing`: members that have not confirmed yet that it is deleted there, since
they are away: they delete it when they return.
*/
export type DeletedTopic = {readonly messages: number; readonly missing: readonly NodeId[]};

export type Broker = AsyncDisposable & {
	/**
	Resolves once every message is stored on the node's disk (fsync).
	@throws `too-large`, `storage`, `closed`, `usage`
	*/
	publish(topic: Topic, bodies: readonly Uint8Array[]): Promise<Published>;
	/** Read messages as they are delivered. The node is subscribed for as long as somebody reads. */
	subscribe(topics: readonly Topic[], options?: SubscribeOptions): Subscription;
	/**
	Subscribe the node itself, until `unsubscribeNode`: its feed shows the messages. Resolves on commit.
	@throws `no-quorum`, `no-leader`
	*/
	subscribeNode(topic: Topic): Promise<void>;
	unsubscribeNode(topic: Topic): Promise<void>;
	/**
	The topic is there from now on, also without subscribers and messages, and keeps what the settings say, on every
	node. One that has other settings is left as it is, unless `update` is set; that is only for a topic that exists:
	one that was created, has subscribers or has messages.
	@throws `usage`, `refused` with the reason, `no-quorum`, `no-leader`

	*/
	createTopic(topic: Topic, settings?: TopicSettings, options?: {readonly update?: boolean}): Promise<TopicChange>;
	/**
	Delete what was published to the topic, on every node, with its settings. `force`: also while nodes are subscribed,
	which ends their subscriptions; those that somebody reads through begin anew; and when only members that are away
	may have it. Under the same name a new topic may begin at once.
	@throws `usage` for a topic that is nowhere, `refused` with the reason, `no-quorum`, `no-leader`

	*/
	deleteTopic(topic: Topic, options?: {readonly force?: boolean}): Promise<DeletedTopic>;
	snapshot(): Promise<Snapshot>;
	/** At most `console.framesPerSecond` calls a second, each with a new snapshot. */
	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable;
	/**
	From now on. With `messages` also those of the node's own topics, read from its log at the pace of who iterates: a
	`lagged` tells what retention took before it was read, and nothing else is left out. A broker that outlives its
	server goes on at the next with what comes from then on, and says so with a `warning`. `from: 'start'` begins where
	the node itself began to read in this life.
	@default without messages

	*/
	events(options?: {readonly messages?: boolean; readonly from?: 'now' | 'start'}): AsyncIterable<RecordedEvent>;
	/**
	Confirm with a quorum that this node sees the latest agreed state; the commit index it waited for.
	@throws `no-quorum`, `no-leader`
	*/
	readIndex(): Promise<number>;
	/**
	Hand the lead to a voter, by default the one that is furthest; who leads then.
	@throws `refused` with the reason, `no-quorum`, `no-leader`, `timeout`
	*/
	transferLeadership(to?: NodeId): Promise<NodeId | undefined>;
	/**
	Take a member out for good.
	@throws `refused` when the rest would have no quorum, `no-quorum`, `no-leader`, `timeout`
	*/
	removeMember(node: NodeId): Promise<void>;
	/**
	Leave the cluster for good and stop: hand the leadership over, give the vote and the membership back, then stop.
	Resolves when the cluster has agreed and the node's disk knows. On the same data folder it starts again as a new
	member.
	@throws `refused` with the reason, `no-quorum`, `no-leader`, `timeout`

	*/
	leave(): Promise<void>;
	fault(command: FaultCommand): Promise<void>;
	/** Resolves when the node has stopped, or the link to it is lost for good; with the reason. */
	readonly closed: Promise<string>;
};

/**
How a broker that connects again by itself stands: which server it uses, or which it lost, why, and in how many
milliseconds it tries again.
*/
export type LinkNews =
	| {readonly state: 'connected'; readonly server: string}
	| {readonly state: 'lost'; readonly server: string; readonly why: string; readonly retryMs: number};

/**
A broker that outlives its server. Calls are refused with `unreachable` while there is none; `closed` resolves only when
it is disposed.
*/
export type FollowedBroker = Broker & {
	/** In use, or lost last. */
	readonly server: string;
	onLink(listener: (news: LinkNews) => void): Disposable;
};
