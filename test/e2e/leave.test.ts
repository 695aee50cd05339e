/**
Nodes that leave, as processes: they give up leadership and vote first, the others keep a quorum to the last one, and
the same data folder joins again under a new id.
*/
import {describe, expect, test} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {RecordedEvent} from '../../core/events.ts';
import type {Topic} from '../../core/index.ts';
import {levelOf} from '../../core/observe/levels.ts';
import {cli, run, type Finished} from './support/command.ts';

const topic = 'kept' as Topic;

function command(cluster: Cluster, node: NodeProcess, ...words: readonly string[]): Promise<Finished> {
	return run([...words, ...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`]);
}

/** Warnings of the others about one that left on purpose. */
const warningsAbout = (
	gone: NodeProcess,
	nodes: readonly NodeProcess[],
	marks: readonly number[],
): readonly JsonEvent[] =>
	nodes.flatMap((node, index) =>
		node.events
			.slice(marks[index])
			.filter(
				event =>
					levelOf(event as unknown as RecordedEvent) !== 'info' &&
					event.type !== 'leader' &&
					JSON.stringify(event).includes(gone.id),
			),
	);

/** What others say to one that was removed: no news to a node that left. */
const calledRemoved = (node: NodeProcess): readonly JsonEvent[] =>
	node.events.filter(({type, code, by}) => type === 'refused' && code === 'removed' && by === 'peer');

const votersAre =
	(...nodes: readonly NodeProcess[]) =>
	(event: JsonEvent): boolean =>
		event.type === 'voters' &&
		JSON.stringify(event['voters']) === JSON.stringify(nodes.map(({id}) => id).toSorted());

async function expectHealthy(cluster: Cluster, node: NodeProcess): Promise<void> {
	expect(await command(cluster, node, 'check')).toMatchObject({
		code: 0,
		stdout: expect.objectContaining({}) as Buffer,
		stderr: '',
	});
}

test('leave chooses none of several nodes that run here, and names them', async () => {
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
	// The list of nodes is written after the event.
	await expect.poll(async () => (await refused()).stderr, {timeout: 20_000}).toContain(`(${nodes[1]!.name})`);
	const {code, stderr} = await refused();
	expect(code).toBe(2);
	for (const {node, name} of nodes) expect(stderr).toContain(`127.0.0.1:${node.port} (${name})`);
}, 60_000);

describe('two of three nodes leave one after the other, and the last one still has a quorum', () => {
	test('the leader leaves, then the next leader', async () => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(3);
		const first = cluster.leader()!;
		const rest = cluster.nodes.filter(node => node !== first);
		const marks = rest.map(node => node.events.length);
		const left = await command(cluster, first, 'leave', '-o', 'json');
		expect(left).toMatchObject({code: 0, stderr: ''});
		expect(JSON.parse(left.stdout.toString())).toMatchObject({left: first.id, address: `127.0.0.1:${first.port}`});
		expect(await first.exited).toBe(0);
		expect(first.events.at(-1)).toMatchObject({type: 'stopped', reason: 'left the cluster'});
		expect(calledRemoved(first)).toEqual([]);

		// Two voters would be worse than one: the one that does not lead becomes a learner.
		await Promise.all(
			rest.map((node, index) =>
				node.waitFor(
					event => event.type === 'voters' && (event['voters'] as unknown[]).length === 1,
					'one voter',
					marks[index],
				),
			),
		);
		const second = cluster.leader()!;
		const [last] = rest.filter(node => node !== second) as [NodeProcess];
		await expectHealthy(cluster, last);
		expect(warningsAbout(first, rest, marks)).toEqual([]);

		// The only voter leaves: the learner takes over its vote.
		const mark = last.events.length;
		expect(await command(cluster, second, 'leave')).toMatchObject({code: 0, stderr: ''});
		expect(await second.exited).toBe(0);
		await last.waitFor(votersAre(last), 'the last voter', mark);
		await expectHealthy(cluster, last);
		expect(warningsAbout(second, [last], [mark])).toEqual([]);
		expect(await command(cluster, last, 'leave')).toMatchObject({
			code: 1,
			stderr: expect.stringContaining(
				'This node is the only member of its cluster: there is nothing to leave. Stop it instead',
			) as string,
		});
		expect(last.isRunning).toBe(true);
	}, 60_000);

	test('followers leave on SIGTERM, started with --leave; one joins again under a new id with its old topics', async () => {
		await using cluster = new Cluster({cli, flags: ['--leave'], topics: [topic], messages: true});
		await cluster.startAll(3);
		const leader = cluster.leader()!;
		const [one, two] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
		const formerId = one.id;
		const mark = leader.events.length;
		await one.kill('SIGTERM');
		expect([await one.exited, one.stderr]).toEqual([0, '']);
		await leader.waitFor(votersAre(leader), 'one voter', mark);
		await two.kill('SIGTERM');
		expect([await two.exited, two.stderr]).toEqual([0, '']);
		expect([one, two].flatMap(node => calledRemoved(node))).toEqual([]);
		await leader.waitFor(
			event => event.type === 'member' && event['id'] === two.id && event['state'] === 'left',
			'its removal',
		);
		await expectHealthy(cluster, leader);

		const client = await cluster.client(leader);
		await client.publish(topic, [Buffer.from('while it was away')]);
		// It finds the others by what it kept, without --bootstrap and without --topics.
		const again = cluster.startAlone(one.port);
		await again.waitFor(event => event.type === 'leader' && event['leader'] === leader.id, 'the leader');
		expect(again.id).not.toBe(formerId);
		await leader.waitFor(
			event => event.type === 'subscribed' && event['topic'] === topic && event['node'] === again.id,
			'its old topic',
		);
		await client.publish(topic, [Buffer.from('hello again')]);
		await again.waitFor(event => event['payload'] === 'hello again', 'a message of its old topic');
		expect(again.events.filter(({type}) => type === 'quarantined')).toEqual([]);
		const {members} = await client.snapshot();
		expect(members.map(({id}) => id)).toEqual([leader.id, again.id].toSorted());
		await client[Symbol.asyncDispose]();
	}, 60_000);
});

test('a learner that leaves is removed from the members of every node, and the cluster is healthy without it', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(4);
	const peers = async (node: NodeProcess): Promise<ReadonlyArray<{readonly id: string; readonly voter: boolean}>> =>
		JSON.parse((await command(cluster, node, 'peers', '-o', 'json')).stdout.toString()) as [];
	const learners = async (): Promise<readonly string[]> =>
		(await peers(cluster.nodes[0]!)).filter(({voter}) => !voter).map(({id}) => id);
	await expect
		.poll(async () => [(await peers(cluster.nodes[0]!)).length, (await learners()).length], {timeout: 20_000})
		.toEqual([4, 1]);
	const [learner] = await learners();
	const leaving = cluster.nodes.find(({id}) => id === learner)!;
	const rest = cluster.nodes.filter(node => node !== leaving);
	expect(await command(cluster, leaving, 'leave')).toMatchObject({code: 0, stderr: ''});
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

test('a node does not leave without a quorum, or if the others would have none; it reports that, stops and stays a member', async () => {
	await using cluster = new Cluster({cli, flags: ['--leave']});
	await cluster.startAll(3);
	const leader = cluster.leader()!;
	const [dead, alive] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
	await dead.kill('SIGKILL');
	await leader.waitFor(
		event => event.type === 'member' && event['id'] === dead.id && event['state'] === 'down',
		'the crash',
	);
	expect(await command(cluster, alive, 'leave')).toMatchObject({
		code: 1,
		stderr: expect.stringContaining('would have no quorum') as string,
	});
	await alive.kill('SIGTERM');
	expect([await alive.exited, alive.stderr]).toEqual([
		0,
		expect.stringMatching(/^The node could not leave; it stops and stays a member: .*would have no quorum/),
	]);
	await leader.waitFor(event => event.type === 'quorum' && event['held'] === false, 'the loss of the quorum');
	expect(await command(cluster, leader, 'leave')).toMatchObject({
		code: 11,
		stderr: expect.stringContaining(
			'This node cannot leave: no quorum: 1 of 3 voters reachable. Start the missing voters',
		) as string,
	});
	const back = cluster.start(alive.port, []);
	await back.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'the leader');
	expect(back.id).toBe(alive.id);
}, 60_000);

test('a headless node prints the cost of its stop on stderr', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const leader = cluster.leader()!;
	const [one, two] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
	await one.kill('SIGTERM');
	expect([await one.exited, one.stderr]).toEqual([
		0,
		'Stopping this node leaves 2 of 3 voters: no other voter may fail until it is back\n',
	]);
	await two.waitFor(
		event => event.type === 'member' && event['id'] === one.id && event['state'] === 'left',
		'its stop',
	);
	await two.kill('SIGTERM');
	expect([await two.exited, two.stderr]).toEqual([
		0,
		'Stopping this node leaves 1 of 3 voters: no quorum until it is back\n',
	]);
});

describe('replacement of nodes by empty ones', () => {
	test('one after the other: the new nodes have all earlier messages, also those of the replaced nodes', async () => {
		await using cluster = new Cluster({cli, topics: [topic], messages: true});
		await cluster.startAll(3);
		const bodies = cluster.nodes.map(({port}) => `from ${port}`);
		for (const [index, node] of cluster.nodes.entries())
			expect(await command(cluster, node, 'publish', topic, bodies[index]!)).toMatchObject({code: 0});
		const has = (node: NodeProcess): Promise<unknown> =>
			Promise.all(
				bodies.map(body => node.waitFor(event => event.type === 'message' && event['payload'] === body, body)),
			);
		await Promise.all(cluster.nodes.map(node => has(node)));
		let nodes = [...cluster.nodes];
		for (const old of nodes) {
			const [seed, other] = nodes.filter(node => node !== old) as [NodeProcess, NodeProcess];
			expect(await command(cluster, old, 'leave')).toMatchObject({code: 0});
			await old.exited;
			const fresh = cluster.startAlone(
				old.port,
				['--bootstrap', `${seed.port},${other.port}`],
				`fresh${old.port}`,
			);
			await has(fresh);
			nodes = [seed, other, fresh];
		}
	}, 90_000);
});
