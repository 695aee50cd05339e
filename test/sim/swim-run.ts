/**
Failure detection alone, one run from a seed. First nothing happens, and no node may be declared dead. Then two members
cannot reach each other, but the others reach both. Then a member crashes and restarts, and all others must detect both.
Then faults of every kind follow. After them all nodes must consider every live node alive, and every row is complete.
*/
import {createRandom} from './random.ts';
import {idOf, nameOf, SwimCluster} from './swim-cluster.ts';

const quietMs = 5000;
const cutMs = 3000;
const foundMs = 3000;
const backMs = 3000;
const troubleMs = 8000;
const settledMs = 15_000;

/** @throws the violation, with the seed and the virtual time */
export function simulateSwim(seed: number): void {
	const random = createRandom(`${seed}/swim`);
	const loss = random.chance(1, 2) ? 0 : random.between(1, 20);
	const cluster = new SwimCluster({
		seed: `${seed}/swim`,
		nodes: random.pick([3, 4, 5, 8]),
		loss,
		refuses: false,
		linked: random.chance(2, 3),
	});
	const fail = (rule: string, what: string): never => {
		throw new Error(
			`SEED=${seed} (replays it), at ${cluster.nowMs} ms, event ${cluster.world.events}: ${rule}: ${what}`,
		);
	};

	const accused = (fromMs: number, states: readonly string[]): string[] =>
		cluster
			.since(fromMs)
			.flatMap(seen =>
				seen.type === 'member' && states.includes(seen.state)
					? [`${seen.node} calls ${nameOf(seen.id)} ${seen.state}`]
					: [],
			);
	/** Run until there are no problems. */
	const until = (rule: string, withinMs: number, wrong: () => readonly string[]): void => {
		const endMs = cluster.nowMs + withinMs;
		while (wrong().length > 0) {
			if (cluster.nowMs >= endMs) fail(rule, wrong().slice(0, 3).join(', '));
			cluster.run(50);
		}
	};

	cluster.run(quietMs);
	const early = accused(0, ['dead']);
	if (early.length > 0) fail('no node is declared dead without a fault', early[0]!);

	const [one, other] = random.shuffle(cluster.names) as [string, string];
	if (loss === 0) {
		const fromMs = cluster.nowMs;
		cluster.cut(one, other);
		cluster.cut(other, one);
		cluster.run(cutMs);
		const wrong = accused(fromMs, ['suspect', 'dead']);
		if (wrong.length > 0) fail('a node that others reach is not suspected', wrong[0]!);
		cluster.heal();
		cluster.run(1000);
	}

	cluster.crash(one);
	until('every node declares a crashed node dead', foundMs, () =>
		cluster
			.up()
			.filter(node => cluster.states(node)[one] !== 'dead')
			.map(node => `${node} thinks ${one} ${cluster.states(node)[one]}`),
	);
	cluster.restart(one);
	until('every node sees a restarted node', backMs, () => cluster.wrongs());

	trouble(cluster, seed, troubleMs);
	until('after the faults every live node is alive to all', settledMs, () => [
		...cluster.wrongs(),
		...cluster.names
			.filter(name => {
				const {partition, matrix} = cluster.swim(name).status();
				return partition.state === 'partitioned' || matrix.sees.some(row => row.some(heard => heard !== true));
			})
			.map(name => `${name} does not hear all`),
	]);
}

/** Crashes, cuts, one-way cuts and pauses for a while; then all faults end. */
export function trouble(
	cluster: SwimCluster,
	seed: number,
	forMs: number,
	count: (kind: string) => void = () => undefined,
): void {
	const random = createRandom(`${seed}/trouble`);
	const {names} = cluster;
	for (const untilMs = cluster.nowMs + forMs; cluster.nowMs < untilMs;) {
		const kind = random.pick(['crash', 'restart', 'split', 'one-way', 'pause', 'heal'] as const);
		count(kind);
		switch (kind) {
			case 'crash': {
				cluster.crash(random.pick(names));
				break;
			}

			case 'restart': {
				for (const name of names) cluster.restart(name);
				break;
			}

			case 'split': {
				const shuffled = random.shuffle(names);
				const at = random.between(1, names.length - 1);
				cluster.partition(shuffled.slice(0, at), shuffled.slice(at));
				break;
			}

			case 'one-way': {
				const [from, to] = random.shuffle(names);
				cluster.cut(from!, to!);
				break;
			}

			case 'pause': {
				cluster.world.pause(idOf(random.pick(names)), random.between(50, 3000));
				break;
			}

			case 'heal': {
				cluster.heal();
				break;
			}

			default:
				kind satisfies never;
		}

		cluster.run(random.between(20, 2000));
	}

	cluster.heal();
	for (const name of names) {
		cluster.restart(name);
		cluster.world.resume(idOf(name));
	}
}
