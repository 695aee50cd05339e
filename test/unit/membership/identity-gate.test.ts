import {describe, expect, test} from 'vitest';
import {IdentityGate} from '../../../core/membership/identity-gate.ts';

function make(): {gate: IdentityGate; world: {nowMs: number; isOpen: boolean; pauses: number}} {
	const world = {nowMs: 1000, isOpen: true, pauses: 0};
	const gate = new IdentityGate({
		nowMs: () => world.nowMs,
		isOpen: () => world.isOpen,
		why: () => 'It is closed',
		onPause() {
			world.pauses++;
			world.isOpen = false;
		},
	});
	return {gate, world};
}

describe('the gate before publishing', () => {
	test('holds a publisher back until the identity is confirmed', async () => {
		const {gate, world} = make();
		world.isOpen = false;
		const waiting = gate.wait();
		gate.tick();
		world.isOpen = true;
		gate.tick();
		await expect(waiting).resolves.toBeUndefined();
		expect(gate.wait()).toBeUndefined();
	});

	test('rejects a publisher when the wait is over, and reports that no message was stored', async () => {
		const {gate, world} = make();
		world.isOpen = false;
		const waiting = gate.wait();
		for (let beat = 0; beat < 60; beat++) {
			world.nowMs += 100;
			gate.tick();
		}

		await expect(waiting).rejects.toMatchObject({
			code: 'no-quorum',
			message: expect.stringMatching(/^It is closed\. Nothing was stored$/),
		});
		expect(world.pauses).toBe(0);
	});

	test('is closed for the first publisher after a pause, even before the first tick', async () => {
		const {gate, world} = make();
		world.nowMs += 1000;
		const waiting = gate.wait();
		expect(waiting).toBeInstanceOf(Promise);
		expect(world.pauses).toBe(1);
		world.isOpen = true;
		gate.tick();
		await waiting;
	});

	test('does not count a pause as waiting', async () => {
		const {gate, world} = make();
		world.isOpen = false;
		let isRejected = false;
		const waiting = gate.wait()!.catch(() => (isRejected = true));
		world.nowMs += 12_000;
		gate.tick();
		world.nowMs += 100;
		gate.tick();
		await new Promise(setImmediate);
		expect(isRejected).toBe(false);
		world.isOpen = true;
		gate.tick();
		await waiting;
		expect(isRejected).toBe(false);
	});

	test('does not treat a stall of half a second as a pause', () => {
		const {gate, world} = make();
		world.nowMs += 500;
		expect(gate.wait()).toBeUndefined();
		expect(world.pauses).toBe(0);
	});
});
