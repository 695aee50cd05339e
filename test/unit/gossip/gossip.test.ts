import {describe, expect, test} from 'vitest';
import {defaults, type Config} from '../../../core/config.ts';
import {createGossip, type Gossip, type GossipPacket, type GossipReady} from '../../../core/gossip/gossip.ts';
import type {PacketOf, Watermark} from '../../../core/gossip/packet.ts';
import {Roster} from '../../../core/gossip/roster.ts';
import {decodeBatch, encodeBatch, streamKey, type Batch, type NodeId, type Topic} from '../../../core/message.ts';
import {createRandom} from '../../sim/random.ts';

const news = 'news' as Topic;
const id = (index: number): NodeId => index.toString(16).padStart(16, '0') as NodeId;
const [self, origin, other, third] = [id(1), id(2), id(3), id(4)] as const;

type BatchOptions = {
	readonly from?: NodeId;
	readonly incarnation?: number;
	readonly count?: number;
	readonly lamport?: number;
	readonly previousLamport?: number;
	readonly size?: number;
	readonly topic?: Topic;
};

/** Stamps are ten times the sequence number unless given. */
function batchOf(
	firstSeq: number,
	{
		from = origin,
		incarnation = 1,
		count = 1,
		lamport = firstSeq * 10,
		previousLamport = (firstSeq - 1) * 10,
		size = 1,
		topic = news,
	}: BatchOptions = {},
): Batch {
	const bodies = Array.from({length: count}, () => Buffer.alloc(size));
	return decodeBatch(
		encodeBatch({origin: from, incarnation, topic, firstSeq, lamport, previousLamport, sentAtMs: 0}, bodies, false),
	)!;
}

type Machine = {
	readonly gossip: Gossip;
	/** Takes all pending output. */
	readonly take: () => GossipReady;
	readonly push: (
		batch: Batch,
		options?: {
			readonly from?: NodeId;
			readonly hops?: number;
			readonly complete?: boolean;
			readonly repair?: boolean;
		},
	) => GossipReady;
	readonly step: (from: NodeId, packet: GossipPacket) => GossipReady;
	readonly ticks: (count: number) => GossipReady;
	readonly subscribe: (since: number | undefined, subscribers?: readonly NodeId[]) => GossipReady;
};

function machine({
	reachable = [origin, other, third],
	since = 0,
	subscribers = [self, origin, other, third],
	config = {},
	seed = 1,
}: {
	readonly reachable?: readonly NodeId[];
	readonly since?: number | 'none';
	readonly subscribers?: readonly NodeId[];
	readonly config?: Partial<Config['gossip']>;
	readonly seed?: number;
} = {}): Machine {
	const gossip = createGossip({
		self,
		incarnation: 1,
		random: createRandom(seed),
		config: {...defaults.gossip, ...config},
		tickMs: 25,
	});
	const take = (): GossipReady => {
		const all = {
			packets: [] as unknown[],
			released: [] as unknown[],
			serve: [] as unknown[],
			missed: [] as unknown[],
			synced: [] as unknown[],
		};
		for (let ready = gossip.ready(); ready; ready = gossip.ready()) {
			all.packets.push(...ready.packets);
			all.released.push(...ready.released);
			all.serve.push(...ready.serve);
			all.missed.push(...ready.missed);
			all.synced.push(...ready.synced);
		}

		return all as unknown as GossipReady;
	};

	const subscribe = (time: number | undefined, to: readonly NodeId[] = subscribers): GossipReady => {
		gossip.setSubscriptions(new Map([[news, {subscribers: to, since: time}]]));
		return take();
	};

	subscribe(since === 'none' ? undefined : since);
	gossip.setReachable(reachable);
	take();
	return {
		gossip,
		take,
		subscribe,
		push(batch, {from = origin, hops = 1, complete = true, repair = false} = {}) {
			gossip.step(from, {type: 'push', batch, hops, complete, repair});
			return take();
		},
		step(from, packet) {
			gossip.step(from, packet);
			return take();
		},
		ticks(count) {
			for (let tick = 0; tick < count; tick++) gossip.tick();
			return take();
		},
	};
}

const seqs = ({released}: GossipReady): number[] => released.map(({batch}) => batch.firstSeq);
const incarnationsOf = ({released}: GossipReady): string[] =>
	released.map(({batch}) => `${batch.incarnation}/${batch.firstSeq}`);
const sent = <Type extends GossipPacket['type']>(
	{packets}: GossipReady,
	type: Type,
): Array<{readonly to: NodeId; readonly packet: PacketOf<Type>}> =>
	packets.filter((item): item is {to: NodeId; packet: PacketOf<Type>} => item.packet.type === type);
const ihave = (...streams: Watermark[]): GossipPacket => ({type: 'ihave', topics: [[news, streams]]});

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

	test('every batch is released once, whichever peer brings it', () => {
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

	test('an incarnation that the log holds continues without a question to the origin', () => {
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
	test('to an earlier time: skipped batches are wanted, unless the stream has begun here', () => {
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

	test('the same holds for an older incarnation that was unknown here', () => {
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

	test('an answer that the origin gave in an earlier incarnation is not enough', () => {
		const {push, step} = machine();
		push(batchOf(1));
		push(batchOf(1, {incarnation: 2, lamport: 100}));
		expect(incarnationsOf(step(origin, answerOf(1, [origin, 1, 1, 1, 10])))).toEqual([]);
	});

	test('without the origin, answers of other peers and a bounded wait are enough', () => {
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

	test('at most four are kept; older ones count as seen, and their missing messages are reported', () => {
		const {gossip, push, ticks} = machine({reachable: []});
		push(batchOf(3));
		for (const incarnation of [2, 3, 4, 5]) gossip.recover(batchOf(1, {incarnation, lamport: incarnation * 1000}));
		expect(gossip.status()).toMatchObject({streams: 4, held: 0});
		expect(ticks(1).missed).toEqual([{topic: news, origin, messages: 3, isAwaited: false}]);
		expect(seqs(push(batchOf(1)))).toEqual([]);
		expect(gossip.status().streams).toBe(4);
	});
});

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

	test('a pulled batch is pushed on, unless it dates from before the peers met', () => {
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

	test('a gap that a relayed push shows is requested a little later, because the batch may be on its way', () => {
		const {push, ticks} = machine({subscribers: many, reachable: many.slice(1)});
		push(batchOf(1), {from: other, hops: 2, complete: false});
		expect(sent(push(batchOf(3), {from: other, hops: 2, complete: false}), 'iwant')).toEqual([]);
		expect(seqs(push(batchOf(2), {from: third, hops: 3, complete: false}))).toEqual([2, 3]);
		expect(sent(ticks(4), 'iwant')).toEqual([]);
		push(batchOf(5), {from: other, hops: 2, complete: false});
		expect(sent(ticks(4), 'iwant').map(({to, packet}) => [to, packet.wants[0]?.from])).toEqual([[other, 4]]);
	});
});

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

	test('a request is served as far as the log goes, and the answer says where the other ranges continue', () => {
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
				},
			},
		]);
		expect(
			sent(step(other, {type: 'iwant', topic: news, bytesMax: 5, wants: [want(1, 2)]}), 'ihavenot')[0]?.packet
				.isEnd,
		).toBe(true);
	});

	test('a cut answer is continued at once, from the same peer, where it ended', () => {
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

	test('batches that a holder skipped for an earlier subscription are not skipped for one that wants more', () => {
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

	test('after holders that do not answer or have nothing, other subscribers are asked', () => {
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
		expect(first.length).toBeGreaterThan(0);
		expect(first.reduce((bytes, {packet}) => bytes + packet.bytesMax, 0)).toBeLessThanOrEqual(200_000);
		const {topic} = first[0]!.packet;
		gossip.step(origin, {type: 'push', batch: batchOf(1, {topic}), hops: 0, complete: true, repair: true});
		gossip.step(origin, {type: 'served', topic, passed: []});
		const [next] = sent(take(), 'iwant');
		expect(next?.packet.bytesMax).toBeLessThanOrEqual(first[0]!.packet.bytesMax);
		expect(next?.packet.topic).not.toBe(topic);
	});

	test('an unreachable peer is not waited for', () => {
		const {gossip, push, take} = machine();
		push(batchOf(5), {from: other});
		gossip.setReachable([origin, third]);
		const again = sent(take(), 'iwant');
		expect(again.map(({to}) => to)).toEqual([origin]);
	});

	test('messages that retention deleted everywhere are reported as missed, and the stream continues', () => {
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

	test('the same holds where nothing of the stream was here before', () => {
		const {gossip, push, step} = machine({subscribers: [self, origin], reachable: [origin]});
		push(batchOf(10));
		const end = step(origin, {type: 'ihavenot', topic: news, isEnd: true, gaps: [[origin, 1, 1, 10]]});
		expect([end.missed, seqs(end)]).toEqual([[{topic: news, origin, messages: 9, isAwaited: false}], [10]]);
		expect(gossip.status()).toMatchObject({held: 0, waiting: 0});
	});

	test('a gap is not given up early while a possible holder is unreachable', () => {
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

	test('an origin that was removed from the cluster is not waited for', () => {
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

	test('when no peer has a gap any more, the stream skips to where the others continue', () => {
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

describe('a topic that is deleted while it is read (case 14)', () => {
	/** The calls of the broker: the deletion, the end of the subscription, and a reader that continues. */
	const deleteAt = ({gossip, subscribe, take}: Machine, until: number): void => {
		gossip.deleted(news, until);
		gossip.setSubscriptions(new Map());
		take();
		subscribe(until);
	};

	const missedOf = ({missed}: GossipReady): unknown[] => missed.map(({messages, isAwaited}) => [messages, isAwaited]);

	test('messages on their way are reported once, when the first one after the deletion arrives', () => {
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

	test('messages of before the deletion that a peer still has are reported, and not requested', () => {
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

describe('anti-entropy', () => {
	test('a peer that appears is compared with at once; equal peers exchange two small packets', () => {
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

	test('one side pulls the difference and offers its own; the peer is synced when its batches are here', () => {
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

	test('a peer that lacks the first missing batch but has the rest is still waited for', () => {
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

	test('the hash covers batches that are here, not batches that were only announced', () => {
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
		expect(sent(ticks(25), 'digest').length).toBeGreaterThanOrEqual(1);
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

	test('a long answer is paged, and cut; a peer without topics is synced at once', () => {
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

	test('with many origins, parts are compared: a part that differs costs only its own rows', () => {
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

	test('of many peers that appear at once, a few stand in for all; all are synced when these few are', () => {
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
		expect(sent(ticks(60), 'ihave')[0]).toEqual({
			to: other,
			packet: {type: 'ihave', topics: [[news, [[self, 1, 1, 1, 10]]]]},
		});
		ticks(400);
		expect(sent(ticks(60), 'ihave').length).toBeGreaterThan(0); // It keeps offering: no peer would ask it.
	});

	test('an origin that subscribes itself advertises a stream for two rounds after it published', () => {
		const {gossip, take, ticks} = machine({subscribers: [self, other]});
		gossip.publish(batchOf(1, {from: self}));
		take();
		expect(sent(ticks(400), 'ihave').map(({to}) => to)).toEqual([other, other]);
	});

	test('a flood of packets is bounded and counted', () => {
		const {gossip} = machine();
		for (let round = 0; round < 5000; round++) gossip.step(other, {type: 'digest', round, topics: [[news, 1]]});
		expect(gossip.status().bounds.get('digests')).toBe(4096 - 8);
		expect(gossip.status().bounds.get('packets')).toBe(5000 - 4096);
		expect(gossip.ready()?.packets.filter(({packet}) => packet.type === 'watermarks')).toHaveLength(8);
	});
});
