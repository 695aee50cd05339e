import {describe, expect, test} from 'vitest';
import {
	news,
	self,
	origin,
	other,
	third,
	batchOf,
	machine,
	seqs,
	incarnationsOf,
	sent,
	ihave,
} from './support/gossip-machine.ts';
import {type GossipPacket} from '../../../core/gossip/gossip.ts';
import type {Watermark} from '../../../core/gossip/packet.ts';
import {type Topic} from '../../../core/message.ts';

describe('order', () => {
	test('an early batch is held, and the gap before it is requested from its sender at once', () => {
		const {push} = machine();
		expect(seqs(push(batchOf(1)))).toEqual([1]);
		const gap = push(batchOf(4));
		expect(seqs(gap)).toEqual([]);
		expect(sent(gap, 'iwant')).toEqual([
			{
				to: origin,
				packet: {
					type: 'iwant',
					topic: news,
					bytesMax: 1_048_576,
					wants: [{origin, incarnation: 1, from: 2, to: 3, sinceLamport: 0}],
				},
			},
		]);
		expect(seqs(push(batchOf(3), {repair: true}))).toEqual([]);
		expect(seqs(push(batchOf(2), {repair: true}))).toEqual([2, 3, 4]);
	});

	test('a batch of several messages advances the stream by that many', () => {
		const {push} = machine();
		expect(seqs(push(batchOf(1, {count: 5})))).toEqual([1]);
		expect(seqs(push(batchOf(6, {previousLamport: 10})))).toEqual([6]);
	});

	test('every batch is released once, also if several peers send it', () => {
		const {gossip, push} = machine();
		push(batchOf(1));
		push(batchOf(3));
		for (const from of [origin, other, third])
			for (const seq of [1, 3]) expect(seqs(push(batchOf(seq), {from}))).toEqual([]);
		expect(seqs(push(batchOf(2)))).toEqual([2, 3]);
		for (const seq of [1, 2, 3]) expect(seqs(push(batchOf(seq), {repair: true}))).toEqual([]);
		expect(gossip.status().duplicates).toBeCloseTo(6 / 9);
	});

	test('10^6 messages of one origin within one millisecond stay 10^6 messages', () => {
		const {gossip} = machine();
		let released = 0;
		for (let seq = 1; seq <= 1_000_000; seq += 100) {
			gossip.step(origin, {
				type: 'push',
				batch: batchOf(seq, {count: 100, lamport: seq, previousLamport: Math.max(0, seq - 100), size: 0}),
				hops: 1,
				complete: true,
				repair: false,
			});
			for (const {batch} of gossip.ready()!.released) released += batch.count;
		}

		expect(released).toBe(1_000_000);
		expect(gossip.status()).toMatchObject({streams: 1, held: 0, heldBytes: 0});
	});

	test('held batches are bounded; a refused batch is counted and pulled again', () => {
		const {gossip, push, step} = machine({config: {heldBytes: 5000}});
		for (let seq = 2; seq <= 10; seq++) push(batchOf(seq, {size: 1000}));
		expect(gossip.status()).toMatchObject({held: 3, heldByTopic: new Map([[news, 3]])});
		expect(gossip.status().heldBytes).toBeLessThanOrEqual(5000);
		expect(gossip.status().bounds.get('held')).toBe(6);
		expect(seqs(push(batchOf(1, {size: 1000}), {repair: true}))).toEqual([1, 2, 3, 4]);
		const [next] = sent(step(origin, {type: 'served', topic: news, passed: []}), 'iwant');
		expect(next?.packet.wants).toEqual([{origin, incarnation: 1, from: 5, to: 10, sinceLamport: 0}]);
	});

	test('own batches and batches from the log are not released again', () => {
		const {gossip, push, take} = machine();
		gossip.publish(batchOf(1, {from: self}));
		expect(take().released).toEqual([]);
		expect(seqs(push(batchOf(1, {from: self}), {from: other}))).toEqual([]);
		gossip.recover(batchOf(1));
		gossip.recover(batchOf(2));
		expect(seqs(push(batchOf(2)))).toEqual([]);
		expect(seqs(push(batchOf(3)))).toEqual([3]);
	});

	test('an incarnation that is in the log continues without a question to the origin', () => {
		const {gossip, push} = machine();
		gossip.recover(batchOf(1, {incarnation: 3}));
		const next = push(batchOf(2, {incarnation: 3}));
		expect([incarnationsOf(next), next.packets]).toEqual([['3/2'], []]);
	});
});

describe('a subscription with a start time', () => {
	test('leaves out earlier batches, and begins without requesting them', () => {
		const {gossip, push} = machine({since: 50});
		expect(push(batchOf(5)).packets).toEqual([]);
		const first = push(batchOf(6));
		expect([seqs(first), first.packets]).toEqual([[6], []]);
		expect(seqs(push(batchOf(7)))).toEqual([7]);
		expect(gossip.status()).toMatchObject({duplicates: 0, misses: 0});
	});

	test('detects that a wanted batch is missing before the received one', () => {
		const {push} = machine({since: 50});
		const ahead = push(batchOf(9));
		expect(seqs(ahead)).toEqual([]);
		expect(sent(ahead, 'iwant')[0]?.packet.wants).toEqual([
			{origin, incarnation: 1, from: 1, to: 8, sinceLamport: 50},
		]);
		expect(seqs(push(batchOf(7), {repair: true}))).toEqual([]);
		expect(seqs(push(batchOf(6), {repair: true}))).toEqual([6, 7]);
		expect(seqs(push(batchOf(8), {repair: true}))).toEqual([8, 9]);
	});

	test('skips a stream when a watermark shows that all of it is too early', () => {
		const {push, step, ticks} = machine({since: 50});
		expect(sent(step(other, ihave([origin, 1, 1, 5, 50])), 'iwant')).toEqual([]);
		expect(sent(ticks(8), 'iwant')).toEqual([]);
		expect(seqs(push(batchOf(6)))).toEqual([6]);
	});

	test('no batch of an unsubscribed topic is accepted, and the end of a subscription frees its held batches', () => {
		const {gossip, push, subscribe} = machine();
		push(batchOf(2));
		expect(gossip.status().held).toBe(1);
		subscribe(undefined, [origin, other]);
		expect(gossip.status()).toMatchObject({held: 0, heldBytes: 0, waiting: 0});
		expect(push(batchOf(1)).released).toEqual([]);
		expect(push(batchOf(1, {topic: 'sport' as Topic})).released).toEqual([]);
	});

	test('renewed after a pause, continues at the new start time', () => {
		const {push, subscribe} = machine();
		push(batchOf(1));
		subscribe(undefined);
		push(batchOf(2));
		subscribe(30);
		expect(seqs(push(batchOf(3)))).toEqual([]);
		expect(seqs(push(batchOf(4)))).toEqual([4]);
	});
});

describe('a subscription whose start time changes', () => {
	test('to an earlier time: skipped batches are wanted, unless the stream has begun at this node', () => {
		const {push, step, subscribe} = machine({since: 50});
		step(other, ihave([origin, 1, 1, 5, 50], [third, 1, 1, 5, 50]));
		push(batchOf(6));
		subscribe(undefined);
		subscribe(0);
		expect(seqs(push(batchOf(1, {from: third})))).toEqual([1]);
		expect(seqs(push(batchOf(1)))).toEqual([]);
		expect(seqs(push(batchOf(7)))).toEqual([7]);
	});

	test('to an earlier time: skipped batches after the last released one are wanted, in order', () => {
		const {push, step, subscribe, ticks} = machine();
		push(batchOf(1));
		subscribe(undefined);
		subscribe(30);
		step(other, ihave([origin, 1, 1, 3, 30]));
		subscribe(undefined);
		subscribe(0);
		const ahead = push(batchOf(4));
		expect(seqs(ahead)).toEqual([]);
		expect(sent(ahead, 'iwant')[0]?.packet.wants).toEqual([
			{origin, incarnation: 1, from: 2, to: 3, sinceLamport: 0},
		]);
		expect(seqs(push(batchOf(2), {repair: true}))).toEqual([2]);
		expect(seqs(push(batchOf(3), {repair: true}))).toEqual([3, 4]);
		expect(ticks(1).missed).toEqual([]);
	});

	test('to an earlier time at once: a refusal of later batches does not cover earlier ones', () => {
		const {gossip, push, step, ticks} = machine({since: 30, subscribers: [self, origin], reachable: [origin]});
		step(origin, ihave([origin, 1, 1, 3, 30]));
		push(batchOf(6));
		step(origin, {type: 'ihavenot', topic: news, gaps: [[origin, 1, 4, 6]], isEnd: false});
		gossip.setSubscriptions(new Map([[news, {subscribers: [self, origin], since: 0}]]));
		push(batchOf(7));
		const next = step(origin, {type: 'served', topic: news, passed: []});
		expect([...next.missed, ...ticks(1).missed]).toEqual([]);
		expect(sent(next, 'iwant')[0]?.packet.wants).toEqual([
			{origin, incarnation: 1, from: 1, to: 5, sinceLamport: 0},
		]);
	});

	test('to a later time: held batches are checked again', () => {
		const {gossip, push, subscribe} = machine();
		for (const seq of [3, 5, 6]) push(batchOf(seq));
		expect(seqs(subscribe(40))).toEqual([5, 6]);
		expect(gossip.status()).toMatchObject({held: 0, heldBytes: 0});
	});
});

describe('incarnations of an origin', () => {
	const answerOf = (incarnation: number, ...streams: Watermark[]): GossipPacket => ({
		type: 'told',
		topic: news,
		origin,
		incarnation,
		streams,
	});

	test('a newer incarnation waits until the origin confirms that the older one is complete', () => {
		const {push, step} = machine();
		push(batchOf(1));
		const newer = push(batchOf(1, {incarnation: 2, lamport: 100}));
		expect(seqs(newer)).toEqual([]);
		expect(sent(newer, 'ask')).toEqual([{to: origin, packet: {type: 'ask', topic: news, origin}}]);
		expect(incarnationsOf(step(origin, answerOf(2, [origin, 1, 1, 1, 10], [origin, 2, 1, 1, 100])))).toEqual([
			'2/1',
		]);
	});

	test('missing batches of the older incarnation are pulled and released first', () => {
		const {push, step} = machine();
		push(batchOf(1));
		push(batchOf(1, {incarnation: 2, lamport: 100}));
		const answer = step(origin, answerOf(2, [origin, 1, 1, 3, 30], [origin, 2, 1, 1, 100]));
		expect(answer.released).toEqual([]);
		expect(sent(answer, 'iwant')[0]?.packet.wants).toEqual([
			{origin, incarnation: 1, from: 2, to: 3, sinceLamport: 0},
		]);
		expect(incarnationsOf(push(batchOf(2), {repair: true}))).toEqual(['1/2']);
		expect(incarnationsOf(push(batchOf(3), {repair: true}))).toEqual(['1/3', '2/1']);
	});

	test('the same holds for an older incarnation that was unknown to this node', () => {
		const {push, step} = machine();
		const first = push(batchOf(1, {incarnation: 2, lamport: 100}));
		expect([incarnationsOf(first), sent(first, 'ask').length]).toEqual([[], 1]);
		step(origin, answerOf(2, [origin, 1, 1, 1, 10], [origin, 2, 1, 1, 100]));
		expect(incarnationsOf(push(batchOf(1), {repair: true}))).toEqual(['1/1', '2/1']);
	});

	test('returned batches of an earlier incarnation of this node are released when the present one publishes', () => {
		const {gossip, push, take} = machine();
		expect(incarnationsOf(push(batchOf(1, {from: self, incarnation: 2}), {from: other, repair: true}))).toEqual([]);
		gossip.publish(batchOf(1, {from: self, incarnation: 3, lamport: 100}));
		expect(incarnationsOf(take())).toEqual(['2/1']);
		expect(gossip.status()).toMatchObject({held: 0, waitingIncarnations: 0});
	});

	test('an answer of an earlier incarnation of the origin does not confirm that', () => {
		const {push, step} = machine();
		push(batchOf(1));
		push(batchOf(1, {incarnation: 2, lamport: 100}));
		expect(incarnationsOf(step(origin, answerOf(1, [origin, 1, 1, 1, 10])))).toEqual([]);
	});

	test('without the origin, answers of other peers after a bounded wait confirm that', () => {
		const {gossip, push, step, ticks} = machine({reachable: [other, third]});
		push(batchOf(1), {from: other});
		const newer = push(batchOf(1, {incarnation: 2, lamport: 100}), {from: other});
		expect(
			sent(newer, 'ask')
				.map(({to}) => to)
				.toSorted(),
		).toEqual([other, third]);
		expect(incarnationsOf(step(other, answerOf(5, [origin, 1, 1, 1, 10])))).toEqual([]);
		expect(incarnationsOf(ticks(58))).toEqual([]);
		expect(incarnationsOf(ticks(8))).toEqual(['2/1']);
		expect(gossip.status().unconfirmed).toBe(1);
	});

	test('are kept as long as the log has messages of them, and a peer that asks learns of all of them', () => {
		const {gossip, step} = machine();
		for (let incarnation = 1; incarnation <= 100; incarnation++)
			gossip.recover(batchOf(1, {incarnation, lamport: incarnation * 10}));
		const told = sent(step(other, {type: 'ask', topic: news, origin}), 'told');
		expect(told.map(({packet}) => packet.streams.length)).toEqual([64, 36]);
		expect(told.flatMap(({packet}) => packet.streams.map(([, incarnation]) => incarnation))).toEqual(
			Array.from({length: 100}, (_, index) => index + 1),
		);
		// The first part alone confirms nothing to the peer.
		expect(told.map(({packet}) => packet.incarnation)).toEqual([0, expect.any(Number)]);
		expect(told[1]!.packet.incarnation).toBeGreaterThan(0);
		expect(gossip.status().bounds.get('incarnations')).toBeUndefined();
	});

	test('of which retention left nothing are forgotten but for the newest 16, and count as seen', () => {
		const {gossip, push} = machine({reachable: []});
		for (let incarnation = 1; incarnation <= 30; incarnation++)
			gossip.recover(batchOf(1, {incarnation, lamport: incarnation * 10}));
		gossip.retained(news, new Map());
		gossip.recover(batchOf(1, {incarnation: 31, lamport: 310}));
		expect(gossip.status().streams).toBe(16);
		expect(gossip.status().bounds.get('incarnations')).toBeUndefined();
		expect(seqs(push(batchOf(1, {incarnation: 15, lamport: 150})))).toEqual([]);
		expect(seqs(push(batchOf(1, {incarnation: 16, lamport: 160})))).toEqual([]);
		expect(gossip.status()).toMatchObject({streams: 16, held: 0});
	});

	test('beyond 1,024 the oldest is forgotten, which is counted, and its missing messages are reported', () => {
		const {gossip, push, ticks} = machine({reachable: []});
		push(batchOf(3));
		for (let incarnation = 2; incarnation <= 1025; incarnation++)
			gossip.recover(batchOf(1, {incarnation, lamport: incarnation * 1000}));
		expect(gossip.status()).toMatchObject({streams: 1024, held: 0});
		expect(gossip.status().bounds.get('incarnations')).toBe(1);
		expect(ticks(1).missed).toEqual([{topic: news, origin, messages: 3, isAwaited: false}]);
		expect(seqs(push(batchOf(1)))).toEqual([]);
		expect(gossip.status().streams).toBe(1024);
	});
});
