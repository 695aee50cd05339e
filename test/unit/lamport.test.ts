import {expect, test} from 'vitest';
import {Lamport, lamportMax} from '../../core/lamport.ts';

test('a stamp is later than every stamp that was witnessed', () => {
	const clock = new Lamport(0, 1000);
	expect(clock.stamp()).toBe(1);
	expect(clock.witness(50)).toBe(true);
	expect(clock.stamp()).toBe(51);
	expect(clock.witness(10)).toBe(true);
	expect(clock.stamp()).toBe(52);
});

test('a stamp from the far future is refused without effect', () => {
	const clock = new Lamport(10, 1000);
	expect(clock.witness(1011)).toBe(false);
	expect(clock.witness(lamportMax + 1)).toBe(false);
	expect(clock.now).toBe(10);
	expect(clock.witness(1010)).toBe(true);
});

test('the clock passes a stamp far ahead only when a higher ceiling is stored', () => {
	const clock = new Lamport(0, 2 ** 40);
	clock.persisted(clock.nextCeiling()!);
	expect(clock.isPersisted).toBe(true);
	clock.witness(5_000_000);
	expect(clock.isPersisted).toBe(false);
	const ceiling = clock.nextCeiling()!;
	expect(clock.isPersisted).toBe(false);
	clock.persisted(ceiling);
	expect(clock.isPersisted).toBe(true);
});

test('a restart continues from the ceiling, which is ahead of every assigned stamp', () => {
	const clock = new Lamport(0, 2 ** 40);
	const kept = clock.nextCeiling()!;
	for (let stamps = 0; stamps < 1000; stamps++) clock.stamp();
	expect(clock.nextCeiling()).toBeUndefined();
	expect(kept).toBeGreaterThan(clock.now);
	expect(new Lamport(kept, 2 ** 40).stamp()).toBe(kept + 1);
	clock.witness(kept - 10);
	expect(clock.nextCeiling()).toBe(2 * kept - 10);
});

test('the highest stamp is not exceeded', () => {
	expect(() => new Lamport(lamportMax, 1).stamp()).toThrow(/start a new cluster/);
});
