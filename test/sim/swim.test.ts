/**
Whole SWIM clusters from seeds. `SEED=7` replays one; `SEEDS=1000` runs a campaign. Two properties are tested: every
node detects a silent member within a bound, and after the faults every live node is alive to all and every row is
complete. False positives (a member that runs and is connected, yet is declared dead) are counted and printed.
*/
import {afterAll, describe, expect, test, vi} from 'vitest';
import {Health} from '../../core/swim/health.ts';
import {createRandom, seeds} from './random.ts';
import {idOf, nameOf, SwimCluster} from './swim-cluster.ts';
import {trouble} from './swim-run.ts';

const totals = new Map<string, number>();
const count = (name: string, by = 1): void => void totals.set(name, (totals.get(name) ?? 0) + by);
const worst = (name: string, value: number): void => void totals.set(name, Math.max(totals.get(name) ?? 0, value));

afterAll(() => console.log([...totals].map(([name, value]) => `${name} ${value}`).join(', ')));

const campaigns = [
	{nodes: 3, runs: 15},
	{nodes: 5, runs: 15},
	{nodes: 20, runs: 2},
	{nodes: 50, runs: 1},
];

describe.each(campaigns)('$nodes nodes', ({nodes, runs}) => {
	test('after the faults every live node is alive to all', {timeout: 120_000}, () => {
		for (const seed of seeds(runs)) {
			const loss = createRandom(`${seed}/loss`).between(0, 20);
			const cluster = new SwimCluster({seed, nodes, loss, refuses: seed % 2 === 0, linked: seed % 3 !== 0});
			trouble(cluster, seed, nodes > 20 ? 5000 : 15_000, count);
			const label = `seed ${seed}, ${nodes} nodes, ${loss} % loss`;
			const isSettled = (): boolean =>
				cluster.names.every(name => {
					const {partition, members, matrix} = cluster.swim(name).status();
					return (
						partition.state !== 'partitioned' &&
						members.every(({state}) => state === 'alive') &&
						matrix.sees.every(row => row.every(heard => heard === true))
					);
				});
			const endMs = cluster.nowMs;
			let waitedMs = 0;
			for (; !isSettled() && waitedMs < 15_000; waitedMs += 50) cluster.run(50);
			expect(cluster.wrongs(), label).toEqual([]);
			expect(isSettled(), label).toBe(true);
			worst(`settled after at most (ms, ${nodes} nodes)`, cluster.nowMs - endMs);
			for (const name of cluster.names)
				expect(cluster.swim(name).status().bounds, label).toEqual({outbox: 0, relays: 0, rowMismatches: 0});
		}
	});

	test(
		'no node is declared dead without a fault, and a crash is detected within the bound',
		{timeout: 120_000},
		() => {
			for (const seed of seeds(runs)) {
				const loss = createRandom(`${seed}/loss`).between(0, 20);
				const cluster = new SwimCluster({
					seed: `${seed}/quiet`,
					nodes,
					loss,
					refuses: false,
					linked: seed % 3 !== 0,
				});
				cluster.run(nodes > 20 ? 5000 : 10_000);
				const label = `seed ${seed}, ${nodes} nodes, ${loss} % loss`;
				for (const {type, ...rest} of cluster.seen) {
					if (type === 'partition') expect(rest, label).toBeUndefined();
					else if ('state' in rest && rest.state === 'suspect') count('false suspicions');
					else if ('state' in rest && rest.state === 'dead') count('false deaths');
				}

				expect(totals.get('false deaths') ?? 0, label).toBe(0);
				const fromMs = cluster.nowMs;
				cluster.crash('n1');
				cluster.run(nodes > 20 ? 3500 : 3000);
				const found = cluster
					.since(fromMs)
					.filter(seen => seen.type === 'member' && nameOf(seen.id) === 'n1' && seen.state === 'dead');
				expect(new Set(found.map(({node}) => node)).size, label).toBe(nodes - 1);
				worst(
					`found dead after at most (ms, ${nodes} nodes)`,
					Math.max(...found.map(({atMs}) => atMs - fromMs)),
				);
			}
		},
	);

	test('all nodes detect a cut with the same two sides, and its heal', {timeout: 120_000}, () => {
		for (const seed of seeds(runs)) {
			const random = createRandom(`${seed}/cut`);
			const loss = random.between(0, 20);
			const cluster = new SwimCluster({seed: `${seed}/cut`, nodes, loss, refuses: false});
			cluster.run(2000);
			const label = `seed ${seed}, ${nodes} nodes, ${loss} % loss`;
			const shuffled = random.shuffle(cluster.names);
			const at = random.between(1, nodes - 1);
			const sides = [shuffled.slice(0, at), shuffled.slice(at)]
				.map(side =>
					side
						.map(name => idOf(name))
						.toSorted()
						.join(' '),
				)
				.toSorted();
			const cutMs = cluster.nowMs;
			cluster.partition(shuffled.slice(0, at), shuffled.slice(at));
			cluster.run(nodes > 5 ? 5000 : 1500);
			const detected = cluster.since(cutMs).flatMap(seen => (seen.type === 'partition' ? [seen] : []));
			expect(detected.map(({node}) => node).toSorted(), label).toEqual(cluster.names.toSorted()); // Once each.
			for (const event of detected) {
				expect(event.state, label).toBe('detected');
				expect(event.sides.map(side => side.join(' ')).toSorted(), label).toEqual(sides);
				expect(event.sides[0], label).toContain(idOf(event.node));
				if (nodes <= 5) expect(event.atMs - cutMs, label).toBeLessThanOrEqual(1000);
				worst(`cut detected after at most (ms, ${nodes} nodes)`, event.atMs - cutMs);
			}

			const healMs = cluster.nowMs;
			cluster.heal();
			cluster.run(1500);
			const healed = cluster.since(healMs).flatMap(seen => (seen.type === 'partition' ? [seen] : []));
			expect(healed.map(({node, state}) => `${node} ${state}`).toSorted(), label).toEqual(
				cluster.names.map(name => `${name} healed`).toSorted(),
			);
			worst(
				`heal detected after at most (ms, ${nodes} nodes)`,
				Math.max(...healed.map(({atMs}) => atMs - healMs)),
			);
			expect(cluster.swim('n1').status().partition.state, label).toBe('repairing');
			expect(cluster.swim('n1').repaired(), label).toBe(true);
			expect(cluster.swim('n1').status().partition.state, label).toBe('whole');
		}
	});
});

/**
How often two nodes that are repeatedly too busy to read their input suspect the other nodes, all of which run and are
connected.
*/
function falseAccusations(seed: number): number {
	const cluster = new SwimCluster({seed: `${seed}/slow`, nodes: 8, loss: 10, refuses: false, linked: false});
	const random = createRandom(`${seed}/slow`);
	const slow = new Set(['n1', 'n2']);
	cluster.run(2000);
	for (let turn = 0; turn < 25; turn++) {
		for (const name of slow)
			for (const other of cluster.names) if (other !== name) cluster.world.network.cut(idOf(other), idOf(name));
		cluster.run(random.between(300, 800));
		cluster.world.network.heal();
		cluster.run(random.between(100, 400));
	}

	return cluster.seen.filter(
		seen =>
			seen.type === 'member' &&
			slow.has(seen.node) &&
			(seen.state === 'suspect' || seen.state === 'dead') &&
			!slow.has(nameOf(seen.id)),
	).length;
}

test('local health: a slow node suspects fewer of the others', {timeout: 120_000}, () => {
	const runs = seeds(8);
	const sum = (): number => runs.reduce((total, seed) => total + falseAccusations(seed), 0);
	const withHealth = sum();
	const stretch = vi.spyOn(Health.prototype, 'stretch').mockImplementation(ticks => ticks);
	const without = sum();
	stretch.mockRestore();
	count('healthy members accused by slow ones, with local health', withHealth);
	count('healthy members accused by slow ones, without', without);
	expect(without).toBeGreaterThan(withHealth);
});

test('a paused node suspects no healthy node, and neither do the others', {timeout: 60_000}, () => {
	const stalled = ['n1', 'n2', 'n3'];
	for (const seed of seeds(20)) {
		const cluster = new SwimCluster({seed: `${seed}/pauses`, nodes: 8, loss: 10, refuses: false});
		const random = createRandom(`${seed}/pauses`);
		cluster.run(2000);
		for (let turn = 0; turn < 40; turn++) {
			cluster.world.pause(idOf(random.pick(stalled)), random.between(300, 1500));
			cluster.run(random.between(200, 800));
		}

		expect(
			cluster.seen.filter(
				seen => seen.type === 'member' && seen.state !== 'alive' && !stalled.includes(nameOf(seen.id)),
			),
			`seed ${seed}`,
		).toEqual([]);
		expect(
			cluster.seen.some(seen => seen.type === 'member' && seen.state === 'suspect'),
			`seed ${seed}`,
		).toBe(true);
	}
});

test('a seed replays exactly', () => {
	const run = (): readonly [number, string] => {
		const cluster = new SwimCluster({seed: 1, nodes: 5, loss: 10});
		trouble(cluster, 1, 5000);
		cluster.run(1000);
		return [cluster.world.fingerprint, JSON.stringify(cluster.seen)];
	};

	expect(run()).toEqual(run());
});
