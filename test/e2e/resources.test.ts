/** What a node is short of (descriptors, topics, disk, time) limits what it takes; it does not end the node. Real processes. */
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {cli} from './command.ts';

/** A node of the cluster in a shell that runs `limit` first. */
async function start(cluster: Cluster, port: number, limit: string): Promise<NodeProcess> {
	const command = [cli, '--headless', '-o', 'jsonl', '--port', String(port), ...cluster.clientFlags, '--data', join(cluster.folder, 'data')];
	const node = new NodeProcess(port, ['-c', `${limit}; exec "$0" "$@"`, process.execPath, ...command], false, 'bash');
	cluster.nodes.splice(0, 1, node);
	await node.waitFor(({type, leader}) => type === 'leader' && typeof leader === 'string', 'a leader');
	return node;
}

test('with 256 descriptors a node takes messages of 228 topics, and starts again (case 13)', async () => {
	await using cluster = new Cluster({cli});
	const [port] = await freePorts(1) as [number];
	const names = Array.from({length: 228}, (_, index) => `topic-${index}` as Topic);
	const node = await start(cluster, port, 'ulimit -n 256');
	const broker = await cluster.client(node);
	// The second time every log that lost its descriptor is written to again.
	for (const text of ['one', 'two']) await Promise.all(names.map(name => broker.publish(name, [Buffer.from(text)])));
	await broker[Symbol.asyncDispose]();
	expect(readdirSync(`/proc/${node.pid}/fd`).length).toBeLessThan(128);
	expect(node.events.find(({type, text}) => type === 'warning' && String(text).includes('ulimit -n'))).toMatchObject({text: expect.stringContaining('limits.open_files') as string});
	await node.kill('SIGTERM');
	const again = await start(cluster, port, 'ulimit -n 256');
	const reader = await cluster.client(again);
	const {topics} = await reader.snapshot();
	expect(topics.filter(({messages}) => messages === 2).map(({name}) => name).toSorted()).toEqual(names.toSorted());
	await reader[Symbol.asyncDispose]();
});
