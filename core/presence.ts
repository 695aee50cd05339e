/**
Who is there: gives SWIM its time and packets, turns what it finds into events, and follows a partition from its detection over
the heal until what the sides missed of one another has been repaired.
*/
import type {Config} from './config.ts';
import type {Random} from './machine.ts';
import type {NodeId} from './message.ts';
import type {BrokerEvent, MemberState} from './observe/events.ts';
import type {PartitionSnapshot} from './observe/snapshot.ts';
import type {Datagrams, Links} from './ports.ts';
import {quorumSide} from './swim/partition.ts';
import type {SwimPacket} from './swim/packet.ts';
import {refusedReason} from './swim/members.ts';
import {createSwim, type Swim, type SwimMember} from './swim/swim.ts';
import {encodeControl} from './wire.ts';

export type PresenceOptions = {
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
	/** Messages published here so far. */
	readonly published: () => number;
	/** Compare with these peers what each side has. */
	readonly resync: (peers: readonly NodeId[]) => void;
};

export type PresentMember = {readonly id: NodeId; readonly state: MemberState; readonly why: string; readonly incarnation: number; readonly rttMs: number | undefined; readonly heardMsAgo: number | undefined; readonly downMs: number | undefined};

export class Presence {
	readonly #options: PresenceOptions;
	readonly #swim: Swim;
	/** Peers of the far side whose digest is still to be exchanged after a heal. */
	readonly #unrepaired = new Set<NodeId>();
	/** When each member that is not alive was found so. */
	readonly #downAtMs = new Map<NodeId, number>();
	#backlog = 0;
	#sinceMs: number;
	#detectedMs: number | undefined;
	#healedMs: number | undefined;
	#repairedMs: number | undefined;
	#publishedBefore = 0;

	constructor(options: PresenceOptions) {
		const {self, incarnation, random, tickMs, config, nowMs} = options;
		this.#options = options;
		this.#sinceMs = nowMs();
		this.#swim = createSwim({id: self, incarnation, random, tickMs, config: config.swim});
	}

	setMembers(members: readonly NodeId[]): void {
		this.#swim.setMembers(members);
		for (const id of this.#unrepaired) if (!members.includes(id)) this.#unrepaired.delete(id);
		for (const id of this.#downAtMs.keys()) if (!members.includes(id)) this.#downAtMs.delete(id);
	}

	/** A packet came directly from this peer. */
	heard(from: NodeId): void {
		this.#swim.heard(from);
	}

	step(from: NodeId, packet: SwimPacket): void {
		this.#swim.step(from, packet, this.#options.nowMs());
		this.#carryOut();
	}

	link(peer: NodeId, change: 'up' | 'down' | 'refused'): void {
		if (change === 'up') this.#swim.linkUp(peer);
		else if (change === 'refused') this.#swim.linkRefused(peer);
		this.#carryOut();
	}

	tick(): void {
		this.#swim.tick();
		this.#carryOut();
	}

	leave(): void {
		this.#swim.leave();
		this.#carryOut();
	}

	/** Heard directly within the last while. */
	isReachable(node: NodeId): boolean {
		return this.#swim.isHeard(node);
	}

	/** What this peer had has been pulled. */
	synced(peer: NodeId, messages: number): void {
		this.#backlog += messages;
		if (this.#unrepaired.delete(peer)) this.#maybeRepaired();
	}

	members(): readonly PresentMember[] {
		const {tickMs, nowMs} = this.#options;
		return this.#swim.status().members.map(({id, state: standing, why, incarnation, rttMs, heardTicksAgo}) => {
			const state = memberState(standing, why);
			const downAtMs = this.#downAtMs.get(id);
			return {
				id, state, why, incarnation, rttMs,
				heardMsAgo: heardTicksAgo === undefined ? undefined : heardTicksAgo * tickMs,
				downMs: downAtMs === undefined ? undefined : Math.round(nowMs() - downAtMs),
			};
		});
	}

	view(): PartitionSnapshot {
		const {voters, nowMs, published} = this.#options;
		const {matrix: {order, sees}, partition: {state, sides}} = this.#swim.status();
		return {
			state, sides, order, sees,
			quorum: quorumSide(sides, voters()),
			sinceMs: Math.max(0, nowMs() - this.#sinceMs),
			detectedMs: this.#detectedMs, healedMs: this.#healedMs, repairedMs: this.#repairedMs,
			backlog: this.#backlog,
			waiting: state === 'partitioned' ? published() - this.#publishedBefore : 0,
		};
	}

	#carryOut(): void {
		const {nowMs, links, datagrams, address, emit} = this.#options;
		const ready = this.#swim.ready(nowMs());
		if (!ready) return;
		for (const {to, packet, via} of ready.packets) {
			const frame = encodeControl('swim', packet);
			const at = address(to);
			if (via === 'datagram' && at !== undefined) datagrams.send(at, frame, to);
			else if (via === 'link') links.send(to, [frame]);
		}

		for (const {id, state, why} of ready.changes) {
			if (state === 'alive') this.#downAtMs.delete(id);
			else if (!this.#downAtMs.has(id)) this.#downAtMs.set(id, nowMs());
			// What a connection to a silent peer still holds would come after TCP's next retry, which may be a minute away.
			if (state === 'alive') links.hint(id);
			else if (state === 'dead' && links.state(id).state === 'up') links.drop(id, why === '' ? 'silent' : why);

			emit({type: 'member', id, address: address(id) ?? '', state: memberState(state, why)});
		}

		if (ready.partition) this.#onPartition(ready.partition);
	}

	#onPartition({state, sides, tookTicks}: {readonly state: 'detected' | 'healed'; readonly sides: ReadonlyArray<readonly NodeId[]>; readonly tookTicks: number}): void {
		const {voters, tickMs, emit, nowMs, published} = this.#options;
		const tookMs = tookTicks * tickMs;
		if (state === 'detected') {
			if (this.#unrepaired.size === 0 || this.#detectedMs === undefined) this.#publishedBefore = published();
			this.#unrepaired.clear();
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
		emit({type: 'partition', state, sides, quorum: quorumSide(sides, voters()), tookMs});
		if (state === 'healed') this.#options.resync([...this.#unrepaired]);
		this.#maybeRepaired();
	}

	#maybeRepaired(): void {
		const {sides, state} = this.#swim.status().partition;
		if (state !== 'repairing' || this.#unrepaired.size > 0 || !this.#swim.repaired()) return;
		const {nowMs, emit, voters} = this.#options;
		this.#repairedMs = Math.round(nowMs() - this.#sinceMs);
		this.#sinceMs = nowMs();
		emit({type: 'partition', state: 'repaired', sides, quorum: quorumSide(sides, voters()), tookMs: this.#repairedMs, messages: this.#backlog});
	}
}

/** Failure detection only knows that a member is dead; a refused connection says more than silence. */
function memberState(state: SwimMember['state'], why: string): MemberState {
	if (state !== 'dead') return state;
	return why === refusedReason ? 'down' : 'unreachable';
}
