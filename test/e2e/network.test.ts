/**
A network partition outside of the program: three nodes in network namespaces on a bridge, of which one port goes down.
TCP connections hang, datagrams vanish, nothing is refused. Needs Linux, root and `ip`; elsewhere a message says that the
test did not run.
*/
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {eventCounts, expectPartition, isMessage, isPartition, isSubscribed, waitForAll} from './support/events.ts';
import {canMakeNetworks, Network, sayNotRun, type Host} from './support/namespaces.ts';
import {removeNetwork, startVoters} from './support/network-cluster.ts';

sayNotRun('test/e2e/network.test.ts');

describe.runIf(canMakeNetworks)('a partitioned network', () => {
	let cluster: Cluster;
	let network: Network;
	let hosts: Host[];
	let nodes: NodeProcess[];
	beforeAll(async () => {
		cluster = new Cluster({cli});
		network = new Network();
		hosts = [network.host(), network.host(), network.host()];
		nodes = await startVoters(cluster, hosts, ['--topics', 'news']);
		await Promise.all(nodes.map(node => node.waitFor(isSubscribed(node), 'its own subscription')));
	}, 60_000);
	afterAll(() => removeNetwork(network, cluster, nodes));

	test('every node detects it, the minority refuses agreement, each side carries messages, and none is lost after the heal', async () => {
		const flags = (index: number): string[] => [...cluster.clientFlags, '--server', `${hosts[index]!.v4}:5000`];
		const starts = eventCounts(nodes);
		network.cut(hosts[2]!);
		await expectPartition(nodes.slice(0, 2), nodes.slice(2), starts);
		const refused = await hosts[2]!.run(['subscribe', 'minority', '--count', '1', ...flags(2)]);
		expect(refused.code).toBe(11);
		expect(refused.stderr).toContain('no quorum: 1 of 3 voters reachable');
		for (const [index, text] of [
			[0, 'near'],
			[2, 'far'],
		] as const)
			expect((await hosts[index]!.run(['publish', 'news', text, ...flags(index)])).code).toBe(0);
		await nodes[1]!.waitFor(isMessage('near'), 'a message within the larger side', starts[1]);
		await nodes[2]!.waitFor(isMessage('far'), 'a message within the smaller side', starts[2]);
		network.heal(hosts[2]!);
		await waitForAll(nodes, isPartition('repaired'), 'repair', starts);
		for (const [index, node] of nodes.entries()) {
			for (const text of ['near', 'far']) await node.waitFor(isMessage(text), text, starts[index]);
			expect(node.events.filter(({type}) => type === 'message')).toHaveLength(2);
		}

		expect((await hosts[2]!.run(['check', ...flags(2)])).code).toBe(0);
	}, 60_000);
});
