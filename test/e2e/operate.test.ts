/**
Operation of a cluster: transfer leadership, remove members, and continue with one survivor after the permanent loss of
the quorum.
*/
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {Cluster, freePorts, untilSeen, type NodeProcess} from '../../bench/cluster.ts';
import type {NodeId, Topic} from '../../core/index.ts';
import {publishTexts, readTexts, withClient} from './support/brokers.ts';
import {cli, jsonAt, run, runAt, type Finished} from './support/command.ts';
import {
	eventCounts,
	hasVoters,
	isLeader,
	isMember,
	isMessage,
	isNewLeader,
	isQuorum,
	isRefused,
	waitForAll,
} from './support/events.ts';

const removedText =
	/The node stopped: this node was removed from the cluster: to join again, start it with an empty data folder/;

describe('a transfer of the leadership', () => {
	test('goes to the given node or to the best one, and the requesting node knows the result at once', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(3);
		const former = cluster.leader()!;
		const [next, third] = cluster.nodes.filter(node => node !== former) as [NodeProcess, NodeProcess];
		const transfer = await runAt(cluster, third, 'leader', 'transfer', String(next.port), '-o', 'json');
		expect(transfer).toMatchObject({code: 0, stderr: ''});
		expect(JSON.parse(transfer.stdout.toString())).toMatchObject({
			leader: next.id,
			address: `127.0.0.1:${next.port}`,
		});
		const again = await runAt(cluster, former, 'leader', 'transfer', next.id.slice(0, 8));
		expect(again).toMatchObject({code: 1, stderr: expect.stringMatching(/Node \S+ leads already/)});
		expect(await runAt(cluster, third, 'leader', 'transfer')).toMatchObject({code: 0});
		expect(await runAt(cluster, third, 'leader', 'transfer', '1')).toMatchObject({
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

	test('is refused when the node cannot lead', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(2);
		const [leader, learner] = cluster.nodes as [NodeProcess, NodeProcess];
		expect(await runAt(cluster, learner, 'leader', 'transfer', String(learner.port))).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('is a learner: only a voter can lead'),
		});
		expect(await runAt(cluster, leader, 'leader', 'transfer')).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('Expected another voter that can be reached, there is none'),
		});
		await leader.kill('SIGKILL');
		await learner.waitFor(isQuorum(false), 'the loss of the quorum');
		expect(await runAt(cluster, learner, 'leader', 'transfer')).toMatchObject({code: 11});
	});
});

describe('removal of a member', () => {
	test('a removed node stops: a follower, the leader, and a node that was down', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(5);
		const leader = cluster.leader()!;
		const [follower, away, last, other] = cluster.nodes.filter(node => node !== leader) as [
			NodeProcess,
			NodeProcess,
			NodeProcess,
			NodeProcess,
		];
		// The removed node itself handles the request.
		const removed = await runAt(cluster, follower, 'peer', 'remove', String(follower.port), '-o', 'json');
		expect(removed).toMatchObject({code: 0, stderr: ''});
		expect(JSON.parse(removed.stdout.toString())).toMatchObject({
			removed: follower.id,
			address: `127.0.0.1:${follower.port}`,
		});
		expect(await follower.exited).toBe(1);
		expect(follower.stderr).toMatch(removedText);

		await away.kill('SIGKILL');
		expect(await runAt(cluster, last, 'peer', 'remove', away.id.slice(0, 8))).toMatchObject({code: 0});
		const peers = await jsonAt<ReadonlyArray<{readonly id: string}>>(cluster, last, 'peers');
		expect(peers.map(({id}) => id).toSorted()).toEqual([leader.id, last.id, other.id].toSorted());
		const back = cluster.start(away.port);
		expect(await back.exited).toBe(1);
		expect(back.stderr).toMatch(removedText);

		const starts = eventCounts([last, other]);
		expect(await runAt(cluster, last, 'peer', 'remove', String(leader.port))).toMatchObject({
			code: 0,
			stderr: '',
		});
		expect(await leader.exited).toBe(1);
		expect(leader.stderr).toMatch(removedText);
		await waitForAll([last, other], isNewLeader(leader), 'the next leader', starts);
	}, 60_000);

	test('is refused if the remaining nodes would have no quorum, and for the last voter', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(3);
		const leader = cluster.leader()!;
		const [crashed, follower] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
		await crashed.kill('SIGKILL');
		await leader.waitFor(isMember(crashed, 'down'), 'the crash');
		const refused = await runAt(cluster, follower, 'peer', 'remove', String(follower.port));
		expect(refused).toMatchObject({
			code: 1,
			stderr: expect.stringMatching(
				/Without \S+ the cluster would have no quorum: of the 2 other voters \S+ cannot be reached/,
			),
		});
		expect(await runAt(cluster, follower, 'peer', 'remove', String(crashed.port))).toMatchObject({code: 0});
		expect(await runAt(cluster, leader, 'peer', 'remove', String(follower.port))).toMatchObject({code: 0});
		expect(await runAt(cluster, leader, 'peer', 'remove', String(leader.port))).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('is the only voter: without it there is no cluster'),
		});
	});
});

test('one survivor continues after the permanent loss of the quorum, and refuses nodes of the old cluster', async () => {
	const topic = 'kept' as Topic;
	await using cluster = new Cluster({cli, topics: [topic], messages: true});
	await cluster.startAll(3);
	const [one, two, survivor] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	await withClient(cluster, one, publisher => publishTexts(publisher, topic, ['before 1', 'before 2']));
	await survivor.waitFor(isMessage('before 2'), 'the messages');
	await Promise.all([one.kill('SIGKILL'), two.kill('SIGKILL')]);
	await survivor.waitFor(isQuorum(false), 'the loss of the quorum');
	expect(await runAt(cluster, survivor, 'check')).toMatchObject({code: 11});

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

	const recovered = cluster.start(survivor.port);
	await recovered.waitFor(isLeader(survivor), 'the leadership of the survivor');
	const broker = await cluster.client(recovered);
	const snapshot = await broker.snapshot();
	expect(snapshot.raft.voters).toEqual([survivor.id]);
	expect(snapshot.members.map(({id}) => id)).toEqual([survivor.id]);
	expect(await readTexts(broker, topic, 2)).toEqual(['before 1', 'before 2']);

	const fresh = (await freePorts(2)).map(port => cluster.start(port, ['--bootstrap', String(survivor.port)]));
	await waitForAll([recovered, ...fresh], hasVoters(3), 'three voters');
	const joined = await Promise.all(fresh.map(node => cluster.client(node)));
	// A subscriber receives a message if the publishing node knows its subscription.
	await untilSeen(
		joined[0]!,
		({topics}) => topics.find(({name}) => name === topic)?.subscribers.length === 3,
		'three subscribers',
	);
	await publishTexts(joined[0]!, topic, ['after']);
	await waitForAll([recovered, ...fresh], isMessage('after'), 'the later message');
	expect(await runAt(cluster, fresh[1]!, 'check')).toMatchObject({code: 0});

	const former = cluster.start(two.port);
	const refusal = await former.waitFor(isRefused(/belongs to another cluster of this name/), 'the refusal');
	expect(refusal['reason']).toContain(two.id);
	const formerSnapshot = await withClient(cluster, former, client => client.snapshot());
	expect(formerSnapshot.raft).toMatchObject({leader: undefined, hasQuorum: false});
	expect((await runAt(cluster, former, 'check')).stdout.toString()).toContain(
		'If the cluster was recovered without this node, stop it and start it with an empty data folder',
	);
	expect((await broker.snapshot()).members.map(({id}) => id)).not.toContain(two.id as NodeId);
	// The two other nodes of the old cluster are a quorum of it without the survivor.
	const other = cluster.start(one.port);
	for (const node of [former, other]) {
		await node.waitFor(isQuorum(true), 'the quorum of the old cluster');
		expect(node.events.filter(event => event.type === 'quorum' && event['reachable'] === 3)).toEqual([]);
	}

	await Promise.all([broker, ...joined].map(client => client[Symbol.asyncDispose]()));
}, 90_000);
