import {describe, expect, test} from 'vitest';
import {news, id, self, origin, other, third, batchOf, machine, seqs, sent, ihave} from './support/gossip-machine.ts';
import {Roster} from '../../../core/gossip/roster.ts';

describe('dissemination', () => {
	const many = Array.from({length: 50}, (_, index) => id(index + 1));

	test('in a small cluster the origin pushes to all and marks the push as complete; no node relays it', () => {
		const {gossip, take, push, ticks} = machine();
		gossip.publish(batchOf(1, {from: self}));
		const pushes = sent(take(), 'push');
		expect(pushes.map(({to}) => to)).toEqual([origin, other, third]);
		expect(pushes.every(({packet}) => packet.complete && packet.hops === 1)).toBe(true);
		expect(push(batchOf(1)).packets).toEqual([]);
		expect(sent(ticks(2), 'ihave')).toEqual([]);
	});

	test('with an unreachable subscriber the push is not marked as complete, and its receivers offer the batch', () => {
		const {gossip, take, push, ticks} = machine({reachable: [origin, other]});
		gossip.publish(batchOf(1, {from: self}));
		expect(sent(take(), 'push').map(({to, packet}) => [to, packet.complete])).toEqual([
			[origin, false],
			[other, false],
		]);
		const got = push(batchOf(1), {complete: false});
		expect([seqs(got), sent(got, 'push')]).toEqual([[1], []]);
		expect(sent(ticks(1), 'ihave')).toEqual([
			{to: other, packet: {type: 'ihave', topics: [[news, [[origin, 1, 1, 1, 10]]]]}},
		]);
	});

	test('in a large topic a batch is relayed once along the tree, neither back nor to the origin', () => {
		const {gossip, take, push} = machine({subscribers: many, reachable: many.slice(1)});
		gossip.publish(batchOf(1, {from: self}));
		const pushes = sent(take(), 'push');
		const roster = new Roster(many);
		expect(pushes.map(({to}) => to).toSorted()).toEqual([...roster.targets(self, self, 4)].toSorted());
		expect(pushes.some(({packet}) => packet.complete)).toBe(false);
		const targets = [...roster.targets(self, origin, 4)].filter(peer => peer !== other).toSorted();
		expect(targets.length).toBeGreaterThan(3);
		for (let seq = 1; seq <= 3; seq++) {
			const relays = sent(push(batchOf(seq), {from: other, hops: 2, complete: false}), 'push');
			expect(relays.map(({to}) => to).toSorted()).toEqual(targets);
			expect(relays.every(({to, packet}) => to !== origin && to !== self && packet.hops === 3)).toBe(true);
			expect(sent(push(batchOf(seq), {from: third, hops: 2, complete: false}), 'push')).toEqual([]);
		}
	});

	test('a pulled batch is relayed, unless it is from before the peers met', () => {
		const {push, step, ticks} = machine({subscribers: many, reachable: many.slice(1)});
		const pull = (seq: number) => {
			push(batchOf(seq + 1), {from: other, hops: 2, complete: false});
			return sent(push(batchOf(seq), {from: other, hops: 0, repair: true}), 'push');
		};

		push(batchOf(1), {from: other, hops: 2, complete: false});
		expect(pull(2)).toEqual([]);
		for (const {to, packet} of sent(ticks(25), 'digest'))
			step(to, {type: 'watermarks', round: packet.round, topics: [], isLast: true, isCut: false});
		const relays = pull(4);
		expect(relays.length).toBeGreaterThan(3);
		expect(relays.every(({packet}) => packet.hops === 2 && !packet.repair)).toBe(true);
	});

	test('in a large topic streams that advanced are offered to one contact from time to time', () => {
		const {push, ticks} = machine({subscribers: many, reachable: many.slice(1)});
		for (let seq = 1; seq <= 5; seq++) push(batchOf(seq), {from: other, hops: 2, complete: false});
		const offers = sent(ticks(10), 'ihave');
		expect(offers.map(({packet}) => packet)).toEqual([ihave([origin, 1, 1, 5, 50])]);
		expect(new Roster(many).contacts(self)).toContain(offers[0]!.to);
		expect(sent(ticks(20), 'ihave')).toEqual([]);
	});

	test('only subscribers get pushes; the publisher need not subscribe', () => {
		const {gossip, take} = machine({since: 'none', subscribers: [other]});
		gossip.publish(batchOf(1, {from: self}));
		expect(sent(take(), 'push').map(({to, packet}) => [to, packet.complete])).toEqual([[other, true]]);
	});

	test('a congested peer gets no pushes; it gets an offer once it is no longer congested', () => {
		const {gossip, take, ticks} = machine();
		gossip.setCongested(other, true);
		gossip.publish(batchOf(1, {from: self}));
		expect(sent(take(), 'push').map(({to, packet}) => [to, packet.complete])).toEqual([
			[origin, false],
			[third, false],
		]);
		expect(sent(ticks(3), 'ihave')).toEqual([]);
		gossip.setCongested(other, false);
		expect(sent(ticks(1), 'ihave').map(({to}) => to)).toEqual([other]);
		gossip.publish(batchOf(2, {from: self}));
		expect(sent(take(), 'push')).toHaveLength(3);
	});

	test('a gap before a relayed push is requested after a delay, because the batch may be in flight', () => {
		const {push, ticks} = machine({subscribers: many, reachable: many.slice(1)});
		push(batchOf(1), {from: other, hops: 2, complete: false});
		expect(sent(push(batchOf(3), {from: other, hops: 2, complete: false}), 'iwant')).toEqual([]);
		expect(seqs(push(batchOf(2), {from: third, hops: 3, complete: false}))).toEqual([2, 3]);
		expect(sent(ticks(4), 'iwant')).toEqual([]);
		push(batchOf(5), {from: other, hops: 2, complete: false});
		expect(sent(ticks(4), 'iwant').map(({to, packet}) => [to, packet.wants[0]?.from])).toEqual([[other, 4]]);
	});
});
