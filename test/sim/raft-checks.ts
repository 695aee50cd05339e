/**
The rules of Raft (figure 3 of the paper), checked from outside: by the reports, packets, writes and applied entries of
the nodes, not by their internals. After every event the checks run for the node that the event touched. A violation
names the rule.

Further rules: votes, acknowledgements and commits are durable before a node sends them. Terms and commit indexes never
go back. Equal indexes have equal states. A read sees all entries that any node had applied when the read started.
*/
import type {NodeId} from '../../core/message.ts';
import {decodeConfigurationData, type Configuration} from '../../core/raft/configuration.ts';
import type {RaftPacket} from '../../core/raft/packet.ts';
import type {Entry, HardState, RaftReady, RaftStatus} from '../../core/raft/raft.ts';
import {hash32} from './random.ts';
import {Violations} from './violations.ts';

/** A log as reconstructed from its records. */
export class ShadowLog {
	base = {index: 0, term: 0};
	entries: Entry[] = [];
	state: HardState = {term: 0, vote: undefined, commit: 0};

	get lastIndex(): number {
		return this.base.index + this.entries.length;
	}

	termAt(index: number): number | undefined {
		return index === this.base.index ? this.base.term : this.entries[index - this.base.index - 1]?.term;
	}

	write({snapshot, entries, hardState}: Pick<RaftReady, 'snapshot' | 'entries' | 'hardState'>): void {
		if (snapshot) {
			this.base = {index: snapshot.index, term: snapshot.term};
			this.entries = [];
		}

		for (const entry of entries) {
			this.entries.length = Math.min(this.entries.length, entry.index - this.base.index - 1);
			this.entries.push(entry);
		}

		if (hardState) this.state = hardState;
	}

	compact(index: number): void {
		if (index <= this.base.index) return;
		const term = this.termAt(index)!;
		this.entries = this.entries.slice(index - this.base.index);
		this.base = {index, term};
	}

	holds(index: number, term: number): boolean {
		return index < this.base.index || this.termAt(index) === term;
	}
}

/** A node as the checks see it. */
export type ObservedNode = {
	readonly id: NodeId;
	/** Names the machine. Two machines may have one id if a disk was copied. */
	readonly key: string;
	/** The log as given to the disk, and the part that is synced. */
	readonly written: ShadowLog;
	readonly synced: ShadowLog;
	/** Applied by the state machine. */
	readonly applied: number;
};

/** What a leader may reach before it must step down, or refuse proposals. */
export type LeaderBounds = {
	readonly electionTicks: number;
	readonly uncommittedBytesMax: number;
	readonly promotionLagMax: number;
};

type Seen = {term: number; commit: number; role: RaftStatus['role']; voters: readonly NodeId[]};

/** Entries that may be appended between a promotion and its check. */
const promotionSlack = 8;

export class RaftChecks {
	readonly #nodes = new Map<string, ObservedNode>();
	readonly #seen = new Map<string, Seen>();
	readonly #leaders = new Map<number, NodeId>();
	readonly #votes = new Map<string, readonly NodeId[]>();
	/**
	Ids used by two processes because somebody copied a disk. While they are apart, each of them votes. Raft cannot
	prevent that.
	*/
	readonly #sharedIds = new Set<NodeId>();
	/** By candidate and term: the nodes that granted a pre-vote. */
	readonly #preVotes = new Map<string, Set<NodeId>>();
	readonly #forced = new Set<string>();
	/** By candidate and term: the last entry of the candidate's log. */
	readonly #campaigns = new Map<string, {readonly lastIndex: number; readonly lastTerm: number}>();
	readonly #entries = new Map<string, number>();
	/** By index: the applied entry, and the first term in which it was seen as applied. */
	readonly #committed: Array<{readonly term: number; readonly digest: number; readonly seenInTerm: number}> = [];
	readonly #states: number[] = [];
	readonly #reads = new Map<string, number>();
	leadersElected = 0;
	readsServed = 0;
	/** Leaders over the contact bound, with their ticks without contact when first seen. */
	readonly #withoutContact = new Map<string, number>();
	/** The highest term of any node, leader or not. */
	highestTermSeen = 0;
	readonly violations = new Violations();
	readonly #bounds: LeaderBounds | undefined;

	/** @param bounds checked if given */
	constructor(bounds?: LeaderBounds) {
		this.#bounds = bounds;
	}

	get highestApplied(): number {
		return this.#committed.length - 1;
	}

	get highestTerm(): number {
		return Math.max(0, ...this.#leaders.keys());
	}

	/** Ids whose disk was copied to another machine. */
	readonly #copied = new Set<NodeId>();

	watch(node: ObservedNode): void {
		if (node.key !== node.id) this.#copied.add(node.id);
		this.#nodes.set(node.key, node);
	}

	/**
	The node restarts from its disk. Its status may go back to an earlier one, but not to before what it had synced.
	*/
	booted(node: ObservedNode, status: RaftStatus): void {
		this.#seen.delete(node.key);
		this.#withoutContact.delete(node.key);
		if (status.term < node.synced.state.term)
			this.#fail(
				'a term outlives a restart',
				`${node.id} boots at ${status.term}, and had ${node.synced.state.term} on its disk`,
			);
		this.observe(node, status);
	}

	observe(node: ObservedNode, status: RaftStatus): void {
		const {id, key} = node;
		const seen = this.#seen.get(key);
		if (seen && status.term < seen.term)
			this.#fail('terms never go back', `${id} from ${seen.term} to ${status.term}`);
		if (seen && status.commit < seen.commit)
			this.#fail('commits never go back', `${id} from ${seen.commit} to ${status.commit}`);
		if (status.commit > status.lastIndex || status.applied > status.commit)
			this.#fail('applied ≤ commit ≤ last', `${id} ${status.applied} ${status.commit} ${status.lastIndex}`);
		this.highestTermSeen = Math.max(this.highestTermSeen, status.term);
		if (status.role === 'leader') {
			this.#checkLeader(node, status);
			const isNew = seen?.role !== 'leader' || seen.term !== status.term;
			if (isNew) this.#elected(node, status);
			if (!isNew && status.commit > seen.commit) this.#checkQuorum(node, status);
			if (!isNew) this.#checkPromotion(id, status, seen.voters);
		}

		this.#seen.set(key, {
			term: status.term,
			commit: status.commit,
			role: status.role,
			voters: status.configuration.voters,
		});
	}

	/** Called before the work is persisted. */
	ready(node: ObservedNode, {entries, committed, snapshot, packets}: RaftReady, status: RaftStatus): void {
		const {id, written} = node;
		const base = snapshot?.index ?? written.lastIndex;
		let previous = entries[0]?.index === undefined ? 0 : entries[0].index - 1;
		if (entries.length > 0 && previous > base)
			this.#fail('a log has no gaps', `${id} writes ${previous + 1} after ${base}`);
		if (status.role === 'leader' && !snapshot && entries.length > 0 && previous < written.lastIndex)
			this.#fail(
				'leader append-only',
				`${id} in term ${status.term} writes ${previous + 1}, had ${written.lastIndex}`,
			);
		let previousTerm = snapshot && previous === snapshot.index ? snapshot.term : written.termAt(previous);
		for (const entry of entries) {
			if (entry.index !== previous + 1)
				this.#fail('a log has no gaps', `${id} writes ${entry.index} after ${previous}`);
			// Equal (index, term) means an equal entry and an equal predecessor, so by induction an equal log up to
			// there.
			const key = `${entry.index}:${entry.term}`;
			const digest = hash32(digestOf(entry).toString(), previousTerm);
			const known = this.#entries.get(key);
			if (known !== undefined && known !== digest)
				this.#fail('log matching', `${id} has another ${key} or another entry before it`);
			this.#entries.set(key, digest);
			previous = entry.index;
			previousTerm = entry.term;
		}

		if (entries.length > 0) this.#checkConfiguration(node, entries, status.configuration);
		if (status.role === 'leader' && !snapshot) this.#checkChanges(id, written, entries, status);
		// Without new entries, the log is the one given to the disk, by which the node voted.
		if (entries.length === 0 && !snapshot)
			for (const {to, packet} of packets)
				if (packet.type === 'vote-reply' && packet.granted) this.#checkVote(node, to, packet.term);
		let applied = snapshot?.index ?? node.applied;
		for (const entry of committed) {
			if (entry.index !== applied + 1)
				this.#fail('entries are applied in order', `${id} applies ${entry.index} after ${applied}`);
			applied = entry.index;
		}
	}

	/** The node has processed a packet. */
	stepped({id}: ObservedNode, packet: RaftPacket, before: RaftStatus, after: RaftStatus): void {
		if (packet.type !== 'vote' || packet.isTransfer || !this.#bounds) return;
		const hears =
			before.role === 'leader' ||
			(before.leader !== undefined &&
				before.contactTicks < this.#bounds.electionTicks &&
				// By its own log this node follows a learner: its log is old, or the learner lies.
				!before.configuration.learners.includes(before.leader));
		if (hears && after.term !== before.term)
			this.#fail(
				'a node that hears a leader keeps its term',
				`${id} goes from term ${before.term} to ${after.term} for a vote`,
			);
	}

	/** The node sends a packet. Its promises must be on the disk. */
	sent(node: ObservedNode, to: NodeId, packet: RaftPacket): void {
		const {id, synced} = node;
		switch (packet.type) {
			case 'pre-vote-reply': {
				if (packet.granted)
					this.#preVotes.set(
						`${to}:${packet.term}`,
						(this.#preVotes.get(`${to}:${packet.term}`) ?? new Set()).add(id),
					);
				return;
			}

			case 'vote': {
				if (!packet.isTransfer) this.#checkPreVotes(node, packet.term);
				this.#campaigns.set(`${id}:${packet.term}`, packet);
				return this.#voted(id, packet.term, id, synced);
			}

			case 'vote-reply': {
				if (packet.granted) this.#voted(id, packet.term, to, synced);
				return;
			}

			case 'append':
			case 'heartbeat':
			case 'snapshot': {
				if (synced.state.term < packet.term)
					this.#fail(
						'a leader leads in a term that is on its disk',
						`${id} in term ${packet.term}, has ${synced.state.term}`,
					);
				return;
			}

			case 'append-reply': {
				// With a later term on the disk, the acknowledged entries have been replaced since, which shows that
				// the disk had them.
				if (packet.ok && packet.index > synced.lastIndex && synced.state.term === packet.term)
					this.#fail(
						'acknowledged means durable',
						`${id} acknowledges ${packet.index}, and has ${synced.lastIndex} on its disk`,
					);
				if (packet.term > synced.state.term)
					this.#fail(
						'a term is durable before it is sent',
						`${id} sends ${packet.term}, and has ${synced.state.term} on its disk`,
					);
				return;
			}

			default:
		}
	}

	applied(node: ObservedNode, entry: Entry, state: number, status: RaftStatus): void {
		const {index, term} = entry;
		const digest = digestOf(entry);
		const known = this.#committed[index];
		if (known && (known.term !== term || known.digest !== digest))
			this.#fail('state machine safety', `${node.id} applies another entry at ${index}`);
		this.#committed[index] ??= {term, digest, seenInTerm: status.term};
		this.state(node, index, state);
	}

	/** The state after `index`, applied or restored. */
	state(node: ObservedNode, index: number, state: number): void {
		const known = this.#states[index];
		if (known !== undefined && known !== state) this.#fail('equal indexes, equal states', `${node.id} at ${index}`);
		this.#states[index] = state;
	}

	diskCopied(id: NodeId): void {
		this.#sharedIds.add(id);
	}

	/** The node is made to campaign in this term without pre-votes. */
	forced(id: NodeId, term: number): void {
		this.#forced.add(`${id}:${term}`);
	}

	readBegan(context: string): void {
		this.#reads.set(context, this.highestApplied);
	}

	readServed(node: ObservedNode, context: string, index: number): void {
		const floor = this.#reads.get(context);
		if (floor === undefined) return;
		this.readsServed++;
		if (index < floor)
			this.#fail(
				'reads are linearizable',
				`${node.id} serves ${context} at ${index}, and ${floor} was applied when it started`,
			);
		if (node.applied < index)
			this.#fail('a read waits for its index', `${node.id} serves ${index}, has applied ${node.applied}`);
	}

	#elected({id, written}: ObservedNode, {term, configuration: {voters}}: RaftStatus): void {
		const given = voters.filter(voter => voter === id || this.#votes.get(`${voter}:${term}`)?.includes(id)).length;
		if (given * 2 <= voters.length)
			this.#fail(
				'a leader has the votes of a majority',
				`${id} leads in term ${term} by ${given} of ${voters.length}`,
			);
		const other = this.#leaders.get(term);
		if (other !== undefined && other !== id)
			this.#fail('election safety', `${other} and ${id} lead in term ${term}`);
		if (other === undefined) this.leadersElected++;
		this.#leaders.set(term, id);
		for (let index = written.base.index + 1; index < this.#committed.length; index++) {
			const committed = this.#committed[index];
			// A later leader committed it, as far as is known.
			if (!committed || committed.seenInTerm >= term) continue;
			if (written.termAt(index) !== committed.term)
				this.#fail(
					'leader completeness',
					`${id} leads in term ${term} without ${index}, committed in term ${committed.seenInTerm} or before`,
				);
		}
	}

	/**
	The bug of 2015 (Ongaro, raft-dev): a change needs a committed entry of its own term before it, and no other
	uncommitted change.
	*/
	#checkChanges(id: NodeId, {base, entries}: ShadowLog, fresh: readonly Entry[], {term, commit}: RaftStatus): void {
		const log = [...entries.filter(({index}) => index < (fresh[0]?.index ?? Infinity)), ...fresh];
		for (const {kind, index, term: of} of fresh) {
			if (kind !== 'configuration' || of !== term) continue;
			const start = base.term === term ? base.index : log.find(entry => entry.term === term)!.index;
			if (commit < start)
				this.#fail(
					'no change before an own entry is committed',
					`${id} changes the voters at ${index} in term ${term}, which starts at ${start}, with ${commit} committed`,
				);
			const other = log.find(
				entry => entry.kind === 'configuration' && entry.index > commit && entry.index < index,
			);
			if (other)
				this.#fail(
					'one change at a time',
					`${id} changes the voters at ${index}, and ${other.index} is not committed`,
				);
		}
	}

	#checkLeader(
		{id, key}: ObservedNode,
		{progress, lastIndex, contactTicks, uncommittedBytes, term}: RaftStatus,
	): void {
		for (const {id: peer, match, next} of progress) {
			if (match >= next || match > lastIndex || next > lastIndex + 1)
				this.#fail(
					'match < next ≤ last + 1',
					`${id} has ${peer} at match ${match}, next ${next}, last ${lastIndex}`,
				);
		}

		if (!this.#bounds) return;
		if (contactTicks <= this.#bounds.electionTicks + 1) this.#withoutContact.delete(key);
		else if (!this.#withoutContact.has(key))
			this.#withoutContact.set(key, contactTicks); // A change of the voters can cause this between two ticks.
		else if (contactTicks > this.#withoutContact.get(key)! + 1)
			this.#fail(
				'a leader without a quorum steps down',
				`${id} leads in term ${term}, and heard no majority for ${contactTicks} ticks`,
			);
		if (uncommittedBytes > this.#bounds.uncommittedBytesMax)
			this.#fail('uncommitted entries are bounded', `${id} holds ${uncommittedBytes} bytes`);
	}

	/** A learner becomes a voter once it has caught up. Before, it would delay every commit. */
	#checkPromotion(
		id: NodeId,
		{configuration: {voters}, progress, lastIndex}: RaftStatus,
		votersBefore: readonly NodeId[],
	): void {
		if (!this.#bounds || voters === votersBefore) return;
		for (const {id: peer, match} of progress) {
			if (!voters.includes(peer) || votersBefore.includes(peer)) continue;
			if (match + this.#bounds.promotionLagMax + promotionSlack < lastIndex)
				this.#fail(
					'learners are promoted once caught up',
					`${id} promotes ${peer} at ${match} of ${lastIndex}`,
				);
		}
	}

	/** The newest configuration in the log counts, committed or not (Raft, §6). */
	#checkConfiguration(
		{id, written}: ObservedNode,
		entries: readonly Entry[],
		{voters, learners}: Configuration,
	): void {
		// Work that was handed out earlier may not be written yet, and may contain a newer configuration.
		if (entries[0]!.index > written.base.index + written.entries.length + 1) return;
		const isOf = ({kind}: Entry): boolean => kind === 'configuration';
		const entry =
			entries.findLast(isOf) ??
			written.entries.slice(0, Math.max(0, entries[0]!.index - written.base.index - 1)).findLast(isOf);
		const known = entry && decodeConfigurationData(entry.data)?.configuration;
		if (known && (known.voters.join(' ') !== voters.join(' ') || known.learners.join(' ') !== learners.join(' ')))
			this.#fail(
				'the newest configuration of the log counts',
				`${id} uses another configuration than the one at ${entry.index}`,
			);
	}

	/** A leader commits an entry only if a majority has it on disk. */
	#checkQuorum({id, written}: ObservedNode, {commit, term, configuration: {voters}}: RaftStatus): void {
		const entryTerm = written.termAt(commit);
		if (entryTerm === undefined) return;
		if (entryTerm !== term)
			this.#fail(
				'only entries of the own term are committed by counting',
				`${id} in term ${term} commits ${commit} of term ${entryTerm}`,
			);
		const holders = voters.filter(voter =>
			this.#machinesOf(voter).some(({synced}) => synced.holds(commit, entryTerm)),
		).length;
		if (holders * 2 <= voters.length)
			this.#fail(
				'committed means durable on a majority',
				`${id} commits ${commit}, on ${holders} disks of ${voters.length} voters`,
			);
	}

	#machinesOf(id: NodeId): readonly ObservedNode[] {
		const node = this.#nodes.get(id);
		return this.#copied.has(id) ? [...this.#nodes.values()].filter(other => other.id === id) : node ? [node] : [];
	}

	/** A node that cannot win does not raise the term (thesis, 9.6): a majority granted a pre-vote for that term. */
	#checkPreVotes({id, key}: ObservedNode, term: number): void {
		const voters = this.#seen.get(key)?.voters ?? [];
		if (this.#forced.has(`${id}:${term}`)) return;
		const by = this.#preVotes.get(`${id}:${term}`);
		const given = voters.filter(voter => voter === id || by?.has(voter)).length;
		if (given * 2 <= voters.length)
			this.#fail(
				'a campaign has the pre-votes of a majority',
				`${id} campaigns in term ${term} with ${given} of ${voters.length}`,
			);
	}

	/** Raft, §5.4.1: the later last term wins, then the longer log. */
	#checkVote({id, written}: ObservedNode, candidate: NodeId, term: number): void {
		const campaign = this.#campaigns.get(`${candidate}:${term}`);
		const lastTerm = written.termAt(written.lastIndex)!;
		if (
			campaign &&
			(campaign.lastTerm < lastTerm || (campaign.lastTerm === lastTerm && campaign.lastIndex < written.lastIndex))
		)
			this.#fail(
				'a vote is for an up-to-date log',
				`${id}, whose log ends with ${written.lastIndex} of term ${lastTerm}, votes for ${candidate}, whose log ends with ${campaign.lastIndex} of term ${campaign.lastTerm}`,
			);
	}

	#voted(voter: NodeId, term: number, candidate: NodeId, {state}: ShadowLog): void {
		const key = `${voter}:${term}`;
		const before = this.#votes.get(key) ?? [];
		if (before.includes(candidate)) return;
		if (before.length > 0 && !this.#sharedIds.has(voter))
			this.#fail(
				'one vote per term',
				`${voter} votes for ${before.join(' and ')} and ${candidate} in term ${term}`,
			);
		this.#votes.set(key, [...before, candidate]);
		// A later term on the disk forbids this vote as well.
		if (state.term < term || (state.term === term && state.vote !== candidate))
			this.#fail('a vote is durable before it is sent', `${voter} for ${candidate} in term ${term}`);
	}

	#fail(rule: string, what: string): never {
		throw this.violations.record(`${rule}: ${what}`);
	}
}

function digestOf({kind, data}: Entry): number {
	return hash32(kind + Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1'));
}
