/**
The state of each member as this node believes it. Raft decides membership; this module tracks liveness. Claims arrive
directly (every packet carries its sender's incarnation), as rumours, and from our own probes. The stronger claim wins
(`beats`). Only a member itself raises its incarnation, which refutes an accusation (SWIM, section 4.2).
*/
import type {NodeId} from '../message.ts';
import type {Health} from './health.ts';
import {JumpBounds} from './jump-bounds.ts';
import type {Timing} from './timing.ts';
import {beats, u32Max, type Standing, type Update, type Claim} from './packet.ts';
import {Suspicion} from './suspicion.ts';
import type {Updates} from './updates.ts';

export type MemberState = 'alive' | 'suspect' | 'dead' | 'left';

export type MemberChange = {readonly id: NodeId; readonly state: MemberState; readonly why: string};

export type Member = {
	readonly id: NodeId;
	readonly addedTick: number;
	claim: Claim;
	suspicion: Suspicion | undefined;
	/** Tick of the last packet directly from it. */
	heardTick: number | undefined;
	/** Smoothed round trip, in milliseconds. */
	rttMs: number | undefined;
	/** Tick at which its machine refused a connection, unless it was heard since. */
	refusedTick: number | undefined;
	/**
	An accusation by others while this node hears the member: it is pinged, and accused only if it then stays silent.
	*/
	doubt: Doubt | undefined;
	/** Tick of the last ping out of turn. */
	contactedTick: number;
};

export type Doubt = {claim: Claim; sinceTick: number};

/** The member's machine refuses connections. */
export const refusedReason = 'connection refused';

const states: Readonly<Record<Standing, MemberState>> = {
	alive: 'alive',
	suspect: 'suspect',
	dead: 'dead',
	refused: 'dead',
	left: 'left',
};
const reasons: Readonly<Record<Standing, string>> = {
	alive: '',
	suspect: 'no answer',
	dead: 'silent',
	refused: refusedReason,
	left: 'left',
};

export class Members {
	readonly #self: NodeId;
	readonly #health: Health;
	readonly #updates: Updates;
	readonly #members = new Map<NodeId, Member>();
	/** Members whose state may change with time alone. */
	readonly #pending = new Set<Member>();
	#changes: MemberChange[] = [];
	#doubted: Member[] = [];
	#incarnation: number;
	readonly jumps = new JumpBounds();
	isLeaving = false;
	/** Increases whenever a claim or the membership changes. */
	version = 0;

	constructor(self: NodeId, incarnation: number, health: Health, updates: Updates) {
		this.#self = self;
		this.#incarnation = incarnation;
		this.#health = health;
		this.#updates = updates;
	}

	/** This node's own incarnation; no other node raises it. */
	get incarnation(): number {
		return this.#incarnation;
	}

	get(id: NodeId): Member | undefined {
		return this.#members.get(id);
	}

	/** The other members, sorted by id. */
	all(): IterableIterator<Member> {
		return this.#members.values();
	}

	/** Members that are suspected, doubted or refused. Only their states change with time. */
	*pending(): Generator<Member> {
		for (const member of this.#pending) {
			if (member.suspicion || member.doubt || member.refusedTick !== undefined) yield member;
			else this.#pending.delete(member);
		}
	}

	/** Sets the agreed members except this node, sorted. New members count as alive until probes fail. */
	set(ids: readonly NodeId[], tick: number): void {
		this.version++;
		const former = new Map(this.#members);
		this.#members.clear();
		for (const id of ids) {
			this.#members.set(
				id,
				former.get(id) ?? {
					id,
					addedTick: tick,
					claim: {standing: 'alive', incarnation: 0, by: id},
					suspicion: undefined,
					heardTick: undefined,
					rttMs: undefined,
					refusedTick: undefined,
					doubt: undefined,
					contactedTick: -Infinity,
				},
			);
			former.delete(id);
		}

		for (const [id, member] of former) {
			this.#updates.delete(id);
			this.#pending.delete(member);
			this.jumps.forget(id);
		}
	}

	/** A packet arrived directly from the member. */
	heard(member: Member, tick: number): void {
		member.heardTick = tick;
		member.refusedTick = undefined;
	}

	/** The member's machine refused a connection. */
	refused(member: Member, tick: number): void {
		member.refusedTick = tick;
		this.#pending.add(member);
	}

	/** Handles a rumour that arrived from a member. */
	learn([id, standing, incarnation, by]: Update, from: NodeId, tick: number, timing: Timing): void {
		if (id === this.#self) return this.#learnAboutSelf(standing, incarnation, from);
		const member = this.#members.get(id);
		if (!member) return;
		const claim = {standing, incarnation, by};
		if (beats(claim, member.claim)) {
			if (id !== from && !this.jumps.accepts(from, 'hearsay', member.claim.incarnation, incarnation)) return;
			if (isAccusation(standing) && isLately(member, tick, timing)) return this.#doubt(member, claim, tick);
			return this.believe(member, claim, tick, timing);
		}

		if (beats(member.claim, claim)) {
			// The sender has an older claim: spread ours once more.
			if (member.claim.incarnation > 0 && !this.#updates.has(id)) this.#spread(member);
			return;
		}

		if (member.suspicion?.confirm(by)) this.#updates.put([id, standing, incarnation, by]);
	}

	/**
	Handles the rumours in a packet of a non-member, which may be a member that our log does not list yet. Only those
	about this node count, because no other node could refute them.
	*/
	learnAboutSelf(updates: readonly Update[], from: NodeId): void {
		for (const [id, standing, incarnation] of updates)
			if (id === this.#self) this.#learnAboutSelf(standing, incarnation, from);
	}

	/** This node could not reach the member. */
	suspect(member: Member, tick: number, timing: Timing): void {
		if (member.doubt) this.believe(member, member.doubt.claim, tick, timing);
		const {standing, incarnation} = member.claim;
		if (standing === 'alive')
			this.believe(member, {standing: 'suspect', incarnation, by: this.#self}, tick, timing);
		else if (member.suspicion?.confirm(this.#self))
			this.#updates.put([member.id, 'suspect', incarnation, this.#self]);
	}

	/** Adopts a claim and spreads it. The caller has checked that it is stronger than the present one. */
	believe(member: Member, claim: Claim, tick: number, timing: Timing): void {
		const former = member.claim.standing;
		member.claim = claim;
		this.version++;
		if (member.doubt && !beats(member.doubt.claim, claim)) member.doubt = undefined;
		member.suspicion = claim.standing === 'suspect' ? new Suspicion(tick, claim.by, timing) : undefined;
		if (member.suspicion) this.#pending.add(member);
		this.#spread(member);
		if (former !== claim.standing) this.#changes.push({id: member.id, ...stateOf(member)});
	}

	/** Spreads a goodbye. Only a later incarnation of this node overrides it. */
	leave(): void {
		this.isLeaving = true;
		this.#updates.put([this.#self, 'left', this.#incarnation, this.#self]);
	}

	/** The accusation against a member, sent to the member itself because only it can refute the claim. */
	accusation(id: NodeId): Update | undefined {
		const member = this.#members.get(id);
		const claim = member?.doubt?.claim ?? member?.claim;
		return claim && claim.standing !== 'alive' ? [id, claim.standing, claim.incarnation, claim.by] : undefined;
	}

	/** Ends a doubt: a member that was heard meanwhile is pinged again; otherwise the accusation is believed. */
	settleDoubt(member: Member, tick: number, timing: Timing): void {
		const {doubt} = member;
		if (!doubt || tick - doubt.sinceTick < timing.probe) return;
		if (member.heardTick !== undefined && member.heardTick > doubt.sinceTick) {
			doubt.sinceTick = tick;
			this.#doubted.push(member);
		} else this.believe(member, doubt.claim, tick, timing);
	}

	/** Members to ping now because of a new accusation. */
	takeDoubted(): readonly Member[] {
		if (this.#doubted.length === 0) return none;
		const doubted = this.#doubted;
		this.#doubted = [];
		return doubted;
	}

	takeChanges(): readonly MemberChange[] {
		const changes = this.#changes;
		this.#changes = [];
		return changes;
	}

	hasChanges(): boolean {
		return this.#changes.length > 0;
	}

	#learnAboutSelf(standing: Standing, incarnation: number, from: NodeId): void {
		if (this.isLeaving || !this.jumps.accepts(from, 'refuted', this.#incarnation, incarnation)) return;
		if (standing === 'alive') {
			// An earlier incarnation of this node had to refute something.
			this.#incarnation = Math.max(this.#incarnation, incarnation);
			return;
		}

		if (incarnation >= this.#incarnation) {
			// Exceed the accusation, not only our own number: a rumour about an earlier incarnation may carry a higher
			// one.
			this.#incarnation = Math.min(incarnation + 1, u32Max);
			this.#health.bad(); // Other members could not reach this node in time.
		}

		this.#updates.put([this.#self, 'alive', this.#incarnation, this.#self]);
	}

	/**
	Doubts an accusation. After a partition heals, each side accuses the members of the other, although some nodes hear
	them again.
	*/
	#doubt(member: Member, claim: Claim, tick: number): void {
		if (member.doubt) {
			if (beats(claim, member.doubt.claim)) member.doubt.claim = claim;
			return;
		}

		member.doubt = {claim, sinceTick: tick};
		this.#pending.add(member);
		this.#doubted.push(member);
	}

	#spread({id, claim}: Member): void {
		this.#updates.put([id, claim.standing, claim.incarnation, claim.by]);
	}
}

const none: readonly Member[] = [];

function isAccusation(standing: Standing): boolean {
	return standing === 'suspect' || standing === 'dead' || standing === 'refused';
}

/** Whether the member was heard within the time in which a ping was due. */
function isLately({heardTick}: Member, tick: number, {probe, pair}: Timing): boolean {
	return heardTick !== undefined && tick - heardTick < Math.max(probe, pair);
}

/** Whether the process is known not to run: its machine refused a connection, or it said goodbye. */
export function isDown({claim}: Member): boolean {
	return claim.standing === 'refused' || claim.standing === 'left';
}

export function standingOf({claim}: Member): MemberState {
	return states[claim.standing];
}

export function stateOf({claim}: Member): {readonly state: MemberState; readonly why: string} {
	return {state: states[claim.standing], why: reasons[claim.standing]};
}
