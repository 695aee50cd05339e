/**
The interface of Raft: the state on disk, the work that `ready()` returns, the status, and the calls.
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
	/** `hardState`, `snapshot` and `entries` must be durable before `packets` are sent. */
	readonly hardState: HardState | undefined;
	/** A snapshot that was installed: restore it before applying `committed`. The log on disk restarts after it. */
	readonly snapshot: Snapshot | undefined;
	/** An entry with an existing index replaces that entry and all entries after it. */
	readonly entries: readonly Entry[];
	/** A leader's appends and heartbeats, which may leave while the disk writes (thesis, 10.2.1). */
	readonly packetsBeforePersist: ReadonlyArray<Outbound<RaftPacket>>;
	readonly packets: ReadonlyArray<Outbound<RaftPacket>>;
	/** Apply these in order. */
	readonly committed: readonly Entry[];
	/** Reads that may be served once `committed` is applied: the state machine is then at least at `index`. */
	readonly reads: ReadonlyArray<{readonly context: string; readonly index: number}>;
};
export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'learner';
export type RaftStatus = {
	readonly role: Role;
	readonly term: number;
	readonly leader: NodeId | undefined;
	readonly vote: NodeId | undefined;
	/** Nodes that granted their vote in the current campaign. */
	readonly votes: readonly NodeId[];
	readonly commit: number;
	readonly applied: number;
	readonly lastIndex: number;
	readonly snapshotIndex: number;
	readonly configuration: Configuration;
	/** Ticks since this follower heard its leader, or since this leader heard a majority. */
	readonly contactTicks: number;
	/** Leader only. */
	readonly progress: ReadonlyArray<{
		readonly id: NodeId;
		readonly match: number;
		readonly next: number;
		readonly state: Progress['state'];
		readonly recentlyActive: boolean;
	}>;
	/** Leader only: size of the uncommitted entries. */
	readonly uncommittedBytes: number;
	/** Number of hits of each bound, and of packets that were invalid in their context, by name. */
	readonly bounds: Readonly<Record<string, number>>;
};
export type RaftOptions = {
	readonly id: NodeId;
	/** Packets of other groups are ignored. */
	readonly group: number;
	readonly electionTicks: number;
	readonly heartbeatTicks: number;
	readonly random: Random;
	readonly recovered: Recovered;
	readonly limits?: Partial<RaftLimits>;
	/** Whether the state in a snapshot from this node can be restored. @default always */
	readonly acceptsSnapshot?: (snapshot: Snapshot, from: NodeId) => boolean;
};
export type Raft = Machine<RaftPacket, RaftReady> & {
	/** A follower forwards the command to its leader. An accepted proposal may still be lost until it is committed. */
	propose(data: Uint8Array): 'accepted' | 'forwarded' | 'no-leader' | 'over-limit';
	/** Change the configuration by one node; leader only. `context` is stored after the configuration in its entry. */
	proposeChange(change: Change, context: Uint8Array): 'accepted' | 'not-leader' | 'busy' | 'invalid';
	/** Request a commit index that is current now (Raft, 8); the answer is in `ready().reads`. */
	readIndex(context: string): 'accepted' | 'no-leader';
	/**
	Transfer leadership to a voter once it has caught up (thesis, 3.10). True when the transfer began; leader only.
	*/
	transferLeadership(to: NodeId): boolean;
	/**
	Report evidence that the process of the leader is gone: its link closed and its machine refuses connections. A
	follower gives up the leader, grants votes to others and campaigns in its turn among the voters, always with a
	pre-vote. Ignored when another node leads; a packet of the leader revokes the report.
	*/
	leaderDown(leader: NodeId): void;
	/**
	Report a new link with the peer. Its process may be new too, with an older log from a copied data folder, so a
	leader probes again how far that log matches.
	*/
	linkUp(peer: NodeId): void;
	/** Confirm that `done`, the result of the last `ready`, is durable and applied. */
	advance(done: RaftReady): void;
	/**
	Replace the log up to `index`, which is applied, by a snapshot.
	@param data the state machine at `index`
	@returns the snapshot to be stored
	*/
	compact(index: number, data: Uint8Array): Snapshot | undefined;
	/** Campaign now, without a pre-vote. */
	campaign(): void;
	/** A copy of the whole state, for display. Code that runs often reads the properties below, which cost nothing. */
	status(): RaftStatus;
	readonly leader: NodeId | undefined;
	readonly term: number;
	readonly role: Role;
	/** Of the log. */
	readonly lastIndex: number;
	readonly commit: number;
	readonly configuration: Configuration;
	/** Why the leader changed last, as this node saw it. */
	readonly leaderChange: LeaderChange;
};
