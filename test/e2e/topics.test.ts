/** Creation of topics with their own retention, and deletion of topics, at three nodes. */
import {expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import type {TopicSnapshot} from '../../core/snapshot.ts';
import {publishTexts, readTexts, withClient} from './support/brokers.ts';
import {cli, runAt} from './support/command.ts';
import {hasLeader, type EventPredicate} from './support/events.ts';

const orders = 'orders' as Topic;
type Nodes = [NodeProcess, NodeProcess, NodeProcess];

const topicAt = (cluster: Cluster, node: NodeProcess, name = orders): Promise<TopicSnapshot | undefined> =>
	withClient(cluster, node, async broker => (await broker.snapshot()).topics.find(topic => topic.name === name));
const messagesAt = async (cluster: Cluster, node: NodeProcess): Promise<number> =>
	(await topicAt(cluster, node))?.messages ?? 0;
const publish = (cluster: Cluster, node: NodeProcess, texts: readonly string[]): Promise<unknown> =>
	withClient(cluster, node, broker => publishTexts(broker, orders, texts));
/** The first messages after a deletion. */
const textsAt = (cluster: Cluster, node: NodeProcess, count: number): Promise<string[]> =>
	withClient(cluster, node, broker => readTexts(broker, orders, count, false));
/** The node deleted this number of messages with the topic. */
const isDeletion =
	(count: number): EventPredicate =>
	({type, topic, reason, messages}) =>
		type === 'deleted' && topic === orders && reason === 'topic' && messages === count;

test('a created topic has the same settings on all nodes, also after a restart, and each node applies its retention', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as Nodes;
	const create = ['topic', 'create', orders, '--retain-age', '2s', '--retain-bytes', '1m', '-o', 'json'];
	const created = await runAt(cluster, first, ...create);
	expect([created.code, JSON.parse(created.stdout.toString())]).toEqual([
		0,
		{
			topic: orders,
			change: 'created',
			settings: {retainAgeS: 2, retainBytes: 1_048_576},
			retention: {retainAgeS: 2, retainBytes: 1_048_576},
		},
	]);
	// The same settings are accepted again; another retention needs --update.
	expect(JSON.parse((await runAt(cluster, second, ...create)).stdout.toString())).toMatchObject({
		change: 'unchanged',
	});
	const refused = await runAt(cluster, second, 'topic', 'create', orders, '--retain-age', '1h');
	expect([refused.code, refused.stderr]).toEqual([
		1,
		expect.stringMatching(
			/exists and keeps 2 s, 1\.0 MiB: to keep 1 h instead, use --update; settings that are not named \(--retain-bytes\) return/,
		),
	]);
	for (const node of cluster.nodes)
		await expect
			.poll(() => topicAt(cluster, node), {timeout: 20_000})
			.toMatchObject({
				created: true,
				subscribers: [],
				messages: 0,
				retention: {retainAgeS: 2, retainBytes: 1_048_576},
			});
	for (const node of cluster.nodes) await withClient(cluster, node, broker => broker.subscribeNode(orders));
	await publish(cluster, first, ['a', 'b', 'c']);
	// Retention runs every ten seconds.
	for (const node of cluster.nodes) await expect.poll(() => messagesAt(cluster, node), {timeout: 40_000}).toBe(0);
	const changed = await runAt(cluster, third, 'topic', 'create', orders, '--retain-age', '1h', '--update');
	expect([changed.code, changed.stdout.toString()]).toEqual([
		0,
		'topic orders is changed: each node keeps 1 h, 256 MiB\n',
	]);
	await first.kill('SIGKILL');
	const again = cluster.startAlone(first.port);
	await again.waitFor(hasLeader, 'a leader');
	await expect
		.poll(() => topicAt(cluster, again), {timeout: 20_000})
		.toMatchObject({
			created: true,
			settings: {retainAgeS: 3600},
			retention: {retainAgeS: 3600, retainBytes: 268_435_456},
		});
	// `topic list` and `topics` are the same command.
	const [list, view] = await Promise.all([
		runAt(cluster, second, 'topic', 'list', '-o', 'json'),
		runAt(cluster, second, 'topics', '-o', 'json'),
	]);
	expect(JSON.parse(list.stdout.toString())).toEqual(JSON.parse(view.stdout.toString()));
	expect(JSON.parse(list.stdout.toString())).toMatchObject([
		{
			name: orders,
			created: true,
			messages: 0,
			settings: {retainAgeS: 3600},
			retention: {retainAgeS: 3600, retainBytes: 268_435_456},
		},
	]);
}, 120_000);

test('topic delete names the subscribers first and removes the messages on all nodes; a new topic with the same name is empty', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second] = cluster.nodes as Nodes;
	for (const node of cluster.nodes) await withClient(cluster, node, broker => broker.subscribeNode(orders));
	for (const node of cluster.nodes) await publish(cluster, node, ['old', 'old', 'old']);
	for (const node of cluster.nodes) await expect.poll(() => messagesAt(cluster, node), {timeout: 20_000}).toBe(9);
	await using client = await cluster.client(first);
	await using reading = client.subscribe([orders]);
	await reading.agreed;
	const refused = await runAt(cluster, second, 'topic', 'delete', orders, '--yes');
	expect([refused.code, refused.stderr]).toEqual([
		1,
		expect.stringMatching(
			/has subscribers: \S+, \S+, \S+\. Let them unsubscribe, or delete it nonetheless with --force/,
		),
	]);
	// Without a terminal there is no prompt.
	expect(await runAt(cluster, second, 'topic', 'delete', orders)).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('--yes') as string,
	});
	const deleted = await runAt(cluster, second, 'topic', 'delete', orders, '--yes', '--force', '-o', 'json');
	expect([deleted.code, JSON.parse(deleted.stdout.toString())]).toEqual([
		0,
		{deleted: orders, messages: 9, missing: []},
	]);
	for (const node of cluster.nodes) {
		await node.waitFor(isDeletion(9), 'the deletion of its messages');
		// A current reader continues, so the topic exists again at once, and is empty.
		await expect
			.poll(() => topicAt(cluster, node), {timeout: 20_000})
			.toMatchObject({messages: 0, subscribers: [first.id]});
	}

	const unknown = await runAt(cluster, first, 'topic', 'delete', 'ordres', '--yes', '--force');
	const mistyped = await runAt(cluster, first, 'topic', 'create', 'ordres', '--retain-age', '1h', '--update');
	expect([mistyped.code, mistyped.stderr]).toEqual([
		2,
		expect.stringContaining('got "ordres": no member has it. Without --update it is created'),
	]);
	expect(await topicAt(cluster, first, 'ordres' as Topic)).toBeUndefined();
	expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('got "ordres": no member has it')]);
	for (const node of cluster.nodes) await publish(cluster, node, ['new']);
	for (const node of cluster.nodes) expect(await textsAt(cluster, node, 3)).toEqual(['new', 'new', 'new']);
	// A reader from before the deletion continues with all messages after it.
	const later: string[] = [];
	for await (const deliveries of reading) {
		later.push(...deliveries.map(({body}) => Buffer.from(body).toString()));
		if (later.length >= 3) break;
	}

	expect([later, reading.dropped]).toEqual([['new', 'new', 'new'], 0]);
}, 120_000);

test('a topic whose messages only an unreachable node has is deleted with --force, and the refusal names that node', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, , third] = cluster.nodes as Nodes;
	await publish(cluster, third, ['old', 'old']);
	const name = await withClient(
		cluster,
		first,
		async broker => (await broker.snapshot()).members.find(({id}) => id === third.id)?.name,
	);
	await third.kill('SIGKILL');
	const refused = await runAt(cluster, first, 'topic', 'delete', orders, '--yes');
	expect([refused.code, refused.stderr]).toEqual([
		2,
		expect.stringContaining(
			`no member that can be reached has it. Away is ${name}, which may have it: to delete it there too, use --force`,
		),
	]);
	const deleted = await runAt(cluster, first, 'topic', 'delete', orders, '--yes', '--force', '-o', 'json');
	expect([deleted.code, JSON.parse(deleted.stdout.toString())]).toEqual([
		0,
		{deleted: orders, messages: 0, missing: [third.id]},
	]);
	const again = cluster.startAlone(third.port);
	await again.waitFor(isDeletion(2), 'the deletion of its messages');
}, 120_000);

test('a node that was down during a deletion restores no message of the topic, neither its own nor those of others', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as Nodes;
	for (const node of [second, third]) await withClient(cluster, node, broker => broker.subscribeNode(orders));
	await publish(
		cluster,
		third,
		Array.from({length: 50}, () => 'old'),
	);
	await expect.poll(() => messagesAt(cluster, second), {timeout: 20_000}).toBe(50);
	await third.kill('SIGKILL');
	// No other node knows the stamps of the last messages of the absent node.
	const deleted = await runAt(cluster, first, 'topic', 'delete', orders, '--yes', '--force', '-o', 'json');
	expect([deleted.code, JSON.parse(deleted.stdout.toString())]).toEqual([
		0,
		{deleted: orders, messages: 50, missing: [third.id]},
	]);
	await withClient(cluster, first, broker => broker.subscribeNode(orders));
	await publish(cluster, second, ['new']);
	const again = cluster.startAlone(third.port);
	await again.waitFor(hasLeader, 'a leader');
	await again.waitFor(isDeletion(50), 'the deletion of its messages');
	await publish(cluster, again, ['newer']);
	for (const node of [first, again]) expect((await textsAt(cluster, node, 2)).toSorted()).toEqual(['new', 'newer']);
	// Its own subscription ended with the topic.
	await expect.poll(async () => (await topicAt(cluster, again))?.subscribers, {timeout: 20_000}).toEqual([first.id]);
}, 120_000);

test('when a topic is deleted repeatedly during publishing, a reader at another node gets every message, or a report of its loss', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as Nodes;
	await using reader = await cluster.client(second);
	await using publisher = await cluster.client(third);
	await using operator = await cluster.client(first);
	await using reading = reader.subscribe([orders]);
	await reading.agreed;
	const deletedAt = new Set([20, 40, 60]);
	const work: Array<Promise<unknown>> = [];
	for (let round = 0; round < 80; round++) {
		const batches = Array.from({length: 10}, () =>
			publisher.publish(
				orders,
				Array.from({length: 20}, () => Buffer.from('one of many')),
			),
		);
		if (deletedAt.has(round)) work.push(operator.deleteTopic(orders, {force: true}));
		await Promise.all(batches);
	}

	expect(await Promise.all(work)).toHaveLength(deletedAt.size);
	await publishTexts(publisher, orders, ['last']);
	let read = 0;
	for await (const deliveries of reading) {
		read += deliveries.length;
		if (deliveries.some(({body}) => Buffer.from(body).toString() === 'last')) break;
	}

	expect(read - 1 + reading.dropped).toBe(80 * 10 * 20);
}, 120_000);

test('a reader from `now` gets no earlier message, also if its node had no subscription', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second] = cluster.nodes as Nodes;
	await using publisher = await cluster.client(first);
	// Each batch gets a later Lamport time, which no other node knows without subscribers.
	for (let round = 0; round < 200; round++) await publishTexts(publisher, orders, ['before']);
	await using reader = await cluster.client(second);
	await using reading = reader.subscribe([orders]);
	await reading.agreed;
	await publishTexts(publisher, orders, ['after']);
	const {value} = await reading[Symbol.asyncIterator]().next();
	const deliveries = value as ReadonlyArray<{readonly body: Uint8Array}>;
	expect(deliveries.map(({body}) => Buffer.from(body).toString())).toEqual(['after']);
}, 60_000);
