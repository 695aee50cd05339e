/**
Gossip under faults, from seeds: loss, partitions, cut links, crashes, wiped nodes, congestion, retention, late and
ended subscriptions. After the heal every node has all retained messages that it subscribes to, each once and in order.
Every release is checked when it happens.
*/
import {describe, expect, test} from 'vitest';
import type {NodeId} from '../../core/message.ts';
import {GossipCluster, tickMs} from './gossip-cluster.ts';
import {seeds, type SeededRandom} from './random.ts';

type Trouble = {
	readonly nodes: number;
	/** How long the faults last, and the mean time between publishes. */
	readonly forMs: number;
	readonly everyMs: number;
	/** How long convergence after the heal may take. */
	readonly maxMs: number;
	readonly retention?: boolean;
};
type Outcome = {
	readonly tookMs: number | undefined;
	readonly cluster: GossipCluster;
	readonly hits: Record<string, number>;
};

/**
Some seconds of faults, then a heal. The seed decides which faults occur and how bad the links are (swarm testing).
*/
function trouble(seed: number, {nodes, forMs, everyMs, maxMs, retention = false}: Trouble): Outcome {
	const cluster = new GossipCluster({
		seed,
		nodes,
		topics: ['news', 'sport', 'weather'],
		link: {
			loss: [
				[0, 1],
				[1, 100],
				[5, 100],
				[20, 100],
			][seed % 4] as [number, number],
			duplication: [seed % 3, 100],
			ordered: seed % 2 === 0,
			delayMs: [1, [2, 5, 30][seed % 3]!],
		},
		config: seed % 5 === 0 ? {repairBytes: 20_000, heldBytes: 30_000} : {},
	});
	const random = cluster.random.child('script');
	const hits: Record<string, number> = {};
	for (const topic of cluster.topics)
		for (const node of cluster.nodes) if (random.chance(3, 4)) cluster.subscribe(node, topic, 0);
	const act = (): void => {
		if (cluster.schedule.nowMs > forMs) return;
		publishSome(cluster, random);
		if (random.chance(everyMs, 1000)) disturb(cluster, random, hits);
		if (retention && random.chance(1, 10))
			cluster.retain(random.pick(cluster.up), random.pick(cluster.topics), random.between(2, 40));
		cluster.schedule.after(random.between(1, everyMs * 2), act);
	};

	act();
	cluster.run(forMs);
	cluster.network.set({loss: [0, 1]});
	cluster.heal();
	for (const node of cluster.nodes) {
		if (!node.isUp && random.chance(2, 3)) cluster.start(node);
		if (node.isUp) for (const peer of cluster.nodes) node.gossip.setCongested(peer.id, false);
	}

	return {cluster, hits, tookMs: cluster.runUntil(() => cluster.lacking().length === 0, maxMs)};
}

/**
Messages after a gap wait for thirty repair rounds if only a lost node could fill the gap (its disk was wiped, or it
never came back). Then the gap is reported as missed and the rest is delivered. Everything else must be there. Returns
the time from the heal, in milliseconds.
*/
function settle(seed: number, {cluster, tookMs}: Outcome, maxMs: number): number {
	const isLost = (id: string): boolean => !cluster.up.some(node => node.id === id);
	let total = tookMs;
	if (total === undefined) {
		const waiting = cluster
			.lacking()
			.filter(line => !isLost(line.slice('0123456789abcdef lacks '.length).split(':')[0]!));
		expect(waiting, `SEED=${seed}`).toEqual([]);
		const more = cluster.runUntil(() => cluster.lacking().length === 0, 35_000);
		expect(more, `SEED=${seed}: ${cluster.lacking().slice(0, 5).join('; ')}`).toBeDefined();
		total = maxMs + more!;
	} else
		expect(
			cluster.nodes.flatMap(({missed}) => missed),
			`SEED=${seed}`,
		).toEqual([]);

	expect(
		cluster.nodes.flatMap(({missed}) => missed).filter(({origin}) => !isLost(origin)),
		`SEED=${seed}`,
	).toEqual([]);
	return total;
}

function publishSome(cluster: GossipCluster, random: SeededRandom): void {
	const node = random.pick(cluster.up);
	const size = random.chance(1, 20) ? 9000 : random.below(40);
	cluster.publish(
		node,
		random.pick(cluster.topics),
		Array.from({length: random.between(1, 4)}, (_, index) => `${index}`.padEnd(size, '.')),
	);
}

type Fault = 'partition' | 'cut' | 'heal' | 'crash' | 'wipe' | 'congest' | 'subscribe';
const faults: readonly Fault[] = ['partition', 'cut', 'heal', 'crash', 'crash', 'wipe', 'congest', 'subscribe'];

function disturb(cluster: GossipCluster, random: SeededRandom, hits: Record<string, number>): void {
	const {up, nodes} = cluster;
	const node = random.pick(up);
	const fault = random.pick(faults);
	const isDeadly = fault === 'crash' || fault === 'wipe';
	// At most three incarnations after the first, because older ones count as seen.
	if (isDeadly && (up.length < 3 || node.incarnation > 3 || (hits['deaths'] ?? 0) > nodes.length)) return;
	hits[fault] = (hits[fault] ?? 0) + 1;
	if (isDeadly) hits['deaths'] = (hits['deaths'] ?? 0) + 1;
	switch (fault) {
		case 'partition': {
			const sides = random.shuffle(nodes.map(({id}) => id));
			const middle = random.between(1, sides.length - 1);
			cluster.partition([sides.slice(0, middle), sides.slice(middle)]);
			cluster.schedule.after(random.between(200, 4000), () => cluster.heal());
			return;
		}

		case 'cut': {
			const other = random.pick(nodes);
			if (other !== node) cluster.cut(node.id, other.id);
			return;
		}

		case 'heal':
			return cluster.heal();
		case 'crash': {
			cluster.crash(node);
			cluster.schedule.after(random.between(10, 3000), () => {
				if (!node.isUp && nodes.includes(node)) cluster.start(node);
			});
			return;
		}

		case 'wipe': {
			// The disk was wiped: the node returns under another id.
			for (const topic of cluster.topics)
				if (cluster.subscriptions.get(topic)?.has(node.id)) cluster.unsubscribe(node, topic);
			cluster.crash(node);
			nodes.splice(nodes.indexOf(node), 1);
			const fresh = cluster.add();
			cluster.start(fresh);
			for (const topic of cluster.topics)
				if (random.chance(3, 4)) cluster.subscribe(fresh, topic, random.chance(1, 2) ? 0 : fresh.lamport.now);
			return;
		}

		case 'congest': {
			const peer = random.pick(nodes);
			const {incarnation} = node;
			node.gossip.setCongested(peer.id, true);
			cluster.schedule.after(random.between(100, 1500), () => {
				if (node.incarnation === incarnation) node.gossip.setCongested(peer.id, false);
			});
			return;
		}

		case 'subscribe': {
			const topic = random.pick(cluster.topics);
			if (cluster.subscriptions.get(topic)?.has(node.id)) cluster.unsubscribe(node, topic);
			else cluster.subscribe(node, topic);
			return;
		}

		default:
			fault satisfies never;
	}
}

function check(seed: number, {cluster}: Outcome): void {
	for (const node of cluster.up) {
		const {late, unconfirmed} = node.gossip.status();
		expect(late <= node.inversions, `SEED=${seed}: ${late} late, ${node.inversions} seen`).toBe(true);
		// A newer incarnation overtakes an older one only if the origin could not be asked.
		if (unconfirmed + node.unconfirmed === 0) expect(node.inversions, `SEED=${seed} ${node.id}`).toBe(0);
	}
}

const percentile = (numbers: readonly number[], share: number): number =>
	numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]!;

describe('gossip under faults', () => {
	test('3 to 10 nodes: every node has every message once and in order soon after the heal', () => {
		const took: number[] = [];
		const hits: Record<string, number> = {};
		let [pushed, repaired, refused, unconfirmed] = [0, 0, 0, 0];
		for (const seed of seeds(180)) {
			const outcome = trouble(seed, {
				nodes: [3, 5, 5, 5, 10][seed % 5]!,
				forMs: 6000,
				everyMs: 40,
				maxMs: 12_000,
			});
			const tookMs = settle(seed, outcome, 12_000);
			check(seed, outcome);
			const {nodes} = outcome.cluster;
			if (nodes.length === 5) took.push(tookMs);
			for (const [fault, count] of Object.entries(outcome.hits)) hits[fault] = (hits[fault] ?? 0) + count;
			for (const node of nodes) {
				pushed += node.pushedFirst;
				repaired += node.repairedFirst;
				refused += node.gossip.status().bounds.get('held') ?? 0;
				unconfirmed += node.unconfirmed;
			}
		}

		console.log(
			`5 nodes, after the heal: p50 ${percentile(took, 0.5)} ms, p99 ${percentile(took, 0.99)} ms, worst ${percentile(took, 1)} ms of ${took.length}; pushed ${pushed}, repaired ${repaired}, refused ${refused}, unconfirmed ${unconfirmed}`,
			hits,
		);
		if (took.length >= 100) expect(percentile(took, 0.99)).toBeLessThanOrEqual(3000); // Fewer have no percentile.
		// Whether every fault and bound was met can only be said of the whole set, not of selected seeds.
		const {SEED, SEEDS, SEED_FROM} = process.env;
		if (SEED !== undefined || SEEDS !== undefined || SEED_FROM !== undefined) return;
		for (const fault of faults) expect(hits[fault], fault).toBeGreaterThan(20);
		expect(Math.min(pushed, repaired, refused)).toBeGreaterThan(20);
	}, 120_000);

	test('with retention: retained messages are delivered, removed ones are reported, and no node waits forever', () => {
		let missed = 0;
		for (const seed of seeds(20)) {
			const outcome = trouble(seed, {nodes: 5, forMs: 6000, everyMs: 25, maxMs: 30_000, retention: true});
			const {cluster} = outcome;
			// A gap may have been given up and reported before the heal brought back a node that had it. Then it stays
			// skipped.
			const isTold = (id: NodeId): boolean => cluster.nodes.find(node => node.id === id)!.missed.length > 0;
			const waits = (): string[] => cluster.lacking().filter(line => !isTold(line.slice(0, 16) as NodeId));
			expect(
				cluster.runUntil(() => waits().length === 0, 5000),
				`SEED=${seed}: ${waits().slice(0, 3).join('; ')}`,
			).toBeDefined();
			// Everything published from now on arrives.
			const last = cluster.topics.flatMap(topic => cluster.up.map(node => cluster.publish(node, topic, ['end'])));
			const lacks = (): number =>
				last.filter(({topic, lamport, origin}) =>
					cluster.up.some(node => {
						const since = cluster.subscriptions.get(topic)?.get(node.id);
						return (
							since !== undefined &&
							lamport > since &&
							!node.log
								.get(topic)
								?.some(({batch}) => batch.origin === origin && batch.lamport === lamport)
						);
					}),
				).length;
			expect(
				cluster.runUntil(() => lacks() === 0, 35_000),
				`SEED=${seed}`,
			).toBeDefined();
			missed += cluster.nodes.reduce(
				(sum, node) => sum + node.missed.reduce((messages, item) => messages + item.messages, 0),
				0,
			);
		}

		expect(missed).toBeGreaterThan(0);
	}, 120_000);

	test('a seed replays exactly', () => {
		const options = {nodes: 5, forMs: 4000, everyMs: 30, maxMs: 12_000};
		for (const seed of seeds(4)) {
			const [first, second] = [trouble(seed, options), trouble(seed, options)];
			expect(first.cluster.fingerprint).toBe(second.cluster.fingerprint);
			expect(first.cluster.published.length).toBeGreaterThan(20);
		}
	}, 60_000);
});

describe('a large cluster', () => {
	/** All nodes subscribe to one topic. Publish to it for `forMs`. */
	function publishAll(cluster: GossipCluster, forMs: number, everyMs: number, body = 'body'): void {
		const random = cluster.random.child('publish');
		const untilMs = cluster.schedule.nowMs + forMs;
		const act = (): void => {
			if (cluster.schedule.nowMs > untilMs) return;
			cluster.publish(random.pick(cluster.up), cluster.topics[0]!, [body]);
			cluster.schedule.after(everyMs, act);
		};

		act();
		cluster.run(forMs);
	}

	const all = (cluster: GossipCluster): void => {
		for (const node of cluster.nodes) cluster.subscribe(node, cluster.topics[0]!, 0);
		cluster.run(1000);
	};

	test('50 nodes, 20 % loss, a fifth crashed: pushes reach nearly all nodes, repair reaches the rest within 5 s', () => {
		let [pushed, repaired] = [0, 0];
		for (const seed of seeds(3)) {
			const cluster = new GossipCluster({seed, nodes: 50, link: {loss: [20, 100]}});
			all(cluster);
			const random = cluster.random.child('crash');
			for (const node of random.shuffle(cluster.nodes).slice(0, 10)) cluster.crash(node);
			cluster.run(500);
			publishAll(cluster, 3000, 25);
			expect(
				cluster.runUntil(() => cluster.lacking().length === 0, 5000),
				`SEED=${seed}: ${cluster.lacking().slice(0, 3).join('; ')}`,
			).toBeDefined();
			for (const node of cluster.up) {
				pushed += node.pushedFirst;
				repaired += node.repairedFirst;
				expect(node.missed).toEqual([]);
			}
		}

		console.log(`50 nodes, 20 % loss: pushes alone reached ${((100 * pushed) / (pushed + repaired)).toFixed(2)} %`);
		expect(pushed / (pushed + repaired)).toBeGreaterThanOrEqual(0.98);
	}, 120_000);

	test('the cost of a batch per node does not depend on the number of nodes, and few hops suffice', () => {
		const costs = [3, 10, 50, 100].map(nodes => {
			const cluster = new GossipCluster({seed: 1, nodes});
			all(cluster);
			publishAll(cluster, 10_000, 20); // Until all nodes have reduced their fanout to one.
			cluster.run(3000);
			const idle = {frames: cluster.frames, bytes: cluster.bytes};
			cluster.run(5000);
			const [idleFrames, idleBytes] = [cluster.frames - idle.frames, cluster.bytes - idle.bytes];
			const before = {
				frames: cluster.frames,
				bytes: cluster.bytes,
				pushes: cluster.pushes,
				published: cluster.published.length,
			};
			cluster.hopsMax = 0;
			publishAll(cluster, 3000, 20, 'x'.repeat(128));
			cluster.run(2000);
			expect(cluster.lacking()).toEqual([]);
			expect(cluster.hopsMax).toBeLessThanOrEqual(Math.log2(nodes) + 3);
			// The cost of an idle period of the same length is subtracted.
			const a = (count: number): number => count / (cluster.published.length - before.published) / (nodes - 1);
			return {
				pushes: a(cluster.pushes - before.pushes),
				frames: a(cluster.frames - before.frames - idleFrames),
				bytes: a(cluster.bytes - before.bytes - idleBytes),
			};
		});
		for (const what of ['pushes', 'frames', 'bytes'] as const) {
			const figures = costs.map(cost => cost[what]);
			console.log(
				`${what} a node and batch with 3, 10, 50, 100 nodes: ${figures.map(figure => figure.toFixed(2)).join(', ')}`,
			);
			const middle = (Math.max(...figures) + Math.min(...figures)) / 2;
			expect((Math.max(...figures) - middle) / middle, what).toBeLessThanOrEqual(what === 'pushes' ? 0.02 : 0.15);
		}
	}, 60_000);

	test('after a long partition of 30 nodes, both sides have everything within 3 s', () => {
		for (const seed of seeds(2)) {
			const cluster = new GossipCluster({seed, nodes: 30, config: {repairBytes: 65_536}});
			all(cluster);
			const ids = cluster.nodes.map(({id}) => id);
			cluster.partition([ids.slice(0, 12), ids.slice(12)]);
			cluster.run(500);
			publishAll(cluster, 8000, 8);
			cluster.heal();
			expect(
				cluster.runUntil(() => cluster.lacking().length === 0, 3000),
				`SEED=${seed}`,
			).toBeDefined();
			cluster.run(40 * tickMs);
			for (const node of cluster.nodes)
				expect(
					node.gossip.status().inSync.every(({synced}) => synced),
					node.id,
				).toBe(true);
			// Missing batches were sent about once, not once by each peer that had them.
			const needed = cluster.nodes.reduce((sum, node) => sum + node.repairedFirst, 0);
			expect(needed).toBeGreaterThan(5000);
			expect(cluster.repairs / needed).toBeLessThan(1.1);
		}
	}, 60_000);
});
