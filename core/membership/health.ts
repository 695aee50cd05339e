/**
Joins what failure detection, the links, the rows of all nodes and Raft know of the members, and keeps what was
concluded (`reachability.ts`) until there is evidence for something else. Gives SWIM what this node's own row says, says
which links need a probe, and through whom a member is reached.
*/
import type {MemberState} from '../events.ts';
import type {Random} from '../machine.ts';
import type {NodeId} from '../message.ts';
import type {Called, Links, LinkState} from '../ports.ts';
import type {MemberState as Standing} from '../swim/members.ts';
import {Ring} from '../swim/probe.ts';
import type {Report, Sight} from '../swim/rows.ts';
import type {Swim} from '../swim/swim.ts';
import {Evidence, isLinkHeard, unheardMs, type Channel} from './evidence.ts';
import {PairFaults, type PairFault} from './pair-faults.ts';
import {assess, type Assessment, type MemberFacts} from './reachability.ts';

/** What Raft knows. */
export type RaftFacts = Report & {
	readonly commit: number;
	/** Leader only: how far the log of each peer matches. */
	readonly matches: ReadonlyArray<{readonly id: NodeId; readonly match: number}>;
};

export type HealthOptions = {
	readonly self: NodeId;
	readonly swim: Swim;
	readonly random: Random;
	readonly tickMs: number;
	readonly links: Pick<Links, 'state' | 'called' | 'tryCall'>;
	readonly address: (id: NodeId) => string | undefined;
	readonly raft: () => RaftFacts;
	/** For people. */
	readonly name: (id: NodeId) => string;
};

export type Change = Assessment & {readonly id: NodeId};

/** An election takes about a second: without a leader for longer, a member has a problem of its own. */
const leaderlessMs = 2000;
/** Refusals of a process that is not the member: no relay reaches it there. */
const strangerCodes: ReadonlySet<string> = new Set(['cluster', 'identity']);
/** A log that stood still for so long, and lacks entries, is stuck rather than slow. */
const stuckMs = 3000;
/** How long the verdict on a member waits for the outcome of a call to it. */
const callMs = 3000;
const works: Called = {state: 'works'};
const alive: Assessment = {state: 'alive', why: '', cause: '', key: ''};

export class Health {
	readonly evidence = new Evidence();
	readonly #options: HealthOptions;
	readonly #pairs = new PairFaults();
	readonly #ring: Ring;
	readonly #found = new Map<NodeId, Assessment>();
	/** What failure detection said at the last look. */
	readonly #standings = new Map<NodeId, Standing>();
	#members: readonly NodeId[] = [];
	/** When each link was looked at last, for whether something came over it since. */
	readonly #lookedMs = new Map<NodeId, number>();
	/** Since when it is to be known whether a member can be called. */
	readonly #askedMs = new Map<NodeId, number>();
	/** Members on whom nothing is concluded before a call to them has an outcome. */
	#awaited: ReadonlySet<NodeId> = new Set();
	#ticks = 0;
	#readTicks = -Infinity;
	/** What is agreed, and whether somebody leads, by the word of any member. */
	#agreed = 0;
	#isLed = false;
	#nowMs = 0;
	readonly sight: Omit<Sight, 'isHeard'>;

	constructor(options: HealthOptions) {
		this.#options = options;
		this.#ring = new Ring(options.random);
		this.sight = {
			isLinked: id => this.#hasBenefit(id, 'link'),
			isAudible: id => this.#hasBenefit(id, 'datagram'),
			report: () => options.raft(),
		};
	}

	setMembers(members: readonly NodeId[], nowMs: number): void {
		if (members.length === this.#members.length && members.every((id, index) => id === this.#members[index]))
			return;
		this.#members = members;
		this.#nowMs = nowMs;
		this.evidence.setMembers(members, nowMs);
		this.#ring.set(members.filter(id => id !== this.#options.self));
		const wanted = new Set(members);
		for (const known of [this.#found, this.#lookedMs, this.#standings, this.#askedMs])
			for (const id of known.keys()) if (!wanted.has(id)) known.delete(id);
		// Newcomers have the benefit of the doubt.
		for (const id of members) if (!this.#found.has(id)) this.#found.set(id, alive);
	}

	/** Pairs of members that do not reach each other, for long enough to say so. */
	get faults(): readonly PairFault[] {
		return this.#pairs.faults;
	}

	of(id: NodeId): Assessment {
		return this.#found.get(id) ?? alive;
	}

	heard(peer: NodeId, channel: Channel, nowMs: number): void {
		this.#nowMs = nowMs;
		this.evidence.heard(peer, channel, nowMs);
	}

	/** Give time. Those of the returned links carried nothing lately: they are to be pinged. */
	tick(nowMs: number): readonly NodeId[] {
		this.#nowMs = nowMs;
		const {swim, links} = this.#options;
		const idle: NodeId[] = [];
		for (const id of this.#ring.turns(swim.timing.pair)) {
			const known = this.evidence.of(id);
			const lookedMs = this.#lookedMs.get(id) ?? 0;
			this.#lookedMs.set(id, nowMs);
			if (known && (known.heardMs.link ?? 0) <= lookedMs && links.state(id).state === 'up') idle.push(id);
		}

		return idle;
	}

	/** Look at all members, every so many ticks; what is found anew is returned. */
	look(nowMs: number): readonly Change[] {
		const {swim, raft} = this.#options;
		this.#nowMs = nowMs;
		if (this.#ticks++ % swim.timing.look !== 0) return [];
		this.#pairs.update(
			swim.complaints(),
			id => this.#isPresent(id),
			nowMs,
			this.#silentMs,
			id => id === this.#options.self || swim.standing(id) === 'alive',
		);
		// Reports come with new versions of the rows: more often there is nothing to learn.
		if (this.#ticks - this.#readTicks >= swim.timing.refresh) this.#read(raft(), nowMs);
		this.#awaited = new Set(this.#members.filter(id => this.#isBeingCalled(id, nowMs)));
		const changes: Change[] = [];
		for (const id of this.#members) {
			const former = this.#found.get(id) ?? alive;
			if (former === alive && this.#isWell(id, nowMs)) continue;
			if (this.#awaited.has(id)) continue;
			const found = assess(this.#factsOf(id, former.state, nowMs));
			this.#found.set(id, found.state === 'alive' ? alive : found);
			if (former.state !== found.state || former.key !== found.key) changes.push({id, ...found});
		}

		return changes;
	}

	/** Take in what the members report of themselves. */
	#read(facts: RaftFacts, nowMs: number): void {
		const {swim, self} = this.#options;
		this.#readTicks = this.#ticks;
		this.#agreed = facts.commit;
		this.#isLed = facts.leader !== undefined;
		const reports = new Map<NodeId, Report>();
		for (const id of this.#members) {
			const report = id === self ? facts : swim.report(id);
			if (!report) continue;
			reports.set(id, report);
			this.#agreed = Math.max(this.#agreed, report.applied);
			this.#isLed ||= id !== self && report.leader !== undefined && report.term >= facts.term;
		}

		for (const [id, {applied, leader}] of reports) {
			this.evidence.progress(id, applied, this.#agreed, nowMs);
			this.evidence.follows(id, leader !== undefined, nowMs);
		}

		// A peer of protocol 1 reports nothing; its leader knows its log.
		for (const {id, match} of facts.matches)
			if (!reports.has(id)) this.evidence.progress(id, match, this.#agreed, nowMs);
	}

	/**
	A member that opened its link itself, and gets no datagrams or sends none, may have told a wrong address: a call
	shows it, and is waited for.
	*/
	#isBeingCalled(id: NodeId, nowMs: number): boolean {
		const {self, links} = this.#options;
		const {state} = links.called(id);
		const isInDoubt =
			id !== self &&
			(state === 'failed' ||
				(this.#pairs.of(id).some(({between, datagram}) => datagram && between.includes(self)) &&
					this.isLinked(id)));
		if (!isInDoubt) {
			this.#askedMs.delete(id);
			return false;
		}

		if (state !== 'works') links.tryCall(id);
		const askedMs = this.#askedMs.get(id) ?? nowMs;
		this.#askedMs.set(id, askedMs);
		return state === 'untried' && nowMs - askedMs < callMs;
	}

	/** Nearly always so, and then nothing is to be judged. */
	#isWell(id: NodeId, nowMs: number): boolean {
		const {self, swim, links} = this.#options;
		if (
			this.#pairs.of(id).length > 0 ||
			links.called(id).state === 'failed' ||
			(id !== self && (swim.standing(id) !== 'alive' || !this.isLinked(id)))
		)
			return false;
		const {leaderlessMs: noLeaderMs, applied, movedMs} = this.evidence.of(id)!;
		return (
			noLeaderMs === undefined && (applied === undefined || applied >= this.#agreed || nowMs - movedMs < stuckMs)
		);
	}

	/** `self` when no detour is needed, the member that serves it else; `undefined` when it is not reached. */
	reach(id: NodeId): NodeId | undefined {
		const {self} = this.#options;
		const standing = this.#options.swim.standing(id);
		// It said that it stops: what was heard over its link before counts no more.
		if (standing === 'left') return undefined;
		if (id === self || this.isLinked(id)) return self;
		if (standing === undefined || standing === 'dead') return undefined;
		// Another process answers at its address, and nobody leads to the member through that.
		if (strangerCodes.has(this.#options.links.state(id).code ?? '')) return undefined;
		return this.#members.find(
			relay => relay !== self && relay !== id && this.isLinked(relay) && this.#joins(relay, id),
		);
	}

	/** The link to it works: something came over it lately, and its own row does not complain. */
	isLinked(id: NodeId): boolean {
		const {swim, self} = this.#options;
		const known = this.evidence.of(id);
		return (
			known !== undefined && isLinkHeard(known, this.#nowMs, this.#silentMs) && swim.isLinked(id, self) !== false
		);
	}

	/** A member that links both ends of a pair. */
	relayBetween([one, other]: readonly [NodeId, NodeId]): NodeId | undefined {
		const {self} = this.#options;
		const links = (relay: NodeId, end: NodeId): boolean =>
			relay === self ? this.isLinked(end) : end === self ? this.isLinked(relay) : this.#joins(relay, end);
		return this.#members.find(
			relay =>
				relay !== one && relay !== other && this.#isPresent(relay) && links(relay, one) && links(relay, other),
		);
	}

	/** Whether round trips succeeded lately: an older measurement says nothing of now. */
	isMeasured(id: NodeId): boolean {
		const roundTripMs = this.evidence.of(id)?.roundTripMs.datagram;
		return roundTripMs !== undefined && this.#nowMs - roundTripMs < 2 * this.#silentMs;
	}

	get #silentMs(): number {
		return this.#options.swim.timing.silent * this.#options.tickMs;
	}

	#isPresent(id: NodeId): boolean {
		if (id === this.#options.self) return true;
		const standing = this.#options.swim.standing(id);
		return standing === 'alive' || standing === 'suspect';
	}

	/** By its row `relay` has a working link to `end`, and `end` does not deny it. */
	#joins(relay: NodeId, end: NodeId): boolean {
		const {swim} = this.#options;
		return this.#isPresent(relay) && swim.isLinked(relay, end) === true && swim.isLinked(end, relay) !== false;
	}

	/** For the own row: heard lately, or too new to be missed. */
	#hasBenefit(id: NodeId, channel: Channel): boolean {
		const known = this.evidence.of(id);
		return !known || unheardMs(known, channel, this.#nowMs) < this.#silentMs;
	}

	#factsOf(id: NodeId, former: MemberState, nowMs: number): MemberFacts {
		const {self, swim, links, name} = this.#options;
		const isSelf = id === self;
		const member = isSelf ? undefined : swim.member(id);
		const standing = member?.state ?? 'alive';
		const known = this.evidence.of(id)!;
		const wasStanding = this.#standings.get(id);
		if (standing === 'alive') this.#standings.delete(id);
		else this.#standings.set(id, standing);
		if (standing === 'alive' && (wasStanding === 'dead' || wasStanding === 'left'))
			this.evidence.returned(id, nowMs);
		const reach = isSelf ? self : this.reach(id);
		const faults = this.#pairs
			.of(id)
			.filter(({between, blamed}) => blamed.includes(id) || (!isSelf && between.includes(self)))
			// No datagram gets to an address that is wrong, whoever sends it.
			.filter(
				({between, link}) =>
					link ||
					!between.some(
						end =>
							end !== id &&
							end !== self &&
							(this.#awaited.has(end) || links.called(end).state === 'failed'),
					),
			);
		const cut = reach === self ? faults.find(({link}) => link) : undefined;
		const reportMs = 2 * swim.timing.refresh * this.#options.tickMs;
		const {leaderlessMs: noLeaderMs, movedMs, applied} = known;
		const leaderlessForMs = this.#isLed && noLeaderMs !== undefined ? nowMs - noLeaderMs : 0;
		const isStuck =
			applied !== undefined && applied < this.#agreed && nowMs - movedMs >= Math.max(stuckMs, 2 * reportMs);
		const unlinkedMs = unheardMs(known, 'link', nowMs);
		const silentMs = unheardMs(known, 'datagram', nowMs);
		return {
			id,
			observer: self,
			name,
			former,
			standing,
			self: isSelf,
			standingWhy: member?.why ?? '',
			unlinkedMs,
			silentMs,
			unheardMs: Math.min(unlinkedMs, silentMs),
			isLinked: isSelf || this.isLinked(id),
			limitMs: 2 * this.#silentMs + swim.timing.look * this.#options.tickMs,
			called: isSelf ? works : links.called(id),
			address: this.#options.address(id) ?? '',
			isDeafToAll:
				this.#pairs.of(id).filter(({datagram}) => datagram).length >=
				this.#members.filter(other => other !== id && this.#isPresent(other)).length,
			failure: isSelf ? undefined : failureOf(links.state(id)),
			via: reach === self ? cut && this.relayBetween(cut.between) : reach,
			faults,
			leaderlessMs: leaderlessForMs >= Math.max(leaderlessMs, reportMs) ? leaderlessForMs : undefined,
			behind: isStuck ? this.#agreed - applied : undefined,
		};
	}
}

function failureOf({state, why, code}: LinkState): MemberFacts['failure'] {
	return state === 'up' || code === undefined || code === '' ? undefined : {code, reason: why};
}
