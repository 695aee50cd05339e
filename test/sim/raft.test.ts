/**
Whole Raft clusters from seeds. `SEED=7` replays one run exactly; `SEEDS=10000 SEED_FROM=1` runs a campaign.
*/
import {afterAll, describe, expect, it} from 'vitest';
import {simulateRaft, type Outcome} from './raft-cluster.ts';
import {seeds} from './random.ts';

const all = seeds(200);
const perTest = 20;
const totals = new Map<keyof Outcome, number>();
const recoveredMs: number[] = [];

describe('Raft under faults', () => {
	for (let at = 0; at < all.length; at += perTest) {
		const some = all.slice(at, at + perTest);
		it(`keeps its guarantees: seeds ${some[0]} to ${some.at(-1)}`, {timeout: 120_000}, () => {
			for (const seed of some) {
				const outcome = simulateRaft(seed);
				recoveredMs.push(outcome.recoveredMs);
				for (const [name, value] of Object.entries(outcome))
					totals.set(name as keyof Outcome, (totals.get(name as keyof Outcome) ?? 0) + value);
			}
		});
	}

	it('replays a seed exactly', () => {
		for (const seed of all.slice(0, 3)) expect(simulateRaft(seed)).toEqual(simulateRaft(seed));
	});

	it.skipIf(all.length < 100)('met every kind of fault', () => {
		for (const name of [
			'leaders',
			'applied',
			'reads',
			'changes',
			'transfers',
			'crashes',
			'pauses',
			'snapshotsTaken',
			'snapshotsInstalled',
			'lost',
			'duplicated',
			'cut',
		] as const) {
			expect(totals.get(name), name).toBeGreaterThan(all.length / 4);
		}
	});
});

afterAll(() => {
	const sorted = recoveredMs.toSorted((a, b) => a - b);
	totals.delete('fingerprint');
	totals.delete('recoveredMs');
	console.log(
		`${sorted.length} seeds: ${[...totals].map(([name, value]) => `${name} ${value}`).join(', ')}; agreed after the heal: median ${sorted[Math.floor(sorted.length / 2)]} ms, worst ${sorted.at(-1)} ms`,
	);
});
