import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import type {Topic} from '../../../core/message.ts';
import {RemoteBroker} from '../../../core/remote/client.ts';
import {CreditWindow} from '../../../core/remote/credit.ts';
import {decodeFrame, encodeDelivery, encodeFrame, remoteKinds, type Request} from '../../../core/remote/protocol.ts';
import {SendWindow} from '../../../core/remote/send-window.ts';
import {batchAt, pipes, settle, turn, type FakePipe} from '../../support/remote-pipes.ts';
import {healthy} from '../../tui/support/fixtures.ts';

const kinds = Object.values(remoteKinds);
const requests = (pipe: FakePipe): Request[] => pipe.sent.map(frame => decodeFrame(frame) as Request);

function connected(options?: ConstructorParameters<typeof RemoteBroker>[1]): {
	readonly near: FakePipe;
	readonly client: RemoteBroker;
} {
	const {near} = pipes(10_000_000);
	return {near, client: new RemoteBroker(near, options)};
}

const start = {at: 1, type: 'start', topic: 't', since: 3, streams: [['a'.repeat(16), 1, 2]], isResumed: true};
const messageEvent = (changed: object): object => ({
	at: 1,
	type: 'message',
	message: {
		topic: 't',
		origin: 'a'.repeat(16),
		incarnation: 1,
		seq: 3,
		lamport: 9,
		sentAtMs: 1,
		body: Buffer.of(1),
		...changed,
	},
});

const malformed: ReadonlyArray<readonly [string, Buffer]> = [
	['an answer without a value', Buffer.of(remoteKinds.answer)],
	['an answer that is a number', encodeFrame('answer', 5)],
	['an answer that is nothing', encodeFrame('answer', null)],
	['an answer whose error is a text', encodeFrame('answer', {id: 1, error: 'no'})],
	['an answer whose error has no message', encodeFrame('answer', {id: 1, error: {code: 'failure'}})],
	['an answer that dropped a text', encodeFrame('answer', {id: 1, dropped: 'many'})],
	['events that are no list', encodeFrame('event', {id: 1})],
	['events of nothing', encodeFrame('event', [1, [null]])],
	['a message without a body', encodeFrame('event', [1, [{at: 1, type: 'message', message: {topic: 't'}}]])],
	['a message without an incarnation', encodeFrame('event', [1, [messageEvent({incarnation: undefined})]])],
	['a start without streams', encodeFrame('event', [1, [{...start, streams: undefined}]])],
	['a start at a node that is no id', encodeFrame('event', [1, [{...start, streams: [['x', 1, 2]]}]])],
	['a snapshot of nothing', encodeFrame('snapshot', [1, null])],
	['a snapshot without members', encodeFrame('snapshot', [1, {...healthy, members: undefined}])],
	['a snapshot whose members are numbers', encodeFrame('snapshot', [1, {...healthy, members: [1]}])],
	['a delivery of nothing', Buffer.of(remoteKinds.delivery, 0, 0, 0, 1)],
	['a delivery that is no batch', Buffer.concat([Buffer.of(remoteKinds.delivery), Buffer.alloc(200, 7)])],
];

test('a subscription to too many topics, or to none, is refused before anything is sent', () => {
	const {near, client} = connected();
	const names = Array.from({length: 257}, (_, index) => `t${index}`);
	expect(() => client.subscribe(names)).toThrow('Expected at most 256 topics, got 257');
	expect(() => client.subscribe([])).toThrow('Expected at least one topic, got none');
	expect(near.sent).toEqual([]);
	client.subscribe(names.slice(1));
	expect(requests(near)).toMatchObject([{op: 'subscribe'}]);
});

test.each(malformed)('%s ends the connection with a clear error', async (_name, frame) => {
	const {near, client} = connected();
	const asked = client.readIndex();
	const subscription = client.subscribe(['t']);
	const reading = subscription[Symbol.asyncIterator]().next();
	near.onFrame(frame);
	await expect(asked).rejects.toMatchObject({
		code: 'closed',
		message: expect.stringContaining('violates the protocol'),
	});
	await expect(reading).rejects.toMatchObject({code: 'closed'});
	expect(await client.closed).toContain('violates the protocol');
	expect(near.why).toContain('violates the protocol');
});

test('an invalid snapshot as an answer ends the connection too', async () => {
	const {near, client} = connected();
	const asked = client.snapshot();
	near.onFrame(encodeFrame('answer', {id: requests(near)[0]!.id, value: {self: 1}}));
	await expect(asked).rejects.toMatchObject({
		code: 'closed',
		message: expect.stringContaining('violates the protocol'),
	});
});

test('any frames of a node are processed without an exception', async () => {
	const any = fc.oneof(
		fc
			.tuple(fc.constantFrom(...kinds), fc.uint8Array({maxLength: 300}))
			.map(([kind, bytes]) => Buffer.concat([Buffer.of(kind), bytes])),
		fc
			.tuple(fc.constantFrom('answer' as const, 'event' as const, 'snapshot' as const), fc.anything())
			.map(([kind, value]) => {
				try {
					return encodeFrame(kind, value);
				} catch {
					return Buffer.of(0); // Some values have no MessagePack form.
				}
			}),
		fc.tuple(fc.nat(), fc.integer({min: 0, max: 255})).map(([at, byte]) => {
			const frame = Buffer.concat(encodeDelivery(1, batchAt('t', 3, 100)).pieces);
			frame[at % frame.length] = byte;
			return frame;
		}),
		fc.tuple(fc.nat(), fc.integer({min: 0, max: 255})).map(([at, byte]) => {
			const frame = encodeFrame('snapshot', [2, healthy]);
			frame[1 + (at % (frame.length - 1))] = byte;
			return frame;
		}),
	);
	await fc.assert(
		fc.asyncProperty(fc.array(any, {maxLength: 5}), async frames => {
			const {near, client} = connected();
			const deliveries = client.subscribe(['t'])[Symbol.asyncIterator](); // 1
			using _watching = client.watch(() => undefined); // 2
			const events = client.events({messages: true}); // 3
			const read = [deliveries.next(), events.next()].map(next =>
				(next as Promise<unknown>).catch((error: unknown) => error),
			);
			for (const frame of frames) near.onFrame(frame);
			await turn();
			near.close('over');
			await client.closed;
			for (const result of await Promise.all(read))
				expect(result instanceof DapssError || typeof (result as IteratorResult<unknown>).done).not.toBe(
					'undefined',
				);
		}),
		{numRuns: 500},
	);
});

test('a node that exceeds its credit is disconnected, unless it is of an earlier release', async () => {
	const strict = connected();
	strict.client.subscribe(['t']);
	const {credit} = requests(strict.near)[0] as Extract<Request, {op: 'subscribe'}>;
	const {length} = batchAt('t', 0, 100_000).batch.bytes;
	const allowed = Math.ceil(credit / length);
	for (let offset = 0; offset < allowed; offset++)
		strict.near.onFrame(Buffer.concat(encodeDelivery(1, batchAt('t', offset, 100_000)).pieces));
	expect(strict.near.why).toBeUndefined();
	strict.near.onFrame(Buffer.concat(encodeDelivery(1, batchAt('t', allowed, 100_000)).pieces));
	expect(strict.near.why).toContain('more messages than its credit allows');

	const lenient = connected({toleratedBytes: 1_000_000});
	lenient.client.subscribe(['t']);
	for (let offset = 0; offset < allowed + 9; offset++)
		lenient.near.onFrame(Buffer.concat(encodeDelivery(1, batchAt('t', offset, 100_000)).pieces));
	expect(lenient.near.why).toBeUndefined();
	for (let offset = 0; offset < 10; offset++)
		lenient.near.onFrame(Buffer.concat(encodeDelivery(1, batchAt('t', offset, 100_000)).pieces));
	expect(lenient.near.why).toContain('more messages than its credit allows');
});

test('a node that sends more events than its credit is disconnected', async () => {
	const {near, client} = connected();
	const events = client.events();
	const frame = encodeFrame('event', [1, [{at: 1, type: 'warning', text: 'x'.repeat(100_000)}]]);
	for (let count = 0; count < 100 && near.why === undefined; count++) near.onFrame(frame);
	expect(near.why).toContain('more events than its credit allows');
	expect((await events.next()).value).toMatchObject({type: 'warning'});
});

test('starts of topics are events of a tracked stream only', async () => {
	const {near, client} = connected();
	const events = client.trackedEvents([{topic: 't' as Topic, since: 3, streams: []}]);
	expect(requests(near)).toMatchObject([
		{op: 'events', messages: true, isTracked: true, after: [{topic: 't', since: 3, streams: []}]},
	]);
	near.onFrame(encodeFrame('event', [1, [start, messageEvent({})]]));
	expect((await events.next()).value).toEqual(start);
	expect((await events.next()).value).toMatchObject({type: 'message', message: {seq: 3}});
	expect(near.why).toBeUndefined();

	const plain = connected();
	plain.client.events({messages: true});
	plain.near.onFrame(encodeFrame('event', [1, [start]]));
	expect(plain.near.why).toContain('an event was not asked for');
});

test('read bytes are granted again, in one window for all streams of a connection', () => {
	const window = new CreditWindow(0);
	const streams = Array.from({length: 200}, () => {
		const grants: number[] = [];
		const credit = window.open(bytes => grants.push(bytes));
		return {credit, grants, first: credit.grant()};
	});
	const MiB = 1024 * 1024;
	expect(streams[0]!.first).toBe(4 * MiB);
	expect(streams.every(({first}) => first >= 64 * 1024)).toBe(true);
	expect(streams.reduce((sum, {credit}) => sum + credit.outstanding, 0)).toBeLessThanOrEqual(
		16 * MiB + 200 * 64 * 1024,
	);
	// The first streams shrink to their share as they use it, and every stream can always continue.
	for (const {credit, first} of streams) {
		expect(credit.receive(first)).toBe(true);
		expect(credit.receive(1)).toBe(false);
		credit.read(first);
	}

	expect(streams.every(({grants}) => grants.length === 1)).toBe(true);
	expect(streams.every(({grants}) => grants[0]! >= 64 * 1024)).toBe(true);
	expect(streams.reduce((sum, {credit}) => sum + credit.outstanding, 0)).toBeLessThanOrEqual(
		16 * MiB + 200 * 64 * 1024,
	);
	for (const {credit} of streams.slice(1)) credit.close();
	streams[0]!.credit.receive(streams[0]!.grants[0]!);
	streams[0]!.credit.read(streams[0]!.grants[0]!);
	expect(streams[0]!.grants.at(-1)).toBe(4 * MiB);
});

test('credit is not lost when the queue is full', async () => {
	const {near, far} = pipes(3000);
	const client = new RemoteBroker(near);
	const seen: Request[] = [];
	far.onFrame = frame => {
		if (frame[0] === remoteKinds.request) seen.push(decodeFrame(frame) as Request);
	};
	const deliveries = client.subscribe(['t'])[Symbol.asyncIterator]();
	const next = deliveries.next();
	near.send([Buffer.alloc(3000 - near.queuedBytes)]); // Other data fill the queue.
	for (let offset = 0; offset < 30; offset++)
		near.onFrame(Buffer.concat(encodeDelivery(1, batchAt('t', offset, 100_000)).pieces));
	expect((await next).value.length).toBe(30);
	void deliveries.next();
	await turn();
	expect(near.sent.length).toBe(2);
	await settle({near, far});
	expect(seen.map(({op}) => op)).toEqual(['subscribe', 'credit']);
	expect((seen[1] as Extract<Request, {op: 'credit'}>).bytes).toBeGreaterThan(3_000_000);
});

test('unanswered publishes wait in order, and are bounded', () => {
	const window = new SendWindow(100);
	const acknowledged: number[] = [];
	const problems: string[] = [];
	const publish = (number: number, bytes: number): void =>
		window.enter(
			bytes,
			() => acknowledged.push(number),
			error => problems.push(error.message),
		);
	publish(1, 60);
	publish(2, 60);
	publish(3, 10); // The window has room, but an earlier publish comes first.
	expect(acknowledged).toEqual([1]);
	window.leave(60);
	expect(acknowledged).toEqual([1, 2, 3]);
	publish(4, 1000); // Larger than the window: sent alone.
	window.leave(60);
	window.leave(10);
	expect(acknowledged).toEqual([1, 2, 3, 4]);
	publish(5, 64 * 1024 * 1024);
	publish(6, 1);
	expect(problems).toEqual([expect.stringContaining('wait for earlier ones first')]);
	window.close(new Error('lost'));
	expect(problems.at(-1)).toBe('lost');
	expect(acknowledged).toEqual([1, 2, 3, 4]);
});
