import {beforeEach, describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import type {NodeId} from '../../../core/message.ts';
import {Leaving} from '../../../core/node/leaving.ts';
import type {Snapshot} from '../../../core/snapshot.ts';

let phase: Snapshot['phase'];
let members: number;
let log: string[];
let giveUp: () => Promise<void>;
beforeEach(() => {
	phase = 'running';
	members = 3;
	log = [];
	giveUp = async () => undefined;
});

function leaving(hasAsked = false): Leaving {
	return new Leaving({
		phase: () => phase,
		hasAsked,
		state: {members: () => Array.from({length: members}, () => ({id: '' as NodeId, address: ''}))},
		admin: {
			async leave() {
				log.push('gives up its vote');
				await giveUp();
			},
		},
		stateWriter: {
			async left(left) {
				log.push(`notes ${String(left)}`);
			},
		},
		stop: reason => log.push(`stops: ${reason}`),
		failed: error => log.push(String(error)),
	});
}

describe('a node that leaves', () => {
	test('writes its request, gives up its vote, writes that it left, then stops', async () => {
		await leaving().leave();
		expect(log).toEqual(['notes asked', 'gives up its vote', 'notes true', 'stops: left the cluster']);
	});

	test('leaves once when it is asked twice', async () => {
		const node = leaving();
		await Promise.all([node.leave(), node.leave()]);
		expect(log).toHaveLength(4);
	});

	test('stays after a refusal, and may try again', async () => {
		const node = leaving();
		giveUp = () => Promise.reject(new DapssError('refused', 'no quorum without it'));
		await expect(node.leave()).rejects.toThrow('no quorum without it');
		expect(log).toEqual(['notes asked', 'gives up its vote', 'notes undefined']);
		giveUp = async () => undefined;
		await node.leave();
		expect(log.at(-1)).toBe('stops: left the cluster');
	});

	test('has its request on the disk at its next start after a timeout', async () => {
		giveUp = () => Promise.reject(new DapssError('timeout', 'it may still happen'));
		await expect(leaving().leave()).rejects.toMatchObject({code: 'timeout'});
		expect(log.at(-1)).toBe('gives up its vote');
		leaving(true).onRemoved();
		expect(log.slice(-2)).toEqual([
			'notes true',
			'stops: this node had left the cluster before it stopped: start it once more, and it joins as a new member',
		]);
	});

	test('expects to be refused as removed after it asked, but neither before that nor after a refusal', async () => {
		const removed = {code: 'removed', by: 'peer'} as const;
		const node = leaving();
		expect(node.isExpected(removed)).toBe(false);
		giveUp = () => Promise.reject(new DapssError('refused', 'no quorum without it'));
		await expect(node.leave()).rejects.toThrow('no quorum without it');
		expect(node.isExpected(removed)).toBe(false);
		giveUp = async () => undefined;
		const left = node.leave();
		expect(node.isExpected(removed)).toBe(true);
		await left;
		expect([node.isExpected(removed), leaving(true).isExpected(removed)]).toEqual([true, true]);
		expect([node.isExpected({code: 'removed', by: 'us'}), node.isExpected({code: 'protocol', by: 'peer'})]).toEqual(
			[false, false],
		);
	});

	test.each<[Snapshot['phase'], number, string]>([
		['joining', 3, 'This node is joining and not a member yet: there is nothing to leave. Stop it instead'],
		['running', 1, 'This node is the only member of its cluster: there is nothing to leave. Stop it instead'],
		['stopping', 3, 'The node is stopping already'],
	])('while it is %s, one of %i, is refused with a reason and a remedy', async (now, count, text) => {
		phase = now;
		members = count;
		await expect(leaving().leave()).rejects.toThrow(text);
		expect(log).toEqual([]);
	});
});

test('a node that is removed without its own request did not leave', () => {
	leaving().onRemoved();
	expect(log).toEqual([
		'stops: this node was removed from the cluster: to join again, start it with an empty data folder. Keep ' +
			'the old folder: messages that were published here and had not reached other nodes are in no other place',
	]);
});
