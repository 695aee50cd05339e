/** A cluster whose nodes run on hosts of a network of namespaces. */
import type {Cluster, NodeProcess} from '../../../bench/cluster.ts';
import {hasVoters, isReady, killAll, waitForAll} from './events.ts';
import type {Host, Network} from './namespaces.ts';

/** Starts a node on each host: the first founds the cluster, the others join through it. Resolves when all vote. */
export async function startVoters(
	cluster: Cluster,
	hosts: readonly Host[],
	flags: readonly string[] = [],
): Promise<NodeProcess[]> {
	const nodes: NodeProcess[] = [];
	for (const [index, host] of hosts.entries()) {
		const seed = index === 0 ? [] : ['--bootstrap', `${hosts[0]!.v4}:5000`];
		const node = host.start(cluster, ['--host', host.v4, ...seed, ...flags]);
		nodes.push(node);
		await node.waitFor(isReady, 'ready');
	}

	await waitForAll(nodes, hasVoters(hosts.length), `${hosts.length} voters`);
	return nodes;
}

/** Ends the nodes, and removes the network and the files of the cluster. */
export async function removeNetwork(
	network: Network,
	cluster: Cluster,
	nodes: readonly NodeProcess[] = [],
): Promise<void> {
	await killAll(nodes);
	network[Symbol.dispose]();
	await cluster[Symbol.asyncDispose]();
}
