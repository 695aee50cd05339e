import {describe, expect, test} from 'vitest';
import {news, id, self, origin, other, third, batchOf, machine, sent} from './support/gossip-machine.ts';
import type {Machine} from './support/gossip-machine.ts';
import {type NodeId} from '../../../core/message.ts';

describe('anti-entropy', () => {
	test('a node compares with a new peer at once; equal peers exchange two small packets', () => {
		const a = machine({reachable: []});
		const b = machine({reachable: []});
		for (const {push} of [a, b]) for (const seq of [1, 2, 3]) push(batchOf(seq));
		a.gossip.setReachable([other]);
		const [digest] = sent(a.take(), 'digest');
		expect(digest?.to).toBe(other);
		const answer = b.step(self, digest!.packet);
		expect(answer.packets).toEqual([
			{
				to: self,
				packet: {type: 'watermarks', round: digest!.packet.round, topics: [], isLast: true, isCut: false},
			},
		]);
		expect(a.step(other, answer.packets[0]!.packet).synced).toEqual([{peer: other, messages: 0}]);
		expect(a.gossip.status().inSync).toEqual([{peer: other, synced: true}]);
	});

	test('one side pulls the difference and offers its own batches; the peer is synced when they have arrived', () => {
		const {gossip, push, take, step, ticks} = machine({reachable: []});
		gossip.recover(batchOf(1, {from: third}));
		gossip.setReachable([other]);
		const {round} = sent(take(), 'digest')[0]!.packet;
		const answer = step(other, {
			type: 'watermarks',
			round,
			topics: [[news, [[origin, 1, 1, 2, 20]]]],
			isLast: true,
			isCut: false,
		});
		expect(answer.synced).toEqual([]);
		expect(sent(answer, 'iwant').map(({to}) => to)).toEqual([other]);
		expect(sent(ticks(1), 'ihave')).toEqual([
			{to: other, packet: {type: 'ihave', topics: [[news, [[third, 1, 1, 1, 10]]]]}},
		]);
		push(batchOf(1), {from: other, repair: true});
		expect(ticks(1).synced).toEqual([]);
		push(batchOf(2), {from: other, repair: true});
		expect(ticks(1).synced).toEqual([{peer: other, messages: 2}]);
		gossip.resync([other]);
		const again = sent(take(), 'digest')[0]!.packet;
		expect(
			step(other, {type: 'watermarks', round: again.round, topics: [], isLast: true, isCut: false}).synced,
		).toEqual([{peer: other, messages: 0}]);
	});

	test('an answer to an earlier exchange does not count for a comparison that was restarted', () => {
		const {gossip, push, take, step} = machine({reachable: []});
		push(batchOf(1));
		gossip.setReachable([other]);
		const before = sent(take(), 'digest')[0]!.packet;
		gossip.resync([other]);
		const since = sent(take(), 'digest')[0]!.packet;
		const nothing = {type: 'watermarks', topics: [], isLast: true, isCut: false} as const;
		expect(step(other, {...nothing, round: before.round}).synced).toEqual([]);
		expect(step(other, {...nothing, round: since.round}).synced).toEqual([{peer: other, messages: 0}]);
	});

	test('an answer to a digest of an earlier process of the node does not count', () => {
		const digestOf = (incarnation: number) => {
			const {gossip, take, step} = machine({reachable: [], incarnation});
			gossip.setReachable([other]);
			return {step, round: sent(take(), 'digest')[0]!.packet.round};
		};

		const [before, since] = [digestOf(1), digestOf(2)];
		const nothing = {type: 'watermarks', topics: [], isLast: true, isCut: false} as const;
		expect(since.step(other, {...nothing, round: before.round}).synced).toEqual([]);
		expect(since.step(other, {...nothing, round: since.round}).synced).toEqual([{peer: other, messages: 0}]);
	});

	test('a node still waits for a peer that lacks only the first missing batch', () => {
		const {gossip, take, step, ticks} = machine({reachable: []});
		gossip.setReachable([other]);
		const {round} = sent(take(), 'digest')[0]!.packet;
		step(other, {type: 'watermarks', round, topics: [[news, [[origin, 1, 1, 5, 50]]]], isLast: true, isCut: false});
		expect([
			...step(other, {type: 'ihavenot', topic: news, gaps: [[origin, 1, 1, 3]], isEnd: true}).synced,
			...ticks(1).synced,
		]).toEqual([]);
		expect([
			...step(other, {type: 'ihavenot', topic: news, gaps: [[origin, 1, 3, 0]], isEnd: true}).synced,
			...ticks(1).synced,
		]).toEqual([{peer: other, messages: 0}]);
	});

	test('the hash covers stored batches, not announced ones', () => {
		const hashOf = (prepare: (push: Machine['push']) => void): number => {
			const {gossip, take, push} = machine({reachable: []});
			prepare(push);
			gossip.setReachable([other]);
			return sent(take(), 'digest')[0]!.packet.topics[0]![1];
		};

		const one = hashOf(push => push(batchOf(1)));
		expect(
			hashOf(push => {
				push(batchOf(2, {from: third}));
				push(batchOf(1));
			}),
		).toBe(one);
		expect(hashOf(push => [1, 2].map(seq => push(batchOf(seq))))).not.toBe(one);
		expect(hashOf(push => push(batchOf(1, {from: third})))).not.toBe(one);
	});

	test('an exchange whose answer was lost is repeated', () => {
		const {gossip, take, ticks} = machine({reachable: []});
		gossip.setReachable([other]);
		expect(sent(take(), 'digest')).toHaveLength(1);
		expect(sent(ticks(25), 'digest')).toHaveLength(1);
	});

	test('rounds run about every repairMs, with one peer that shares a topic', () => {
		const {ticks, step} = machine({subscribers: [self, other]});
		for (const {to, packet} of sent(ticks(1), 'digest'))
			step(to, {type: 'watermarks', round: packet.round, topics: [], isLast: true, isCut: false});
		let digests = 0;
		for (let tick = 0; tick < 400; tick++) {
			for (const {to, packet} of sent(ticks(1), 'digest')) {
				step(to, {type: 'watermarks', round: packet.round, topics: [], isLast: true, isCut: false});
				if (to === other) digests++;
			}
		}

		expect(digests).toBeGreaterThanOrEqual(8);
		expect(digests).toBeLessThanOrEqual(14);
	});

	test('a long answer is split into pages, with a bound; a peer without topics is synced at once', () => {
		const {gossip, step} = machine();
		for (let index = 1; index <= 5000; index++) gossip.recover(batchOf(1, {from: id(1000 + index)}));
		const pages = sent(step(other, {type: 'digest', round: 3, topics: [[news, 0]]}), 'watermarks').map(
			({packet}) => packet,
		);
		expect(pages.map(({isLast}) => isLast)).toEqual([false, false, true]);
		expect(pages.flatMap(({topics}) => topics.flatMap(([, streams]) => streams)).length).toBe(5000);
		for (let index = 5001; index <= 20_000; index++) gossip.recover(batchOf(1, {from: id(1000 + index)}));
		const cut = sent(step(other, {type: 'digest', round: 4, topics: [[news, 0]]}), 'watermarks').map(
			({packet}) => packet,
		);
		expect([cut.length, cut.at(-1)?.isCut]).toEqual([8, true]);
		const idle = machine({since: 'none', subscribers: [other], reachable: []});
		idle.gossip.setReachable([third]);
		expect(idle.take()).toMatchObject({packets: [], synced: [{peer: third, messages: 0}]});
	});

	test('with many origins, peers compare hashes of parts, and exchange rows of different parts only', () => {
		const a = machine({reachable: []});
		const b = machine({reachable: []});
		for (const {gossip} of [a, b])
			for (let index = 1; index <= 1000; index++) gossip.recover(batchOf(1, {from: id(1000 + index)}));
		b.push(batchOf(1));
		a.gossip.recover(batchOf(1, {from: third}));
		a.gossip.setReachable([other]);
		const [digest] = sent(a.take(), 'digest');
		expect(digest!.packet.topics[0]![2]).toHaveLength(128 * 4);
		const [answer] = sent(b.step(self, digest!.packet), 'watermarks');
		const [, rows, parts] = answer!.packet.topics[0]!;
		expect(parts).toHaveLength(128 / 8);
		expect(rows.length).toBeLessThan(50);
		expect(rows.map(([from]) => from)).toContain(origin);
		const pulled = a.step(other, answer!.packet);
		expect(sent(pulled, 'iwant').flatMap(({packet}) => packet.wants.map(want => want.origin))).toEqual([origin]);
		// Streams that were not compared are not offered in return.
		expect(sent(a.ticks(1), 'ihave').flatMap(({packet}) => packet.topics)).toEqual([
			[news, [[third, 1, 1, 1, 10]]],
		]);
	});

	test('of many peers that appear at once a few are compared; all are synced when these are', () => {
		const many = Array.from({length: 200}, (_, index) => id(index + 1));
		const {gossip, take, step} = machine({subscribers: many, reachable: []});
		gossip.setReachable(many.slice(1));
		const digests = sent(take(), 'digest');
		expect(digests.length).toBeGreaterThanOrEqual(4);
		expect(digests.length).toBeLessThanOrEqual(20);
		expect(gossip.status().inSync.every(({synced}) => !synced)).toBe(true);
		const synced: NodeId[] = [];
		for (const {to, packet} of digests) {
			expect(synced.length).toBeLessThan(digests.length);
			synced.push(
				...step(to, {
					type: 'watermarks',
					round: packet.round,
					topics: [],
					isLast: true,
					isCut: false,
				}).synced.map(({peer}) => peer),
			);
		}

		expect(synced.toSorted()).toEqual(many.slice(1));
		gossip.resync(many.slice(100));
		const again = sent(take(), 'digest');
		expect(again.length).toBeGreaterThanOrEqual(4);
		expect(again.every(({to}) => many.slice(100).includes(to))).toBe(true);
	});

	test('a publisher that does not subscribe offers its batches, also after a restart', () => {
		const {gossip, ticks} = machine({since: 'none', subscribers: [other]});
		gossip.recover(batchOf(1, {from: self}));
		const offer = {to: other, packet: {type: 'ihave', topics: [[news, [[self, 1, 1, 1, 10]]]]}};
		expect(sent(ticks(60), 'ihave')[0]).toEqual(offer);
		ticks(400);
		// It offers repeatedly, because no peer asks it.
		expect(sent(ticks(60), 'ihave')).toEqual([offer]);
	});

	test('an origin that subscribes itself advertises a stream for two rounds after it published', () => {
		const {gossip, take, ticks} = machine({subscribers: [self, other]});
		gossip.publish(batchOf(1, {from: self}));
		take();
		expect(sent(ticks(400), 'ihave').map(({to}) => to)).toEqual([other, other]);
	});

	test('the answers to a flood of packets are bounded and counted', () => {
		const {gossip} = machine();
		for (let round = 0; round < 5000; round++) gossip.step(other, {type: 'digest', round, topics: [[news, 1]]});
		expect(gossip.status().bounds.get('digests')).toBe(4096 - 8);
		expect(gossip.status().bounds.get('packets')).toBe(5000 - 4096);
		expect(gossip.ready()?.packets.filter(({packet}) => packet.type === 'watermarks')).toHaveLength(8);
	});
});
