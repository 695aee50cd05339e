/**
What happens on a node, as values. The console, `--headless -o jsonl`, `events`, recordings and metrics are all folds over
this one stream. `at` is the wall clock in milliseconds, added where an event is recorded.
*/
import type {Message, NodeId, Topic} from '../message.ts';

export type MemberState = 'alive' | 'suspect' | 'dead' | 'left';
/** What a frame from the network was refused for. */
export type Rejection = 'malformed' | 'bad-signature' | 'unsigned' | 'wrong-origin' | 'unknown-origin' | 'lamport-jump' | 'too-large' | 'not-authenticated' | 'over-limit';

export type PartitionEvent = {
	readonly type: 'partition';
	readonly state: 'detected' | 'healed' | 'repaired';
	/** Node ids a side, this node's side first. */
	readonly sides: ReadonlyArray<readonly NodeId[]>;
	/** Index into `sides` of the one that holds a majority of voters; -1 for none. */
	readonly quorum: number;
	/** detected: since the last word from the far side. healed: since detection. repaired: since the heal. */
	readonly tookMs: number;
	/** repaired: messages that were missing here and came in since the heal. */
	readonly messages?: number;
};

export type BrokerEvent =
	| {readonly type: 'ready'; readonly id: NodeId; readonly port: number; readonly cluster: string}
	| {readonly type: 'leader'; readonly term: number; readonly leader: NodeId | undefined}
	| {readonly type: 'quorum'; readonly held: boolean; readonly reachable: number; readonly voters: number}
	| {readonly type: 'member'; readonly id: NodeId; readonly address: string; readonly state: MemberState}
	| {readonly type: 'voters'; readonly voters: readonly NodeId[]}
	| {readonly type: 'subscribed' | 'unsubscribed'; readonly topic: Topic; readonly node: NodeId}
	| {readonly type: 'message'; readonly message: Message}
	| PartitionEvent
	| {readonly type: 'rejected'; readonly from: string; readonly reason: Rejection; readonly count: number}
	| {readonly type: 'discovered'; readonly cluster: string; readonly clusterId: string; readonly address: string; readonly foreign: boolean}
	| {readonly type: 'lagged'; readonly dropped: number}
	| {readonly type: 'missed'; readonly topic: Topic; readonly origin: NodeId; readonly messages: number}
	| {readonly type: 'fault'; readonly text: string}
	/** The node's Raft log or identity is damaged and was set aside in `folder`: it goes on as `id`. `formerId`: who it was, if that can be told. */
	| {readonly type: 'quarantined'; readonly problem: string; readonly folder: string; readonly formerId: NodeId | undefined; readonly id: NodeId}
	/** A hole in the topic's log was refilled from peers; `missing` messages in holes are left. */
	| {readonly type: 'refilled'; readonly topic: Topic; readonly messages: number; readonly missing: number}
	| {readonly type: 'warning'; readonly text: string}
	| {readonly type: 'stopped'; readonly reason: string};

export type RecordedEvent = BrokerEvent & {readonly at: number};
