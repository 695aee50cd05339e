import {expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import {createGossip, type Gossip, type GossipPacket, type GossipReady} from '../../../core/gossip/gossip.ts';
import type {PacketOf} from '../../../core/gossip/packet.ts';
import type {Batch, NodeId} from '../../../core/message.ts';
import {createRandom} from '../../sim/random.ts';
import {batchOf, news, origin, other, self, takeAll, third} from './support/gossip-machine.ts';

type Machine = {
	readonly gossip: Gossip;
	readonly take: () => GossipReady;
	readonly step: (from: NodeId, packet: GossipPacket) => GossipReady;
	readonly push: (from: NodeId, ...batches: readonly Batch[]) => GossipReady;
	readonly ticks: (count: number) => GossipReady;
};

/** A node that holds 1 to 4 and 8 of the origin, and lost the range between. */
function machine({
	subscribers = [self, origin, other, third],
	reachable = [origin],
	isFirst = false,
	isLast = false,
	since = 0,
}: {
	readonly subscribers?: readonly NodeId[];
	readonly reachable?: readonly NodeId[];
	readonly isFirst?: boolean;
	readonly isLast?: boolean;
	readonly since?: number;
} = {}): Machine {
	const gossip = createGossip({self, incarnation: 1, random: createRandom(1), config: defaults.gossip, tickMs: 25});
	for (const seq of [...(isFirst ? [] : [1, 2, 3, 4]), ...(isLast ? [] : [8])]) gossip.recover(batchOf(seq));
	gossip.backfill(news, [{origin, incarnation: 1, from: isFirst ? 1 : 5, to: 7, isFirst, isLast}]);
	const take = (): GossipReady => takeAll(gossip);
	const step = (from: NodeId, packet: GossipPacket): GossipReady => {
		gossip.step(from, packet);
		return take();
	};

	if (subscribers.length > 0) gossip.setSubscriptions(new Map([[news, {subscribers, since}]]));
	gossip.setReachable(reachable);
	return {
		gossip,
		take,
		step,
		push(from, ...batches) {
			for (const batch of batches)
				gossip.step(from, {type: 'push', batch, hops: 0, complete: true, repair: true});
			return take();
		},
		ticks(count) {
			for (let tick = 0; tick < count; tick++) gossip.tick();
			return take();
		},
	};
}

const wants = ({packets}: GossipReady): unknown[] =>
	packets.flatMap(({to, packet}) =>
		packet.type === 'iwant' ? packet.wants.map(({from, to: last}) => [to, from, last]) : [],
	);
const backfilled = (ready: GossipReady): number[][] =>
	ready.backfilled.map(({batches}) => batches.map(({firstSeq}) => firstSeq));
const served: PacketOf<'served'> = {type: 'served', topic: news, passed: []};
const refusal = (from: number, then: number): GossipPacket => ({
	type: 'ihavenot',
	topic: news,
	gaps: [[origin, 1, from, then]],
	isEnd: true,
});

test('exactly the lost ranges are requested from one peer, and released together once all have arrived', () => {
	const {gossip, take, push, step} = machine();
	const first = take();
	expect(wants(first)).toEqual([[origin, 5, 7]]);
	const {packet} = first.packets.find(one => one.packet.type === 'iwant')!;
	expect(packet).toMatchObject({bytesMax: defaults.gossip.repairBytes / 2});
	const part = push(origin, batchOf(5), batchOf(6, {count: 2}));
	expect([part.released, part.backfilled]).toEqual([[], []]);
	const done = step(origin, served);
	expect([backfilled(done), done.released, wants(done)]).toEqual([[[5, 6]], [], []]);
	// Not served to others before it is in the log again.
	const ask = {
		type: 'iwant',
		topic: news,
		wants: [{origin, incarnation: 1, from: 5, to: 7, sinceLamport: 0}],
		bytesMax: 1e6,
	} as const;
	expect(step(other, ask).serve).toEqual([]);
	gossip.backfillDone(news, done.backfilled[0]!.batches, done.backfilled[0]!.gaps);
	expect(step(other, ask).serve).toMatchObject([{to: other, wants: [{from: 5, to: 7}]}]);
});

test('a returned batch without room in the hole is reported as missed', () => {
	const {push, step, gossip, take} = machine();
	take();
	push(origin, batchOf(5), batchOf(6, {count: 2}));
	const {batches, gaps} = step(origin, served).backfilled[0]!;
	gossip.backfillDone(news, batches.slice(0, 1), gaps);
	expect(take().missed).toEqual([{topic: news, origin, messages: 2, isAwaited: false}]);
});

test('an answer that the byte budget cut is continued at once', () => {
	const {take, push, step} = machine();
	take();
	push(origin, batchOf(5));
	expect(wants(step(origin, served))).toEqual([[origin, 6, 7]]);
});

test('a batch that was not requested changes nothing', () => {
	const {take, push, step} = machine();
	take();
	expect(push(origin, batchOf(7)).released).toEqual([]); // It was not requested next.
	expect(push(other, batchOf(5)).released).toEqual([]); // From another peer than the asked one.
	push(origin, batchOf(6, {count: 3})); // Extends beyond the end.
	expect(wants(step(origin, served))).toEqual([]);
});

test('a silent peer is skipped, and a peer without the batches is asked again after a pause', () => {
	const {take, ticks, step} = machine({reachable: [origin, other]});
	const [[first]] = wants(take()) as [[NodeId]];
	const second = first === origin ? other : origin;
	const later = ticks(26);
	expect(wants(later)).toEqual([[second, 5, 7]]);
	step(second, refusal(5, 0));
	expect(wants(ticks(30)).map(row => (row as [NodeId])[0])).not.toContain(second);
});

test('a gap is abandoned only when every possible holder has refused it three times', () => {
	const {take, step, ticks, push} = machine({reachable: [origin, other], subscribers: [self, origin, other]});
	let ready = take();
	let asked = 0;
	while (ready.backfilled.length === 0 && asked < 20) {
		const [want] = wants(ready) as [[NodeId, number] | undefined];
		if (!want) {
			ready = ticks(1);
			continue;
		}

		asked++;
		const [peer, from] = want;
		if (from === 5) ready = step(peer, refusal(5, peer === other ? 7 : 0));
		else {
			expect([peer, from]).toEqual([other, 7]);
			push(other, batchOf(7));
			ready = step(other, served);
		}
	}

	expect([backfilled(ready), asked]).toEqual([[[7]], 7]);
});

test('a backfill waits for unreachable holders, and while no holder is known', () => {
	const waiting = machine({reachable: [origin], subscribers: [self, origin, other]});
	let ready = waiting.take();
	for (let tick = 0; tick < 2000; tick++) {
		for (const [peer] of wants(ready) as Array<[NodeId]>) waiting.gossip.step(peer, refusal(5, 0));
		ready = waiting.ticks(1);
		expect(ready.backfilled).toEqual([]);
	}

	waiting.gossip.setReachable([origin, other]);
	expect(wants(waiting.ticks(2))).toEqual([[other, 5, 7]]);
	const unknown = machine({subscribers: []});
	expect(wants(unknown.take())).toEqual([]);
	expect(unknown.ticks(2000).backfilled).toEqual([]);
});

test('a stream without earlier batches in the log may start at the subscription time', () => {
	const {take, push, step} = machine({isFirst: true, since: 50});
	const ready = take();
	expect(ready.packets.find(({packet}) => packet.type === 'iwant')!.packet).toMatchObject({
		wants: [{from: 1, to: 7, sinceLamport: 50}],
	});
	push(origin, batchOf(6), batchOf(7));
	expect(backfilled(step(origin, {...served, passed: [[origin, 1, 1, 6, 50]]}))).toEqual([[6, 7]]);
});

test('batches with too early stamps are skipped, also where earlier batches are lost', () => {
	const {take, step, ticks} = machine({isFirst: true, since: 50, subscribers: [self, origin]});
	let ready = take();
	const next = (): number => {
		for (let tick = 0; tick < 200 && wants(ready).length === 0; tick++) ready = ticks(1);
		return (wants(ready)[0] as [NodeId, number])[1];
	};

	for (let from = next(); from === 1; from = next()) ready = step(origin, refusal(1, 2));
	ready = step(origin, {...served, passed: [[origin, 1, 2, 6, 50]]});
	expect(next()).toBe(6);
	// An answer for a stream that was not requested changes nothing.
	expect(wants(step(origin, {...served, passed: [[third, 1, 1, 6, 50]]}))).toEqual([]);
	expect(next()).toBe(6);
});

test('a stream that may have ended in the hole is paused until the lost batches are in place', () => {
	const {gossip, take, push, step} = machine({isLast: true});
	take();
	const fresh = (seq: number): GossipReady =>
		step(origin, {type: 'push', batch: batchOf(seq), hops: 1, complete: true, repair: false});
	expect(fresh(5).released).toEqual([]);
	expect(fresh(8).released).toEqual([]);
	push(origin, batchOf(5), batchOf(6), batchOf(7));
	const done = step(origin, served);
	expect([backfilled(done), done.released]).toEqual([[[5, 6, 7]], []]);
	// The hole had room for two only.
	gossip.backfillDone(news, done.backfilled[0]!.batches.slice(0, 2), done.backfilled[0]!.gaps);
	const now = take();
	expect([now.missed, now.released]).toEqual([[], []]);
	expect(fresh(7).released.map(({batch}) => batch.firstSeq)).toEqual([7, 8]);
});

test('a batch put back while it was unwanted is not released as new once it is wanted again', () => {
	const {gossip, push, step, ticks} = machine({isLast: true, since: 70});
	step(origin, {type: 'ihave', topics: [[news, [[origin, 1, 1, 7, 70]]]]});
	push(origin, batchOf(5), batchOf(6), batchOf(7));
	const {batches, gaps} = step(origin, served).backfilled[0]!;
	gossip.backfillDone(news, batches, gaps);
	gossip.setSubscriptions(new Map([[news, {subscribers: [self, origin, other, third], since: 0}]]));
	step(origin, {type: 'ihave', topics: [[news, [[origin, 1, 1, 8, 80]]]]});
	expect(wants(ticks(30))).toEqual([[origin, 8, 8]]);
	expect(
		push(origin, batchOf(5), batchOf(6), batchOf(7), batchOf(8)).released.map(({batch}) => batch.firstSeq),
	).toEqual([8]);
});

test('a batch of the hole that was unwanted and did not come back is released once it is wanted', () => {
	const {gossip, push, step} = machine({isLast: true, since: 70});
	step(origin, {type: 'ihave', topics: [[news, [[origin, 1, 1, 7, 70]]]]});
	push(origin, batchOf(5), batchOf(6), batchOf(7));
	const {batches, gaps} = step(origin, served).backfilled[0]!;
	gossip.backfillDone(news, batches.slice(0, 2), gaps); // The hole had room for two only.
	gossip.setSubscriptions(new Map([[news, {subscribers: [self, origin, other, third], since: 0}]]));
	expect(push(origin, batchOf(5), batchOf(6), batchOf(7)).released.map(({batch}) => batch.firstSeq)).toEqual([7]);
});

test('a pause is bounded: batches that were not found are released as new', () => {
	const {take, push, ticks} = machine({isLast: true});
	take();
	push(origin, batchOf(5)); // The end of the answer never arrives.
	let released: number[] = [];
	let tick = 0;
	for (; tick < 2000 && released.length === 0; tick++) {
		const {packets, released: now} = ticks(1);
		released = now.map(({batch}) => batch.firstSeq);
		for (const {packet} of packets)
			if (packet.type === 'iwant' && packet.wants[0]!.from === 5)
				released.push(...push(origin, batchOf(5)).released.map(({batch}) => batch.firstSeq));
		if (tick === 10) expect(push(third, batchOf(5)).released).toEqual([]);
	}

	expect(released).toEqual([5]);
	expect(tick * 25).toBeLessThan(12_000);
});

test('a pause ends although no other node subscribes to the topic', () => {
	const {step, ticks} = machine({isLast: true, subscribers: [self], reachable: [other]});
	// No holder is known. The origin, which is away, published more.
	step(other, {type: 'push', batch: batchOf(5), hops: 1, complete: true, repair: false});
	const released: number[] = [];
	let tick = 0;
	for (; tick < 2000 && released.length === 0; tick++)
		released.push(...ticks(1).released.map(({batch}) => batch.firstSeq));
	expect(released).toEqual([5]);
	expect(tick * 25).toBeLessThan(12_000);
});

test('a peer that lists the stream is asked, although it does not subscribe any more', () => {
	const {step} = machine({isLast: true, subscribers: [self], reachable: [other]});
	expect(wants(step(other, {type: 'ihave', topics: [[news, [[origin, 1, 1, 7, 70]]]]}))).toEqual([[other, 5, 7]]);
});

test('a stream that ended before the hole resumes as soon as every holder has reported that', () => {
	const {take, step, gossip} = machine({isLast: true, subscribers: [self, origin], reachable: [origin]});
	take();
	expect(backfilled(step(origin, refusal(5, 0)))).toEqual([[]]);
	gossip.backfillDone(news, [], []);
	expect(
		step(origin, {type: 'push', batch: batchOf(5), hops: 1, complete: true, repair: false}).released,
	).toHaveLength(1);
});

test('a peer gets one request per topic at a time: repair and backfill wait for each other', () => {
	const {take, step, ticks} = machine();
	expect(wants(take())).toEqual([[origin, 5, 7]]);
	const more: GossipPacket = {type: 'ihave', topics: [[news, [[origin, 1, 1, 12, 120]]]]};
	step(origin, more);
	const asked = new Set<string>();
	let isAsked = true;
	for (let tick = 0; tick < 100; tick++) {
		// Answered every third tick, so that each kind of request could overtake the other.
		const answer: unknown[] = isAsked && tick % 3 === 0 ? wants(step(origin, served)) : [];
		if (isAsked && tick % 3 === 0) isAsked = false;
		const now: unknown[] = [...answer, ...wants(ticks(1))];
		expect(now.length + Number(isAsked)).toBeLessThanOrEqual(1);
		isAsked ||= now.length > 0;
		for (const want of now) asked.add(String(want));
	}

	expect([...asked].toSorted()).toEqual([`${origin},5,7`, `${origin},9,12`]);
});
