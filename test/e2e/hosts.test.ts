/**
Clusters on separate hosts: membership depends neither on addresses, which change while nodes are down, nor on the order
in which nodes start and discover each other.
*/
import {setTimeout as pause} from 'node:timers/promises';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {isAdmitted, isLeader, isMessage, isReady, waitForAll} from './support/events.ts';
import {canMakeNetworks, Network, sayNotRun, type Host} from './support/namespaces.ts';
import {removeNetwork, startVoters} from './support/network-cluster.ts';

sayNotRun('test/e2e/hosts.test.ts');

type Status = {
	readonly clusterId: string;
	readonly foreign: readonly unknown[];
	readonly members: ReadonlyArray<{
		readonly id: string;
		readonly address: string;
		readonly state: string;
		readonly voter: boolean;
	}>;
	readonly topics: ReadonlyArray<{readonly name: string; readonly subscribers: readonly string[]}>;
};

const settle = {timeout: 20_000, interval: 100};
const port = 5000;

let network: Network;
let cluster: Cluster;
let hosts: Host[];
/** The last process on each host. */
let nodes: NodeProcess[];
beforeEach(() => {
	if (!canMakeNetworks) return;
	network = new Network();
	hosts = [network.host({v6: false}), network.host({v6: false}), network.host({v6: false})];
	nodes = [];
});
afterEach(async () => {
	if (canMakeNetworks) await removeNetwork(network, cluster, nodes);
});

/** Starts a node on the host. @param at the current address of the host */
function start(index: number, at: string, flags: readonly string[] = []): NodeProcess {
	const node = hosts[index]!.start(cluster, ['--host', at, '--topics', 'news', ...flags]);
	nodes[index] = node;
	return node;
}

const serverFlags = (at: string): string[] => ['--server', `${at}:${port}`, ...cluster.clientFlags];
async function statusOf(index: number, at: string): Promise<Status> {
	const {code, stdout, stderr} = await hosts[index]!.run(['status', '-o', 'json', ...serverFlags(at)]);
	expect({code, stderr}).toMatchObject({code: 0});
	return JSON.parse(stdout) as Status;
}

/** Starts three voters; the second and the third join through the first. */
async function startThreeVoters(): Promise<{readonly clusterId: string; readonly ids: readonly string[]}> {
	cluster = new Cluster({cli});
	nodes = await startVoters(cluster, hosts, ['--topics', 'news']);
	const {clusterId} = await statusOf(0, hosts[0]!.v4);
	return {clusterId, ids: nodes.map(({id}) => id)};
}

/**
Every host reports one cluster, these members at these addresses, all alive and voters, and no other cluster with the
name. A message from each host arrives at all hosts.
@returns the id of the cluster
*/
async function expectOneCluster(addresses: readonly string[]): Promise<string> {
	await waitForAll(nodes, isReady, 'ready');
	const members = nodes
		.map(({id}, index) => ({id, address: `${addresses[index]}:${port}`, state: 'alive', voter: true}))
		.toSorted((a, b) => (a.id < b.id ? -1 : 1));
	const clusterIds = await Promise.all(
		addresses.map(async (at, index) => {
			await expect.poll(async () => (await statusOf(index, at)).members, settle).toMatchObject(members);
			await expect
				.poll(async () => (await hosts[index]!.run(['check', ...serverFlags(at)])).stdout, settle)
				.toMatch(/^healthy/);
			// A restarted node emits no event for a subscription that it had before.
			await expect
				.poll(
					async () =>
						(await statusOf(index, at)).topics.find(({name}) => name === 'news')?.subscribers.toSorted(),
					settle,
				)
				.toEqual(members.map(({id}) => id));
			const {clusterId, foreign} = await statusOf(index, at);
			expect(foreign).toEqual([]);
			return clusterId;
		}),
	);
	expect(clusterIds[0]).toMatch(/^[\da-f]{32}$/);
	expect(new Set(clusterIds).size).toBe(1);
	await Promise.all(
		addresses.map(async (at, index) => {
			const {code, stderr} = await hosts[index]!.run([
				'publish',
				'news',
				`from ${nodes[index]!.id}`,
				...serverFlags(at),
			]);
			expect({code, stderr}).toMatchObject({code: 0});
		}),
	);
	await Promise.all(nodes.map(({id}) => waitForAll(nodes, isMessage(`from ${id}`), `the message from ${id}`)));
	return clusterIds[0]!;
}

describe.runIf(canMakeNetworks)('hosts whose addresses change while they are down', () => {
	test('two hosts that swap their addresses stay members', async () => {
		const {clusterId, ids} = await startThreeVoters();
		const [first, second, third] = hosts.map(({v4}) => v4) as [string, string, string];
		await Promise.all([nodes[1]!.kill('SIGTERM'), nodes[2]!.kill('SIGTERM')]);
		hosts[1]!.setAddresses([`${third}/24`]);
		hosts[2]!.setAddresses([`${second}/24`]);
		start(1, third);
		// The second node is alive at the address of the third one, which is down. That must not remove the third node.
		await expect
			.poll(async () => (await statusOf(0, first)).members.find(({id}) => id === ids[1])?.address, settle)
			.toBe(`${third}:${port}`);
		// Nothing may happen in this time. A removal because of the address would take less than 3 s.
		await pause(3000);
		start(2, second);
		expect(await expectOneCluster([first, third, second])).toBe(clusterId);
		expect(nodes.map(({id}) => id)).toEqual(ids);
	}, 60_000);

	const moved = ['10.77.0.101', '10.77.0.102', '10.77.0.103'];
	test.each([
		[
			'new addresses and seed lists',
			() => moved,
			(addresses: readonly string[], own: string) => [
				'--bootstrap',
				addresses
					.filter(other => other !== own)
					.map(other => `${other}:${port}`)
					.join(','),
			],
		],
		['new addresses and discovery, without seeds', () => moved, () => ['--discovery']],
		[
			'rotated addresses, without seeds and discovery',
			() => hosts.map((_, index) => hosts[(index + 1) % 3]!.v4),
			() => [],
		],
	] as const)(
		'all hosts return with %s, to the same cluster with the same voters',
		async (_name, addressesOf, flagsOf) => {
			const {clusterId, ids} = await startThreeVoters();
			await Promise.all(nodes.map(node => node.kill('SIGTERM')));
			const addresses = addressesOf();
			for (const [index, host] of hosts.entries()) host.setAddresses([`${addresses[index]}/24`]);
			for (const [index, at] of addresses.entries()) start(index, at, flagsOf(addresses, at));
			expect(await expectOneCluster(addresses)).toBe(clusterId);
			expect(nodes.map(({id}) => id)).toEqual(ids);
		},
		60_000,
	);
});

describe.runIf(canMakeNetworks)('three hosts that know each other only by discovery form one cluster', () => {
	test.each([
		['when they start at the same moment', 0, []],
		['when they start 0.3 s apart', 300, []],
		['when they start at the same moment, with --expect 3', 0, ['--expect', '3']],
		['when they start 0.3 s apart, with --expect 3', 300, ['--expect', '3']],
	] as const)(
		'%s',
		async (_name, apartMs, flags) => {
			cluster = new Cluster({cli, settings: {discovery: {enabled: true}}});
			for (const [index, {v4}] of hosts.entries()) {
				// The time between the starts is the subject of the test.
				if (index > 0 && apartMs > 0) await pause(apartMs);
				start(index, v4, flags);
			}

			const clusterId = await expectOneCluster(hosts.map(({v4}) => v4));
			// No node founded another cluster before.
			for (const node of nodes)
				expect(node.events.filter(isAdmitted).map(event => event['clusterId'])).toEqual([clusterId]);
		},
		60_000,
	);
});

describe.runIf(canMakeNetworks)('a node whose seed has an unknown name', () => {
	test('waits, reports the reason, and joins when the name resolves', async () => {
		cluster = new Cluster({cli});
		const [first, second] = hosts as [Host, Host, Host];
		second.setNames({});
		const waiting = start(1, second.v4, ['--bootstrap', `seed:${port}`]);
		const report = await waiting.waitFor(
			({type, for: reason}) => type === 'waiting' && /seed:5000 to answer \(E[A-Z_]+\)/.test(String(reason)),
			'the reason to wait',
		);
		expect((await hosts[1]!.run(['status', ...serverFlags(second.v4)])).stdout).toContain(
			`joining: waiting for ${String(report['for'])}`,
		);
		expect(waiting.events.filter(isAdmitted)).toEqual([]);
		const founder = start(0, first.v4);
		await founder.waitFor(isLeader(founder), 'its own leadership');
		second.setNames({seed: [first.v4]});
		await waiting.waitFor(isLeader(founder), 'the leader');
		const {clusterId, members} = await statusOf(0, first.v4);
		expect(members.map(({id}) => id)).toEqual([founder.id, waiting.id].toSorted());
		expect(waiting.events.filter(isAdmitted)).toMatchObject([{clusterId}]);
	}, 60_000);
});
