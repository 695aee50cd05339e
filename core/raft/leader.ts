/**
The leader's work in one term (Raft, 5.3, 5.4.2, 6; thesis, 3.10, 4, 6.4): append proposals, replicate the log, commit
entries that a majority has on disk, prove reads, transfer leadership. The object exists while its node leads.
`isSteppingDown` says that the leader must step down, for lack of a quorum or because it was removed.
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
	/** Bounds of the entries in one append: bytes and number. A single entry may be larger. */
	readonly appendBytesMax: number;
	readonly appendEntriesMax: number;
	/** One command, bytes. */
	readonly entryBytesMax: number;
	/** Bytes of uncommitted entries, so that the log of a leader without a quorum does not grow forever. */
	readonly uncommittedBytesMax: number;
	/** Entries that are kept before a snapshot, for followers that lag a little. */
	readonly tailEntries: number;
	/** A learner that misses more entries is not promoted: it would delay every commit that needs its vote. */
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

/** The leader's access to its node. */
export type LeaderContext = {
	readonly id: NodeId;
	readonly term: number;
	readonly log: RaftLog;
	readonly electionTicks: number;
	readonly heartbeatTicks: number;
	readonly limits: RaftLimits;
	/** The former leader and the cause of its loss, for followers that did not see it. */
	readonly former: {readonly former?: Former};
	readonly tick: () => number;
	readonly snapshot: () => Snapshot | undefined;
	/** Send after the next write to disk. */
	readonly send: (to: NodeId, packet: Unsent) => void;
	/** Send before the next write to disk: the packet must not promise that this node has something on disk. */
	readonly sendNow: (to: NodeId, packet: Unsent) => void;
	/** A read of this node itself is proved. */
	readonly readProved: (context: string, index: number) => void;
	/** Count a hit of a bound, or a packet that is invalid in its context. */
	readonly count: (name: string) => void;
};

/** Bytes that are counted for an entry besides its data. */
const entryOverhead = 32;

export class Leader {
	readonly progress = new Map<NodeId, Progress>();
	isSteppingDown = false;
	uncommittedBytes = 0;
	readonly #context: LeaderContext;
	readonly #log: RaftLog;
	readonly #reads = new Reads();
	/** Index of this term's first entry. */
	readonly #termStart: number;
	#round = 0;
	#heartbeatTick: number;
	#transferTo: NodeId | undefined;
	#transferTick = 0;

	constructor(context: LeaderContext) {
		this.#context = context;
		this.#log = context.log;
		this.#heartbeatTick = context.tick();
		for (const entry of this.#log.slice(this.#log.commit + 1, Infinity, Infinity))
			this.uncommittedBytes += weight(entry);
		// Raft, 8: a leader learns the commit index only by committing an entry of its own term.
		this.#append('noop', new Uint8Array(0));
		this.#termStart = this.#log.lastIndex;
		this.#followConfiguration();
		this.#broadcastHeartbeat();
	}

	/** Ticks since this node heard a majority of the voters, itself included. */
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
		// Check-quorum (thesis, 6.2): a leader that hears no majority may have been replaced long ago.
		if (this.contactTicks >= electionTicks) {
			this.isSteppingDown = true;
			return;
		}

		for (const [peer, progress] of this.progress) {
			// The follower is silent, so appends in flight are lost. Send one append per heartbeat that it answers.
			if (progress.state === 'replicate' && tick() - progress.heardTick >= electionTicks)
				progress.become('probe');
			// A chunk or its reply was lost. A silent follower gets no other chunk.
			if (
				progress.state === 'snapshot' &&
				tick() - progress.sentTick >= electionTicks &&
				progress.heardTick > progress.sentTick
			)
				this.#sendChunk(peer, progress);
		}

		if (tick() - this.#heartbeatTick >= heartbeatTicks) this.#broadcastHeartbeat();
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
		// One change at a time, and none before an entry of the own term is committed (Ongaro, raft-dev, 2015: "bug in
		// single-server membership changes").
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
	Transfer leadership to a voter (thesis, 3.10): replicate the log to it, then let it campaign at once. The transfer
	is cancelled after an election timeout. True when it began.
	*/
	transfer(to: NodeId): boolean {
		const progress = this.progress.get(to);
		if (!progress || this.isTransferring || !this.#log.configuration.voters.includes(to)) return false;
		this.#transferTo = to;
		this.#transferTick = this.#context.tick();
		this.#maybeSendTimeoutNow(to, progress);
		return true;
	}

	/**
	Request the commit index for a read of node `from`. The answer leaves when a quorum has confirmed this leader.
	*/
	read(context: string, from: NodeId): void {
		if (this.#reads.isFull(from, from === this.#context.id)) this.#context.count('reads');
		else if (this.#log.commit < this.#termStart) this.#reads.hold({context, from});
		// The next round: replies to earlier rounds do not prove that this node leads now.
		else this.#reads.begin({context, from}, this.#round + 1, this.#log.commit);
	}

	/** Send new entries and heartbeats. Commands that were proposed since the last call share an append. */
	flush(): void {
		if (this.#reads.lastRound > this.#round) this.#broadcastHeartbeat();
		for (const [peer, progress] of this.progress) this.#sendAppends(peer, progress);
	}

	/**
	Probe the log of the peer again: a new process may have another log than the former one. With the old `match` a
	heartbeat would commit entries that the new process does not have.
	*/
	resetProgress(peer: NodeId): void {
		const known = this.progress.get(peer);
		if (!known) return;
		const fresh = new Progress(this.#log.lastIndex + 1, known.heardTick);
		this.progress.set(peer, fresh);
		this.#sendHeartbeat(peer, fresh); // Before any append: the heartbeat has the cause of this leader's election.
	}

	onAppendReply(from: NodeId, packet: PacketOf<'append-reply'>): void {
		const progress = this.#heardFrom(from);
		if (!progress) return;
		if (packet.index > this.#log.lastIndex) return this.#context.count('odd');
		if (!packet.ok) {
			// Raft, 5.3: skip the whole conflicting term at once, instead of one entry at a time.
			if (progress.state !== 'snapshot')
				progress.rejected(packet.rejected, this.#log.conflictHint(packet.index, packet.hintTerm).index);
			return;
		}

		if (progress.state === 'snapshot') {
			if (packet.index < (progress.snapshot?.index ?? 0)) return;
			progress.become('probe');
		}

		if (progress.matched(packet.index, this.#context.tick())) this.maybeCommit();
		this.#maybeSendTimeoutNow(from, progress);
	}

	onHeartbeatReply(from: NodeId, {round}: PacketOf<'heartbeat-reply'>): void {
		const progress = this.#heardFrom(from);
		if (!progress) return;
		progress.answered(Math.min(round, this.#round));
		this.#proveReads();
		// The follower answers heartbeats but acknowledges nothing: an append or its reply may be lost. Send an empty
		// append after the last entry that was sent. A slow disk acknowledges it later; a gap rejects it.
		const {tick, heartbeatTicks, sendNow} = this.#context;
		if (progress.state !== 'replicate' || !progress.isInflight || tick() - progress.movedTick < heartbeatTicks)
			return;
		const prevIndex = progress.next - 1;
		const prevTerm = this.#log.termAt(prevIndex);
		if (prevTerm === undefined)
			progress.become('probe'); // These entries were compacted: flush() sends a snapshot.
		else sendNow(from, {type: 'append', prevIndex, prevTerm, entries: [], commit: this.#log.commit});
	}

	onSnapshotReply(from: NodeId, {index, offset, received}: PacketOf<'snapshot-reply'>): void {
		const progress = this.#heardFrom(from);
		const {snapshot} = progress ?? {};
		// A complete snapshot is acknowledged by an append-reply, once it is installed.
		if (!progress || index !== snapshot?.index || received >= snapshot.data.length) return;
		// Only the answer to the last chunk counts. It may be lower than before: a follower that restarted has no
		// chunk.
		if (offset !== progress.received || received === offset) return;
		progress.received = received;
		this.#sendChunk(from, progress);
	}

	/**
	Raft, 5.4.2 and figure 8: only an entry of the own term is committed by counting; it commits all earlier ones.
	*/
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
		if (this.#log.configurationIndex <= index && !voters.includes(id)) this.#handOverAfterRemoval();
	}

	/**
	Raft, 6: a removed leader steps down once its removal is committed. It lets the best follower campaign at once.
	*/
	#handOverAfterRemoval(): void {
		this.flush();
		const {voters} = this.#log.configuration;
		const best = voters
			.map(voter => ({voter, match: this.progress.get(voter)?.match ?? 0}))
			.toSorted((a, b) => b.match - a.match)[0];
		if (best) this.#context.send(best.voter, {type: 'timeout-now'});
		this.isSteppingDown = true;
	}

	#append(kind: Entry['kind'], data: Uint8Array): void {
		const entry = {term: this.#context.term, index: this.#log.lastIndex + 1, kind, data};
		this.uncommittedBytes += weight(entry);
		this.#log.append(entry);
	}

	/** Keep one progress for each other node of the configuration. */
	#followConfiguration(): void {
		const {id, tick} = this.#context;
		const {voters, learners} = this.#log.configuration;
		const nodes = [...voters, ...learners].filter(node => node !== id);
		for (const peer of this.progress.keys()) if (!nodes.includes(peer)) this.progress.delete(peer);
		for (const node of nodes)
			if (!this.progress.has(node)) this.progress.set(node, new Progress(this.#log.lastIndex, tick()));
	}

	#broadcastHeartbeat(): void {
		this.#round += 1;
		this.#heartbeatTick = this.#context.tick();
		for (const [peer, progress] of this.progress) this.#sendHeartbeat(peer, progress);
		this.#proveReads();
	}

	#sendHeartbeat(peer: NodeId, {match, round}: Progress): void {
		const former = round === 0 ? this.#context.former : undefined; // Until the follower answers.
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
			if (progress.next > lastIndex && (isProbing ? progress.match === lastIndex : progress.sentCommit >= commit))
				return;
			const prevIndex = progress.next - 1;
			const prevTerm = this.#log.termAt(prevIndex);
			if (prevTerm === undefined) return this.#startSnapshot(peer, progress);
			const entries = this.#log.slice(progress.next, appendBytesMax, appendEntriesMax);
			sendNow(peer, {type: 'append', prevIndex, prevTerm, entries, commit});
			progress.sentCommit = commit;
			progress.sent(
				prevIndex + entries.length,
				entries.reduce((sum, entry) => sum + weight(entry), 0),
				tick(),
				this.#round,
			);
		}
	}

	#maybeSendTimeoutNow(to: NodeId, {match}: Progress): void {
		if (this.#transferTo === to && match === this.#log.lastIndex) this.#context.send(to, {type: 'timeout-now'});
	}

	#heardFrom(from: NodeId): Progress | undefined {
		const progress = this.progress.get(from);
		if (progress) progress.heardTick = this.#context.tick();
		return progress;
	}

	#proveReads(): void {
		if (!this.#reads.isWaiting) return;
		const {id, readProved, send} = this.#context;
		const {voters} = this.#log.configuration;
		const rounds = voters
			.map(voter => (voter === id ? this.#round : (this.progress.get(voter)?.round ?? 0)))
			.toSorted((a, b) => b - a);
		for (const {context, from, index} of this.#reads.proved(rounds[majority(voters.length) - 1] ?? 0)) {
			if (from === id) readProved(context, index);
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
