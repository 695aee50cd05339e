/** The access of a connection: what a node refuses, hides and records. */
import {expect, test} from 'vitest';
import type {Access} from '../../../core/access.ts';
import type {Topic} from '../../../core/message.ts';
import {RemoteBroker} from '../../../core/remote/client.ts';
import {localCaller} from '../../../core/remote/permissions.ts';
import {serve} from '../../../core/remote/server.ts';
import {FakeNode, pipes, settle, type FakePipe} from '../../support/remote-pipes.ts';
import {healthy} from '../../tui/support/fixtures.ts';

const client: Access = {role: 'client', topics: [], isReadonly: false};
const orders = 'orders' as Topic;

function connect(access: Access): {
	readonly node: FakeNode;
	readonly broker: RemoteBroker;
	readonly ends: {readonly near: FakePipe; readonly far: FakePipe};
} {
	const node = new FakeNode();
	node.access = access;
	const ends = pipes(1_000_000);
	serve(node.broker, ends.far, {...localCaller, isLocal: false}, () => undefined);
	return {node, broker: new RemoteBroker(ends.near), ends};
}

/** The code of the error, or `done`. */
async function outcome(work: Promise<unknown>, ends: ReturnType<typeof connect>['ends']): Promise<unknown> {
	const settled = work.then(
		() => 'done',
		(error: unknown) => (error as {readonly code: unknown}).code,
	);
	await settle(ends);
	return settled;
}

test('a client publishes, and its request to remove a member is refused and recorded', async () => {
	const {node, broker, ends} = connect(client);
	expect(await outcome(broker.publish(orders, ['one']), ends)).toBe('done');
	expect(await outcome(broker.removeMember('aaaaaaaaaaaaaaaa'), ends)).toBe('not-authorized');
	expect(node.audits).toEqual(['remove aaaaaaaaaaaaaaaa failed']);
});

test('a message to a topic outside of the patterns is refused, and is not published', async () => {
	const {node, broker, ends} = connect({...client, topics: ['orders.>']});
	expect(await outcome(broker.publish('wages', ['one']), ends)).toBe('not-authorized');
	expect(await outcome(broker.publish('orders.eu', ['one']), ends)).toBe('done');
	expect(node.published).toEqual([1]);
	expect(node.audits).toEqual(['publish wages failed']);
});

test('a refused subscription is recorded with the topic for which it was refused', async () => {
	const {node, broker, ends} = connect({...client, topics: ['orders.>']});
	const reading = broker.subscribe(['orders.eu', 'wages']);
	expect(await outcome(reading.agreed, ends)).toBe('not-authorized');
	expect(node.audits).toEqual(['subscribe wages failed']);
});

test.each([
	['an observer', {...client, role: 'observer'}],
	['a client with patterns', {...client, topics: ['orders.>']}],
] as const)('%s gets snapshots without messages', async (_name, access) => {
	const {broker, ends} = connect(access);
	const snapshot = broker.snapshot();
	await settle(ends);
	expect(healthy.feed.length).toBeGreaterThan(0);
	expect((await snapshot).feed).toEqual([]);
	const seen: number[] = [];
	using _watch = broker.watch(({feed}) => seen.push(feed.length));
	await settle(ends);
	expect(seen.every(length => length === 0)).toBe(true);
});

test('a client for all topics gets snapshots with messages', async () => {
	const {broker, ends} = connect(client);
	const snapshot = broker.snapshot();
	await settle(ends);
	expect((await snapshot).feed).toHaveLength(healthy.feed.length);
});

test('a changed access ends the connection with the reason; one that stays the same does not', async () => {
	const {node, broker, ends} = connect(client);
	node.regrant({...client});
	await settle(ends);
	expect(await outcome(broker.publish(orders, ['one']), ends)).toBe('done');
	node.regrant({...client, role: 'none'});
	await settle(ends);
	expect(await broker.closed).toBe('the access of connections without an identity has changed: it has no role now');
	expect(await outcome(broker.publish(orders, ['two']), ends)).toBe('closed');
	expect(node.published).toEqual([1]);
});

test('a node that has just started publishes for a client only when it knows the current access', async () => {
	const {node, broker, ends} = connect({...client, topics: ['orders', 'wages']});
	const caughtUp = Promise.withResolvers<void>();
	node.current = caughtUp.promise;
	const [kept, taken] = [
		outcome(broker.publish(orders, ['one']), ends),
		outcome(broker.publish('wages', ['two']), ends),
	];
	await settle(ends);
	expect(node.published).toEqual([]);
	node.access = {...client, topics: ['orders']};
	caughtUp.resolve();
	await settle(ends);
	expect([await kept, await taken]).toEqual(['done', 'not-authorized']);
	expect([node.published, node.audits]).toEqual([[1], ['publish wages failed']]);
});

test('a node that has just started decides on a change only when it knows the current access', async () => {
	const {node, broker, ends} = connect({...client, role: 'operator'});
	const caughtUp = Promise.withResolvers<void>();
	node.current = caughtUp.promise;
	const removal = outcome(broker.removeMember('aaaaaaaaaaaaaaaa'), ends);
	await settle(ends);
	expect(node.removed).toEqual([]);
	node.access = client;
	caughtUp.resolve();
	await settle(ends);
	expect(await removal).toBe('not-authorized');
	expect([node.removed, node.audits]).toEqual([[], ['remove aaaaaaaaaaaaaaaa failed']]);
});
