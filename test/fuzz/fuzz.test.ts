/**
A short run of every target of the fuzzer, from a fixed seed. `npm run fuzz` runs them for longer, from other seeds.
*/
import {expect, test} from 'vitest';
import {targets} from './index.ts';
import {runTarget} from './run-target.ts';

test('names of targets are unique', () => {
	expect(new Set(targets.map(({name}) => name)).size).toBe(targets.length);
});

test.each(targets.map(target => [target.name, target] as const))('%s', async (_name, target) => {
	const {failure, inputs} = await runTarget(target, {seed: 1, runs: target.runs});
	expect(failure).toBeUndefined();
	expect(inputs).toBe(target.runs);
});
