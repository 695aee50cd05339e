/**
Operation of a cluster of real processes: transfer leadership, remove members, continue with one survivor when the
quorum is lost permanently.
*/
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {Broker, NodeId, Snapshot, Topic} from '../../core/index.ts';
import {cli, run, type Finished} from './support/command.ts';

const leads =
	(id: string | undefined) =>
	(event: JsonEvent): boolean =>
		event.type === 'leader' && event['leader'] === id;
const isRefused =
	/The node stopped: this node was removed from the cluster: to join again, start it with an empty data folder/;

function command(cluster: Cluster, node: NodeProcess, ...words: readonly string[]): Promise<Finished> {
	return run([...words, ...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`]);
}

/** Resolves when the snapshot of the node satisfies the condition. */
async function sees(broker: Broker, isSo: (snapshot: Snapshot) => boolean): Promise<void> {
	const {promise, resolve} = Promise.withResolvers<void>();
	using _watching = broker.watch(snapshot => {
		if (isSo(snapshot)) resolve();
	});
	await promise;
}

describe('leadership is transferred', () => {
	test('to the given node or the best one, and the asking node sees it at once', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(3);
		const former = cluster.leader()!;
		const [next, asked] = cluster.nodes.filter(node => node !== former) as [NodeProcess, NodeProcess];
		const named = await command(cluster, asked, 'leader', 'transfer', String(next.port), '-o', 'json');
		expect(named).toMatchObject({code: 0, stderr: ''});
		expect(JSON.parse(named.stdout.toString())).toMatchObject({leader: next.id, address: `127.0.0.1:${next.port}`});
		const again = await command(cluster, former, 'leader', 'transfer', next.id.slice(0, 8));
		expect(again).toMatchObject({code: 1, stderr: expect.stringMatching(/Node \S+ leads already/)});
		expect(await command(cluster, asked, 'leader', 'transfer')).toMatchObject({code: 0});
		expect(await command(cluster, asked, 'leader', 'transfer', '1')).toMatchObject({
			code: 2,
			stderr: expect.stringContaining('Expected "1" to be a member'),
		});

		const brokers = await Promise.all(cluster.nodes.map(node => cluster.client(node)));
		const tookMs: number[] = [];
		for (let round = 0; round < Number(process.env['TRANSFERS'] ?? 20); round++) {
			const broker = brokers[round % brokers.length]!;
			const {leader: before} = (await broker.snapshot()).raft;
			const startMs = performance.now();
			const leader = await broker.transferLeadership();
			tookMs.push(performance.now() - startMs);
			expect(leader).not.toBe(before);
			expect((await broker.snapshot()).raft.leader).toBe(leader);
		}

		const sorted = tookMs.toSorted((one, other) => one - other);
		console.info(
			`${sorted.length} transfers: median ${sorted[sorted.length >> 1]!.toFixed(1)} ms, worst ${sorted.at(-1)!.toFixed(1)} ms`,
		);
		expect(sorted[sorted.length >> 1]).toBeLessThan(200);
		await Promise.all(brokers.map(broker => broker[Symbol.asyncDispose]()));
	});

	test('not to a node that cannot lead', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(2);
		const [leader, learner] = cluster.nodes as [NodeProcess, NodeProcess];
		expect(await command(cluster, learner, 'leader', 'transfer', String(learner.port))).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('is a learner: only a voter can lead'),
		});
		expect(await command(cluster, leader, 'leader', 'transfer')).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('Expected another voter that can be reached, there is none'),
		});
		await leader.kill('SIGKILL');
		await learner.waitFor(event => event.type === 'quorum' && event['held'] === false, 'the loss of the quorum');
		expect(await command(cluster, learner, 'leader', 'transfer')).toMatchObject({code: 11});
	});
});

describe('a member is removed', () => {
	test('and stops: a follower, the leader, a node that was down', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(5);
		const leader = cluster.leader()!;
		const [follower, away, last, other] = cluster.nodes.filter(node => node !== leader) as [
			NodeProcess,
			NodeProcess,
			NodeProcess,
			NodeProcess,
		];
		// Requested through the node that is removed.
		const removed = await command(cluster, follower, 'peer', 'remove', String(follower.port), '-o', 'json');
		expect(removed).toMatchObject({code: 0, stderr: ''});
		expect(JSON.parse(removed.stdout.toString())).toMatchObject({
			removed: follower.id,
			address: `127.0.0.1:${follower.port}`,
		});
		expect(await follower.exited).toBe(1);
		expect(follower.stderr).toMatch(isRefused);

		await away.kill('SIGKILL');
		expect(await command(cluster, last, 'peer', 'remove', away.id.slice(0, 8))).toMatchObject({code: 0});
		const peers = JSON.parse((await command(cluster, last, 'peers', '-o', 'json')).stdout.toString()) as Array<{
			id: string;
		}>;
		expect(peers.map(({id}) => id).toSorted()).toEqual([leader.id, last.id, other.id].toSorted());
		const back = cluster.start(away.port);
		expect(await back.exited).toBe(1);
		expect(back.stderr).toMatch(isRefused);

		const marks = [last, other].map(node => node.events.length);
		expect(await command(cluster, last, 'peer', 'remove', String(leader.port))).toMatchObject({
			code: 0,
			stderr: '',
		});
		expect(await leader.exited).toBe(1);
		expect(leader.stderr).toMatch(isRefused);
		await Promise.all(
			[last, other].map((node, index) =>
				node.waitFor(event => leads(last.id)(event) || leads(other.id)(event), 'the next leader', marks[index]),
			),
		);
	}, 60_000);

	test('but not if the others would have no quorum, and never the last voter', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(3);
		const leader = cluster.leader()!;
		const [dead, alive] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
		await dead.kill('SIGKILL');
		await leader.waitFor(
			event => event.type === 'member' && event['id'] === dead.id && event['state'] === 'down',
			'the death',
		);
		const refused = await command(cluster, alive, 'peer', 'remove', String(alive.port));
		expect(refused).toMatchObject({
			code: 1,
			stderr: expect.stringMatching(
				/Without \S+ the cluster would have no quorum: of the 2 other voters \S+ cannot be reached/,
			),
		});
		expect(await command(cluster, alive, 'peer', 'remove', String(dead.port))).toMatchObject({code: 0});
		expect(await command(cluster, leader, 'peer', 'remove', String(alive.port))).toMatchObject({code: 0});
		expect(await command(cluster, leader, 'peer', 'remove', String(leader.port))).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('is the only voter: without it there is no cluster'),
		});
	});
});

test('one survivor continues when the quorum is lost permanently, and nodes of the old cluster are refused', async () => {
	const topic = 'kept' as Topic;
	await using cluster = new Cluster({cli, topics: [topic], messages: true});
	await cluster.startAll(3);
	const [one, two, survivor] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	const publisher = await cluster.client(one);
	await publisher.publish(
		topic,
		['before 1', 'before 2'].map(text => Buffer.from(text)),
	);
	await survivor.waitFor(event => event['payload'] === 'before 2', 'what was published');
	await publisher[Symbol.asyncDispose]();
	await Promise.all([one.kill('SIGKILL'), two.kill('SIGKILL')]);
	await survivor.waitFor(event => event.type === 'quorum' && event['held'] === false, 'the loss of the quorum');
	expect(await command(cluster, survivor, 'check')).toMatchObject({code: 11});

	const data = join(cluster.folder, String(survivor.port));
	const recover = (...flags: readonly string[]): Promise<Finished> =>
		run(['recover', '--data', data, '--cluster', cluster.name, '--config', cluster.clientFlags[5]!, ...flags]);
	expect(await recover('--confirm', cluster.name)).toMatchObject({
		code: 1,
		stderr: expect.stringMatching(/is in use by another node \(process \d+\): stop it/),
	});
	await survivor.kill('SIGKILL');
	expect(await recover()).toMatchObject({
		code: 2,
		stderr: expect.stringContaining(`Nothing was changed: without a terminal, expected --confirm ${cluster.name}`),
	});
	expect(await recover('--confirm', 'other')).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('Nothing was changed'),
	});
	const {code, stdout, stderr} = await recover('--confirm', cluster.name, '-o', 'json');
	expect(code).toBe(0);
	for (const {port} of [one, two]) expect(stderr).toMatch(new RegExp(`\\S+ \\(127\\.0\\.0\\.1:${port}, voter\\)`));
	expect(JSON.parse(stdout.toString())).toMatchObject({
		cluster: cluster.name,
		node: survivor.id,
		topics: [topic],
		lost: [one.id, two.id].toSorted(),
	});

	// Not through the first node, as the cluster's own starts do.
	const started = (port: number, ...flags: readonly string[]): NodeProcess => cluster.start(port, flags);
	const alone = started(survivor.port);
	await alone.waitFor(leads(survivor.id), 'the survivor to lead alone');
	const broker = await cluster.client(alone);
	const snapshot = await broker.snapshot();
	expect(snapshot.raft.voters).toEqual([survivor.id]);
	expect(snapshot.members.map(({id}) => id)).toEqual([survivor.id]);
	const texts: string[] = [];
	for await (const deliveries of broker.subscribe([topic], {from: 'beginning'})) {
		texts.push(...deliveries.map(({body}) => Buffer.from(body).toString()));
		if (texts.length >= 2) break;
	}

	expect(texts).toEqual(['before 1', 'before 2']);

	const fresh = (await freePorts(2)).map(port => started(port, '--bootstrap', String(survivor.port)));
	await Promise.all(
		[alone, ...fresh].map(node =>
			node.waitFor(
				event => event.type === 'voters' && (event['voters'] as unknown[]).length === 3,
				'three voters',
			),
		),
	);
	const joined = await Promise.all(fresh.map(node => cluster.client(node)));
	// A message that is published with knowledge of a subscription arrives.
	await sees(joined[0]!, ({topics}) => topics.find(({name}) => name === topic)?.subscribers.length === 3);
	await joined[0]!.publish(topic, [Buffer.from('after')]);
	await Promise.all(
		[alone, ...fresh].map(node =>
			node.waitFor(event => event['payload'] === 'after', 'what was published afterwards'),
		),
	);
	expect(await command(cluster, fresh[1]!, 'check')).toMatchObject({code: 0});

	const former = cluster.start(two.port);
	const refusal = await former.waitFor(
		event =>
			event.type === 'refused' && String(event['reason']).includes('belongs to another cluster of this name'),
		'the refusal',
	);
	expect(refusal['reason']).toContain(two.id);
	const after = await (await cluster.client(former)).snapshot();
	expect(after.raft).toMatchObject({leader: undefined, hasQuorum: false});
	expect((await command(cluster, former, 'check')).stdout.toString()).toContain(
		'If the cluster was recovered without this node, stop it and start it with an empty data folder',
	);
	expect((await broker.snapshot()).members.map(({id}) => id)).not.toContain(two.id as NodeId);
	// The two nodes of the old cluster have its quorum without the survivor.
	const other = cluster.start(one.port);
	for (const node of [former, other]) {
		await node.waitFor(event => event.type === 'quorum' && event['held'] === true, 'the quorum of the old cluster');
		expect(node.events.filter(event => event.type === 'quorum' && event['reachable'] === 3)).toEqual([]);
	}

	await Promise.all([broker, ...joined].map(client => client[Symbol.asyncDispose]()));
}, 90_000);
