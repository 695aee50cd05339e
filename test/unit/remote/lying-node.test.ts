/** A node that lies to its clients: they end the connection with a clear error, and hold bounded memory. */
import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {Broker} from '../../../core/broker.ts';
import {DeliveryQueue} from '../../../core/data/delivery.ts';
import type {RecordedEvent} from '../../../core/events.ts';
import type {Topic} from '../../../core/message.ts';
import {printable} from '../../../core/observe/printable.ts';
import {eventText} from '../../../core/observe/event-text.ts';
import {RemoteBroker} from '../../../core/remote/client.ts';
import {withoutControls} from '../../../core/remote/plain-text.ts';
import {Positions, topicsMax} from '../../../core/remote/positions.ts';
import {
	decodeFrame,
	encodeDelivery,
	encodeFrame,
	openMax,
	remoteKinds,
	type Request,
} from '../../../core/remote/protocol.ts';
import {receiveEvents, snapshotOf} from '../../../core/remote/received.ts';
import {ResumedMessages} from '../../../core/remote/resumed-events.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {batchOf} from '../../support/batches.ts';
import {batchAt, origin, pipes, turn, type FakePipe} from '../../support/remote-pipes.ts';
import {healthy} from '../../tui/support/fixtures.ts';

function connected(queueBytes = 10_000_000): {readonly near: FakePipe; readonly client: RemoteBroker} {
	const {near} = pipes(queueBytes);
	return {near, client: new RemoteBroker(near)};
}

const asked = (near: FakePipe): Request => decodeFrame(near.sent.at(-1)!) as Request;

type Call = readonly [string, (client: Broker) => Promise<unknown>, readonly unknown[]];
const calls: readonly Call[] = [
	[
		'publish',
		client => client.publish('t', ['x']),
		[undefined, 5, {origin: 1}, {origin, incarnation: 1, topic: 't', firstSeq: -1, count: 1}],
	],
	['createTopic', client => client.createTopic('t'), [undefined, 'erased', {}]],
	[
		'deleteTopic',
		client => client.deleteTopic('t'),
		[undefined, {messages: 'many', missing: []}, {messages: 1, missing: 5}],
	],
	['readIndex', client => client.readIndex(), [undefined, 'x', -1, 0.5]],
	['transferLeadership', client => client.transferLeadership(), [5, {}, 'x'.repeat(100)]],
	[
		'snapshot',
		client => client.snapshot(),
		[undefined, {}, {...healthy, raft: {...healthy.raft, term: '\u001B[2J'}}],
	],
];

test.each(calls.flatMap(([name, call, values]) => values.map(value => [name, value, call] as const)))(
	'%s: an answer of %j ends the connection',
	async (_name, value, call) => {
		const {near, client} = connected();
		const answer = call(client);
		const id = near.sent.at(-1)![0] === remoteKinds.publish ? near.sent.at(-1)!.readUInt32BE(1) : asked(near).id;
		near.onFrame(encodeFrame('answer', {id, value}));
		await expect(answer).rejects.toMatchObject({
			code: 'closed',
			message: expect.stringContaining('violates the protocol'),
		});
		expect(near.why).toContain('violates the protocol');
	},
);

test('messages of a topic that was not asked for end the connection', async () => {
	const {near, client} = connected();
	const reading = client.subscribe(['cafe\u0301'])[Symbol.asyncIterator]().next();
	near.onFrame(Buffer.concat(encodeDelivery(1, batchAt('caf\u00E9', 0, 10)).pieces)); // The node normalizes names.
	expect((await reading).value).toHaveLength(1);
	near.onFrame(Buffer.concat(encodeDelivery(1, batchAt('other', 0, 10)).pieces));
	expect(near.why).toContain('a topic that was not asked for');
});

test('batches of very many empty messages are decoded in parts', async () => {
	const queue = new DeliveryQueue({agreed: Promise.resolve(), onRoom: () => undefined, onClose: () => undefined});
	const empty = Array.from({length: 10_000}, () => Buffer.alloc(0));
	queue.push(
		Array.from({length: 10}, (_, index) => ({
			offset: index * 10_000,
			batch: batchOf({origin, topic: 't' as Topic, firstSeq: 1 + index * 10_000}, empty),
			hops: 0,
			repaired: false,
		})),
	);
	queue.end();
	const parts: number[] = [];
	for await (const deliveries of queue) parts.push(deliveries.length);
	expect(parts).toEqual(Array(10).fill(10_000));
});

test('a node that sends snapshots and takes no requests is disconnected', () => {
	const {near, client} = connected(100);
	let snapshots = 0;
	client.watch(() => snapshots++);
	const frame = encodeFrame('snapshot', [1, healthy]);
	for (let count = 0; count < 10_000 && near.why === undefined; count++) near.onFrame(frame);
	expect(near.why).toContain('it takes no requests');
	expect(snapshots).toBeLessThanOrEqual(openMax + 20);
});

test('the topics of a follower are bounded, however many a node invents', () => {
	const positions = new Positions();
	const messages = new ResumedMessages(() => 0);
	messages.connect();
	for (let index = 0; index < topicsMax + 1000; index++) {
		const message = {
			topic: `t${index}` as Topic,
			origin,
			incarnation: 1,
			seq: 1,
			lamport: 1,
			sentAtMs: 0,
			body: Buffer.alloc(0),
		};
		positions.note([message]);
		for (const _event of messages.of({at: 0, type: 'message', message})) continue;
	}

	expect(positions.after().length).toBeLessThanOrEqual(topicsMax);
	expect(messages.connect()!.length).toBeLessThanOrEqual(topicsMax);
});

test('control characters of a node do not reach the texts of its clients', async () => {
	const {near, client} = connected();
	const hostile = 'a\u001B]52;c;AAAA\u0007b\u009B2Jc\u007Fd\r';
	const answer = client.readIndex();
	near.onFrame(encodeFrame('answer', {id: asked(near).id, error: {code: 'failure', message: hostile}}));
	await expect(answer).rejects.toThrow(/^a\uFFFD\]52;c;AAAA\uFFFDb\uFFFD2Jc\uFFFDd\uFFFD$/u);
	const long = client.readIndex();
	near.onFrame(encodeFrame('answer', {id: asked(near).id, error: {code: 'failure', message: 'x'.repeat(900_000)}}));
	await expect(long).rejects.toSatisfy((error: Error) => error.message.length < 5000);
	const events = client.events();
	near.onFrame(encodeFrame('event', [asked(near).id, [{at: 1, type: 'warning', text: hostile}]]));
	expect((await events.next()).value).toMatchObject({text: expect.not.stringContaining('\u001B')});
	const bytes = Buffer.from(hostile);
	expect(withoutControls({body: bytes})).toEqual({body: Buffer.from(hostile)});
	expect(withoutControls('line 1\nline 2\ttab')).toBe('line 1\nline 2\ttab');
});

test.each([
	['a role with an escape sequence', {raft: {...healthy.raft, role: 'leader\u001B[2J'}}],
	['a term that is a text', {raft: {...healthy.raft, term: '1'}}],
	['a quorum of an unknown kind', {raft: {...healthy.raft, quorum: 'toString'}}],
	['a member whose round trip is a text', {members: [{...healthy.members[0], rttMs: 'fast'}]}],
	['a topic without a count', {topics: [{...healthy.topics[0], messages: undefined}]}],
	['sides that are no lists', {partition: {...healthy.partition, sides: [5]}}],
	['a feed without bytes', {feed: [{...healthy.feed[0], preview: 'text'}]}],
	['an id that is no id', {self: '\u200D'}],
	['a leader that is null', {events: [{at: 1, type: 'leader', term: 1, leader: null}]}],
	['an event whose nodes are a number', {events: [{at: 1, type: 'voters', voters: 5}]}],
	['a history of leaders that holds a text', {raft: {...healthy.raft, leaders: ['n1']}}],
	[
		'a history of leaders with another event',
		{raft: {...healthy.raft, leaders: [{at: 1, type: 'warning', text: ''}]}},
	],
	['waiting messages without a number', {partition: {...healthy.partition, waitingFor: [{id: healthy.self}]}}],
	['counters that are texts', {counters: {...healthy.counters, bounds: {x: '\u001B'}}}],
])('a snapshot with %s is malformed', (_what, changed) => {
	expect(snapshotOf(healthy)).toBeDefined();
	expect(snapshotOf({...healthy, ...changed})).toBeUndefined();
});

test('fields and events of a newer node pass', () => {
	const newer = {
		...healthy,
		clients: [{key: 'x'}],
		events: [{at: 1, type: 'newer', what: {}}],
	} as unknown as Snapshot;
	expect(snapshotOf(newer)).toMatchObject({clients: [{key: 'x'}]});
});

const format = {duration: String, count: String, nodesMax: 3, previewBytes: 10};

test('every event that passes can be shown', () => {
	const value = fc.oneof(
		fc.constantFrom<unknown>(
			undefined,
			null,
			true,
			5,
			-1,
			'',
			'detected',
			'alive',
			'x\u001B',
			[],
			[[]],
			[['a']],
			{},
		),
		fc.anything({maxDepth: 2}),
	);
	const names = [
		'id',
		'address',
		'state',
		'sides',
		'quorum',
		'tookMs',
		'topic',
		'node',
		'voters',
		'reason',
		'from',
		'to',
		'by',
		'text',
	];
	const types = [
		'ready',
		'leader',
		'transfer',
		'member',
		'voters',
		'partition',
		'missed',
		'deleted',
		'topic',
		'message',
		'rejected',
		'named',
		'newer',
	];
	fc.assert(
		fc.property(fc.constantFrom(...types), fc.dictionary(fc.constantFrom(...names), value), (type, fields) => {
			let frame: Buffer;
			try {
				frame = encodeFrame('event', [1, [{at: 1, type, ...fields}]]);
			} catch {
				return; // Some values have no MessagePack form.
			}

			for (const event of receiveEvents(frame)?.events ?? []) {
				const {text} = eventText(event as RecordedEvent, format);
				expect(text).toBe(printable(text));
			}
		}),
		{numRuns: 2000},
	);
});

test('a connection that violates the protocol ends once, whatever comes after', async () => {
	const {near, client} = connected();
	near.onFrame(encodeFrame('answer', 5));
	for (let count = 0; count < 100; count++) near.onFrame(encodeFrame('snapshot', [1, null]));
	await turn();
	expect(await client.closed).toBe('the node violates the protocol: an answer is malformed');
	await expect(client.readIndex()).rejects.toMatchObject({code: 'closed'});
});
