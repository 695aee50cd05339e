/**
What the broker and SWIM have to say to each other. Close to `Machine`, with one addition: milliseconds come in with
packets and with `ready`, since a round trip is shorter than a tick.
*/
import type {Config} from '../config.ts';
import type {Random} from '../machine.ts';
import type {NodeId} from '../message.ts';
import type {MemberChange, MemberState} from './members.ts';
import type {Timing} from './pace.ts';
import type {SwimPacket} from './packet.ts';
import type {PartitionChange, PartitionState, Sides} from './partition.ts';
import type {Complaint, Report, Sight} from './rows.ts';

export type SwimOptions = {
	readonly id: NodeId;
	/** Of this process's start, raised durably. */
	readonly incarnation: number;
	readonly random: Random;
	/** Milliseconds that a tick lasts. */
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
	/** Why it is not alive, for people; empty when alive. */
	readonly why: string;
	readonly incarnation: number;
	readonly rttMs: number | undefined;
	/** Ticks since a packet came directly from it; `undefined` when none did, 0 for this node. */
	readonly heardTicksAgo: number | undefined;
};

/**
`sees[i][j]`: whether `order[i]` hears `order[j]` directly; `undefined` when nothing fresh is known from `order[i]`.
*/
export type Matrix = {
	readonly order: readonly NodeId[];
	readonly sees: ReadonlyArray<ReadonlyArray<boolean | undefined>>;
};

export type SwimStatus = {
	/** Sorted by id, this node included. */
	readonly members: readonly SwimMember[];
	/** Local health: 0 is well, 8 worst. */
	readonly health: number;
	readonly matrix: Matrix;
	readonly partition: {readonly state: PartitionState; readonly sides: Sides; readonly sinceTicks: number};
	/** Bounds that were hit, and what was not read. */
	readonly bounds: {readonly outbox: number; readonly relays: number; readonly rowMismatches: number};
};

export type Swim = {
	/** The agreed members, sorted; this node is one of them whether it is named or not. */
	setMembers(members: readonly NodeId[]): void;
	/** One packet; `nowMs` of any clock that does not go back, the same as for `ready`. */
	step(from: NodeId, packet: SwimPacket, nowMs: number): void;
	/**
	`sight`: what this node sees of the others besides, for its row; without it the row says who is heard and nothing
	else.
	*/
	tick(sight?: Omit<Sight, 'isHeard'>): void;
	/**
	Ping it over the link, to see whether that carries both ways. It is no probe: without an answer nobody is accused.
	*/
	pingLink(peer: NodeId): void;
	/** The work; packets must leave now, their pings are stamped with `nowMs`. `undefined` when idle. */
	ready(nowMs: number): SwimReady | undefined;
	/** Any other packet came directly from it. */
	heard(from: NodeId): void;
	/** Its machine refused the connection: no process listens there. */
	linkRefused(peer: NodeId): void;
	/** A link is up, and the peer has proved who it is. */
	linkUp(peer: NodeId): void;
	/** Say goodbye; take `ready` once more afterwards. */
	leave(): void;
	/** What the partition cost has been exchanged: repairing → whole. True when it was repairing. */
	repaired(): boolean;
	/** Heard directly within the last while. This node hears itself. */
	isHeard(id: NodeId): boolean;
	/** What is believed of it; `undefined` for this node and for one that is no member. */
	member(id: NodeId): SwimMember | undefined;
	/** The same in one word. */
	standing(id: NodeId): MemberState | undefined;
	/** How fast things go in a cluster of this size, in ticks. */
	readonly pace: Timing;
	/**
	By fresh rows: whether `node` has a working link to `other`, and what it reports. `undefined` when nothing fresh is
	known.
	*/
	isLinked(node: NodeId, other: NodeId): boolean | undefined;
	report(node: NodeId): Report | undefined;
	/** By fresh rows: who has no working link to whom, and whose datagrams do not reach whom. */
	complaints(): readonly Complaint[];
	status(): SwimStatus;
};
