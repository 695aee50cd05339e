/**
Raft as a value (Ongaro and Ousterhout 2014; Ongaro's thesis, 2014, for pre-vote, leadership transfer, single-step
changes and reads): packets and ticks go in, work comes out by `ready()`, and `advance()` says that it is done. Nothing
is said that is not durable: replies and votes leave with the work that makes them true, the own vote and the own log
count once they are on disk.

Beyond the paper: check-quorum (a leader that hears no majority for an election timeout steps down), stickiness (who
heard a leader lately votes for nobody else), learners, which receive and never vote, and campaigns on evidence that the
leader crashed (`crash.ts`).
*/
import type {Outbound} from '../machine.ts';
import type {NodeId} from '../message.ts';
import {majority, type Change, type Configuration} from './configuration.ts';
import {CrashCampaign} from './crash.ts';
import {matches, takeAppend} from './follower.ts';
import {Leader, raftLimits, type RaftLimits} from './leader.ts';
import {RaftLog, type LogPosition} from './log.ts';
import {
	contextMax,
	isAdvice,
	isFromLeader,
	termJumpMax,
	type PacketOf,
	type RaftPacket,
	type Unsent,
} from './packet.ts';
import {AskedReads} from './reads.ts';
import {Assembly, type Snapshot} from './snapshot.ts';
import {Succession, type Former, type LeaderChange} from './succession.ts';
import type {Raft, RaftOptions, RaftReady, RaftStatus, Role} from './types.ts';

export type {Entry} from './packet.ts';
export type * from './types.ts';

export function createRaft(options: RaftOptions): Raft {
	return new RaftMachine(options);
}

class RaftMachine implements Raft {
	readonly #options: RaftOptions;
	readonly #limits: RaftLimits;
	readonly #log: RaftLog;
	readonly #assembly = new Assembly();
	readonly #votes = new Map<NodeId, boolean>();
	readonly #bounds = new Map<string, number>();
	#role: 'follower' | 'pre-candidate' | 'candidate' = 'follower';
	/** This node leads; its role is 'leader' whatever `#role` says. */
	#leadership: Leader | undefined;
	#term: number;
	#vote: NodeId | undefined;
	readonly #succession = new Succession();
	/** There is evidence that the process of the former leader is gone. */
	#crash: CrashCampaign | undefined;
	#tick = 0;
	#contactTick = 0;
	/** Ticks since a leader was heard, a vote given or a campaign begun; and how many of them are enough. */
	#elapsed = 0;
	#timeout = 0;
	#snapshot: Snapshot | undefined;
	#installed: Snapshot | undefined;
	#saved: {readonly term: number; readonly vote: NodeId | undefined};
	/** The work that is being carried out, and which log its entries belong to. */
	#out: {readonly ready: RaftReady; readonly era: number} | undefined;
	/** Grows when a snapshot replaces the log. */
	#era = 0;
	#packets: Array<Outbound<RaftPacket>> = [];
	#packetsBeforePersist: Array<Outbound<RaftPacket>> = [];
	readonly #asked = new AskedReads(() => this.#count('reads'));

	constructor(options: RaftOptions) {
		const {
			recovered: {hardState, snapshot, entries},
		} = options;
		this.#options = options;
		this.#limits = {...raftLimits, ...options.limits};
		this.#term = hardState.term;
		this.#vote = hardState.vote;
		this.#saved = hardState;
		this.#snapshot = snapshot;
		this.#log = new RaftLog(
			{index: snapshot?.index ?? 0, term: snapshot?.term ?? 0},
			snapshot?.configuration ?? {voters: [], learners: []},
			entries,
			hardState.commit,
		);
		this.#resetTimeout();
		// Nobody else votes: there is no leader to wait for.
		if (this.#isVoter() && this.#log.configuration.voters.length === 1) this.#elapsed = this.#timeout;
	}

	get leader(): NodeId | undefined {
		return this.#leader;
	}

	get term(): number {
		return this.#term;
	}

	get role(): Role {
		if (this.#leadership) return 'leader';
		return this.#role === 'follower' && !this.#isVoter() ? 'learner' : this.#role;
	}

	get configuration(): Configuration {
		return this.#log.configuration;
	}

	get leaderChange(): LeaderChange {
		return this.#succession.change(this.#tick);
	}

	get #leader(): NodeId | undefined {
		return this.#succession.leader;
	}

	status(): RaftStatus {
		const {electionTicks} = this.#options;
		return {
			role: this.role,
			term: this.#term,
			leader: this.#leader,
			vote: this.#vote,
			votes: [...this.#votes]
				.filter(([, granted]) => granted)
				.map(([id]) => id)
				.toSorted(),
			commit: this.#log.commit,
			applied: this.#log.applied,
			lastIndex: this.#log.lastIndex,
			snapshotIndex: this.#snapshot?.index ?? 0,
			configuration: this.#log.configuration,
			contactTicks: this.#leadership?.contactTicks ?? this.#tick - this.#contactTick,
			progress: [...(this.#leadership?.progress ?? [])].map(([id, {match, next, state, heardTick}]) => ({
				id,
				match,
				next,
				state,
				recentlyActive: this.#tick - heardTick < electionTicks,
			})),
			uncommittedBytes: this.#leadership?.uncommittedBytes ?? 0,
			bounds: Object.fromEntries(this.#bounds),
		};
	}

	tick(): void {
		this.#tick++;
		if (this.#leadership) return this.#lead(leadership => leadership.tick());
		this.#elapsed++;
		if (this.#maybeCampaignAfterCrash() || this.#elapsed < this.#timeout) return;
		this.#succession.lose('silent', this.#tick, this.#tick - this.#contactTick);
		if (this.#isPromotable()) this.#preCampaign();
		else this.#resetTimeout();
	}

	campaign(): void {
		if (this.#isPromotable() && !this.#leadership) this.#campaign(false);
	}

	resetElection(): void {
		this.#elapsed = 0;
	}

	propose(data: Uint8Array): 'accepted' | 'forwarded' | 'no-leader' | 'over-limit' {
		if (this.#leadership) return this.#leadership.propose(data);
		if (this.#leader === undefined) return 'no-leader';
		if (data.length > this.#limits.entryBytesMax) return 'over-limit';
		this.#send(this.#leader, {type: 'propose', data});
		return 'forwarded';
	}

	proposeChange(change: Change, context: Uint8Array): 'accepted' | 'not-leader' | 'busy' | 'invalid' {
		return this.#leadership?.proposeChange(change, context) ?? 'not-leader';
	}

	readIndex(context: string): 'accepted' | 'no-leader' {
		if (context.length === 0 || context.length > contextMax)
			throw new RangeError(`Expected \`context\` to be 1 to ${contextMax} characters, got ${context.length}`);
		if (this.#leadership) {
			this.#leadership.read(context, this.#options.id);
			return 'accepted';
		}

		if (this.#leader === undefined) return 'no-leader';
		this.#asked.ask(context);
		this.#send(this.#leader, {type: 'read', context});
		return 'accepted';
	}

	transferLeadership(to: NodeId): boolean {
		return this.#leadership?.transfer(to) ?? false;
	}

	leaderDown(leader: NodeId): void {
		if (this.#leadership || this.#leader !== leader) return;
		this.#succession.lose('crashed', this.#tick, this.#tick - this.#contactTick);
		// Stickiness protects a leader that works: from now on this node grants pre-votes and votes.
		const rest = this.#log.configuration.voters.filter(voter => voter !== leader);
		const position = rest.indexOf(this.#options.id);
		this.#crash = new CrashCampaign(position === -1 ? rest.length : position, this.#tick);
		this.#maybeCampaignAfterCrash();
	}

	linkUp(peer: NodeId): void {
		this.#leadership?.forget(peer);
	}

	compact(index: number, data: Uint8Array): Snapshot | undefined {
		if (index <= (this.#snapshot?.index ?? 0) || index > this.#log.applied) return undefined;
		this.#snapshot = {index, term: this.#log.termAt(index)!, configuration: this.#log.configurationAt(index), data};
		this.#log.compact(index - this.#limits.tailEntries);
		return this.#snapshot;
	}

	ready(): RaftReady | undefined {
		if (this.#out) return undefined; // One at a time: `advance` comes first.
		this.#lead(leadership => leadership.flush());
		const isStateNew = this.#term !== this.#saved.term || this.#vote !== this.#saved.vote;
		const entries = this.#log.unstable();
		const committed = this.#log.unapplied();
		const reads = this.#asked.committed(this.#log.commit);
		if (
			!isStateNew &&
			!this.#installed &&
			entries.length === 0 &&
			committed.length === 0 &&
			this.#packets.length === 0 &&
			this.#packetsBeforePersist.length === 0 &&
			reads.length === 0
		)
			return undefined;
		const ready: RaftReady = {
			// The commit index alone is not worth a write: the next leader tells it again.
			hardState:
				isStateNew || entries.length > 0 || this.#installed
					? {term: this.#term, vote: this.#vote, commit: this.#log.commit}
					: undefined,
			snapshot: this.#installed,
			entries,
			committed,
			reads,
			packetsBeforePersist: this.#packetsBeforePersist,
			packets: this.#packets,
		};
		if (reads.length > 0) this.#asked.take(this.#log.commit);
		this.#installed = undefined;
		this.#packets = [];
		this.#packetsBeforePersist = [];
		this.#out = {ready, era: this.#era};
		return ready;
	}

	advance(done: RaftReady): void {
		if (done !== this.#out?.ready)
			throw new Error('Expected `advance` to be given what `ready` gave last, got something else');
		const {
			ready: {hardState, entries, committed},
			era,
		} = this.#out;
		this.#out = undefined;
		if (hardState) this.#saved = hardState;
		this.#log.applied = Math.max(this.#log.applied, committed.at(-1)?.index ?? 0);
		// What was written may have been replaced while the disk was busy: only what still stands counts.
		const last = entries.at(-1);
		if (last && era === this.#era && this.#log.stabilized(last)) this.#lead(leadership => leadership.maybeCommit());
		// The own vote counts once it is durable.
		if (this.#role === 'candidate' && this.#saved.term === this.#term && this.#saved.vote === this.#options.id)
			this.#onVote(this.#options.id, true);
	}

	step(from: NodeId, packet: RaftPacket): void {
		if (packet.group !== this.#options.group) return this.#count('other-group');
		if (packet.term > this.#term + termJumpMax) return this.#count('term-jump');
		if (packet.term > this.#term && !this.#meetTerm(from, packet)) return;
		if (packet.term < this.#term && !isAdvice(packet)) {
			// An old leader, or one that could not reach us while our term grew: tell it, so that it steps down.
			if (isFromLeader(packet))
				this.#send(from, {type: 'append-reply', ok: false, index: 0, hintTerm: 0, rejected: 0});
			else if (packet.type === 'pre-vote') this.#send(from, {type: 'pre-vote-reply', granted: false});
			return;
		}

		switch (packet.type) {
			case 'pre-vote':
				return this.#onPreVote(from, packet);
			case 'vote':
				return this.#onVoteRequest(from, packet);
			case 'pre-vote-reply': {
				// A yes to an earlier campaign is none to this one.
				if (this.#role === 'pre-candidate' && (!packet.granted || packet.term === this.#term + 1))
					this.#onVote(from, packet.granted);
				return;
			}

			case 'vote-reply':
				return this.#role === 'candidate' ? this.#onVote(from, packet.granted) : undefined;

			case 'append':
			case 'heartbeat':
			case 'snapshot':
				return this.#onLeader(from, packet);
			case 'append-reply':
				return this.#lead(leadership => leadership.onAppendReply(from, packet));
			case 'heartbeat-reply':
				return this.#lead(leadership => leadership.onHeartbeatReply(from, packet));
			case 'snapshot-reply':
				return this.#lead(leadership => leadership.onSnapshotReply(from, packet));
			case 'timeout-now': {
				// Only the own leader may give way; a repeated word of it starts no second campaign.
				if (!this.#isPromotable() || this.#role !== 'follower' || from !== this.#leader) return;
				// A leader that was removed hands over as it goes.
				this.#succession.lose(
					this.#log.configuration.voters.includes(from) ? 'transferred' : 'removed',
					this.#tick,
				);
				return this.#campaign(true);
			}

			case 'propose': {
				// Not sent on: two nodes that take each other for the leader would pass it to and fro.
				if (!this.#leadership) return this.#count('misdirected');
				this.#leadership.propose(Uint8Array.from(packet.data)); // A copy: the frame it came in goes away.
				return;
			}

			case 'read': {
				if (this.#leadership) this.#leadership.read(packet.context, from);
				else this.#count('misdirected');
				return;
			}

			case 'read-reply': {
				if (!this.#asked.answered(packet.context, packet.index)) this.#count('odd');
				return;
			}

			default:
				return packet satisfies never;
		}
	}

	// Terms and elections (Raft, 5.1, 5.2, 5.4.1; thesis, 9.6).

	/** A higher term came in. False when the packet is to be passed over. */
	#meetTerm(from: NodeId, packet: RaftPacket): boolean {
		if (packet.type === 'pre-vote') return true; // Its sender has not moved to that term, nor do we.
		if (packet.type === 'pre-vote-reply' && packet.granted) return true;
		// Who heard a leader within an election timeout is not to be disturbed, unless the leader itself gives way
		// (thesis, 4.2.3).
		if (packet.type === 'vote' && !packet.isTransfer && this.#hearsLeader()) return false;
		this.#replaced(packet);
		this.#becomeFollower(packet.term, isFromLeader(packet) ? from : undefined);
		this.#crash?.yield(this.#tick); // A campaign of another is on its way, or its end.
		return true;
	}

	/** Why the leader that this node knew is none any more, by a packet of a later term. */
	#replaced(packet: RaftPacket): void {
		let said = packet.type === 'vote' || packet.type === 'heartbeat' ? packet.former : undefined;
		// A candidate of version 1 says no more than this.
		if (packet.type === 'vote' && packet.isTransfer && !said && this.#leader !== undefined)
			said = {leader: this.#leader, cause: 'transferred'};
		this.#succession.replaced(
			said,
			this.#tick,
			this.#leadership ? undefined : this.#tick - this.#contactTick,
			this.#options.electionTicks,
		);
	}

	/** For packets: whom this node followed before. */
	get #former(): {readonly former?: Former} {
		const {former} = this.#succession;
		return former ? {former} : {};
	}

	#maybeCampaignAfterCrash(): boolean {
		if (!this.#crash?.isDue(this.#tick) || !this.#isPromotable()) return false;
		this.#preCampaign();
		return true;
	}

	#hearsLeader(): boolean {
		return (
			this.#leadership !== undefined ||
			(this.#leader !== undefined && this.#elapsed < this.#options.electionTicks)
		);
	}

	#preCampaign(): void {
		this.#role = 'pre-candidate';
		this.#resetTimeout();
		this.#votes.clear();
		this.#askForVotes({
			type: 'pre-vote',
			term: this.#term + 1,
			lastIndex: this.#log.lastIndex,
			lastTerm: this.#log.last.term,
		});
		this.#onVote(this.#options.id, true); // Promises nothing, so it need not be durable.
	}

	#campaign(isTransfer: boolean): void {
		this.#role = 'candidate';
		this.#succession.lose('newer-term', this.#tick);
		this.#crash?.yield(this.#tick);
		this.#term += 1;
		this.#vote = this.#options.id; // Counted in advance(), once it is durable.
		this.#resetTimeout();
		this.#votes.clear();
		this.#askForVotes({
			type: 'vote',
			isTransfer,
			lastIndex: this.#log.lastIndex,
			lastTerm: this.#log.last.term,
			...this.#former,
		});
	}

	#askForVotes(request: Unsent): void {
		for (const voter of this.#log.configuration.voters) if (voter !== this.#options.id) this.#send(voter, request);
	}

	#onPreVote(from: NodeId, {term, lastIndex, lastTerm}: PacketOf<'pre-vote'>): void {
		const granted =
			term > this.#term && !this.#hearsLeader() && this.#log.isUpToDate({index: lastIndex, term: lastTerm});
		if (granted) this.#crash?.yield(this.#tick);
		this.#send(from, granted ? {type: 'pre-vote-reply', granted, term} : {type: 'pre-vote-reply', granted});
	}

	/**
	§5.2, §5.4.1: one vote a term, and only for a log that holds every committed entry. Asked for by anyone: this node's
	configuration may be old.
	*/
	#onVoteRequest(from: NodeId, {lastIndex, lastTerm}: PacketOf<'vote'>): void {
		const isFree = this.#vote === from || (this.#vote === undefined && this.#leader === undefined);
		const granted = isFree && this.#log.isUpToDate({index: lastIndex, term: lastTerm});
		if (granted) {
			this.#vote = from; // Leaves in ready().hardState, so it is durable before the reply is sent.
			this.#role = 'follower';
			this.#elapsed = 0;
			this.#crash?.yield(this.#tick);
		}

		this.#send(from, {type: 'vote-reply', granted});
	}

	/** A voter's word in the campaign that runs; its first word counts. */
	#onVote(from: NodeId, granted: boolean): void {
		const {voters} = this.#log.configuration;
		if (!voters.includes(from) || this.#votes.has(from)) return;
		this.#votes.set(from, granted);
		const words = [...this.#votes.values()];
		const yes = words.filter(Boolean).length;
		if (yes >= majority(voters.length)) {
			if (this.#role === 'pre-candidate') this.#campaign(false);
			else this.#becomeLeader();
		} else if (words.length - yes >= majority(voters.length)) this.#becomeFollower(this.#term, undefined);
	}

	#becomeFollower(term: number, leader: NodeId | undefined): void {
		if (term > this.#term) {
			this.#term = term;
			this.#vote = undefined;
		}

		this.#role = 'follower';
		this.#leadership = undefined;
		if (leader === undefined) this.#succession.lose('newer-term', this.#tick);
		else this.#follow(leader);
		this.#votes.clear();
		this.#resetTimeout();
	}

	#follow(leader: NodeId): void {
		this.#succession.find(leader, this.#tick);
		this.#crash = undefined;
	}

	#becomeLeader(): void {
		this.#role = 'follower';
		this.#votes.clear();
		this.#follow(this.#options.id);
		this.#leadership = new Leader({
			id: this.#options.id,
			term: this.#term,
			log: this.#log,
			limits: this.#limits,
			electionTicks: this.#options.electionTicks,
			heartbeatTicks: this.#options.heartbeatTicks,
			former: this.#former,
			tick: () => this.#tick,
			snapshot: () => this.#snapshot,
			send: (to, packet) => this.#send(to, packet),
			sendNow: (to, packet) => void this.#packetsBeforePersist.push({to, packet: this.#sealed(packet)}),
			readDone: (context, index) => this.#asked.proved(context, index),
			count: name => this.#count(name),
		});
	}

	/** Let the leader that this node is work; it may find that it is none any more. */
	#lead(work: (leadership: Leader) => void): void {
		if (!this.#leadership) return;
		work(this.#leadership);
		const {isOver, contactTicks} = this.#leadership;
		if (!isOver) return;
		const isRemoved = !this.#isVoter() && contactTicks < this.#options.electionTicks;
		this.#succession.lose(isRemoved ? 'removed' : 'quorum-lost', this.#tick, isRemoved ? undefined : contactTicks);
		this.#becomeFollower(this.#term, undefined);
	}

	// The follower's work (Raft, 5.3, 7).

	#onLeader(from: NodeId, packet: PacketOf<'append'> | PacketOf<'heartbeat'> | PacketOf<'snapshot'>): void {
		// Two leaders of one term: somebody lies.
		if (this.#leadership || (this.#leader !== undefined && this.#leader !== from)) return this.#count('odd');
		if (this.#leader !== from || this.#role !== 'follower') {
			if (packet.type === 'heartbeat' && packet.former) this.#succession.explain(packet.former);
			this.#becomeFollower(this.#term, from);
		}

		this.#elapsed = 0;
		this.#contactTick = this.#tick;
		switch (packet.type) {
			case 'append':
				return this.#send(from, takeAppend(this.#log, packet));
			case 'snapshot':
				return this.#onSnapshot(from, packet);
			case 'heartbeat': {
				this.#log.commitTo(packet.commit);
				this.#send(from, {type: 'heartbeat-reply', round: packet.round});
				return;
			}

			default:
				packet satisfies never;
		}
	}

	#onSnapshot(from: NodeId, packet: PacketOf<'snapshot'>): void {
		const {index, snapshotTerm} = packet;
		const mark: LogPosition = {index, term: snapshotTerm};
		// All of it is here: no need to start over.
		if (index > this.#log.commit && this.#log.matches(mark)) this.#log.commitTo(index);
		if (index <= this.#log.commit) {
			this.#assembly.clear();
			return this.#send(from, matches(this.#log.commit));
		}

		const whole = this.#assembly.take(from, packet);
		if (!whole)
			return this.#send(from, {
				type: 'snapshot-reply',
				index,
				offset: packet.offset,
				received: this.#assembly.received(from, packet),
			});
		this.#log.reset(mark, whole.configuration);
		this.#era++;
		this.#snapshot = whole;
		this.#installed = whole;
		this.#send(from, matches(index));
	}

	#isVoter(): boolean {
		return this.#log.configuration.voters.includes(this.#options.id);
	}

	/**
	A voter may, and one whose removal is not known to be committed: it may be the only one that has the entry, and the
	others could not go on without it. Its own vote does not count then (thesis, 4.2.2 and figure 4.6).

	*/
	#isPromotable(): boolean {
		return this.#isVoter() || this.#log.configurationAt(this.#log.commit).voters.includes(this.#options.id);
	}

	#resetTimeout(): void {
		this.#elapsed = 0;
		this.#timeout = this.#options.electionTicks + this.#options.random.below(this.#options.electionTicks);
	}

	#send(to: NodeId, packet: Unsent): void {
		this.#packets.push({to, packet: this.#sealed(packet)});
	}

	#sealed(packet: Unsent): RaftPacket {
		return {group: this.#options.group, term: this.#term, ...packet} as RaftPacket; // oxlint-disable-line typescript/no-unnecessary-type-assertion -- the union of what is unsent loses its tag in a spread
	}

	#count(name: string): void {
		this.#bounds.set(name, (this.#bounds.get(name) ?? 0) + 1);
	}
}
