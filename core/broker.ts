/**
The operations of a node, the same for a node in this process (`openBroker`), in a worker thread, or on another machine
(`connect`). The interface names no protocol, so another engine can implement it for the same console and commands.
*/
export type {TopicSettings} from './topic-settings.ts';
import type {AccessChange, AccessReport} from './access.ts';
import type {ChangedKey, KeyRequest, KeysReport} from './cluster-keys.ts';
import type {RecordedEvent} from './events.ts';
import type {Message, NodeId, Topic} from './message.ts';
import type {From, SubscriptionStart, TopicPosition} from './position.ts';
import type {Snapshot} from './snapshot.ts';
import type {TopicSettings} from './topic-settings.ts';

/** The reason in `closed` of a node that left its cluster. */
export const leftReason = 'left the cluster';

/** The stream position of the messages of one `publish`. */
export type Published = {
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly topic: Topic;
	readonly firstSeq: number;
	readonly count: number;
};

/** A delivered message. `offset` is its position in the log of the node that served it. */
export type Delivery = Message & {readonly offset: number; readonly hops: number; readonly repaired: boolean};

/**
The messages of a reader, in delivery order, in arrays of those that were available at once. Memory is bounded: a slow
reader is served from the node's log, and messages that retention deleted meanwhile are counted in `dropped`.
*/
export type Subscription = AsyncDisposable &
	AsyncIterable<readonly Delivery[]> & {
		/**
		Resolves once the cluster has agreed on the subscription; rejects with `no-quorum` without a quorum. For a
		tracked subscription, or one from an offset, it resolves with the start position, unless the node is of a
		release that does not report it.
		*/
		readonly agreed: Promise<readonly SubscriptionStart[] | void>;
		/**
		Messages that were lost before they could be read: deleted from the node's log, or lost everywhere before they
		arrived there, as when a topic is deleted while messages are published.
		*/
		readonly dropped: number;
		/** Streams whose position was dropped at the bound: after a failover their messages may come twice. */
		readonly forgotten?: number;
	};

/** Where a subscription starts, and whether it can continue at another node. */
export type SubscribeOptions = {
	/**
	Start of the subscription. An offset is a position in the log of one node. Messages at lower offsets are never
	delivered, also those that the log receives later. If the log ends before the offset (`end` of `agreed` is less),
	the messages from the offset on are delivered when they arrive. After a power cut a log may end before an offset
	that was read: a program that wants the messages that take those places starts at `end`.
	@default 'now'
	*/
	readonly from?: From;
	/**
	For tracked subscriptions: positions reached at another node, to continue after them. A node of an earlier release
	may ignore them and begin at `from`.
	*/
	readonly after?: readonly TopicPosition[] | undefined;
	/** Report the start position, so that the subscription can continue at another node. @default false */
	readonly isTracked?: boolean;
};

/** A fault to inject into the traffic of this node; for nodes started with `--faults`. */
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

/** The outcome of `createTopic`; `changed` when the topic had other settings. */
export type TopicChange = 'created' | 'changed' | 'unchanged';
/**
`messages`: the largest number that one member deleted. `missing`: unreachable members, which delete the topic when they
return.
*/
export type DeletedTopic = {readonly messages: number; readonly missing: readonly NodeId[]};

/** The content of a message to publish: bytes, or a text that is encoded in UTF-8. */
export type MessageBody = Uint8Array | string;

/** Which events a stream has: with messages, and from now on or since the start of the node. */
export type EventOptions = {readonly messages?: boolean; readonly from?: 'now' | 'start'};

/** Every method throws or rejects with `usage` for a topic name or a node id that is invalid. */
export type Broker = AsyncDisposable & {
	/**
	Resolves once every message is stored on the node's disk (fsync).
	@throws `too-large`, `storage`, `closed`, `usage`
	*/
	publish(topic: string, bodies: readonly MessageBody[]): Promise<Published>;
	/**
	Reads messages as they are delivered. The node stays subscribed while it has a reader. An invalid topic name rejects
	`agreed` and ends the iteration with `usage`.
	@throws `usage` when `topics` is no list of texts or, through a connection, has none or more than 256
	*/
	subscribe(topics: readonly string[], options?: SubscribeOptions): Subscription;
	/**
	Subscribes the node itself, until `unsubscribeNode`: its feed shows the messages. Resolves on commit.
	@throws `no-quorum`, `no-leader`
	*/
	subscribeNode(topic: string): Promise<void>;
	unsubscribeNode(topic: string): Promise<void>;
	/**
	Creates the topic with these settings on every node; it then exists without subscribers and messages too. Settings
	of an existing topic change only with `update`. `update` requires an existing topic: one that was created, has
	subscribers or has messages.
	@throws `usage`, `refused` with the reason, `no-quorum`, `no-leader`
	*/
	createTopic(topic: string, settings?: TopicSettings, options?: {readonly update?: boolean}): Promise<TopicChange>;
	/**
	Deletes the messages of the topic on every node, with its settings. With `force` also while nodes are subscribed:
	their subscriptions end, and those with a reader begin again. With `force` also when only unreachable members may
	have the topic. A new topic of the same name may begin at once.
	@throws `usage` for an unknown topic, `refused` with the reason, `no-quorum`, `no-leader`
	*/
	deleteTopic(topic: string, options?: {readonly force?: boolean}): Promise<DeletedTopic>;
	snapshot(): Promise<Snapshot>;
	/** Calls `onSnapshot` with each new snapshot, at most `console.framesPerSecond` times a second. */
	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable;
	/**
	Events from now on. With `messages`, also the messages of the node's own topics, read from its log at the pace of
	the iterator. A `lagged` event counts those that retention deleted before they were read; no others are left out. A
	broker that fails over continues with the new events of the next server, and with the messages after those that were
	read, in the topics to which that server subscribes. `from: 'start'` begins where the node began to read after its
	start; such a stream does not continue its messages elsewhere.
	@default without messages
	*/
	events(options?: EventOptions): AsyncIterable<RecordedEvent>;
	/**
	Confirms with a quorum that this node has applied the latest agreed state. Resolves with the commit index that it
	waited for.
	@throws `no-quorum`, `no-leader`
	*/
	readIndex(): Promise<number>;
	/**
	Transfers the leadership to a voter, by default the one with the longest log. Resolves with the new leader.
	@throws `refused` with the reason, `no-quorum`, `no-leader`, `timeout`
	*/
	transferLeadership(to?: string): Promise<NodeId | undefined>;
	/**
	Removes a member for good.
	@throws `refused` when the others would have no quorum, `no-quorum`, `no-leader`, `timeout`
	*/
	removeMember(node: string): Promise<void>;
	/**
	Leaves the cluster for good: transfers the leadership, gives up the vote and the membership, then stops. Resolves
	when the cluster has agreed and the node has stored that. On the same data folder it starts again as a new member.
	@throws `refused` with the reason, `no-quorum`, `no-leader`, `timeout`
	*/
	leave(): Promise<void>;
	fault(command: FaultCommand): Promise<void>;
	/** The roles of identities, and that of the caller. */
	access(): Promise<AccessReport>;
	/**
	Changes the role of an identity, or of everyone without one. Connections whose access changes are closed.
	@throws `usage`, `not-authorized`, `refused` with the reason, `no-quorum`, `no-leader`
	*/
	changeAccess(change: AccessChange): Promise<void>;
	/** The keys of the cluster, and what its members do with them. For operators. */
	keys(): Promise<KeysReport>;
	/**
	Changes the keys of the cluster. Resolves once this is agreed, and reachable members have applied it.
	@throws `usage`, `not-authorized`, `refused` with the members that are not ready, `no-quorum`, `no-leader`
	*/
	changeKeys(request: KeyRequest): Promise<ChangedKey>;
	/** Resolves with the reason when the node has stopped, or the connection to it is lost for good. */
	readonly closed: Promise<string>;
};

/**
The connection of a broker that reconnects: the server in use, or the lost one with the reason and the next retry.
*/
export type LinkNews =
	| {readonly state: 'connected'; readonly server: string}
	| {readonly state: 'lost'; readonly server: string; readonly why: string; readonly retryMs: number};

/**
A broker that fails over to another server. While it has no server, calls are refused with `unreachable`. `closed`
resolves only when it is disposed.
*/
export type FollowedBroker = Omit<Broker, 'events'> & {
	/** As `events` of a broker. With `topics`, only the messages of these; other events too. */
	events(options?: EventOptions & {readonly topics?: readonly string[]}): AsyncIterable<RecordedEvent>;
	/** The server in use, or the last one. */
	readonly server: string;
	onLink(listener: (news: LinkNews) => void): Disposable;
};
