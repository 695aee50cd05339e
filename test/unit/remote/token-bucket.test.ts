import fc from 'fast-check';
import {expect, test} from 'vitest';
import {TokenBucket} from '../../../core/remote/token-bucket.ts';

test('a burst of one second passes, then the rate holds', () => {
	const bucket = new TokenBucket(100, 0);
	bucket.take(100, 0);
	expect(bucket.waitMs(0)).toBe(0);
	bucket.take(50, 0);
	expect(bucket.waitMs(0)).toBe(500);
	expect(bucket.waitMs(499)).toBe(1);
	expect(bucket.waitMs(500)).toBe(0);
	expect(bucket.isFull(1499)).toBe(false);
	expect(bucket.isFull(1500)).toBe(true);
});

test('more than a second of the rate is taken at once, and repaid', () => {
	const bucket = new TokenBucket(100, 0);
	bucket.take(1100, 0);
	expect(bucket.waitMs(0)).toBe(10_000);
	expect(bucket.waitMs(9999)).toBe(1);
	expect(bucket.waitMs(10_000)).toBe(0);
});

test('who waits as long as is said never exceeds the rate by more than a burst and one take', () => {
	fc.assert(
		fc.property(
			fc.integer({min: 1, max: 10_000}),
			fc.array(fc.tuple(fc.nat(5000), fc.nat(200)), {minLength: 1, maxLength: 100}),
			(perSecond, takes) => {
				const bucket = new TokenBucket(perSecond, 0);
				let nowMs = 0;
				let taken = 0;
				for (const [amount, idleMs] of takes) {
					nowMs += idleMs + bucket.waitMs(nowMs + idleMs);
					expect(taken).toBeLessThanOrEqual(perSecond * (1 + nowMs / 1000) + 1e-6);
					bucket.take(amount, nowMs);
					taken += amount;
				}
			},
		),
	);
});

test('a clock that goes back gives no tokens', () => {
	const bucket = new TokenBucket(100, 1000);
	bucket.take(200, 1000);
	expect(bucket.waitMs(0)).toBe(1000);
	expect(bucket.waitMs(1500)).toBe(500);
});
