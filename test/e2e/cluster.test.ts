/**
Three secured node processes on loopback: each message that is published through one node reaches all nodes once, in
order, byte for byte, also when the leader is killed, and when a minority is cut off and returns.
*/
import {readFileSync} from 'node:fs';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {NodeId} from '../../core/index.ts';
import {publishTexts} from './support/brokers.ts';
import {cli, jsonAt, jsonLines, run, runAt, serverFlags} from './support/command.ts';
import {eventCounts, expectPartition, hasLeader, isNewLeader, isPartition, waitForAll} from './support/events.ts';
import {writeForeignSecret} from './support/folders.ts';

const bodyOf = (event: JsonEvent): Buffer =>
	typeof event['payload64'] === 'string'
		? Buffer.from(event['payload64'], 'base64')
		: Buffer.from(event['payload'] as string);
const isOnTopic =
	(topic: string) =>
	(event: JsonEvent): boolean =>
		event.type === 'message' && event['topic'] === topic;

/** Waits until the node has printed `count` messages of the topic; the bodies of all of them. */
async function bodies(node: NodeProcess, topic: string, count: number): Promise<Buffer[]> {
	let printed = 0;
	await node.waitFor(event => isOnTopic(topic)(event) && ++printed === count, `${count} messages of ${topic}`);
	return node.events.filter(isOnTopic(topic)).map(event => bodyOf(event));
}

describe('a cluster of three', () => {
	const topics = ['lines', 'edge', 'wetter/zürich ☔'];
	let cluster: Cluster;
	beforeAll(async () => {
		cluster = new Cluster({cli, topics, messages: true, flags: ['--faults']});
		await cluster.startAll(3);
	}, 60_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	const server = (index: number): string[] => serverFlags(cluster, cluster.nodes[index]!);

	test('all nodes print each line that is published through one node, once and in order', async () => {
		const file = readFileSync(new URL('../../package-lock.json', import.meta.url));
		const lines = file.toString().split('\n').slice(0, -1);
		const {code, stderr} = await run(['publish', 'lines', '-', ...server(1)], {input: file});
		expect(stderr).toBe('');
		expect(code).toBe(0);
		for (const node of cluster.nodes) {
			const printed = await bodies(node, 'lines', lines.length);
			expect(printed.map(String)).toEqual(lines);
		}
	});

	test('delivers empty messages, 64 KiB lines, control characters and bytes that are not text unchanged', async () => {
		const parts = [
			Buffer.alloc(0),
			Buffer.alloc(65_536, 'x'),
			Buffer.from('\u001B]52;c;aGk=\u0007\r\u202Eabc\tü'),
			Buffer.of(0xff, 0xfe, 0x00, 0x80),
			Buffer.alloc(0),
			Buffer.from('last, without a newline'),
		];
		const input = Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from('\n'), part])));
		expect((await run(['publish', 'edge', '-', ...server(0)], {input})).code).toBe(0);
		for (const node of cluster.nodes) expect(await bodies(node, 'edge', parts.length)).toEqual(parts);
	});

	test('accepts any text as a topic', async () => {
		expect((await run(['publish', 'wetter/zürich ☔', 'Regen', ...server(2)])).code).toBe(0);
		for (const node of cluster.nodes)
			expect((await bodies(node, 'wetter/zürich ☔', 1)).map(String)).toEqual(['Regen']);
	});

	test('subscribe --from beginning --count 2 prints the first two messages', async () => {
		const {code, stdout} = await run([
			'subscribe',
			'edge',
			'--from',
			'beginning',
			'--count',
			'2',
			'-o',
			'jsonl',
			...server(0),
		]);
		expect(code).toBe(0);
		const lines = jsonLines<JsonEvent>(stdout.toString());
		expect(lines.map(line => [line.type, line['topic'], line['size']])).toEqual([
			['message', 'edge', 0],
			['message', 'edge', 65_536],
		]);
	});

	test('status and check report a healthy cluster, and another secret is refused with 13', async () => {
		const status = await jsonAt<{
			quorum: {has: boolean; voters: unknown};
			members: Array<{state: string; voter: boolean}>;
			partition: {state: string};
		}>(cluster, cluster.nodes[0]!, 'status');
		expect(status.quorum.has).toBe(true);
		expect(status.members.map(({state, voter}) => [state, voter])).toEqual([
			['alive', true],
			['alive', true],
			['alive', true],
		]);
		expect(status.partition.state).toBe('whole');
		expect(await runAt(cluster, cluster.nodes[0]!, 'check')).toMatchObject({code: 0});
		const wrong = await run([
			'check',
			'--cluster',
			cluster.name,
			'--config',
			cluster.clientFlags[5]!,
			'--server',
			`127.0.0.1:${cluster.nodes[0]!.port}`,
			'--secret-file',
			writeForeignSecret(cluster.folder),
		]);
		expect(wrong.code).toBe(13);
	});

	test('both sides of a partition continue, the minority refuses agreement, and both sides get all messages after the heal', async () => {
		const brokers = await Promise.all(cluster.nodes.map(node => cluster.client(node)));
		const [a, b, c] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const starts = eventCounts(cluster.nodes);
		const id = (node: NodeProcess): NodeId => node.id as NodeId;
		await Promise.all([
			brokers[0]!.fault({type: 'cut', peers: [id(c)], direction: 'both', forMs: 60_000}),
			brokers[1]!.fault({type: 'cut', peers: [id(c)], direction: 'both', forMs: 60_000}),
			brokers[2]!.fault({type: 'cut', peers: [id(a), id(b)], direction: 'both', forMs: 60_000}),
		]);
		await expectPartition([a, b], [c], starts);
		await expect(brokers[2]!.subscribeNode('minority')).rejects.toMatchObject({
			code: 'no-quorum',
			message: 'no quorum: 1 of 3 voters reachable',
		});
		await brokers[0]!.subscribeNode('majority');
		const body = (text: string): Buffer[] =>
			Array.from({length: 100}, (_, index) => Buffer.from(`${text} ${index}`));
		await brokers[0]!.publish('edge', body('near'));
		await brokers[2]!.publish('edge', body('far'));
		await b.waitFor(
			event => isOnTopic('edge')(event) && String(bodyOf(event)) === 'near 99',
			'messages within the larger side',
		);
		await c.waitFor(
			event => isOnTopic('edge')(event) && String(bodyOf(event)) === 'far 99',
			'messages within the smaller side',
		);
		await Promise.all(brokers.map(broker => broker.fault({type: 'heal'})));
		await waitForAll(cluster.nodes, isPartition('repaired'), 'repair', starts);
		for (const node of cluster.nodes) {
			const texts = (await bodies(node, 'edge', 206)).slice(6).map(String);
			expect(texts.filter(text => text.startsWith('near'))).toEqual(body('near').map(String));
			expect(texts.filter(text => text.startsWith('far'))).toEqual(body('far').map(String));
			expect(texts).toHaveLength(200);
		}

		await brokers[2]!.subscribeNode('minority');
		await Promise.all(brokers.map(broker => broker[Symbol.asyncDispose]()));
	});
});

test('every node has all acknowledged messages after repeated kills of the leader', async () => {
	await using cluster = new Cluster({cli, topics: ['kills'], messages: true});
	await cluster.startAll(3);
	const kills = Number(process.env['KILLS'] ?? 20);
	const acknowledged: string[] = [];
	for (let kill = 0; kill < kills; kill++) {
		const leader = cluster.leader()!;
		const survivors = cluster.nodes.filter(node => node !== leader);
		const broker = await cluster.client(survivors[0]);
		const atLeader = await cluster.client(leader);
		const starts = eventCounts(survivors);
		const publish = async (through: typeof broker, name: string, count: number): Promise<void> => {
			for (let index = 0; index < count; index++) {
				const text = `${kill} ${name} ${index}`;
				await publishTexts(through, 'kills', [text]);
				acknowledged.push(text);
			}
		};

		// The kill ends the stream through the leader. Its last message may be on any node, or on none.
		const atSurvivor = publish(broker, 'survivor', 300);
		const failure = publish(atLeader, 'leader', 100_000).catch((error: unknown) => error);
		await survivors[0]!.waitFor(
			event => isOnTopic('kills')(event) && String(bodyOf(event)).startsWith(`${kill} leader 20`),
			'messages through the leader',
			starts[0],
		);
		await leader.kill('SIGKILL');
		await waitForAll(survivors, isNewLeader(leader), 'a new leader', starts);
		await atSurvivor;
		expect(await failure).toMatchObject({code: 'closed'});
		const back = cluster.start(leader.port);
		await back.waitFor(hasLeader, 'the leader, after the restart');
		await broker[Symbol.asyncDispose]();
		await atLeader[Symbol.asyncDispose]();
	}

	// The log of a node decides: a killed process may not have printed its last messages, and does not print them
	// again.
	for (const node of cluster.nodes) {
		const broker = await cluster.client(node);
		const missing = new Set(acknowledged);
		const seen = new Set<string>();
		const newest = new Map<string, number>();
		for await (const deliveries of broker.subscribe(['kills'], {from: 'beginning'})) {
			for (const {origin, incarnation, seq, body} of deliveries) {
				const text = Buffer.from(body).toString();
				expect(seen.has(text)).toBe(false);
				expect(seq).toBe((newest.get(`${origin}:${incarnation}`) ?? 0) + 1);
				newest.set(`${origin}:${incarnation}`, seq);
				seen.add(text);
				missing.delete(text);
			}

			if (missing.size === 0) break;
		}

		await broker[Symbol.asyncDispose]();
	}
}, 180_000);
