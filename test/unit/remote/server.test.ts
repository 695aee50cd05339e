import {expect, test} from 'vitest';
import type {Delivery} from '../../../core/broker.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {positionsMax} from '../../../core/position.ts';
import {RemoteBroker} from '../../../core/remote/client.ts';
import {
	decodeDelivery,
	decodeFrame,
	encodeFrame,
	encodePublish,
	openMax,
	publishMessagesMax,
	remoteKinds,
	type Answer,
} from '../../../core/remote/protocol.ts';
import {localCaller} from '../../../core/remote/permissions.ts';
import {serve} from '../../../core/remote/server.ts';
import {batchAt, FakeNode, origin, pipes, settle, turn, type FakePipe} from '../../support/remote-pipes.ts';
import {healthy} from '../../tui/support/fixtures.ts';

const request = (body: Record<string, unknown>): Buffer => encodeFrame('request', body);
const isAnswer = (frame: Buffer): boolean => frame[0] === remoteKinds.answer;
const answersOf = (frames: readonly Buffer[]): Answer[] =>
	frames.filter(frame => isAnswer(frame)).map(frame => decodeFrame(frame) as Answer);

/** A node that is served over a queue of `queueBytes`; the other end is raw frames. */
function serving(
	node: FakeNode,
	queueBytes: number,
): {readonly near: FakePipe; readonly far: FakePipe; readonly got: Buffer[]; readonly malformed: () => number} {
	const ends = pipes(queueBytes);
	const got: Buffer[] = [];
	let malformed = 0;
	ends.near.onFrame = frame => got.push(frame);
	serve(node.broker, ends.far, localCaller, () => malformed++);
	return {...ends, got, malformed: () => malformed};
}

test('a slow reader of 120 topics over a small queue gets every message, without drops', async () => {
	const node = new FakeNode();
	const topics = Array.from({length: 120}, (_, index) => `m${index}` as Topic);
	for (const topic of topics)
		node.topics.set(
			topic,
			Array.from({length: 10}, (_, offset) => batchAt(topic, offset, 5000)),
		);
	const ends = pipes(40_000); // Of 6 MB.
	serve(node.broker, ends.far, localCaller, () => undefined);
	const client = new RemoteBroker(ends.near);
	const subscription = client.subscribe(topics, {from: 'beginning'});
	const got = new Map<Topic, number[]>();
	let count = 0;
	const reading = (async () => {
		for await (const deliveries of subscription) {
			for (const {topic, offset} of deliveries) {
				got.set(topic, [...(got.get(topic) ?? []), offset]);
				count++;
			}

			await turn();
			if (count === 1200) return;
		}
	})();
	await settle(ends);
	await reading;
	expect([...got.keys()].toSorted()).toEqual(topics.toSorted());
	for (const offsets of got.values()) expect(offsets).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
	expect(subscription.dropped).toBe(0);
	expect(ends.far.mostQueuedBytes).toBeLessThanOrEqual(40_000);
	await settle(ends);
	expect(node.readers.size).toBe(0);
});

test('an unread subscription does not block another one', async () => {
	const node = new FakeNode();
	node.topics.set(
		'left' as Topic,
		Array.from({length: 3000}, (_, offset) => batchAt('left', offset, 5000)),
	);
	node.topics.set(
		'read' as Topic,
		Array.from({length: 300}, (_, offset) => batchAt('read', offset, 5000)),
	);
	const ends = pipes(200_000);
	serve(node.broker, ends.far, localCaller, () => undefined);
	const client = new RemoteBroker(ends.near);
	const left = client.subscribe(['left'], {from: 'beginning'});
	await settle(ends);
	const read = {count: 0};
	const reading = (async () => {
		for await (const deliveries of client.subscribe(['read'], {from: 'beginning'})) {
			read.count += deliveries.length;
			if (read.count === 300) return;
		}
	})();
	for (let round = 0; read.count < 300 && round < 1000; round++) await settle(ends);
	expect(read.count).toBe(300);
	await reading;
	await left[Symbol.asyncDispose]();
});

test('1,000 snapshot requests in one write are all answered, from few snapshots', async () => {
	const node = new FakeNode();
	const {near, far, got} = serving(node, 50_000);
	for (let id = 1; id <= 1000; id++) far.onFrame(request({id, op: 'snapshot'}));
	await settle({near, far});
	expect(node.snapshots).toBeLessThan(5);
	expect(got.length).toBe(1000);
	expect(answersOf(got).map(({id, value}) => [id, (value as {self?: string}).self])).toEqual(
		Array.from({length: 1000}, (_, index) => [index + 1, healthy.self]),
	);
});

test('many requests in one write are handled in several turns, and other connections are served between them', async () => {
	const node = new FakeNode();
	const [flood, other] = [serving(node, 1_000_000), serving(node, 1_000_000)];
	const topics = Array.from({length: 100}, (_, index) => `m${index}`);
	for (let id = 1; id <= 400; id++) {
		flood.near.send([request({id, op: 'subscribe', topics, from: 'now', credit: 1})]);
		flood.near.send([request({id: 0, op: 'end', stream: id})]);
	}

	while (flood.near.carry());
	expect(flood.far.isPaused).toBe(true);
	const left = flood.near.sent.length;
	expect(left).toBeGreaterThan(600);
	other.near.send([request({id: 1, op: 'snapshot'})]);
	await settle(other);
	expect(answersOf(other.got).map(({id}) => id)).toEqual([1]);
	expect(flood.near.sent.length).toBe(left);
	await settle(flood);
	expect(flood.near.sent).toEqual([]);
	expect(node.readers.size).toBe(0);
});

test('requests over the limit are refused, and a client that reads no answers is not read from', async () => {
	const node = new FakeNode();
	const {near, far, got} = serving(node, 20_000);
	for (let id = 1; id <= 3000; id++) far.onFrame(request({id, op: 'snapshot'}));
	await turn();
	expect(far.isPaused).toBe(true);
	await settle({near, far});
	const answers = answersOf(got);
	expect(answers.map(({id}) => id).toSorted((a, b) => a - b)).toEqual(
		Array.from({length: 3000}, (_, index) => index + 1),
	);
	expect(answers.filter(({error}) => error).length).toBe(3000 - openMax);
	expect(
		answers.every(({error}) => !error || (error.code === 'refused' && error.message.includes(String(openMax)))),
	).toBe(true);
	expect(far.isPaused).toBe(false);
});

test('a request with the id of an open stream is refused, and the stream continues', async () => {
	const node = new FakeNode();
	node.topics.set(
		't' as Topic,
		Array.from({length: 3}, (_, offset) => batchAt('t', offset, 10)),
	);
	const {near, far, got} = serving(node, 50_000);
	const open = {id: 7, op: 'subscribe', topics: ['t'], from: 'beginning', credit: 1};
	far.onFrame(request(open));
	await settle({near, far});
	for (let again = 0; again < 100; again++) far.onFrame(request(open));
	far.onFrame(request({id: 7, op: 'snapshot'}));
	far.onFrame(Buffer.concat(encodePublish(7, 't' as Topic, [Buffer.alloc(1)])));
	far.onFrame(request({id: 8, op: 'credit', stream: 7, bytes: 10_000}));
	await settle({near, far});
	expect(node.readers.size).toBe(1);
	expect(node.published).toEqual([]);
	const answers = answersOf(got);
	expect(
		answers.filter(({error}) => error?.code === 'refused' && /id that is not in use.* 7/.test(error.message))
			.length,
	).toBe(102);
	expect(
		got.filter(frame => frame[0] === remoteKinds.delivery).map(frame => decodeDelivery(frame)!.item.offset),
	).toEqual([0, 1, 2]);
	far.onFrame(request({id: 9, op: 'end', stream: 7}));
	far.onFrame(request(open));
	await settle({near, far});
	expect(answersOf(got).at(-1)).toEqual({id: 7, value: true});
	expect(node.readers.size).toBe(1);
});

test('a client that publishes faster than the disk stores is not read from meanwhile', async () => {
	const node = new FakeNode();
	const disk = Promise.withResolvers<void>();
	node.stored = disk.promise;
	const {near, far, got} = serving(node, 50_000);
	let sent = 0;
	while (!far.isPaused && sent < 1000)
		far.onFrame(Buffer.concat(encodePublish(++sent, 't' as Topic, [Buffer.alloc(100_000)])));
	expect(sent).toBeGreaterThan(20);
	expect(sent).toBeLessThan(60); // About 4 MiB.
	disk.resolve();
	await settle({near, far});
	expect(far.isPaused).toBe(false);
	expect(answersOf(got).map(({id}) => id)).toEqual(Array.from({length: sent}, (_, index) => index + 1));
});

test('a publish of too many messages is refused before they are decoded, and counted', async () => {
	const node = new FakeNode();
	const {near, far, got} = serving(node, 50_000);
	const empty = (count: number): Buffer[] => Array<Buffer>(count).fill(Buffer.alloc(0));
	far.onFrame(Buffer.concat(encodePublish(1, 't' as Topic, empty(publishMessagesMax))));
	far.onFrame(Buffer.concat(encodePublish(2, 't' as Topic, empty(publishMessagesMax + 1))));
	await settle({near, far});
	expect(node.published).toEqual([publishMessagesMax]);
	expect(node.bounds).toEqual(['publish-messages']);
	expect(answersOf(got).find(({error}) => error)).toMatchObject({
		id: 2,
		error: {code: 'usage', message: expect.stringContaining('at most 65536 messages')},
	});
	const client = new RemoteBroker(pipes(50_000).near);
	await expect(client.publish('t', empty(publishMessagesMax + 1))).rejects.toMatchObject({code: 'usage'});
});

test('publishers of many connections share one bound', async () => {
	const node = new FakeNode();
	const disk = Promise.withResolvers<void>();
	node.stored = disk.promise;
	const all = Array.from({length: 100}, () => serving(node, 50_000));
	let sent = 0;
	for (let round = 0; round < 60; round++)
		for (const {far} of all)
			if (!far.isPaused) far.onFrame(Buffer.concat(encodePublish(++sent, 't' as Topic, [Buffer.alloc(100_000)])));
	expect(all.every(({far}) => far.isPaused)).toBe(true);
	expect(sent * 100_000).toBeLessThan(64 * 1024 * 1024 + 100 * 100_600);
	disk.resolve();
	for (const one of all) await settle(one);
	expect(all.some(({far}) => far.isPaused)).toBe(false);
	expect(all.reduce((sum, {got}) => sum + answersOf(got).length, 0)).toBe(sent);
});

test('the topics read per connection and in total have limits, which the refusal names', async () => {
	const node = new FakeNode();
	node.limit({readersPerConnection: 300, readers: 500});
	const topics = Array.from({length: 120}, (_, index) => `m${index}`);
	const one = serving(node, 50_000);
	const two = serving(node, 50_000);
	for (let id = 1; id <= 4; id++)
		for (const {far} of [one, two])
			far.onFrame(request({id, op: 'subscribe', topics, from: 'beginning', credit: 1}));
	await settle(one);
	await settle(two);
	const refusals = (frames: readonly Buffer[]): string[] =>
		answersOf(frames).flatMap(({error}) =>
			error ? [`${error.code}: ${/limits\.\w+/.exec(error.message)?.[0]}`] : [],
		);
	expect(refusals(one.got)).toEqual([
		'refused: limits.readers_per_connection',
		'refused: limits.readers_per_connection',
	]);
	expect(refusals(two.got)).toEqual([
		'refused: limits.readers_per_connection',
		'refused: limits.readers_per_connection',
	]);
	const three = serving(node, 50_000);
	three.far.onFrame(request({id: 1, op: 'subscribe', topics, from: 'beginning', credit: 1}));
	await settle(three);
	expect(refusals(three.got)).toEqual(['refused: limits.readers']);
	expect([...new Set(node.bounds)].toSorted()).toEqual(['readers', 'readers-per-connection']);
	expect(node.readers.size).toBe(480);
	// The end of a connection frees its slots.
	one.near.close('done');
	await settle(one);
	three.far.onFrame(request({id: 1, op: 'subscribe', topics, from: 'beginning', credit: 1}));
	await settle(three);
	expect(answersOf(three.got).at(-1)).toEqual({id: 1, value: true});
});

test('event streams with messages count as readers too', async () => {
	const node = new FakeNode();
	const {near, far, got} = serving(node, 50_000);
	for (let id = 1; id <= 200; id++) far.onFrame(request({id, op: 'events', messages: true, credit: 0}));
	await settle({near, far});
	expect(node.followers).toBe(128);
	expect(answersOf(got).filter(({error}) => error?.message.includes('limits.readers_per_connection')).length).toBe(
		72,
	);
	far.onFrame(request({id: 201, op: 'events', messages: false, credit: 0}));
	far.onFrame(request({id: 202, op: 'end', stream: 1}));
	far.onFrame(request({id: 203, op: 'events', messages: true, credit: 0}));
	await settle({near, far});
	expect(node.followers).toBe(129);
	expect(answersOf(got).length).toBe(72);
});

test('readers that catch up take turns: few reads run at once, and none without credit', async () => {
	const node = new FakeNode();
	const topics = Array.from({length: 200}, (_, index) => `m${index}` as Topic);
	for (const topic of topics) node.topics.set(topic, [batchAt(topic, 0, 1000)]);
	const {near, far, got} = serving(node, 1_000_000);
	for (const [index, topic] of topics.entries())
		far.onFrame(request({id: index + 1, op: 'subscribe', topics: [topic], from: 'beginning', credit: index % 2}));
	await settle({near, far});
	expect(node.mostReads).toBe(8);
	expect(got.filter(frame => frame[0] === remoteKinds.delivery).length).toBe(100);
});

test('a batch that is larger than a frame ends its own subscription only', async () => {
	const node = new FakeNode();
	node.topics.set('large' as Topic, [batchAt('large', 0, 1_000_000)]);
	node.topics.set('small' as Topic, [batchAt('small', 0, 10)]);
	const {near, far, got} = serving(node, 2_000_000);
	far.onFrame(request({id: 1, op: 'subscribe', topics: ['large'], from: 'beginning', credit: 1e6}));
	far.onFrame(request({id: 2, op: 'subscribe', topics: ['small'], from: 'beginning', credit: 1e6}));
	await settle({near, far});
	expect(answersOf(got).find(({error}) => error)).toMatchObject({
		id: 1,
		error: {code: 'too-large', message: expect.stringContaining('limits.frame_bytes')},
	});
	expect(got.filter(frame => frame[0] === remoteKinds.delivery).length).toBe(1);
	expect(node.readers.size).toBe(1);
});

test('a frame that violates the protocol ends the connection and its streams', async () => {
	const node = new FakeNode();
	node.topics.set('t' as Topic, [batchAt('t', 0, 10)]);
	const {near, far, malformed} = serving(node, 50_000);
	far.onFrame(request({id: 1, op: 'subscribe', topics: ['t'], from: 'beginning', credit: 1e6}));
	far.onFrame(Buffer.of(99, 1, 2));
	await settle({near, far});
	expect(malformed()).toBe(1);
	expect(far.why).toBe('malformed frame');
	expect(node.readers.size).toBe(0);
});

test('a tracked subscription reports its start and continues after its positions', async () => {
	const node = new FakeNode();
	const topic = 't' as Topic;
	node.topics.set(
		topic,
		Array.from({length: 10}, (_, offset) => batchAt(topic, offset, 100)),
	);
	const ends = pipes(100_000);
	serve(node.broker, ends.far, localCaller, () => undefined);
	const client = new RemoteBroker(ends.near);
	const after = [{topic, since: 3, streams: [[origin, 1, 6]]}] as const;
	node.starts = [{topic, since: 7, streams: [[origin, 1, 4]]}];
	const subscription = client.subscribe([topic], {from: 'beginning', after, isTracked: true});
	await settle(ends);
	expect(await subscription.agreed).toEqual(node.starts);
	const {value} = await subscription[Symbol.asyncIterator]().next();
	expect((value as readonly Delivery[]).map(({seq}) => seq)).toEqual([7, 8, 9, 10]);
	node.starts = undefined;
	const plain = client.subscribe([topic], {from: 'beginning'});
	await settle(ends);
	expect(await plain.agreed).toBe(undefined);
	expect(node.places).toEqual([{from: 'beginning', after}, 'beginning']);
});

test('a subscription from an offset asks for its start, even when it is not tracked', async () => {
	const node = new FakeNode();
	const ends = pipes(100_000);
	serve(node.broker, ends.far, localCaller, () => undefined);
	const client = new RemoteBroker(ends.near);
	const topic = 't' as Topic;
	node.starts = [{topic, since: 0, streams: [[origin, 1, 4]], end: 3}];
	node.topics.set(
		topic,
		Array.from({length: 8}, (_, offset) => batchAt(topic, offset, 100)),
	);
	const subscription = client.subscribe([topic], {from: 5});
	await settle(ends);
	expect(node.places).toEqual([{from: 5, after: undefined}]);
	expect(await subscription.agreed).toEqual(node.starts);
	// The fake node, as one whose log ends before the offset, sends all of its messages.
	const {value} = await subscription[Symbol.asyncIterator]().next();
	expect((value as readonly Delivery[]).map(({offset}) => offset)).toEqual([5, 6, 7]);
});

test('positions that would fill a frame are not sent: the node starts at the beginning', async () => {
	const node = new FakeNode();
	const topic = 't' as Topic;
	const ends = pipes(10_000_000);
	serve(node.broker, ends.far, localCaller, () => undefined);
	const streams = Array.from(
		{length: positionsMax},
		(_, index) => [index.toString(16).padStart(16, '0') as NodeId, 1, index] as const,
	);
	const client = new RemoteBroker(ends.near);
	for (const count of [10_000, positionsMax]) {
		await settle(ends);
		const subscription = client.subscribe([topic], {
			from: 'beginning',
			after: [{topic, since: 0, streams: streams.slice(0, count)}],
			isTracked: true,
		});
		await settle(ends);
		await subscription.agreed;
	}

	expect(node.places.map(place => (typeof place === 'object' ? place.after?.[0]?.streams.length : place))).toEqual([
		10_000,
		undefined,
	]);
});

test('a connection holds a bounded number of positions; beyond it the reader skips messages', async () => {
	const node = new FakeNode();
	const topic = 't' as Topic;
	node.topics.set(
		topic,
		Array.from({length: 3}, (_, offset) => batchAt(topic, offset, 100)),
	);
	const ends = pipes(10_000_000);
	serve(node.broker, ends.far, localCaller, () => undefined);
	const client = new RemoteBroker(ends.near);
	const streams = [
		[origin, 1, 2],
		...Array.from({length: 9999}, (_, index) => [index.toString(16).padStart(16, '0') as NodeId, 1, 1] as const),
	] as const;
	const got: number[] = [];
	for (let count = 0; count < 7; count++) {
		const subscription = client.subscribe([topic], {
			from: 'beginning',
			after: [{topic, since: 0, streams}],
			isTracked: true,
		});
		await settle(ends);
		const {value} = await subscription[Symbol.asyncIterator]().next();
		got.push((value as readonly Delivery[]).length);
	}

	expect(got).toEqual([1, 1, 1, 1, 1, 1, 3]);
	expect(node.bounds).toEqual(['positions']);
});
