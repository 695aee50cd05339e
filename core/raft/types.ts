/**
What goes in and out of Raft: the state that is kept on disk, the work that is handed out, what a node can be asked.
*/
import type {Machine, Outbound, Random} from '../machine.ts';
import type {NodeId} from '../message.ts';
import type {Change, Configuration} from './configuration.ts';
import type {RaftLimits} from './leader.ts';
import type {Entry, RaftPacket} from './packet.ts';
import type {Progress} from './progress.ts';
import type {Snapshot} from './snapshot.ts';
import type {LeaderChange} from './succession.ts';

export type HardState = {readonly term: number; readonly vote: NodeId | undefined; readonly commit: number};
export type Recovered = {
	readonly hardState: HardState;
	readonly snapshot: Snapshot | undefined;
	readonly entries: readonly Entry[];
};
export type RaftReady = {
	/** Durable before `packets` leave, as are `snapshot` and `entries`. */
	readonly hardState: HardState | undefined;
	/** One that was installed: to be restored before `committed` is applied. The log on disk starts anew behind it. */
	readonly snapshot: Snapshot | undefined;
	/** An entry whose index exists replaces it and all after it. */
	readonly entries: readonly Entry[];
	/** A leader's appends and heartbeats: may leave while the disk writes (thesis, 10.2.1). */
	readonly packetsBeforePersist: ReadonlyArray<Outbound<RaftPacket>>;
	readonly packets: ReadonlyArray<Outbound<RaftPacket>>;
	/** To be applied in this order. */
	readonly committed: readonly Entry[];
	/** Each may be served once `committed` is applied: `index` is, then. */
	readonly reads: ReadonlyArray<{readonly context: string; readonly index: number}>;
};
export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'learner';
export type RaftStatus = {
	readonly role: Role;
	readonly term: number;
	readonly leader: NodeId | undefined;
	readonly vote: NodeId | undefined;
	/** Granted to this node in the campaign that runs. */
	readonly votes: readonly NodeId[];
	readonly commit: number;
	readonly applied: number;
	readonly lastIndex: number;
	readonly snapshotIndex: number;
	readonly configuration: Configuration;
	/** Ticks since this follower heard its leader, or this leader a majority. */
	readonly contactTicks: number;
	/** Leader only. */
	readonly progress: ReadonlyArray<{
		readonly id: NodeId;
		readonly match: number;
		readonly next: number;
		readonly state: Progress['state'];
		readonly recentlyActive: boolean;
	}>;
	/** Leader only: what its uncommitted entries weigh. */
	readonly uncommittedBytes: number;
	/** Bounds that were hit and packets that made no sense, by name. */
	readonly bounds: Readonly<Record<string, number>>;
};
export type RaftOptions = {
	readonly id: NodeId;
	/** Packets of other groups are passed over. */
	readonly group: number;
	readonly electionTicks: number;
	readonly heartbeatTicks: number;
	readonly random: Random;
	readonly recovered: Recovered;
	readonly limits?: Partial<RaftLimits>;
};
export type Raft = Machine<RaftPacket, RaftReady> & {
	/** Followers forward to the leader they know. An accepted proposal may still be lost: what counts is its commit. */
	propose(data: Uint8Array): 'accepted' | 'forwarded' | 'no-leader' | 'over-limit';
	/** Change the members by one step; leader only. `context` travels behind the configuration. */
	proposeChange(change: Change, context: Uint8Array): 'accepted' | 'not-leader' | 'busy' | 'invalid';
	/** Ask for an index that is current now; it comes back in `ready().reads`. */
	readIndex(context: string): 'accepted' | 'no-leader';
	/** Make a voter the leader as soon as it is caught up (thesis, 3.10). True when this began; leader only. */
	transferLeadership(to: NodeId): boolean;
	/**
	The process of the leader is gone: its link closed and its machine refuses connections. A follower forgets it, votes
	for others and campaigns soon, in its turn among the voters, with a pre-vote as always. Ignored when another node
	leads by now; a packet of the leader takes it back.

	*/
	leaderDown(leader: NodeId): void;
	/**
	A link with the peer is new, and so may its process be: one with an older log, from a copied data folder. A leader
	finds out anew how far that matches.
	*/
	linkUp(peer: NodeId): void;
	/** `done` is durable and applied. */
	advance(done: RaftReady): void;
	/** The state machine's bytes at an applied index: the log up to there may go. Returns the snapshot to be stored. */
	compact(index: number, data: Uint8Array): Snapshot | undefined;
	/** Stand for election now, without asking first. */
	campaign(): void;
	/** This process stalled, so its silence proves nothing: wait a whole election timeout before standing. */
	resetElection(): void;
	status(): RaftStatus;
	/** These cost less than the whole status. */
	readonly leader: NodeId | undefined;
	readonly term: number;
	readonly role: Role;
	readonly configuration: Configuration;
	/** Why the leader is another one than before, as this node saw it. */
	readonly leaderChange: LeaderChange;
};
