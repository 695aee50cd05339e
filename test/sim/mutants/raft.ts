/**
Mutants of Raft and its store.
*/
import type {Edit, Mutant} from './mutant.ts';

const raft = (find: string, replace: string): Edit => ({file: 'core/raft/raft.ts', find, replace});
const leader = (find: string, replace: string): Edit => ({file: 'core/raft/leader.ts', find, replace});
const log = (find: string, replace: string): Edit => ({file: 'core/raft/log.ts', find, replace});
const store = (find: string, replace: string): Edit => ({file: 'core/control/raft-store.ts', find, replace});
const evidence = (find: string, replace: string): Edit => ({file: 'core/membership/crash-evidence.ts', find, replace});
const control = (find: string, replace: string): Edit => ({file: 'core/control/control.ts', find, replace});

export const raftMutants: readonly Mutant[] = [
	{
		name: 'reply-before-disk',
		pitfall: 'a vote, term or entry is not durable before the reply',
		edits: [
			control(
				'		// Durable from here: a crash loses nothing that peers and clients learn below.\n		for (const {to, packet} of ready.packets) send(to, packet);\n',
				'',
			),
			control(
				'		for (const {to, packet} of ready.packetsBeforePersist) send(to, packet);',
				'		for (const {to, packet} of [...ready.packetsBeforePersist, ...ready.packets]) send(to, packet);',
			),
		],
	},
	{
		name: 'own-vote-early',
		pitfall: 'the own vote counts before it is durable',
		edits: [
			raft(
				"this.#askForVotes({type: 'vote', isTransfer, lastIndex: this.#log.lastIndex, lastTerm: this.#log.last.term, ...this.#former});",
				"this.#askForVotes({type: 'vote', isTransfer, lastIndex: this.#log.lastIndex, lastTerm: this.#log.last.term, ...this.#former}); this.#onVote(this.#options.id, true);",
			),
		],
	},
	{
		name: 'own-log-early',
		pitfall: 'the leader counts its own entries before they are durable',
		edits: [
			leader(
				'(voter === id ? this.#log.stable : (this.progress.get(voter)?.match ?? 0))',
				'(voter === id ? this.#log.lastIndex : this.progress.get(voter)?.match ?? 0)',
			),
		],
	},
	{
		name: 'append-not-synced',
		pitfall: 'entries are acknowledged before fsync',
		edits: [
			store(
				'this.#positions.push({index, position: positions[at]!});\n		await synced;',
				'this.#positions.push({index, position: positions[at]!});\n		synced.catch(() => undefined);',
			),
		],
	},
	{
		name: 'vote-not-saved',
		pitfall: 'a vote in an already known term is not written',
		edits: [
			raft(
				'const isStateNew = this.#term !== this.#saved.term || this.#vote !== this.#saved.vote;',
				'const isStateNew = this.#term !== this.#saved.term;',
			),
		],
	},
	{
		name: 'term-not-saved',
		pitfall: 'a new term without a vote is not written',
		edits: [
			raft(
				'const isStateNew = this.#term !== this.#saved.term || this.#vote !== this.#saved.vote;',
				'const isStateNew = this.#vote !== this.#saved.vote;',
			),
		],
	},
	{
		name: 'two-votes-a-term',
		pitfall: 'a voter votes for every candidate that asks',
		edits: [
			raft(
				'const isFree = this.#vote === from || (this.#vote === undefined && this.#leader === undefined);',
				'const isFree = true as boolean;',
			),
		],
	},
	{
		name: 'vote-for-a-short-log',
		pitfall: 'a vote ignores the log of the candidate',
		edits: [
			raft(
				'const granted = isFree && this.#log.isUpToDate({index: lastIndex, term: lastTerm});',
				'const granted = isFree && lastIndex >= 0 && lastTerm >= 0;',
			),
		],
	},
	{
		name: 'longest-log-wins',
		pitfall: 'logs are compared by length, not by their last term',
		edits: [
			log(
				'return last.term > own.term || (last.term === own.term && last.index >= own.index);',
				'return last.index >= own.index;',
			),
		],
	},
	{
		name: 'vote-counted-twice',
		pitfall: 'a repeated vote counts twice',
		edits: [
			raft(
				'if (!voters.includes(from) || votes.has(from)) return;\n		votes.set(from, granted);',
				'if (!voters.includes(from)) return;\n		votes.set(`${from}${votes.size}` as NodeId, granted);',
			),
		],
	},
	{
		name: 'vote-of-an-old-term',
		pitfall: 'a vote from an older term counts',
		edits: [
			raft(
				'if (packet.term < this.#term && !isTermIndependent(packet)) {',
				"if (packet.term < this.#term && !isTermIndependent(packet) && packet.type !== 'vote-reply') {",
			),
		],
	},
	{
		name: 'vote-of-a-non-voter',
		pitfall: 'the vote of a node that is not a voter counts',
		edits: [
			raft('if (!voters.includes(from) || votes.has(from)) return;', 'if (votes.has(from)) return;'),
			raft(
				'for (const voter of this.#log.configuration.voters) if (voter !== this.#options.id) this.#send(voter, request);',
				'for (const voter of [...this.#log.configuration.voters, ...this.#log.configuration.learners]) if (voter !== this.#options.id) this.#send(voter, request);',
			),
		],
	},
	{
		name: 'small-majority',
		pitfall: 'half of the voters count as a majority',
		edits: [
			{
				file: 'core/raft/configuration.ts',
				find: 'return Math.floor(voters / 2) + 1;',
				replace: 'return Math.ceil(voters / 2);',
			},
		],
	},
	{
		name: 'old-term-by-counting',
		pitfall: 'an entry of an old term is committed by counting (figure 8)',
		edits: [
			leader(
				'if (index <= commit || this.#log.termAt(index) !== term) return;',
				'if (index <= commit || term === 0) return;',
			),
		],
	},
	{
		name: 'truncates-what-matches',
		pitfall: 'a late append deletes a suffix that has matched since',
		edits: [
			log(
				'if (known === entry.term) continue;\n			if (known !== undefined) this.#truncate(entry.index);',
				'if (known !== undefined && entry.index <= this.commit) continue;\n			if (known !== undefined) this.#truncate(entry.index);',
			),
		],
	},
	{
		name: 'keeps-what-conflicts',
		pitfall: 'a conflicting suffix is not replaced',
		edits: [
			log(
				'if (known === entry.term) continue;\n			if (known !== undefined) this.#truncate(entry.index);',
				'if (known !== undefined) continue;',
			),
		],
	},
	{
		name: 'commits-past-the-match',
		pitfall: 'the commit index passes the last entry that matched',
		edits: [
			{
				file: 'core/raft/follower.ts',
				find: 'log.commitTo(Math.min(commit, matched));',
				replace: 'log.commitTo(commit);',
			},
			// Harmless alone: the leader only starts further back than necessary.
			{
				file: 'core/raft/follower.ts',
				find: 'const {index, term} = log.conflictHint(prevIndex, prevTerm);',
				replace: 'const {index, term} = log.conflictHint(log.commit, prevTerm);',
			},
		],
	},
	{
		name: 'commits-before-the-check',
		pitfall: 'the commit index of an append counts even if the append does not match',
		edits: [
			{
				file: 'core/raft/follower.ts',
				find: '	if (log.matches({index: prevIndex, term: prevTerm})) return',
				replace: '	log.commitTo(commit);\n	if (log.matches({index: prevIndex, term: prevTerm})) return',
			},
		],
	},
	{
		name: 'heartbeat-commits-too-far',
		pitfall: 'a heartbeat carries a commit index beyond the entries known to match at the follower',
		edits: [leader('commit: Math.min(match, this.#log.commit)', 'commit: Math.max(match, this.#log.commit)')],
	},
	{
		name: 'no-consistency-check',
		pitfall: 'an append is accepted without a check of the entry before it',
		edits: [
			{
				file: 'core/raft/follower.ts',
				find: 'if (log.matches({index: prevIndex, term: prevTerm})) return',
				replace: 'if (prevIndex <= log.lastIndex) return',
			},
		],
	},
	{
		name: 'change-before-no-op',
		pitfall: 'a configuration change before an entry of the own term is committed (the bug of 2015)',
		edits: [
			leader(
				"if (this.#log.commit < this.#termStart || this.#log.configurationIndex > this.#log.commit || this.isTransferring) return 'busy';",
				"if (this.#log.configurationIndex > this.#log.commit || this.isTransferring) return 'busy';",
			),
		],
	},
	{
		name: 'two-changes-at-once',
		pitfall: 'a second configuration change while the first is not committed',
		edits: [
			leader(
				"if (this.#log.commit < this.#termStart || this.#log.configurationIndex > this.#log.commit || this.isTransferring) return 'busy';",
				"if (this.#log.commit < this.#termStart || this.isTransferring) return 'busy';",
			),
		],
	},
	{
		name: 'configuration-once-committed',
		pitfall: 'a configuration counts only once it is committed',
		edits: [log('return this.#configurations.at(-1)!.configuration;', 'return this.configurationAt(this.commit);')],
	},
	{
		name: 'configuration-outlives-its-entry',
		pitfall: 'a configuration stays in force when its entry is truncated',
		edits: [
			log(
				'		while (this.#configurations.length > 1 && this.#configurations.at(-1)!.index >= from) this.#configurations.pop();\n',
				'',
			),
		],
	},
	{
		name: 'read-before-no-op',
		pitfall: 'a new leader serves reads before an entry of its term is committed',
		rule: 'reads are linearizable',
		edits: [leader('else if (this.#log.commit < this.#termStart) this.#reads.hold({context, from});\n', '')],
	},
	{
		name: 'read-without-a-round',
		pitfall: 'a deposed leader serves reads without a round of heartbeats',
		by: 'raft',
		rule: 'reads are linearizable',
		edits: [
			leader(
				'else this.#reads.begin({context, from}, this.#round + 1, this.#log.commit);',
				"else if (from === this.#context.id) this.#context.readProved(context, this.#log.commit);\n		else this.#context.send(from, {type: 'read-reply', context, index: this.#log.commit});",
			),
		],
	},
	{
		name: 'read-by-a-lease',
		pitfall:
			'a leader serves reads without a round because it heard followers recently, but its clock may have stood still',
		by: 'raft',
		rule: 'reads are linearizable',
		edits: [
			leader(
				'else this.#reads.begin({context, from}, this.#round + 1, this.#log.commit);',
				"else if (this.contactTicks >= this.#context.electionTicks) this.#reads.begin({context, from}, this.#round + 1, this.#log.commit);\n		else if (from === this.#context.id) this.#context.readProved(context, this.#log.commit);\n		else this.#context.send(from, {type: 'read-reply', context, index: this.#log.commit});",
			),
		],
	},
	{
		name: 'read-by-old-acks',
		pitfall: 'replies to an earlier round confirm a read',
		rule: 'reads are linearizable',
		edits: [
			leader(
				'this.#round + 1, this.#log.commit);',
				'Math.max(0, this.#round - 20), this.#log.commit);\n		this.#proveReads();',
			),
		],
	},
	{
		name: 'read-before-applied',
		pitfall: 'a read does not wait until its index is applied',
		edits: [
			{
				file: 'core/raft/reads.ts',
				find: 'return this.#proved.filter(({index}) => index <= commit);',
				replace: 'return commit < 0 ? [] : this.#proved;',
			},
			{
				file: 'core/raft/reads.ts',
				find: 'this.#proved = this.#proved.filter(({index}) => index > commit);',
				replace: 'if (commit >= 0) this.#proved = [];',
			},
		],
	},
	{
		name: 'snapshot-over-newer-log',
		pitfall: 'an older snapshot replaces a newer state',
		edits: [
			raft(
				'if (index <= this.#log.commit) {\n			this.#assembly.clear();',
				'if (index <= this.#log.base.index) {\n			this.#assembly.clear();',
			),
			raft('if (index > this.#log.commit && this.#log.matches(position)) this.#log.commitTo(index);', ''),
		],
	},
	{
		name: 'entries-outlive-a-snapshot',
		pitfall: 'entries from before an installed snapshot come back after a restart',
		edits: [store("encodeMark(snapshot, origin === 'installed')", 'encodeMark(snapshot, false)')],
	},
	{
		name: 'snapshot-marked-early',
		pitfall: 'the log declares a snapshot valid before it is on the disk',
		edits: [
			store(
				'await this.#blobs.write(nameOf(snapshot.index), encode(snapshot));',
				'void this.#blobs.write(nameOf(snapshot.index), encode(snapshot)).catch(() => undefined);',
			),
		],
	},
	{
		name: 'snapshot-acknowledged-early',
		pitfall: 'a snapshot is acknowledged with its first chunk',
		edits: [
			raft(
				"if (!whole) return this.#send(from, {type: 'snapshot-reply', index, offset: packet.offset, received: this.#assembly.received(from, packet)});",
				'if (!whole) return this.#send(from, matches(index));',
			),
		],
	},
	{
		name: 'snapshots-mixed-up',
		pitfall: 'chunks of two snapshots are combined',
		edits: [
			{
				file: 'core/raft/snapshot.ts',
				find: 'return `${from}:${term}:${index}:${snapshotTerm}:${size}`;',
				replace: 'return [from, term, index, snapshotTerm, size].length.toFixed();',
			},
		],
	},
	{
		name: 'nothing-matches-everything',
		pitfall: 'an append from index 0 is accepted over compacted entries',
		edits: [
			log(
				'		if (index === this.#base.index) return this.#base.term;',
				'		if (index === 0) return 0;\n		if (index === this.#base.index) return this.#base.term;',
			),
			log(
				'const start = from - this.#base.index - 1;',
				'const start = Math.max(0, from - this.#base.index - 1);',
			),
		],
	},
	{
		name: 'applied-apart-from-state',
		pitfall: 'the applied index of a snapshot does not belong to its state',
		edits: [control('const index = this.state.applied;', 'const index = Math.max(1, this.state.applied - 1);')],
	},
	{
		name: 'sessions-outside-the-snapshot',
		pitfall: 'the snapshot lacks the session table',
		edits: [
			{
				file: 'core/cluster-state/cluster-state.ts',
				find: 'sessions: this.#sessions.save(),',
				replace: 'sessions: [],',
			},
		],
	},
	{
		name: 'command-twice',
		pitfall: 'a retried command is applied again',
		edits: [
			{
				file: 'core/cluster-state/cluster-state.ts',
				find: 'if (before) return {envelope, result: before, events: []};',
				replace: '',
			},
		],
	},
	{
		name: 'no-pre-vote',
		pitfall: 'a node that was cut off raises the term and unseats the leader (no pre-vote)',
		edits: [
			raft('if (this.#isPromotable()) this.#preCampaign();', 'if (this.#isPromotable()) this.#campaign(false);'),
		],
	},
	{
		name: 'old-pre-vote-counts',
		pitfall: 'a pre-vote for an earlier campaign lets a node raise the term',
		edits: [raft('(!packet.granted || packet.term === this.#term + 1)', 'packet.term >= 0')],
	},
	{
		name: 'no-stickiness',
		pitfall: 'a node that hears a leader votes for every candidate that asks',
		edits: [
			raft(
				'this.#leadership !== undefined || (this.#leader !== undefined && this.#elapsed < this.#options.electionTicks && !this.#isLearner(this.#leader))',
				'this.#term < 0',
			),
		],
	},
	{
		name: 'no-check-quorum',
		pitfall: 'a leader that hears no majority keeps leading',
		edits: [leader('if (this.contactTicks >= electionTicks) {', 'if (this.contactTicks === -1) {')],
	},
	{
		name: 'closed-link-is-a-crash',
		pitfall: 'a closed link alone counts as a crash of the leader',
		by: 'nodes',
		rule: 'a closed link alone is no evidence of a crash',
		edits: [
			evidence(
				'if (this.#up.delete(peer)) this.#closed.add(peer);\n				return false;',
				'return this.#up.delete(peer) || this.#closed.has(peer);',
			),
		],
	},
	{
		name: 'refused-call-is-a-crash',
		pitfall: 'a refused call counts as a crash, although there was no link',
		by: 'nodes',
		rule: 'a closed link alone is no evidence of a crash',
		edits: [
			evidence(
				"case 'refused': return this.#closed.delete(peer);",
				"case 'refused': return this.#closed.delete(peer) || !this.#up.has(peer);",
			),
		],
	},
	{
		name: 'no-pre-vote-after-a-crash',
		pitfall: 'a node that believes its leader crashed campaigns without a pre-vote',
		by: 'raft',
		rule: 'a campaign has the pre-votes of a majority',
		edits: [
			raft(
				'if (!this.#crash?.isDue(this.#tick) || !this.#isPromotable()) return false;\n		this.#preCampaign();',
				'if (!this.#crash?.isDue(this.#tick) || !this.#isPromotable()) return false;\n		this.#campaign(false);',
			),
		],
	},
	{
		name: 'silence-for-a-crash',
		pitfall: 'a silent leader is reported as crashed',
		by: 'nodes',
		rule: 'a leader reported as crashed has ended',
		edits: [
			raft(
				"this.#succession.lose('silent', this.#tick, this.#tick - this.#contactTick);",
				"this.#succession.lose('crashed', this.#tick, this.#tick - this.#contactTick);",
			),
		],
	},
	{
		name: 'crash-for-a-transfer',
		pitfall: 'a crashed leader is reported as having transferred leadership',
		by: 'nodes',
		rule: 'a leader reported as transferred was asked to transfer',
		edits: [
			raft(
				"this.#succession.lose('crashed', this.#tick, this.#tick - this.#contactTick);",
				"this.#succession.lose('transferred', this.#tick);",
			),
		],
	},
	{
		name: 'no-promotion',
		pitfall: 'a learner never becomes a voter',
		edits: [
			{
				file: 'core/control/promotion.ts',
				find: 'return fit.length >= missing && voters.length + missing <= votersMax ? fit[0] : undefined;',
				replace: 'return fit.length >= 1e9 && missing <= votersMax ? fit[0] : undefined;',
			},
		],
	},
	{
		name: 'learner-never-votes',
		pitfall: 'a voter that does not know of its promotion refuses to vote',
		edits: [
			raft(
				'const granted = isFree && this.#log.isUpToDate({index: lastIndex, term: lastTerm});',
				'const granted = isFree && this.#isVoter() && this.#log.isUpToDate({index: lastIndex, term: lastTerm});',
			),
		],
	},
	{
		name: 'promoted-behind',
		pitfall: 'a learner is promoted before it has caught up',
		edits: [
			leader(
				"if (learner?.state !== 'replicate' || this.#log.lastIndex - learner.match > promotionLagMax) return 'busy';",
				"if (learner === undefined || promotionLagMax < 0) return 'busy';",
			),
		],
	},
	{
		name: 'next-below-match',
		pitfall: 'a late rejection moves next below match',
		edits: [
			{
				file: 'core/raft/progress.ts',
				find: 'if (rejected <= this.match) return false; // A late reply: the follower has matched further since.',
				replace: '',
			},
			{
				file: 'core/raft/progress.ts',
				find: 'this.next = Math.max(this.match + 1, Math.min(rejected, hint + 1));',
				replace: 'this.next = Math.min(rejected, hint + 1);',
			},
		],
	},
	{
		name: 'inflight-leaks',
		pitfall: 'acknowledged entries count as in flight until nothing more is sent',
		edits: [
			{
				file: 'core/raft/progress.ts',
				find: 'while (this.#inflight.length > 0 && this.#inflight[0]!.lastIndex <= index)',
				replace: 'while (this.#inflight.length > 1e9)',
			},
		],
	},
	{
		name: 'lost-probe-for-ever',
		pitfall: 'a leader waits forever for the reply to a lost probe',
		edits: [
			{
				file: 'core/raft/progress.ts',
				find: 'if (round > this.#waitingRound) this.isWaiting = false;',
				replace: 'if (round < 0) this.isWaiting = false;',
			},
		],
	},
	{
		name: 'late-disk-answer',
		pitfall: 'entries that were replaced during a slow write count as durable',
		edits: [
			log(
				'if (last.index <= this.stable || this.termAt(last.index) !== last.term) return false;',
				'if (last.index <= this.stable || last.index > this.lastIndex) return false;',
			),
			raft(
				'if (last && era === this.#era && this.#log.stabilized(last))',
				'if (last && era >= 0 && this.#log.stabilized(last))',
			),
		],
	},
	{
		name: 'cause-of-an-earlier-term',
		pitfall: 'the cause of the end of an earlier leadership counts for a later one of the same node',
		tests: 'test/scripts/raft.test.ts',
		edits: [
			{
				file: 'core/raft/succession.ts',
				find: 'reported?.leader === this.leader && reported?.term === this.#term;',
				replace: 'reported?.leader === this.leader;',
			},
		],
	},
	{
		name: 'term-raises-without-bound',
		pitfall: 'a member that sends higher and higher terms keeps the cluster without a leader',
		tests: 'test/unit/raft/term-liar.test.ts',
		edits: [
			{
				file: 'core/raft/term-bounds.ts',
				find: "if (tick < raises.mutedUntilTick) return 'term-raises';",
				replace: '',
			},
		],
	},
	{
		name: 'term-jump-without-bound',
		pitfall: 'packets of one member use up all terms, and no leader can ever be elected',
		tests: 'test/unit/raft/term-bounds.test.ts',
		edits: [
			{
				file: 'core/raft/term-bounds.ts',
				find: 'const isWithinShare = raises.jumps + jump <= (termMax - term) / share;',
				replace: 'const isWithinShare = jump <= 2 ** 32;',
			},
		],
	},
	{
		name: 'uncommitted-without-bound',
		pitfall: 'a leader that is cut off accepts an unbounded number of entries',
		edits: [
			leader(
				'if (data.length > entryBytesMax || this.uncommittedBytes + data.length + entryOverhead > uncommittedBytesMax) {',
				'if (data.length > entryBytesMax || uncommittedBytesMax < 0) {',
			),
		],
	},
	{
		name: 'id-after-a-wipe',
		pitfall: 'a node that lost its disk returns under its old id',
		edits: [
			{
				file: 'test/sim/node/faults.ts',
				find: 'const fresh = this.#options.add(host.address, [host.id, ...host.options.replaces]);',
				replace: 'host.isRetired = false;\n			const fresh = host;',
			},
		],
	},
];
