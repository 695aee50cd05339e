/**
Raft as a value: it owns no timer, socket, disk or random source. Its caller (`control/control.ts`) drives it:

1. Tick: call `tick()` once per unit of time. Elections and heartbeats are measured in ticks.
2. Step: call `step()` with each packet that arrives, and `propose()` with each command. All of them only queue work.
3. Ready: call `ready()`. It returns the queued work, or `undefined` when there is none. At once, send
   `packetsBeforePersist`: the leader's appends may travel while its own disk writes (thesis, 10.2.1).
4. Persist: write `snapshot`, then `hardState` and `entries`, and wait until they are durable.
5. Send: send `packets`. Votes and acknowledgements are among them, and must never leave before step 4.
6. Apply: restore the state machine from `snapshot`, apply `committed` in order.
7. Advance: call `advance()` with this work. This node's own vote and entries count from now on, because they are
   durable. Then serve `reads`, and continue with step 3 until `ready()` returns `undefined`.

Only one piece of work is out at a time. Packets and ticks may come in between `ready()` and `advance()`; the work that
they queue leaves with the next `ready()`, so that it shares the next write.

Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014), cited as "Raft"; Ongaro's
thesis (2014) for pre-vote, leadership transfer, single-step membership changes and reads, cited as "thesis".

Beyond the paper: check-quorum (a leader that hears no majority for an election timeout steps down), stickiness (a node
that heard a leader within an election timeout rejects candidates), learners, and campaigns on evidence that the leader
crashed (`crash.ts`).
*/
import type {Outbound} from '../machine.ts';
import type {NodeId} from '../message.ts';
import {majority, type Change, type Configuration} from './configuration.ts';
import {CrashCampaign} from './crash.ts';
import {handleAppend, matches} from './follower.ts';
import {Leader, raftLimits, type RaftLimits} from './leader.ts';
import {RaftLog, type LogPosition} from './log.ts';
import {contextMax, isFromLeader, isTermIndependent, type PacketOf, type RaftPacket, type Unsent} from './packet.ts';
import {RequestedReads} from './reads.ts';
import {Assembly, type Snapshot} from './snapshot.ts';
import {Succession, type Former, type LeaderChange} from './succession.ts';
import {TermBounds} from './term-bounds.ts';
import type {Raft, RaftOptions, RaftReady, RaftStatus, Role} from './types.ts';

export type {Entry} from './packet.ts';
export type * from './types.ts';

const noVotes: ReadonlyMap<NodeId, boolean> = new Map();

export function createRaft(options: RaftOptions): Raft {
	return new RaftMachine(options);
}

/** The role of this node in its term, and the data that only this role has. */
type State =
	| {readonly role: 'follower'}
	| {readonly role: 'pre-candidate' | 'candidate'; readonly votes: Map<NodeId, boolean>}
	| {readonly role: 'leader'; readonly leadership: Leader};

class RaftMachine implements Raft {
	readonly #options: RaftOptions;
	readonly #limits: RaftLimits;
	readonly #log: RaftLog;
	readonly #assembly = new Assembly();
	readonly #bounds = new Map<string, number>();
	/** How far this process knows that its log matches that of the leader of the term. */
	#matched: LogPosition = {index: 0, term: 0};
	#state: State = {role: 'follower'};
	#term: number;
	#vote: NodeId | undefined;
	readonly #succession = new Succession();
	readonly #termBounds: TermBounds;
	/** Set while there is evidence that the process of the former leader is gone. */
	#crash: CrashCampaign | undefined;
	#tick = 0;
	/** Tick at which this node last asked for terms. */
	#askedTick = -Infinity;
	/** Tick of the last packet from the leader. */
	#contactTick = 0;
	/** Ticks since this node heard a leader, granted a vote or campaigned. */
	#elapsed = 0;
	/** Value of `#elapsed` at which this node campaigns. */
	#timeout = 0;
	#snapshot: Snapshot | undefined;
	/** A snapshot that was installed and has not left with `ready()` yet. */
	#installed: Snapshot | undefined;
	/** The term and vote that are on disk. */
	#saved: {readonly term: number; readonly vote: NodeId | undefined};
	/** The work between `ready()` and `advance()`, and the era of the log that its entries belong to. */
	#inProgress: {readonly ready: RaftReady; readonly era: number} | undefined;
	/** Counts the snapshots that replaced the log. */
	#era = 0;
	#packets: Array<Outbound<RaftPacket>> = [];
	#packetsBeforePersist: Array<Outbound<RaftPacket>> = [];
	readonly #reads = new RequestedReads(() => this.#count('reads'));

	constructor(options: RaftOptions) {
		const {
			recovered: {hardState, snapshot, entries},
		} = options;
		this.#options = options;
		this.#limits = {...raftLimits, ...options.limits};
		this.#termBounds = new TermBounds(options.electionTicks);
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
		// The only voter has no other leader to wait for.
		if (this.#isVoter() && this.#log.configuration.voters.length === 1) this.#elapsed = this.#timeout;
	}

	get leader(): NodeId | undefined {
		return this.#leader;
	}

	get term(): number {
		return this.#term;
	}

	get role(): Role {
		const {role} = this.#state;
		return role === 'follower' && !this.#isVoter() ? 'learner' : role;
	}

	get lastIndex(): number {
		return this.#log.lastIndex;
	}

	get commit(): number {
		return this.#log.commit;
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

	get #leadership(): Leader | undefined {
		return this.#state.role === 'leader' ? this.#state.leadership : undefined;
	}

	/** Votes of the current campaign. */
	get #votes(): ReadonlyMap<NodeId, boolean> {
		return 'votes' in this.#state ? this.#state.votes : noVotes;
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
		if (this.#leadership) return this.#withLeadership(leadership => leadership.tick());
		this.#elapsed++;
		if (this.#maybeCampaignAfterCrash() || this.#elapsed < this.#timeout) return;
		this.#succession.lose('silent', this.#tick, this.#tick - this.#contactTick);
		if (this.#isPromotable()) this.#preCampaign();
		else this.#resetTimeout();
	}

	campaign(): void {
		if (this.#isPromotable() && !this.#leadership) this.#campaign(false);
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
		this.#reads.ask(context, this.#leader);
		this.#send(this.#leader, {type: 'read', context});
		return 'accepted';
	}

	transferLeadership(to: NodeId): boolean {
		return this.#leadership?.transfer(to) ?? false;
	}

	leaderDown(leader: NodeId): void {
		if (this.#leadership || this.#leader !== leader) return;
		this.#succession.lose('crashed', this.#tick, this.#tick - this.#contactTick);
		// Stickiness protects a working leader only: from now on this node grants pre-votes and votes.
		const rest = this.#log.configuration.voters.filter(voter => voter !== leader);
		const position = rest.indexOf(this.#options.id);
		this.#crash = new CrashCampaign(position === -1 ? rest.length : position, this.#tick);
		this.#maybeCampaignAfterCrash();
	}

	linkUp(peer: NodeId): void {
		this.#leadership?.resetProgress(peer);
	}

	compact(index: number, data: Uint8Array): Snapshot | undefined {
		if (index <= (this.#snapshot?.index ?? 0) || index > this.#log.applied) return undefined;
		this.#snapshot = {index, term: this.#log.termAt(index)!, configuration: this.#log.configurationAt(index), data};
		this.#log.compact(index - this.#limits.tailEntries);
		return this.#snapshot;
	}

	ready(): RaftReady | undefined {
		if (this.#inProgress) return undefined; // One at a time: `advance` comes first.
		this.#withLeadership(leadership => leadership.flush());
		const isStateNew = this.#term !== this.#saved.term || this.#vote !== this.#saved.vote;
		const entries = this.#log.unstable();
		const committed = this.#log.unapplied();
		const reads = this.#reads.committed(this.#log.commit);
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
			// A new commit index alone needs no write: the next leader sends it again.
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
		if (reads.length > 0) this.#reads.take(this.#log.commit);
		this.#installed = undefined;
		this.#packets = [];
		this.#packetsBeforePersist = [];
		this.#inProgress = {ready, era: this.#era};
		return ready;
	}

	advance(done: RaftReady): void {
		if (done !== this.#inProgress?.ready)
			throw new Error('Expected `advance` to be called with the result of the last `ready`, got another value');
		const {
			ready: {hardState, entries, committed},
			era,
		} = this.#inProgress;
		this.#inProgress = undefined;
		if (hardState) this.#saved = hardState;
		this.#log.applied = Math.max(this.#log.applied, committed.at(-1)?.index ?? 0);
		// Entries may have been replaced while the disk was busy: only entries that the log still holds count.
		const last = entries.at(-1);
		if (last && era === this.#era && this.#log.stabilized(last))
			this.#withLeadership(leadership => leadership.maybeCommit());
		// The own vote counts once it is durable.
		if (
			this.#state.role === 'candidate' &&
			this.#saved.term === this.#term &&
			this.#saved.vote === this.#options.id
		)
			this.#onVote(this.#options.id, true);
	}

	step(from: NodeId, packet: RaftPacket): void {
		if (packet.group !== this.#options.group) return this.#count('other-group');
		if (packet.term > this.#term && !this.#meetTerm(from, packet)) return;
		if (packet.term < this.#term && !isTermIndependent(packet)) {
			// A leader of an older term: the reply carries this node's higher term, which makes it step down.
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
				// A vote granted to an earlier campaign does not count for this one.
				if (this.#state.role === 'pre-candidate' && (!packet.granted || packet.term === this.#term + 1))
					this.#onVote(from, packet.granted);
				return;
			}

			case 'vote-reply':
				return this.#state.role === 'candidate' ? this.#onVote(from, packet.granted) : undefined;

			case 'append':
			case 'heartbeat':
			case 'snapshot':
				return this.#onLeader(from, packet);
			case 'append-reply':
				return this.#withLeadership(leadership => leadership.onAppendReply(from, packet));
			case 'heartbeat-reply':
				return this.#withLeadership(leadership => leadership.onHeartbeatReply(from, packet));
			case 'snapshot-reply':
				return this.#withLeadership(leadership => leadership.onSnapshotReply(from, packet));
			case 'timeout-now':
				return this.#onTimeoutNow(from);
			case 'propose': {
				// Not forwarded: two nodes that each believe the other leads would forward it forever.
				if (!this.#leadership) return this.#count('misdirected');
				this.#leadership.propose(Uint8Array.from(packet.data)); // A copy: the buffer of the frame is reused.
				return;
			}

			case 'read': {
				if (this.#leadership) this.#leadership.read(packet.context, from);
				else this.#count('misdirected');
				return;
			}

			case 'read-reply': {
				if (!this.#reads.answered(from, packet.context, packet.index)) this.#count('odd');
				return;
			}

			default:
				return packet satisfies never;
		}
	}

	// Terms and elections (Raft, 5.1, 5.2, 5.4.1; thesis, 9.6).

	/** Process the higher term of a packet. False when the packet must be ignored. */
	#meetTerm(from: NodeId, packet: RaftPacket): boolean {
		// The sender has not moved to that term; this node does not either.
		if (packet.type === 'pre-vote') return true;
		if (packet.type === 'pre-vote-reply' && packet.granted) return true;
		if (isFromLeader(packet) && !this.#mayLead(from)) {
			this.#count('no-voter');
			return false;
		}

		// A node that heard a leader within an election timeout ignores candidates, unless the leader transfers its
		// leadership (thesis, 4.2.3).
		if (packet.type === 'vote' && !packet.isTransfer && this.#hearsLeader()) return false;
		const bound = this.#termBounds.raise(from, this.#term, packet.term, this.#tick);
		if (bound !== undefined) {
			this.#count(bound);
			if (bound === 'term-jump') this.#askForTerms(from);
			return false;
		}

		this.#loseLeader(packet);
		this.#becomeFollower(packet.term, isFromLeader(packet) ? from : undefined);
		this.#crash?.yield(this.#tick); // Another node campaigns, or has won.
		return true;
	}

	/**
	The term of a packet is too far ahead for one peer. Ask the voters for their terms: each answers a pre-vote for an
	old term with its own (`step`).
	*/
	#askForTerms(except: NodeId): void {
		if (this.#tick - this.#askedTick < this.#options.electionTicks) return;
		this.#askedTick = this.#tick;
		for (const voter of this.#log.configuration.voters)
			if (voter !== this.#options.id && voter !== except)
				this.#send(voter, {type: 'pre-vote', lastIndex: 0, lastTerm: 0});
	}

	/** Record the reason why a packet of a later term ends the leadership that this node knew. */
	#loseLeader(packet: RaftPacket): void {
		let reported = packet.type === 'vote' || packet.type === 'heartbeat' ? packet.former : undefined;
		// A candidate of protocol version 1 reports only that this is a transfer.
		if (packet.type === 'vote' && packet.isTransfer && !reported && this.#leader !== undefined)
			reported = {leader: this.#leader, term: this.#term, cause: 'transferred'};
		this.#succession.replaced(
			reported,
			this.#tick,
			this.#leadership ? undefined : this.#tick - this.#contactTick,
			this.#options.electionTicks,
		);
	}

	/** The leader before this campaign and the reason why it was lost, as a part of packets. */
	get #former(): {readonly former?: Former} {
		const {former} = this.#succession;
		return former ? {former} : {};
	}

	/**
	Whether a packet of a leader may come from this node: a learner never leads. The configuration here may be old, and
	the learner a voter by now. So its packets count when no leader has been heard for two election timeouts. Until the
	log here makes it a voter, they neither stop a campaign of this node nor keep it from voting.
	*/
	#mayLead(from: NodeId): boolean {
		if (!this.#isLearner(from)) return true;
		return !this.#leadership && this.#tick - this.#contactTick >= 2 * this.#options.electionTicks;
	}

	#isLearner(node: NodeId): boolean {
		return this.#log.configuration.learners.includes(node);
	}

	#maybeCampaignAfterCrash(): boolean {
		if (!this.#crash?.isDue(this.#tick) || !this.#isPromotable()) return false;
		this.#preCampaign();
		return true;
	}

	#hearsLeader(): boolean {
		return (
			this.#leadership !== undefined ||
			(this.#leader !== undefined &&
				this.#elapsed < this.#options.electionTicks &&
				!this.#isLearner(this.#leader))
		);
	}

	#preCampaign(): void {
		this.#state = {role: 'pre-candidate', votes: new Map()};
		this.#resetTimeout();
		this.#askForVotes({
			type: 'pre-vote',
			term: this.#term + 1,
			lastIndex: this.#log.lastIndex,
			lastTerm: this.#log.last.term,
		});
		this.#onVote(this.#options.id, true); // A pre-vote is no promise, so it need not be durable.
	}

	#campaign(isTransfer: boolean): void {
		this.#state = {role: 'candidate', votes: new Map()};
		this.#succession.lose('newer-term', this.#tick);
		this.#crash?.yield(this.#tick);
		this.#term += 1;
		this.#vote = this.#options.id; // Counted in advance(), once it is durable.
		this.#resetTimeout();
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
	Raft, 5.2 and 5.4.1: one vote per term, and only for a log at least as up to date as that of this node. A majority
	of such grants implies that the log holds every committed entry. The candidate need not be a voter that this node
	knows: the configuration of this node may be old.

	*/
	#onVoteRequest(from: NodeId, {lastIndex, lastTerm}: PacketOf<'vote'>): void {
		const isFree = this.#vote === from || (this.#vote === undefined && this.#leader === undefined);
		const granted = isFree && this.#log.isUpToDate({index: lastIndex, term: lastTerm});
		if (granted) {
			this.#vote = from; // Leaves in ready().hardState, so it is durable before the reply is sent.
			this.#state = {role: 'follower'};
			this.#elapsed = 0;
			this.#crash?.yield(this.#tick);
		}

		this.#send(from, {type: 'vote-reply', granted});
	}

	/** Count the reply of a voter to this campaign; only its first reply counts. */
	#onVote(from: NodeId, granted: boolean): void {
		if (!('votes' in this.#state)) return;
		const {role, votes} = this.#state;
		const {voters} = this.#log.configuration;
		if (!voters.includes(from) || votes.has(from)) return;
		votes.set(from, granted);
		const grants = [...votes.values()].filter(Boolean).length;
		if (grants >= majority(voters.length)) {
			if (role === 'pre-candidate') this.#campaign(false);
			else this.#becomeLeader();
		} else if (votes.size - grants >= majority(voters.length)) this.#becomeFollower(this.#term, undefined);
	}

	/** Leadership transfer (thesis, 3.10): the leader asks this node to campaign at once. */
	#onTimeoutNow(from: NodeId): void {
		// Only from the leader of this node; a repeated packet starts no second campaign.
		if (!this.#isPromotable() || this.#state.role !== 'follower' || from !== this.#leader) return;
		const {voters} = this.#log.configuration;
		this.#succession.lose(voters.includes(from) ? 'transferred' : 'removed', this.#tick);
		this.#campaign(true);
	}

	#becomeFollower(term: number, leader: NodeId | undefined): void {
		if (term > this.#term) {
			this.#term = term;
			this.#vote = undefined;
		}

		this.#state = {role: 'follower'};
		if (leader === undefined) this.#succession.lose('newer-term', this.#tick);
		else this.#follow(leader);
		this.#resetTimeout();
	}

	#follow(leader: NodeId): void {
		this.#succession.find(leader, this.#term, this.#tick);
		this.#crash = undefined;
	}

	#becomeLeader(): void {
		this.#follow(this.#options.id);
		const leadership = new Leader({
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
			sendNow: (to, packet) => void this.#packetsBeforePersist.push({to, packet: this.#withHeader(packet)}),
			readProved: (context, index) => this.#reads.proved(context, index),
			count: name => this.#count(name),
		});
		this.#state = {role: 'leader', leadership};
	}

	/** Run `work` if this node leads. The leader may step down during it. */
	#withLeadership(work: (leadership: Leader) => void): void {
		const leadership = this.#leadership;
		if (!leadership) return;
		work(leadership);
		const {isSteppingDown, contactTicks} = leadership;
		if (!isSteppingDown) return;
		const isRemoved = !this.#isVoter() && contactTicks < this.#options.electionTicks;
		this.#succession.lose(isRemoved ? 'removed' : 'quorum-lost', this.#tick, isRemoved ? undefined : contactTicks);
		this.#becomeFollower(this.#term, undefined);
	}

	// Followers: append entries, install snapshot (Raft, 5.3, 7).

	#onLeader(from: NodeId, packet: PacketOf<'append'> | PacketOf<'heartbeat'> | PacketOf<'snapshot'>): void {
		// Two leaders in one term: one of the senders is faulty.
		if (this.#leadership || (this.#leader !== undefined && this.#leader !== from)) return this.#count('odd');
		const isLearner = this.#isLearner(from);
		if (isLearner && (this.#state.role !== 'follower' || (this.#leader !== from && !this.#mayLead(from))))
			return this.#count('no-voter');
		if (this.#leader !== from || this.#state.role !== 'follower') {
			if (packet.type === 'heartbeat' && packet.former) this.#succession.explain(packet.former);
			this.#becomeFollower(this.#term, from);
		}

		if (!isLearner) {
			this.#elapsed = 0;
			this.#contactTick = this.#tick;
		}

		switch (packet.type) {
			case 'append': {
				const reply = handleAppend(this.#log, packet);
				if (reply.ok) this.#noteMatch(reply.index);
				return this.#send(from, reply);
			}

			case 'snapshot':
				return this.#onSnapshot(from, packet);
			case 'heartbeat': {
				// The leader may know the log of another process of this node, which reached it over a relay.
				const matched = this.#matched.term === this.#term ? this.#matched.index : 0;
				this.#log.commitTo(Math.min(packet.commit, matched));
				this.#send(from, {type: 'heartbeat-reply', round: packet.round});
				return;
			}

			default:
				packet satisfies never;
		}
	}

	#onSnapshot(from: NodeId, packet: PacketOf<'snapshot'>): void {
		const {index, snapshotTerm} = packet;
		const position: LogPosition = {index, term: snapshotTerm};
		// The log already holds every entry that the snapshot covers.
		if (index > this.#log.commit && this.#log.matches(position)) this.#log.commitTo(index);
		if (index <= this.#log.commit) {
			this.#assembly.clear();
			this.#noteMatch(this.#log.commit);
			return this.#send(from, matches(this.#log.commit));
		}

		if (this.#assembly.isRefused(from, packet)) return;
		const whole = this.#assembly.take(from, packet);
		if (!whole)
			return this.#send(from, {
				type: 'snapshot-reply',
				index,
				offset: packet.offset,
				received: this.#assembly.received(from, packet),
			});
		// Before anything changes: the snapshot replaces the whole log, also on disk. The leader gets no answer.
		if (this.#options.acceptsSnapshot?.(whole, from) === false) return this.#assembly.refuse(from, packet);
		this.#log.reset(position, whole.configuration);
		this.#era++;
		this.#snapshot = whole;
		this.#installed = whole;
		this.#noteMatch(index);
		this.#send(from, matches(index));
	}

	/** The log matches that of the leader of this term up to `index`. */
	#noteMatch(index: number): void {
		const {term, index: before} = this.#matched;
		this.#matched = {term: this.#term, index: term === this.#term ? Math.max(before, index) : index};
	}

	#isVoter(): boolean {
		return this.#log.configuration.voters.includes(this.#options.id);
	}

	/**
	Whether this node may campaign: it is a voter, or its log has its removal, which is not known to be committed. Then
	it may be the only node with that entry, and the others need it as leader; its own vote does not count (thesis,
	4.2.2 and figure 4.6).
	*/
	#isPromotable(): boolean {
		return this.#isVoter() || this.#log.configurationAt(this.#log.commit).voters.includes(this.#options.id);
	}

	#resetTimeout(): void {
		this.#elapsed = 0;
		this.#timeout = this.#options.electionTicks + this.#options.random.below(this.#options.electionTicks);
	}

	#send(to: NodeId, packet: Unsent): void {
		this.#packets.push({to, packet: this.#withHeader(packet)});
	}

	#withHeader(packet: Unsent): RaftPacket {
		// oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- A spread of the union loses its tag.
		return {group: this.#options.group, term: this.#term, ...packet} as RaftPacket;
	}

	#count(name: string): void {
		this.#bounds.set(name, (this.#bounds.get(name) ?? 0) + 1);
	}
}
