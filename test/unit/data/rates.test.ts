import fc from 'fast-check';
import {expect, test} from 'vitest';
import {RateSampler} from '../../../core/data/rates.ts';
import type {Counts} from '../../../core/snapshot.ts';

const counts = (stored: number, delivered = 0): Counts => ({published: stored, delivered, stored, bytes: stored * 100});

/** A sampler that is ticked every 25 ms, as on a node, with the counts of `countsAt`. */
function run(
	untilMs: number,
	countsAt: (atMs: number) => Counts,
	sampler = new RateSampler<string>(),
	fromMs = 0,
): RateSampler<string> {
	for (let atMs = fromMs; atMs <= untilMs; atMs += 25)
		sampler.tick(atMs, countsAt(atMs), () => [['t', countsAt(atMs)]]);
	return sampler;
}

test('a steady 500 messages a second show as 500, also without a subscriber', () => {
	const sampler = run(20_000, atMs => counts(atMs / 2));
	expect(sampler.of('t')).toEqual({published: 500, delivered: 0, stored: 500, bytes: 50_000});
	expect(sampler.total).toEqual(sampler.of('t'));
});

test('a rate does not depend on when or how often it is read', () => {
	const sampler = new RateSampler<string>();
	const seen: number[] = [];
	for (let atMs = 0; atMs <= 20_000; atMs += 25) {
		run(atMs, time => counts(time / 2), sampler, atMs);
		if (atMs > 10_000 && atMs % 75 === 0) seen.push(sampler.of('t').stored);
	}

	expect(new Set(seen)).toEqual(new Set([500]));
});

test('the first read after idle time shows the present rate, not the average since the last read', () => {
	const sampler = run(10_000, atMs => counts(Math.min(atMs, 1000)));
	expect(sampler.of('t').stored).toBe(0);
	run(60_000, () => counts(1000), sampler, 10_025);
	expect(sampler.of('t').stored).toBe(0);
	run(70_000, atMs => counts(1000 + (atMs - 60_000) / 10), sampler, 60_025);
	expect(sampler.of('t').stored).toBe(100);
});

test('a new, closed or reopened topic has the rate of its own counters', () => {
	const sampler = new RateSampler<string>();
	expect(sampler.of('t')).toEqual(counts(0));
	for (let atMs = 0; atMs <= 10_000; atMs += 500)
		sampler.tick(atMs, counts(0), () => (atMs < 8000 ? [] : [['t', counts(atMs - 8000 + 500)]]));
	expect(sampler.of('t').stored).toBe(500);
	for (let atMs = 10_500; atMs <= 20_000; atMs += 500) sampler.tick(atMs, counts(0), () => []);
	expect(sampler.of('t')).toEqual(counts(0));
	// Opened again, its counters start at 0: 5 messages in the window of 5 s.
	sampler.tick(20_500, counts(0), () => [['t', counts(5)]]);
	expect(sampler.of('t').stored).toBe(1);
});

test('a rate is never negative, never above the count, and forgets samples older than its window', () => {
	fc.assert(
		fc.property(
			fc.array(fc.tuple(fc.integer({min: 1, max: 3000}), fc.nat(1000)), {minLength: 1, maxLength: 60}),
			steps => {
				const sampler = new RateSampler<string>();
				let atMs = 0;
				let stored = 0;
				const most = Math.max(...steps.map(([tookMs, came]) => came / Math.min(tookMs, 500)));
				for (const [tookMs, came] of steps) {
					atMs += tookMs;
					stored += came;
					sampler.tick(atMs, counts(stored), () => [['t', counts(stored)]]);
					expect(sampler.of('t').stored).toBeGreaterThanOrEqual(0);
					expect(sampler.of('t').stored).toBeLessThanOrEqual(Math.ceil(most * 1000 * 500) + 1);
				}

				for (let idleMs = 0; idleMs <= 12_000; idleMs += 250)
					sampler.tick(atMs + 1 + idleMs, counts(stored), () => [['t', counts(stored)]]);
				expect(sampler.of('t').stored).toBe(0);
			},
		),
	);
});
