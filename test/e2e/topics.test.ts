/** Three real nodes: topics are created with their own retention, and deleted. */
import {expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import type {Broker, Topic} from '../../core/index.ts';
import type {TopicSnapshot} from '../../core/snapshot.ts';
import {cli, run, type Finished} from './support/command.ts';

const orders = 'orders' as Topic;
type Nodes = [NodeProcess, NodeProcess, NodeProcess];

const at = (cluster: Cluster, node: NodeProcess, ...words: readonly string[]): Promise<Finished> =>
	run([...words, ...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`]);

async function withClient<Value>(
	cluster: Cluster,
	node: NodeProcess,
	work: (broker: Broker) => Promise<Value>,
): Promise<Value> {
	await using broker = await cluster.client(node);
	return await work(broker);
}

const topicAt = (cluster: Cluster, node: NodeProcess, name = orders): Promise<TopicSnapshot | undefined> =>
	withClient(cluster, node, async broker => (await broker.snapshot()).topics.find(topic => topic.name === name));
const messagesAt = async (cluster: Cluster, node: NodeProcess): Promise<number> =>
	(await topicAt(cluster, node))?.messages ?? 0;
const publish = (cluster: Cluster, node: NodeProcess, texts: readonly string[]): Promise<unknown> =>
	withClient(cluster, node, broker =>
		broker.publish(
			orders,
			texts.map(text => Buffer.from(text)),
		),
	);

/** The first messages of the topic that a node gives from the beginning. */
async function textsAt(cluster: Cluster, node: NodeProcess, count: number): Promise<string[]> {
	return withClient(cluster, node, async broker => {
		const texts: string[] = [];
		await using subscription = broker.subscribe([orders], {from: 'beginning'});
		for await (const deliveries of subscription) {
			texts.push(...deliveries.map(({body}) => Buffer.from(body).toString()));
			if (texts.length >= count) break;
		}

		return texts;
	});
}

test('a created topic stays, is the same on all nodes, also after a restart, and its retention holds on each of them (case 14)', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as Nodes;
	const created = await at(
		cluster,
		first,
		'topic',
		'create',
		orders,
		'--retain-age',
		'2s',
		'--retain-bytes',
		'1m',
		'-o',
		'json',
	);
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
	expect(
		JSON.parse(
			(
				await at(
					cluster,
					second,
					'topic',
					'create',
					orders,
					'--retain-age',
					'2s',
					'--retain-bytes',
					'1m',
					'-o',
					'json',
				)
			).stdout.toString(),
		),
	).toMatchObject({change: 'unchanged'});
	const refused = await at(cluster, second, 'topic', 'create', orders, '--retain-age', '1h');
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
	const changed = await at(cluster, third, 'topic', 'create', orders, '--retain-age', '1h', '--update');
	expect([changed.code, changed.stdout.toString()]).toEqual([
		0,
		'topic orders is changed: each node keeps 1 h, 256 MiB\n',
	]);
	await first.kill('SIGKILL');
	const again = cluster.startAlone(first.port);
	await again.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
	await expect
		.poll(() => topicAt(cluster, again), {timeout: 20_000})
		.toMatchObject({
			created: true,
			settings: {retainAgeS: 3600},
			retention: {retainAgeS: 3600, retainBytes: 268_435_456},
		});
	// Two names of one command.
	const [list, view] = await Promise.all([
		at(cluster, second, 'topic', 'list', '-o', 'json'),
		at(cluster, second, 'topics', '-o', 'json'),
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

test('delete names the subscribers first, removes the messages everywhere, and a new topic of the same name is empty (case 14)', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second] = cluster.nodes as Nodes;
	for (const node of cluster.nodes) await withClient(cluster, node, broker => broker.subscribeNode(orders));
	for (const node of cluster.nodes) await publish(cluster, node, ['old', 'old', 'old']);
	for (const node of cluster.nodes) await expect.poll(() => messagesAt(cluster, node), {timeout: 20_000}).toBe(9);
	await using client = await cluster.client(first);
	await using reading = client.subscribe([orders]);
	await reading.agreed;
	const refused = await at(cluster, second, 'topic', 'delete', orders, '--yes');
	expect([refused.code, refused.stderr]).toEqual([
		1,
		expect.stringMatching(
			/has subscribers: \S+, \S+, \S+\. Let them unsubscribe, or delete it nonetheless with --force/,
		),
	]);
	// Without a terminal there is no prompt.
	expect(await at(cluster, second, 'topic', 'delete', orders)).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('--yes') as string,
	});
	const deleted = await at(cluster, second, 'topic', 'delete', orders, '--yes', '--force', '-o', 'json');
	expect([deleted.code, JSON.parse(deleted.stdout.toString())]).toEqual([
		0,
		{deleted: orders, messages: 9, missing: []},
	]);
	for (const node of cluster.nodes) {
		// oxlint-disable no-await-in-loop
		await node.waitFor(
			event =>
				event.type === 'deleted' &&
				event['topic'] === orders &&
				event['reason'] === 'topic' &&
				event['messages'] === 9,
			'the deletion of its messages',
		);
		// A current reader continues, so the topic exists again at once, and is empty.
		await expect
			.poll(() => topicAt(cluster, node), {timeout: 20_000})
			.toMatchObject({messages: 0, subscribers: [first.id]});
		// oxlint-enable no-await-in-loop
	}

	const unknown = await at(cluster, first, 'topic', 'delete', 'ordres', '--yes', '--force');
	const mistyped = await at(cluster, first, 'topic', 'create', 'ordres', '--retain-age', '1h', '--update');
	expect([mistyped.code, mistyped.stderr]).toEqual([
		2,
		expect.stringContaining('got "ordres": no member has it. Without --update it is created'),
	]);
	expect(await topicAt(cluster, first, 'ordres' as Topic)).toBeUndefined();
	expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('got "ordres": no member has it')]);
	for (const node of cluster.nodes) await publish(cluster, node, ['new']);
	for (const node of cluster.nodes) expect(await textsAt(cluster, node, 3)).toEqual(['new', 'new', 'new']);
	// A reader of that time continues with all messages after the deletion.
	const later: string[] = [];
	for await (const deliveries of reading) {
		later.push(...deliveries.map(({body}) => Buffer.from(body).toString()));
		if (later.length >= 3) break;
	}

	expect([later, reading.dropped]).toEqual([['new', 'new', 'new'], 0]);
}, 120_000);

test('a topic that only a missing node holds is deleted with --force, and the refusal names that node (case 14)', async () => {
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
	const refused = await at(cluster, first, 'topic', 'delete', orders, '--yes');
	expect([refused.code, refused.stderr]).toEqual([
		2,
		expect.stringContaining(
			`no member that can be reached has it. Away is ${name}, which may have it: to delete it there too, use --force`,
		),
	]);
	const deleted = await at(cluster, first, 'topic', 'delete', orders, '--yes', '--force', '-o', 'json');
	expect([deleted.code, JSON.parse(deleted.stdout.toString())]).toEqual([
		0,
		{deleted: orders, messages: 0, missing: [third.id]},
	]);
	const again = cluster.startAlone(third.port);
	await again.waitFor(
		event => event.type === 'deleted' && event['reason'] === 'topic' && event['messages'] === 2,
		'the deletion of its messages',
	);
}, 120_000);

test('a node that was down restores nothing of a deleted topic, neither its own messages nor those of others (case 14)', async () => {
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
	const deleted = await at(cluster, first, 'topic', 'delete', orders, '--yes', '--force', '-o', 'json');
	expect([deleted.code, JSON.parse(deleted.stdout.toString())]).toEqual([
		0,
		{deleted: orders, messages: 50, missing: [third.id]},
	]);
	await withClient(cluster, first, broker => broker.subscribeNode(orders));
	await publish(cluster, second, ['new']);
	const again = cluster.startAlone(third.port);
	await again.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
	await again.waitFor(
		event => event.type === 'deleted' && event['reason'] === 'topic' && event['messages'] === 50,
		'the deletion of its messages',
	);
	await publish(cluster, again, ['newer']);
	for (const node of [first, again]) expect((await textsAt(cluster, node, 2)).toSorted()).toEqual(['new', 'newer']);
	// Its own subscription ended with the topic.
	await expect.poll(async () => (await topicAt(cluster, again))?.subscribers, {timeout: 20_000}).toEqual([first.id]);
}, 120_000);

test('a topic is deleted repeatedly during publishing: a reader at another node gets every message, or a report of its loss (case 14)', async () => {
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
		if (deletedAt.has(round)) work.push(operator.deleteTopic(orders, {force: true}).catch(() => undefined));
		await Promise.all(batches);
	}

	await Promise.all(work);
	await publisher.publish(orders, [Buffer.from('last')]);
	let read = 0;
	for await (const deliveries of reading) {
		read += deliveries.length;
		if (deliveries.some(({body}) => Buffer.from(body).toString() === 'last')) break;
	}

	expect(read - 1 + reading.dropped).toBe(80 * 10 * 20);
}, 120_000);

test('a reader from `now` gets no earlier message, also at a node without a subscription', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second] = cluster.nodes as Nodes;
	await using publisher = await cluster.client(first);
	// Each batch gets a later stamp. Without subscribers no other node sees these stamps.
	for (let round = 0; round < 200; round++) await publisher.publish(orders, [Buffer.from('before')]);
	await using reader = await cluster.client(second);
	await using reading = reader.subscribe([orders]);
	await reading.agreed;
	await publisher.publish(orders, [Buffer.from('after')]);
	const [delivered] = await reading[Symbol.asyncIterator]()
		.next()
		.then(({value}) => value as ReadonlyArray<{readonly body: Uint8Array}>);
	expect(Buffer.from(delivered!.body).toString()).toBe('after');
}, 60_000);
