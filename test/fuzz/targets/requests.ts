/** Requests of clients: each is answered or refused, and none leaves anything behind. */
import fc from 'fast-check';
import type {StoredBatch, Topic} from '../../../core/message.ts';
import {decodeFrame, encodeFrame, encodePublish, remoteKinds, type Answer} from '../../../core/remote/protocol.ts';
import {localCaller} from '../../../core/remote/permissions.ts';
import {serve} from '../../../core/remote/server.ts';
import {batchAt, FakeNode, pipes, settle} from '../../support/remote-pipes.ts';
import {altered, bytes, damaged, hostileText, packed, value} from '../arbitraries.ts';
import {must, target} from '../target.ts';

const id = '1'.repeat(16);
const position = {topic: 't', since: 1, streams: [[id, 1, 2]]};
/** One request of each operation. */
const requests = [
	{id: 1, op: 'snapshot'},
	{id: 1, op: 'watch'},
	{id: 1, op: 'next', stream: 1},
	{id: 1, op: 'events', messages: true, isTracked: true, after: [position], credit: 100},
	{id: 1, op: 'subscribe', topics: ['t', 'u'], from: 'beginning', after: [position], isTracked: true, credit: 1000},
	{id: 1, op: 'credit', stream: 1, bytes: 1000},
	{id: 1, op: 'end', stream: 1},
	{id: 1, op: 'subscribe-node', topic: 't'},
	{id: 1, op: 'create-topic', topic: 't', settings: {retainAgeS: 1}, update: false},
	{id: 1, op: 'delete-topic', topic: 't', force: true},
	{id: 1, op: 'read-index'},
	{id: 1, op: 'transfer', to: id},
	{id: 1, op: 'remove', node: id},
	{id: 1, op: 'access'},
	{id: 1, op: 'change-access', change: {type: 'default', role: 'client'}},
	{id: 1, op: 'fault', command: {type: 'cut', peers: [id], direction: 'both', forMs: 1}},
];

const request = fc
	.tuple(fc.constantFrom(...requests), fc.nat(5))
	.chain(([body, number]) => fc.oneof(fc.constant({...body, id: number}), altered({...body, id: number})));

const frame = fc.oneof(
	request.map(body => Buffer.concat([Buffer.of(remoteKinds.request), packed(body)])),
	value.map(body => Buffer.concat([Buffer.of(remoteKinds.request), packed(body)])),
	damaged(encodeFrame('request', requests[4])),
	damaged(Buffer.concat(encodePublish(3, 't' as Topic, [Buffer.from('x')]))),
	fc
		.tuple(hostileText, fc.array(bytes(20), {maxLength: 5}))
		.filter(([topic]) => topic.isWellFormed())
		.map(([topic, bodies]) => Buffer.concat(encodePublish(4, topic as Topic, bodies))),
	bytes(60),
);

const isAnswer = (given: Buffer): boolean => given[0] === remoteKinds.answer;

export const requestTarget = target('requests', 1000, () => ({
	inputs: fc.array(frame, {minLength: 1, maxLength: 8}),
	async check(frames) {
		const node = new FakeNode();
		const topics = new Map<Topic, readonly StoredBatch[]>([['t' as Topic, [batchAt('t', 0, 10)]]]);
		for (const [topic, batches] of topics) node.topics.set(topic, batches);
		const ends = pipes(1_000_000);
		const got: Buffer[] = [];
		ends.near.onFrame = given => got.push(given);
		serve(node.broker, ends.far, {...localCaller, isLocal: false, address: '10.0.0.1:1234'}, () => undefined);
		for (const given of frames) if (given.length > 0 && ends.far.why === undefined) ends.far.onFrame(given);
		await settle(ends);
		for (const given of got.filter(one => isAnswer(one)))
			must(typeof (decodeFrame(given) as Answer).id === 'number', 'every answer to have an id');
		// The connection still works, or it was closed as malformed.
		if (ends.far.why === undefined) {
			got.length = 0;
			ends.far.onFrame(encodeFrame('request', {id: 77, op: 'snapshot'}));
			await settle(ends);
			must(
				got.some(one => isAnswer(one) && (decodeFrame(one) as Answer).id === 77),
				'a request to be answered',
			);
		} else must(ends.far.why === 'malformed frame', 'a reason for the close');
		ends.near.close('done');
		await settle(ends);
		must(node.readers.size === 0, 'no reader to be left');
		must(node.followers === 0, 'no stream of events to be left');
	},
}));
