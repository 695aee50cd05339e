/** Requests have a bound that is checked before they are decoded. */
import {expect, test} from 'vitest';
import {encode} from '../../../core/codec.ts';
import type {NodeId} from '../../../core/message.ts';
import {positionsMax} from '../../../core/position.ts';
import {encodeFrame, parseRequest, remoteKinds} from '../../../core/remote/protocol.ts';
import {positionedBytesMax, problemOfSize, requestBytesMax} from '../../../core/remote/request-size.ts';
import {localCaller} from '../../../core/remote/permissions.ts';
import {serve} from '../../../core/remote/server.ts';
import {FakeNode, pipes, settle} from '../../support/remote-pipes.ts';

const problemOf = (body: object): unknown => {
	const parsed = parseRequest(encodeFrame('request', body));
	return 'problem' in parsed ? [parsed.id, parsed.problem] : parsed.op;
};

const positions = (topics: number, streams: number): object[] =>
	Array.from({length: topics}, (_, topic) => ({
		topic: `t${topic}`,
		since: 2 ** 47,
		streams: Array.from({length: streams}, (_unused, stream) => [
			stream.toString(16).padStart(16, '0') as NodeId,
			0xff_ff_ff_ff,
			2 ** 47,
		]),
	}));

test('a request of more than 64 KiB is refused with its id, before it is decoded', () => {
	const frame = encodeFrame('request', {id: 70_000, op: 'remove', node: 'x'.repeat(requestBytesMax)});
	frame.fill(0xc1, 100); // No MessagePack any more.
	expect(parseRequest(frame)).toEqual({
		id: 70_000,
		problem: `request: Expected at most ${requestBytesMax} bytes, got ${frame.length}`,
	});
});

test.each([0, 127, 128, 255, 256, 65_535, 65_536, 0xff_ff_ff_ff])('the id %d is found in the head', id => {
	const frame = encodeFrame('request', {id, op: 'leave', rest: 'x'.repeat(requestBytesMax)});
	expect(problemOfSize(frame)?.id).toBe(id);
});

test.each([
	['nothing', Buffer.alloc(0)],
	['no map', encode(Array(70_000).fill(1))],
	['another first field', encode({topic: 5, id: 1})],
	['an id that is a text', encode({id: 'x', op: 'leave'})],
])('a large request with %s at its start is refused without an id', (_what, head) => {
	const frame = Buffer.concat([Buffer.of(remoteKinds.request), head, Buffer.alloc(requestBytesMax, 0xc0)]);
	expect(problemOfSize(frame)).toMatchObject({id: 0});
});

test('the positions of a reader may take more, up to their own limit', () => {
	const after = positions(1, positionsMax);
	expect(problemOf({id: 1, op: 'subscribe', topics: ['t0'], from: 'beginning', after, credit: 1})).toBe('subscribe');
	expect(problemOf({id: 1, op: 'events', messages: true, after})).toBe('events');
	const filler = 'x'.repeat(positionedBytesMax);
	expect(problemOf({id: 7, op: 'subscribe', topics: [filler], from: 'now', credit: 1})).toEqual([
		7,
		expect.stringContaining(`Expected at most ${positionedBytesMax} bytes`),
	]);
	expect(problemOf({id: 7, op: 'leave', filler})).toEqual([
		7,
		expect.stringContaining(`Expected at most ${requestBytesMax} bytes`),
	]);
});

test('positions are counted over all topics before they are checked', () => {
	const after = positions(2, positionsMax / 2 + 1).map(one => ({...one, since: 'never'}));
	expect(problemOf({id: 3, op: 'subscribe', topics: ['t0'], from: 'now', after, credit: 1})).toEqual([
		3,
		`after: Expected a list of 0 to 256 topics with ${positionsMax} positions at most`,
	]);
});

test('a node answers a request that is too large, and counts it', async () => {
	const node = new FakeNode();
	const {near, far} = pipes(1_000_000);
	const got: Buffer[] = [];
	near.onFrame = frame => got.push(frame);
	serve(node.broker, far, {...localCaller, isLocal: false, address: '10.0.0.1:1234'}, () => undefined);
	far.onFrame(encodeFrame('request', {id: 9, op: 'remove', node: 'x'.repeat(requestBytesMax)}));
	await settle({near, far});
	expect(got.length).toBe(1);
	expect(node.boundsBy).toEqual([['request-bytes', 'address 10.0.0.1']]);
});
