import {expect, test} from 'vitest';
import {bodiesOf, decodeBatch, encodeBatch, proofKind, type NodeId, type Topic} from '../../../core/message.ts';
import {decodeDelivery, encodeDelivery, encodeFrame, parseRequest} from '../../../core/remote/protocol.ts';

const problemOf = (body: object): unknown => {
	const parsed = parseRequest(encodeFrame('request', {id: 7, ...body}));
	return 'problem' in parsed ? [parsed.id, parsed.problem] : parsed.op;
};

test.each([
	['topics', {op: 'subscribe', topics: Array(60_000).fill(1), from: 'now', credit: 1}, 'a list of 1 to 256 items'],
	['streams', {op: 'events', messages: true, after: Array(500_000).fill(1)}, 'a list of 0 to 16384 topics'],
	[
		'peers',
		{op: 'fault', command: {type: 'cut', peers: Array(60_000).fill(1), direction: 'both', forMs: 1}},
		'a list of 0 to 1024 items',
	],
])('a list of %s that is too long is refused before its items are checked', (_what, body, expected) => {
	expect(problemOf(body)).toEqual([7, expect.stringContaining(`Expected ${expected}`)]);
});

test('a topic name that is too long is refused without quoting it', () => {
	const name = `\u0000${'x'.repeat(60_000)}`;
	expect(problemOf({op: 'subscribe-node', topic: name})).toEqual([
		7,
		'topic: Expected a topic name of at most 255 bytes, got 60001',
	]);
});

test('of many invalid items only the first is reported', () => {
	const topics = Array.from({length: 256}, (_, index) => `${index}\u0000`);
	expect(problemOf({op: 'subscribe', topics, from: 'now', credit: 1})).toEqual([
		7,
		expect.stringMatching(/^topics\.0: Expected a topic name without control characters/),
	]);
});

test('lists up to their limits are accepted', () => {
	const topics = Array.from({length: 256}, (_, index) => `topic ${index}`);
	expect(problemOf({op: 'subscribe', topics, from: 'now', credit: 1})).toBe('subscribe');
});

test('a delivery has the batch without its proof, and counts the bytes that the reader gets', () => {
	const header = {
		origin: 'aaaaaaaaaaaaaaaa' as NodeId,
		incarnation: 1,
		topic: 'news' as Topic,
		firstSeq: 1,
		lamport: 5,
		previousLamport: 0,
		sentAtMs: 0,
	};
	for (const proof of ['none', 'mac', {index: 1, size: 3}] as const) {
		const batch = decodeBatch(encodeBatch(header, [Buffer.from('one'), Buffer.from('two')], proof))!;
		const {pieces, bytes} = encodeDelivery(7, {offset: 3, batch, hops: 1, repaired: true});
		const {stream, item} = decodeDelivery(Buffer.concat(pieces))!;
		expect({stream, offset: item.offset, hops: item.hops, repaired: item.repaired}).toEqual({
			stream: 7,
			offset: 3,
			hops: 1,
			repaired: true,
		});
		expect(proofKind(item.batch.bytes)).toBe('none');
		expect(item.batch.bytes.length).toBe(bytes);
		expect([...bodiesOf(item.batch)].map(body => Buffer.from(body).toString())).toEqual(['one', 'two']);
	}
});
