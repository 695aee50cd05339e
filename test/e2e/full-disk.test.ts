/**
Nodes whose disk fails: a limit of the file size makes a write fail as on a full disk. The first error stops the node
with a reason and an exit code. After a start without the limit it has all acknowledged messages.
*/
import {expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {DapssError, Topic} from '../../core/index.ts';
import {publishTexts, readTexts, withClient} from './support/brokers.ts';
import {cli} from './support/command.ts';
import {hasVoters, isMember, waitForAll} from './support/events.ts';
import {startLimited} from './support/limited-node.ts';

const topic = 'full' as Topic;
/** Codes of a request at a node that stops: the write failed, or the node was already stopping. */
const stopCodes: readonly string[] = ['storage', 'closed'];

/** A limit of the file size. */
const fileLimit = (kib: number): string => `ulimit -f ${kib}`;

/** The node has stopped because of a file in this folder. */
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
	const node = await startLimited(cluster, port, fileLimit(64));
	const broker = await cluster.client(node);
	const acknowledged: string[] = [];
	for (let index = 0; ; index++) {
		const text = `${index} ${'.'.repeat(1000)}`;
		try {
			await publishTexts(broker, topic, [text]);
		} catch (error) {
			expect(stopCodes).toContain((error as DapssError).code);
			break;
		}

		acknowledged.push(text);
	}

	await broker[Symbol.asyncDispose]();
	await expectStopped(node, 'topics/full');
	expect(acknowledged.length).toBeGreaterThan(40);
	const again = await startLimited(cluster, port);
	const texts = await withClient(cluster, again, reader => readTexts(reader, topic, acknowledged.length));
	expect(texts.slice(0, acknowledged.length)).toEqual(acknowledged);
});

test('the members report a node whose disk fails as down, not as stopped on purpose', async () => {
	await using cluster = new Cluster({cli});
	const [port, ...otherPorts] = (await freePorts(3)) as [number, ...number[]];
	const node = await startLimited(cluster, port, fileLimit(64));
	const others = otherPorts.map(other => cluster.start(other));
	await waitForAll([node, ...others], hasVoters(3), 'three voters');
	const broker = await cluster.client(node);
	await expect(
		publishTexts(
			broker,
			topic,
			Array.from({length: 100}, () => '.'.repeat(1000)),
		),
	).rejects.toBeInstanceOf(Error);
	await broker[Symbol.asyncDispose]();
	await expectStopped(node, 'topics/full');
	await waitForAll(others, isMember(node, 'down'), 'the end of the node');
	for (const {events} of others) expect(events.some(isMember(node, 'left'))).toBe(false);
});

test('a Raft log that cannot be written stops the node', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	const node = await startLimited(cluster, port, fileLimit(16));
	const broker = await cluster.client(node);
	const agreed: Topic[] = [];
	for (;;) {
		const name = `topic ${agreed.length} ${'.'.repeat(100)}` as Topic;
		try {
			await broker.subscribeNode(name);
		} catch (error) {
			expect(stopCodes).toContain((error as DapssError).code);
			break;
		}

		agreed.push(name);
	}

	await broker[Symbol.asyncDispose]();
	await expectStopped(node, 'raft');
	const again = await startLimited(cluster, port);
	const reader = await cluster.client(again);
	// The node commits the entries at the end of its log once it leads. One more change may be in the log.
	await expect
		.poll(async () => (await reader.snapshot()).topics.map(({name}) => name), {timeout: 20_000})
		.toEqual(expect.arrayContaining(agreed));
	await reader[Symbol.asyncDispose]();
});
