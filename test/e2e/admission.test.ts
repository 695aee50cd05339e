/**
Nodes that a cluster does not admit, or admits without a vote, because of their name or address. The node and the
cluster report the reason and a remedy.
*/
import {expect, test} from 'vitest';
import {freePorts, type Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {newCluster} from './support/clusters.ts';
import {runAt} from './support/command.ts';
import {hasLeader, hasVoters, isMember, isReady, isRefused, waitForAll} from './support/events.ts';

async function threeVoters(
	flags: (index: number) => readonly string[] = () => [],
): Promise<{readonly cluster: Cluster; readonly nodes: readonly NodeProcess[]; readonly ports: readonly number[]}> {
	const cluster = newCluster();
	const ports = await freePorts(3);
	const nodes = ports.map((port, index) =>
		cluster.startAlone(port, ['--bootstrap', ports.join(','), ...flags(index)]),
	);
	await waitForAll(nodes, hasVoters(3), 'three voters');
	return {cluster, nodes, ports};
}

test.each<[string, readonly string[], (ports: readonly number[]) => string]>([
	[
		'the name of a member in upper case',
		['--name', 'WEB1'],
		ports => `belongs to node .* at 127.0.0.1:${ports[1]}: choose another --name`,
	],
	[
		'an address of another machine, in a cluster of one machine',
		['--advertise', 'nosuch.invalid'],
		() =>
			'nosuch.invalid:\\d+ is advertised to nodes of other machines: start the node of nosuch.invalid:\\d+ with --advertise and a loopback address',
	],
	[
		'a wildcard, in a cluster of one machine',
		['--host', '0.0.0.0', '--advertise', '192.0.2.7'],
		() => 'start the node of 192.0.2.7:\\d+ with --advertise and a loopback address',
	],
])(
	'a newcomer with %s stops with the reason, and the leader reports the refusal with this reason',
	async (_name, flags, reason) => {
		const {cluster, ports} = await threeVoters(index => ['--name', `web${index}`]);
		const [port] = await freePorts(1);
		// The leader decides on a join; the followers in the seed list do not delay the answer.
		const newcomer = cluster.startAlone(port!, ['--bootstrap', ports.join(','), ...flags]);
		expect(await newcomer.exited).toBe(1);
		expect(newcomer.stderr).toMatch(new RegExp(`The node stopped: .*${reason(ports)}`));
		const isRefusedJoin = (event: JsonEvent): boolean =>
			isRefused(new RegExp(`is not admitted: .*${reason(ports)}`))(event) &&
			event['code'] === 'join' &&
			event['id'] === newcomer.id;
		await cluster.leader()!.waitFor(isRefusedJoin, 'the refusal');
	},
	60_000,
);

test.each<[string, (port: number) => string]>([
	['an address at which nothing listens', port => `127.0.0.1:${port}`],
	['an address of the wrong family', () => '::1'],
])(
	'a newcomer with %s gets no vote, and all nodes report that they cannot connect to it',
	async (_name, advertise) => {
		const {cluster, nodes, ports} = await threeVoters();
		const [port, empty, late] = await freePorts(3);
		const newcomer = cluster.startAlone(port!, [
			'--bootstrap',
			String(ports[0]),
			'--name',
			'lost',
			'--advertise',
			advertise(empty!),
		]);
		await newcomer.waitFor(isReady, 'ready');
		const address = advertise(empty!) === '::1' ? `[::1]:${port}` : advertise(empty!);
		const why = /(?:no node can call|it cannot be called at) \S+ \(connection refused\): is --advertise right\?/;
		const isUnreachable = (event: JsonEvent): boolean =>
			isMember(newcomer, 'degraded')(event) &&
			why.test(String(event['why'])) &&
			String(event['why']).includes(address);
		await waitForAll(nodes, isUnreachable, 'the report that no node can connect to it');
		// With this second learner there would be five voters if the first one were reachable.
		const sound = cluster.startAlone(late!, ['--bootstrap', String(ports[0])]);
		await sound.waitFor(hasLeader, 'a leader');
		const outputAt = async (command: string, server: number): Promise<string> =>
			(await runAt(cluster, {port: server}, command)).stdout.toString();
		await expect
			.poll(() => outputAt('check', ports[0]!), {timeout: 20_000, interval: 200})
			.toMatch(
				/lost \(.*no node can call .*is --advertise right\?\) is degraded.*\n.*Until then it gets no vote/,
			);
		expect(await outputAt('check', ports[0]!)).not.toContain('UDP is blocked');
		await expect
			.poll(() => outputAt('check', port!), {timeout: 20_000, interval: 200})
			.toMatch(
				new RegExp(
					`Or no other node can call ${address.replaceAll(/[[\]]/g, String.raw`\$&`)}: is --advertise right`,
				),
			);
		const peers = await outputAt('peers', ports[1]!);
		expect(peers).toMatch(/lost .* learner .*no node can call/);
		expect(peers).not.toContain('TCP works');
		for (const node of nodes) expect(node.events.filter(hasVoters(5))).toEqual([]);
	},
	90_000,
);

test('two new nodes that are reachable get votes, whichever side opens the links', async () => {
	const {cluster, nodes, ports} = await threeVoters();
	for (const port of await freePorts(2))
		cluster.startAlone(port, ['--bootstrap', String(ports[0]), '--advertise', 'localhost']);
	await waitForAll(nodes, hasVoters(5), 'five voters');
}, 60_000);
