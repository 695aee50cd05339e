/**
Advertised addresses on separate hosts: wildcards, several interfaces, mapped ports, IPv6, names with several addresses.
In each case every member must reach every other member, over TCP and UDP, at its advertised address.
*/
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {eventCounts, hasVoters, isMember, isMessage, isReady, waitForAll} from './support/events.ts';
import {canFilter, canMakeNetworks, Network, sayNotRun, type Host} from './support/namespaces.ts';
import {removeNetwork} from './support/network-cluster.ts';

sayNotRun('test/e2e/addresses.test.ts');

type Row = {readonly id: string; readonly address: string; readonly state: string; readonly voter: boolean};

let network: Network;
let cluster: Cluster;
let nodes: NodeProcess[];
beforeEach(() => {
	if (!canMakeNetworks) return;
	network = new Network();
	cluster = new Cluster({cli});
	nodes = [];
});
afterEach(async () => {
	if (canMakeNetworks) await removeNetwork(network, cluster, nodes);
});

/** The port of each node for the count of datagrams. */
const on5000 = (hosts: readonly Host[]): ReadonlyMap<Host, number> => new Map(hosts.map(host => [host, 5000]));

async function start(host: Host, flags: readonly string[]): Promise<NodeProcess> {
	const node = host.start(cluster, ['--topics', 'news', ...flags]);
	nodes.push(node);
	await node.waitFor(isReady, 'ready');
	return node;
}

/** All nodes are voters at these addresses, receive a message, and send datagrams to the port of every other node. */
async function expectConnected(
	from: Host,
	server: string,
	addresses: readonly string[],
	ports: ReadonlyMap<Host, number>,
): Promise<void> {
	await waitForAll(nodes, hasVoters(nodes.length), 'all voters');
	const flags = ['--server', server, ...cluster.clientFlags];
	// A restarted node emits no event for a subscription that it had before.
	await expect
		.poll(
			async () => {
				const {topics} = JSON.parse((await from.run(['status', '-o', 'json', ...flags])).stdout) as {
					readonly topics: ReadonlyArray<{readonly subscribers: readonly string[]}>;
				};
				return topics[0]?.subscribers.toSorted();
			},
			{timeout: 20_000},
		)
		.toEqual(nodes.map(({id}) => id).toSorted());
	const {stdout} = await from.run(['status', '-o', 'json', ...flags]);
	const {members} = JSON.parse(stdout) as {readonly members: readonly Row[]};
	expect(members.map(({address}) => address).toSorted()).toEqual(addresses.toSorted());
	const {code, stderr} = await from.run(['publish', 'news', 'word', ...flags]);
	expect({code, stderr}).toMatchObject({code: 0});
	await waitForAll(nodes, isMessage('word'), 'the message');
	// Nodes may still reconnect the links that closed with the last process.
	await expect.poll(async () => (await from.run(['check', ...flags])).code, {timeout: 10_000}).toBe(0);
	if (!canFilter) return;
	const missing = network.countDatagrams(ports);
	await vi.waitUntil(() => missing().length === 0, {timeout: 10_000, interval: 50});
}

describe.runIf(canMakeNetworks)('nodes on hosts of their own', () => {
	test('three nodes that listen on a wildcard become voters and advertise the addresses of their hosts', async () => {
		const hosts = [network.host({v6: false}), network.host({v6: false}), network.host({v6: false})];
		for (const [index, host] of hosts.entries())
			await start(host, [
				'--host',
				index === 2 ? '::' : '0.0.0.0',
				...(index > 0 ? ['--bootstrap', `${hosts[0]!.v4}:5000`] : []),
			]);
		await expectConnected(
			hosts[1]!,
			`${hosts[0]!.v4}:5000`,
			hosts.map(({v4}) => `${v4}:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('a wildcard on several interfaces is refused, and the flag in the message solves it', async () => {
		const [first, second] = [
			network.host({v6: false, more: ['192.168.7.1/24']}),
			network.host({v6: false, more: ['172.17.0.1/16']}),
		];
		const refused = first.start(cluster, ['--host', '0.0.0.0']);
		expect(await refused.exited).toBe(2);
		expect(refused.stderr).toContain(
			`host 0.0.0.0 listens on ${first.v4} and 192.168.7.1: use --advertise to choose the one for other nodes`,
		);
		for (const host of [first, second])
			await start(host, [
				'--host',
				'0.0.0.0',
				'--advertise',
				host.v4,
				...(host === second ? ['--bootstrap', `${first.v4}:5000`] : []),
			]);
		const third = network.host({v6: false});
		await start(third, ['--host', '0.0.0.0', '--bootstrap', `${second.v4}:5000`]);
		await expectConnected(
			third,
			`${first.v4}:5000`,
			[first, second, third].map(({v4}) => `${v4}:5000`),
			on5000([first, second, third]),
		);
	}, 60_000);

	test('a node that listens only on loopback is refused when it would join another host', async () => {
		const [first, second] = [network.host(), network.host()];
		const refused = second.start(cluster, ['--bootstrap', `${first.v4}:5000`]);
		expect(await refused.exited).toBe(2);
		expect(refused.stderr).toContain('use --host');
	});

	test('a node does not advertise the name of its host by default if the name resolves to loopback', async () => {
		const hosts = [network.host({v6: false}), network.host({v6: false}), network.host({v6: false})];
		const names = ['one', 'two', 'three'];
		for (const [own, host] of hosts.entries())
			host.setNames(
				Object.fromEntries(
					names.map((name, index) => [name, [index === own ? '127.0.1.1' : hosts[index]!.v4]]),
				),
			);
		const refused = hosts[0]!.start(cluster, ['--host', 'one']);
		expect(await refused.exited).toBe(2);
		expect(refused.stderr).toContain(
			'host one is 127.0.1.1 on this machine, where no other machine reaches it: use --host to set the address to listen on, and --advertise one to let others use the name',
		);
		for (const [index, host] of hosts.entries())
			await start(host, [
				'--host',
				host.v4,
				'--advertise',
				names[index]!,
				...(index > 0 ? ['--bootstrap', 'one:5000'] : []),
			]);
		await expectConnected(
			hosts[1]!,
			'one:5000',
			names.map(name => `${name}:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('hosts with only IPv6 form a cluster', async () => {
		const hosts = [network.host({v4: false}), network.host({v4: false}), network.host({v4: false})];
		hosts[0]!.ip('addr', 'add', 'fe80::77/64', 'dev', 'eth', 'nodad');
		const bootstrap = ['', `[${hosts[0]!.v6}]:5000`, '[fe80::77%eth]:5000'];
		for (const [index, host] of hosts.entries())
			await start(host, [
				'--host',
				index === 0 ? '::' : host.v6.toUpperCase(),
				...(index > 0 ? ['--bootstrap', bootstrap[index]!] : []),
			]);
		await expectConnected(
			hosts[2]!,
			`[${hosts[1]!.v6}]:5000`,
			hosts.map(({v6}) => `[${v6}]:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('hosts with IPv4 and IPv6 form a cluster, and each may advertise an address of either family', async () => {
		const hosts = [network.host(), network.host(), network.host()];
		const advertised = [hosts[0]!.v4, `[${hosts[1]!.v6}]`, hosts[2]!.v4];
		for (const [index, host] of hosts.entries())
			await start(host, [
				'--host',
				'::',
				'--advertise',
				advertised[index]!,
				...(index > 0 ? ['--bootstrap', `${advertised[index - 1]}:5000`] : []),
			]);
		await expectConnected(
			hosts[0]!,
			`${hosts[0]!.v4}:5000`,
			advertised.map(host => `${host}:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('nodes connect to a name with several addresses although the first address does not answer', async () => {
		const hosts = [network.host({v6: false}), network.host({v6: false}), network.host({v6: false})];
		const names = {
			one: ['10.77.0.201', hosts[0]!.v4],
			two: ['10.77.0.202', hosts[1]!.v4],
			three: ['10.77.0.203', hosts[2]!.v4],
		};
		for (const host of hosts) host.setNames(names);
		for (const [index, host] of hosts.entries())
			await start(host, [
				'--host',
				'0.0.0.0',
				'--advertise',
				Object.keys(names)[index]!,
				...(index > 0 ? ['--bootstrap', 'one:5000'] : []),
			]);
		await expectConnected(
			hosts[1]!,
			'one:5000',
			Object.keys(names).map(name => `${name}:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('the error about a name without an address that answers lists all its addresses', async () => {
		const host = network.host({v6: false});
		host.setNames({ghost: ['10.77.0.201', '10.77.0.202']});
		const {code, stderr} = await host.run([
			'status',
			'--server',
			'ghost:5000',
			'--timeout',
			'1s',
			...cluster.clientFlags,
		]);
		expect(code).toBe(14);
		expect(stderr).toContain('peer ghost:5000 does not answer within');
		expect(stderr).toContain('tried 10.77.0.201, 10.77.0.202');
	});

	test('nodes follow a name whose address changes with a restart', async () => {
		const hosts = [network.host({v6: false}), network.host({v6: false}), network.host({v6: false})];
		const advertised = [`${hosts[0]!.v4}:5000`, `${hosts[1]!.v4}:5000`, 'mover:5000'];
		const flags = (index: number): string[] => [
			'--host',
			'0.0.0.0',
			...(index === 2 ? ['--advertise', 'mover'] : []),
			...(index > 0 ? ['--bootstrap', advertised[0]!] : []),
		];
		for (const host of hosts) host.setNames({mover: [hosts[2]!.v4]});
		for (const [index, host] of hosts.entries()) await start(host, flags(index));
		await expectConnected(hosts[0]!, advertised[0]!, advertised, on5000(hosts));
		const mover = nodes.pop()!;
		await mover.kill('SIGTERM');
		const starts = eventCounts(nodes);
		hosts[2]!.setAddresses(['10.77.0.99/24']);
		for (const host of hosts) host.setNames({mover: ['10.77.0.99']});
		await start(hosts[2]!, flags(2));
		await waitForAll(nodes.slice(0, 2), isMember(mover, 'alive'), 'the moved node', starts);
		await expectConnected(hosts[0]!, advertised[0]!, advertised, on5000(hosts));
	}, 60_000);
});

describe.runIf(canMakeNetworks)('discovery between hosts', () => {
	/** The first node founds the cluster; the later nodes find it. */
	async function startInOrder(flags: ReadonlyArray<readonly [Host, readonly string[]]>): Promise<void> {
		cluster = new Cluster({cli, settings: {discovery: {enabled: true, interval_ms: 200}}});
		for (const [host, own] of flags) await start(host, own);
		await waitForAll(nodes, hasVoters(nodes.length), 'all voters');
	}

	test('connects nodes with wildcards and IPv4', async () => {
		const hosts = [
			network.host({v6: false}),
			network.host({v6: false}),
			network.host({v6: false, more: ['192.168.7.1/24']}),
		];
		await startInOrder(
			hosts.map((host, index) => [host, ['--host', '0.0.0.0', ...(index === 2 ? ['--advertise', host.v4] : [])]]),
		);
	}, 60_000);

	test('connects nodes with only IPv6', async () => {
		const hosts = [network.host({v4: false}), network.host({v4: false}), network.host({v4: false})];
		await startInOrder(hosts.map((host, index) => [host, ['--host', index === 0 ? host.v6 : '::']]));
	}, 60_000);

	test('connects hosts with only IPv6 and a host of both families', async () => {
		const hosts = [network.host({v4: false}), network.host(), network.host({v4: false})];
		await startInOrder(hosts.map(host => [host, ['--host', '::', '--advertise', host.v6]]));
	}, 60_000);
});

describe.runIf(canFilter)('nodes with mapped ports', () => {
	test('are reachable at their advertised address and port, over TCP and UDP', async () => {
		const outer = network.host({v6: false});
		const inner = [network.mapped({ports: [[15_000, 5000]]}), network.mapped({ports: [[16_000, 5000]]})];
		await start(inner[0]!.host, ['--host', '0.0.0.0', '--advertise', `${inner[0]!.gateway.v4}:15000`]);
		await start(inner[1]!.host, [
			'--host',
			'0.0.0.0',
			'--advertise',
			`${inner[1]!.gateway.v4}:16000`,
			'--bootstrap',
			`${inner[0]!.gateway.v4}:15000`,
		]);
		await start(outer, ['--host', outer.v4, '--bootstrap', `${inner[1]!.gateway.v4}:16000`]);
		await expectConnected(
			outer,
			`${inner[0]!.gateway.v4}:15000`,
			[`${inner[0]!.gateway.v4}:15000`, `${inner[1]!.gateway.v4}:16000`, `${outer.v4}:5000`],
			new Map([
				[inner[0]!.gateway, 15_000],
				[inner[1]!.gateway, 16_000],
				[outer, 5000],
			]),
		);
	}, 60_000);
});
