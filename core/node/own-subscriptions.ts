/**
The topics that a node is subscribed to for itself: taken up and given back by an operator, and lost when a topic is
deleted. What is wished is kept on the disk once it is agreed.
*/
import type {DesiredSubscriptions} from '../control/desired-subscriptions.ts';
import type {Data} from '../data/data.ts';
import {topicNamed} from '../data/topic-named.ts';
import {DapssError} from '../errors.ts';
import type {Topic} from '../message.ts';
import type {NodeStateWriter} from '../node-state/node-state-writer.ts';
import type {OwnMessages} from './own-messages.ts';

export type OwnSubscriptionsOptions = {
	readonly data: Data;
	readonly interests: DesiredSubscriptions;
	readonly own: OwnMessages;
	readonly keeping: NodeStateWriter;
};

/** Resolves once it is agreed. @throws `usage`, `refused` at the limit of topics, and as `Control.propose` */
export async function subscribeNode(
	{data, interests, own, keeping}: OwnSubscriptionsOptions,
	name: Topic,
): Promise<void> {
	const topic = topicNamed(name);
	const isNew = !interests.own.has(topic);
	using _slot = data.table.reserve([topic]);
	interests.own.add(topic);
	own.update();
	try {
		await interests.reconcile(topic);
		if (isNew) await keeping.save();
	} catch (error) {
		if (isNew) interests.own.delete(topic);
		throw error;
	}
}

/** Resolves once it is agreed. @throws `usage` when the node is not subscribed, and as `Control.propose` */
export async function unsubscribeNode(
	{data, interests, own, keeping}: OwnSubscriptionsOptions,
	name: Topic,
): Promise<void> {
	// A name that an earlier version took is left as it is.
	const topic = interests.own.has(name) || data.isSubscribed(name) ? name : topicNamed(name);
	if (!interests.own.delete(topic) && !data.isSubscribed(topic))
		throw new DapssError('usage', `Expected a topic that this node is subscribed to, got ${JSON.stringify(topic)}`);
	own.update();
	try {
		await interests.reconcile(topic);
		await keeping.save();
	} catch (error) {
		interests.own.add(topic);
		own.update();
		throw error;
	}
}
