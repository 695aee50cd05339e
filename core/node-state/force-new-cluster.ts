/**
Creates a new cluster from the data of one survivor, when the old cluster has lost its quorum for good (etcd:
`--force-new-cluster`). The operation is unsafe. No one knows whether the lost voters had committed more than this
node's log holds. So every entry in this log counts as committed, and entries that only the other nodes had are lost.
The new cluster gets an id of its own: nodes of the old cluster that come back are refused, never merged.

The new state is written as a snapshot that replaces the whole log, in a term that no node of the old cluster has been
in under this id. Replacing the log also removes the old members from it, so nodes that join later do not try to reach
them. One record of the Raft log is the commit point: until it is on the disk, the old state holds.
*/
import {ClusterState, type Bounds} from '../cluster-state/cluster-state.ts';
import type {RaftStore} from '../control/raft-store.ts';
import {DapssError} from '../errors.ts';
import type {NodeId, Topic} from '../message.ts';
import {decodeConfigurationData, type Configuration} from '../raft/configuration.ts';
import type {Recovered} from '../raft/raft.ts';

/** The state of a stopped node: its cluster, its log position and its topics. */
export type SurvivorReport = {
	readonly node: NodeId;
	/** Empty when the node has no name. */
	readonly name: string;
	readonly clusterId: string;
	/**
	The position of the last entry. Of several survivors, the one with the highest term, then index, has the most
	entries.
	*/
	readonly last: {readonly term: number; readonly index: number};
	/** The highest index known to be committed; later entries may have been committed or not. */
	readonly commit: number;
	readonly voters: readonly NodeId[];
	/** The other members, which the new cluster leaves out. */
	readonly lost: ReadonlyArray<{
		readonly id: NodeId;
		readonly name: string;
		readonly address: string;
		readonly voter: boolean;
	}>;
	readonly address: string;
	readonly topics: readonly Topic[];
};

/** The state after every entry of the log, whether it is known to be committed or not. */
export function replay(
	{snapshot, entries}: Recovered,
	bounds: Bounds,
): {readonly topics: ClusterState; readonly configuration: Configuration} {
	const topics = new ClusterState(bounds);
	let configuration: Configuration = snapshot?.configuration ?? {voters: [], learners: []};
	if (snapshot) topics.load(snapshot.data);
	for (const {index, kind, data} of entries) {
		const decoded = kind === 'configuration' ? decodeConfigurationData(data) : undefined;
		if (kind === 'command') topics.apply(index, data);
		else if (!decoded) topics.applyNothing(index);
		else {
			({configuration} = decoded);
			topics.applyConfiguration(index, [...configuration.voters, ...configuration.learners], decoded.context);
		}
	}

	return {topics, configuration};
}

/**
The report for the operator, and the state from which the new cluster starts.
@throws `refused` when there is nothing to recover, or no need for it
*/
export function surveySurvivor(
	recovered: Recovered,
	node: NodeId,
	bounds: Bounds,
): {readonly report: SurvivorReport; readonly topics: ClusterState} {
	const {snapshot, entries, hardState} = recovered;
	const {
		topics,
		configuration: {voters},
	} = replay(recovered, bounds);
	const address = topics.address(node);
	if (address === undefined)
		throw new DapssError(
			'refused',
			topics.isRemoved(node)
				? `Node ${node} was removed from its cluster: there is nothing to recover from it`
				: `Node ${node} holds nothing of its cluster yet: recover another survivor`,
		);
	if (voters.length === 1 && voters[0] === node)
		throw new DapssError(
			'refused',
			`Node ${node} is the only voter of its cluster (${topics.clusterId.slice(0, 8)}) already: start it`,
		);
	const last = entries.at(-1) ?? snapshot!;
	return {
		topics,
		report: {
			node,
			name: topics.name(node),
			address,
			voters,
			clusterId: topics.clusterId,
			last: {term: last.term, index: last.index},
			commit: Math.max(hardState.commit, snapshot?.index ?? 0),
			lost: topics
				.members()
				.filter(({id}) => id !== node)
				.map(({id, address: at}) => ({id, name: topics.name(id), address: at, voter: voters.includes(id)})),
			topics: topics.topics().map(({name}) => name),
		},
	};
}

/**
Makes this node the only voter of a new cluster. Resolves when that is on the disk; `store` must not be used afterwards.
*/
export async function forceNewCluster(
	store: RaftStore,
	{report: {node, last}, topics}: ReturnType<typeof surveySurvivor>,
	clusterId: string,
): Promise<void> {
	const index = last.index + 1;
	topics.forceNewCluster(index, clusterId, node);
	await store.forceNewCluster(
		{
			index,
			term: Math.max(store.recovered.hardState.term, last.term) + 1,
			configuration: {voters: [node], learners: []},
			data: topics.save(),
		},
		node,
	);
}
