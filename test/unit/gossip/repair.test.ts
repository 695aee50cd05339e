import {describe, expect, test} from 'vitest';
import {news, self, origin, other, third, batchOf, machine, seqs, sent, ihave} from './support/gossip-machine.ts';
import type {Machine} from './support/gossip-machine.ts';
import {type GossipPacket, type GossipReady} from '../../../core/gossip/gossip.ts';
import {streamKey, type NodeId, type Topic} from '../../../core/message.ts';

describe('repair', () => {
	test('an offered batch is requested after two ticks, unless its push arrives', () => {
		const {push, step, ticks} = machine();
		expect(sent(step(other, ihave([origin, 1, 1, 1, 10])), 'iwant')).toEqual([]);
		expect(sent(ticks(1), 'iwant')).toEqual([]);
		push(batchOf(1));
		expect(sent(ticks(4), 'iwant')).toEqual([]);
		step(other, ihave([origin, 1, 1, 2, 20]));
		expect(sent(ticks(2), 'iwant').map(({to}) => to)).toEqual([other]);
	});

	test('control packets are not deduplicated: each digest, request and question is answered', () => {
		const {gossip, step} = machine();
		gossip.publish(batchOf(1, {from: self}));
		const want: GossipPacket = {
			type: 'iwant',
			topic: news,
			bytesMax: 1000,
			wants: [{origin: self, incarnation: 1, from: 1, to: 1, sinceLamport: 0}],
		};
		for (let round = 0; round < 3; round++) {
			expect(step(other, want).serve).toHaveLength(1);
			expect(sent(step(other, {type: 'digest', round: 7, topics: [[news, 1]]}), 'watermarks')).toHaveLength(1);
			expect(sent(step(other, {type: 'ask', topic: news, origin: self}), 'told')).toHaveLength(1);
		}
	});

	test('a request is served up to the end of the log, and the answer continues the other ranges', () => {
		const {gossip, push, step} = machine();
		for (let seq = 1; seq <= 9; seq++) push(batchOf(seq));
		gossip.retained(news, new Map([[streamKey(batchOf(1)), 4]]));
		const want = (from: number, to: number, of = origin) => ({
			origin: of,
			incarnation: 1,
			from,
			to,
			sinceLamport: 0,
		});
		const answer = step(other, {
			type: 'iwant',
			topic: news,
			bytesMax: 5e6,
			wants: [want(5, 99), want(2, 9), want(10, 12), want(1, 3, third)],
		});
		expect(answer.serve).toEqual([{to: other, topic: news, wants: [want(5, 9)], bytesMax: 1_048_576}]);
		expect(sent(answer, 'ihavenot')).toEqual([
			{
				to: other,
				packet: {
					type: 'ihavenot',
					topic: news,
					isEnd: false,
					gaps: [
						[origin, 1, 2, 4],
						[origin, 1, 10, 0],
						[third, 1, 1, 0],
					],
					deleted: [[origin, 1, 3]],
				},
			},
		]);
		expect(
			sent(step(other, {type: 'iwant', topic: news, bytesMax: 5, wants: [want(1, 2)]}), 'ihavenot')[0]?.packet
				.isEnd,
		).toBe(true);
	});

	test('a cut answer is continued at once by the same peer, from its end', () => {
		const {push, step} = machine();
		push(batchOf(100));
		for (let seq = 1; seq <= 40; seq++) push(batchOf(seq), {repair: true});
		const next = step(origin, {type: 'served', topic: news, passed: []});
		expect(sent(next, 'iwant')).toEqual([
			{
				to: origin,
				packet: {
					type: 'iwant',
					topic: news,
					bytesMax: 1_048_576,
					wants: [{origin, incarnation: 1, from: 41, to: 99, sinceLamport: 0}],
				},
			},
		]);
	});

	test('unwanted batches of a holder are skipped, and the rest is requested', () => {
		const {push, step} = machine();
		push(batchOf(100));
		const next = step(origin, {
			type: 'served',
			topic: news,
			passed: [
				[origin, 1, 1, 44, 0],
				[origin, 1, 90, 95, 0],
				[third, 1, 1, 9, 0],
			],
		});
		expect(next.missed).toEqual([]);
		expect(sent(next, 'iwant').flatMap(({packet}) => packet.wants)).toEqual([
			{origin, incarnation: 1, from: 44, to: 99, sinceLamport: 0},
		]);
		expect(
			sent(step(origin, {type: 'served', topic: news, passed: [[origin, 1, 1, 2000, 0]]}), 'iwant').flatMap(
				({packet}) => packet.wants.map(({from}) => from),
			),
		).not.toContain(2000);
	});

	test('batches that a holder skipped for an earlier subscription are not skipped for a wider subscription', () => {
		const {push, step, subscribe} = machine({since: 440});
		push(batchOf(100));
		subscribe(undefined);
		subscribe(20);
		push(batchOf(101));
		const next = step(origin, {type: 'served', topic: news, passed: [[origin, 1, 1, 45, 440]]});
		expect(sent(next, 'iwant').flatMap(({packet}) => packet.wants)).toMatchObject([{from: 1, sinceLamport: 20}]);
		expect(
			sent(step(origin, {type: 'served', topic: news, passed: [[origin, 1, 1, 3, 20]]}), 'iwant').flatMap(
				({packet}) => packet.wants,
			),
		).toMatchObject([{from: 3, sinceLamport: 20}]);
	});

	test('a stream has one request at a time; without an answer another holder is asked', () => {
		const {push, ticks} = machine();
		expect(sent(push(batchOf(5)), 'iwant').map(({to}) => to)).toEqual([origin]);
		expect(sent(push(batchOf(6)), 'iwant')).toEqual([]);
		expect(sent(push(batchOf(7), {from: other}), 'iwant')).toEqual([]);
		expect(sent(ticks(14), 'iwant').map(({to}) => to)).toEqual([other]);
	});

	test('after silent or empty holders, other subscribers are asked', () => {
		const {push, step, ticks} = machine();
		expect(sent(push(batchOf(5)), 'iwant').map(({to}) => to)).toEqual([origin]);
		const [second] = sent(ticks(14), 'iwant').map(({to}) => to);
		expect([other, third]).toContain(second);
		const [last] = sent(step(second!, {type: 'served', topic: news, passed: []}), 'iwant').map(({to}) => to);
		expect([other, third].filter(peer => peer !== second)).toEqual([last]);
		// Then the cycle starts again, after a pause.
		expect(sent(step(last!, {type: 'served', topic: news, passed: []}), 'iwant')).toEqual([]);
		expect(sent(ticks(20), 'iwant').map(({to}) => to)[0]).toBe(origin);
	});

	test('requests to a peer share its byte budget', () => {
		const topics = Array.from({length: 40}, (_, index) => `t${index}` as Topic);
		const {gossip, take} = machine({config: {repairBytes: 200_000}});
		gossip.setSubscriptions(new Map(topics.map(topic => [topic, {subscribers: [self, origin], since: 0}])));
		take();
		for (const topic of topics)
			gossip.step(origin, {type: 'push', batch: batchOf(2, {topic}), hops: 1, complete: true, repair: false});
		const first = sent(take(), 'iwant');
		expect(first.length).toBe(3);
		expect(first.reduce((bytes, {packet}) => bytes + packet.bytesMax, 0)).toBeLessThanOrEqual(200_000);
		const {topic} = first[0]!.packet;
		gossip.step(origin, {type: 'push', batch: batchOf(1, {topic}), hops: 0, complete: true, repair: true});
		gossip.step(origin, {type: 'served', topic, passed: []});
		const [next] = sent(take(), 'iwant');
		expect(next?.packet.bytesMax).toBeLessThanOrEqual(first[0]!.packet.bytesMax);
		expect(next?.packet.topic).not.toBe(topic);
	});

	test('a request does not wait for an unreachable peer', () => {
		const {gossip, push, take} = machine();
		push(batchOf(5), {from: other});
		gossip.setReachable([origin, third]);
		const again = sent(take(), 'iwant');
		expect(again.map(({to}) => to)).toEqual([origin]);
	});

	test('messages that no peer has any more are reported as missed, and the stream continues', () => {
		const {push, step} = machine();
		push(batchOf(1));
		expect(sent(push(batchOf(10)), 'iwant').map(({to}) => to)).toEqual([origin]);
		const no = (): GossipPacket => ({type: 'ihavenot', topic: news, isEnd: true, gaps: [[origin, 1, 2, 8]]});
		const asked = [sent(step(origin, no()), 'iwant')[0]!.to];
		asked.push(sent(step(asked[0]!, no()), 'iwant')[0]!.to);
		expect(asked.toSorted()).toEqual([other, third]);
		const end = step(asked[1]!, no());
		expect(end.missed).toEqual([{topic: news, origin, messages: 6, isAwaited: true}]);
		expect(seqs(end)).toEqual([]);
		expect(seqs(push(batchOf(8), {repair: true}))).toEqual([8]);
		expect(seqs(push(batchOf(9), {repair: true}))).toEqual([9, 10]);
	});

	test('messages that retention deleted at the peers are reported as such, apart from those that are lost', () => {
		const {push, step} = machine({subscribers: [self, origin], reachable: [origin]});
		push(batchOf(1));
		push(batchOf(10));
		const end = step(origin, {
			type: 'ihavenot',
			topic: news,
			isEnd: true,
			gaps: [[origin, 1, 2, 8]],
			deleted: [[origin, 1, 5]],
		});
		expect(end.missed).toEqual([
			{topic: news, origin, messages: 4, isAwaited: true, isRetention: true},
			{topic: news, origin, messages: 2, isAwaited: true},
		]);
	});

	test('a peer reports what retention deleted from its log, also of its own batches from before a restart', () => {
		const want = (of: NodeId): GossipPacket => ({
			type: 'iwant',
			topic: news,
			bytesMax: 1000,
			wants: [{origin: of, incarnation: 1, from: 1, to: 3, sinceLamport: 0}],
		});
		const deleted = (ready: GossipReady): unknown => sent(ready, 'ihavenot').map(({packet}) => packet.deleted);
		const one = machine({incarnation: 2});
		for (let seq = 1; seq <= 9; seq++) one.push(batchOf(seq));
		one.gossip.retained(news, new Map([[streamKey(batchOf(1)), 4]]));
		expect(deleted(one.step(other, want(origin)))).toEqual([[[origin, 1, 3]]]);
		one.gossip.recover(batchOf(4, {from: self}));
		expect(deleted(one.step(other, want(self)))).toEqual([[[self, 1, 3]]]);
		// The node subscribed late, and never had these.
		one.gossip.recover(batchOf(4, {from: third}));
		expect(deleted(one.step(other, want(third)))).toEqual([undefined]);
	});

	test('the same holds for a stream that this node never received', () => {
		const {gossip, push, step} = machine({subscribers: [self, origin], reachable: [origin]});
		push(batchOf(10));
		const end = step(origin, {type: 'ihavenot', topic: news, isEnd: true, gaps: [[origin, 1, 1, 10]]});
		expect([end.missed, seqs(end)]).toEqual([[{topic: news, origin, messages: 9, isAwaited: false}], [10]]);
		expect(gossip.status()).toMatchObject({held: 0, waiting: 0});
	});

	test('a gap is not abandoned early while a possible holder is unreachable', () => {
		const {push, step, ticks} = machine({reachable: [other, third]});
		push(batchOf(1), {from: other});
		push(batchOf(10), {from: other});
		for (let round = 0; round < 20; round++) {
			for (const peer of [other, third])
				expect(
					step(peer, {type: 'ihavenot', topic: news, isEnd: true, gaps: [[origin, 1, 2, 8]]}).missed,
				).toEqual([]);
			expect(ticks(40).missed).toEqual([]);
		}
	});

	test('a gap that was known for long is not abandoned when its origin returns', () => {
		const {gossip, push, step, ticks, take} = machine({subscribers: [self, origin, other], reachable: [other]});
		push(batchOf(1), {from: other});
		step(other, ihave([origin, 1, 1, 7, 70]));
		for (let round = 0; round < 100; round++)
			for (const {to} of sent(ticks(40), 'iwant'))
				step(to, {type: 'ihavenot', topic: news, isEnd: true, gaps: [[origin, 1, 2, 0]]});
		// The link to the origin is up before the failure detection has noticed.
		expect(push(batchOf(8)).missed).toEqual([]);
		expect(ticks(200).missed).toEqual([]);
		gossip.setReachable([origin, other]);
		expect(sent(take(), 'iwant').map(({to}) => to)).toEqual([]);
		expect(sent(ticks(2), 'iwant').map(({to}) => to)).toEqual([origin]);
	});

	test('an origin that returns after a gap has waited for long is not given up with its first lost answer', () => {
		const {gossip, push, ticks, take} = machine({subscribers: [self, origin], reachable: []});
		push(batchOf(1));
		push(batchOf(8));
		expect(ticks(1190).missed).toEqual([]);
		gossip.setReachable([origin]);
		take();
		// The first request, or its answer, is lost.
		for (let tick = 0; tick < 100; tick++) expect(ticks(1).missed).toEqual([]);
		expect(seqs(push(batchOf(2), {repair: true}))).toEqual([2]);
	});

	test('a gap does not wait for an origin that was removed from the cluster', () => {
		const {gossip, push, step, take} = machine({reachable: [other, third]});
		push(batchOf(1), {from: other});
		push(batchOf(10), {from: other});
		for (const peer of [other, third])
			expect(step(peer, {type: 'ihavenot', topic: news, isEnd: true, gaps: [[origin, 1, 2, 8]]}).missed).toEqual(
				[],
			);
		gossip.setRemoved([origin]);
		gossip.tick();
		expect(take().missed).toEqual([{topic: news, origin, messages: 6, isAwaited: true}]);
	});

	test('when no peer has the missing batches, the stream skips to the position where others continue', () => {
		const {gossip, step, ticks} = machine({subscribers: [self, other], reachable: [origin, other]});
		step(other, ihave([origin, 1, 6, 5, 50]));
		ticks(1);
		const no: GossipPacket = {type: 'ihavenot', topic: news, isEnd: true, gaps: [[origin, 1, 1, 0]]};
		const first = sent(ticks(4), 'iwant').map(({to}) => to);
		expect(first).toEqual([origin]);
		step(origin, no);
		expect(step(other, no).missed).toEqual([{topic: news, origin, messages: 5, isAwaited: false}]);
		expect(gossip.status().waiting).toBe(0);
		// The stamp is passed on too: a node that subscribed earlier must not skip the batch as unwanted.
		expect(sent(step(third, {type: 'ask', topic: news, origin}), 'told')[0]?.packet.streams).toEqual([
			[origin, 1, 6, 5, 50],
		]);
	});
});

describe('a topic that is deleted while it is read', () => {
	/** The calls of the broker: the deletion, the end of the subscription, and a reader that continues. */
	const deleteAt = ({gossip, subscribe, take}: Machine, until: number): void => {
		gossip.deleted(news, until);
		gossip.setSubscriptions(new Map());
		take();
		subscribe(until);
	};

	const missedOf = ({missed}: GossipReady): unknown[] => missed.map(({messages, isAwaited}) => [messages, isAwaited]);

	test('messages in flight are reported once, when the first message after the deletion arrives', () => {
		const one = machine({since: 5});
		one.push(batchOf(1));
		deleteAt(one, 100);
		// 2 to 4 were published by a node that did not know of the deletion: no peer has them any more.
		const next = one.push(batchOf(5, {lamport: 110, previousLamport: 40}));
		expect([missedOf(next), seqs(next)]).toEqual([[[3, true]], [5]]);
		expect(missedOf(one.push(batchOf(6, {lamport: 120, previousLamport: 110})))).toEqual([]);
	});

	test('the same holds for two deletions in a row, with held and announced batches among the deleted ones', () => {
		const one = machine({since: 5});
		one.push(batchOf(1));
		one.push(batchOf(4));
		one.gossip.deleted(news, 100);
		expect(missedOf(one.take())).toEqual([[3, true]]);
		one.gossip.setSubscriptions(new Map());
		one.gossip.deleted(news, 300);
		one.subscribe(300);
		const next = one.push(batchOf(9, {lamport: 310, previousLamport: 250}));
		expect([missedOf(next), seqs(next)]).toEqual([[[4, true]], [9]]);
	});

	test('messages from before the deletion that a peer still has are reported, and not requested', () => {
		const one = machine({since: 5});
		one.push(batchOf(1));
		deleteAt(one, 100);
		one.step(other, ihave([origin, 1, 1, 7, 70]));
		const end = one.ticks(4);
		expect(sent(end, 'iwant')).toEqual([]);
		expect(missedOf(one.push(batchOf(8, {lamport: 110, previousLamport: 70})))).toEqual([]);
	});

	test('a later or renewed subscription waits for nothing from before the deletion', () => {
		const late = machine({since: 100});
		expect(missedOf(late.push(batchOf(50, {lamport: 110, previousLamport: 90})))).toEqual([]);
		const again = machine({since: 5});
		again.push(batchOf(1));
		again.subscribe(undefined);
		again.gossip.deleted(news, 100);
		again.subscribe(100);
		expect(missedOf(again.push(batchOf(5, {lamport: 110, previousLamport: 40})))).toEqual([]);
	});
});
