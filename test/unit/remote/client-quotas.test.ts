/** Quotas of a client over all its connections: topics that it reads, and the rate at which it publishes. */
import {expect, test} from 'vitest';
import {ClientAccounts} from '../../../core/remote/client-accounts.ts';
import {messageOverheadBytes} from '../../../core/remote/daily-use.ts';
import {decodeFrame, encodeFrame, encodePublish, remoteKinds, type Answer} from '../../../core/remote/protocol.ts';
import {localCaller} from '../../../core/remote/permissions.ts';
import {serve} from '../../../core/remote/server.ts';
import type {Topic} from '../../../core/message.ts';
import {FakeNode, pipes, settle, type FakePipe} from '../../support/remote-pipes.ts';

function connect(
	node: FakeNode,
	host?: string,
): {readonly near: FakePipe; readonly far: FakePipe; answers(): Answer[]} {
	const ends = pipes(1_000_000);
	const got: Buffer[] = [];
	ends.near.onFrame = frame => got.push(frame);
	const caller = host === undefined ? localCaller : {...localCaller, isLocal: false, address: `${host}:1234`};
	serve(node.broker, ends.far, caller, () => undefined);
	return {
		...ends,
		answers: () => got.filter(frame => frame[0] === remoteKinds.answer).map(frame => decodeFrame(frame) as Answer),
	};
}

const publish = (id: number, count: number, bytes: number): Buffer =>
	Buffer.concat(
		encodePublish(
			id,
			't' as Topic,
			Array.from({length: count}, () => Buffer.alloc(bytes)),
		),
	);

test.each([
	['bytes', {publishBytesPerS: 1000}, publish(1, 1, 3000)],
	['messages', {publishMessagesPerS: 10}, publish(1, 30, 1)],
])('a client that publishes more %s than its quota waits, and loses nothing', async (_what, limits, frame) => {
	const node = new FakeNode();
	node.limit(limits);
	const {near, far, answers} = connect(node, '10.0.0.1');
	far.onFrame(frame);
	expect(far.isPaused).toBe(true);
	await settle({near, far});
	expect(answers().map(({id}) => id)).toEqual([1]);
	expect(node.boundsBy).toEqual([['publish-rate', 'address 10.0.0.1']]);
	node.clock.advance(1999);
	expect(far.isPaused).toBe(true);
	node.clock.advance(1);
	expect(far.isPaused).toBe(false);
});

test('the connections of one client share its rate, and other clients are not held up', async () => {
	const node = new FakeNode();
	node.limit({publishBytesPerS: 1000});
	const [one, two, other] = [connect(node, '10.0.0.1'), connect(node, '10.0.0.1'), connect(node, '10.0.0.2')];
	one.far.onFrame(publish(1, 1, 2000));
	node.clock.advance(999);
	two.far.onFrame(publish(1, 1, 1000));
	other.far.onFrame(publish(1, 1, 1000));
	expect([one, two, other].map(({far}) => far.isPaused)).toEqual([true, true, false]);
	node.clock.advance(1); // The first connection would be free now, without the second.
	expect([one, two].map(({far}) => far.isPaused)).toEqual([true, true]);
	node.clock.advance(1000);
	expect([one, two].map(({far}) => far.isPaused)).toEqual([false, false]);
});

test('a new connection does not start a new rate', () => {
	const node = new FakeNode();
	node.limit({publishBytesPerS: 1000});
	const first = connect(node, '10.0.0.1');
	first.far.onFrame(publish(1, 1, 5000));
	first.far.close('away');
	first.far.onClose('away');
	const second = connect(node, '10.0.0.1');
	expect(second.far.isPaused).toBe(false);
	second.far.onFrame(publish(1, 1, 1));
	expect(second.far.isPaused).toBe(true);
	node.clock.advance(4000);
	expect(second.far.isPaused).toBe(true);
	node.clock.advance(1);
	expect(second.far.isPaused).toBe(false);
});

test('without a quota, or without a client, nothing waits', () => {
	const node = new FakeNode();
	const client = connect(node, '10.0.0.1');
	client.far.onFrame(publish(1, 1000, 100));
	expect(client.far.isPaused).toBe(false);
	const limited = new FakeNode();
	limited.limit({publishBytesPerS: 1});
	const local = connect(limited);
	local.far.onFrame(publish(1, 10, 10));
	expect(local.far.isPaused).toBe(false);
});

test('the topics that a client reads are counted over its connections, and the refusal names limit and client', async () => {
	const node = new FakeNode();
	node.limit({readersPerConnection: 256, readersPerClient: 300});
	const topics = Array.from({length: 200}, (_, index) => `m${index}`);
	const subscribe = encodeFrame('request', {id: 1, op: 'subscribe', topics, from: 'now', credit: 1});
	const [one, two, other] = [connect(node, '10.0.0.1'), connect(node, '10.0.0.1'), connect(node, '10.0.0.2')];
	for (const {far} of [one, two, other]) far.onFrame(subscribe);
	for (const ends of [one, two, other]) await settle(ends);
	expect(two.answers()).toEqual([
		{
			id: 1,
			error: {
				code: 'refused',
				message:
					'Expected at most 300 topics to be read by one client (limits.readers_per_client), ' +
					'got 400 of address 10.0.0.1',
			},
		},
	]);
	expect(other.answers()).toEqual([{id: 1, value: true}]);
	expect(node.boundsBy).toEqual([['readers-per-client', 'address 10.0.0.1']]);
	one.near.close('done');
	await settle(one);
	two.far.onFrame(subscribe);
	await settle(two);
	expect(two.answers().at(-1)).toEqual({id: 1, value: true});
});

test('a client over its bytes of a day is refused with the name of the limit, over all its connections', async () => {
	const node = new FakeNode();
	node.limit({storedBytesPerClient: 10_000});
	const [one, two, other] = [connect(node, '10.0.0.1'), connect(node, '10.0.0.1'), connect(node, '10.0.0.2')];
	const bodies = 10_000 - 2 * messageOverheadBytes;
	one.far.onFrame(publish(1, 1, 4000));
	two.far.onFrame(publish(1, 1, bodies - 4000));
	await settle(one);
	await settle(two);
	expect([...one.answers(), ...two.answers()].map(({error}) => error)).toEqual([undefined, undefined]);
	one.far.onFrame(publish(2, 1, 0));
	other.far.onFrame(publish(2, 1, 0));
	await settle(one);
	await settle(other);
	expect(one.answers().at(-1)?.error).toEqual({
		code: 'refused',
		message:
			'Expected one client to publish at most 10000 bytes a day through a node ' +
			'(limits.stored_bytes_per_client), got 10128 of address 10.0.0.1. Nothing was stored',
	});
	expect(other.answers().at(-1)?.error).toBeUndefined();
	expect(node.boundsBy).toEqual([['stored-bytes-per-client', 'address 10.0.0.1']]);
	// A new connection does not start anew, and a day later the client publishes again.
	for (const {near} of [one, two]) near.close('done');
	await settle(one);
	await settle(two);
	const again = connect(node, '10.0.0.1');
	again.far.onFrame(publish(1, 1, 0));
	node.clock.advance(25 * 3_600_000);
	again.far.onFrame(publish(2, 1, bodies));
	await settle(again);
	expect(again.answers().map(({error}) => error?.code)).toEqual(['refused', undefined]);
});

test('a publish that fails is not charged', async () => {
	const node = new FakeNode();
	node.limit({storedBytesPerClient: 1000});
	node.stored = Promise.reject(new Error('disk full'));
	node.stored.catch(() => undefined);
	const one = connect(node, '10.0.0.1');
	one.far.onFrame(publish(1, 1, 800));
	await settle(one);
	node.stored = Promise.resolve();
	one.far.onFrame(publish(2, 1, 800));
	await settle(one);
	expect(one.answers().map(({error}) => error?.code)).toEqual(['failure', undefined]);
});

test('clients that are gone are remembered only while their rate matters, and up to a bound', () => {
	const accounts = new ClientAccounts({
		readersPerClient: 300,
		publishBytesPerS: 1000,
		publishMessagesPerS: 0,
		storedBytesPerClient: 0,
	});
	for (let index = 0; index < 5000; index++) {
		const account = accounts.open(`client ${index}`, 0);
		account.published([Buffer.alloc(5000)], 0);
		accounts.close(account, 0);
	}

	expect(accounts.size).toBe(1024);
	expect(accounts.open('client 4999', 0).waitMs(0)).toBe(4000);
	accounts.close(accounts.open('client 1', 60_000), 60_000);
	expect(accounts.size).toBe(1);
});
