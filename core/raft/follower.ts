/**
How a follower takes an append (Raft, 5.3): only behind an entry that matches, and deleting only what conflicts. What
comes out is the reply; it leaves when the entries are durable.
*/
import type {RaftLog} from './log.ts';
import type {Entry, PacketOf, Unsent} from './packet.ts';

export function takeAppend(log: RaftLog, {prevIndex, prevTerm, entries, commit}: PacketOf<'append'>): Unsent {
	// It begins within what is committed, and so matches: only what is beyond can be news.
	if (prevIndex < log.commit)
		return take(
			log,
			entries.filter(entry => entry.index > log.commit),
			log.commit,
			commit,
		);
	if (log.matches({index: prevIndex, term: prevTerm})) return take(log, entries, prevIndex, commit);
	const {index, term} = log.conflictHint(prevIndex, prevTerm);
	return {type: 'append-reply', ok: false, index, hintTerm: term, rejected: prevIndex};
}

/** "My log matches yours up to here." */
export function matches(index: number): Unsent {
	return {type: 'append-reply', ok: true, index, hintTerm: 0, rejected: 0};
}

function take(log: RaftLog, entries: readonly Entry[], previous: number, commit: number): Unsent {
	const matched = log.merge(entries, previous);
	// Never past what this append proved to match: the log beyond it may be another leader's.
	log.commitTo(Math.min(commit, matched));
	return matches(matched);
}
