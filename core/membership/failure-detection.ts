/**
Drives SWIM and reports its results. Gives SWIM time and packets, turns the assessments of the members (`health.ts`)
into events, and follows a partition from its detection and heal until both sides have repaired what they missed.
*/
import type {Config} from '../config.ts';
import type {BrokerEvent, MemberState} from '../events.ts';
import type {Random} from '../machine.ts';
import type {NodeId} from '../message.ts';
import type {Datagrams, Links} from '../ports.ts';
import type {CutSnapshot, PartitionSnapshot} from '../snapshot.ts';
import type {SwimPacket} from '../swim/packet.ts';
import {quorumSide, type Sides} from '../swim/partition.ts';
import {createSwim, type Swim} from '../swim/swim.ts';
import {encodeControl} from '../wire/wire.ts';
import {unheardMs} from './evidence.ts';
import {Health, type RaftFacts} from './health.ts';

export type FailureDetectionOptions = {
	readonly self: NodeId;
	readonly incarnation: number;
	readonly random: Random;
	readonly tickMs: number;
	readonly config: Config;
	readonly nowMs: () => number;
	readonly emit: (event: BrokerEvent) => void;
	readonly links: Links;
	readonly datagrams: Datagrams;
	readonly address: (node: NodeId) => string | undefined;
	readonly voters: () => readonly NodeId[];
	/** What Raft knows of this node and its peers. */
	readonly raft: () => RaftFacts;
	/** Whether the disk of this node is full: it stores no messages. @default it never is */
	readonly isDiskFull?: () => boolean;
	/** The incarnation of the process that uses the identity of a member, as agreed. @default unknown */
	readonly agreedIncarnation?: (node: NodeId) => number | undefined;
	/** A readable name for messages. */
	readonly name: (node: NodeId) => string;
	/**
	Whether the cluster has agreed that this process speaks for the node, now or at an earlier time.
	@default it has
	*/
	readonly identity?: {readonly isConfirmed: boolean; readonly wasConfirmed: boolean};
	/** The number of messages published here so far. */
	readonly published: () => number;
	/** Compares the messages of both sides with these peers. */
	readonly resync: (peers: readonly NodeId[]) => void;
};

export type PresentMember = {
	readonly id: NodeId;
	readonly state: MemberState;
	readonly why: string;
	readonly cause: string;
	readonly incarnation: number;
	readonly rttMs: number | undefined;
	readonly heardMsAgo: number | undefined;
	readonly downMs: number | undefined;
	readonly reached: boolean;
	readonly via: NodeId | undefined;
};

/** A later tick means that this process was stalled or stopped: the missing time does not count against the peers. */
const stallMs = 100;
/**
A link that carries nothing for this many silence limits, from a peer that is heard on another channel, is closed and
called again: the error of the call shows the cause.
*/
const idleSilences = 3;

/**
Groups of states that share one timer of how long a member has not been alive. A suspected member becomes unreachable or
down without having been heard, so the timer continues.
*/
const downGroup: Readonly<Record<MemberState, string | undefined>> = {
	alive: undefined,
	degraded: 'degraded',
	left: 'left',
	suspect: 'silent',
	unreachable: 'silent',
	down: 'silent',
};

export class FailureDetection {
	readonly #options: FailureDetectionOptions;
	readonly #swim: Swim;
	readonly #health: Health;
	/** Time while this process ran, in milliseconds. */
	#awakeMs = 0;
	#tickedMs: number;
	/** Peers of the far side whose digest has not been exchanged since the heal. */
	readonly #unrepaired = new Set<NodeId>();
	/** Since when each member has been in its present group of states. */
	readonly #downAt = new Map<NodeId, {readonly group: string; readonly atMs: number}>();
	#members: readonly NodeId[] = [];
	/**
	Members whose `alive` event is due when they are first heard: new ones, all at the start, and those that moved.
	*/
	readonly #unannounced = new Set<NodeId>();
	/** The count of messages published here when each member was last heard. */
	readonly #publishedAt = new Map<NodeId, number>();
	/** Members that were on a far side since the partition was detected. */
	readonly #cutOff = new Set<NodeId>();
	#isSilent = false;
	#backlog = 0;
	#sinceMs: number;
	#detectedMs: number | undefined;
	#healedMs: number | undefined;
	#repairedMs: number | undefined;
	#publishedBefore = 0;

	constructor(options: FailureDetectionOptions) {
		const {self, incarnation, random, tickMs, config, nowMs} = options;
		this.#options = options;
		this.#sinceMs = nowMs();
		this.#tickedMs = nowMs();
		this.#swim = createSwim({id: self, incarnation, random, tickMs, config: config.swim});
		this.#health = new Health({
			self,
			random,
			tickMs,
			swim: this.#swim,
			links: options.links,
			address: options.address,
			raft: options.raft,
			isDiskFull: options.isDiskFull ?? (() => false),
			name: options.name,
		});
	}

	setMembers(members: readonly NodeId[]): void {
		this.#swim.setMembers(members);
		this.#health.setMembers([...new Set([...members, this.#options.self])].toSorted(), this.#awakeMs);
		for (const id of this.#unrepaired)
			if (!members.includes(id) && this.#unrepaired.delete(id)) this.#maybeRepaired();
		for (const id of members) if (!this.#members.includes(id)) this.announce(id);
		this.#members = members;
		for (const id of this.#unannounced) if (!members.includes(id)) this.#unannounced.delete(id);
		for (const known of [this.#downAt, this.#publishedAt])
			for (const id of known.keys()) if (!members.includes(id)) known.delete(id);
	}

	/** Emits an `alive` event for this member as soon as it is heard. */
	announce(member: NodeId): void {
		if (member !== this.#options.self) this.#unannounced.add(member);
	}

	/** A frame arrived from this peer over the link. */
	heard(from: NodeId): void {
		this.#publishedAt.set(from, this.#options.published());
		this.#health.heard(from, 'link', this.#awakeMs);
		this.#swim.heard(from);
	}

	/** A packet arrived, by datagram or over the link; `heard` has been called already for the link. */
	step(from: NodeId, packet: SwimPacket, channel: 'datagram' | 'link' = 'datagram'): void {
		if (!this.#speaksTo(from)) return;
		this.#publishedAt.set(from, this.#options.published());
		if (channel === 'datagram') this.#health.heard(from, channel, this.#awakeMs);
		// An answer proves that the request arrived on the same channel.
		if (packet.type === 'ack' || packet.type === 'nack')
			this.#health.evidence.answered(from, channel, this.#awakeMs);
		this.#swim.step(from, packet, this.#options.nowMs());
		this.#applyReady();
	}

	/** The link to a peer changed, or its machine refused a connection. */
	link(peer: NodeId, change: 'up' | 'down' | 'refused'): void {
		if (change === 'up') {
			this.#health.heard(peer, 'link', this.#awakeMs);
			this.#swim.linkUp(peer, this.#options.agreedIncarnation?.(peer));
		} else if (change === 'refused') {
			this.#health.evidence.refused(peer, this.#awakeMs);
			this.#swim.linkRefused(peer);
		}

		this.#applyReady();
	}

	/** Advances time: drives SWIM and reports changes. */
	tick(): void {
		const nowMs = this.#options.nowMs();
		this.#awakeMs += Math.min(Math.max(0, nowMs - this.#tickedMs), stallMs);
		this.#tickedMs = nowMs;
		for (const idle of this.#health.tick(this.#awakeMs)) this.#swim.pingLink(idle);
		this.#swim.tick(this.#health.sight);
		this.#applyReady();
		this.#reportChanges();
	}

	/**
	Says goodbye: the node was asked to stop. A process that does not hold the claim stays silent: the process that
	holds it may still run, or have crashed.
	*/
	leave(): void {
		if (this.#options.identity?.isConfirmed === false) return;
		this.#swim.leave();
		this.#applyReady();
	}

	/**
	The node stops because of a fault: it sends and answers nothing any more. A disk that hangs may delay the end of the
	process, and until then nobody may count on the node.
	*/
	silence(): void {
		this.#isSilent = true;
	}

	/**
	Another process may hold the claim. A peer that knows so refuses the link, and must get no packets in the name of
	the node.
	*/
	#speaksTo(peer: NodeId): boolean {
		if (this.#isSilent) return false;
		return (this.#options.identity?.wasConfirmed ?? true) || this.#options.links.state(peer).state === 'up';
	}

	/** The time in which this process ran, in milliseconds. A pause counts as `stallMs`. */
	get awakeMs(): number {
		return this.#awakeMs;
	}

	/** Whether something was heard directly from the node lately, on any channel. */
	isReachable(node: NodeId): boolean {
		return this.#swim.isHeard(node);
	}

	/** `self` when the node is reached directly, else the relay; `undefined` when it is not reached. */
	reach(node: NodeId): NodeId | undefined {
		return this.#health.reach(node);
	}

	/** The messages of this peer have been pulled. Before the heal it may still publish on the far side. */
	synced(peer: NodeId, messages: number): void {
		this.#backlog += messages;
		if (this.#healedMs !== undefined && this.#unrepaired.delete(peer)) this.#maybeRepaired();
	}

	/** Claims of members about incarnations that were too far ahead, and ignored. */
	get incarnationsRefused(): number {
		return this.#swim.incarnationsRefused;
	}

	/** All members with their state, for the snapshot. */
	members(): readonly PresentMember[] {
		const {tickMs, nowMs, self} = this.#options;
		return this.#swim.status().members.map(({id, incarnation, rttMs, heardTicksAgo}) => {
			const {state, why, cause} = this.#health.of(id);
			const downAtMs = this.#downAt.get(id)?.atMs;
			const reach = this.#health.reach(id);
			return {
				id,
				state,
				why,
				cause,
				incarnation,
				rttMs: id === self || this.#health.isMeasured(id) ? rttMs : undefined,
				heardMsAgo: heardTicksAgo === undefined ? undefined : heardTicksAgo * tickMs,
				downMs: downAtMs === undefined ? undefined : Math.round(nowMs() - downAtMs),
				reached: reach !== undefined,
				via: reach === self ? undefined : reach,
			};
		});
	}

	/** Pairs of members that do not reach each other, for the snapshot. */
	cuts(): readonly CutSnapshot[] {
		return this.#health.faults.map(({between, link, datagram, sinceMs, blamed}) => ({
			between,
			blamed,
			what: link && datagram ? ('all' as const) : link ? ('tcp' as const) : ('udp' as const),
			forMs: Math.round(this.#awakeMs - sinceMs),
			via: link ? this.#health.relayBetween(between) : undefined,
		}));
	}

	/** The state of the partition, for the snapshot. */
	view(): PartitionSnapshot {
		const {nowMs, published} = this.#options;
		const {
			matrix: {order, sees},
			partition: {state, sides},
		} = this.#swim.status();
		return {
			state,
			sides,
			order,
			sees,
			quorum: this.#quorumSide(sides),
			isFarHeard: this.#isFarHeard(sides),
			sinceMs: Math.max(0, nowMs() - this.#sinceMs),
			detectedMs: this.#detectedMs,
			healedMs: this.#healedMs,
			repairedMs: this.#repairedMs,
			backlog: this.#backlog,
			waiting: state === 'partitioned' ? published() - this.#publishedBefore : 0,
			waitingFor:
				state === 'partitioned'
					? sides
							.slice(1)
							.flat()
							.map(id => ({id, messages: published() - (this.#publishedAt.get(id) ?? published())}))
					: [],
		};
	}

	#applyReady(): void {
		const {nowMs, links, datagrams, address} = this.#options;
		const ready = this.#swim.ready(nowMs());
		if (!ready) return;
		for (const {to, packet, via} of ready.packets) {
			if (!this.#speaksTo(to)) continue;
			const at = address(to);
			// Another member may have this address by now; `to` prevents it from answering in the place of the intended
			// one.
			if (via === 'datagram' && at !== undefined) datagrams.send(at, encodeControl('swim', {...packet, to}), to);
			else if (via === 'link') links.send(to, [encodeControl('swim', packet)]);
		}

		for (const {id, state, why} of ready.changes) {
			// Data queued on a connection to a silent peer arrive only after TCP's next retry, which may be a minute
			// later.
			if (state === 'alive') links.hint(id);
			else if (state === 'dead' && links.state(id).state === 'up') links.drop(id, why === '' ? 'silent' : why);
		}

		if (ready.partition) this.#onPartition(ready.partition);
	}

	#reportChanges(): void {
		const {nowMs, address, emit, links, tickMs} = this.#options;
		for (const {id, state, why} of this.#health.assessMembers(this.#awakeMs)) {
			const group = downGroup[state];
			if (group === undefined) this.#downAt.delete(id);
			else if (this.#downAt.get(id)?.group !== group) this.#downAt.set(id, {group, atMs: nowMs()});
			this.#unannounced.delete(id);
			emit({type: 'member', id, address: address(id) ?? '', state, why});
			// No exchange with it is possible after the heal; when it returns, its digest is compared as for any new
			// peer. Before the heal it belongs to the far side.
			if (
				this.#healedMs !== undefined &&
				(state === 'down' || state === 'left' || state === 'unreachable') &&
				this.#unrepaired.delete(id)
			)
				this.#maybeRepaired();
		}

		for (const id of this.#unannounced) {
			if (!this.#swim.isHeard(id) || this.#health.of(id).state !== 'alive') continue;
			this.#unannounced.delete(id);
			emit({type: 'member', id, address: address(id) ?? '', state: 'alive', why: ''});
		}

		const idleMs = idleSilences * this.#swim.timing.silent * tickMs;
		for (const {between} of this.#health.faults) {
			const peer = between.find(id => id !== this.#options.self)!;
			const evidence = between.includes(this.#options.self) ? this.#health.evidence.of(peer) : undefined;
			if (evidence && links.state(peer).state === 'up' && unheardMs(evidence, 'link', this.#awakeMs) >= idleMs)
				links.drop(peer, 'nothing came over it');
		}
	}

	#onPartition({
		state,
		sides,
		tookTicks,
	}: {
		readonly state: 'detected' | 'healed';
		readonly sides: ReadonlyArray<readonly NodeId[]>;
		readonly tookTicks: number;
	}): void {
		const {tickMs, emit, nowMs} = this.#options;
		const tookMs = tookTicks * tickMs;
		if (state === 'detected') {
			if (this.#unrepaired.size === 0 || this.#detectedMs === undefined)
				this.#publishedBefore = this.#lastPublished(sides.slice(1));
			for (const id of sides.slice(1).flat()) {
				this.#cutOff.add(id);
				this.#unrepaired.add(id);
			}

			this.#detectedMs = tookMs;
			this.#healedMs = undefined;
			this.#repairedMs = undefined;
			this.#backlog = 0;
			this.#sinceMs = nowMs();
			const quorum = this.#quorumSide(sides);
			emit({type: 'partition', state, sides, quorum, isFarHeard: this.#isFarHeard(sides), tookMs});
			return this.#maybeRepaired();
		}

		this.#healedMs = tookMs;
		this.#sinceMs = nowMs();
		// A member that is known to be down has nothing to exchange.
		const here = new Set(sides.flat());
		for (const id of this.#unrepaired) if (!here.has(id)) this.#unrepaired.delete(id);
		const gone = [...this.#cutOff].filter(id => !here.has(id)).toSorted();
		const isEnded = gone.length === this.#cutOff.size;
		this.#cutOff.clear();
		emit({
			type: 'partition',
			state: isEnded ? 'ended' : 'healed',
			sides,
			quorum: this.#quorumSide(sides),
			...(gone.length > 0 && {gone}),
			tookMs,
		});
		if (isEnded && this.#unrepaired.size === 0) {
			this.#swim.repaired(); // Nobody came back, so there is nothing to repair.
			return;
		}

		this.#options.resync([...this.#unrepaired]);
		this.#maybeRepaired();
	}

	/** A side that is not heard may be split further, or not run at all, so it is not reported to have the quorum. */
	#quorumSide(sides: Sides): number {
		const index = quorumSide(sides, this.#options.voters());
		return index > 0 && !sides[index]!.some(id => this.#swim.isHeard(id)) ? -1 : index;
	}

	#isFarHeard(sides: Sides): boolean {
		return sides
			.slice(1)
			.flat()
			.some(id => this.#swim.isHeard(id));
	}

	/** The count of published messages when the far sides were last heard; the present count when that is unknown. */
	#lastPublished(far: Sides): number {
		const published = this.#options.published();
		return Math.min(
			published,
			...far.map(side => Math.max(...side.map(id => this.#publishedAt.get(id) ?? published))),
		);
	}

	#maybeRepaired(): void {
		const {sides, state} = this.#swim.status().partition;
		if (state !== 'repairing' || this.#unrepaired.size > 0 || !this.#swim.repaired()) return;
		const {nowMs, emit} = this.#options;
		this.#repairedMs = Math.round(nowMs() - this.#sinceMs);
		this.#sinceMs = nowMs();
		emit({
			type: 'partition',
			state: 'repaired',
			sides,
			quorum: this.#quorumSide(sides),
			tookMs: this.#repairedMs,
			messages: this.#backlog,
		});
	}
}
