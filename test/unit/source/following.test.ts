/**
Subscriptions that outlive their node: reading from the logs of several nodes, and reconnecting.
*/
import fc from 'fast-check';
import {describe, expect, test, vi} from 'vitest';
import type {Delivery, LinkNews, SubscribeOptions, Subscription} from '../../../core/broker.ts';
import {deliveriesOf} from '../../../core/data/delivery.ts';
import {DapssError} from '../../../core/errors.ts';
import {MemoryLog} from '../../../core/io/log/memory-log.ts';
import {lastSeq, type Batch, type NodeId, type StoredBatch, type Topic} from '../../../core/message.ts';
import {Seen, type SubscriptionStart} from '../../../core/position.ts';
import {backOffMs} from '../../../core/remote/back-off.ts';
import {Followed} from '../../../core/remote/followed.ts';
import {Positions} from '../../../core/remote/positions.ts';
import {probe} from '../../../core/remote/probing.ts';
import type {RemoteSubscribeOptions} from '../../../core/remote/reconnecting.ts';
import type {Connection} from '../../../core/remote/reconnecting.ts';
import {openTopicLog, type TopicLog} from '../../../core/topic-log/topic-log.ts';
import {LinkWords} from '../../../source/nodes/following.ts';
import {createRandom} from '../../sim/random.ts';
import {delivery} from '../../support/fakes.ts';
import {batchOf, zeros} from '../../support/batches.ts';

const topic = 'news' as Topic;
const origins = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc'] as readonly string[] as readonly NodeId[];
const idOf = ({
	origin,
	incarnation,
	seq,
}: {
	readonly origin: string;
	readonly incarnation: number;
	readonly seq: number;
}): string => `${origin.slice(0, 1)}${incarnation}/${seq}`;
const streamOf = (id: string): string => id.slice(0, id.indexOf('/'));

type PublishedIncarnation = {
	readonly origin: number;
	readonly incarnation: number;
	readonly counts: readonly number[];
	readonly gaps: readonly number[];
};

/** All published messages, by stream. */
function published(incarnations: readonly PublishedIncarnation[]): Batch[][] {
	return incarnations.map(({origin, incarnation, counts, gaps}) => {
		let seq = 1;
		let lamport = 0;
		return counts.map((count, index) => {
			const previous = lamport;
			lamport += gaps[index % gaps.length]!;
			const header = {
				origin: origins[origin]!,
				incarnation,
				topic,
				firstSeq: seq,
				lamport,
				previousLamport: previous,
			};
			const batch = batchOf(header, zeros(count, 40));
			seq += count;
			return batch;
		});
	});
}

const streams = fc
	.uniqueArray(
		fc.record({
			origin: fc.nat(origins.length - 1),
			incarnation: fc.integer({min: 1, max: 3}),
			counts: fc.array(fc.integer({min: 1, max: 4}), {minLength: 1, maxLength: 12}),
			gaps: fc.array(fc.integer({min: 1, max: 30}), {minLength: 1, maxLength: 12}),
		}),
		{minLength: 1, maxLength: 6, selector: ({origin, incarnation}) => `${origin}:${incarnation}`},
	)
	.map(published);

/** The log of one node: the messages of each stream with a stamp after `since`, in its own order. */
class Node {
	readonly log: TopicLog;
	readonly since: number;
	readonly #left: Batch[][];
	readonly #random: ReturnType<typeof createRandom>;

	constructor(log: TopicLog, all: readonly Batch[][], since: number, seed: number) {
		this.log = log;
		this.since = since;
		this.#left = all.map(stream => stream.filter(({lamport}) => lamport > since));
		this.#random = createRandom(seed);
	}

	static async open(all: readonly Batch[][], since: number, seed: number): Promise<Node> {
		return new Node(await openTopicLog(new MemoryLog({segmentBytes: 1500}), () => undefined), all, since, seed);
	}

	/** Number of further batches that it receives; `Infinity` for all. */
	async grow(batches: number): Promise<void> {
		for (let batch = 0; batch < batches; batch++) {
			const open = this.#left.filter(({length}) => length > 0);
			if (open.length === 0) return;
			await this.log.append([{batch: this.#random.pick(open).shift()!, hops: 1, repaired: false}]).written;
		}
	}

	/** The messages that a server sends from a position, up to a number of messages. */
	async read(from: number, messages: number, isKnown: (batch: Batch) => boolean = () => false): Promise<Delivery[]> {
		const items: StoredBatch[] = [];
		for (let at = from; at < this.log.nextOffset;) {
			const read = await this.log.read(at, 400);
			items.push(...read.items);
			at = read.next;
		}

		return items
			.filter(({batch}) => !isKnown(batch))
			.flatMap(item => [...deliveriesOf(item)].filter(({offset}) => offset >= from))
			.slice(0, messages);
	}
}

const all = (batches: readonly Batch[][], isWanted: (batch: Batch) => boolean = () => true): string[] =>
	batches
		.flat()
		.filter(batch => isWanted(batch))
		.flatMap(batch =>
			Array.from({length: batch.count}, (_, index) => idOf({...batch, seq: batch.firstSeq + index})),
		);

function expectInOrder(got: readonly string[]): void {
	for (const ids of Map.groupBy(got, id => streamOf(id)).values())
		expect(ids).toEqual(ids.toSorted((a, b) => Number(a.split('/')[1]) - Number(b.split('/')[1])));
}

describe('reading from several nodes', () => {
	const hop = fc.record({node: fc.nat(2), grow: fc.nat(20), messages: fc.nat(60), isOlder: fc.boolean()});
	test('returns each message once, in the order of its stream, for any logs and any lost connections', async () => {
		await fc.assert(
			fc.asyncProperty(
				streams,
				fc.tuple(fc.nat(), fc.nat(), fc.nat()),
				fc.nat(100),
				fc.nat(30),
				fc.nat(100),
				fc.nat(40),
				fc.array(hop, {maxLength: 6}),
				fc.constantFrom('now', 'offset'),
				async (batches, seeds, since, before, part, messages, hops, from) => {
					const nodes = await Promise.all(
						seeds.map((seed, index) => Node.open(batches, index === 0 ? since : 0, seed)),
					);
					const first = nodes[0]!;
					await first.grow(before);
					const start =
						from === 'now' ? first.log.nextOffset : Math.floor((first.log.nextOffset * part) / 100);
					const positions = new Positions();
					positions.begin([{topic, since, streams: await first.log.before(start)}]);
					const skipped = new Set(
						(await first.read(0, Infinity)).filter(({offset}) => offset < start).map(one => idOf(one)),
					);
					await first.grow(5);
					const got = await first.read(start, messages % 5 === 0 ? 0 : messages);
					positions.note(got);
					for (const {node, grow, messages: most, isOlder} of [
						...hops,
						{node: 1, grow: Infinity, messages: Infinity, isOlder: false},
					]) {
						await nodes[node]!.grow(grow);
						const [after] = positions.after();
						const seen = new Seen(after);
						// A server of an earlier release begins at the beginning.
						const more = isOlder
							? await nodes[node]!.read(0, most)
							: await nodes[node]!.read(
									nodes[node]!.log.freshFrom(seen),
									most,
									batch =>
										!seen.isFresh(batch.origin, batch.incarnation, lastSeq(batch), batch.lamport),
								);
						got.push(...positions.filterUnread(more));
					}

					const ids = got.map(one => idOf(one));
					expect(ids.toSorted()).toEqual(
						all(batches, ({lamport}) => lamport > since)
							.filter(id => !skipped.has(id))
							.toSorted(),
					);
					expectInOrder(ids);
					expect([positions.missed, positions.forgotten]).toEqual([0, 0]);
				},
			),
			{numRuns: 300},
		);
	});

	test('counts messages that the next node had deleted by retention', async () => {
		await fc.assert(
			fc.asyncProperty(streams, fc.nat(), fc.nat(60), fc.nat(1500), async (batches, seed, messages, bytes) => {
				const [first, second] = [await Node.open(batches, 0, seed), await Node.open(batches, 0, seed + 1)];
				await first.grow(Infinity);
				await second.grow(Infinity);
				const positions = new Positions();
				positions.begin([{topic, since: 0, streams: []}]);
				const got = await first.read(0, messages);
				positions.note(got);
				await second.log.retain({bytes, ageMs: Infinity, nowMs: 0});
				const seen = new Seen(positions.after()[0]);
				got.push(...positions.filterUnread(await second.read(second.log.freshFrom(seen), Infinity)));
				const ids = got.map(one => idOf(one));
				expect(new Set(ids).size).toBe(ids.length);
				expectInOrder(ids);
				// The number of missing messages of an unknown stream is unknown.
				let missed = 0;
				for (const list of Map.groupBy(ids, id => streamOf(id)).values())
					for (const [index, id] of list.entries())
						if (index > 0) missed += Number(id.split('/')[1]) - Number(list[index - 1]!.split('/')[1]) - 1;
				expect(positions.missed).toBe(missed);
			}),
			{numRuns: 200},
		);
	});

	test('begins at the next node shortly before the new messages, not at the beginning of its log', async () => {
		const log = await openTopicLog(new MemoryLog({segmentBytes: 1e7}), () => undefined);
		for (let index = 0; index < 40; index++)
			await log.append([
				{
					batch: batchOf({origin: origins[0]!, topic, firstSeq: index + 1}, zeros(1, 64_000)),
					hops: 0,
					repaired: false,
				},
			]).written;
		expect(log.freshFrom(new Seen())).toBe(0);
		const at = log.freshFrom(new Seen({since: 0, streams: [[origins[0]!, 1, 30]]}));
		expect(at).toBeLessThanOrEqual(30);
		expect(at).toBeGreaterThan(20);
		expect(log.freshFrom(new Seen({since: 0, streams: [[origins[0]!, 1, 40]]}))).toBe(40);
		expect(log.freshFrom(new Seen({since: 40, streams: []}))).toBe(40);
	});

	test('uses bounded memory: dropped incarnations and origins are counted, or count as seen', () => {
		const positions = new Positions(10);
		const from = (origin: number, incarnation: number): Delivery => ({
			...delivery(1, 'x'),
			origin: origin.toString(16).padStart(16, '0') as NodeId,
			incarnation,
		});
		positions.note(Array.from({length: 12}, (_, index) => from(index, 1)));
		expect([positions.forgotten, positions.after()[0]!.streams.length]).toEqual([2, 10]);
		const seen = new Seen();
		for (let incarnation = 1; incarnation <= 1048; incarnation++) seen.note(origins[0]!, incarnation, 5);
		expect([seen.size, seen.isFresh(origins[0]!, 1, 9, 9), seen.isFresh(origins[0]!, 1048, 6, 9)]).toEqual([
			1024,
			false,
			true,
		]);
	});
});

test('the back-off doubles from 100 ms to 10 s, with a random share', () => {
	const random = createRandom(7);
	for (let attempt = 0; attempt < 40; attempt++) {
		const wholeMs = Math.min(10_000, 100 * 2 ** attempt);
		const drawn = Array.from({length: 50}, () => backOffMs(attempt, random));
		expect(Math.min(...drawn)).toBeGreaterThanOrEqual(wholeMs / 2);
		expect(Math.max(...drawn)).toBeLessThanOrEqual(wholeMs);
		expect(new Set(drawn).size).toBeGreaterThan(10);
	}
});

/** A server with a list of deliveries. The test ends it. */
class FakeServer {
	readonly server: string;
	readonly asked: SubscribeOptions[] = [];
	/** Messages that the connection skips, because they are below the offset. */
	skipped: readonly Delivery[] = [];
	agreed: () => Promise<readonly SubscriptionStart[] | void> = async () => [{topic, since: 0, streams: []}];
	arrays: ReadonlyArray<readonly Delivery[]> = [];
	readonly lost = Promise.withResolvers<string>();

	constructor(server: string, ...arrays: ReadonlyArray<readonly Delivery[]>) {
		this.server = server;
		this.arrays = arrays;
	}

	get connection(): Connection {
		const {
			lost: {promise: closed, resolve},
			asked,
			server,
		} = this;
		const subscribe = (_topics: readonly Topic[], options: RemoteSubscribeOptions = {}): Subscription => {
			asked.push(options);
			if (this.skipped.length > 0) options.onSkipped?.(this.skipped);
			const {arrays, agreed} = this;
			const over = Promise.withResolvers<undefined>();
			return {
				agreed: agreed(),
				dropped: 0,
				async *[Symbol.asyncIterator]() {
					for (const deliveries of arrays) {
						const isWanted = ({topic: of, offset}: Delivery): boolean =>
							offset >= (options.firstOffset?.(of) ?? 0);
						options.onSkipped?.(deliveries.filter(one => !isWanted(one)));
						const wanted = deliveries.filter(one => isWanted(one));
						if (wanted.length > 0) yield wanted;
					}

					const why = await Promise.race([closed, over.promise]);
					if (why !== undefined) throw new DapssError('closed', `The connection to the node is lost: ${why}`);
				},
				async [Symbol.asyncDispose]() {
					over.resolve(undefined);
				},
			};
		};
		return {
			server,
			closed,
			subscribe,
			snapshot: async () => ({lamport: 12, events: []}),
			[Symbol.asyncDispose]: async () => resolve('closed here'),
		} as unknown as Connection;
	}
}

type Setup = {
	readonly followed: Followed;
	readonly pauses: number[];
	readonly linkNews: LinkNews[];
	readonly attempts: string[];
	readonly probed: Map<string, (why: string) => void>;
};

/** Connected to the first server; each later attempt uses the next one, or fails with its error. */
function following(...servers: ReadonlyArray<FakeServer | Error>): Setup {
	const [first, ...next] = servers;
	const pauses: number[] = [];
	const attempts: string[] = [];
	const probed: Setup['probed'] = new Map();
	const followed = new Followed((first as FakeServer).connection, {
		async connect(last) {
			attempts.push(last);
			const server = next.shift();
			if (server instanceof FakeServer) return server.connection;
			throw server ?? new Error('nobody');
		},
		async pause(ms, signal) {
			pauses.push(ms);
			// Without a further server it waits until it is closed.
			if (next.length === 0) await new Promise(resolve => signal.addEventListener('abort', resolve));
		},
		probe(connection, fail) {
			probed.set(connection.server, fail);
			return {[Symbol.dispose]: () => void probed.delete(connection.server)};
		},
		nowMs: () => 0,
		wallMs: () => 0,
		random: {below: limit => limit - 1},
	});
	const linkNews: LinkNews[] = [];
	followed.onLink(news => linkNews.push(news));
	return {followed, pauses, linkNews, attempts, probed};
}

const bodies = async (subscription: Subscription, count: number): Promise<string[]> => {
	const texts: string[] = [];
	for await (const deliveries of subscription) {
		texts.push(...deliveries.map(({body}) => Buffer.from(body).toString()));
		if (texts.length >= count) break;
	}

	return texts;
};

describe('a followed node', () => {
	test('is replaced by the next one that answers; the subscription continues after the last message', async () => {
		const one = new FakeServer('one', [delivery(1, 'a'), delivery(2, 'b')]);
		const two = new FakeServer('two', [delivery(1, 'a'), delivery(2, 'b'), delivery(3, 'c')], [delivery(6, 'f')]);
		one.lost.resolve('it was killed');
		const {followed, linkNews, pauses, attempts} = following(one, new Error('refused'), two);
		const subscription = followed.subscribe([topic]);
		await subscription.agreed;
		expect(await bodies(subscription, 4)).toEqual(['a', 'b', 'c', 'f']);
		expect(subscription.dropped).toBe(2);
		expect(two.asked).toEqual([
			{from: 'beginning', isTracked: true, after: [{topic, since: 0, streams: [[delivery(1, '').origin, 1, 2]]}]},
		]);
		expect(linkNews).toEqual([
			{state: 'lost', server: 'one', why: 'it was killed', retryMs: 50},
			{state: 'lost', server: 'one', why: 'refused', retryMs: 100},
			{state: 'connected', server: 'two'},
		]);
		expect([pauses, attempts, followed.server]).toEqual([[50, 100], ['one', 'one'], 'two']);
		await followed[Symbol.asyncDispose]();
		expect(await followed.closed).toBe('closed here');
	});

	test('of an earlier release, without a start position, is followed by its clock', async () => {
		const one = new FakeServer('one', [delivery(4, 'd')]);
		one.agreed = async () => undefined;
		const two = new FakeServer(
			'two',
			[delivery(1, 'old')],
			[delivery(4, 'd'), delivery(5, 'e')],
			[
				{...delivery(1, 'older'), incarnation: 2},
				{...delivery(2, 'new'), incarnation: 2, lamport: 13},
			],
		);
		one.lost.resolve('it was killed');
		const {followed} = following(one, two);
		expect(await bodies(followed.subscribe([topic]), 3)).toEqual(['d', 'e', 'new']);
		await followed[Symbol.asyncDispose]();
	});

	test('that returns gives nothing below the offset, until a message at or after it was read', async () => {
		const start = {topic, since: 0, streams: [], end: 1};
		const one = new FakeServer('one');
		one.agreed = async () => [start];
		one.lost.resolve('it was killed');
		const back = new FakeServer('one', [delivery(2, 'b'), delivery(3, 'c')], [delivery(4, 'd'), delivery(5, 'e')]);
		const {followed} = following(one, back);
		const subscription = followed.subscribe([topic], {from: 3});
		expect(await subscription.agreed).toEqual([start]);
		expect(await bodies(subscription, 2)).toEqual(['d', 'e']);
		await followed[Symbol.asyncDispose]();
	});

	test('is replaced by another one, which does not deliver messages that were skipped', async () => {
		const one = new FakeServer('one');
		one.skipped = [delivery(1, 'a'), delivery(2, 'b')];
		one.lost.resolve('it was killed');
		// An offset of the first node has no meaning here.
		const two = new FakeServer('two', [delivery(1, 'a'), delivery(2, 'b'), delivery(3, 'c')]);
		const {followed} = following(one, two);
		expect(await bodies(followed.subscribe([topic], {from: 50}), 1)).toEqual(['c']);
		await followed[Symbol.asyncDispose]();
	});

	test('that refuses is skipped for another, unless all nodes refuse', async () => {
		const one = new FakeServer('one', [delivery(1, 'a')]);
		const two = new FakeServer('two');
		two.agreed = async () => {
			throw new DapssError('no-quorum', 'no quorum here');
		};
		const three = new FakeServer('three', [delivery(2, 'b')]);
		const four = new FakeServer('four');
		four.agreed = async () => {
			throw new DapssError('too-large', 'a batch is larger than a frame');
		};
		for (const server of [one, three]) server.lost.resolve('it was killed');
		const {followed, linkNews} = following(one, two, three, four);
		const got: string[] = [];
		await expect(
			(async () => {
				for await (const deliveries of followed.subscribe([topic]))
					got.push(...deliveries.map(({body}) => Buffer.from(body).toString()));
			})(),
		).rejects.toMatchObject({code: 'too-large'});
		expect(got).toEqual(['a', 'b']);
		expect(linkNews.filter(({state}) => state === 'lost')).toMatchObject([
			{server: 'one'},
			{server: 'two', why: 'no quorum here'},
			{server: 'three'},
		]);
		await followed[Symbol.asyncDispose]();
	});

	test('that refuses at the first attempt ends with that refusal', async () => {
		const one = new FakeServer('one');
		one.agreed = async () => {
			throw new DapssError('no-quorum', 'no quorum here');
		};
		const {followed} = following(one);
		const subscription = followed.subscribe([topic]);
		await expect(subscription.agreed).rejects.toMatchObject({code: 'no-quorum'});
		await expect(bodies(subscription, 1)).rejects.toMatchObject({code: 'no-quorum'});
		await followed[Symbol.asyncDispose]();
	});

	test('that does not answer on an open link is abandoned', async () => {
		const one = new FakeServer('one', [delivery(1, 'a')]);
		const two = new FakeServer('two', [delivery(1, 'a'), delivery(2, 'b')]);
		const {followed, linkNews, probed} = following(one, two);
		const reading = bodies(followed.subscribe([topic]), 2);
		probed.get('one')!('it has not answered for 10 s');
		expect(await reading).toEqual(['a', 'b']);
		expect(linkNews[0]).toMatchObject({state: 'lost', why: 'it has not answered for 10 s'});
		expect([...probed.keys()]).toEqual(['two']);
		await followed[Symbol.asyncDispose]();
		expect(probed.size).toBe(0);
	});

	test('is probed every few seconds; only a silent one fails', async () => {
		vi.useFakeTimers();
		try {
			let answer: () => void = () => undefined;
			let asked = 0;
			const failures: string[] = [];
			const broker = {
				snapshot: () =>
					new Promise<never>((_resolve, reject) => {
						asked++;
						answer = () => reject(new Error('any answer'));
					}),
			};
			using _probe = probe(broker, why => failures.push(why));
			await vi.advanceTimersByTimeAsync(14_000);
			expect([asked, failures]).toEqual([1, []]);
			answer();
			await vi.advanceTimersByTimeAsync(10_000);
			expect([asked, failures]).toEqual([2, []]);
			await vi.advanceTimersByTimeAsync(2000);
			expect([asked, failures]).toEqual([2, ['it has not answered for 10 s']]);
		} finally {
			vi.useRealTimers();
		}
	});

	test('that is lost refuses calls, and its readers end at once when they stop', async () => {
		const one = new FakeServer('one', [delivery(1, 'a')]);
		const {followed, linkNews} = following(one);
		const subscription = followed.subscribe([topic]);
		const iterator = subscription[Symbol.asyncIterator]();
		expect((await iterator.next()).done).toBe(false);
		const waiting = iterator.next();
		one.lost.resolve('it was killed');
		await expect.poll(() => linkNews.length).toBe(1);
		await expect(followed.publish(topic, [])).rejects.toMatchObject({
			code: 'unreachable',
			message: 'No node is reachable: lost one (it was killed), trying again',
		});
		await subscription[Symbol.asyncDispose]();
		expect((await waiting).done).toBe(true);
		await followed[Symbol.asyncDispose]();
	});
});

test('a loss and a return print one line each, an attempt prints none', () => {
	const words = new LinkWords();
	const lost = (why: string, retryMs: number): string | undefined =>
		words.of({state: 'lost', server: 'a:1', why, retryMs});
	expect([
		lost('reset', 80),
		lost('refused', 150),
		lost('refused', 300),
		words.of({state: 'connected', server: 'b:1'}),
		lost('reset', 60),
	]).toEqual([
		'Lost a:1: reset; trying again in 80 ms',
		'Not reached: refused; retrying until it works',
		undefined,
		'Connected to b:1',
		'Lost a:1: reset; trying again in 60 ms',
	]);
});
