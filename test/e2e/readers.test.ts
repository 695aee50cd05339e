/** Slow readers get every message: of many topics at once, on the standard output of a node, and among its events. */
import {spawn, type ChildProcess} from 'node:child_process';
import {closeSync, openSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent} from '../../bench/cluster.ts';
import type {Broker} from '../../core/index.ts';
import {cli, jsonLines, nodeFlags, runAt, stop} from './support/command.ts';

const waitMs = 60_000;
const linesOf = (count: number): string[] => Array.from({length: count}, (_, index) => `line ${index}`.padEnd(20, '.'));
/** Large batches, so that a node delivers them in few steps. */
const linesPerPublish = 25_000;
const eventsIn = (text: string): JsonEvent[] => jsonLines(text);
const payloads = (events: readonly JsonEvent[]): unknown[] =>
	events.filter(({type}) => type === 'message').map(({payload}) => payload);

async function publishAll(client: Broker, lines: readonly string[]): Promise<void> {
	for (let at = 0; at < lines.length; at += linesPerPublish)
		await client.publish(
			'lines',
			lines.slice(at, at + linesPerPublish).map(line => Buffer.from(line)),
		);
}

/** A headless node of the cluster whose standard output is `stdout`. */
function startHeadless(
	cluster: Cluster,
	port: number,
	flags: readonly string[],
	stdout: number | 'pipe',
): ChildProcess {
	return spawn(process.execPath, [cli, '--headless', '-o', 'jsonl', ...nodeFlags(cluster, port), ...flags], {
		stdio: ['ignore', stdout, 'ignore'],
		env: {...process.env, ...cluster.env},
	});
}

/** A client of the node, once the node runs and `subscribers` nodes are subscribed to the topic. */
async function clientOf(cluster: Cluster, port: number, topic: string, subscribers: number): Promise<Broker> {
	let client: Broker | undefined;
	await expect
		.poll(
			async () => {
				client ??= await cluster.clientOf(port).catch(() => undefined); // Refused until the node listens.
				return client !== undefined;
			},
			{timeout: waitMs},
		)
		.toBe(true);
	await expect
		.poll(async () => (await client!.snapshot()).topics.find(({name}) => name === topic)?.subscribers.length, {
			timeout: waitMs,
		})
		.toBe(subscribers);
	return client!;
}

test('one subscription reads all messages of 120 topics of 500 KB from the beginning', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const topics = Array.from({length: 120}, (_, index) => `m${index}`);
	const client = await cluster.client();
	await Promise.all(
		topics.map(async topic => {
			for (let number = 0; number < 10; number++)
				await client.publish(topic, [Buffer.from(`${topic} ${number} `.padEnd(50_000, 'x'))]);
		}),
	);
	await client[Symbol.asyncDispose]();
	const args = [...topics, '--from', 'beginning', '--count', '1200', '-o', 'jsonl'];
	const {code, stdout, stderr} = await runAt(cluster, cluster.nodes[0]!, 'subscribe', ...args);
	expect(code, stderr).toBe(0);
	const events = eventsIn(stdout.toString());
	expect(events.filter(({type}) => type !== 'message')).toEqual([]);
	const byTopic = Map.groupBy(events, ({topic}) => topic as string);
	expect([...byTopic.keys()].toSorted()).toEqual(topics.toSorted());
	for (const [topic, list] of byTopic)
		expect(list.map(({payload}) => (payload as string).trimEnd().split(' ', 2).join(' '))).toEqual(
			Array.from({length: 10}, (_, number) => `${topic} ${number}`),
		);
}, 120_000);

test('three headless nodes each print all of 100,000 messages into a file', async () => {
	await using cluster = new Cluster({cli});
	const ports = await freePorts(3);
	const children: ChildProcess[] = [];
	try {
		for (const port of ports) {
			const file = openSync(join(cluster.folder, `${port}.jsonl`), 'w');
			children.push(
				startHeadless(
					cluster,
					port,
					['--topics', 'lines', ...(port === ports[0] ? [] : ['--bootstrap', String(ports[0])])],
					file,
				),
			);
			closeSync(file);
			await (await clientOf(cluster, ports[0]!, 'lines', children.length))[Symbol.asyncDispose]();
		}

		const lines = linesOf(100_000);
		await using client = await cluster.clientOf(ports[1]!);
		await publishAll(client, lines);
		const printed = (port: number): string => readFileSync(join(cluster.folder, `${port}.jsonl`), 'utf8');
		for (const port of ports)
			await expect.poll(() => printed(port).includes(`"${lines.at(-1)!}"`), {timeout: waitMs}).toBe(true);
		for (const port of ports) {
			const events = eventsIn(printed(port));
			expect(events.filter(({type}) => type === 'lagged' || type === 'missed')).toEqual([]);
			expect(payloads(events)).toEqual(lines);
		}
	} finally {
		await Promise.all(children.map(child => stop(child)));
	}
}, 120_000);

test('a headless node prints all messages after its reader stalled, and then stops', async () => {
	await using cluster = new Cluster({cli});
	const [port] = await freePorts(1);
	const child = startHeadless(cluster, port!, ['--topics', 'lines'], 'pipe');
	const client = await clientOf(cluster, port!, 'lines', 1);
	const lines = linesOf(100_000);
	await publishAll(client, lines);
	await client[Symbol.asyncDispose]();
	let text = '';
	const all = new Promise<void>(resolve => {
		child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
			text += chunk;
			if (chunk.includes(`"${lines.at(-1)!}"`)) resolve();
		});
	});
	await all;
	expect(await stop(child)).toBe(0);
	const events = eventsIn(text);
	expect(payloads(events)).toEqual(lines);
	expect(events.filter(({type}) => type === 'lagged')).toEqual([]);
	expect(events.at(-1)).toMatchObject({type: 'stopped'});
}, 120_000);

test('a headless node prints all messages before it stops', async () => {
	await using cluster = new Cluster({cli});
	const [port] = await freePorts(1);
	const file = join(cluster.folder, 'out.jsonl');
	const fd = openSync(file, 'w');
	const child = startHeadless(cluster, port!, ['--topics', 'lines'], fd);
	closeSync(fd);
	const client = await clientOf(cluster, port!, 'lines', 1);
	const lines = linesOf(50_000);
	await publishAll(client, lines);
	expect(await stop(child)).toBe(0);
	expect(payloads(eventsIn(readFileSync(file, 'utf8')))).toEqual(lines);
}, 120_000);

test('a headless node stops although its reader never reads', async () => {
	await using cluster = new Cluster({cli});
	const [port] = await freePorts(1);
	const child = startHeadless(cluster, port!, ['--topics', 'lines'], 'pipe');
	const client = await clientOf(cluster, port!, 'lines', 1);
	await publishAll(client, linesOf(100_000));
	const exited = new Promise(resolve => child.once('exit', resolve));
	child.kill('SIGTERM');
	expect(await exited).toBe(0);
	expect(await client.closed).toContain('stopped');
}, 60_000);

test("a slow follower of a node's events gets all messages", async () => {
	await using cluster = new Cluster({cli, topics: ['lines']});
	await cluster.startAll(1);
	const client = await cluster.client();
	const follower = await cluster.client();
	const events = follower.events({messages: true})[Symbol.asyncIterator]();
	await follower.snapshot(); // Requested after the events, so their stream has begun.
	const lines = linesOf(50_000);
	await publishAll(client, lines);
	const received: string[] = [];
	while (received.length < lines.length) {
		const {value} = await events.next();
		if (value.type === 'message') received.push(Buffer.from(value.message.body).toString());
		expect(value.type).not.toBe('lagged');
	}

	expect(received).toEqual(lines);
	await Promise.all([client[Symbol.asyncDispose](), follower[Symbol.asyncDispose]()]);
}, 120_000);
