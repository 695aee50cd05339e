/** Messages of many starts of a node: a node that joins later, or returns, gets all of them. */
import {expect, test} from 'vitest';
import {Cluster, freePorts, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';

const starts = 5;

async function bodiesOf(cluster: Cluster, node: NodeProcess, count: number): Promise<string[]> {
	await using reader = await cluster.client(node);
	const bodies: string[] = [];
	for await (const deliveries of reader.subscribe(['news'], {from: 'beginning'})) {
		bodies.push(...deliveries.map(({body}) => Buffer.from(body).toString()));
		if (bodies.length >= count) break;
	}

	return bodies;
}

test('a node that joins gets the messages of every start of another node, in order, and so does a node that was away', async () => {
	await using cluster = new Cluster({cli, topics: ['news']});
	const [first, second, third] = (await freePorts(3)) as [number, number, number];
	const published: string[] = [];
	const start = async (port: number): Promise<NodeProcess> => {
		const node = cluster.start(port);
		await node.waitFor(({type, leader}) => type === 'leader' && typeof leader === 'string', 'a leader');
		return node;
	};

	const restartAndPublish = async (node: NodeProcess | undefined): Promise<NodeProcess> => {
		await node?.kill('SIGTERM');
		const again = await start(first);
		await using client = await cluster.client(again);
		const texts = [`start ${published.length}`, `start ${published.length + 1}`];
		await client.publish('news', texts);
		published.push(...texts);
		return again;
	};

	let node: NodeProcess | undefined;
	for (let count = 0; count < starts; count++) node = await restartAndPublish(node);
	const joined = await start(second);
	const other = await start(third);
	expect(await bodiesOf(cluster, joined, published.length)).toEqual(published);

	await joined.kill('SIGTERM');
	for (let count = 0; count < starts; count++) node = await restartAndPublish(node);
	const returned = await start(second);
	expect(await bodiesOf(cluster, returned, published.length)).toEqual(published);
	expect(await bodiesOf(cluster, other, published.length)).toEqual(published);
}, 120_000);
