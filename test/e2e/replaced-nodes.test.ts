/** Nodes that are replaced by empty ones, each after check says that the one before is healthy. */
import {rmSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import {cli, run} from './support/command.ts';

const count = 20_000;

test('no message is lost when all nodes are replaced, each after check --wait-healthy of the one before', async () => {
	await using cluster = new Cluster({cli, topics: ['news']});
	await cluster.startAll(3);
	const [first] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	await using client = await cluster.client(first);
	const body = 'x'.repeat(200);
	for (let stored = 0; stored < count; stored += 1000)
		await client.publish(
			'news',
			Array.from({length: 1000}, () => body),
		);
	const healthy = async ({port}: NodeProcess): Promise<void> => {
		const flags = ['--wait-healthy', '--wait', '60s', '--server', `127.0.0.1:${port}`, ...cluster.clientFlags];
		const {code, stderr} = await run(['check', ...flags]);
		expect(code, stderr).toBe(0);
	};

	for (const node of cluster.nodes) await healthy(node);
	for (const {port} of [...cluster.nodes]) {
		const node = cluster.nodes.find(one => one.port === port && one.isRunning)!;
		await node.kill('SIGKILL');
		rmSync(join(cluster.folder, String(port)), {recursive: true});
		const other = cluster.nodes.find(one => one.port !== port && one.isRunning)!;
		const replaced = cluster.startAlone(port, ['--bootstrap', `127.0.0.1:${other.port}`]);
		await replaced.waitFor(({type}) => type === 'ready', 'ready');
		await healthy(replaced);
		await using reader = await cluster.client(replaced);
		const {topics} = await reader.snapshot();
		// What is missing then is on its way: check allows fewer than 1,000 messages.
		expect(topics.find(({name}) => name === 'news')!.messages).toBeGreaterThan(count - 1000);
	}
}, 120_000);
