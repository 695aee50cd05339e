/** What readers of a node hold in memory is bounded, whatever they ask for. */
import {expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import {readBytesMax, type ReadBudgetOptions} from '../../../core/data/read-budget.ts';
import type {Topic} from '../../../core/message.ts';
import {encodeFrame, remoteKinds} from '../../../core/remote/protocol.ts';
import {localCaller} from '../../../core/remote/permissions.ts';
import {serve} from '../../../core/remote/server.ts';
import {batchAt, FakeNode, pipes, turn, type FakePipe} from '../../support/remote-pipes.ts';

const batchBytes = 8000;
/** Bytes of a batch with its header, at most. */
const storedBytes = batchBytes + 100;
const topicsPerSubscription = 256;
const topics = Array.from({length: topicsPerSubscription}, (_, index) => `m${index}` as Topic);
const batches = Array.from({length: 40}, (_, offset) => batchAt('m', offset, batchBytes));
const {readers, readersPerConnection, reads} = defaults.limits;

/** A node with as many readers as its limits allow, each from the beginning; their connections take nothing. */
async function crowded(
	credit: number,
	budget: ReadBudgetOptions = {},
): Promise<{readonly node: FakeNode; readonly delivered: number}> {
	const node = new FakeNode(budget);
	for (const topic of topics) node.topics.set(topic, batches);
	const ends: FakePipe[] = [];
	for (let count = 0; count < readers / readersPerConnection; count++) {
		const {far} = pipes(4_000_000);
		serve(node.broker, far, localCaller, () => undefined);
		ends.push(far);
		for (let id = 1; id <= readersPerConnection / topicsPerSubscription; id++)
			far.onFrame(encodeFrame('request', {id, op: 'subscribe', topics, from: 'beginning', credit}));
	}

	expect(node.readers.size).toBe(readers);
	do await turn();
	while (node.reads > 0);
	const isDelivery = (frame: Buffer): boolean => frame[0] === remoteKinds.delivery;
	return {node, delivered: ends.reduce((sum, {sent}) => sum + sent.filter(frame => isDelivery(frame)).length, 0)};
}

test('readers with a credit of 1 read one batch for each subscription', async () => {
	const {node, delivered} = await crowded(1);
	const subscriptions = readers / topicsPerSubscription;
	expect(delivered).toBe(subscriptions);
	expect(node.readsTotal).toBe(subscriptions);
	expect(node.mostReadBytes).toBeLessThanOrEqual(reads * storedBytes);
});

test('readers with all credit read within the budget of the node and of their connection', async () => {
	const {node, delivered} = await crowded(1e9, {bytes: 5 * readBytesMax, bytesPerOwner: 2 * readBytesMax});
	expect(delivered).toBeGreaterThan(8 * 350); // Their queues are full.
	// The last batch of each read may exceed the budget.
	expect(node.mostReadBytes).toBeLessThanOrEqual(5 * readBytesMax + reads * storedBytes);
	expect(node.mostReadBytes).toBeGreaterThan(4 * readBytesMax);
});
