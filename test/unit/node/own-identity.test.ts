import {expect, test} from 'vitest';
import {namesProtocol} from '../../../core/cluster-state/cluster-state.ts';
import type {Control} from '../../../core/control/control.ts';
import type {NodeId} from '../../../core/message.ts';
import {OwnIdentity} from '../../../core/node/own-identity.ts';
import {turn} from '../../support/remote-pipes.ts';

const self = 'a'.repeat(16) as NodeId;
const own = {incarnation: 4, instance: '00000000000000aa'};

test('after a pause, a publisher waits until the identity of this process is confirmed', async () => {
	let nowMs = 10_000;
	const caughtUp = Promise.withResolvers<number>();
	const control = {
		state: {
			protocol: namesProtocol,
			address: () => '127.0.0.1:5000',
			instance: () => own,
			name: () => 'a',
			nodeNamed: () => self,
		},
		raft: {leader: self},
		propose: async () => undefined,
		readIndex: () => caughtUp.promise,
	} as unknown as Control;
	const identity = new OwnIdentity({
		self,
		...own,
		name: {text: 'a', isChosen: true},
		address: '127.0.0.1:5000',
		cluster: 'test',
		clusterId: () => 'c',
		control,
		links: {send: () => true, drop: () => undefined, speaks: () => undefined},
		nowMs: () => nowMs,
		emit: () => undefined,
		refused: () => undefined,
	});
	identity.claim.update();
	expect([identity.isConfirmed, identity.gate.wait()]).toEqual([true, undefined]);

	nowMs += 1000; // Peers may have given the identity to another process.
	let isReleased = false;
	const waiting = identity.gate.wait();
	expect(identity.isConfirmed).toBe(false);
	void waiting!.then(() => {
		isReleased = true;
	});
	for (let tick = 0; tick < 3; tick++) {
		identity.tick();
		await turn();
	}

	expect(isReleased).toBe(false);
	caughtUp.resolve(7);
	await turn();
	identity.tick();
	await waiting;
	expect([identity.isConfirmed, identity.gate.wait()]).toEqual([true, undefined]);
});
