/** Which datagrams of the multicast group a node believes, under floods and replays. */
import {randomBytes} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import {BeaconReceiver, unprovedPerSecondMax, type Freshness} from '../../../../core/io/net/beacon-receiver.ts';
import {encodeSearch} from '../../../../core/io/net/beacon-search.ts';
import {encodeBeacon, type Beacon, type BeaconMark} from '../../../../core/io/net/beacon.ts';
import {answersMax, ForeignChallenges, isChallenge, OwnChallenges} from '../../../../core/io/net/challenges.ts';
import {Counters} from '../../../../core/io/net/counters.ts';
import {ManualClock} from '../../../../core/io/net/memory-network.ts';
import type {NodeId} from '../../../../core/message.ts';
import {createRandom} from '../../../sim/random.ts';
import {beacon, formerBeacon, keys} from './support/datagrams.ts';
import {fixedKeys} from '../../../../core/wire/key-ring.ts';

const self = 'aaaaaaaaaaaaaaaa' as NodeId;

/** A node at 127.0.0.1:5009. `own`, `others`: its challenges. */
function receiving(phase: Beacon['phase'], seed = 19) {
	const clock = new ManualClock();
	const random = createRandom(seed);
	const entropy = {
		bytes: (count: number) => Uint8Array.from({length: count}, () => random.below(256)),
		below: (limit: number) => random.below(limit),
	};
	const own = new OwnChallenges(clock, entropy);
	const others = new ForeignChallenges(entropy);
	const refusals = new Counters();
	const heard: Array<readonly [address: string, freshness: Freshness]> = [];
	let searches = 0;
	const receiver = new BeaconReceiver({
		keys: fixedKeys(keys),
		id: self,
		isLocal: false,
		clock,
		own,
		others,
		refusals,
		content: () => ({clusterId: 'c1', address: '127.0.0.1:5009', phase}),
		onBeacon: ({address}, freshness) => heard.push([address, freshness]),
		onSearch: () => searches++,
	});
	const hear = (one: Partial<Beacon>, mark: BeaconMark): void =>
		receiver.onDatagram(encodeBeacon({...beacon, ...one}, mark, keys), '127.0.0.1');
	return {clock, own, others, refusals, heard, receiver, hear, searches: () => searches};
}

describe('a flood without the secret', () => {
	test('5,000 junk datagrams a second do not keep out the beacon of a member', () => {
		const {receiver, refusals, heard, hear, clock, own} = receiving('seeking');
		for (let second = 0; second < 3; second++) {
			for (let index = 0; index < 5000; index++)
				receiver.onDatagram(randomBytes(40 + (index % 500)), `10.0.${index % 256}.7`);
			clock.advance(1000);
		}

		hear({}, {counter: 1, answers: [own.draw()]});
		hear({id: 'bbbbbbbbbbbbbbbb' as NodeId}, {counter: 1});
		expect(heard).toEqual([
			['127.0.0.1:5000', 'proved'],
			['127.0.0.1:5000', 'unproved'],
		]);
		expect(refusals.of('beacon-rate')).toBe(0);
		expect(refusals.of('beacon-foreign') + refusals.of('beacon-malformed')).toBe(15_000);
	});

	test('a flood of replayed beacons of many nodes does not keep out a node that proves that it runs', () => {
		const {refusals, heard, hear, own} = receiving('seeking');
		for (let index = 0; index < 1000; index++)
			hear({id: index.toString(16).padStart(16, '0') as NodeId, address: '10.0.0.66:5000'}, {counter: 1});
		hear({}, {counter: 1, answers: [own.draw()]});
		expect(heard.at(-1)).toEqual(['127.0.0.1:5000', 'proved']);
		expect(heard).toHaveLength(unprovedPerSecondMax + 1);
		expect(refusals.of('beacon-rate')).toBe(1000 - unprovedPerSecondMax);
	});

	test('the limit of beacons without a proof starts again each second', () => {
		const {heard, hear, clock} = receiving('seeking');
		for (let counter = 1; counter <= 300; counter++) hear({}, {counter});
		clock.advance(1000);
		hear({}, {counter: 301});
		expect(heard).toHaveLength(unprovedPerSecondMax + 1);
	});
});

describe('a beacon proves that it is no replay', () => {
	test('with an answer to a challenge that was drawn lately, and to no other', () => {
		const {heard, hear, clock, own} = receiving('seeking');
		const challenge = own.draw();
		hear({}, {counter: 1, answers: ['?aaaaaaaaaaaaaaa', challenge]});
		hear({}, {counter: 2, answers: ['?aaaaaaaaaaaaaaa']});
		hear({}, {counter: 3});
		clock.advance(5001);
		hear({}, {counter: 4, answers: [challenge]});
		expect(heard.map(([, freshness]) => freshness)).toEqual(['proved', 'unproved', 'unproved', 'unproved']);
	});

	test('once: the same datagram is not handed on again, although its challenge still counts', () => {
		const {heard, hear, own} = receiving('seeking');
		const mark = {counter: 1, answers: [own.draw()]};
		hear({}, mark);
		hear({}, mark);
		expect(heard).toHaveLength(1);
	});

	test('for this process only: the answer to a challenge of an earlier process proves nothing', () => {
		const recorded = {counter: 1, answers: [receiving('seeking', 1).own.draw()]};
		const {own, heard, hear} = receiving('seeking', 2);
		own.draw();
		hear({}, recorded);
		expect(heard).toEqual([['127.0.0.1:5000', 'unproved']]);
	});

	test('unless its sender is of an earlier version, which cannot', () => {
		const {heard, receiver} = receiving('seeking');
		receiver.onDatagram(formerBeacon(beacon, 1), '127.0.0.1');
		expect(heard).toEqual([['127.0.0.1:5000', 'unable']]);
	});
});

describe('a node asks for a proof', () => {
	test('with one challenge for all datagrams of half a second, so that many nodes need few answers', () => {
		const {own, clock} = receiving('seeking');
		const first = own.current();
		clock.advance(499);
		expect(own.current()).toBe(first);
		clock.advance(1);
		expect(own.current()).not.toBe(first);
		expect(own.isMetBy([first])).toBe(true);
	});

	test('while it seeks a cluster', () => {
		expect(receiving('seeking').receiver.isAsking).toBe(true);
		expect(receiving('member').receiver.isAsking).toBe(false);
	});

	test.each<[string, Partial<Beacon>]>([
		['another cluster of its name', {clusterId: 'c2'}],
		['its own identity at another address', {id: self}],
	])('as a member, while it hears %s without one', (_name, one) => {
		const {receiver, hear, clock} = receiving('member');
		hear({}, {counter: 1});
		expect(receiver.isAsking).toBe(false);
		hear(one, {counter: 2});
		expect(receiver.isAsking).toBe(true);
		clock.advance(5000);
		expect(receiver.isAsking).toBe(false);
	});
});

describe('a node gives a proof', () => {
	test('to each challenge that it hears in a beacon or a question, once', () => {
		const {receiver, others, hear, searches} = receiving('member');
		const theirs = receiving('seeking', 7).own;
		const [one, two] = [theirs.draw(), theirs.draw()];
		hear({phase: 'seeking'}, {counter: 1, challenge: one});
		receiver.onDatagram(encodeSearch(['news'], keys, two), '10.0.0.5');
		receiver.onDatagram(encodeSearch(['news'], keys, two), '10.0.0.5');
		expect(searches()).toBe(3);
		expect(others.take()).toEqual([one, two]);
		receiver.onDatagram(encodeSearch(['news'], keys, two), '10.0.0.5');
		expect(others.take()).toEqual([]);
	});

	test('not to its own challenge, which is looped back', () => {
		const {own, others, hear} = receiving('seeking');
		hear({id: self, address: '127.0.0.1:5009'}, {counter: 1, challenge: own.draw()});
		expect(others.isEmpty).toBe(true);
	});

	test('with bounded memory and a bounded datagram, also when thousands of challenges are replayed', () => {
		const {others} = receiving('member');
		const theirs = receiving('seeking', 7).own;
		const all = Array.from({length: 5000}, () => theirs.draw());
		expect(all.every(challenge => isChallenge(challenge))).toBe(true);
		for (const challenge of all) others.add(challenge);
		const answered: string[] = [];
		while (!others.isEmpty) {
			const answers = others.take();
			expect(answers.length).toBeLessThanOrEqual(answersMax);
			const name = 'n'.repeat(63);
			const long = {
				...beacon,
				name,
				address: `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.example:5000`,
			};
			expect(encodeBeacon(long, {counter: 1, answers, challenge: all[0]}, keys).length).toBeLessThanOrEqual(512);
			answered.push(...answers);
		}

		expect(answered).toHaveLength(64);
	});

	test('to a new challenge with a fair chance, while old ones are replayed', () => {
		const {others} = receiving('member');
		const theirs = receiving('seeking', 7).own;
		const old = Array.from({length: 200}, () => theirs.draw());
		const fresh = theirs.draw();
		for (const challenge of old.slice(0, 100)) others.add(challenge);
		others.add(fresh);
		for (const challenge of old.slice(100, 110)) others.add(challenge);
		const taken: string[] = [];
		while (!others.isEmpty) taken.push(...others.take());
		expect(taken).toContain(fresh);
	});
});
