/**
The interface between the broker and SWIM. It is close to `Machine`, with one addition: milliseconds come in with
packets and with `ready`, because a round trip is shorter than a tick.
*/
import type {Config} from '../config.ts';
import type {Random} from '../machine.ts';
import type {NodeId} from '../message.ts';
import type {MemberChange, MemberState} from './members.ts';
import type {Timing} from './timing.ts';
import type {SwimPacket} from './packet.ts';
import type {PartitionChange, PartitionState, Sides} from './partition.ts';
import type {Complaint, Report, Sight} from './rows.ts';

export type SwimOptions = {
	readonly id: NodeId;
	/** Incarnation of this process start, raised durably before. */
	readonly incarnation: number;
	readonly random: Random;
	/** Duration of a tick in milliseconds. */
	readonly tickMs: number;
	readonly config: Config['swim'];
};

/** `link`: over the ordered connection, when there is one; `datagram`: may be lost. */
export type SwimOutbound = {readonly to: NodeId; readonly packet: SwimPacket; readonly via: 'datagram' | 'link'};

export type SwimReady = {
	readonly packets: readonly SwimOutbound[];
	readonly changes: readonly MemberChange[];
	readonly partition?: PartitionChange;
};

export type SwimMember = {
	readonly id: NodeId;
	readonly state: MemberState;
	/** The reason when it is not alive, for people; empty when alive. */
	readonly why: string;
	readonly incarnation: number;
	readonly rttMs: number | undefined;
	/** Ticks since the last packet directly from it; `undefined` when there was none, 0 for this node. */
	readonly heardTicksAgo: number | undefined;
};

/** `sees[i][j]`: whether `order[i]` hears `order[j]` directly; `undefined` when there is no fresh row of `order[i]`. */
export type Matrix = {
	readonly order: readonly NodeId[];
	readonly sees: ReadonlyArray<ReadonlyArray<boolean | undefined>>;
};

export type SwimStatus = {
	/** Sorted by id, this node included. */
	readonly members: readonly SwimMember[];
	/** Local health: 0 is best, 8 worst. */
	readonly health: number;
	readonly matrix: Matrix;
	readonly partition: {readonly state: PartitionState; readonly sides: Sides; readonly sinceTicks: number};
	/** How often bounds were hit; `rowMismatches`: rows that could not be read. */
	readonly bounds: {readonly outbox: number; readonly relays: number; readonly rowMismatches: number};
};

export type Swim = {
	/** Sets the agreed members, sorted. This node is always one of them. */
	setMembers(members: readonly NodeId[]): void;
	/** Handles one packet. `nowMs` may be of any clock that never goes back, the same as for `ready`. */
	step(from: NodeId, packet: SwimPacket, nowMs: number): void;
	/**
	Advances time. `sight`: what else this node observes of the others, for its row. Without it the row only says which
	members are heard.
	*/
	tick(sight?: Omit<Sight, 'isHeard'>): void;
	/** Pings over the link, to test it in both directions. This is no probe: without an answer nothing is suspected. */
	pingLink(peer: NodeId): void;
	/** Pending output; `undefined` when idle. Packets must leave now, because pings are stamped with `nowMs`. */
	ready(nowMs: number): SwimReady | undefined;
	/** Any other packet arrived directly from the node. */
	heard(from: NodeId): void;
	/** The peer's machine refused the connection: no process listens there. */
	linkRefused(peer: NodeId): void;
	/**
	A link is up and the peer is authenticated. `incarnation`: with which its process, or an earlier one, was started,
	if that is agreed. A claim far above it is void: it was a lie about the peer, or of an earlier process of it.
	*/
	linkUp(peer: NodeId, incarnation?: number): void;
	/** Queues the goodbye; call `ready` once more afterwards. */
	leave(): void;
	/** The backlog of a partition has been exchanged: repairing → whole. True when it was repairing. */
	repaired(): boolean;
	/** Whether the node was heard directly within the silence bound. This node hears itself. */
	isHeard(id: NodeId): boolean;
	/** The state of a member; `undefined` for this node and for nodes that are no members. */
	member(id: NodeId): SwimMember | undefined;
	/** The state of a member alone. */
	standing(id: NodeId): MemberState | undefined;
	/** Claims that were ignored, because their incarnation was too far ahead. */
	readonly incarnationsRefused: number;
	/** Timing for the present cluster size, in ticks. */
	readonly timing: Timing;
	/** By fresh rows: whether `node` has a working link to `other`; `undefined` without a fresh row. */
	isLinked(node: NodeId, other: NodeId): boolean | undefined;
	/** By a fresh row: the Raft state that `node` reports. */
	report(node: NodeId): Report | undefined;
	/** By a fresh report of `node`, another member: its disk is full. */
	isDiskFull(node: NodeId): boolean;
	/** By fresh rows: the missing links and the datagrams that do not arrive, per reporting node. */
	complaints(): readonly Complaint[];
	status(): SwimStatus;
};
