/**
The previous release and this one, as real processes in one cluster (case 11): nodes are upgraded one at a time on their
data, and the cluster continues. Other versions are refused with both numbers, on both sides.
*/
import {spawn} from 'node:child_process';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess, type JsonEvent} from '../../bench/cluster.ts';
import type {Broker, NodeId, Topic} from '../../core/index.ts';
import {defaultName} from '../../core/node-name.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {cli, run} from './support/command.ts';
import {previousCommit, previousRelease, releaseOf, type Release} from './support/releases.ts';

const news = 'news' as Topic;
const previous = previousRelease();
// Printed, so that a green run does not hide it.
if (!previous)
	process.stderr.write(`The tests of the previous release did not run: this clone has no commit ${previousCommit}\n`);
afterAll(() => previous?.[Symbol.dispose]());

async function withClient<Value>(
	cluster: Cluster,
	node: NodeProcess,
	work: (broker: Broker) => Promise<Value>,
): Promise<Value> {
	const broker = await cluster.client(node);
	try {
		return await work(broker);
	} finally {
		await broker[Symbol.asyncDispose]();
	}
}

const snapshotOf = (cluster: Cluster, node: NodeProcess): Promise<Snapshot> =>
	withClient(cluster, node, broker => broker.snapshot());
/** A connection was refused, for this reason. */
const refuses =
	(pattern: RegExp) =>
	(event: JsonEvent): boolean =>
		event.type === 'refused' && pattern.test(String(event['reason']));
/** The same in the words of the previous release. */

/** Everything on the topic as the node has it, once it has `count`: texts in the order of their origins. */
async function textsAt(cluster: Cluster, node: NodeProcess, count: number): Promise<string[]> {
	return withClient(cluster, node, async broker => {
		const texts: string[] = [];
		const newest = new Map<string, number>();
		for await (const deliveries of broker.subscribe([news], {from: 'beginning'})) {
			for (const {origin, incarnation, seq, body} of deliveries) {
				expect(seq).toBe((newest.get(`${origin}:${incarnation}`) ?? 0) + 1);
				newest.set(`${origin}:${incarnation}`, seq);
				texts.push(Buffer.from(body).toString());
			}

			if (texts.length >= count) break;
		}

		return texts;
	});
}

describe.skipIf(!previous)('a cluster of the previous release', () => {
	let cluster: Cluster;
	const published: string[] = [];
	beforeAll(async () => {
		cluster = new Cluster({cli: previous!.cli, topics: [news], messages: true});
		await cluster.startAll(3);
	}, 120_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	/** Publish through every node, by a client of each program, and look at what every node has. */
	async function exchange(round: string): Promise<void> {
		for (const [index, node] of cluster.nodes.entries()) {
			const texts = Array.from({length: 20}, (_, message) => `${round} ${index} ${message}`);
			await withClient(cluster, node, broker =>
				broker.publish(
					news,
					texts.map(text => Buffer.from(text)),
				),
			);
			published.push(...texts);
		}

		for (const node of cluster.nodes)
			expect((await textsAt(cluster, node, published.length)).toSorted()).toEqual(published.toSorted());
	}

	/** Stop the node and start another program on its data. */
	async function restart(index: number, program: string): Promise<NodeProcess> {
		const {port} = cluster.nodes[index]!;
		await cluster.nodes[index]!.kill('SIGTERM');
		cluster.cli = program;
		const node = cluster.start(port);
		await node.waitFor(
			event => event.type === 'leader' && typeof event['leader'] === 'string',
			'a leader, after the restart',
		);
		return node;
	}

	async function transferTo(node: NodeProcess): Promise<void> {
		await withClient(
			cluster,
			cluster.nodes.find(other => other !== node)!,
			async broker => {
				// Refused while the node catches up after a restart, and when the stopped node already chose it.
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

	test('is upgraded one node at a time, including the leader: messages pass in every mix, and leadership moves both ways', async () => {
		const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		await exchange('previous only');
		await transferTo(second);

		const upgraded = await restart(0, cli);
		expect(upgraded.id).toBe(first.id);
		await exchange('one upgraded');
		await transferTo(upgraded);
		await exchange('the new one leads');
		const mixed = await snapshotOf(cluster, upgraded);
		expect([mixed.protocol, mixed.members.map(({protocol}) => protocol).toSorted((a, b) => a - b)]).toEqual([
			1,
			[1, 1, 3],
		]);
		// What the older nodes do not know is refused, with what helps.
		const early = await run([
			'topic',
			'create',
			'orders',
			...cluster.clientFlags,
			'--server',
			`127.0.0.1:${upgraded.port}`,
		]);
		expect([early.code, early.stderr]).toEqual([
			1,
			expect.stringMatching(
				/once all members run a version that supports it \(protocol 3\); this cluster uses protocol 1\. `peers` shows the version of each/,
			),
		]);
		await transferTo(second);
		await exchange('an old one leads');

		// The leader.
		expect((await snapshotOf(cluster, upgraded)).raft.leader).toBe(second.id);
		await restart(1, cli);
		await exchange('two upgraded');
		await transferTo(third);
		await exchange('the last old one leads');
		expect((await snapshotOf(cluster, cluster.nodes[0]!)).protocol).toBe(1);

		await restart(2, cli);
		await exchange('all upgraded');
	}, 180_000);

	test('commands of each release work with nodes of the other', async () => {
		const atNew = [...cluster.clientFlags, '--server', `127.0.0.1:${cluster.nodes[0]!.port}`];
		for (const command of [['status', '-o', 'json'], ['peers'], ['leader']]) {
			const {code, stdout} = await run([...command, ...atNew], {program: previous!.cli});
			expect([
				command,
				code,
				stdout.toString().includes(cluster.nodes[0]!.id.slice(0, 8)) || command[0] === 'leader',
			]).toEqual([command, 0, true]);
		}

		expect((await run(['publish', news, 'by an old client', ...atNew], {program: previous!.cli})).code).toBe(0);
		published.push('by an old client');
		const read = await run(
			['subscribe', news, '--from', 'beginning', '--count', String(published.length), ...atNew],
			{program: previous!.cli},
		);
		expect([read.code, read.stdout.toString().includes('by an old client')]).toEqual([0, true]);
		const [port] = await freePorts(1);
		const alone = new Cluster({cli: previous!.cli});
		try {
			const node = alone.startAlone(port!);
			await node.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
			const status = await run(['status', '-o', 'json', ...alone.clientFlags, '--server', `127.0.0.1:${port}`]);
			expect(JSON.parse(status.stdout.toString())).toMatchObject({
				protocol: 1,
				members: [{state: 'alive', name: '', protocol: 1}],
			});
			expect((await run(['peers', ...alone.clientFlags, '--server', `127.0.0.1:${port}`])).code).toBe(0);
			expect(
				(await run(['publish', news, 'x', ...alone.clientFlags, '--server', `127.0.0.1:${port}`])).code,
			).toBe(0);
		} finally {
			await alone[Symbol.asyncDispose]();
		}
	}, 60_000);

	test('agrees on protocol 3, on names and on claims once all are upgraded', async () => {
		await Promise.all(
			cluster.nodes.map(node =>
				node.waitFor(event => event.type === 'protocol' && event['protocol'] === 3, 'protocol 3'),
			),
		);
		for (const node of cluster.nodes) {
			await expect
				.poll(
					async () =>
						(await snapshotOf(cluster, node)).members.map(({id, name, protocol}) => [id, name, protocol]),
					{timeout: 20_000},
				)
				.toEqual(
					cluster.nodes
						.map(({id, port}) => [id, defaultName(hostname(), port), 3])
						.toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
				);
		}

		await exchange('protocol 3');
		const created = await run([
			'topic',
			'create',
			'orders',
			...cluster.clientFlags,
			'--server',
			`127.0.0.1:${cluster.nodes[0]!.port}`,
		]);
		expect([created.code, created.stderr]).toEqual([0, '']);
	}, 60_000);

	test('then refuses a new node of the previous release, and both sides name both versions', async () => {
		const [port] = await freePorts(1);
		cluster.cli = previous!.cli;
		const start = cluster.nodes[0]!.events.length;
		const old = cluster.startAlone(port!, ['--bootstrap', String(cluster.nodes[0]!.port)]);
		cluster.nodes.pop();
		expect(await old.exited).not.toBe(0);
		expect(old.stderr + JSON.stringify(old.events)).toMatch(/speaks protocol 3, this node 1/);
		await cluster.nodes[0]!.waitFor(
			refuses(/speaks protocol 1 \(version [\d.]+\), this node 3 \(version [\d.]+\)/),
			'the refusal',
			start,
		);
	}, 60_000);

	test('has data that the previous release refuses and does not change: the member continues when it is upgraded again', async () => {
		const [, , third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const {port, id} = third;
		await third.kill('SIGTERM');
		cluster.cli = previous!.cli;
		const downgraded = cluster.startAlone(port);
		expect(await downgraded.exited).toBe(1);
		expect(downgraded.stderr + JSON.stringify(downgraded.events)).toMatch(/a record that this version cannot read/);
		cluster.cli = cli;
		const upgraded = cluster.startAlone(port);
		await upgraded.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
		expect(upgraded.id).toBe(id);
		await exchange('after the downgrade');
	}, 60_000);
});

describe.skipIf(!previous)('beacons of either release (case 46)', () => {
	const discovery = {enabled: true, port: 20_000 + (process.pid % 20_000)};

	test('a command finds a node of the previous release, which ignores its query', async () => {
		await using cluster = new Cluster({cli: previous!.cli, settings: {discovery}, topics: [news]});
		const [port] = await freePorts(1);
		const node = cluster.startAlone(port!);
		await node.waitFor(event => event.type === 'subscribed' && event['node'] === node.id, 'its subscription');
		const start = node.events.length;
		const env = {XDG_STATE_HOME: join(cluster.folder, 'another-user'), XDG_RUNTIME_DIR: ''};
		expect(await run(['publish', news, 'x', ...cluster.clientFlags], {env})).toMatchObject({
			code: 0,
			stderr: expect.stringContaining(
				`using 127.0.0.1:${port}, found on the network; it advertises no subscription to news\n`,
			) as string,
		});
		expect(node.events.slice(start).filter(({type}) => type === 'warning' || type === 'refused')).toEqual([]);
	}, 60_000);

	test('a node of the previous release hears the beacons of this one', async () => {
		await using cluster = new Cluster({cli, settings: {discovery}});
		const [port, oldPort] = await freePorts(2);
		const node = cluster.startAlone(port!);
		await node.waitFor(event => event.type === 'protocol' && event['protocol'] === 3, 'protocol 3');
		const command = [
			previous!.cli,
			'--headless',
			'-o',
			'jsonl',
			'--port',
			String(oldPort),
			...cluster.clientFlags,
			'--data',
			join(cluster.folder, 'old'),
		];
		const old = new NodeProcess(oldPort!, command, false, process.execPath, {
			XDG_STATE_HOME: join(cluster.folder, 'another-user'),
			XDG_RUNTIME_DIR: '',
		});
		// It finds the node by its beacons alone, and is refused for its protocol.
		await old.exited;
		expect(old.stderr + JSON.stringify(old.events)).toMatch(/speaks protocol 3, this node 1/);
	}, 60_000);
});
test.skipIf(!previous)(
	'a follower moves from a node of the previous release to another one, and then to one of this release (case 26)',
	async () => {
		await using cluster = new Cluster({cli: previous!.cli, topics: [news]});
		await cluster.startAll(3);
		const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		await withClient(cluster, third, broker => broker.publish(news, [Buffer.from('old 1'), Buffer.from('old 2')]));
		for (const node of cluster.nodes) expect(await textsAt(cluster, node, 2)).toHaveLength(2);
		const servers = [first, second].map(({port}) => `127.0.0.1:${port}`).join(',');
		const follower = spawn(
			process.execPath,
			[cli, 'subscribe', news, '--count', '60', '--server', servers, ...cluster.clientFlags],
			{stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, ...cluster.env, NO_COLOR: '1'}},
		);
		let stdout = '';
		follower.stdout.setEncoding('utf8').on('data', (text: string) => void (stdout += text));
		const {promise: subscribed, resolve} = Promise.withResolvers<void>();
		let stderr = '';
		follower.stderr.setEncoding('utf8').on('data', (text: string) => {
			stderr += text;
			if (stderr.includes('Subscribed to news')) resolve();
		});
		const exited = new Promise(done => follower.once('close', done));
		const texts = Array.from({length: 60}, (_, index) => `m${index}`);
		const publish = (from: number): Promise<unknown> =>
			withClient(cluster, third, broker =>
				broker.publish(
					news,
					texts.slice(from, from + 20).map(text => Buffer.from(text)),
				),
			);
		await subscribed;
		await publish(0);
		await expect.poll(() => stdout.split('\n').length, {timeout: 20_000}).toBe(21);
		await first.kill('SIGKILL');
		await publish(20);
		await expect.poll(() => stdout.split('\n').length, {timeout: 20_000}).toBe(41);
		cluster.cli = cli;
		const upgraded = cluster.start(first.port);
		await upgraded.waitFor(
			event => event.type === 'leader' && typeof event['leader'] === 'string',
			'a leader, after the upgrade',
		);
		await second.kill('SIGKILL');
		await publish(40);
		expect(await exited, stderr).toBe(0);
		expect(stdout.split('\n').slice(0, -1)).toEqual(texts);
	},
	120_000,
);

describe('a program that speaks protocol 4 only', () => {
	let later: Release;
	beforeAll(() => {
		later = releaseOf([4, 4], '9.0.0');
	}, 60_000);
	afterAll(() => later[Symbol.dispose]());

	test('is refused with both ranges and both programs, in the log of both sides', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(1);
		const [member] = cluster.nodes as [NodeProcess];
		const [port] = await freePorts(1);
		cluster.cli = later.cli;
		const newer = cluster.startAlone(port!, ['--bootstrap', String(member.port)]);
		expect(await newer.exited).not.toBe(0);
		expect(newer.stderr + JSON.stringify(newer.events)).toMatch(
			new RegExp(
				`peer 127\\.0\\.0\\.1:${member.port} speaks protocol 3 \\(version [\\d.]+\\), this node 4 \\(version 9\\.0\\.0\\)`,
			),
		);
		await member.waitFor(
			refuses(
				new RegExp(
					`peer 127\\.0\\.0\\.1:${port} speaks protocol 4 \\(version 9\\.0\\.0\\), this node 3 \\(version [\\d.]+\\)`,
				),
			),
			'the refusal',
		);
	}, 60_000);

	test('writes a data folder that this release refuses and does not change (case 12)', async () => {
		await using cluster = new Cluster({cli: later.cli});
		await cluster.startAll(1);
		const [{port}] = cluster.nodes as [NodeProcess];
		await cluster.nodes[0]!.kill('SIGTERM');
		cluster.cli = cli;
		const older = cluster.startAlone(port);
		expect(await older.exited).toBe(1);
		expect(older.stderr).toMatch(
			/was written by a newer version of dapss-tui \(its cluster uses protocol 4, this program speaks up to 3, at position \d+\): start that version, or use another --data\. Nothing was changed/,
		);
		cluster.cli = later.cli;
		const again = cluster.startAlone(port);
		await again.waitFor(event => event.type === 'leader' && event['leader'] === again.id, 'its lead, as before');
	}, 60_000);
});
