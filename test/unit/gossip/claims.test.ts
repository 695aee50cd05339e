/**
A member that announces streams which do not exist, or messages of another member that do not exist.
*/
import {describe, expect, test} from 'vitest';
import {claimsMax} from '../../../core/gossip/claims.ts';
import {watermarksMax, type Watermark} from '../../../core/gossip/packet.ts';
import type {NodeId} from '../../../core/message.ts';
import {batchOf, id, ihave, machine, news, origin, other, self, sent, seqs, third} from './support/gossip-machine.ts';

/** Streams of origins that nobody knows, one each. */
const invented = (count: number, from = 100): Watermark[] =>
	Array.from({length: count}, (_, index) => [id(from + index), 1, 1, 5, 50]);

describe('invented streams', () => {
	test('266,000 in 130 packets take the limit of one peer, and leave room for everybody else', () => {
		const {gossip, step, push, ticks} = machine();
		for (let packet = 0; packet < 130; packet++)
			step(other, ihave(...invented(watermarksMax, 100 + packet * watermarksMax)));
		expect(gossip.status()).toMatchObject({streams: claimsMax, waiting: claimsMax});
		expect(gossip.status().claimsRefused.get(other)).toBe(130 * watermarksMax - claimsMax);
		ticks(40);
		// New streams of others, by a batch and by a claim.
		expect(seqs(push(batchOf(1)))).toEqual([1]);
		step(third, ihave([id(50), 1, 1, 5, 50]));
		expect(gossip.status().streams).toBe(claimsMax + 2);
	});

	test('are forgotten some time after the peer is gone', () => {
		const {gossip, step, ticks} = machine();
		step(other, ihave(...invented(2000)));
		gossip.setReachable([origin, third]);
		ticks(40 * 30);
		expect(gossip.status().streams).toBe(2000);
		ticks(40 * 32);
		expect(gossip.status()).toMatchObject({streams: 0, waiting: 0, missing: 0});
		// Back with the same claims: they are accepted again.
		gossip.setReachable([origin, other, third]);
		step(other, ihave(...invented(2000)));
		expect(gossip.status().streams).toBe(2000);
	});

	test('are not passed on by the node that heard of them', () => {
		const {push, step} = machine();
		push(batchOf(1));
		// Unwanted ones are done at once, as if they had been here.
		step(
			other,
			ihave(...invented(100).map(([of, incarnation, low, high]) => [of, incarnation, low, high, 0] as const)),
		);
		const [answer] = sent(step(third, {type: 'digest', round: 1, topics: [[news, 0]]}), 'watermarks');
		expect(answer?.packet.topics).toEqual([[news, [[origin, 1, 1, 1, 10]]]]);
	});

	test('stay while another peer claims them too', () => {
		const {gossip, step, ticks} = machine();
		const claim = ihave([id(50), 1, 1, 5, 50]);
		step(other, claim);
		step(third, claim);
		gossip.setReachable([origin, third]);
		ticks(40 * 62);
		expect(gossip.status().streams).toBe(1);
		gossip.setReachable([origin]);
		ticks(40 * 62);
		expect(gossip.status().streams).toBe(0);
	});

	test('do not stay when the peer returns before they end, and is gone again', () => {
		const {gossip, step, ticks} = machine();
		step(other, ihave(...invented(10)));
		for (let count = 0; count < 3; count++) {
			gossip.setReachable([origin, third]);
			ticks(40 * 30);
			gossip.setReachable([origin, other, third]);
		}

		expect(gossip.status().streams).toBe(10);
		gossip.setReachable([origin, third]);
		ticks(40 * 62);
		expect(gossip.status().streams).toBe(0);
	});

	test('of later incarnations of an origin do not displace its real streams', () => {
		const {gossip, push, step} = machine();
		push(batchOf(1));
		// Retention deleted what is here.
		gossip.retained(news, new Map());
		const claims = (stamp: number): Watermark[] =>
			Array.from({length: 2000}, (_, index) => [origin, 100 + index, 1, 5, stamp]);
		step(other, ihave(...claims(0)));
		step(other, ihave(...claims(50)));
		expect(seqs(push(batchOf(2)))).toEqual([2]);
	});

	test('are displaced by streams with a batch when there are too many', () => {
		const {gossip, push, step} = machine();
		const peers = Array.from({length: 17}, (_, index) => id(1000 + index));
		gossip.setReachable([origin, other, ...peers]);
		for (const [index, peer] of peers.entries())
			for (let packet = 0; packet < 8; packet++)
				step(peer, ihave(...invented(watermarksMax, 100_000 + (index * 8 + packet) * watermarksMax)));
		expect(gossip.status().streams).toBe(2 ** 18);
		expect(seqs(push(batchOf(1)))).toEqual([1]);
		expect(gossip.status().streams).toBe(2 ** 18);
	});
});

describe('invented messages of another member', () => {
	const push3 = (): ReturnType<typeof machine> => {
		const created = machine();
		for (const seq of [1, 2, 3]) created.push(batchOf(seq));
		return created;
	};

	test('that would be unwanted suppress none of its messages', () => {
		const {push, step, gossip} = push3();
		step(other, ihave([origin, 1, 1, 2 ** 40, 0]));
		expect(seqs(push(batchOf(4)))).toEqual([4]);
		expect(seqs(push(batchOf(5)))).toEqual([5]);
		expect(gossip.status()).toMatchObject({missing: 0, waiting: 0});
		expect(gossip.status().bounds.get('false-claims')).toBe(1);
	});

	test('that every node denies suppress none of its messages', () => {
		const {push, step, ticks, gossip} = push3();
		step(other, ihave([origin, 1, 1, 2 ** 40, 2 ** 40]));
		expect(gossip.status().missingOf).toEqual([{origin, messages: gossip.status().missing}]);
		const deny = (peers: readonly NodeId[]): void => {
			for (const peer of peers)
				step(peer, {type: 'ihavenot', topic: news, gaps: [[origin, 1, 4, 0]], isEnd: true});
		};

		for (let round = 0; round < 8; round++) {
			deny([origin, other, third]);
			ticks(20);
		}

		expect(gossip.status()).toMatchObject({missing: 0, missingOf: []});
		expect(seqs(push(batchOf(4)))).toEqual([4]);
		expect(seqs(push(batchOf(5)))).toEqual([5]);
	});

	test('do not hide a message whose push was lost, once its origin announces it', () => {
		const {push, step, ticks} = push3();
		step(other, ihave([origin, 1, 1, 2 ** 40, 0]));
		step(origin, ihave([origin, 1, 1, 4, 40]));
		const [request] = sent(ticks(4), 'iwant');
		expect(request?.packet.wants).toEqual([{origin, incarnation: 1, from: 4, to: 4, sinceLamport: 0}]);
		expect(seqs(push(batchOf(4), {repair: true, from: request!.to}))).toEqual([4]);
	});

	test('that end within a batch neither hide the batch nor what follows', () => {
		for (const isHeld of [true, false]) {
			const {push, step} = push3();
			const batch = batchOf(5, {count: 4, lamport: 80, previousLamport: 40});
			const next = batchOf(9, {previousLamport: 80});
			if (isHeld) push(batch);
			step(other, ihave([origin, 1, 1, 6, 0]));
			if (!isHeld) push(batch);
			expect([...seqs(push(batchOf(4))), ...seqs(push(batch, {repair: true})), ...seqs(push(next))]).toEqual([
				4, 5, 9,
			]);
		}
	});

	test('that end within a batch that is held do not stop the requests for what is before it', () => {
		const {push, step, ticks} = push3();
		push(batchOf(5, {count: 4, lamport: 80, previousLamport: 40}));
		step(origin, {type: 'ihavenot', topic: news, gaps: [], isEnd: true});
		step(other, ihave([origin, 1, 1, 6, 0]));
		const requests = sent(ticks(40), 'iwant').flatMap(({packet}) => packet.wants);
		expect(requests.map(({from, to}) => [from, to])).toContainEqual([4, 4]);
	});

	test('do not bring back messages that were lost and reported', () => {
		const {push, step, ticks} = push3();
		const outputs = [push(batchOf(6))];
		for (const output of outputs) {
			for (const {to} of sent(output, 'iwant'))
				outputs.push(
					step(to, {type: 'ihavenot', topic: news, gaps: [[origin, 1, 4, 6]], isEnd: true}),
					ticks(20),
				);
		}

		const missed = outputs.flatMap(output => output.missed.map(({messages}) => messages));
		expect([missed, outputs.flatMap(output => seqs(output))]).toEqual([[2], [6]]);
		expect(seqs(push(batchOf(4)))).toEqual([]);
	});
});

test('a claim of this node itself is proved by its own batch', () => {
	const {gossip, step} = machine();
	step(other, ihave([self, 1, 1, 1, 10]));
	gossip.publish(batchOf(1, {from: self}));
	gossip.setReachable([origin, third]);
	expect(gossip.status().streams).toBe(1);
});
