/** A node that starts, and hears of members by beacons that cannot prove that they are no replays. */
import {expect, test} from 'vitest';
import {Founding} from '../../../core/membership/founding.ts';
import type {NodeId} from '../../../core/message.ts';

const seeker = (nowMs: number): Founding =>
	new Founding({self: 'a'.repeat(16) as NodeId, address: '10.0.0.1:5000', seeds: [], expect: 0, seekMs: 1500, nowMs});

/** The time at which the node founds, if a beacon comes every second. */
function foundedAtMs(hear: (founding: Founding, nowMs: number) => void): number {
	const founding = seeker(0);
	for (let nowMs = 0; nowMs < 600_000; nowMs += 100) {
		if (nowMs % 1000 === 0) hear(founding, nowMs);
		if (founding.decide(nowMs).type === 'found') return nowMs;
	}

	return Number.POSITIVE_INFINITY;
}

test('without any beacon it founds when it has listened', () => {
	expect(foundedAtMs(() => undefined)).toBe(1500);
});

test('a member that proves that it runs keeps it from founding for as long as it is heard', () => {
	expect(foundedAtMs((founding, nowMs) => founding.memberHeard('10.0.0.2:5000', nowMs))).toBe(Infinity);
});

test('beacons without a proof delay it by 30 s in all, however many there are and of however many nodes', () => {
	expect(foundedAtMs((founding, nowMs) => founding.memberReported('10.0.0.2:5000', nowMs))).toBe(30_000);
	expect(
		foundedAtMs((founding, nowMs) => founding.memberReported(`10.0.0.${(nowMs / 1000) % 250}:5000`, nowMs)),
	).toBe(30_000);
});

test('while it waits for a reported member, it says for which, and votes for no founder', () => {
	const founding = seeker(0);
	founding.memberReported('10.0.0.2:5000', 0);
	expect(founding.decide(2000)).toEqual({
		type: 'wait',
		for: 'the cluster at 10.0.0.2:5000 to admit this node',
		isAdmission: true,
	});
	expect(founding.state(2000)).toMatchObject({choice: undefined, isAble: false});
});

test('a member that was reported and then answers counts as heard', () => {
	const founding = seeker(0);
	founding.memberReported('10.0.0.2:5000', 0);
	founding.memberHeard('10.0.0.2:5000', 29_000);
	expect(founding.decide(58_000).type).toBe('wait');
	expect(founding.decide(59_100).type).toBe('found');
});
