/**
Node processes that leave their cluster: a node first hands over its leadership and its vote, the remaining nodes keep a
quorum down to the last one, and the same data folder joins again under a new id.
*/
import {describe, expect, test} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {RecordedEvent} from '../../core/events.ts';
import type {Topic} from '../../core/index.ts';
import {levelOf} from '../../core/observe/levels.ts';
import {cli, jsonAt, run, runAt, type Finished} from './support/command.ts';
import {
	eventCounts,
	hasLeader,
	hasVoters,
	isLeader,
	isMember,
	isMessage,
	isQuorum,
	isSubscribed,
	waitForAll,
} from './support/events.ts';

const topic = 'kept' as Topic;

/** Warnings and errors of the nodes about a node that left on purpose. */
const warningsAbout = (
	left: NodeProcess,
	nodes: readonly NodeProcess[],
	starts: readonly number[],
): readonly JsonEvent[] =>
	nodes.flatMap((node, index) =>
		node.events
			.slice(starts[index])
			.filter(
				event =>
					levelOf(event as unknown as RecordedEvent) !== 'info' &&
					event.type !== 'leader' &&
					JSON.stringify(event).includes(left.id),
			),
	);

/** Refusals by peers because the node is removed: a node that left must not get one. */
const removalRefusals = (node: NodeProcess): readonly JsonEvent[] =>
	node.events.filter(({type, code, by}) => type === 'refused' && code === 'removed' && by === 'peer');

const isVoters =
	(...nodes: readonly NodeProcess[]) =>
	(event: JsonEvent): boolean =>
		event.type === 'voters' &&
		JSON.stringify(event['voters']) === JSON.stringify(nodes.map(({id}) => id).toSorted());

async function expectHealthy(cluster: Cluster, node: NodeProcess): Promise<void> {
	const {code, stdout, stderr} = await runAt(cluster, node, 'check');
	expect([code, stdout.toString(), stderr]).toEqual([0, expect.stringMatching(/^healthy: cluster /), '']);
}

test('leave needs --server when several nodes run on this machine, and names these nodes', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(2);
	const nodes = await Promise.all(
		cluster.nodes.map(async node => ({
			node,
			name: String(
				(await node.waitFor(event => event.type === 'named' && event['id'] === node.id, 'a name'))['name'],
			),
		})),
	);
	const refused = (): Promise<Finished> => run(['leave', ...cluster.clientFlags], {env: cluster.env});
	// A node writes itself into the list of running nodes after the event.
	await expect.poll(async () => (await refused()).stderr, {timeout: 20_000}).toContain(`(${nodes[1]!.name})`);
	const {code, stderr} = await refused();
	expect(code).toBe(2);
	for (const {node, name} of nodes) expect(stderr).toContain(`127.0.0.1:${node.port} (${name})`);
}, 60_000);

describe('two of three nodes leave in turn, and the last node has a quorum', () => {
	test('the leader leaves, then its successor', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(3);
		const first = cluster.leader()!;
		const rest = cluster.nodes.filter(node => node !== first);
		const starts = eventCounts(rest);
		const left = await runAt(cluster, first, 'leave', '-o', 'json');
		expect(left).toMatchObject({code: 0, stderr: ''});
		expect(JSON.parse(left.stdout.toString())).toMatchObject({left: first.id, address: `127.0.0.1:${first.port}`});
		expect(await first.exited).toBe(0);
		expect(first.events.at(-1)).toMatchObject({type: 'stopped', reason: 'left the cluster'});
		expect(removalRefusals(first)).toEqual([]);

		// Two voters tolerate no failure, as one voter, and fail more often: the follower becomes a learner.
		await waitForAll(rest, hasVoters(1), 'one voter', starts);
		const second = cluster.leader()!;
		const [last] = rest.filter(node => node !== second) as [NodeProcess];
		await expectHealthy(cluster, last);
		expect(warningsAbout(first, rest, starts)).toEqual([]);

		// The only voter leaves: the learner takes over its vote.
		const start = last.events.length;
		expect(await runAt(cluster, second, 'leave')).toMatchObject({code: 0, stderr: ''});
		expect(await second.exited).toBe(0);
		await last.waitFor(isVoters(last), 'the last voter', start);
		await expectHealthy(cluster, last);
		expect(warningsAbout(second, [last], [start])).toEqual([]);
		expect(await runAt(cluster, last, 'leave')).toMatchObject({
			code: 1,
			stderr: expect.stringContaining(
				'This node is the only member of its cluster: there is nothing to leave. Stop it instead',
			) as string,
		});
		expect(last.isRunning).toBe(true);
	}, 60_000);

	test('followers started with --leave leave on SIGTERM; one joins again under a new id with its former topics', async () => {
		await using cluster = new Cluster({cli, flags: ['--leave'], topics: [topic], messages: true});
		await cluster.startAll(3);
		const leader = cluster.leader()!;
		const [one, two] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
		const formerId = one.id;
		const start = leader.events.length;
		await one.kill('SIGTERM');
		expect([await one.exited, one.stderr]).toEqual([0, '']);
		await leader.waitFor(isVoters(leader), 'one voter', start);
		await two.kill('SIGTERM');
		expect([await two.exited, two.stderr]).toEqual([0, '']);
		expect([one, two].flatMap(node => removalRefusals(node))).toEqual([]);
		await leader.waitFor(isMember(two, 'left'), 'its removal');
		await expectHealthy(cluster, leader);

		const client = await cluster.client(leader);
		await client.publish(topic, [Buffer.from('while it was away')]);
		// Its data folder has the addresses of the members, and its topics: it needs neither --bootstrap nor --topics.
		const again = cluster.startAlone(one.port);
		await again.waitFor(isLeader(leader), 'the leader');
		expect(again.id).not.toBe(formerId);
		await leader.waitFor(isSubscribed(again, topic), 'its former topic');
		await client.publish(topic, [Buffer.from('hello again')]);
		await again.waitFor(isMessage('hello again'), 'a message of its former topic');
		expect(again.events.filter(({type}) => type === 'quarantined')).toEqual([]);
		const {members} = await client.snapshot();
		expect(members.map(({id}) => id)).toEqual([leader.id, again.id].toSorted());
		await client[Symbol.asyncDispose]();
	}, 60_000);
});

test('when a learner leaves, every node removes it from the members, and the cluster is healthy', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(4);
	const peers = (node: NodeProcess): Promise<ReadonlyArray<{readonly id: string; readonly voter: boolean}>> =>
		jsonAt(cluster, node, 'peers');
	const learners = async (): Promise<readonly string[]> =>
		(await peers(cluster.nodes[0]!)).filter(({voter}) => !voter).map(({id}) => id);
	await expect
		.poll(async () => [(await peers(cluster.nodes[0]!)).length, (await learners()).length], {timeout: 20_000})
		.toEqual([4, 1]);
	const [learner] = await learners();
	const leaving = cluster.nodes.find(({id}) => id === learner)!;
	const rest = cluster.nodes.filter(node => node !== leaving);
	expect(await runAt(cluster, leaving, 'leave')).toMatchObject({code: 0, stderr: ''});
	expect(await leaving.exited).toBe(0);
	await Promise.all(
		rest.map(async node => {
			await expect
				.poll(async () => (await peers(node)).map(({id}) => id), {timeout: 20_000})
				.toEqual(rest.map(({id}) => id).toSorted());
			await expectHealthy(cluster, node);
		}),
	);
}, 60_000);

test('leave is refused without a quorum, or if the remaining nodes would have none; SIGTERM then stops the node, which stays a member', async () => {
	await using cluster = new Cluster({cli, flags: ['--leave']});
	await cluster.startAll(3);
	const leader = cluster.leader()!;
	const [crashed, follower] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
	await crashed.kill('SIGKILL');
	await leader.waitFor(isMember(crashed, 'down'), 'the crash');
	expect(await runAt(cluster, follower, 'leave')).toMatchObject({
		code: 1,
		stderr: expect.stringContaining('would have no quorum') as string,
	});
	await follower.kill('SIGTERM');
	expect([await follower.exited, follower.stderr]).toEqual([
		0,
		expect.stringMatching(/^The node could not leave; it stops and stays a member: .*would have no quorum/),
	]);
	await leader.waitFor(isQuorum(false), 'the loss of the quorum');
	expect(await runAt(cluster, leader, 'leave')).toMatchObject({
		code: 11,
		stderr: expect.stringContaining(
			'This node cannot leave: no quorum: 1 of 3 voters reachable. Start the missing voters',
		) as string,
	});
	const back = cluster.start(follower.port, []);
	await back.waitFor(hasLeader, 'the leader');
	expect(back.id).toBe(follower.id);
}, 60_000);

test('a headless node that stops prints the effect on the quorum on stderr', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const leader = cluster.leader()!;
	const [one, two] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
	await one.kill('SIGTERM');
	expect([await one.exited, one.stderr]).toEqual([
		0,
		'Stopping this node leaves 2 of 3 voters: no other voter may fail until it is back\n',
	]);
	await two.waitFor(isMember(one, 'left'), 'its stop');
	await two.kill('SIGTERM');
	expect([await two.exited, two.stderr]).toEqual([
		0,
		'Stopping this node leaves 1 of 3 voters: no quorum until it is back\n',
	]);
});

describe('replacement of nodes', () => {
	test('empty nodes that replace all nodes in turn get all earlier messages, also those of the replaced nodes', async () => {
		await using cluster = new Cluster({cli, topics: [topic], messages: true});
		await cluster.startAll(3);
		const bodies = cluster.nodes.map(({port}) => `from ${port}`);
		for (const [index, node] of cluster.nodes.entries())
			expect(await runAt(cluster, node, 'publish', topic, bodies[index]!)).toMatchObject({code: 0});
		const receivesAll = (node: NodeProcess): Promise<unknown> =>
			Promise.all(bodies.map(body => node.waitFor(isMessage(body), body)));
		await Promise.all(cluster.nodes.map(node => receivesAll(node)));
		let nodes = [...cluster.nodes];
		for (const old of nodes) {
			const [seed, other] = nodes.filter(node => node !== old) as [NodeProcess, NodeProcess];
			expect(await runAt(cluster, old, 'leave')).toMatchObject({code: 0});
			expect(await old.exited).toBe(0);
			const fresh = cluster.startAlone(
				old.port,
				['--bootstrap', `${seed.port},${other.port}`],
				`fresh${old.port}`,
			);
			await receivesAll(fresh);
			nodes = [seed, other, fresh];
		}
	}, 90_000);
});
