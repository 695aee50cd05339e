/**
Failure detection (SWIM: Das, Gupta, Motivala 2002). Every node pings the others in turn. A member that does not answer
is pinged through relays and over the link. Without an answer it is suspected, and if it does not refute that in time,
it is declared dead. Rumours about this are piggybacked on the pings. A node that may itself be slow waits longer before
it accuses, and a suspicion is shorter the more members share it (Lifeguard: Dadgar, Phillips, Currey 2017). Raft
decides membership; this machine tracks liveness. It also computes the sides of a partition from rows that say which
members each node hears.

The machine has no clock. Waits are counted in ticks; milliseconds come in with packets and with `ready`, for round
trips only.
*/
import type {NodeId} from '../message.ts';
import {Health} from './health.ts';
import {isDown, Members, standingOf, stateOf, type Member, type MemberState} from './members.ts';
import {timingOf, type Timing} from './timing.ts';
import {
	diskFullBytes,
	headBytesMax,
	packetBytesMax,
	rowsMax,
	u32Max,
	updateBytesMax,
	updatesMax,
	type Message,
	type SwimPacket,
} from './packet.ts';
import {PartitionTracker, sidesOf, type PartitionChange, type Sides} from './partition.ts';
import {Probes, Ring, type Probe} from './probe.ts';
import {Rows, type Complaint, type Report, type Sight} from './rows.ts';
import type {Swim, SwimMember, SwimOptions, SwimReady, SwimStatus} from './types.ts';
import {Updates} from './updates.ts';

export type {Matrix, Swim, SwimMember, SwimOptions, SwimOutbound, SwimReady, SwimStatus} from './types.ts';

/** Packets that may wait for `ready`. */
export const outboxMax = 2048;
/** Up to this cluster size, a change of our row or our goodbye goes to every member at once; above it, to a few. */
const broadcastMax = 16;
const broadcastFew = 4;
/** In larger clusters the matrix in `status` has the first members only. */
export const matrixMax = 128;
const partitionsMax = 16;
/** No process refutes this many accusations. */
const implausible = 2 ** 20;
/** How far the incarnation in a row that was passed on may be above the last one that is known of its node. */
const unclaimedMax = 1024;
/**
The number of pings that test a link. No probe uses it, so the answer is evidence of the link and of nothing else.
*/
const linkSeq = u32Max;

type Outgoing = {
	readonly to: NodeId;
	readonly message: Message;
	readonly via: 'datagram' | 'link';
	readonly stamps: Probe | undefined;
};

export function createSwim(options: SwimOptions): Swim {
	return new SwimMachine(options);
}

class SwimMachine implements Swim {
	readonly #options: SwimOptions;
	readonly #self: NodeId;
	readonly #health = new Health();
	readonly #updates = new Updates();
	readonly #members: Members;
	readonly #rows: Rows;
	readonly #ring: Ring;
	readonly #probes = new Probes();
	readonly #tracker: PartitionTracker;
	#timing: Timing;
	#tick = 0;
	#outgoing: Outgoing[] = [];
	#partitions: PartitionChange[] = [];
	#isRowDue = false;
	#pushedTick = -Infinity;
	/** The sides while every member hears every other, cached for a version of the members. */
	#whole: {readonly version: number; readonly sides: Sides} | undefined;
	#outboxDropped = 0;
	#relaysRefused = 0;

	constructor(options: SwimOptions) {
		const {id, incarnation, random, tickMs, config} = options;
		this.#options = options;
		this.#self = id;
		this.#members = new Members(id, incarnation, this.#health, this.#updates);
		this.#rows = new Rows(id, incarnation);
		this.#ring = new Ring(random);
		this.#tracker = new PartitionTracker([[id]]);
		this.#timing = timingOf(1, tickMs, config);
	}

	setMembers(members: readonly NodeId[]): void {
		const order = [...new Set([...members, this.#self])].toSorted();
		if (order.length === this.#rows.order.length && order.every((id, index) => id === this.#rows.order[index]))
			return;
		const others = order.filter(id => id !== this.#self);
		this.#timing = timingOf(order.length, this.#options.tickMs, this.#options.config);
		this.#rows.setOrder(order);
		this.#members.set(others, this.#tick);
		this.#ring.set(others);
	}

	step(from: NodeId, packet: SwimPacket, nowMs: number): void {
		const member = this.#members.get(from);
		if (member) this.#learnCarried(member, packet);
		else this.#members.learnAboutSelf(packet.updates, from);
		for (const doubted of this.#members.takeDoubted()) this.#ping(doubted);
		switch (packet.type) {
			case 'ping':
				// Answered for non-members too: this node may not know a new member yet.
				return this.#send(from, {type: 'ack', seq: packet.seq}, packet.link ? 'link' : 'datagram');
			case 'ack': {
				this.#onAck(from, packet.seq, nowMs);
				break;
			}

			case 'nack': {
				this.#probes.find(packet.seq, from)?.silentRelays?.delete(from);
				break;
			}

			case 'ping-req': {
				this.#onPingRequest(from, packet.seq, packet.target);
				break;
			}

			case 'gossip':
				break;
			default:
				packet satisfies never;
		}

		if (member) this.#contact(member);
	}

	heard(from: NodeId): void {
		const member = this.#members.get(from);
		if (!member) return;
		this.#members.heard(member, this.#tick);
		this.#contact(member);
	}

	linkUp(peer: NodeId, incarnation: number = Infinity): void {
		this.heard(peer);
		const member = this.#members.get(peer);
		if (!member || member.claim.incarnation <= incarnation + implausible) return;
		const claim = {standing: 'alive' as const, incarnation, by: this.#self};
		this.#members.believe(member, claim, this.#tick, this.#timing);
	}

	linkRefused(peer: NodeId): void {
		const member = this.#members.get(peer);
		if (!member || isDown(member) || member.refusedTick !== undefined || this.#members.isLeaving) return;
		// A firewall may refuse for a running process, so the member must also fail to answer.
		this.#members.refused(member, this.#tick);
		this.#ping(member);
	}

	leave(): void {
		if (this.#members.isLeaving) return;
		this.#members.leave();
		for (const to of this.#audience()) {
			this.#send(to, {type: 'gossip'}, 'link');
			this.#send(to, {type: 'gossip'}, 'datagram');
		}
	}

	repaired(): boolean {
		return this.#tracker.repaired(this.#tick);
	}

	isHeard(id: NodeId): boolean {
		if (id === this.#self) return true;
		const member = this.#members.get(id);
		return member?.heardTick !== undefined && this.#isHearing(member);
	}

	get incarnationsRefused(): number {
		return this.#members.jumps.refused;
	}

	get timing(): Timing {
		return this.#timing;
	}

	pingLink(peer: NodeId): void {
		if (this.#members.get(peer)) this.#sendPing(peer, linkSeq, 'link');
	}

	isLinked(node: NodeId, other: NodeId): boolean | undefined {
		return this.#rows.isLinked(node, other, this.#tick, this.#timing.stale);
	}

	report(node: NodeId): Report | undefined {
		return this.#rows.report(node, this.#tick, this.#timing.stale);
	}

	isDiskFull(node: NodeId): boolean {
		return this.#rows.isDiskFull(node, this.#tick, this.#timing.stale);
	}

	complaints(): readonly Complaint[] {
		return this.#rows.complaints(this.#tick, this.#timing.stale);
	}

	standing(id: NodeId): MemberState | undefined {
		const member = this.#members.get(id);
		return member && standingOf(member);
	}

	member(id: NodeId): SwimMember | undefined {
		const member = this.#members.get(id);
		return member && this.#memberStatus(member);
	}

	tick(sight?: Omit<Sight, 'isHeard'>): void {
		this.#tick++;
		if (this.#members.isLeaving) return;
		for (const member of this.#members.pending()) this.#judgeMember(member);
		for (const probe of this.#probes.all()) this.#judgeProbe(probe);
		this.#tickRelays();
		for (const doubted of this.#members.takeDoubted()) this.#ping(doubted);
		for (const id of this.#ring.turns(this.#timing.pair)) {
			const member = this.#members.get(id);
			// A member that left sends the first packet when it is back.
			if (member && member.claim.standing !== 'left') this.#ping(member);
		}

		this.#tickRow(sight);
		this.#tickPartition();
	}

	ready(nowMs: number): SwimReady | undefined {
		const partition = this.#partitions.shift();
		if (this.#outgoing.length === 0 && !partition && !this.#members.hasChanges()) return undefined;
		const outgoing = this.#outgoing;
		this.#outgoing = [];
		const packets = outgoing.map(item => {
			const {to, message, via, stamps} = item;
			if (stamps) stamps.sentAtMs ??= nowMs;
			return {to, packet: this.#piggyback(to, message), via};
		});
		return {packets, changes: this.#members.takeChanges(), ...(partition ? {partition} : {})};
	}

	status(): SwimStatus {
		const members = this.#rows.order.map((id): SwimMember => {
			const member = this.#members.get(id);
			if (!member)
				return {
					id,
					state: this.#members.isLeaving ? 'left' : 'alive',
					why: '',
					incarnation: this.#members.incarnation,
					rttMs: 0,
					heardTicksAgo: 0,
				};
			return this.#memberStatus(member);
		});
		const order = this.#rows.order.slice(0, matrixMax);
		return {
			members,
			health: this.#health.score,
			matrix: {order, sees: order.map(node => order.map(other => this.#hears(node, other)))},
			partition: {
				state: this.#tracker.state,
				sides: this.#tracker.sides,
				sinceTicks: this.#tick - this.#tracker.sinceTick,
			},
			bounds: {outbox: this.#outboxDropped, relays: this.#relaysRefused, rowMismatches: this.#rows.mismatches},
		};
	}

	#memberStatus(member: Member): SwimMember {
		const heardTicksAgo = member.heardTick === undefined ? undefined : this.#tick - member.heardTick;
		return {
			id: member.id,
			...stateOf(member),
			incarnation: member.claim.incarnation,
			rttMs: member.rttMs,
			heardTicksAgo,
		};
	}

	// Incoming packets.

	#learnCarried(member: Member, {incarnation, updates, rows, states, diskFull}: SwimPacket): void {
		this.#members.heard(member, this.#tick);
		this.#members.learn([member.id, 'alive', incarnation, member.id], member.id, this.#tick, this.#timing);
		for (const update of updates) this.#members.learn(update, member.id, this.#tick, this.#timing);
		for (const [index, row] of rows.entries()) {
			const isDiskFull = row[0] === member.id ? diskFull === true : undefined;
			// The incarnation of a process is never above the one that the member claims.
			const claimed = this.#members.get(row[0])?.claim.incarnation ?? 0;
			if (isDiskFull === undefined && row[1] > claimed + unclaimedMax) continue;
			this.#rows.learn(row, states?.[index] ?? undefined, this.#tick, this.#timing.stale, isDiskFull);
		}
	}

	#onAck(from: NodeId, seq: number, nowMs: number): void {
		const relay = this.#probes.answerRelay(seq, from);
		if (relay)
			return this.#send(relay.requester, {type: 'ack', seq: relay.requesterSeq}, this.#wayTo(relay.requester));
		const probe = this.#probes.find(seq, from);
		if (!probe) return;
		this.#probes.end(probe.target);
		this.#health.good();
		const member = this.#members.get(from);
		if (!member || probe.target !== from || probe.isRepeated || probe.sentAtMs === undefined) return;
		const sampleMs = Math.max(0, nowMs - probe.sentAtMs);
		// Smoothed as in TCP (RFC 6298).
		member.rttMs = member.rttMs === undefined ? sampleMs : member.rttMs + (sampleMs - member.rttMs) / 8;
	}

	#onPingRequest(from: NodeId, seq: number, target: NodeId): void {
		const relaySeq =
			this.#members.get(from) && this.#members.get(target)
				? this.#probes.relay(from, seq, target, this.#tick)
				: undefined;
		if (relaySeq === undefined) {
			this.#relaysRefused++;
			this.#send(from, {type: 'nack', seq}, this.#wayTo(from));
			return;
		}

		this.#sendPing(target, relaySeq, this.#wayTo(target));
	}

	/** A member that is not believed alive was heard: ping it now with the accusation, so that it can refute it. */
	#contact(member: Member): void {
		if (member.claim.standing === 'alive' || this.#tick - member.contactedTick < this.#timing.timeout) return;
		member.contactedTick = this.#tick;
		this.#ping(member);
	}

	// Ticks.

	/** Direct ping, then pings through relays and over the link, then suspicion. */
	#judgeProbe(probe: Probe): void {
		const member = this.#members.get(probe.target);
		if (!member) return this.#probes.end(probe.target);
		const age = this.#tick - probe.sinceTick;
		const isJudged = member.claim.standing === 'alive' || member.claim.standing === 'suspect';
		const isHeard = (member.heardTick ?? -1) >= probe.sinceTick;
		// It sends but does not answer: a packet was lost, or our packets do not reach it. It is alive, which is all
		// that a probe checks.
		if (isHeard && age >= this.#health.stretch(this.#timing.timeout)) return this.#probes.end(member.id);
		if (probe.silentRelays === undefined && age >= this.#health.stretch(this.#timing.timeout)) {
			probe.isRepeated = true;
			const relays = isJudged
				? this.#sample(
						other => other.id !== member.id && other.claim.standing === 'alive',
						this.#options.config.indirect,
					)
				: [];
			probe.silentRelays = new Set(relays);
			for (const relay of relays)
				this.#send(relay, {type: 'ping-req', seq: probe.seq, target: member.id}, this.#wayTo(relay));
			this.#sendPing(member.id, probe.seq, 'link');
		}

		if (age < this.#health.stretch(this.#timing.probe)) return;
		this.#probes.end(member.id);
		if (!isJudged) return;
		// A relay that did not even send a nack hints that the fault is on this node. Without relays nothing can be
		// concluded.
		if (probe.silentRelays && probe.silentRelays.size > 0) this.#health.bad();
		this.#members.suspect(member, this.#tick, this.#timing);
	}

	#tickRelays(): void {
		// Early enough for the requester (Lifeguard, section IV-A).
		const nackTicks = Math.max(1, Math.floor(this.#timing.timeout * 0.8));
		for (const [seq, relay] of this.#probes.relays()) {
			const age = this.#tick - relay.sinceTick;
			if (age >= 2 * this.#timing.probe) this.#probes.endRelay(seq);
			if (age < nackTicks || relay.hasNacked) continue;
			relay.hasNacked = true;
			this.#send(relay.requester, {type: 'nack', seq: relay.requesterSeq}, this.#wayTo(relay.requester));
		}
	}

	#judgeMember(member: Member): void {
		this.#members.settleDoubt(member, this.#tick, this.#timing);
		const {incarnation} = member.claim;
		if (member.refusedTick !== undefined && this.#tick - member.refusedTick >= this.#timing.probe) {
			member.refusedTick = undefined;
			if (!isDown(member))
				this.#members.believe(
					member,
					{standing: 'refused', incarnation, by: this.#self},
					this.#tick,
					this.#timing,
				);
		}

		const {suspicion} = member;
		const {timeout, probe} = this.#timing;
		if (!suspicion?.isOver(this.#tick + timeout)) return;
		// Its refutation may have missed only this node, and in a large cluster its next ping is far away: ask once
		// more.
		if (suspicion.askedTick === undefined) {
			suspicion.askedTick = this.#tick;
			this.#ping(member);
		}

		// Heard since it was suspected, so it is alive. Its refutation is on its way, or cannot reach this node.
		const isHeard = member.heardTick !== undefined && this.#tick - member.heardTick < probe;
		if (this.#tick - suspicion.askedTick >= timeout && suspicion.isOver(this.#tick) && !isHeard)
			this.#members.believe(member, {standing: 'dead', incarnation, by: this.#self}, this.#tick, this.#timing);
	}

	/** Updates our row, and broadcasts it after a change, because the sides depend on it. */
	#tickRow(sight: Omit<Sight, 'isHeard'> | undefined): void {
		const isHeard = (id: NodeId): boolean => {
			const member = this.#members.get(id);
			return member !== undefined && this.#isHearing(member);
		};

		if (
			this.#tick % this.#timing.look === 0 &&
			this.#rows.observe({...sight, isHeard}, this.#tick, this.#timing.refresh)
		)
			this.#isRowDue = true;
		if (!this.#isRowDue || this.#tick - this.#pushedTick < this.#timing.push) return;
		this.#isRowDue = false;
		this.#pushedTick = this.#tick;
		for (const to of this.#audience()) this.#send(to, {type: 'gossip'}, this.#wayTo(to));
	}

	#tickPartition(): void {
		if (this.#tick % this.#timing.look !== 0) return;
		const sides = this.#rows.isClear ? this.#wholeSides() : this.#sides();
		const change = this.#tracker.update(sides, this.#tick, this.#timing.debounce, far => this.#lastHeardTick(far));
		if (!change) return;
		this.#partitions.push(change);
		if (this.#partitions.length > partitionsMax) this.#partitions.shift();
	}

	/** Computes the sides; up to n² steps. */
	#sides(): Sides {
		return sidesOf({
			self: this.#self,
			order: this.#rows.order,
			isDown: id => this.#isDown(id),
			hears: (node, other) => this.#hears(node, other),
			heardLast: (node, other) => this.#rows.hears(node, other, this.#tick),
		});
	}

	/** The result of `sidesOf` while every member hears every other, which is the common case. */
	#wholeSides(): Sides {
		const {version} = this.#members;
		if (this.#whole?.version !== version)
			this.#whole = {version, sides: [this.#rows.order.filter(id => !this.#isDown(id))]};
		return this.#whole.sides;
	}

	#isDown(id: NodeId): boolean {
		const member = this.#members.get(id);
		return member !== undefined && isDown(member);
	}

	#lastHeardTick(ids: readonly NodeId[]): number {
		let last = 0;
		for (const id of ids) {
			const member = this.#members.get(id);
			if (member) last = Math.max(last, member.heardTick ?? member.addedTick);
		}

		return last;
	}

	/** A new member counts as heard for as long as a silence may last. */
	#isHearing(member: Member): boolean {
		return !isDown(member) && this.#tick - (member.heardTick ?? member.addedTick) < this.#timing.silent;
	}

	#hears(node: NodeId, other: NodeId): boolean | undefined {
		const member = this.#members.get(node);
		if (member && isDown(member)) return undefined;
		return this.#rows.hears(node, other, this.#tick, this.#timing.stale);
	}

	// Outgoing packets.

	/**
	Pings the member now. While a probe is running, the ping repeats its number. A datagram is always sent too, which
	shows when datagrams get through again.
	*/
	#ping(member: Member): void {
		let probe = this.#probes.of(member.id);
		if (probe) probe.isRepeated = true;
		else probe = this.#probes.start(member.id, this.#tick);
		this.#sendPing(member.id, probe.seq, 'datagram', probe);
		if (this.#wayTo(member.id) === 'datagram') return;
		probe.isRepeated = true;
		this.#sendPing(member.id, probe.seq, 'link');
	}

	/**
	The link, where it works and datagrams do not arrive, because rumours and rows would never get there. The report of
	the other end decides; without one, that of this node.
	*/
	#wayTo(id: NodeId): 'datagram' | 'link' {
		const hears = (node: NodeId, other: NodeId): boolean | undefined =>
			this.#rows.isAudible(node, other, this.#tick, this.#timing.stale);
		const isAudible = hears(id, this.#self) ?? hears(this.#self, id) ?? true;
		return isAudible || this.isLinked(this.#self, id) === false || this.isLinked(id, this.#self) === false
			? 'datagram'
			: 'link';
	}

	#sendPing(to: NodeId, seq: number, via: 'datagram' | 'link', stamps?: Probe): void {
		this.#send(to, {type: 'ping', seq, link: via === 'link'}, via, stamps);
	}

	#audience(): NodeId[] {
		const isThere = (member: Member): boolean => member.claim.standing !== 'left';
		return this.#sample(isThere, this.#rows.order.length <= broadcastMax ? broadcastMax : broadcastFew);
	}

	/** Up to `count` different members that are heard and match, each equally likely. */
	#sample(isWanted: (member: Member) => boolean, count: number): NodeId[] {
		const pool = [...this.#members.all()]
			.filter(member => this.#isHearing(member) && isWanted(member))
			.map(({id}) => id);
		const picked: NodeId[] = [];
		while (picked.length < count && pool.length > 0)
			picked.push(...pool.splice(this.#options.random.below(pool.length), 1));
		return picked;
	}

	#send(to: NodeId, message: Message, via: 'datagram' | 'link', stamps?: Probe): void {
		if (this.#outgoing.length >= outboxMax) {
			this.#outgoing.shift();
			this.#outboxDropped++;
		}

		this.#outgoing.push({to, message, via, stamps});
	}

	/** Adds rumours and rows to a packet, as many as fit. */
	#piggyback(to: NodeId, message: Message): SwimPacket {
		// A ping that tests a link carries nothing: it is sent often, and rumours and rows travel with other packets.
		if ('seq' in message && message.seq === linkSeq)
			return {...message, incarnation: this.#members.incarnation, updates: [], rows: []};
		const accusation = this.#members.accusation(to);
		const rumours = this.#updates.take(to, updatesMax - 1, this.#timing.transmissions);
		const updates = accusation ? [accusation, ...rumours] : rumours;
		const diskFull = this.#rows.isOwnDiskFull;
		const room = packetBytesMax - headBytesMax - updates.length * updateBytesMax - (diskFull ? diskFullBytes : 0);
		const {rows, states} = this.#rows.take(to, rowsMax, room, this.#tick, this.#timing.stale);
		return {
			...message,
			incarnation: this.#members.incarnation,
			updates,
			rows,
			...(states.length > 0 && {states}),
			...(diskFull && {diskFull}),
		};
	}
}
