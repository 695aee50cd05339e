/**
Subscriptions that a node wants: from which Lamport time they are proposed, also after one that ended unexpectedly.
*/
import {describe, expect, test} from 'vitest';
import type {Command} from '../../../core/cluster-state/command.ts';
import {DesiredSubscriptions} from '../../../core/control/desired-subscriptions.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {agreedState} from './support/agreed-state.ts';

const self = 'aaaaaaaaaaaaaaaa' as NodeId;
const news = 'news' as Topic;
const nowLamport = 100;

/** One node whose proposals are agreed at once. */
function setUp({former = []}: {readonly former?: ReadonlyArray<readonly [Topic, number]>} = {}) {
	const {state, agree: apply} = agreedState([self]);
	const agree = (command: Command): void => {
		apply(command);
		desired.agreed();
	};

	const desired = new DesiredSubscriptions({
		self,
		state,
		latest: async () => nowLamport,
		propose: async command => agree(command),
		former,
		given: new Set(),
	});
	const since = (): number | undefined => state.subscribers(news).get(self);
	return {desired, agree, since};
}

describe('where a subscription starts', () => {
	test('a reader from now starts at the Lamport time of the members', async () => {
		const {desired, since} = setUp();
		await desired.acquire(news);
		expect(since()).toBe(nowLamport);
	});

	test("the node's own topic is wanted from the beginning, for any start of a reader", async () => {
		const {desired, since} = setUp();
		desired.own.add(news);
		await desired.acquire(news, 50);
		expect(since()).toBe(0);
	});

	test('a subscription from before the node had to join again continues', async () => {
		const {desired, since} = setUp({former: [[news, 7]]});
		desired.own.add(news);
		await desired.reconcile(news);
		expect(since()).toBe(7);
	});
});

describe('a subscription that ends while a reader is open', () => {
	test('starts again where it started before', async () => {
		const {desired, agree, since} = setUp();
		// The previous process of this node left the subscription, and its proposal to end it arrives late.
		agree({type: 'subscribe', topic: news, node: self, since: 46});
		await desired.acquire(news);
		agree({type: 'unsubscribe', topic: news, node: self});
		await desired.reconcile(news);
		expect(since()).toBe(46);
	});

	test('starts again for all readers, also if the next reader wants only later messages', async () => {
		const {desired, agree, since} = setUp();
		await desired.acquire(news, 46);
		agree({type: 'unsubscribe', topic: news, node: self});
		await desired.acquire(news, 80);
		expect(since()).toBe(46);
	});

	test('is removed with its last reader', async () => {
		const {desired, since} = setUp();
		await desired.acquire(news, 46);
		desired.release(news);
		await desired.reconcile(news);
		expect(since()).toBeUndefined();
		await desired.acquire(news);
		expect(since()).toBe(nowLamport);
	});
});
