/**
Clusters with a member that lies: a few seeds (`npm run sim -- --liar` runs more), and failures that earlier seeds found.
*/
import {expect, test} from 'vitest';
import type {Outcome} from './node/cluster.ts';
import {lieKinds} from './node/liar/lies.ts';
import {seeds} from './random.ts';
import {attemptLiar} from './worker.ts';

/** Run in an event of its own, because promise callbacks cannot be drained from within one. */
async function run(seed: number, isOnce = true): Promise<Outcome> {
	const outcome = await new Promise<Outcome | string>(resolve =>
		setImmediate(() => resolve(attemptLiar(seed, isOnce))),
	);
	if (typeof outcome === 'string') throw new Error(outcome);
	return outcome;
}

test('honest nodes live on, and agree again without the liar, in each of a few seeds', async () => {
	const lied = new Map<string, number>();
	for (const seed of seeds(8)) {
		const {faults, work} = await run(seed);
		expect(work['liar-acknowledged'], `seed ${seed}`).toBeGreaterThan(0);
		for (const [lie, count] of Object.entries(faults)) lied.set(lie, (lied.get(lie) ?? 0) + count);
	}

	expect([...lied.values()].filter(count => count > 0).length).toBeGreaterThan(lieKinds.length / 2);
});

test('a second run of a seed is identical', async () => {
	await expect(run(3, false)).resolves.toMatchObject({seed: 3});
});

test.each([
	['a node that was away refused the term of the others, which a liar had raised meanwhile', 30],
	['a message that ends beyond a false claim was held for ever', 65],
])('%s', async (_name, seed) => {
	await expect(run(seed)).resolves.toMatchObject({seed});
});
