/** A node of a cluster in a shell that first sets limits or variables of the process. */
import {join} from 'node:path';
import {NodeProcess, type Cluster} from '../../../bench/cluster.ts';
import {cli, nodeFlags} from './command.ts';
import {hasLeader} from './events.ts';

const dataName = 'data';
/** Its data folder; each start uses it. */
export const limitedData = (cluster: Cluster): string => join(cluster.folder, dataName);

/**
Starts the first node of the cluster; resolves when it knows a leader.
@param setup a command of the shell before the node starts: `ulimit -n 256`
*/
export async function startLimited(cluster: Cluster, port: number, setup = 'true'): Promise<NodeProcess> {
	const node = new NodeProcess(
		port,
		[
			'-c',
			`${setup}; exec "$0" "$@"`,
			process.execPath,
			cli,
			'--headless',
			'-o',
			'jsonl',
			...nodeFlags(cluster, port, dataName),
		],
		false,
		'bash',
		cluster.env,
	);
	cluster.nodes.splice(0, 1, node);
	await node.waitFor(hasLeader, 'a leader');
	return node;
}
