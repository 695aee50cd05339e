/**
Raft as a value (Ongaro and Ousterhout 2014; Ongaro's thesis, 2014, for pre-vote, leadership transfer, single-step changes and reads):
packets and ticks go in, work comes out by `ready()`, and `advance()` says that it is done. Nothing is said that is not
durable: replies and votes leave with the work that makes them true, the own vote and the own log count once they are on disk.

Beyond the paper: check-quorum (a leader that hears no majority for an election timeout steps down), stickiness (who heard a leader
lately votes for nobody else), and learners, which receive and never vote.
*/
import type {Machine, Outbound, Random} from '../machine.ts';
import type {NodeId} from '../message.ts';
import {changed, encodeConfigurationData, majority, type Change, type Configuration} from './configuration.ts';
import {RaftLog, type Mark} from './log.ts';
import type {Entry, PacketOf, RaftPacket, Unsent} from './packet.ts';
import {Progress} from './progress.ts';
import {Reads} from './reads.ts';
import {Assembly, chunkOf, type Snapshot} from './snapshot.ts';

export type {Entry} from './packet.ts';
export type HardState = {readonly term: number; readonly vote: NodeId | undefined; readonly commit: number};
export type Recovered = {readonly hardState: HardState; readonly snapshot: Snapshot | undefined; readonly entries: readonly Entry[]};
export type RaftReady = {
	/** Durable before `packets` leave, as are `snapshot` and `entries`. */
	readonly hardState: HardState | undefined;
	/** One that was installed: to be restored before `committed` is applied. */
	readonly snapshot: Snapshot | undefined;
	/** An entry whose index exists replaces it and all after it. */
	readonly entries: readonly Entry[];
	/** A leader's appends and heartbeats: may leave while the disk writes (thesis, 10.2.1). */
	readonly packetsBefore: ReadonlyArray<Outbound<RaftPacket>>;
	readonly packets: ReadonlyArray<Outbound<RaftPacket>>;
	/** To be applied in this order. */
	readonly committed: readonly Entry[];
	/** Each may be served once `index` is applied; it is, with this work. */
	readonly reads: ReadonlyArray<{readonly context: string; readonly index: number}>;
};
export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'learner';
export type RaftStatus = {
	readonly role: Role;
	readonly term: number;
	readonly leader: NodeId | undefined;
	readonly vote: NodeId | undefined;
	/** Granted to this node in the campaign that runs. */
	readonly votes: readonly NodeId[];
	readonly commit: number;
	readonly applied: number;
	readonly lastIndex: number;
	readonly snapshotIndex: number;
	readonly configuration: Configuration;
	/** Leader only. */
	readonly progress: ReadonlyArray<{readonly id: NodeId; readonly match: number; readonly state: Progress['state']}>;
};
export type RaftOptions = {
	readonly id: NodeId;
	/** Packets of other groups are passed over. */
	readonly group: number;
	readonly electionTicks: number;
	readonly heartbeatTicks: number;
	readonly random: Random;
	readonly recovered: Recovered;
};
export type Raft = Machine<RaftPacket, RaftReady> & {
	/** Followers forward to the leader they know. An accepted proposal may still be lost: what counts is its commit. */
	propose(data: Uint8Array): 'accepted' | 'forwarded' | 'no-leader' | 'over-limit';
	/** Change the members by one step; leader only. `context` travels behind the configuration. */
	proposeChange(change: Change, context: Uint8Array): 'accepted' | 'not-leader' | 'busy' | 'invalid';
	/** Ask for an index that is current now; it comes back in `ready().reads`. */
	readIndex(context: string): 'accepted' | 'no-leader';
	/** Make a voter the leader as soon as it is caught up (thesis, 3.10). */
	transferLeadership(to: NodeId): void;
	/** `done` is durable and applied. */
	advance(done: RaftReady): void;
	/** The state machine's bytes at an applied index: the log up to there may go. Returns the snapshot to be stored. */
	compact(index: number, data: Uint8Array): Snapshot | undefined;
	/** Stand for election now. */
	campaign(): void;
	status(): RaftStatus;
};

const appendBytesMax = 256 * 1024;
const appendEntriesMax = 1024;
/** Uncommitted entries that a leader keeps at most: a cut-off one must not grow without end. */
export const uncommittedBytesMax = 8 * 1024 * 1024;
/** Entries kept behind a snapshot for followers that are a little behind. */
const tailEntries = 512;

export function createRaft(options: RaftOptions): Raft {
	return new RaftMachine(options);
}

class RaftMachine implements Raft {
	readonly #options: RaftOptions;
	readonly #log: RaftLog;
	readonly #reads = new Reads();
	readonly #assembly = new Assembly();
	readonly #progress = new Map<NodeId, Progress>();
	readonly #votes = new Map<NodeId, boolean>();
	#role: Exclude<Role, 'learner'> = 'follower';
	#term: number;
	#vote: NodeId | undefined;
	#leader: NodeId | undefined;
	#tick = 0;
	/** Ticks since a leader was heard, or a campaign began. */
	#elapsed = 0;
	#timeout = 0;
	#round = 0;
	/** Leader: index of this term's first entry. */
	#termStart = 0;
	#transferTo: NodeId | undefined;
	#transferTick = 0;
	#uncommittedBytes = 0;
	#snapshot: Snapshot | undefined;
	#installed: Snapshot | undefined;
	#savedTerm: number;
	#savedVote: NodeId | undefined;
	#isOut = false;
	#packets: Array<Outbound<RaftPacket>> = [];
	#packetsBefore: Array<Outbound<RaftPacket>> = [];
	#readsDone: Array<{context: string; index: number}> = [];

	constructor(options: RaftOptions) {
		const {recovered: {hardState, snapshot, entries}} = options;
		this.#options = options;
		this.#term = hardState.term;
		this.#vote = hardState.vote;
		this.#savedTerm = hardState.term;
		this.#savedVote = hardState.vote;
		this.#snapshot = snapshot;
		this.#log = new RaftLog({index: snapshot?.index ?? 0, term: snapshot?.term ?? 0}, snapshot?.configuration ?? {voters: [], learners: []}, entries, hardState.commit);
		this.#resetTimeout();
		// Nobody else votes: there is no leader to wait for.
		if (this.#isVoter() && this.#log.configuration.voters.length === 1) this.#elapsed = this.#timeout;
	}

	status(): RaftStatus {
		return {
			role: this.#role === 'follower' && !this.#isVoter() ? 'learner' : this.#role,
			term: this.#term, leader: this.#leader, vote: this.#vote,
			votes: [...this.#votes].filter(([, granted]) => granted).map(([id]) => id).toSorted(),
			commit: this.#log.commit, applied: this.#log.applied, lastIndex: this.#log.lastIndex, snapshotIndex: this.#snapshot?.index ?? 0,
			configuration: this.#log.configuration,
			progress: this.#role === 'leader' ? [...this.#progress].map(([id, {match, state}]) => ({id, match, state})) : [],
		};
	}

	tick(): void {
		this.#tick++;
		if (this.#role === 'leader') return this.#tickLeader();
		this.#elapsed++;
		if (this.#elapsed < this.#timeout) return;
		this.#leader = undefined;
		if (this.#isVoter()) this.#preCampaign();
		else this.#resetTimeout();
	}

	campaign(): void {
		if (this.#isVoter() && this.#role !== 'leader') this.#campaign(false);
	}

	propose(data: Uint8Array): 'accepted' | 'forwarded' | 'no-leader' | 'over-limit' {
		if (this.#role !== 'leader') {
			if (this.#leader === undefined) return 'no-leader';
			this.#send(this.#leader, {type: 'propose', data});
			return 'forwarded';
		}

		if (this.#transferTo !== undefined) return 'no-leader';
		if (this.#uncommittedBytes + data.length > uncommittedBytesMax) return 'over-limit';
		this.#appendOwn('command', data);
		this.#broadcastAppends();
		return 'accepted';
	}

	proposeChange(change: Change, context: Uint8Array): 'accepted' | 'not-leader' | 'busy' | 'invalid' {
		if (this.#role !== 'leader') return 'not-leader';
		// The bug of 2015 (Ongaro, raft-dev): no change before an entry of the own term is committed, and one at a time.
		if (this.#log.commit < this.#termStart || this.#log.configurationIndex > this.#log.commit || this.#transferTo !== undefined) return 'busy';
		const next = changed(this.#log.configuration, change);
		if (!next) return 'invalid';
		this.#appendOwn('configuration', encodeConfigurationData(next, context));
		this.#broadcastAppends(); // Also to the one that goes: it shall know.
		this.#followConfiguration();
		this.#broadcastAppends();
		return 'accepted';
	}

	readIndex(context: string): 'accepted' | 'no-leader' {
		if (this.#role === 'leader') {
			this.#beginRead(context, this.#options.id);
			return 'accepted';
		}

		if (this.#leader === undefined) return 'no-leader';
		this.#send(this.#leader, {type: 'read', context});
		return 'accepted';
	}

	transferLeadership(to: NodeId): void {
		const progress = this.#progress.get(to);
		if (this.#role !== 'leader' || !progress || !this.#log.configuration.voters.includes(to)) return;
		this.#transferTo = to;
		this.#transferTick = this.#tick;
		if (progress.match === this.#log.lastIndex) this.#send(to, {type: 'timeout-now'});
		else this.#sendAppend(to, progress);
	}

	compact(index: number, data: Uint8Array): Snapshot | undefined {
		if (index <= (this.#snapshot?.index ?? 0) || index > this.#log.applied) return undefined;
		this.#snapshot = {index, term: this.#log.termAt(index)!, configuration: this.#log.configurationAt(index), data};
		this.#log.compact(Math.max(this.#log.base.index, index - tailEntries));
		return this.#snapshot;
	}

	ready(): RaftReady | undefined {
		if (this.#isOut) return undefined; // One at a time: `advance` comes first.
		const isStateNew = this.#term !== this.#savedTerm || this.#vote !== this.#savedVote;
		const entries = this.#log.unstable();
		const committed = this.#log.unapplied();
		if (!isStateNew && !this.#installed && entries.length === 0 && committed.length === 0 && this.#packets.length === 0 && this.#packetsBefore.length === 0 && this.#readsDone.length === 0) return undefined;
		const ready: RaftReady = {
			hardState: isStateNew || entries.length > 0 || this.#installed ? {term: this.#term, vote: this.#vote, commit: this.#log.commit} : undefined,
			snapshot: this.#installed, entries, committed,
			packetsBefore: this.#packetsBefore, packets: this.#packets, reads: this.#readsDone,
		};
		this.#installed = undefined;
		this.#packets = [];
		this.#packetsBefore = [];
		this.#readsDone = [];
		this.#isOut = true;
		return ready;
	}

	advance({hardState, entries, committed}: RaftReady): void {
		this.#isOut = false;
		if (hardState) {
			this.#savedTerm = hardState.term;
			this.#savedVote = hardState.vote;
		}

		const applied = committed.at(-1)?.index ?? 0;
		if (applied > this.#log.applied) this.#log.applied = applied;
		// What was written may have been replaced while the disk was busy: only what still stands counts.
		const last = entries.at(-1);
		if (last && this.#log.stabilized(last) && this.#role === 'leader') this.#maybeCommit();
		if (this.#role === 'candidate' && this.#isVoteDurable() && !this.#votes.has(this.#options.id)) this.#onVote(this.#options.id, true);
	}

	step(from: NodeId, packet: RaftPacket): void {
		if (packet.group !== this.#options.group) return;
		if (packet.term > this.#term && !this.#meetTerm(from, packet)) return;
		if (packet.term < this.#term && !isAdvice(packet)) {
			// An old leader, or one that could not reach us while our term grew: tell it, so that it steps down.
			if (packet.type === 'append' || packet.type === 'heartbeat' || packet.type === 'snapshot') this.#send(from, {type: 'append-reply', ok: false, index: 0, hintTerm: 0, rejected: 0});
			else if (packet.type === 'pre-vote') this.#send(from, {type: 'pre-vote-reply', granted: false});
			return;
		}

		switch (packet.type) {
			case 'pre-vote': return this.#onPreVote(from, packet);
			case 'pre-vote-reply': {
				if (this.#role === 'pre-candidate') this.#onVote(from, packet.granted);
				return;
			}

			case 'vote': return this.#onVoteRequest(from, packet);
			case 'vote-reply': {
				if (this.#role === 'candidate') this.#onVote(from, packet.granted);
				return;
			}

			case 'append':
			case 'heartbeat':
			case 'snapshot': return this.#onLeader(from, packet);
			case 'append-reply': return this.#onAppendReply(from, packet);
			case 'heartbeat-reply': return this.#onHeartbeatReply(from, packet);
			case 'snapshot-reply': return this.#onSnapshotReply(from, packet);
			case 'timeout-now': {
				if (this.#isVoter() && this.#role !== 'leader') this.#campaign(true);
				return;
			}

			case 'propose': {
				if (this.#role === 'leader') this.propose(packet.data);
				return;
			}

			case 'read': {
				if (this.#role === 'leader') this.#beginRead(packet.context, from);
				return;
			}

			case 'read-reply': {
				this.#readsDone.push({context: packet.context, index: packet.index});
				return;
			}

			default: return packet satisfies never;
		}
	}

	// Terms and elections (Raft, 5.1, 5.2, 5.4.1; thesis, 9.6).

	/** A higher term came in. False when the packet is to be passed over. */
	#meetTerm(from: NodeId, packet: RaftPacket): boolean {
		if (packet.type === 'pre-vote') return true; // Its sender has not moved to that term, nor do we.
		if (packet.type === 'pre-vote-reply' && packet.granted) return true;
		// Who heard a leader within an election timeout is not to be disturbed, unless the leader itself gives way (thesis, 4.2.3).
		if (packet.type === 'vote' && !packet.isTransfer && this.#hearsLeader()) return false;
		const isFromLeader = packet.type === 'append' || packet.type === 'heartbeat' || packet.type === 'snapshot';
		this.#becomeFollower(packet.term, isFromLeader ? from : undefined);
		return true;
	}

	#hearsLeader(): boolean {
		return this.#leader !== undefined && (this.#role === 'leader' || this.#elapsed < this.#options.electionTicks);
	}

	#preCampaign(): void {
		this.#role = 'pre-candidate';
		this.#leader = undefined;
		this.#resetTimeout();
		this.#votes.clear();
		this.#askForVotes({type: 'pre-vote', term: this.#term + 1, lastIndex: this.#log.lastIndex, lastTerm: this.#log.last.term});
		this.#onVote(this.#options.id, true); // Promises nothing, so it need not be durable.
	}

	#campaign(isTransfer: boolean): void {
		this.#role = 'candidate';
		this.#leader = undefined;
		this.#term += 1;
		this.#vote = this.#options.id; // Counted in advance(), once it is durable.
		this.#resetTimeout();
		this.#votes.clear();
		this.#askForVotes({type: 'vote', isTransfer, lastIndex: this.#log.lastIndex, lastTerm: this.#log.last.term});
	}

	#askForVotes(request: Unsent): void {
		for (const voter of this.#log.configuration.voters) if (voter !== this.#options.id) this.#send(voter, request);
	}

	#onPreVote(from: NodeId, {term, lastIndex, lastTerm}: PacketOf<'pre-vote'>): void {
		const granted = term > this.#term && !this.#hearsLeader() && this.#log.isUpToDate({index: lastIndex, term: lastTerm});
		this.#send(from, granted ? {type: 'pre-vote-reply', granted, term} : {type: 'pre-vote-reply', granted});
	}

	/** §5.2, §5.4.1: one vote a term, and only for a log that holds every committed entry. */
	#onVoteRequest(from: NodeId, {lastIndex, lastTerm}: PacketOf<'vote'>): void {
		const isFree = this.#vote === from || (this.#vote === undefined && this.#leader === undefined);
		const granted = isFree && this.#log.isUpToDate({index: lastIndex, term: lastTerm});
		if (granted) {
			this.#vote = from; // Leaves in ready().hardState, so it is durable before the reply is sent.
			this.#role = 'follower';
			this.#elapsed = 0;
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

	#isVoteDurable(): boolean {
		return this.#savedTerm === this.#term && this.#savedVote === this.#options.id;
	}

	#becomeFollower(term: number, leader: NodeId | undefined): void {
		if (term > this.#term) {
			this.#term = term;
			this.#vote = undefined;
		}

		this.#role = 'follower';
		this.#leader = leader;
		this.#votes.clear();
		this.#progress.clear();
		this.#reads.clear();
		this.#transferTo = undefined;
		this.#resetTimeout();
	}

	#becomeLeader(): void {
		this.#role = 'leader';
		this.#leader = this.#options.id;
		this.#progress.clear();
		this.#uncommittedBytes = this.#log.slice(this.#log.commit + 1, Infinity, Infinity).reduce((sum, {data}) => sum + data.length, 0);
		this.#appendOwn('noop', new Uint8Array(0)); // §8: what is committed is known once an entry of the own term is.
		this.#termStart = this.#log.lastIndex;
		this.#followConfiguration();
		this.#broadcastHeartbeat();
		this.#broadcastAppends();
	}

	// The leader's work (Raft, 5.3, 5.4.2, 6).

	#tickLeader(): void {
		const {electionTicks, heartbeatTicks, id} = this.#options;
		if (this.#transferTo !== undefined && this.#tick - this.#transferTick >= electionTicks) this.#transferTo = undefined;
		const {voters} = this.#log.configuration;
		const heard = voters.filter(voter => voter === id || this.#tick - (this.#progress.get(voter)?.heardTick ?? -Infinity) < electionTicks).length;
		if (heard < majority(voters.length)) return this.#becomeFollower(this.#term, undefined);
		if (this.#tick % heartbeatTicks !== 0) return;
		this.#broadcastHeartbeat();
		for (const [peer, progress] of this.#progress) {
			if (progress.state === 'snapshot' && this.#tick - progress.sentTick >= electionTicks) this.#sendChunk(peer, progress);
		}
	}

	#appendOwn(kind: Entry['kind'], data: Uint8Array): void {
		this.#uncommittedBytes += data.length;
		this.#log.append({term: this.#term, index: this.#log.lastIndex + 1, kind, data});
	}

	/** One progress for each other node of the configuration. */
	#followConfiguration(): void {
		const {voters, learners} = this.#log.configuration;
		const nodes = [...voters, ...learners].filter(node => node !== this.#options.id);
		for (const peer of this.#progress.keys()) if (!nodes.includes(peer)) this.#progress.delete(peer);
		for (const node of nodes) if (!this.#progress.has(node)) this.#progress.set(node, new Progress(this.#log.lastIndex, this.#tick));
	}

	#broadcastAppends(): void {
		for (const [peer, progress] of this.#progress) this.#sendAppend(peer, progress);
	}

	#broadcastHeartbeat(): void {
		this.#round += 1;
		for (const [peer, progress] of this.#progress) this.#sendNow(peer, {type: 'heartbeat', round: this.#round, commit: Math.min(progress.match, this.#log.commit)});
		this.#proveReads();
	}

	#sendAppend(peer: NodeId, progress: Progress): void {
		while (!progress.isPaused && progress.state !== 'snapshot') {
			const prevIndex = progress.next - 1;
			const prevTerm = this.#log.termAt(prevIndex);
			if (prevTerm === undefined) return this.#startSnapshot(peer, progress);
			const entries = this.#log.slice(progress.next, appendBytesMax, appendEntriesMax);
			if (entries.length === 0 && progress.state === 'replicate') return;
			this.#sendNow(peer, {type: 'append', prevIndex, prevTerm, entries, commit: this.#log.commit});
			progress.sent(prevIndex + entries.length, entries.length);
		}
	}

	#onAppendReply(from: NodeId, packet: PacketOf<'append-reply'>): void {
		const progress = this.#heardFrom(from);
		if (!progress || packet.index > this.#log.lastIndex) return;
		if (!packet.ok) {
			// §5.3: step back past the whole conflicting term, not an entry at a time.
			const hint = this.#log.conflictHint(packet.index, packet.hintTerm);
			if (progress.state !== 'snapshot' && progress.refused(packet.rejected, hint.index)) this.#sendAppend(from, progress);
			return;
		}

		if (progress.state === 'snapshot' && packet.index < progress.snapshotIndex) return;
		if (progress.state === 'snapshot') progress.become('probe');
		if (progress.matched(packet.index)) this.#maybeCommit();
		this.#sendAppend(from, progress);
		if (this.#transferTo === from && progress.match === this.#log.lastIndex) this.#send(from, {type: 'timeout-now'});
	}

	#onHeartbeatReply(from: NodeId, {round}: PacketOf<'heartbeat-reply'>): void {
		const progress = this.#heardFrom(from);
		if (!progress) return;
		progress.round = Math.max(progress.round, Math.min(round, this.#round));
		this.#proveReads();
		progress.isWaiting = false;
		// It answers, and something is missing: an append or its reply was lost.
		if (progress.match >= this.#log.lastIndex || progress.state === 'snapshot') return;
		if (progress.state === 'replicate' && progress.next > progress.match + 1 && progress.isStalled(this.#round)) progress.become('probe');
		this.#sendAppend(from, progress);
	}

	/** §5.4.2, figure 8: only an entry of the own term is committed by counting; what is before it follows. */
	#maybeCommit(): void {
		const {id} = this.#options;
		const {voters} = this.#log.configuration;
		const matches = voters.map(voter => (voter === id ? this.#log.stable : this.#progress.get(voter)?.match ?? 0)).toSorted((a, b) => b - a);
		const index = matches[majority(voters.length) - 1] ?? 0;
		if (index <= this.#log.commit || this.#log.termAt(index) !== this.#term) return;
		const wasBeforeTerm = this.#log.commit < this.#termStart;
		for (const {data} of this.#log.slice(this.#log.commit + 1, Infinity, index - this.#log.commit)) this.#uncommittedBytes -= data.length;
		this.#log.commit = index;
		if (wasBeforeTerm) for (const {context, from} of this.#reads.takeHeld()) this.#beginRead(context, from);
		if (this.#log.configurationIndex <= index && !voters.includes(id)) {
			this.#broadcastHeartbeat();
			return this.#becomeFollower(this.#term, undefined); // §6: a removed leader goes once its removal is committed.
		}

		// Followers learn of the commit with the next append; when there is none, they are told now.
		for (const [peer, progress] of this.#progress) if (progress.match >= index) this.#sendNow(peer, {type: 'heartbeat', round: this.#round, commit: index});
	}

	#heardFrom(from: NodeId): Progress | undefined {
		const progress = this.#role === 'leader' ? this.#progress.get(from) : undefined;
		if (progress) progress.heardTick = this.#tick;
		return progress;
	}

	#beginRead(context: string, from: NodeId): void {
		if (this.#log.commit < this.#termStart) return this.#reads.hold(context, from);
		// A round that begins now: replies to rounds before it say nothing about now.
		this.#reads.begin(context, from, this.#round + 1, this.#log.commit);
		this.#broadcastHeartbeat();
	}

	#proveReads(): void {
		if (!this.#reads.isWaiting) return;
		const {voters} = this.#log.configuration;
		const rounds = voters.map(voter => (voter === this.#options.id ? this.#round : this.#progress.get(voter)?.round ?? 0)).toSorted((a, b) => b - a);
		for (const {context, from, index} of this.#reads.proved(rounds[majority(voters.length) - 1] ?? 0)) {
			if (from === this.#options.id) this.#readsDone.push({context, index});
			else this.#send(from, {type: 'read-reply', context, index});
		}
	}

	#startSnapshot(peer: NodeId, progress: Progress): void {
		if (!this.#snapshot) return;
		progress.become('snapshot');
		progress.snapshotIndex = this.#snapshot.index;
		progress.received = 0;
		this.#sendChunk(peer, progress);
	}

	#sendChunk(peer: NodeId, progress: Progress): void {
		if (!this.#snapshot) return;
		if (progress.snapshotIndex !== this.#snapshot.index) {
			progress.snapshotIndex = this.#snapshot.index;
			progress.received = 0;
		}

		progress.sentTick = this.#tick;
		this.#sendNow(peer, chunkOf(this.#snapshot, progress.received));
	}

	#onSnapshotReply(from: NodeId, {index, received}: PacketOf<'snapshot-reply'>): void {
		const progress = this.#heardFrom(from);
		if (!progress || progress.state !== 'snapshot' || index !== progress.snapshotIndex || index !== this.#snapshot?.index) return;
		if (received >= this.#snapshot.data.length) return; // The append-reply that follows says that it is installed.
		progress.received = received;
		this.#sendChunk(from, progress);
	}

	// The follower's work (Raft, 5.3, 7).

	#onLeader(from: NodeId, packet: PacketOf<'append'> | PacketOf<'heartbeat'> | PacketOf<'snapshot'>): void {
		if (this.#role !== 'follower') this.#becomeFollower(this.#term, from);
		this.#leader = from;
		this.#elapsed = 0;
		switch (packet.type) {
			case 'append': return this.#onAppend(from, packet);
			case 'snapshot': return this.#onSnapshot(from, packet);
			case 'heartbeat': {
				this.#commitTo(packet.commit);
				this.#send(from, {type: 'heartbeat-reply', round: packet.round});
				return;
			}

			default: packet satisfies never;
		}
	}

	#onAppend(from: NodeId, {prevIndex, prevTerm, entries, commit}: PacketOf<'append'>): void {
		if (prevIndex < this.#log.commit) {
			// It begins within what is committed, and so matches: only what is beyond can be news.
			const fresh = entries.filter(entry => entry.index > this.#log.commit);
			if (fresh.length === 0) return this.#send(from, {type: 'append-reply', ok: true, index: this.#log.commit, hintTerm: 0, rejected: 0});
			return this.#merge(from, fresh, this.#log.commit, commit);
		}

		if (this.#log.matches({index: prevIndex, term: prevTerm})) return this.#merge(from, entries, prevIndex, commit);
		const {index, term} = this.#log.conflictHint(prevIndex, prevTerm);
		this.#send(from, {type: 'append-reply', ok: false, index, hintTerm: term, rejected: prevIndex});
	}

	#merge(from: NodeId, entries: readonly Entry[], previous: number, commit: number): void {
		const matched = this.#log.merge(entries, previous);
		// Never past what this append proved to match: the log beyond it may be another leader's.
		this.#commitTo(Math.min(commit, matched));
		this.#send(from, {type: 'append-reply', ok: true, index: matched, hintTerm: 0, rejected: 0});
	}

	#commitTo(index: number): void {
		if (index > this.#log.commit) this.#log.commit = Math.min(index, this.#log.lastIndex);
	}

	#onSnapshot(from: NodeId, packet: PacketOf<'snapshot'>): void {
		const {index, snapshotTerm} = packet;
		const mark: Mark = {index, term: snapshotTerm};
		if (index > this.#log.commit && this.#log.matches(mark)) this.#commitTo(index); // All of it is here: no need to start over.
		if (index <= this.#log.commit) return this.#send(from, {type: 'append-reply', ok: true, index: this.#log.commit, hintTerm: 0, rejected: 0});
		const whole = this.#assembly.take(packet);
		if (!whole) return this.#send(from, {type: 'snapshot-reply', index, received: this.#assembly.received(index, snapshotTerm)});
		this.#log.reset(mark, whole.configuration);
		this.#snapshot = whole;
		this.#installed = whole;
		this.#send(from, {type: 'append-reply', ok: true, index, hintTerm: 0, rejected: 0});
	}

	#isVoter(): boolean {
		return this.#log.configuration.voters.includes(this.#options.id);
	}

	#resetTimeout(): void {
		this.#elapsed = 0;
		this.#timeout = this.#options.electionTicks + this.#options.random.below(this.#options.electionTicks);
	}

	/** With what is durable by then. */
	#send(to: NodeId, packet: Unsent): void {
		this.#packets.push({to, packet: {group: this.#options.group, term: this.#term, ...packet} as RaftPacket});
	}

	/** Before the disk is done: promises nothing that the sender's disk must hold. */
	#sendNow(to: NodeId, packet: Unsent): void {
		this.#packetsBefore.push({to, packet: {group: this.#options.group, term: this.#term, ...packet} as RaftPacket});
	}
}

/** Packets whose meaning does not hang on the sender's term. */
function isAdvice({type}: RaftPacket): boolean {
	return type === 'propose' || type === 'read' || type === 'read-reply';
}
