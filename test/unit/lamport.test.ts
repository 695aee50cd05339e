import fc from 'fast-check';
import {expect, test} from 'vitest';
import {Lamport, lamportMax} from '../../core/lamport.ts';
import type {NodeId} from '../../core/message.ts';

const peer = '0000000000000001' as NodeId;
const other = '0000000000000002' as NodeId;

test('a stamp is later than every stamp that was witnessed', () => {
	const clock = new Lamport(0, 1000);
	expect(clock.stamp()).toBe(1);
	expect(clock.witness(50, peer)).toBe(true);
	expect(clock.stamp()).toBe(51);
	expect(clock.witness(10, peer)).toBe(true);
	expect(clock.stamp()).toBe(52);
});

test('a stamp from the far future is refused without effect', () => {
	const clock = new Lamport(10, 1000);
	expect(clock.witness(1011, peer)).toBe(false);
	expect(clock.witness(lamportMax + 1, peer)).toBe(false);
	expect(clock.now).toBe(10);
	expect(clock.witness(1010, peer)).toBe(true);
});

test('the clock passes a stamp far ahead only when a higher ceiling is stored', () => {
	const clock = new Lamport(0, 2 ** 40);
	clock.persisted(clock.nextCeiling()!);
	expect(clock.isPersisted).toBe(true);
	clock.witness(5_000_000, peer);
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
	clock.witness(kept - 10, peer);
	expect(clock.nextCeiling()).toBe(2 * kept - 10);
});

test('the highest stamp is not exceeded', () => {
	expect(() => new Lamport(lamportMax, 1).stamp()).toThrow(/start a new cluster/);
});

test('the stamps of one peer leave fifteen sixteenths of the time, whatever it sends', () => {
	fc.assert(
		fc.property(fc.array(fc.integer({min: 1025, max: 2 ** 48}), {maxLength: 300}), jumps => {
			const clock = new Lamport(100, 2 ** 40);
			for (const jump of jumps) clock.witness(clock.now + jump, peer);
			expect(clock.now).toBeLessThanOrEqual(100 + (lamportMax - 100) / 16);
		}),
	);
});

test('a peer whose jumps are used up is refused, and other peers are accepted', () => {
	const clock = new Lamport(1, 2 ** 44);
	expect(clock.witness(2 ** 44 - 1, peer)).toBe(true);
	expect(clock.witness(clock.now + 2000, peer)).toBe(false);
	expect(clock.witness(clock.now + 1000, peer), 'as stamps of several publishers interleave').toBe(true);
	expect(clock.witness(clock.now + 2 ** 43, other)).toBe(true);
});

test('stamps from the files of the node itself count for no peer', () => {
	const clock = new Lamport(0, 2 ** 48);
	expect(clock.witness(2 ** 47, undefined)).toBe(true);
});

test('a node that was away accepts a time that two peers have reached, however far it is ahead', () => {
	const clock = new Lamport(100, 2 ** 40);
	expect(clock.witness(2 ** 46, peer)).toBe(false);
	expect(clock.witness(2 ** 46, peer), 'again by the same peer').toBe(false);
	expect(clock.witness(2 ** 46 + 1, other), 'a later one').toBe(false);
	expect(clock.now).toBe(100);
	expect(clock.witness(2 ** 46 - 5, other)).toBe(true);
	expect(clock.now).toBe(2 ** 46 - 5);
	for (const from of [peer, other]) expect(clock.witness(2 ** 47 + 1, from), 'over half').toBe(false);
});

test('a new node accepts the time of its cluster, up to half of all stamps, until it assigns its first stamp', () => {
	const clock = new Lamport(0, 2 ** 40);
	expect(clock.witness(2 ** 47 + 1, peer)).toBe(false);
	expect(clock.witness(2 ** 46, peer)).toBe(true);
	clock.stamp();
	expect(clock.witness(2 ** 47, peer)).toBe(false);
});
