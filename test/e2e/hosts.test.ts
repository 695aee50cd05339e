/**
A cluster on separate hosts whose addresses change while it is down, and one whose hosts find each other only by
discovery: membership must depend neither on addresses nor on the order of starts.
*/
import {setTimeout as pause} from 'node:timers/promises';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {canMakeNetworks, Network, sayNotRun, type Host} from './support/namespaces.ts';

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
/** The process that runs on each host, or ran there last. */
let nodes: NodeProcess[];
beforeEach(() => {
	if (!canMakeNetworks) return;
	network = new Network();
	hosts = [network.host({v6: false}), network.host({v6: false}), network.host({v6: false})];
	nodes = [];
});
afterEach(async () => {
	if (!canMakeNetworks) return;
	await Promise.all(nodes.filter(node => node.isRunning).map(node => node.kill('SIGKILL')));
	network[Symbol.dispose]();
	await cluster[Symbol.asyncDispose]();
});

/** @param at the address that the host has now */
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

/** Three hosts; the second and third join through the first. Returns their nodes. */
async function threeVoters(): Promise<{readonly clusterId: string; readonly ids: readonly string[]}> {
	cluster = new Cluster({cli});
	for (const [index, {v4}] of hosts.entries())
		await start(index, v4, index === 0 ? [] : ['--bootstrap', `${hosts[0]!.v4}:${port}`]).waitFor(
			({type}) => type === 'ready',
			'ready',
		);
	await Promise.all(
		nodes.map(node =>
			node.waitFor(
				event => event.type === 'voters' && (event['voters'] as unknown[]).length === 3,
				'three voters',
			),
		),
	);
	const {clusterId} = await statusOf(0, hosts[0]!.v4);
	return {clusterId, ids: nodes.map(({id}) => id)};
}

/**
Every host says: one cluster, these members at these addresses, all alive and voters, and no other cluster of the name.
A message from each host arrives on each.
@returns the id of the cluster
*/
async function expectOneCluster(addresses: readonly string[]): Promise<string> {
	await Promise.all(nodes.map(node => node.waitFor(({type}) => type === 'ready', 'ready')));
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
	await Promise.all(
		nodes.flatMap(node =>
			nodes.map(({id}) =>
				node.waitFor(
					(event: JsonEvent) => event.type === 'message' && event['payload'] === `from ${id}`,
					`the message from ${id}`,
				),
			),
		),
	);
	return clusterIds[0]!;
}

describe.runIf(canMakeNetworks)('hosts whose addresses change while they are down', () => {
	test('two hosts that swap their addresses stay members', async () => {
		const {clusterId, ids} = await threeVoters();
		const [first, second, third] = hosts.map(({v4}) => v4) as [string, string, string];
		await Promise.all([nodes[1]!.kill('SIGTERM'), nodes[2]!.kill('SIGTERM')]);
		hosts[1]!.setAddresses([`${third}/24`]);
		hosts[2]!.setAddresses([`${second}/24`]);
		start(1, third);
		// Once the first one sees the second one where the third one was, a cluster that takes addresses for nodes
		// removes the third one. It did so within 3 s, so these are part of the story.
		await expect
			.poll(async () => (await statusOf(0, first)).members.find(({id}) => id === ids[1])?.address, settle)
			.toBe(`${third}:${port}`);
		await pause(3000);
		start(2, second);
		expect(await expectOneCluster([first, third, second])).toBe(clusterId);
		expect(nodes.map(({id}) => id)).toEqual(ids);
	}, 60_000);

	const moved = ['10.77.0.101', '10.77.0.102', '10.77.0.103'];
	test.each([
		[
			'new addresses, with those of the others as seeds',
			() => moved,
			(addresses: readonly string[], own: string) => [
				'--bootstrap',
				addresses
					.filter(other => other !== own)
					.map(other => `${other}:${port}`)
					.join(','),
			],
		],
		['new addresses, and find one another by discovery alone', () => moved, () => ['--discovery']],
		[
			'addresses that have passed on to the next, without seeds or discovery',
			() => hosts.map((_, index) => hosts[(index + 1) % 3]!.v4),
			() => [],
		],
	] as const)(
		'all hosts return with %s: the same cluster and voters',
		async (_name, addressesOf, flagsOf) => {
			const {clusterId, ids} = await threeVoters();
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

describe.runIf(canMakeNetworks)('three hosts that find each other only by discovery form one cluster', () => {
	test.each([
		['started at the same moment', 0, []],
		['started 0.3 s apart', 300, []],
		['started at the same moment, three of them expected', 0, ['--expect', '3']],
		['started 0.3 s apart, three of them expected', 300, ['--expect', '3']],
	] as const)(
		'%s',
		async (_name, apartMs, flags) => {
			cluster = new Cluster({cli, settings: {discovery: {enabled: true}}});
			for (const [index, {v4}] of hosts.entries()) {
				if (index > 0 && apartMs > 0) await pause(apartMs);
				start(index, v4, flags);
			}

			const clusterId = await expectOneCluster(hosts.map(({v4}) => v4));
			// No node founded a cluster of its own before.
			for (const node of nodes)
				expect(node.events.filter(({type}) => type === 'admitted').map(event => event['clusterId'])).toEqual([
					clusterId,
				]);
		},
		60_000,
	);
});

describe.runIf(canMakeNetworks)('a seed with an unknown name', () => {
	test('the node waits and gives the reason, and joins when the host exists', async () => {
		cluster = new Cluster({cli});
		const [first, second] = hosts as [Host, Host, Host];
		second.setNames({});
		const waiting = start(1, second.v4, ['--bootstrap', `seed:${port}`]);
		const words = await waiting.waitFor(
			({type, for: what}) => type === 'waiting' && /seed:5000 to answer \(E[A-Z_]+\)/.test(String(what)),
			'for what it waits',
		);
		expect((await hosts[1]!.run(['status', ...serverFlags(second.v4)])).stdout).toContain(
			`joining: waiting for ${String(words['for'])}`,
		);
		expect(waiting.events.filter(({type}) => type === 'admitted')).toEqual([]);
		await start(0, first.v4).waitFor(
			event => event.type === 'leader' && event['leader'] === nodes[0]!.id,
			'to lead alone',
		);
		second.setNames({seed: [first.v4]});
		await waiting.waitFor(event => event.type === 'leader' && event['leader'] === nodes[0]!.id, 'the leader');
		const {clusterId, members} = await statusOf(0, first.v4);
		expect(members.map(({id}) => id)).toEqual([nodes[0]!.id, waiting.id].toSorted());
		expect(waiting.events.find(({type}) => type === 'admitted')).toMatchObject({clusterId});
	}, 60_000);
});
