/**
Damaged disks: bits of a stopped node's files flip, or files are truncated or missing. After a restart the node reports
the damage, and gets everything from its peers.
*/
import {readdirSync, readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, freePorts, untilSeen, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {publishTexts, readWithOffsets, withClient} from './support/brokers.ts';
import {cli} from './support/command.ts';
import {hasLeader, isReady, type EventPredicate} from './support/events.ts';

const topic = 'damaged' as Topic;
const isQuarantined: EventPredicate = ({type}) => type === 'quarantined';
const isSubscription: EventPredicate = ({type}) => type === 'subscribed';

/** Three nodes with small segments. */
async function startThree(): Promise<Cluster> {
	const cluster = new Cluster({cli, topics: [topic], settings: {storage: {segment_bytes: 65_536}}});
	await cluster.startAll(3);
	return cluster;
}

async function publish(cluster: Cluster, node: NodeProcess, name: string, count: number): Promise<string[]> {
	await using broker = await cluster.client(node);
	const texts = Array.from({length: count}, (_, index) => `${name} ${index} ${'.'.repeat(200)}`);
	// One batch for each message, so that damage loses only a part of the messages.
	for (const text of texts) await publishTexts(broker, topic, [text]);
	return texts;
}

/** At least `count` messages from the beginning, by their offsets. */
async function readAll(cluster: Cluster, node: NodeProcess, count: number): Promise<Map<number, string>> {
	const messages = await withClient(cluster, node, broker => readWithOffsets(broker, topic, count));
	return new Map(messages.map(({offset, text}) => [offset, text]));
}

const folderOf = (cluster: Cluster, node: NodeProcess): string => join(cluster.folder, String(node.port));
const votersOf = (event: JsonEvent): readonly string[] =>
	event.type === 'voters' ? (event['voters'] as string[]) : [];

/** Flips one bit at this share of the length. */
function flipBit(path: string, share: number): void {
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
	['a flipped bit in its Raft log', folder => flipBit(raftLog(folder), 0.5)],
	[
		'a truncated Raft log',
		folder => truncateSync(raftLog(folder), Math.floor(readFileSync(raftLog(folder)).length / 2)),
	],
	['no Raft log', folder => rmSync(join(folder, 'raft'), {recursive: true})],
	[
		'another digit in its node.json',
		folder =>
			writeFileSync(
				join(folder, 'node.json'),
				readFileSync(join(folder, 'node.json'), 'utf8').replace(/"incarnation": \d+/, '"incarnation": 7'),
			),
	],
	['no node.json', folder => rmSync(join(folder, 'node.json'))],
];

test.each(damages)(
	'a voter with %s joins again under a new id, and gets all messages',
	async (_name, damage) => {
		await using cluster = await startThree();
		const [first, , third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const texts = [...(await publish(cluster, first, 'before', 50)), ...(await publish(cluster, third, 'own', 20))];
		const formerId = third.id;
		await third.waitFor(event => votersOf(event).includes(formerId), 'its vote');
		await third.kill('SIGTERM');
		damage(folderOf(cluster, third));
		texts.push(...(await publish(cluster, first, 'away', 30)));
		// Without --bootstrap the node finds its cluster by the stored addresses of members.
		const start = first.events.length;
		const back = cluster.startAlone(third.port);
		const event = await back.waitFor(isQuarantined, 'quarantine');
		expect(event).toMatchObject({formerId, folder: join(folderOf(cluster, third), 'quarantine-1')});
		expect(event['id']).toBe(back.id);
		expect(back.id).not.toBe(formerId);
		await first.waitFor(
			one => votersOf(one).includes(back.id) && !votersOf(one).includes(formerId) && votersOf(one).length === 3,
			'the new id as a voter',
			start,
		);
		texts.push(...(await publish(cluster, back, 'again', 10)));
		expect([...(await readAll(cluster, back, texts.length)).values()].toSorted()).toEqual(texts.toSorted());
		await back.kill('SIGTERM');
		// The quarantine is over: the next start keeps the id.
		const again = cluster.startAlone(third.port);
		await again.waitFor(hasLeader, 'a leader');
		expect(again.events.filter(isQuarantined)).toEqual([]);
		expect(again.id).toBe(back.id);
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
	['a bit in a closed segment flips', folder => flipBit(segments(folder)[1]!, 0.5)],
	[
		'bits in all parts of a closed segment flip',
		folder => {
			for (let share = 0.02; share < 1; share += 0.07) flipBit(segments(folder)[1]!, share);
		},
	],
	['a closed segment is truncated', folder => truncateSync(segments(folder)[1]!, 20_000)],
	['a closed segment is missing', folder => rmSync(segments(folder)[1]!)],
	[
		'the first segment begins with zeros',
		folder => {
			const bytes = readFileSync(segments(folder)[0]!);
			bytes.fill(0, 100, 5000);
			writeFileSync(segments(folder)[0]!, bytes);
		},
	],
];

test.each(holes)(
	'when %s, the node restores the lost messages from peers, at their offsets',
	async (_name, damage) => {
		await using cluster = await startThree();
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
		const refilled = await back.waitFor(({type}) => type === 'refilled', 'the restored messages');
		expect(refilled).toMatchObject({topic, missing: 0});
		expect(
			back.events.filter(({type, text}) => type === 'warning' && /damaged.* missing/.test(String(text))),
		).toHaveLength(1);
		const after = await readAll(cluster, back, texts.length);
		expect([...after.keys()]).toEqual([...before.keys()]);
		expect([...after.values()].toSorted()).toEqual(texts.toSorted());
		// The messages that were not lost keep their offsets.
		const unchanged = [...before].filter(([offset, text]) => after.get(offset) === text).length;
		expect(texts.length - unchanged).toBeLessThanOrEqual(Number(refilled['messages']));
		// The topic is complete after another start, too.
		await back.kill('SIGTERM');
		const again = cluster.start(third.port);
		await again.waitFor(hasLeader, 'a leader');
		expect([...(await readAll(cluster, again, texts.length))]).toEqual([...after]);
		expect(
			again.events.filter(
				({type, text}) => type === 'refilled' || (type === 'warning' && /damaged/.test(String(text))),
			),
		).toEqual([]);
	},
	30_000,
);

test('the lost last message of an incarnation is restored at its offset, before later messages, and is not delivered as new', async () => {
	await using cluster = await startThree();
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
		'the restored message',
	);
	texts.push(...(await publish(cluster, back, 'new', 3)));
	expect([...(await readAll(cluster, back, texts.length))].slice(0, before.size)).toEqual([...before]);
}, 30_000);

test('with a damaged topic.json the node starts, warns, and has all messages', async () => {
	const name = 'a topic/with an escaped folder name' as Topic;
	await using cluster = new Cluster({cli, topics: [topic]});
	const [port] = (await freePorts(1)) as [number];
	let node = cluster.startAlone(port);
	await node.waitFor(isSubscription, 'the subscription');
	await using broker = await cluster.client(node);
	for (const one of [topic, name]) await publishTexts(broker, one, ['kept']);
	const topics = join(folderOf(cluster, node), 'topics');
	const files = readdirSync(topics).map(one => join(topics, one, 'topic.json'));
	expect(files).toHaveLength(2);
	const intact = files.map(file => readFileSync(file));
	for (const damage of [
		(file: string) => flipBit(file, 0.6),
		(file: string) => truncateSync(file, 0),
		(file: string) => rmSync(file),
	]) {
		await node.kill('SIGTERM');
		for (const file of files) damage(file);
		node = cluster.startAlone(port);
		await node.waitFor(isReady, 'the start');
		for (const file of files)
			expect(
				node.events.filter(
					({type, text}) => type === 'warning' && String(text).startsWith(`The file ${file} is`),
				),
			).toHaveLength(1);
		await using again = await cluster.client(node);
		const counts = new Map((await again.snapshot()).topics.map(({name: one, messages}) => [one, messages]));
		expect([counts.get(topic), counts.get(name), files.map(file => readFileSync(file))]).toEqual([1, 1, intact]);
	}
}, 30_000);

test('a damaged node that was alone reports that no node can admit it, founds no cluster, and keeps its data', async () => {
	await using cluster = new Cluster({cli, topics: [topic]});
	const [port] = (await freePorts(1)) as [number];
	const node = cluster.startAlone(port);
	await node.waitFor(isSubscription, 'the subscription');
	await publish(cluster, node, 'kept', 5);
	await node.kill('SIGTERM');
	flipBit(raftLog(folderOf(cluster, node)), 0.5);
	for (const isStart of [isQuarantined, isReady]) {
		const back = cluster.startAlone(port);
		await back.waitFor(isStart, 'the start');
		await using broker = await cluster.client(back);
		await untilSeen(broker, ({detail}) => detail !== '', 'the reason to wait');
		const {phase, detail, raft, topics} = await broker.snapshot();
		expect(phase).toBe('joining');
		expect(detail).toContain('nothing but a backup of its data folder brings the cluster back');
		expect([raft.voters, topics.map(({messages}) => messages)]).toEqual([[], [5]]);
		await back.kill('SIGTERM');
	}
}, 30_000);
