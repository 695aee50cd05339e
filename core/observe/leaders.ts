/**
The history of leaders in a snapshot: who leads, since when, who led before and why that changed. Pure.
*/
import type {RecordedLeader} from '../events.ts';
import type {Snapshot} from '../snapshot.ts';

/** The changes that this node recorded, oldest first. An older node sends them among its events only. */
export function leaderChanges({raft, events}: Pick<Snapshot, 'raft' | 'events'>): readonly RecordedLeader[] {
	return raft.leaders ?? events.filter(event => event.type === 'leader');
}

/**
The change that began the present state: of the present leader, or of the time without one. `undefined` when it is not
known.
*/
export function presentLeader(snapshot: Pick<Snapshot, 'raft' | 'events'>): RecordedLeader | undefined {
	const changes = leaderChanges(snapshot);
	const {leader} = snapshot.raft;
	const first = changes.findLastIndex(change => change.leader !== leader) + 1;
	return changes[first];
}
