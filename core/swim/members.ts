/**
What this node believes of the others, and how it changes its mind. Whom there is to believe something of is agreed
elsewhere; here is only who lives. Words come directly (every packet says its sender's incarnation), as rumours, and
from our own probes; the stronger word wins (`beats`), and only a member itself can raise its incarnation and so take an
accusation back (SWIM, section 4.2).
*/
import type {NodeId} from '../message.ts';
import type {Health} from './health.ts';
import type {Timing} from './pace.ts';
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
	/** The last packet directly from it. */
	heardTick: number | undefined;
	/** Smoothed over the last few round trips. */
	rttMs: number | undefined;
	/** Its machine refused a connection then, and it was not heard since. */
	refusedTick: number | undefined;
	/** An accusation by others that our own ears contradict: it is asked, and believed only if it then stays silent. */
	doubt: Doubt | undefined;
	/** The last ping out of turn. */
	contactedTick: number;
};

export type Doubt = {claim: Claim; sinceTick: number};

/** Its machine refuses connections. */
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
	/** Those that time alone may change. */
	readonly #restless = new Set<Member>();
	#changes: MemberChange[] = [];
	#doubted: Member[] = [];
	#incarnation: number;
	isLeaving = false;
	/** Moves whenever the word about a member changes, or who is one. */
	version = 0;

	constructor(self: NodeId, incarnation: number, health: Health, updates: Updates) {
		this.#self = self;
		this.#incarnation = incarnation;
		this.#health = health;
		this.#updates = updates;
	}

	/** This node's own: it alone raises it. */
	get incarnation(): number {
		return this.#incarnation;
	}

	get(id: NodeId): Member | undefined {
		return this.#members.get(id);
	}

	/** The others, sorted by id. */
	all(): IterableIterator<Member> {
		return this.#members.values();
	}

	/** Those that are suspected, doubted or refused: in time something comes of it. Of all others nothing. */
	*restless(): Generator<Member> {
		for (const member of this.#restless) {
			if (member.suspicion || member.doubt || member.refusedTick !== undefined) yield member;
			else this.#restless.delete(member);
		}
	}

	/** The agreed members but this node, sorted. Newcomers count as alive until probes say otherwise. */
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
			this.#restless.delete(member);
		}
	}

	/** A packet came directly from it, now. */
	heard(member: Member, tick: number): void {
		member.heardTick = tick;
		member.refusedTick = undefined;
	}

	/** Its machine refused a connection, now. */
	refused(member: Member, tick: number): void {
		member.refusedTick = tick;
		this.#restless.add(member);
	}

	/** A rumour came in. */
	learn([id, standing, incarnation, by]: Update, tick: number, pace: Timing): void {
		if (id === this.#self) return this.#hearOfSelf(standing, incarnation);
		const member = this.#members.get(id);
		if (!member) return;
		const word = {standing, incarnation, by};
		if (beats(word, member.claim)) {
			if (isAccusation(standing) && isLately(member, tick, pace)) return this.#doubt(member, word, tick);
			return this.believe(member, word, tick, pace);
		}

		if (beats(member.claim, word)) {
			// Somebody is behind: tell what is known here once more.
			if (member.claim.incarnation > 0 && !this.#updates.has(id)) this.#tell(member);
			return;
		}

		if (member.suspicion?.confirm(by)) this.#updates.put([id, standing, incarnation, by]);
	}

	/**
	What one says that this node does not know, a member of whom its young log has not heard yet: of this node it
	counts, which nobody else could take back. Of others it does not.

	*/
	hearOfSelf(updates: readonly Update[]): void {
		for (const [id, standing, incarnation] of updates)
			if (id === this.#self) this.#hearOfSelf(standing, incarnation);
	}

	/** This node failed to reach the member. */
	suspect(member: Member, tick: number, pace: Timing): void {
		if (member.doubt) this.believe(member, member.doubt.claim, tick, pace);
		const {standing, incarnation} = member.claim;
		if (standing === 'alive') this.believe(member, {standing: 'suspect', incarnation, by: this.#self}, tick, pace);
		else if (member.suspicion?.confirm(this.#self))
			this.#updates.put([member.id, 'suspect', incarnation, this.#self]);
	}

	/** Take on a word and pass it on. The caller has made sure that it is stronger than the one before. */
	believe(member: Member, word: Claim, tick: number, pace: Timing): void {
		const former = member.claim.standing;
		member.claim = word;
		this.version++;
		if (member.doubt && !beats(member.doubt.claim, word)) member.doubt = undefined;
		member.suspicion = word.standing === 'suspect' ? new Suspicion(tick, word.by, pace) : undefined;
		if (member.suspicion) this.#restless.add(member);
		this.#tell(member);
		if (former !== word.standing) this.#changes.push({id: member.id, ...stateOf(member)});
	}

	/** Say goodbye: nobody takes that back but a next life of this node. */
	leave(): void {
		this.isLeaving = true;
		this.#updates.put([this.#self, 'left', this.#incarnation, this.#self]);
	}

	/** The word about a member that it has to know of, because only the member itself can take it back. */
	accusation(id: NodeId): Update | undefined {
		const member = this.#members.get(id);
		const word = member?.doubt?.claim ?? member?.claim;
		return word && word.standing !== 'alive' ? [id, word.standing, word.incarnation, word.by] : undefined;
	}

	/** Doubts grow old: ask again whom was heard meanwhile, believe it of the others. */
	settleDoubt(member: Member, tick: number, pace: Timing): void {
		const {doubt} = member;
		if (!doubt || tick - doubt.sinceTick < pace.probe) return;
		if (member.heardTick !== undefined && member.heardTick > doubt.sinceTick) {
			doubt.sinceTick = tick;
			this.#doubted.push(member);
		} else this.believe(member, doubt.claim, tick, pace);
	}

	/** Members to be pinged now, since an accusation against them came in. */
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

	#hearOfSelf(standing: Standing, incarnation: number): void {
		if (this.isLeaving) return;
		if (standing === 'alive') {
			// Of an earlier life that had to defend itself.
			this.#incarnation = Math.max(this.#incarnation, incarnation);
			return;
		}

		if (incarnation >= this.#incarnation) {
			// Beat the accusation, not only our last word: a rumour about an earlier life may carry a higher number.
			this.#incarnation = Math.min(incarnation + 1, u32Max);
			this.#health.bad(); // Others could not reach us in time.
		}

		this.#updates.put([this.#self, 'alive', this.#incarnation, this.#self]);
	}

	/**
	At the heal of a partition each side says of the other's members that they are dead; those who hear them know
	better.
	*/
	#doubt(member: Member, word: Claim, tick: number): void {
		if (member.doubt) {
			if (beats(word, member.doubt.claim)) member.doubt.claim = word;
			return;
		}

		member.doubt = {claim: word, sinceTick: tick};
		this.#restless.add(member);
		this.#doubted.push(member);
	}

	#tell({id, claim: word}: Member): void {
		this.#updates.put([id, word.standing, word.incarnation, word.by]);
	}
}

const none: readonly Member[] = [];

function isAccusation(standing: Standing): boolean {
	return standing === 'suspect' || standing === 'dead' || standing === 'refused';
}

/** Heard when it could be expected to be, at the latest. */
function isLately({heardTick}: Member, tick: number, {probe, pair}: Timing): boolean {
	return heardTick !== undefined && tick - heardTick < Math.max(probe, pair);
}

/** The process is known not to run: its machine said so, or it said goodbye. */
export function isDown({claim: word}: Member): boolean {
	return word.standing === 'refused' || word.standing === 'left';
}

export function standingOf({claim: word}: Member): MemberState {
	return states[word.standing];
}

export function stateOf({claim: word}: Member): {readonly state: MemberState; readonly why: string} {
	return {state: states[word.standing], why: reasons[word.standing]};
}
