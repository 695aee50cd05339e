/**
Three real, secured node processes on loopback: every message published through one is on all, once, in order, byte for
byte; also when the leader is killed, and when a minority is cut off and returns.
*/
import {readFileSync} from 'node:fs';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {NodeId} from '../../core/index.ts';
import {cli, run} from './support/command.ts';

const bodyOf = (event: JsonEvent): Buffer =>
	typeof event['payload64'] === 'string'
		? Buffer.from(event['payload64'], 'base64')
		: Buffer.from(event['payload'] as string);
const isMessage =
	(topic: string) =>
	(event: JsonEvent): boolean =>
		event.type === 'message' && event['topic'] === topic;

/** The bodies of a topic's first `count` messages as this node printed them. */
async function bodies(node: NodeProcess, topic: string, count: number): Promise<Buffer[]> {
	let seen = 0;
	await node.waitFor(event => isMessage(topic)(event) && ++seen === count, `${count} messages of ${topic}`);
	return node.events.filter(event => isMessage(topic)(event)).map(event => bodyOf(event));
}

describe('a cluster of three', () => {
	const topics = ['lines', 'edge', 'wetter/zürich ☔'];
	let cluster: Cluster;
	beforeAll(async () => {
		cluster = new Cluster({cli, topics, messages: true, flags: ['--faults']});
		await cluster.startAll(3);
	}, 60_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	const server = (index: number): string[] => [
		...cluster.clientFlags,
		'--server',
		`127.0.0.1:${cluster.nodes[index]!.port}`,
	];

	test('prints every line that was published through one node, once, in order, on all nodes', async () => {
		const file = readFileSync(new URL('../../package-lock.json', import.meta.url));
		const lines = file.toString().split('\n').slice(0, -1);
		const {code, stderr} = await run(['publish', 'lines', '-', ...server(1)], {input: file});
		expect(stderr).toBe('');
		expect(code).toBe(0);
		for (const node of cluster.nodes) {
			const got = await bodies(node, 'lines', lines.length);
			expect(got.map(String)).toEqual(lines);
		}
	});

	test('carries empty messages, 64 KiB lines, control characters and bytes that are not text', async () => {
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

	test('lets a subscriber read from the beginning, and count', async () => {
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
		const lines = stdout
			.toString()
			.trim()
			.split('\n')
			.map(line => JSON.parse(line) as JsonEvent);
		expect(lines.map(line => [line.type, line['topic'], line['size']])).toEqual([
			['message', 'edge', 0],
			['message', 'edge', 65_536],
		]);
	});

	test('prints its status', async () => {
		const {code, stdout} = await run(['status', '-o', 'json', ...server(0)]);
		expect(code).toBe(0);
		const status = JSON.parse(stdout.toString()) as {
			quorum: {has: boolean; voters: unknown};
			members: Array<{state: string; voter: boolean}>;
			partition: {state: string};
		};
		expect(status.quorum.has).toBe(true);
		expect(status.members.map(({state, voter}) => [state, voter])).toEqual([
			['alive', true],
			['alive', true],
			['alive', true],
		]);
		expect((await run(['check', ...server(0)])).code).toBe(0);
		const wrong = await run([
			'check',
			'--cluster',
			cluster.name,
			'--config',
			cluster.clientFlags[5]!,
			'--server',
			`127.0.0.1:${cluster.nodes[0]!.port}`,
			'--secret-file',
			await otherSecret(cluster),
		]);
		expect(wrong.code).toBe(13);
	});

	test('keeps both sides of a partition running, refuses agreement on the smaller side, and repairs both sides after the heal', async () => {
		const brokers = await Promise.all(cluster.nodes.map(node => cluster.client(node)));
		const [a, b, c] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const start = cluster.nodes.map(node => node.events.length);
		const id = (node: NodeProcess): NodeId => node.id as NodeId;
		await Promise.all([
			brokers[0]!.fault({type: 'cut', peers: [id(c)], direction: 'both', forMs: 60_000}),
			brokers[1]!.fault({type: 'cut', peers: [id(c)], direction: 'both', forMs: 60_000}),
			brokers[2]!.fault({type: 'cut', peers: [id(a), id(b)], direction: 'both', forMs: 60_000}),
		]);
		const partition =
			(state: string) =>
			(event: JsonEvent): boolean =>
				event.type === 'partition' && event['state'] === state;
		const [seen] = await Promise.all(
			cluster.nodes.map((node, index) => node.waitFor(partition('detected'), 'detection', start[index])),
		);
		expect(seen).toMatchObject({sides: [[a.id, b.id].toSorted(), [c.id]], quorum: 0});
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
			event => isMessage('edge')(event) && String(bodyOf(event)) === 'near 99',
			'messages within the larger side',
		);
		await c.waitFor(
			event => isMessage('edge')(event) && String(bodyOf(event)) === 'far 99',
			'messages within the smaller side',
		);
		await Promise.all(brokers.map(broker => broker.fault({type: 'heal'})));
		await Promise.all(
			cluster.nodes.map((node, index) => node.waitFor(partition('repaired'), 'repair', start[index])),
		);
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

async function otherSecret(cluster: Cluster): Promise<string> {
	const {writeFile} = await import('node:fs/promises');
	const path = `${cluster.folder}/other-secret`;
	await writeFile(path, 'q7Jb2nZk9XwPz4Lr8TtVc1Hy5GfDs3Ae6Mu0Bi-Oj_Q\n', {mode: 0o600});
	return path;
}

test('every acknowledged message is on every node after the leader was killed repeatedly', async () => {
	await using cluster = new Cluster({cli, topics: ['kills'], messages: true});
	await cluster.startAll(3);
	const kills = Number(process.env['KILLS'] ?? 20);
	const acknowledged: string[] = [];
	for (let kill = 0; kill < kills; kill++) {
		const leader = cluster.leader()!;
		const survivors = cluster.nodes.filter(node => node !== leader);
		const broker = await cluster.client(survivors[0]);
		const atLeader = await cluster.client(leader);
		const start = survivors.map(node => node.events.length);
		const publish = async (through: typeof broker, name: string, count: number): Promise<void> => {
			for (let index = 0; index < count; index++) {
				const text = `${kill} ${name} ${index}`;
				try {
					await through.publish('kills', [Buffer.from(text)]);
				} catch {
					return; // Killed: what was not answered may be anywhere.
				}

				acknowledged.push(text);
			}
		};

		const streams = Promise.all([publish(broker, 'survivor', 300), publish(atLeader, 'leader', 100_000)]);
		await survivors[0]!.waitFor(
			event => isMessage('kills')(event) && String(bodyOf(event)).startsWith(`${kill} leader 20`),
			'messages through the leader',
			start[0],
		);
		await leader.kill('SIGKILL');
		await Promise.all(
			survivors.map((node, index) =>
				node.waitFor(
					event =>
						event.type === 'leader' && typeof event['leader'] === 'string' && event['leader'] !== leader.id,
					'a new leader',
					start[index],
				),
			),
		);
		await streams;
		const back = cluster.start(leader.port);
		await back.waitFor(
			event => event.type === 'leader' && typeof event['leader'] === 'string',
			'the leader, after the restart',
		);
		await broker[Symbol.asyncDispose]();
		await atLeader[Symbol.asyncDispose]();
	}

	// The log of a node decides: it has the last lines that a killed process did not print, and they are not printed
	// again.
	for (const node of cluster.nodes) {
		const broker = await cluster.client(node);
		const missing = new Set(acknowledged);
		const seen = new Set<string>();
		const newest = new Map<string, number>();
		read: for await (const deliveries of broker.subscribe(['kills'], {from: 'beginning'})) {
			for (const {origin, incarnation, seq, body} of deliveries) {
				const text = Buffer.from(body).toString();
				expect(seen.has(text)).toBe(false);
				expect(seq).toBe((newest.get(`${origin}:${incarnation}`) ?? 0) + 1);
				newest.set(`${origin}:${incarnation}`, seq);
				seen.add(text);
				missing.delete(text);
			}

			if (missing.size === 0) break read;
		}

		await broker[Symbol.asyncDispose]();
	}
}, 180_000);
