/**
Clusters with a member that lies: a few seeds (`npm run sim -- --liar` runs more), and failures that earlier seeds found.
*/
import {expect, test} from 'vitest';
import type {Outcome} from './node/cluster.ts';
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

test.each(seeds(4))('honest nodes live on, and agree again without the liar (seed %i)', async seed => {
	const {work, faults} = await run(seed);
	expect(work['liar-acknowledged']).toBeGreaterThan(0);
	expect(Object.values(faults).some(count => count > 0)).toBe(true);
});

test('a second run of a seed is identical', {timeout: 60_000}, async () => {
	await expect(run(9, false)).resolves.toMatchObject({seed: 9});
});

test.each([
	['a node that was away refused the term of the others, which a liar had raised meanwhile', 30],
	['a message that ends beyond a false claim was held for ever', 65],
])('%s', async (_name, seed) => {
	await expect(run(seed)).resolves.toMatchObject({seed});
});
