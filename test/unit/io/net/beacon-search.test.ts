import {expect, test} from 'vitest';
import {decode} from '../../../../core/codec.ts';
import {systemEntropy} from '../../../../core/io/clock.ts';
import {
	Answers,
	decodeSearch,
	encodeSearch,
	isSearch,
	searchedFirst,
	searchedTopicsMax,
	type Search,
} from '../../../../core/io/net/beacon-search.ts';
import {decodeBeacon, encodeBeacon, type Beacon} from '../../../../core/io/net/beacon.ts';
import {OwnChallenges} from '../../../../core/io/net/challenges.ts';
import {ManualClock} from '../../../../core/io/net/memory-network.ts';
import {deriveKeys} from '../../../../core/wire/seal.ts';
import {createRandom} from '../../../sim/random.ts';
import {beacon, damagedOrRandom, formerBeacon, keys} from './support/datagrams.ts';

test('a question verifies only in its cluster, reveals no topic, and is never mistaken for a beacon', () => {
	const question = encodeSearch(['täglich', 'news'], keys);
	expect(isSearch(question)).toBe(true);
	expect(question.includes('news')).toBe(false);
	expect(decodeSearch(question, keys)).toEqual({
		hashes: [expect.any(String), expect.any(String)],
		challenge: undefined,
	});
	for (const other of [
		{secret: Buffer.alloc(32, 2), cluster: 'dapss'},
		{secret: Buffer.alloc(32, 1), cluster: 'other'},
	]) {
		expect(decodeSearch(question, deriveKeys(other))).toBe('foreign');
		expect(encodeSearch(['news'], deriveKeys(other)).subarray(32)).not.toEqual(
			encodeSearch(['news'], keys).subarray(32),
		);
	}

	// A node of the previous version decodes it like a beacon of another cluster, and ignores it.
	expect(decodeBeacon(question, keys)).toBe('foreign');
	expect(isSearch(encodeBeacon(beacon, {counter: 1}, keys))).toBe(false);
});

test('a question has a bounded size', () => {
	const question = encodeSearch(
		Array.from({length: 256}, (_, index) => `topic ${index} ${'x'.repeat(200)}`),
		keys,
	);
	expect(question.length).toBeLessThanOrEqual(512);
	expect((decodeSearch(question, keys) as Search).hashes).toHaveLength(searchedTopicsMax);
	expect(decodeSearch(Buffer.concat([question, Buffer.alloc(100)]), keys)).toBe('malformed');
});

test('20,000 damaged or random questions: none verifies, none throws', () => {
	const random = createRandom(46);
	const good = encodeSearch(['news'], keys);
	for (const datagram of damagedOrRandom(good, random).take(20_000))
		expect(['malformed', 'foreign']).toContain(decodeSearch(datagram, keys));
});

test('requested topics come first, so that they fit into a beacon without room for all', () => {
	const topics = Array.from({length: 500}, (_, index) => `a-topic-of-many-${index}`);
	const question = encodeSearch(['a-topic-of-many-499', 'nobody', 'a-topic-of-many-250'], keys);
	const searched = new Set((decodeSearch(question, keys) as Search).hashes);
	const first = searchedFirst(topics, searched, keys);
	expect(first.slice(0, 3)).toEqual(['a-topic-of-many-250', 'a-topic-of-many-499', 'a-topic-of-many-0']);
	expect(first.toSorted()).toEqual(topics.toSorted());
	expect(
		(decodeBeacon(encodeBeacon({...beacon, topics: first}, {counter: 1}, keys), keys) as Beacon).topics.slice(0, 2),
	).toEqual(['a-topic-of-many-250', 'a-topic-of-many-499']);
	expect(searchedFirst(topics, new Set(), keys)).toBe(topics);
});

test('a question carries a challenge, which earlier versions take for a hash', () => {
	const challenge = new OwnChallenges(new ManualClock(), systemEntropy).draw();
	expect(decodeSearch(encodeSearch(['news'], keys, challenge), keys)).toEqual({
		hashes: [expect.stringMatching(/^[0-9a-f]{16}$/)],
		challenge,
	});
	const many = Array.from({length: 50}, (_, index) => `topic ${index}`);
	expect(decodeSearch(encodeSearch(many, keys, challenge), keys)).toMatchObject({challenge});
	// An earlier version accepts up to 24 texts of 16 characters.
	const values = decode(encodeSearch(many, keys, challenge).subarray(33)) as readonly string[];
	expect(values).toHaveLength(searchedTopicsMax);
	expect(new Set(values.map(value => value.length))).toEqual(new Set([16]));
});

test('a beacon is compatible with the previous version in both directions', () => {
	// The previous version reads the first eight values and ignores the rest; its own beacons have no more.
	const mark = {counter: 7, challenge: undefined, answers: []};
	expect(decodeBeacon(encodeBeacon(beacon, mark, keys), keys)).toEqual({...beacon, ...mark, canProve: true});
	expect(decodeBeacon(formerBeacon(beacon, 7), keys)).toEqual({...beacon, ...mark, canProve: false});
	const {name: _none, ...nameless} = beacon;
	expect(decodeBeacon(formerBeacon(nameless as Beacon, 7), keys)).toMatchObject({name: '', canProve: false});
	// An invalid name is dropped.
	expect(decodeBeacon(encodeBeacon({...beacon, name: '\u001B[2J'}, mark, keys), keys)).toMatchObject({name: ''});
});

test('at most four answers a second; questions in between share an answer', () => {
	const given: Array<readonly string[]> = [];
	let later: (() => void) | undefined;
	const answers = new Answers(
		{
			after(_delayMs, run) {
				later = run;
				return {
					[Symbol.dispose]() {
						later = undefined;
					},
				};
			},
		},
		searched => given.push([...searched]),
	);
	const pass = (): void => {
		const run = later!;
		later = undefined;
		run();
	};

	answers.onSearch(['a']);
	expect(given).toEqual([['a']]);
	for (let round = 0; round < 1000; round++) answers.onSearch([`b${round % 3}`, 'c']);
	expect(given).toHaveLength(1);
	pass();
	expect(given).toEqual([['a'], ['b0', 'c', 'b1', 'b2']]);
	pass(); // No question has arrived since.
	expect(given).toHaveLength(2);
	answers.onSearch([]);
	expect(given).toEqual([['a'], ['b0', 'c', 'b1', 'b2'], []]);
	for (let round = 0; round < 1000; round++) answers.onSearch([`d${round}`]);
	pass();
	expect(given.at(-1)).toHaveLength(searchedTopicsMax);
	answers[Symbol.dispose]();
	expect(later).toBeUndefined();
});
