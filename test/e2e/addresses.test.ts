/**
Advertised addresses on separate hosts: wildcards, several interfaces, mapped ports, IPv6, names with several addresses.
In each case every member must be reachable for every other, over TCP and UDP, at its advertised address.
*/
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {canFilter, canMakeNetworks, Network, sayNotRun, type Host} from './support/namespaces.ts';

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
	if (!canMakeNetworks) return;
	await Promise.all(nodes.filter(node => node.isRunning).map(node => node.kill('SIGKILL')));
	network[Symbol.dispose]();
	await cluster[Symbol.asyncDispose]();
});

const on5000 = (hosts: readonly Host[]): ReadonlyMap<Host, number> => new Map(hosts.map(host => [host, 5000]));

async function start(host: Host, flags: readonly string[]): Promise<NodeProcess> {
	const node = host.start(cluster, ['--topics', 'news', ...flags]);
	nodes.push(node);
	await node.waitFor(({type}) => type === 'ready', 'ready');
	return node;
}

/** Every node sees all nodes as voters, sends datagrams to the port of each, and receives the published messages. */
async function expectWhole(
	from: Host,
	server: string,
	addresses: readonly string[],
	reached: ReadonlyMap<Host, number>,
): Promise<void> {
	await Promise.all(
		nodes.map(node =>
			node.waitFor(
				event => event.type === 'voters' && (event['voters'] as unknown[]).length === nodes.length,
				'all voters',
			),
		),
	);
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
	await Promise.all(
		nodes.map(node =>
			node.waitFor((event: JsonEvent) => event.type === 'message' && event['payload'] === 'word', 'message'),
		),
	);
	// Nodes may still redial links that closed with the last process.
	await expect.poll(async () => (await from.run(['check', ...flags])).code, {timeout: 10_000}).toBe(0);
	if (!canFilter) return;
	const missing = network.countDatagrams(reached);
	await vi.waitUntil(() => missing().length === 0, {timeout: 10_000, interval: 50});
}

describe.runIf(canMakeNetworks)('nodes on hosts of their own', () => {
	test('three nodes that listen on a wildcard become voters, and advertise the address of their host', async () => {
		const hosts = [network.host({v6: false}), network.host({v6: false}), network.host({v6: false})];
		for (const [index, host] of hosts.entries())
			await start(host, [
				'--host',
				index === 2 ? '::' : '0.0.0.0',
				...(index > 0 ? ['--bootstrap', `${hosts[0]!.v4}:5000`] : []),
			]);
		await expectWhole(
			hosts[1]!,
			`${hosts[0]!.v4}:5000`,
			hosts.map(({v4}) => `${v4}:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('a wildcard on several interfaces is refused, the message names the flag, and the flag solves it', async () => {
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
		await expectWhole(
			third,
			`${first.v4}:5000`,
			[first, second, third].map(({v4}) => `${v4}:5000`),
			on5000([first, second, third]),
		);
	}, 60_000);

	test('a node that listens on loopback only does not ask another host for admission', async () => {
		const [first, second] = [network.host(), network.host()];
		const refused = second.start(cluster, ['--bootstrap', `${first.v4}:5000`]);
		expect(await refused.exited).toBe(2);
		expect(refused.stderr).toContain('use --host');
	});

	test('a host whose own name is a loopback address does not advertise that name by default', async () => {
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
		await expectWhole(
			hosts[1]!,
			'one:5000',
			names.map(name => `${name}:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('hosts with IPv6 only', async () => {
		const hosts = [network.host({v4: false}), network.host({v4: false}), network.host({v4: false})];
		hosts[0]!.ip('addr', 'add', 'fe80::77/64', 'dev', 'eth', 'nodad');
		const bootstrap = ['', `[${hosts[0]!.v6}]:5000`, '[fe80::77%eth]:5000'];
		for (const [index, host] of hosts.entries())
			await start(host, [
				'--host',
				index === 0 ? '::' : host.v6.toUpperCase(),
				...(index > 0 ? ['--bootstrap', bootstrap[index]!] : []),
			]);
		await expectWhole(
			hosts[2]!,
			`[${hosts[1]!.v6}]:5000`,
			hosts.map(({v6}) => `[${v6}]:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('hosts of both families: each may advertise an address of either', async () => {
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
		await expectWhole(
			hosts[0]!,
			`${hosts[0]!.v4}:5000`,
			advertised.map(host => `${host}:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('a name with several addresses whose first one does not answer', async () => {
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
		await expectWhole(
			hosts[1]!,
			'one:5000',
			Object.keys(names).map(name => `${name}:5000`),
			on5000(hosts),
		);
	}, 60_000);

	test('a name without an address that answers: the error names all addresses', async () => {
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

	test('a name with another address after a restart', async () => {
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
		await expectWhole(hosts[0]!, advertised[0]!, advertised, on5000(hosts));
		const mover = nodes.pop()!;
		await mover.kill('SIGTERM');
		const seen = nodes.map(node => node.events.length);
		hosts[2]!.setAddresses(['10.77.0.99/24']);
		for (const host of hosts) host.setNames({mover: ['10.77.0.99']});
		await start(hosts[2]!, flags(2));
		await Promise.all(
			nodes
				.slice(0, 2)
				.map((node, index) =>
					node.waitFor(
						event => event.type === 'member' && event['id'] === mover.id && event['state'] === 'alive',
						'the mover',
						seen[index],
					),
				),
		);
		await expectWhole(hosts[0]!, advertised[0]!, advertised, on5000(hosts));
	}, 60_000);
});

describe.runIf(canMakeNetworks)('discovery between hosts', () => {
	/** The first node founds; those that start later find it. */
	async function startInTurn(flags: ReadonlyArray<readonly [Host, readonly string[]]>): Promise<void> {
		cluster = new Cluster({cli, settings: {discovery: {enabled: true, interval_ms: 200}}});
		for (const [host, own] of flags) await start(host, own);
		await Promise.all(
			nodes.map(node =>
				node.waitFor(
					event => event.type === 'voters' && (event['voters'] as unknown[]).length === nodes.length,
					'all voters',
				),
			),
		);
	}

	test('with wildcards and IPv4', async () => {
		const hosts = [
			network.host({v6: false}),
			network.host({v6: false}),
			network.host({v6: false, more: ['192.168.7.1/24']}),
		];
		await startInTurn(
			hosts.map((host, index) => [host, ['--host', '0.0.0.0', ...(index === 2 ? ['--advertise', host.v4] : [])]]),
		);
	}, 60_000);

	test('with IPv6 only', async () => {
		const hosts = [network.host({v4: false}), network.host({v4: false}), network.host({v4: false})];
		await startInTurn(hosts.map((host, index) => [host, ['--host', index === 0 ? host.v6 : '::']]));
	}, 60_000);

	test('of a host with IPv6 only and one of both families', async () => {
		const hosts = [network.host({v4: false}), network.host(), network.host({v4: false})];
		await startInTurn(hosts.map(host => [host, ['--host', '::', '--advertise', host.v6]]));
	}, 60_000);
});

describe.runIf(canFilter)('nodes with mapped ports', () => {
	test('are reached at the address and port that they advertise, over TCP and UDP', async () => {
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
		await expectWhole(
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
