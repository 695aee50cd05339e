/**
Found a new cluster on what one survivor of a lost quorum has. Unsafe by its nature: nobody can say whether the lost
voters had agreed to more than this node knows, so everything that its log has is taken for agreed, and what only the
others had is gone. The new cluster has an id of its own: nodes of the old one that come back are refused, never merged.

It is written as a snapshot that takes the place of the whole log, in a term that no node of the old cluster has been in
under this id. The history of the old cluster goes with the log, so a node that joins later does not live through it and
meet the old members there. One record of the Raft log decides: before it is on the disk all is as it was.
*/
import {ClusterState, type Bounds} from '../cluster-state/cluster-state.ts';
import type {RaftStore} from '../control/raft-store.ts';
import {DapssError} from '../errors.ts';
import type {NodeId, Topic} from '../message.ts';
import {decodeConfigurationData, type Configuration} from '../raft/configuration.ts';
import type {Recovered} from '../raft/raft.ts';

/** What a stopped node has of its cluster. */
export type SurvivorReport = {
	readonly node: NodeId;
	/** Empty when it has none. */
	readonly name: string;
	readonly clusterId: string;
	/** The newest entry. Of several survivors the one with the highest term, then index, has the most. */
	readonly last: {readonly term: number; readonly index: number};
	/** Known to be agreed up to here; what is behind it may have been or not. */
	readonly commit: number;
	readonly voters: readonly NodeId[];
	/** The others, who are left out. */
	readonly lost: ReadonlyArray<{
		readonly id: NodeId;
		readonly name: string;
		readonly address: string;
		readonly voter: boolean;
	}>;
	readonly address: string;
	readonly topics: readonly Topic[];
};

/** What all of a log comes to, whether it was agreed or not. */
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

/** @throws `refused` when there is nothing to recover, or no need */
export function surveySurvivor(
	recovered: Recovered,
	node: NodeId,
	bounds: Bounds,
): {readonly remains: SurvivorReport; readonly topics: ClusterState} {
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
		remains: {
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
Make this node the only voter of a new cluster. Resolves when it is so on the disk; `store` is of no use afterwards.
*/
export async function forceNewCluster(
	store: RaftStore,
	{remains: {node, last}, topics}: ReturnType<typeof surveySurvivor>,
	clusterId: string,
): Promise<void> {
	const index = last.index + 1;
	topics.forceNewCluster(index, clusterId, node);
	await store.refound(
		{
			index,
			term: Math.max(store.recovered.hardState.term, last.term) + 1,
			configuration: {voters: [node], learners: []},
			data: topics.save(),
		},
		node,
	);
}
