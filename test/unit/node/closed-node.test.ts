import {expect, test} from 'vitest';
import {Proposals} from '../../../core/control/proposals.ts';
import {IdentityGate} from '../../../core/membership/identity-gate.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {Journal} from '../../../core/observe/journal.ts';

test('after the stop of a node, proposals and publishers are refused as closed, and events end', async () => {
	const proposals = new Proposals({
		node: 'a'.repeat(16) as NodeId,
		incarnation: 1,
		pendingMax: 8,
		electionMs: 100,
		deadlineMs: 1000,
		stamp: () => 1,
		propose: () => 'accepted',
		quorum: () => ({state: 'held', reachable: 1, voters: 1, leader: undefined}) as never,
	});
	proposals.close();
	const command = {type: 'subscribe', topic: 't' as Topic, node: 'a'.repeat(16) as NodeId, from: 0} as never;
	await expect(proposals.propose(command, 0)).rejects.toMatchObject({code: 'closed'});

	const gate = new IdentityGate({nowMs: () => 0, isOpen: () => false, onPause: () => undefined, why: () => ''});
	gate.close();
	await expect(gate.wait()).rejects.toMatchObject({code: 'closed'});

	const journal = new Journal({wallMs: () => 0, feedMax: 1, eventsMax: 1, previewBytes: 1});
	journal.close();
	expect(journal.watch().isClosed).toBe(true);
});
