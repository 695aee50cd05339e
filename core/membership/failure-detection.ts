/**
Who is there: gives SWIM its time and packets, turns what is concluded of the members (`membership/health.ts`) into
events, and follows a partition from its detection over the heal until what the sides missed of one another has been
repaired.
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
	/** For people. */
	readonly name: (node: NodeId) => string;
	/**
	The cluster has agreed that this process speaks for the node: is that known to be so now, or was it once.
	@default it has
	*/
	readonly identity?: {readonly isConfirmed: boolean; readonly wasConfirmed: boolean};
	/** Messages published here so far. */
	readonly published: () => number;
	/** Compare with these peers what each side has. */
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

/** A tick that comes later than this found the process stalled or stopped: the time is not held against the peers. */
const stallMs = 100;
/**
A link that carries nothing for so many silences, from a peer that is heard otherwise, is called anew: the error of the
call says what is wrong.
*/
const deafSilences = 3;

/**
For how long a member has been so is counted anew when it is not alive in another way. A suspected one becomes
unreachable or down without having been heard.
*/
const wayOf: Readonly<Record<MemberState, string | undefined>> = {
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
	/** Time while this process ran. */
	#awakeMs = 0;
	#tickedMs: number;
	/** Peers of the far side whose digest is still to be exchanged after a heal. */
	readonly #unrepaired = new Set<NodeId>();
	/** Since when each member that is not alive is so, in the same way. */
	readonly #downAt = new Map<NodeId, {readonly way: string; readonly atMs: number}>();
	#members: readonly NodeId[] = [];
	/** New members, all of them at the start, and those that moved: told of as alive once they are heard. */
	readonly #unannounced = new Set<NodeId>();
	/** What had been published here when each member was heard last. */
	readonly #publishedAt = new Map<NodeId, number>();
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

	/** Tell that this member is alive as soon as it is heard. */
	announce(member: NodeId): void {
		if (member !== this.#options.self) this.#unannounced.add(member);
	}

	/** A frame came from this peer over the link. */
	heard(from: NodeId): void {
		this.#publishedAt.set(from, this.#options.published());
		this.#health.heard(from, 'link', this.#awakeMs);
		this.#swim.heard(from);
	}

	/** A packet came: by datagram, or over the link, where `heard` has been told already. */
	step(from: NodeId, packet: SwimPacket, channel: 'datagram' | 'link' = 'datagram'): void {
		if (!this.#speaksTo(from)) return;
		this.#publishedAt.set(from, this.#options.published());
		if (channel === 'datagram') this.#health.heard(from, channel, this.#awakeMs);
		// Who answers has received what was sent to it the same way.
		if (packet.type === 'ack' || packet.type === 'nack')
			this.#health.evidence.answered(from, channel, this.#awakeMs);
		this.#swim.step(from, packet, this.#options.nowMs());
		this.#applyReady();
	}

	link(peer: NodeId, change: 'up' | 'down' | 'refused'): void {
		if (change === 'up') {
			this.#health.heard(peer, 'link', this.#awakeMs);
			this.#swim.linkUp(peer);
		} else if (change === 'refused') {
			this.#health.evidence.refused(peer, this.#awakeMs);
			this.#swim.linkRefused(peer);
		}

		this.#applyReady();
	}

	tick(): void {
		const nowMs = this.#options.nowMs();
		this.#awakeMs += Math.min(Math.max(0, nowMs - this.#tickedMs), stallMs);
		this.#tickedMs = nowMs;
		for (const idle of this.#health.tick(this.#awakeMs)) this.#swim.pingLink(idle);
		this.#swim.tick(this.#health.sight);
		this.#applyReady();
		this.#look();
	}

	/** Say goodbye. Who may not speak for the node does not: the process that does may run, or have crashed. */
	leave(): void {
		if (this.#options.identity?.isConfirmed === false) return;
		this.#swim.leave();
		this.#applyReady();
	}

	/**
	Another process may be the one that counts. A peer that knows so refuses the link, and is told nothing in the name
	of the node.
	*/
	#speaksTo(peer: NodeId): boolean {
		return (this.#options.identity?.wasConfirmed ?? true) || this.#options.links.state(peer).state === 'up';
	}

	/** Heard directly within the last while, by whatever channel. */
	isReachable(node: NodeId): boolean {
		return this.#swim.isHeard(node);
	}

	/** This node itself, or through which member it reaches the other; `undefined` when it does not. */
	reach(node: NodeId): NodeId | undefined {
		return this.#health.reach(node);
	}

	/** What this peer had has been pulled. Before the heal it may go on to publish on the far side. */
	synced(peer: NodeId, messages: number): void {
		this.#backlog += messages;
		if (this.#healedMs !== undefined && this.#unrepaired.delete(peer)) this.#maybeRepaired();
	}

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

	/** Pairs of members that do not reach each other. */
	cuts(): readonly CutSnapshot[] {
		return this.#health.faults.map(({between, link, datagram, sinceMs, blamed}) => ({
			between,
			blamed,
			what: link && datagram ? ('all' as const) : link ? ('tcp' as const) : ('udp' as const),
			forMs: Math.round(this.#awakeMs - sinceMs),
			via: link ? this.#health.relayBetween(between) : undefined,
		}));
	}

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
		};
	}

	#applyReady(): void {
		const {nowMs, links, datagrams, address} = this.#options;
		const ready = this.#swim.ready(nowMs());
		if (!ready) return;
		for (const {to, packet, via} of ready.packets) {
			if (!this.#speaksTo(to)) continue;
			const at = address(to);
			// Another member may have the address by now, and must not answer in the place of the one that is meant.
			if (via === 'datagram' && at !== undefined) datagrams.send(at, encodeControl('swim', {...packet, to}), to);
			else if (via === 'link') links.send(to, [encodeControl('swim', packet)]);
		}

		for (const {id, state, why} of ready.changes) {
			// What a connection to a silent peer still holds would come after TCP's next retry, which may be a minute
			// away.
			if (state === 'alive') links.hint(id);
			else if (state === 'dead' && links.state(id).state === 'up') links.drop(id, why === '' ? 'silent' : why);
		}

		if (ready.partition) this.#onPartition(ready.partition);
	}

	#look(): void {
		const {nowMs, address, emit, links, tickMs} = this.#options;
		for (const {id, state, why} of this.#health.look(this.#awakeMs)) {
			const way = wayOf[state];
			if (way === undefined) this.#downAt.delete(id);
			else if (this.#downAt.get(id)?.way !== way) this.#downAt.set(id, {way, atMs: nowMs()});
			this.#unannounced.delete(id);
			emit({type: 'member', id, address: address(id) ?? '', state, why});
			// Nothing can be exchanged with it after the heal; when it is back, it is compared with like everybody who
			// comes. Before the heal it is the far side.
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

		const deafMs = deafSilences * this.#swim.timing.silent * tickMs;
		for (const {between} of this.#health.faults) {
			const peer = between.find(id => id !== this.#options.self)!;
			const evidence = between.includes(this.#options.self) ? this.#health.evidence.of(peer) : undefined;
			if (evidence && links.state(peer).state === 'up' && unheardMs(evidence, 'link', this.#awakeMs) >= deafMs)
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
			for (const id of sides.slice(1).flat()) this.#unrepaired.add(id);
			this.#detectedMs = tookMs;
			this.#healedMs = undefined;
			this.#repairedMs = undefined;
			this.#backlog = 0;
		} else {
			this.#healedMs = tookMs;
			// Who is known to be down by now has nothing to exchange.
			const here = new Set(sides.flat());
			for (const id of this.#unrepaired) if (!here.has(id)) this.#unrepaired.delete(id);
		}

		this.#sinceMs = nowMs();
		emit({
			type: 'partition',
			state,
			sides,
			quorum: this.#quorumSide(sides),
			...(state === 'detected' && {isFarHeard: this.#isFarHeard(sides)}),
			tookMs,
		});
		if (state === 'healed') this.#options.resync([...this.#unrepaired]);
		this.#maybeRepaired();
	}

	/**
	Of a side that is not heard nobody knows whether it hangs together, or runs at all: it is not said to have the
	quorum.
	*/
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

	/** What had been published when the far sides were heard last; when that is not known, all of it has. */
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
