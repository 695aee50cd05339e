/**
Real nodes on full disks: a limit of the file size makes a write fail as on a full disk. The first error stops the node
with a reason and an exit code; its acknowledged messages are there when it starts again with room.
*/
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess, type JsonEvent} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {cli} from './support/command.ts';

const topic = 'full' as Topic;

/** Starts a node whose files cannot grow beyond the given KiB; `undefined` means no bound. */
async function start(cluster: Cluster, port: number, fileKiB?: number): Promise<NodeProcess> {
	const command = [
		cli,
		'--headless',
		'-o',
		'jsonl',
		'--port',
		String(port),
		...cluster.clientFlags,
		'--data',
		join(cluster.folder, 'data'),
	];
	const node =
		fileKiB === undefined
			? new NodeProcess(port, command, false)
			: new NodeProcess(
					port,
					['-c', `ulimit -f ${fileKiB}; exec "$0" "$@"`, process.execPath, ...command],
					false,
					'bash',
				);
	cluster.nodes.splice(0, 1, node);
	await node.waitFor(({type, leader}) => type === 'leader' && typeof leader === 'string', 'a leader');
	return node;
}

async function expectStopped(node: NodeProcess, folder: string): Promise<void> {
	expect(await node.exited).toBe(1);
	const stopped = node.events.at(-1) as JsonEvent & {readonly reason: string};
	expect(stopped).toMatchObject({
		type: 'stopped',
		reason: expect.stringMatching(new RegExp(`^The disk failed in .*${folder}.*: EFBIG`)) as string,
	});
	expect(node.stderr).toContain(`dapss-tui: The node stopped: ${stopped.reason}`);
}

test('a topic log that cannot be written stops the node', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	const node = await start(cluster, port, 64);
	const broker = await cluster.client(node);
	const acknowledged: string[] = [];
	for (let index = 0; ; index++) {
		const text = `${index} ${'.'.repeat(1000)}`;
		try {
			await broker.publish(topic, [Buffer.from(text)]);
		} catch {
			break;
		}

		acknowledged.push(text);
	}

	await broker[Symbol.asyncDispose]();
	await expectStopped(node, 'topics/full');
	expect(acknowledged.length).toBeGreaterThan(40);
	const again = await start(cluster, port);
	const reader = await cluster.client(again);
	const got: string[] = [];
	for await (const deliveries of reader.subscribe([topic], {from: 'beginning'})) {
		for (const {body} of deliveries) got.push(Buffer.from(body).toString());
		if (got.length >= acknowledged.length) break;
	}

	await reader[Symbol.asyncDispose]();
	expect(got.slice(0, acknowledged.length)).toEqual(acknowledged);
});

test('a Raft log that cannot be written stops the node', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	const node = await start(cluster, port, 16);
	const broker = await cluster.client(node);
	let agreed = 0;
	try {
		for (; agreed < 1000; agreed++) await broker.subscribeNode(`topic ${agreed} ${'.'.repeat(100)}` as Topic);
	} catch {
		// The change that was not agreed before the stop.
	}

	await broker[Symbol.asyncDispose]();
	await expectStopped(node, 'raft');
	const again = await start(cluster, port);
	const reader = await cluster.client(again);
	// The end of the log commits again once this node leads.
	await expect
		.poll(async () => (await reader.snapshot()).topics.length, {timeout: 20_000})
		.toBeGreaterThanOrEqual(agreed);
	await reader[Symbol.asyncDispose]();
});
