/** The metrics of real nodes, as a scraper reads them. */
import {spawnSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {parseExposition} from '../support/exposition.ts';
import {root} from '../support/imports.ts';
import {pollUntil} from './support/poll.ts';

const cli = join(root, 'dist/cli.js');

async function valueAt(
	port: number,
	name: string,
	labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
	const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
	return parseExposition(text)
		.get(name)
		?.samples.find(sample => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
		?.value;
}

const statusOf = async (port: number, page: string): Promise<number> =>
	(await fetch(`http://127.0.0.1:${port}${page}`)).status;
const is =
	(expected: number) =>
	(value: number | undefined): boolean =>
		value === expected;

test('three nodes serve their metrics, and are ready as `check` says', async () => {
	const ports = await freePorts(4);
	await using cluster = new Cluster({cli, topics: ['news']});
	const metricsPorts = ports.slice(1);
	await cluster.startAll(3);
	// The settings of a cluster are one file, so each node is started again with a port of its own.
	for (const [index, node] of [...cluster.nodes].entries()) {
		await node.kill('SIGTERM');
		const again = cluster.start(node.port, ['--metrics-port', String(metricsPorts[index])]);
		await again.waitFor(({type}) => type === 'ready', 'ready');
	}

	const [first = 0] = metricsPorts;
	await pollUntil(() => statusOf(first, '/readyz'), is(200), 'a ready node');
	expect(await valueAt(first, 'dapss_members', {state: 'alive'})).toBe(3);
	expect(await valueAt(first, 'dapss_raft_quorum', {state: 'held'})).toBe(1);
	const client = await cluster.client(cluster.nodes[0]);
	await client.publish('news', ['a', 'b', 'c']);
	await pollUntil(
		() => valueAt(metricsPorts[2]!, 'dapss_topic_stored_messages', {topic: 'news'}),
		is(3),
		'the messages at another node',
	);
	await client[Symbol.asyncDispose]();
	await pollUntil(() => valueAt(first, 'dapss_messages_published_total'), is(3), 'the count of published messages');
	expect(await valueAt(first, 'dapss_fsync_seconds', {le: '+Inf'})).toBeGreaterThan(0);
	expect(await statusOf(first, '/healthz')).toBe(200);

	await cluster.nodes[2]!.kill('SIGKILL');
	await pollUntil(() => statusOf(first, '/readyz'), is(503), 'a node that is not ready');
	const {status, stderr} = spawnSync(
		process.execPath,
		[
			cli,
			'--headless',
			'--port',
			String(ports[0]),
			'--metrics-port',
			String(first),
			...cluster.clientFlags,
			'--data',
			join(cluster.folder, 'other'),
		],
		{encoding: 'utf8', env: {...process.env, ...cluster.env}},
	);
	expect(status).toBe(2);
	expect(stderr).toMatch(/metrics\.port .*EADDRINUSE/u);
}, 60_000);
