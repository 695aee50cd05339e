/**
A network partition outside of the program: three nodes in network namespaces, joined by a bridge whose port goes down.
TCP connections hang, datagrams are lost, nothing is refused. Needs Linux, root and `ip`; elsewhere a line says that it
did not run.
*/
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {canMakeNetworks, Network, sayNotRun, type Host} from './support/namespaces.ts';

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
		nodes = [];
		for (const host of hosts) {
			const node = host.start(cluster, [
				'--host',
				host.v4,
				'--topics',
				'news',
				...(host === hosts[0] ? [] : ['--bootstrap', `${hosts[0]!.v4}:5000`]),
			]);
			nodes.push(node);
			await node.waitFor(({type}) => type === 'ready', 'ready');
		}

		await Promise.all(
			nodes.map(node =>
				node.waitFor(
					event => event.type === 'voters' && (event['voters'] as unknown[]).length === 3,
					'three voters',
				),
			),
		);
		await Promise.all(
			nodes.map(node =>
				node.waitFor(event => event.type === 'subscribed' && event['node'] === node.id, 'its own subscription'),
			),
		);
	}, 60_000);
	afterAll(async () => {
		await Promise.all(nodes.filter(node => node.isRunning).map(node => node.kill('SIGKILL')));
		network[Symbol.dispose]();
		await cluster[Symbol.asyncDispose]();
	});

	test('is detected by all nodes, refuses agreement on the smaller side, carries messages within each side, and loses nothing after the heal', async () => {
		const flags = (index: number): string[] => [...cluster.clientFlags, '--server', `${hosts[index]!.v4}:5000`];
		const start = nodes.map(node => node.events.length);
		const partition =
			(state: string) =>
			(event: JsonEvent): boolean =>
				event.type === 'partition' && event['state'] === state;
		network.cut(hosts[2]!);
		const [seen] = await Promise.all(
			nodes.map((node, index) => node.waitFor(partition('detected'), 'detection', start[index])),
		);
		expect(seen).toMatchObject({sides: [[nodes[0]!.id, nodes[1]!.id].toSorted(), [nodes[2]!.id]], quorum: 0});
		const refused = await hosts[2]!.run(['subscribe', 'minority', '--count', '1', ...flags(2)]);
		expect(refused.code).toBe(11);
		expect(refused.stderr).toContain('no quorum: 1 of 3 voters reachable');
		for (const [index, text] of [
			[0, 'near'],
			[2, 'far'],
		] as const)
			expect((await hosts[index]!.run(['publish', 'news', text, ...flags(index)])).code).toBe(0);
		const printed =
			(text: string) =>
			(event: JsonEvent): boolean =>
				event.type === 'message' && event['payload'] === text;
		await nodes[1]!.waitFor(printed('near'), 'a message within the larger side', start[1]);
		await nodes[2]!.waitFor(printed('far'), 'a message within the smaller side', start[2]);
		network.heal(hosts[2]!);
		await Promise.all(nodes.map((node, index) => node.waitFor(partition('repaired'), 'repair', start[index])));
		for (const [index, node] of nodes.entries()) {
			for (const text of ['near', 'far']) await node.waitFor(printed(text), text, start[index]);
			expect(node.events.filter(({type}) => type === 'message')).toHaveLength(2);
		}

		expect((await hosts[2]!.run(['check', ...flags(2)])).code).toBe(0);
	}, 60_000);
});
