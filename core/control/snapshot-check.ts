/**
Whether a snapshot can be installed: it holds a state of this cluster at its index, for the members that it names. The
check says nothing about the truth of the state. Raft trusts a voter that leads.
*/
import {latestSinceOf, parseSavedState} from '../cluster-state/saved-state.ts';
import type {Snapshot} from '../raft/snapshot.ts';

/** Half of all Lamport times. */
const sinceMax = 2 ** 47;

export type SnapshotExpectations = {
	/** The cluster of this node; empty when it is not known yet. @default '' */
	readonly clusterId?: string;
};

/** The first problem of a snapshot; `undefined` when it can be installed. */
export function problemOfSnapshot(
	{index, configuration: {voters, learners}, data}: Omit<Snapshot, 'term'>,
	{clusterId = ''}: SnapshotExpectations = {},
): string | undefined {
	const state = parseSavedState(data);
	if ('problem' in state) return state.problem;
	if (state.applied !== index) return `Expected the state at index ${index}, got index ${state.applied}`;
	if (clusterId !== '' && state.clusterId !== clusterId)
		return `Expected a state of cluster ${clusterId}, got cluster ${state.clusterId}`;
	const members = new Set(state.members.map(([id]) => id));
	const configured = [...voters, ...learners];
	if (members.size !== configured.length || !configured.every(id => members.has(id)))
		return `Expected the ${configured.length} members of the configuration, got ${members.size} others`;
	// Later messages need a later time.
	const latest = latestSinceOf(state);
	return latest <= sinceMax ? undefined : `Expected Lamport times up to ${sinceMax}, got ${latest}`;
}
