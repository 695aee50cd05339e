/**
The leader's work for the length of one term (Raft, 5.3, 5.4.2, 6; thesis, 3.10, 4, 6.4): take proposals, bring every
follower's log in line, count what is durable, prove reads, hand over. It exists while its node leads; when `isOver` it
has stepped down, for lack of a quorum or because it was removed.
*/
import type {NodeId} from '../message.ts';
import {changed, encodeConfigurationData, majority, type Change} from './configuration.ts';
import type {RaftLog} from './log.ts';
import {snapshotBytesMax, type Entry, type PacketOf, type Unsent} from './packet.ts';
import {Progress} from './progress.ts';
import {Reads} from './reads.ts';
import {chunkOf, type Snapshot} from './snapshot.ts';
import type {Former} from './succession.ts';

export type RaftLimits = {
	/** Entries in one append, bytes and number; one entry alone may be larger. */
	readonly appendBytesMax: number;
	readonly appendEntriesMax: number;
	/** One command, bytes. */
	readonly entryBytesMax: number;
	/** Uncommitted entries that a leader takes: a cut-off one must not grow without end. */
	readonly uncommittedBytesMax: number;
	/** Entries kept behind a snapshot for followers that are a little behind. */
	readonly tailEntries: number;
	/** A learner with more entries to catch up on is not promoted: it would hold up every commit that needs it. */
	readonly promotionLagMax: number;
	readonly votersMax: number;
	readonly learnersMax: number;
};

export const raftLimits: RaftLimits = {
	appendBytesMax: 256 * 1024,
	appendEntriesMax: 1024,
	entryBytesMax: 768 * 1024,
	uncommittedBytesMax: 8 * 1024 * 1024,
	tailEntries: 512,
	promotionLagMax: 1024,
	votersMax: 7,
	learnersMax: 1024,
};

/** What a leader needs of its node. */
export type LeaderContext = {
	readonly id: NodeId;
	readonly term: number;
	readonly log: RaftLog;
	readonly electionTicks: number;
	readonly heartbeatTicks: number;
	readonly limits: RaftLimits;
	/** Why it was elected, for followers that did not see it. */
	readonly former: {readonly former?: Former};
	readonly tick: () => number;
	readonly snapshot: () => Snapshot | undefined;
	/** Leaves with what is durable by then. */
	readonly send: (to: NodeId, packet: Unsent) => void;
	/** Leaves while the disk writes: promises nothing that the sender's disk must hold. */
	readonly sendNow: (to: NodeId, packet: Unsent) => void;
	/** A read of this node itself is proved. */
	readonly readDone: (context: string, index: number) => void;
	/** A bound was hit, or something odd came in. */
	readonly count: (name: string) => void;
};

/** What an entry weighs besides its data. */
const entryOverhead = 32;

export class Leader {
	readonly progress = new Map<NodeId, Progress>();
	isOver = false;
	uncommittedBytes = 0;
	readonly #context: LeaderContext;
	readonly #log: RaftLog;
	readonly #reads = new Reads();
	/** Index of this term's first entry. */
	readonly #termStart: number;
	#round = 0;
	#beatTick: number;
	#transferTo: NodeId | undefined;
	#transferTick = 0;

	constructor(context: LeaderContext) {
		this.#context = context;
		this.#log = context.log;
		this.#beatTick = context.tick();
		for (const entry of this.#log.slice(this.#log.commit + 1, Infinity, Infinity))
			this.uncommittedBytes += weight(entry);
		this.#append('noop', new Uint8Array(0)); // §8: what is committed is known once an entry of the own term is.
		this.#termStart = this.#log.lastIndex;
		this.#followConfiguration();
		this.#beat();
	}

	/** Ticks since a majority of the voters was heard, this node included. */
	get contactTicks(): number {
		const {id, tick} = this.#context;
		const {voters} = this.#log.configuration;
		const heard = voters
			.map(voter => (voter === id ? tick() : (this.progress.get(voter)?.heardTick ?? -Infinity)))
			.toSorted((a, b) => b - a);
		return tick() - (heard[majority(voters.length) - 1] ?? tick());
	}

	get isTransferring(): boolean {
		return this.#transferTo !== undefined;
	}

	tick(): void {
		const {electionTicks, heartbeatTicks, tick} = this.#context;
		if (this.isTransferring && tick() - this.#transferTick >= electionTicks) this.#transferTo = undefined;
		// Check-quorum (thesis, 6.2): who hears no majority may long have been replaced.
		if (this.contactTicks >= electionTicks) {
			this.isOver = true;
			return;
		}

		for (const [peer, progress] of this.progress) {
			// Silent: what was sent is lost, and more of it would be too. One append a heartbeat that it answers.
			if (progress.state === 'replicate' && tick() - progress.heardTick >= electionTicks)
				progress.become('probe');
			// A chunk or its reply was lost; a silent peer is not sent another.
			if (
				progress.state === 'snapshot' &&
				tick() - progress.sentTick >= electionTicks &&
				progress.heardTick > progress.sentTick
			)
				this.#sendChunk(peer, progress);
		}

		if (tick() - this.#beatTick >= heartbeatTicks) this.#beat();
	}

	propose(data: Uint8Array): 'accepted' | 'no-leader' | 'over-limit' {
		const {entryBytesMax, uncommittedBytesMax} = this.#context.limits;
		if (this.isTransferring) return 'no-leader';
		if (data.length > entryBytesMax || this.uncommittedBytes + data.length + entryOverhead > uncommittedBytesMax) {
			this.#context.count('uncommitted');
			return 'over-limit';
		}

		this.#append('command', data);
		return 'accepted';
	}

	proposeChange(change: Change, context: Uint8Array): 'accepted' | 'busy' | 'invalid' {
		const {promotionLagMax, votersMax, learnersMax} = this.#context.limits;
		// The bug of 2015 (Ongaro, raft-dev): no change before an entry of the own term is committed, and one at a
		// time.
		if (
			this.#log.commit < this.#termStart ||
			this.#log.configurationIndex > this.#log.commit ||
			this.isTransferring
		)
			return 'busy';
		const next = changed(this.#log.configuration, change);
		if (!next || next.voters.length > votersMax || next.learners.length > learnersMax) return 'invalid';
		if (change.type === 'promote') {
			const learner = this.progress.get(change.node);
			if (learner?.state !== 'replicate' || this.#log.lastIndex - learner.match > promotionLagMax) return 'busy';
		}

		this.#append('configuration', encodeConfigurationData(next, context));
		this.#followConfiguration();
		return 'accepted';
	}

	/**
	Thesis, 3.10: bring it up to date, then tell it to stand at once. Given up after an election timeout. True when this
	began.
	*/
	transfer(to: NodeId): boolean {
		const progress = this.progress.get(to);
		if (!progress || this.isTransferring || !this.#log.configuration.voters.includes(to)) return false;
		this.#transferTo = to;
		this.#transferTick = this.#context.tick();
		this.#maybeHandOver(to, progress);
		return true;
	}

	/** Ask for an index that is current now; `from` is told when a quorum has confirmed it. */
	read(context: string, from: NodeId): void {
		if (this.#reads.isFull) this.#context.count('reads');
		else if (this.#log.commit < this.#termStart) this.#reads.hold({context, from});
		// A round that is yet to begin: replies to the rounds before it say nothing about now.
		else this.#reads.begin({context, from}, this.#round + 1, this.#log.commit);
	}

	/**
	What is new since the last time goes out, as few packets as possible: what was proposed in one turn shares an
	append.
	*/
	flush(): void {
		if (this.#reads.lastRound > this.#round) this.#beat();
		for (const [peer, progress] of this.progress) this.#sendAppends(peer, progress);
	}

	/**
	What its former process had does not count: a heartbeat would commit there what it does not have, or has otherwise.
	*/
	forget(peer: NodeId): void {
		const known = this.progress.get(peer);
		if (!known) return;
		const anew = new Progress(this.#log.lastIndex + 1, known.heardTick);
		this.progress.set(peer, anew);
		this.#beatTo(peer, anew); // Before any append: it says why this node leads.
	}

	onAppendReply(from: NodeId, packet: PacketOf<'append-reply'>): void {
		const progress = this.#heardFrom(from);
		if (!progress) return;
		if (packet.index > this.#log.lastIndex) return this.#context.count('odd');
		if (!packet.ok) {
			// §5.3: step back past the whole conflicting term, not an entry at a time.
			if (progress.state !== 'snapshot')
				progress.refused(packet.rejected, this.#log.conflictHint(packet.index, packet.hintTerm).index);
			return;
		}

		if (progress.state === 'snapshot') {
			if (packet.index < (progress.snapshot?.index ?? 0)) return;
			progress.become('probe');
		}

		if (progress.matched(packet.index, this.#context.tick())) this.maybeCommit();
		this.#maybeHandOver(from, progress);
	}

	onHeartbeatReply(from: NodeId, {round}: PacketOf<'heartbeat-reply'>): void {
		const progress = this.#heardFrom(from);
		if (!progress) return;
		progress.answered(Math.min(round, this.#round));
		this.#proveReads();
		// It answers, yet nothing moves: an append or its reply may be lost. Ask with an empty append behind all that
		// was sent: it is acknowledged when the disk there is just slow, and refused when something is missing.
		const {tick, heartbeatTicks, sendNow} = this.#context;
		if (progress.state !== 'replicate' || !progress.isInflight || tick() - progress.movedTick < heartbeatTicks)
			return;
		const prevIndex = progress.next - 1;
		const prevTerm = this.#log.termAt(prevIndex);
		if (prevTerm === undefined)
			progress.become('probe'); // The log was compacted beyond it: flush() goes on with a snapshot.
		else sendNow(from, {type: 'append', prevIndex, prevTerm, entries: [], commit: this.#log.commit});
	}

	onSnapshotReply(from: NodeId, {index, offset, received}: PacketOf<'snapshot-reply'>): void {
		const progress = this.#heardFrom(from);
		const {snapshot} = progress ?? {};
		// Whole: an append-reply says that it is installed.
		if (!progress || index !== snapshot?.index || received >= snapshot.data.length) return;
		// Only the answer to the chunk that was sent last counts, and then whatever it says: a follower that restarted
		// has less.
		if (offset !== progress.received || received === offset) return;
		progress.received = received;
		this.#sendChunk(from, progress);
	}

	/** §5.4.2, figure 8: only an entry of the own term is committed by counting; what is before it follows. */
	maybeCommit(): void {
		const {id, term} = this.#context;
		const {voters} = this.#log.configuration;
		const matches = voters
			.map(voter => (voter === id ? this.#log.stable : (this.progress.get(voter)?.match ?? 0)))
			.toSorted((a, b) => b - a);
		const index = matches[majority(voters.length) - 1] ?? 0;
		const {commit} = this.#log;
		if (index <= commit || this.#log.termAt(index) !== term) return;
		for (const entry of this.#log.slice(commit + 1, Infinity, index - commit))
			this.uncommittedBytes -= weight(entry);
		this.#log.commit = index;
		if (commit < this.#termStart) for (const {context, from} of this.#reads.takeHeld()) this.read(context, from);
		if (this.#log.configurationIndex <= index && !voters.includes(id)) this.#leave();
	}

	/** §6: a leader that was removed goes once its removal is committed. It tells so, and names the best successor. */
	#leave(): void {
		this.flush();
		const {voters} = this.#log.configuration;
		const best = voters
			.map(voter => ({voter, match: this.progress.get(voter)?.match ?? 0}))
			.toSorted((a, b) => b.match - a.match)[0];
		if (best) this.#context.send(best.voter, {type: 'timeout-now'});
		this.isOver = true;
	}

	#append(kind: Entry['kind'], data: Uint8Array): void {
		const entry = {term: this.#context.term, index: this.#log.lastIndex + 1, kind, data};
		this.uncommittedBytes += weight(entry);
		this.#log.append(entry);
	}

	/** One progress for each other node of the configuration. */
	#followConfiguration(): void {
		const {id, tick} = this.#context;
		const {voters, learners} = this.#log.configuration;
		const nodes = [...voters, ...learners].filter(node => node !== id);
		for (const peer of this.progress.keys()) if (!nodes.includes(peer)) this.progress.delete(peer);
		for (const node of nodes)
			if (!this.progress.has(node)) this.progress.set(node, new Progress(this.#log.lastIndex, tick()));
	}

	#beat(): void {
		this.#round += 1;
		this.#beatTick = this.#context.tick();
		for (const [peer, progress] of this.progress) this.#beatTo(peer, progress);
		this.#proveReads();
	}

	#beatTo(peer: NodeId, {match, round}: Progress): void {
		const former = round === 0 ? this.#context.former : undefined; // Until it answers.
		this.#context.sendNow(peer, {
			type: 'heartbeat',
			round: this.#round,
			commit: Math.min(match, this.#log.commit),
			...former,
		});
	}

	#sendAppends(peer: NodeId, progress: Progress): void {
		const {
			limits: {appendBytesMax, appendEntriesMax},
			sendNow,
			tick,
		} = this.#context;
		while (!progress.isPaused) {
			const {commit, lastIndex} = this.#log;
			const isProbing = progress.state === 'probe';
			if (progress.next > lastIndex && (isProbing ? progress.match === lastIndex : progress.toldCommit >= commit))
				return;
			const prevIndex = progress.next - 1;
			const prevTerm = this.#log.termAt(prevIndex);
			if (prevTerm === undefined) return this.#startSnapshot(peer, progress);
			const entries = this.#log.slice(progress.next, appendBytesMax, appendEntriesMax);
			sendNow(peer, {type: 'append', prevIndex, prevTerm, entries, commit});
			progress.toldCommit = commit;
			progress.sent(
				prevIndex + entries.length,
				entries.reduce((sum, entry) => sum + weight(entry), 0),
				tick(),
				this.#round,
			);
		}
	}

	#maybeHandOver(to: NodeId, {match}: Progress): void {
		if (this.#transferTo === to && match === this.#log.lastIndex) this.#context.send(to, {type: 'timeout-now'});
	}

	#heardFrom(from: NodeId): Progress | undefined {
		const progress = this.progress.get(from);
		if (progress) progress.heardTick = this.#context.tick();
		return progress;
	}

	#proveReads(): void {
		if (!this.#reads.isWaiting) return;
		const {id, readDone, send} = this.#context;
		const {voters} = this.#log.configuration;
		const rounds = voters
			.map(voter => (voter === id ? this.#round : (this.progress.get(voter)?.round ?? 0)))
			.toSorted((a, b) => b - a);
		for (const {context, from, index} of this.#reads.proved(rounds[majority(voters.length) - 1] ?? 0)) {
			if (from === id) readDone(context, index);
			else send(from, {type: 'read-reply', context, index});
		}
	}

	#startSnapshot(peer: NodeId, progress: Progress): void {
		const snapshot = this.#context.snapshot();
		if (!snapshot) return;
		if (snapshot.data.length > snapshotBytesMax) return this.#context.count('snapshot-bytes');
		progress.become('snapshot');
		progress.snapshot = snapshot;
		this.#sendChunk(peer, progress);
	}

	#sendChunk(peer: NodeId, progress: Progress): void {
		if (!progress.snapshot) return;
		progress.sentTick = this.#context.tick();
		this.#context.sendNow(peer, chunkOf(progress.snapshot, progress.received));
	}
}

function weight({data}: Entry): number {
	return data.length + entryOverhead;
}
