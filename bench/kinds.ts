/**
The benchmarks. Each starts a cluster of real, secured node processes on this machine, with publisher and subscribers in
their own processes, measures, and reports missed bounds. All processes share the cores, so only ratios within one run
can be compared.
*/
import type {Broker, NodeId, Topic} from '../core/index.ts';
import {
	Client,
	clientOptions,
	deliveryRates,
	median,
	percentilesOf,
	pointsOf,
	type BenchResult,
	type Timeline,
} from './measure.ts';
import {Cluster, type JsonEvent, type NodeProcess} from './cluster.ts';

export type BenchFlags = {
	/** The built command line, and the built `bench/client.ts`. */
	readonly cli: string;
	readonly client: string;
	readonly nodes: number;
	readonly count: number;
	readonly size: number;
	readonly rate: number;
	readonly runs: number;
	readonly say: (line: string) => void;
};

const topic = 'bench' as Topic;
const tenths = (value: number): number => Math.round(value * 10) / 10;

/** One publisher, and a subscriber on every node; every message has a number. */
async function run(
	cluster: Cluster,
	flags: BenchFlags,
	load: {readonly rate: number; readonly count: number; readonly perCall: number; readonly inFlight: number},
) {
	const subscribers = cluster.nodes.map(
		node =>
			new Client(flags.client, {
				type: 'subscribe',
				options: clientOptions(cluster, node, topic),
				expect: load.count,
			}),
	);
	try {
		await Promise.all(subscribers.map(subscriber => subscriber.next('ready')));
		using publisher = new Client(flags.client, {
			type: 'publish',
			options: clientOptions(cluster, cluster.nodes[0]!, topic),
			first: 0,
			size: flags.size,
			...load,
		});
		const published = await publisher.next('published', 600_000);
		const received = await Promise.all(
			subscribers.map(subscriber =>
				subscriber.next('received', 60_000).catch(() => {
					subscriber.stop();
					return subscriber.next('received', 5000);
				}),
			),
		);
		return {published, received};
	} finally {
		for (const subscriber of subscribers) subscriber[Symbol.dispose]();
	}
}

type Run = Awaited<ReturnType<typeof run>>;
type Points = Array<Timeline['points'][number]>;
type Marks = Array<Timeline['marks'][number]>;

/** What the subscribers got over time, and what the publisher's node had stored. */
function pointsOfRun(index: number, {published, received}: Run): Timeline['points'] {
	return [
		...received.flatMap(({course}, at) => pointsOf(index, subscriberName(at), course)),
		...pointsOf(index, 'stored (ack)', published.course),
	];
}

function subscriberName(index: number): string {
	return index === 0 ? "publisher's node" : `node ${index + 1}`;
}

export async function latency(flags: BenchFlags): Promise<BenchResult> {
	await using cluster = new Cluster({cli: flags.cli});
	flags.say(`starting ${flags.nodes} nodes …`);
	await cluster.startAll(flags.nodes);
	const rate = flags.rate || 1000;
	const count = flags.count || rate * 10;
	flags.say(`publishing ${count} messages of ${flags.size} B at ${rate}/s …`);
	const measured = await run(cluster, flags, {rate, count, perCall: 1, inFlight: 1024});
	const {published, received} = measured;
	const rows = received.map((figures, index) => ({
		'subscriber on': subscriberName(index),
		'p50 µs': figures.latencyUs.p50,
		'p95 µs': figures.latencyUs.p95,
		'p99 µs': figures.latencyUs.p99,
		'max µs': figures.latencyUs.max,
		received: figures.unique,
		lost: count - figures.unique,
	}));
	return {
		bench: 'latency',
		setting: {nodes: flags.nodes, rate, size: flags.size, count},
		missed: [],
		timeline: {points: pointsOfRun(1, measured), marks: []},
		rows: [
			...rows,
			{
				'subscriber on': 'stored (ack)',
				'p50 µs': published.ackUs.p50,
				'p95 µs': published.ackUs.p95,
				'p99 µs': published.ackUs.p99,
				'max µs': published.ackUs.max,
				received: published.count,
				lost: published.failed,
			},
		],
	};
}

/**
`delivered/s` is the rate of the slowest subscriber; the sum over all subscribers has its own column.
*/
export async function throughput(flags: BenchFlags): Promise<BenchResult> {
	await using cluster = new Cluster({cli: flags.cli});
	flags.say(`starting ${flags.nodes} nodes …`);
	await cluster.startAll(flags.nodes);
	const count = flags.count || 300_000;
	const rows: Array<Record<string, number | string>> = [];
	const points: Points = [];
	for (let index = 0; index < flags.runs; index++) {
		flags.say(`run ${index + 1} of ${flags.runs}: ${count} messages of ${flags.size} B …`);
		const measured = await run(cluster, flags, {rate: 0, count, perCall: 500, inFlight: 16});
		const {published, received} = measured;
		points.push(...pointsOfRun(index + 1, measured));
		const {slowest, all} = deliveryRates(received);
		const delivered = received.reduce((sum, {unique}) => sum + unique, 0);
		rows.push({
			run: index + 1,
			'published/s': Math.round((published.count * 1000) / published.tookMs),
			'delivered/s': slowest,
			'MB/s': Math.round((slowest * flags.size) / 1e6),
			'all subscribers/s': all,
			'p50 ms': tenths(median(received.map(({latencyUs}) => latencyUs.p50 / 1000))),
			'p99 ms': tenths(Math.max(...received.map(({latencyUs}) => latencyUs.p99 / 1000))),
			lost: count * received.length - delivered,
			duplicates: received.reduce((sum, {duplicates}) => sum + duplicates, 0),
		});
	}

	rows.push({
		run: 'median',
		'published/s': median(rows.map(row => Number(row['published/s']))),
		'delivered/s': median(rows.map(row => Number(row['delivered/s']))),
		'all subscribers/s': median(rows.map(row => Number(row['all subscribers/s']))),
		lost: rows.reduce((sum, row) => sum + Number(row['lost']), 0),
	});
	const twice = rows
		.filter(row => Number(row['duplicates']) > 0)
		.map(row => `run ${row['run']}: ${row['duplicates']} messages were delivered twice`);
	return {
		bench: 'throughput',
		setting: {nodes: flags.nodes, size: flags.size, count},
		rows,
		missed: twice,
		timeline: {points, marks: []},
	};
}

/**
Checks that every node has every message once and in order, with a publisher at full speed and a node that is killed and
restarted. The messages of a node are read from its log.
*/
export async function reliability(flags: BenchFlags): Promise<BenchResult> {
	await using cluster = new Cluster({cli: flags.cli, topics: [topic]});
	flags.say(`starting ${flags.nodes} nodes …`);
	await cluster.startAll(flags.nodes);
	const count = flags.count || 20_000;
	using publisher = new Client(flags.client, {
		type: 'publish',
		options: clientOptions(cluster, cluster.nodes[0]!, topic),
		first: 0,
		size: flags.size,
		count,
		rate: flags.rate || 4000,
		perCall: 1,
		inFlight: 256,
	});
	const victim = cluster.nodes.at(-1)!;
	const marks: Marks = [];
	const mark = (text: string): void => void marks.push({run: 1, atMs: Date.now(), text});
	if (cluster.nodes.length > 1) {
		const broker = await cluster.client(victim);
		for await (const first of broker.subscribe([topic], {from: 'beginning'})) if (first.length > 0) break;
		flags.say(`killing node ${victim.port} under load …`);
		mark('kill');
		await victim.kill('SIGKILL');
		await broker[Symbol.asyncDispose]();
		await cluster.start(victim.port).waitFor(({type}) => type === 'ready', 'ready');
		mark('back');
	}

	const published = await publisher.next('published', 600_000);
	mark('all published');
	flags.say('reading the messages of every node …');
	const rows = await Promise.all(
		cluster.nodes.map(async (node, index) => {
			const {seen, twice, disordered} = await readLog(cluster, node, published.count);
			const wasKilled = index === cluster.nodes.length - 1 && cluster.nodes.length > 1;
			return {
				node: `${node.port}${wasKilled ? ' (killed, back)' : ''}`,
				messages: seen,
				lost: published.count - seen,
				duplicates: twice,
				'out of order': disordered,
			};
		}),
	);
	const missed = rows
		.filter(row => row.lost !== 0 || row.duplicates !== 0 || row['out of order'] !== 0)
		.map(
			row =>
				`node ${row.node}: ${row.lost} lost, ${row.duplicates} duplicates, ${row['out of order']} out of order`,
		);
	return {
		bench: 'reliability',
		setting: {nodes: flags.nodes, size: flags.size, count, acknowledged: published.count},
		rows,
		missed,
		timeline: {points: pointsOf(1, 'stored (ack)', published.course), marks},
	};
}

/** Reads the log of a node until it has all acknowledged messages, or none has arrived for a while. */
async function readLog(
	cluster: Cluster,
	node: NodeProcess,
	expect: number,
): Promise<{readonly seen: number; readonly twice: number; readonly disordered: number}> {
	await using broker = await cluster.client(node);
	const subscription = broker.subscribe([topic], {from: 'beginning'});
	const seen = new Set<string>();
	const newest = new Map<string, number>();
	let twice = 0;
	let disordered = 0;
	const giveUp = (): void => void subscription[Symbol.asyncDispose]();
	let timer = setTimeout(giveUp, 30_000);
	for await (const deliveries of subscription) {
		clearTimeout(timer);
		timer = setTimeout(giveUp, 30_000);
		for (const {origin, incarnation, seq} of deliveries) {
			const stream = `${origin}:${incarnation}`;
			if (seen.has(`${stream}:${seq}`)) twice++;
			else if (seq < (newest.get(stream) ?? 0)) disordered++;
			seen.add(`${stream}:${seq}`);
			newest.set(stream, seq);
		}

		if (seen.size >= expect) break;
	}

	clearTimeout(timer);
	return {seen: seen.size, twice, disordered};
}

type PartitionRow = {
	readonly run: number | 'median';
	readonly 'detected ms': number;
	readonly 'refused ms': number;
	readonly 'healed ms': number;
	readonly 'repaired ms': number;
	readonly lost: number;
};

/** Cuts a minority off, publishes on both sides and heals: times of detection, heal, and repair of the backlog. */
export async function partition(flags: BenchFlags): Promise<BenchResult> {
	const nodes = Math.max(3, flags.nodes);
	await using cluster = new Cluster({cli: flags.cli, topics: [topic], flags: ['--faults']});
	flags.say(`starting ${nodes} nodes …`);
	await cluster.startAll(nodes);
	const brokers = await Promise.all(cluster.nodes.map(node => cluster.client(node)));
	const rows: PartitionRow[] = [];
	const missed: string[] = [];
	const marks: Marks = [];
	for (let round = 1; round <= flags.runs; round++) {
		const {row, problems} = await partitionOnce(cluster, brokers, flags, round, marks);
		rows.push(row);
		missed.push(...problems.map(problem => `run ${round}: ${problem}`));
	}

	await Promise.all(brokers.map(broker => broker[Symbol.asyncDispose]()));
	rows.push({
		run: 'median',
		'detected ms': median(rows.map(row => row['detected ms'])),
		'refused ms': median(rows.map(row => row['refused ms'])),
		'healed ms': median(rows.map(row => row['healed ms'])),
		'repaired ms': median(rows.map(row => row['repaired ms'])),
		lost: rows.reduce((sum, row) => sum + row.lost, 0),
	});
	return {
		bench: 'partition',
		setting: {nodes, size: flags.size, runs: flags.runs},
		rows,
		missed,
		timeline: {points: [], marks},
	};
}

/** @param round counts from 1; each round publishes 1000 messages on either side, and earlier messages stay */
async function partitionOnce(
	cluster: Cluster,
	brokers: readonly Broker[],
	flags: BenchFlags,
	round: number,
	marks: Marks,
): Promise<{readonly row: PartitionRow; readonly problems: readonly string[]}> {
	const {nodes} = cluster;
	const far = nodes.slice(-Math.floor((nodes.length - 1) / 2));
	const start = new Map(nodes.map(node => [node, node.events.length]));
	const allReport = (state: string): Promise<JsonEvent[]> =>
		Promise.all(
			nodes.map(node =>
				node.waitFor(
					event => event.type === 'partition' && event['state'] === state,
					`partition ${state}`,
					start.get(node),
				),
			),
		);
	flags.say(`run ${round} of ${flags.runs}: cutting ${far.map(({port}) => port).join(', ')} off …`);
	const cutMs = Date.now();
	await cut(nodes, brokers, far);
	const detected = await allReport('detected');
	const {refusal, refusalMs} = await refusalOf(brokers.at(-1)!, `minority-${round - 1}` as Topic);
	const body = Buffer.alloc(flags.size);
	await Promise.all(
		[brokers[0]!, brokers.at(-1)!].map(broker =>
			broker.publish(
				topic,
				Array.from({length: 1000}, () => body),
			),
		),
	);
	const healMs = Date.now();
	await Promise.all(brokers.map(broker => broker.fault({type: 'heal'})));
	const healed = await allReport('healed');
	const repaired = await allReport('repaired');
	const lastMs = (events: readonly JsonEvent[]): number => Math.max(...events.map(({at}) => at));
	marks.push(
		{run: round, atMs: cutMs, text: 'cut'},
		{run: round, atMs: lastMs(detected), text: 'detected by all'},
		{run: round, atMs: healMs, text: 'links restored'},
		{run: round, atMs: lastMs(healed), text: 'healed at all'},
		{run: round, atMs: lastMs(repaired), text: 'repaired at all'},
	);
	const totals = await Promise.all(
		brokers.map(async broker => (await broker.snapshot()).topics.find(({name}) => name === topic)?.messages ?? 0),
	);
	const lost = totals.reduce((sum, total) => sum + (round * 2000 - total), 0);
	const problems: string[] = [];
	if (lost !== 0) problems.push(`${lost} messages are not on every node (${totals.join(', ')})`);
	if (!refusal.startsWith('no quorum')) problems.push(`the minority side answered a subscription with: ${refusal}`);
	const slowest = (events: readonly JsonEvent[], sinceMs: number): number =>
		Math.max(...events.map(({at}) => at - sinceMs));
	return {
		row: {
			run: round,
			'detected ms': slowest(detected, cutMs),
			'refused ms': Math.round(refusalMs),
			'healed ms': slowest(healed, healMs),
			'repaired ms': slowest(repaired, healMs),
			lost,
		},
		problems,
	};
}

/** Cuts these nodes off from the others, both ways, for a minute or until a heal. */
async function cut(
	nodes: readonly NodeProcess[],
	brokers: readonly Broker[],
	far: readonly NodeProcess[],
): Promise<void> {
	await Promise.all(
		nodes.map((node, at) =>
			brokers[at]!.fault({
				type: 'cut',
				direction: 'both',
				forMs: 60_000,
				peers: nodes.filter(other => far.includes(other) !== far.includes(node)).map(({id}) => id as NodeId),
			}),
		),
	);
}

/** The error of a subscription through this node, or `accepted`, and the time until the answer. */
async function refusalOf(broker: Broker, to: Topic): Promise<{readonly refusal: string; readonly refusalMs: number}> {
	const startMs = performance.now();
	const refusal = await broker.subscribeNode(to).then(
		() => 'accepted',
		(error: Error) => error.message,
	);
	return {refusal, refusalMs: performance.now() - startMs};
}

/** Kills the leader (kill -9): time until the other nodes have a new one. */
export async function failover(flags: BenchFlags): Promise<BenchResult> {
	await using cluster = new Cluster({cli: flags.cli});
	flags.say(`starting ${flags.nodes} nodes …`);
	await cluster.startAll(flags.nodes);
	const gaps: number[] = [];
	const marks: Marks = [];
	for (let index = 0; index < flags.runs; index++) {
		const leader = cluster.leader()!;
		const others = cluster.nodes.filter(node => node !== leader);
		const start = others.map(node => node.events.length);
		const killedMs = Date.now();
		await leader.kill('SIGKILL');
		const elected = await Promise.all(
			others.map((node, at) =>
				node.waitFor(
					event =>
						event.type === 'leader' &&
						event['leader'] !== undefined &&
						event['leader'] !== null &&
						event['leader'] !== leader.id,
					'new leader',
					start[at],
				),
			),
		);
		gaps.push(Math.max(...elected.map(({at}) => at - killedMs)));
		const mark = (atMs: number, text: string): void => void marks.push({run: index + 1, atMs, text});
		mark(killedMs, 'leader killed');
		mark(Math.min(...elected.map(({at}) => at)), 'first node has a new leader');
		mark(killedMs + gaps.at(-1)!, 'all have a new leader');
		flags.say(`run ${index + 1} of ${flags.runs}: new leader after ${gaps.at(-1)!} ms`);
		const back = cluster.start(leader.port);
		await back.waitFor(
			event => event.type === 'leader' && typeof event['leader'] === 'string',
			'leader after restart',
		);
	}

	const {p50, p95, p99, max} = percentilesOf(gaps);
	return {
		bench: 'failover',
		setting: {nodes: flags.nodes, runs: flags.runs},
		missed: [],
		timeline: {points: [], marks},
		rows: [{kills: gaps.length, 'p50 ms': p50, 'p95 ms': p95, 'p99 ms': p99, 'max ms': max}],
	};
}
