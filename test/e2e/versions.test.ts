/**
The previous release and this one, as real processes in one cluster: a rolling upgrade keeps the data, and the cluster
continues to work. Nodes refuse incompatible versions, and both sides report both versions.
*/
import {hostname} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess} from '../../bench/cluster.ts';
import type {NodeId, Topic} from '../../core/index.ts';
import {defaultName} from '../../core/node-name.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {publishTexts, readTexts, withClient} from './support/brokers.ts';
import {separateDiscovery} from './support/clusters.ts';
import {cli, jsonAt, nodeFlags, run, runAt, serverFlags, type Finished} from './support/command.ts';
import {CommandProcess} from './support/command-process.ts';
import {hasLeader, isLeader, isRefused, isSubscribed, waitForAll, type EventPredicate} from './support/events.ts';
import {previousCommit, previousRelease, releaseOf, type Release} from './support/releases.ts';

const news = 'news' as Topic;
const previous = previousRelease();
// A message, so that a passing run does not hide the skipped tests.
if (!previous)
	process.stderr.write(`The tests of the previous release did not run: this clone has no commit ${previousCommit}\n`);
afterAll(() => previous?.[Symbol.dispose]());

const snapshotOf = (cluster: Cluster, node: NodeProcess): Promise<Snapshot> =>
	withClient(cluster, node, broker => broker.snapshot());
const textsAt = (cluster: Cluster, node: NodeProcess, count: number): Promise<string[]> =>
	withClient(cluster, node, broker => readTexts(broker, news, count));
const isProtocol =
	(expected: number): EventPredicate =>
	({type, protocol}) =>
		type === 'protocol' && protocol === expected;
/** Everything that the process printed. */
const outputOf = ({stderr, events}: NodeProcess): string => stderr + JSON.stringify(events);

describe.skipIf(!previous)('a cluster of the previous release', () => {
	let cluster: Cluster;
	const published: string[] = [];
	beforeAll(async () => {
		cluster = new Cluster({cli: previous!.cli, topics: [news], messages: true});
		await cluster.startAll(3);
	}, 120_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	/** Publishes through every node, and checks that every node has all messages so far. */
	async function exchange(round: string): Promise<void> {
		for (const [index, node] of cluster.nodes.entries()) {
			const texts = Array.from({length: 20}, (_, message) => `${round} ${index} ${message}`);
			await withClient(cluster, node, broker => publishTexts(broker, news, texts));
			published.push(...texts);
		}

		for (const node of cluster.nodes)
			expect((await textsAt(cluster, node, published.length)).toSorted()).toEqual(published.toSorted());
	}

	/** Stops the node, and starts another program with its data. */
	async function restart(index: number, program: string): Promise<NodeProcess> {
		const {port} = cluster.nodes[index]!;
		await cluster.nodes[index]!.kill('SIGTERM');
		cluster.cli = program;
		const node = cluster.start(port);
		await node.waitFor(hasLeader, 'a leader, after the restart');
		return node;
	}

	async function transferTo(node: NodeProcess): Promise<void> {
		await withClient(
			cluster,
			cluster.nodes.find(other => other !== node)!,
			async broker => {
				// A transfer is refused while the node catches up after its restart, and if the node leads already.
				await expect
					.poll(
						async () => {
							await broker.transferLeadership(node.id as NodeId).catch(() => undefined);
							return (await broker.snapshot()).raft.leader;
						},
						{timeout: 20_000},
					)
					.toBe(node.id);
			},
		);
	}

	test('a rolling upgrade, including the leader: messages reach all nodes at each step, and leadership moves in both directions', async () => {
		const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		await exchange('previous only');
		await transferTo(second);

		const upgraded = await restart(0, cli);
		expect(upgraded.id).toBe(first.id);
		await exchange('one upgraded');
		await transferTo(upgraded);
		await exchange('the upgraded node leads');
		const mixed = await snapshotOf(cluster, upgraded);
		expect([mixed.protocol, mixed.members.map(({protocol}) => protocol).toSorted((a, b) => a - b)]).toEqual([
			1,
			[1, 1, 4],
		]);
		// A feature that older nodes lack is refused, with a remedy.
		expect(await runAt(cluster, upgraded, 'topic', 'create', 'orders')).toMatchObject({
			code: 1,
			stderr: expect.stringMatching(
				/once all members run a version that supports it \(protocol 3\); this cluster uses protocol 1\. `peers` shows the version of each/,
			) as string,
		});
		await transferTo(second);
		await exchange('a node of the previous release leads');

		// The second node leads now, so this restart replaces the leader.
		expect((await snapshotOf(cluster, upgraded)).raft.leader).toBe(second.id);
		await restart(1, cli);
		await exchange('two upgraded');
		await transferTo(third);
		await exchange('the last node of the previous release leads');
		expect((await snapshotOf(cluster, cluster.nodes[0]!)).protocol).toBe(1);

		await restart(2, cli);
		await exchange('all upgraded');
	}, 180_000);

	test('commands of each release work with nodes of the other', async () => {
		const node = cluster.nodes[0]!;
		const runPrevious = (...args: readonly string[]): Promise<Finished> =>
			run([...args, ...serverFlags(cluster, node)], {program: previous!.cli});
		for (const [args, output] of [
			[['status', '-o', 'json'], `"self":"${node.id}"`],
			[['peers'], node.id.slice(0, 8)],
			[['leader'], `127.0.0.1:${cluster.leader()!.port}`],
		] as const) {
			const {code, stdout} = await runPrevious(...args);
			expect([code, stdout.toString()]).toEqual([0, expect.stringContaining(output)]);
		}

		expect(await runPrevious('publish', news, 'by an old client')).toMatchObject({code: 0});
		published.push('by an old client');
		const count = String(published.length);
		const read = await runPrevious('subscribe', news, '--from', 'beginning', '--count', count);
		expect([read.code, read.stdout.toString().trimEnd().split('\n').toSorted()]).toEqual([0, published.toSorted()]);
		const [port] = await freePorts(1);
		await using oldCluster = new Cluster({cli: previous!.cli});
		const old = oldCluster.startAlone(port!);
		await old.waitFor(hasLeader, 'a leader');
		expect(await jsonAt(oldCluster, old, 'status')).toMatchObject({
			protocol: 1,
			members: [{state: 'alive', name: '', protocol: 1}],
		});
		expect(await jsonAt(oldCluster, old, 'peers')).toMatchObject([{id: old.id, state: 'alive'}]);
		expect(await runAt(oldCluster, old, 'publish', news, 'x')).toMatchObject({code: 0});
	}, 60_000);

	test('agrees on protocol 4 and on the names of the nodes once all nodes are upgraded', async () => {
		await waitForAll(cluster.nodes, isProtocol(4), 'protocol 4');
		for (const node of cluster.nodes) {
			await expect
				.poll(
					async () =>
						(await snapshotOf(cluster, node)).members.map(({id, name, protocol}) => [id, name, protocol]),
					{timeout: 20_000},
				)
				.toEqual(
					cluster.nodes
						.map(({id, port}) => [id, defaultName(hostname(), port), 4])
						.toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
				);
		}

		await exchange('protocol 4');
		expect(await runAt(cluster, cluster.nodes[0]!, 'topic', 'create', 'orders')).toMatchObject({
			code: 0,
			stderr: '',
		});
	}, 60_000);

	test('then refuses a new node of the previous release, and both sides report both versions', async () => {
		const [port] = await freePorts(1);
		cluster.cli = previous!.cli;
		const start = cluster.nodes[0]!.events.length;
		const old = cluster.startAlone(port!, ['--bootstrap', String(cluster.nodes[0]!.port)]);
		cluster.nodes.pop();
		expect(await old.exited).toBe(1);
		expect(outputOf(old)).toMatch(/speaks protocol 4, this node 1/);
		await cluster.nodes[0]!.waitFor(
			isRefused(/speaks protocol 1 \(version [\d.]+\), this node 4 \(version [\d.]+\)/),
			'the refusal',
			start,
		);
	}, 60_000);

	test('the previous release refuses the data of this one and does not change it: the member continues after another upgrade', async () => {
		const [, , third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const {port, id} = third;
		await third.kill('SIGTERM');
		cluster.cli = previous!.cli;
		const downgraded = cluster.startAlone(port);
		expect(await downgraded.exited).toBe(1);
		expect(outputOf(downgraded)).toMatch(/a record that this version cannot read/);
		cluster.cli = cli;
		const upgraded = cluster.startAlone(port);
		await upgraded.waitFor(hasLeader, 'a leader');
		expect(upgraded.id).toBe(id);
		await exchange('after the downgrade');
	}, 60_000);
});

describe.skipIf(!previous)('beacons of both releases', () => {
	const beaconMs = 1000;

	test('a command finds a node of the previous release, which ignores its query', async () => {
		await using cluster = new Cluster({
			cli: previous!.cli,
			settings: await separateDiscovery(beaconMs),
			topics: [news],
		});
		const [port] = await freePorts(1);
		const node = cluster.startAlone(port!);
		await node.waitFor(isSubscribed(node), 'its subscription');
		const start = node.events.length;
		const env = {XDG_STATE_HOME: join(cluster.folder, 'another-user'), XDG_RUNTIME_DIR: ''};
		expect(await run(['publish', news, 'x', ...cluster.clientFlags], {env})).toMatchObject({
			code: 0,
			stderr: expect.stringContaining(
				`using 127.0.0.1:${port}, found on the network; it advertises no subscription to news\n`,
			) as string,
		});
		// It does not know the name of the key that is tried first, and reports that once for each address.
		const reported = node.events.slice(start).filter(({type}) => type === 'warning' || type === 'refused');
		expect(reported.map(({text}) => text)).toEqual([
			expect.stringMatching(/^peer 127\.0\.0\.1:\d+ does not speak this protocol$/),
		]);
	}, 60_000);

	test('a node of the previous release receives the beacons of this one', async () => {
		await using cluster = new Cluster({cli, settings: await separateDiscovery(beaconMs)});
		const [port, oldPort] = await freePorts(2);
		const node = cluster.startAlone(port!);
		await node.waitFor(isProtocol(4), 'protocol 4');
		const command = [previous!.cli, '--headless', '-o', 'jsonl', ...nodeFlags(cluster, oldPort!, 'old')];
		const old = new NodeProcess(oldPort!, command, false, process.execPath, {
			XDG_STATE_HOME: join(cluster.folder, 'another-user'),
			XDG_RUNTIME_DIR: '',
		});
		// The old node finds the other one only by beacons, and is refused because of its protocol.
		expect(await old.exited).toBe(1);
		expect(outputOf(old)).toMatch(/speaks protocol 4, this node 1/);
	}, 60_000);
});

test.skipIf(!previous)(
	'a follower fails over from a node of the previous release to another one, and then to a node of this release',
	async () => {
		await using cluster = new Cluster({cli: previous!.cli, topics: [news]});
		await cluster.startAll(3);
		const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		await withClient(cluster, third, broker => publishTexts(broker, news, ['old 1', 'old 2']));
		for (const node of cluster.nodes) expect(await textsAt(cluster, node, 2)).toHaveLength(2);
		const servers = [first, second].map(({port}) => `127.0.0.1:${port}`).join(',');
		const command = [cli, 'subscribe', news, '--count', '60', '--server', servers, ...cluster.clientFlags];
		await using follower = new CommandProcess(process.execPath, command, {env: cluster.env});
		const received = (count: number): Promise<void> =>
			follower.until(() => follower.stdout.split('\n').length > count, `${count} messages`);
		const texts = Array.from({length: 60}, (_, index) => `m${index}`);
		const publish = (from: number): Promise<unknown> =>
			withClient(cluster, third, broker => publishTexts(broker, news, texts.slice(from, from + 20)));
		await follower.until(() => follower.stderr.includes('Subscribed to news'), 'the subscription');
		await publish(0);
		await received(20);
		await first.kill('SIGKILL');
		await publish(20);
		await received(40);
		cluster.cli = cli;
		const upgraded = cluster.start(first.port);
		await upgraded.waitFor(hasLeader, 'a leader, after the upgrade');
		await second.kill('SIGKILL');
		await publish(40);
		expect(await follower.exited, follower.stderr).toBe(0);
		expect(follower.stdout.split('\n').slice(0, -1)).toEqual(texts);
	},
	120_000,
);

describe('a program that supports only protocol 5', () => {
	let later: Release;
	beforeAll(() => {
		later = releaseOf([5, 5], '9.0.0');
	}, 60_000);
	afterAll(() => later[Symbol.dispose]());

	test('is refused, and the log of both sides has both protocols and both program versions', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(1);
		const [member] = cluster.nodes as [NodeProcess];
		const [port] = await freePorts(1);
		cluster.cli = later.cli;
		const newer = cluster.startAlone(port!, ['--bootstrap', String(member.port)]);
		expect(await newer.exited).toBe(1);
		expect(outputOf(newer)).toMatch(
			new RegExp(
				`peer 127\\.0\\.0\\.1:${member.port} speaks protocol 4 \\(version [\\d.]+\\), this node 5 \\(version 9\\.0\\.0\\)`,
			),
		);
		await member.waitFor(
			isRefused(
				new RegExp(
					`peer 127\\.0\\.0\\.1:${port} speaks protocol 5 \\(version 9\\.0\\.0\\), this node 4 \\(version [\\d.]+\\)`,
				),
			),
			'the refusal',
		);
	}, 60_000);

	test('writes a data folder that this release refuses and does not change', async () => {
		await using cluster = new Cluster({cli: later.cli});
		await cluster.startAll(1);
		const [{port}] = cluster.nodes as [NodeProcess];
		await cluster.nodes[0]!.kill('SIGTERM');
		cluster.cli = cli;
		const older = cluster.startAlone(port);
		expect(await older.exited).toBe(1);
		expect(older.stderr).toMatch(
			/was written by a newer version of dapss-tui \(its cluster uses protocol 5, this program speaks up to 4, at position \d+\): start that version, or use another --data\. Nothing was changed/,
		);
		cluster.cli = later.cli;
		const again = cluster.startAlone(port);
		await again.waitFor(isLeader(again), 'its leadership, as before');
	}, 60_000);
});
