/**
Nodes that a cluster does not admit, or admits without a vote, because of their name or address, or because no operator
consents. The node and the cluster report the reason and a remedy.
*/
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {freePorts, NodeProcess, type Cluster, type JsonEvent} from '../../bench/cluster.ts';
import {newCluster} from './support/clusters.ts';
import {cli, jsonAt, nodeFlags, runAt} from './support/command.ts';
import {userFolders} from './support/folders.ts';
import {hasLeader, hasVoters, isAdmitted, isMember, isReady, isRefused, waitForAll} from './support/events.ts';

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
	'a member that returns with %s gets no vote, and all nodes report that they cannot connect to it',
	async (_name, advertise) => {
		const {cluster, nodes, ports} = await threeVoters();
		const [port, empty, late] = await freePorts(3);
		const flags = ['--bootstrap', String(ports[0]), '--name', 'lost'];
		const member = cluster.startAlone(port!, flags);
		await member.waitFor(isAdmitted, 'its admission');
		await member.kill('SIGTERM');
		const newcomer = cluster.startAlone(port!, [...flags, '--advertise', advertise(empty!)]);
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

test('a newcomer with an address at which nothing listens does not become a member, and both sides report that', async () => {
	const {cluster, ports} = await threeVoters();
	const [port, empty] = await freePorts(2);
	const newcomer = cluster.startAlone(port!, ['--bootstrap', ports.join(','), '--advertise', `127.0.0.1:${empty!}`]);
	const reason = new RegExp(`cannot call it at its address 127.0.0.1:${empty!} .*: is --advertise right\\?`);
	await newcomer.waitFor(
		({type, for: what}) => type === 'waiting' && reason.test(String(what)),
		'the reason for which it waits',
	);
	await cluster
		.leader()!
		.waitFor(
			event => isRefused(reason)(event) && event['code'] === 'join' && event['id'] === newcomer.id,
			'the refusal',
		);
	expect((await jsonAt<readonly unknown[]>(cluster, {port: ports[0]!}, 'peers')).length).toBe(3);
}, 60_000);

/** A node of another user of this machine, who has the secret. */
const startAs = (cluster: Cluster, user: string, port: number, flags: readonly string[]): NodeProcess =>
	new NodeProcess(
		port,
		[cli, '--headless', '-o', 'jsonl', ...nodeFlags(cluster, port), ...flags],
		false,
		process.execPath,
		userFolders(join(cluster.folder, user)),
	);

test('a node of another user waits for an operator, and joins when its id is admitted', async () => {
	await using cluster = newCluster();
	const [first, second] = (await freePorts(2)) as [number, number];
	const founder = cluster.startAlone(first);
	await founder.waitFor(hasLeader, 'a leader');
	const newcomer = startAs(cluster, 'bob', second, ['--bootstrap', String(first)]);
	cluster.nodes.push(newcomer);
	const reason = /an operator must admit this node: dapss-tui access admit [\da-f]{16}/;
	await newcomer.waitFor(
		({type, for: what}) => type === 'waiting' && reason.test(String(what)),
		'the reason for which it waits',
	);
	await founder.waitFor(isRefused(reason), 'the refusal');
	expect(newcomer.events.filter(isAdmitted)).toEqual([]);
	expect(await runAt(cluster, founder, 'access', 'admit', newcomer.id)).toMatchObject({
		code: 0,
		stdout: Buffer.from(`Node ${newcomer.id} may join the cluster\n`),
	});
	await newcomer.waitFor(isAdmitted, 'its admission');
}, 60_000);

test('a join token admits one node of another user, and no second one', async () => {
	await using cluster = newCluster();
	const [first, second, third] = (await freePorts(3)) as [number, number, number];
	const founder = cluster.startAlone(first);
	await founder.waitFor(hasLeader, 'a leader');
	const {token} = await jsonAt<{readonly token: string}>(cluster, founder, 'access', 'token');
	const flags = ['--bootstrap', String(first), '--join-token', token];
	const guest = startAs(cluster, 'bob', second, flags);
	cluster.nodes.push(guest);
	await guest.waitFor(isAdmitted, 'its admission');
	const late = startAs(cluster, 'eve', third, flags);
	cluster.nodes.push(late);
	await late.waitFor(
		({type, for: what}) =>
			type === 'waiting' && /its join token is not valid; an operator must admit/.test(String(what)),
		'the reason for which it waits',
	);
	expect((await jsonAt<readonly unknown[]>(cluster, founder, 'peers')).length).toBe(2);
}, 60_000);
