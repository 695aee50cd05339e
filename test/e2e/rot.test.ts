/**
Corrupted disks of real nodes: bits of a stopped node's files are flipped, or a file is truncated. The node starts
again, reports that, and in the end has everything.
*/
import {readdirSync, readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {cli} from './support/command.ts';

const topic = 'rot' as Topic;
const quarantined = ({type}: JsonEvent): boolean => type === 'quarantined';

/** Three nodes of small segments, and a client's way to publish and to read all. */
async function start(): Promise<Cluster> {
	const cluster = new Cluster({cli, topics: [topic], settings: {storage: {segment_bytes: 65_536}}});
	await cluster.startAll(3);
	return cluster;
}

async function publish(cluster: Cluster, node: NodeProcess, name: string, count: number): Promise<string[]> {
	await using broker = await cluster.client(node);
	const texts = Array.from({length: count}, (_, index) => `${name} ${index} ${'.'.repeat(200)}`);
	// One batch for each message, so that damage loses only some of them.
	for (const text of texts) await broker.publish(topic, [Buffer.from(text)]);
	return texts;
}

/** The first `count` messages that a subscriber from the beginning gets, with their offsets. */
async function readAll(cluster: Cluster, node: NodeProcess, count: number): Promise<Map<number, string>> {
	await using broker = await cluster.client(node);
	const got = new Map<number, string>();
	const newest = new Map<string, number>();
	for await (const deliveries of broker.subscribe([topic], {from: 'beginning'})) {
		for (const {offset, body, origin, incarnation, seq} of deliveries) {
			const stream = `${origin}:${incarnation}`;
			expect(seq).toBe((newest.get(stream) ?? 0) + 1); // Each once, and in order.
			newest.set(stream, seq);
			got.set(offset, Buffer.from(body).toString());
		}

		if (got.size >= count) break;
	}

	return got;
}

const folderOf = (cluster: Cluster, node: NodeProcess): string => join(cluster.folder, String(node.port));
const votersOf = (event: JsonEvent): readonly string[] =>
	event.type === 'voters' ? (event['voters'] as string[]) : [];

function flip(path: string, share: number): void {
	const bytes = readFileSync(path);
	bytes[Math.floor(bytes.length * share)]! ^= 0x10;
	writeFileSync(path, bytes);
}

const raftLog = (folder: string): string =>
	join(
		folder,
		'raft',
		readdirSync(join(folder, 'raft'))
			.filter(name => name.endsWith('.log'))
			.toSorted()[0]!,
	);
const damages: ReadonlyArray<readonly [string, (folder: string) => void]> = [
	['a bit of its Raft log is flipped', folder => flip(raftLog(folder), 0.5)],
	[
		'its Raft log is cut short',
		folder => truncateSync(raftLog(folder), Math.floor(readFileSync(raftLog(folder)).length / 2)),
	],
	['its Raft log is gone', folder => rmSync(join(folder, 'raft'), {recursive: true})],
	[
		'a digit of its node.json is another one',
		folder =>
			writeFileSync(
				join(folder, 'node.json'),
				readFileSync(join(folder, 'node.json'), 'utf8').replace(/"incarnation": \d+/, '"incarnation": 7'),
			),
	],
	['its node.json is gone', folder => rmSync(join(folder, 'node.json'))],
];

test.each(damages)(
	'a voter with damage (%s) joins again under a new id, and has everything',
	async (_name, damage) => {
		await using cluster = await start();
		const [first, , third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const texts = [...(await publish(cluster, first, 'before', 50)), ...(await publish(cluster, third, 'own', 20))];
		const formerId = third.id;
		await third.waitFor(event => votersOf(event).includes(formerId), 'its vote');
		await third.kill('SIGTERM');
		damage(folderOf(cluster, third));
		texts.push(...(await publish(cluster, first, 'away', 30)));
		// Without --bootstrap it finds its cluster by the addresses that it remembers.
		const seen = first.events.length;
		const back = cluster.startAlone(third.port);
		const event = await back.waitFor(quarantined, 'quarantine');
		expect(event).toMatchObject({formerId, folder: join(folderOf(cluster, third), 'quarantine-1')});
		expect(event['id']).toBe(back.id);
		expect(back.id).not.toBe(formerId);
		await first.waitFor(
			one => votersOf(one).includes(back.id) && !votersOf(one).includes(formerId) && votersOf(one).length === 3,
			'the new id as a voter',
			seen,
		);
		texts.push(...(await publish(cluster, back, 'again', 10)));
		expect([...(await readAll(cluster, back, texts.length)).values()].toSorted()).toEqual(texts.toSorted());
		await back.kill('SIGTERM');
		const once = cluster.startAlone(third.port);
		await once.waitFor(({type, leader}) => type === 'leader' && typeof leader === 'string', 'a leader');
		expect(once.events.some(quarantined)).toBe(false);
		expect(once.id).toBe(back.id);
	},
	30_000,
);

const segments = (folder: string): string[] => {
	const topics = join(folder, 'topics');
	const log = join(topics, readdirSync(topics)[0]!);
	return readdirSync(log)
		.filter(name => name.endsWith('.log'))
		.toSorted()
		.map(name => join(log, name));
};

const holes: ReadonlyArray<readonly [string, (folder: string) => void]> = [
	['a bit in a closed segment is flipped', folder => flip(segments(folder)[1]!, 0.5)],
	[
		'bits all over a closed segment are flipped',
		folder => {
			for (let share = 0.02; share < 1; share += 0.07) flip(segments(folder)[1]!, share);
		},
	],
	['a closed segment is cut short', folder => truncateSync(segments(folder)[1]!, 20_000)],
	['a closed segment is gone', folder => rmSync(segments(folder)[1]!)],
	[
		'the beginning of the first segment is zeros',
		folder => {
			const bytes = readFileSync(segments(folder)[0]!);
			bytes.fill(0, 100, 5000);
			writeFileSync(segments(folder)[0]!, bytes);
		},
	],
];

test.each(holes)(
	'messages that a topic lost when %s are restored from peers, at their offsets',
	async (_name, damage) => {
		await using cluster = await start();
		const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const parts = await Promise.all([
			publish(cluster, first, 'a', 300),
			publish(cluster, second, 'b', 200),
			publish(cluster, third, 'c', 100),
		]);
		const texts = [
			...parts.flat(),
			...(await publish(cluster, first, 'd', 50)),
			...(await publish(cluster, second, 'e', 50)),
			...(await publish(cluster, third, 'f', 50)),
		];
		const before = await readAll(cluster, third, texts.length);
		await third.kill('SIGTERM');
		damage(folderOf(cluster, third));
		const back = cluster.start(third.port);
		const refilled = await back.waitFor(({type}) => type === 'refilled', 'refill');
		expect(refilled).toMatchObject({topic, missing: 0});
		expect(
			back.events.filter(({type, text}) => type === 'warning' && /damaged.* missing/.test(String(text))),
		).toHaveLength(1);
		const after = await readAll(cluster, back, texts.length);
		expect([...after.keys()]).toEqual([...before.keys()]);
		expect([...after.values()].toSorted()).toEqual(texts.toSorted());
		const same = [...before].filter(([offset, text]) => after.get(offset) === text).length;
		expect(texts.length - same).toBeLessThanOrEqual(Number(refilled['messages']));
		// The topic stays complete.
		await back.kill('SIGTERM');
		const again = cluster.start(third.port);
		await again.waitFor(({type, leader}) => type === 'leader' && typeof leader === 'string', 'a leader');
		expect([...(await readAll(cluster, again, texts.length))]).toEqual([...after]);
		expect(
			again.events.filter(
				({type, text}) => type === 'refilled' || (type === 'warning' && /damaged/.test(String(text))),
			),
		).toEqual([]);
	},
	30_000,
);

test('a lost last message of an incarnation is restored at its offset, before later messages, and is not delivered as new', async () => {
	await using cluster = await start();
	const [first, , third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	const texts = [...(await publish(cluster, third, 'ended', 30)), ...(await publish(cluster, first, 'later', 30))];
	const before = await readAll(cluster, third, texts.length);
	await third.kill('SIGTERM');
	const [segment] = segments(folderOf(cluster, third)) as [string];
	const bytes = readFileSync(segment);
	bytes[bytes.indexOf('ended 29 ')]! ^= 1;
	writeFileSync(segment, bytes);
	const back = cluster.start(third.port);
	await back.waitFor(
		event => event.type === 'refilled' && event['messages'] === 1 && event['missing'] === 0,
		'refill',
	);
	texts.push(...(await publish(cluster, back, 'new', 3)));
	expect([...(await readAll(cluster, back, texts.length))].slice(0, before.size)).toEqual([...before]);
}, 30_000);

test('a damaged topic.json prevents no start and loses no message', async () => {
	const name = 'a topic/that its folder does not spell' as Topic;
	await using cluster = new Cluster({cli, topics: [topic]});
	const [port] = (await freePorts(1)) as [number];
	let node = cluster.startAlone(port);
	await node.waitFor(({type}) => type === 'subscribed', 'the subscription');
	await using broker = await cluster.client(node);
	for (const one of [topic, name]) await broker.publish(one, [Buffer.from('kept')]);
	const topics = join(folderOf(cluster, node), 'topics');
	const files = readdirSync(topics).map(one => join(topics, one, 'topic.json'));
	expect(files).toHaveLength(2);
	const whole = files.map(file => readFileSync(file));
	for (const damage of [
		(file: string) => flip(file, 0.6),
		(file: string) => truncateSync(file, 0),
		(file: string) => rmSync(file),
	]) {
		await node.kill('SIGTERM');
		for (const file of files) damage(file);
		node = cluster.startAlone(port);
		await node.waitFor(({type}) => type === 'ready', 'the start');
		for (const file of files)
			expect(
				node.events.filter(
					({type, text}) => type === 'warning' && String(text).startsWith(`The file ${file} is`),
				),
			).toHaveLength(1);
		await using again = await cluster.client(node);
		const counts = new Map((await again.snapshot()).topics.map(({name: one, messages}) => [one, messages]));
		expect([counts.get(topic), counts.get(name), files.map(file => readFileSync(file))]).toEqual([1, 1, whole]);
	}
}, 30_000);

test('a node that was alone reports that no node can admit it, founds no cluster, and keeps its data', async () => {
	await using cluster = new Cluster({cli, topics: [topic]});
	const [port] = (await freePorts(1)) as [number];
	const node = cluster.startAlone(port);
	await node.waitFor(({type}) => type === 'subscribed', 'the subscription');
	await publish(cluster, node, 'kept', 5);
	await node.kill('SIGTERM');
	flip(raftLog(folderOf(cluster, node)), 0.5);
	for (const awaited of ['quarantined', 'ready']) {
		const back = cluster.startAlone(port);
		await back.waitFor(({type}) => type === awaited, 'the start');
		await using broker = await cluster.client(back);
		let {phase, detail, raft, topics} = await broker.snapshot();
		for (; detail === ''; {phase, detail, raft, topics} = await broker.snapshot());
		expect(phase).toBe('joining');
		expect(detail).toContain('nothing but a backup of its data folder brings the cluster back');
		expect([raft.voters, topics.map(({messages}) => messages)]).toEqual([[], [5]]);
		await back.kill('SIGTERM');
	}
}, 30_000);
