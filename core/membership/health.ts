/**
The state of each member. Joins the evidence of failure detection, the links, the reachability rows of all nodes, and
Raft. Keeps each assessment (`reachability.ts`) until newer evidence changes it. Provides the content of this node's own
row to SWIM, selects the links to ping, and selects relays for members without a direct link.
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

/** What Raft knows of this node and its peers. */
export type RaftFacts = Report & {
	readonly commit: number;
	/** Leader only: the highest index at which the log of each peer matches. */
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
	/** Whether the disk of this node is full. */
	readonly isDiskFull: () => boolean;
	/** A readable name for messages. */
	readonly name: (id: NodeId) => string;
};

export type Change = Assessment & {readonly id: NodeId};

/** An election takes about a second: without a leader for longer, a member has a problem of its own. */
const leaderlessMs = 2000;
/**
The handshake refused the process at the member's address because it is not the member, so no relay leads through it.
*/
const wrongNodeCodes: ReadonlySet<string> = new Set(['cluster', 'identity']);
/** A log that lacks entries and has not advanced for this long is stuck rather than slow. */
const stuckMs = 3000;
/** How long the assessment of a member waits for the outcome of a call to its address. */
const callMs = 3000;
const works: Called = {state: 'works'};
const alive: Assessment = {state: 'alive', why: '', cause: '', key: ''};

export class Health {
	readonly evidence = new Evidence();
	readonly #options: HealthOptions;
	readonly #pairs = new PairFaults();
	readonly #ring: Ring;
	readonly #assessments = new Map<NodeId, Assessment>();
	/** The SWIM state of each member that was not alive at the last check. */
	readonly #formerStandings = new Map<NodeId, Standing>();
	#members: readonly NodeId[] = [];
	/** When each link was last checked for traffic. */
	readonly #checkedMs = new Map<NodeId, number>();
	/** Since when this node has needed to know whether a member can be called. */
	readonly #calledMs = new Map<NodeId, number>();
	/** Members that are not assessed until a call to them has an outcome. */
	#awaitingCall: ReadonlySet<NodeId> = new Set();
	#ticks = 0;
	#readTicks = -Infinity;
	/** The highest index known to be committed, and whether any member reports a leader. */
	#commit = 0;
	#hasLeader = false;
	#nowMs = 0;
	readonly sight: Omit<Sight, 'isHeard'>;

	constructor(options: HealthOptions) {
		this.#options = options;
		this.#ring = new Ring(options.random);
		this.sight = {
			isLinked: id => this.#isHeardOrNew(id, 'link'),
			isAudible: id => this.#isHeardOrNew(id, 'datagram'),
			report: () => options.raft(),
			isDiskFull: () => options.isDiskFull(),
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
		for (const known of [this.#assessments, this.#checkedMs, this.#formerStandings, this.#calledMs])
			for (const id of known.keys()) if (!wanted.has(id)) known.delete(id);
		// A new member counts as alive until there is evidence against it.
		for (const id of members) if (!this.#assessments.has(id)) this.#assessments.set(id, alive);
	}

	/** Pairs of members that have not reached each other for long enough to be reported. */
	get faults(): readonly PairFault[] {
		return this.#pairs.faults;
	}

	of(id: NodeId): Assessment {
		return this.#assessments.get(id) ?? alive;
	}

	heard(peer: NodeId, channel: Channel, nowMs: number): void {
		this.#nowMs = nowMs;
		this.evidence.heard(peer, channel, nowMs);
	}

	/** Advances time. Returns the peers whose link carried nothing since the last check and needs a ping. */
	tick(nowMs: number): readonly NodeId[] {
		this.#nowMs = nowMs;
		const {swim, links} = this.#options;
		const idle: NodeId[] = [];
		for (const id of this.#ring.turns(swim.timing.pair)) {
			const known = this.evidence.of(id);
			const checkedMs = this.#checkedMs.get(id) ?? 0;
			this.#checkedMs.set(id, nowMs);
			if (known && (known.heardMs.link ?? 0) <= checkedMs && links.state(id).state === 'up') idle.push(id);
		}

		return idle;
	}

	/** Assesses all members, once in `timing.look` ticks. Returns the assessments that changed. */
	assessMembers(nowMs: number): readonly Change[] {
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
		// Reports arrive with new versions of the rows, so most ticks bring none.
		if (this.#ticks - this.#readTicks >= swim.timing.refresh) this.#read(raft(), nowMs);
		this.#awaitingCall = new Set(this.#members.filter(id => this.#isBeingCalled(id, nowMs)));
		const changes: Change[] = [];
		for (const id of this.#members) {
			const former = this.#assessments.get(id) ?? alive;
			if (former === alive && this.#isWell(id, nowMs)) continue;
			if (this.#awaitingCall.has(id)) continue;
			const found = assess(this.#factsOf(id, former.state, nowMs));
			this.#assessments.set(id, found.state === 'alive' ? alive : found);
			if (former.state !== found.state || former.key !== found.key) changes.push({id, ...found});
		}

		return changes;
	}

	/** Reads the progress that the members report. */
	#read(facts: RaftFacts, nowMs: number): void {
		const {swim, self} = this.#options;
		this.#readTicks = this.#ticks;
		this.#commit = facts.commit;
		this.#hasLeader = facts.leader !== undefined;
		const reports = new Map<NodeId, Report>();
		for (const id of this.#members) {
			const report = id === self ? facts : swim.report(id);
			if (!report) continue;
			reports.set(id, report);
			this.#commit = Math.max(this.#commit, report.applied);
			this.#hasLeader ||= id !== self && report.leader !== undefined && report.term >= facts.term;
		}

		for (const [id, {applied, leader}] of reports) {
			this.evidence.progress(id, applied, this.#commit, nowMs);
			this.evidence.follows(id, leader !== undefined, nowMs);
		}

		// A peer of protocol 1 reports nothing; its leader knows its log.
		for (const {id, match} of facts.matches)
			if (!reports.has(id)) this.evidence.progress(id, match, this.#commit, nowMs);
	}

	/**
	A member that opened the link itself, and with which datagrams do not pass, may advertise a wrong address. A call to
	that address settles it, so the assessment waits for the outcome.
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
			this.#calledMs.delete(id);
			return false;
		}

		if (state !== 'works') links.tryCall(id);
		const calledMs = this.#calledMs.get(id) ?? nowMs;
		this.#calledMs.set(id, calledMs);
		return state === 'untried' && nowMs - calledMs < callMs;
	}

	/** The common case: nothing to assess. */
	#isWell(id: NodeId, nowMs: number): boolean {
		const {self, swim, links} = this.#options;
		if (
			this.#pairs.of(id).length > 0 ||
			links.called(id).state === 'failed' ||
			this.#isDiskFull(id) ||
			(id !== self && (swim.standing(id) !== 'alive' || !this.isLinked(id)))
		)
			return false;
		const {leaderlessMs: noLeaderMs, applied, movedMs} = this.evidence.of(id)!;
		return (
			noLeaderMs === undefined && (applied === undefined || applied >= this.#commit || nowMs - movedMs < stuckMs)
		);
	}

	/** `self` when the member is reached directly, else the relay to use; `undefined` when it is not reached. */
	reach(id: NodeId): NodeId | undefined {
		const {self} = this.#options;
		const standing = this.#options.swim.standing(id);
		// It announced that it stops: earlier traffic on its link no longer counts.
		if (standing === 'left') return undefined;
		if (id === self || this.isLinked(id)) return self;
		if (standing === undefined || standing === 'dead') return undefined;
		// Another process answers at its address, so no relay leads to the member.
		if (wrongNodeCodes.has(this.#options.links.state(id).code ?? '')) return undefined;
		return this.#members.find(
			relay => relay !== self && relay !== id && this.isLinked(relay) && this.#isLinkBetween(relay, id),
		);
	}

	/** The link to the member works: it carried a frame lately, and the member's own row does not deny it. */
	isLinked(id: NodeId): boolean {
		const {swim, self} = this.#options;
		const known = this.evidence.of(id);
		return (
			known !== undefined && isLinkHeard(known, this.#nowMs, this.#silentMs) && swim.isLinked(id, self) !== false
		);
	}

	/** A member with working links to both ends of a pair. */
	relayBetween([one, other]: readonly [NodeId, NodeId]): NodeId | undefined {
		const {self} = this.#options;
		const links = (relay: NodeId, end: NodeId): boolean =>
			relay === self ? this.isLinked(end) : end === self ? this.isLinked(relay) : this.#isLinkBetween(relay, end);
		return this.#members.find(
			relay =>
				relay !== one && relay !== other && this.#isPresent(relay) && links(relay, one) && links(relay, other),
		);
	}

	/** Whether a round trip succeeded lately: an older measurement is out of date. */
	isMeasured(id: NodeId): boolean {
		const roundTripMs = this.evidence.of(id)?.roundTripMs.datagram;
		return roundTripMs !== undefined && this.#nowMs - roundTripMs < 2 * this.#silentMs;
	}

	#isDiskFull(id: NodeId): boolean {
		const {self, swim, isDiskFull} = this.#options;
		return id === self ? isDiskFull() : swim.isDiskFull(id);
	}

	get #silentMs(): number {
		return this.#options.swim.timing.silent * this.#options.tickMs;
	}

	#isPresent(id: NodeId): boolean {
		if (id === this.#options.self) return true;
		const standing = this.#options.swim.standing(id);
		return standing === 'alive' || standing === 'suspect';
	}

	/** The row of `relay` reports a working link to `end`, and the row of `end` does not deny it. */
	#isLinkBetween(relay: NodeId, end: NodeId): boolean {
		const {swim} = this.#options;
		return this.#isPresent(relay) && swim.isLinked(relay, end) === true && swim.isLinked(end, relay) !== false;
	}

	/** For the own row: heard lately, or a member for too short a time to be missed. */
	#isHeardOrNew(id: NodeId, channel: Channel): boolean {
		const known = this.evidence.of(id);
		return !known || unheardMs(known, channel, this.#nowMs) < this.#silentMs;
	}

	#factsOf(id: NodeId, former: MemberState, nowMs: number): MemberFacts {
		const {self, swim, links, name} = this.#options;
		const isSelf = id === self;
		const member = isSelf ? undefined : swim.member(id);
		const standing = member?.state ?? 'alive';
		const known = this.evidence.of(id)!;
		const formerStanding = this.#formerStandings.get(id);
		if (standing === 'alive') this.#formerStandings.delete(id);
		else this.#formerStandings.set(id, standing);
		if (standing === 'alive' && (formerStanding === 'dead' || formerStanding === 'left'))
			this.evidence.returned(id, nowMs);
		const reach = isSelf ? self : this.reach(id);
		const faults = this.#pairs
			.of(id)
			.filter(({between, blamed}) => blamed.includes(id) || (!isSelf && between.includes(self)))
			// When an address is wrong, no datagram reaches it, whichever node sends it: that is no fault of the pair.
			.filter(
				({between, link}) =>
					link ||
					!between.some(
						end =>
							end !== id &&
							end !== self &&
							(this.#awaitingCall.has(end) || links.called(end).state === 'failed'),
					),
			);
		const cut = reach === self ? faults.find(({link}) => link) : undefined;
		const reportMs = 2 * swim.timing.refresh * this.#options.tickMs;
		const {leaderlessMs: noLeaderMs, movedMs, applied} = known;
		const leaderlessForMs = this.#hasLeader && noLeaderMs !== undefined ? nowMs - noLeaderMs : 0;
		const isStuck =
			applied !== undefined && applied < this.#commit && nowMs - movedMs >= Math.max(stuckMs, 2 * reportMs);
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
			isUdpIsolated:
				this.#pairs.of(id).filter(({datagram}) => datagram).length >=
				this.#members.filter(other => other !== id && this.#isPresent(other)).length,
			failure: isSelf ? undefined : failureOf(links.state(id)),
			via: reach === self ? cut && this.relayBetween(cut.between) : reach,
			faults,
			isDiskFull: this.#isDiskFull(id),
			leaderlessMs: leaderlessForMs >= Math.max(leaderlessMs, reportMs) ? leaderlessForMs : undefined,
			behind: isStuck ? this.#commit - applied : undefined,
		};
	}
}

function failureOf({state, why, code}: LinkState): MemberFacts['failure'] {
	return state === 'up' || code === undefined || code === '' ? undefined : {code, reason: why};
}
