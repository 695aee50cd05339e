/**
How a follower handles an append (Raft, 5.3): it accepts entries only after an entry that matches, and deletes only
entries that conflict. The functions return the reply, which leaves once the entries are durable.
*/
import type {RaftLog} from './log.ts';
import type {Entry, PacketOf, Unsent} from './packet.ts';

/** Append the entries of the leader, or reject them with a hint where the logs may match. */
export function handleAppend(
	log: RaftLog,
	{prevIndex, prevTerm, entries, commit}: PacketOf<'append'>,
): Extract<Unsent, {type: 'append-reply'}> {
	// The append starts in the committed prefix, which always matches: only entries after the prefix can be new.
	if (prevIndex < log.commit)
		return accept(
			log,
			entries.filter(entry => entry.index > log.commit),
			log.commit,
			commit,
		);
	if (log.matches({index: prevIndex, term: prevTerm})) return accept(log, entries, prevIndex, commit);
	const {index, term} = log.conflictHint(prevIndex, prevTerm);
	return {type: 'append-reply', ok: false, index, hintTerm: term, rejected: prevIndex};
}

/** The reply that this log matches the leader's log up to `index`. */
export function matches(index: number): Extract<Unsent, {type: 'append-reply'}> {
	return {type: 'append-reply', ok: true, index, hintTerm: 0, rejected: 0};
}

function accept(
	log: RaftLog,
	entries: readonly Entry[],
	previous: number,
	commit: number,
): Extract<Unsent, {type: 'append-reply'}> {
	const matched = log.merge(entries, previous);
	// Never past the last entry that this append proves to match: later entries may be another leader's.
	log.commitTo(Math.min(commit, matched));
	return matches(matched);
}
