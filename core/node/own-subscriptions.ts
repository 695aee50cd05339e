/**
The node's own subscriptions: an operator adds and removes them, and the deletion of a topic removes them. They are
written to disk once they are agreed.
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
	readonly desired: DesiredSubscriptions;
	readonly own: OwnMessages;
	readonly stateWriter: NodeStateWriter;
};

/**
Subscribe the node. Resolves once this is agreed.
@throws `usage`, `refused` at the limit of topics, and as `Control.propose`
*/
export async function subscribeNode(
	{data, desired, own, stateWriter}: OwnSubscriptionsOptions,
	name: Topic,
): Promise<void> {
	const topic = topicNamed(name);
	const isNew = !desired.own.has(topic);
	using _slot = data.table.reserve([topic]);
	desired.own.add(topic);
	own.update();
	try {
		await desired.reconcile(topic);
		if (isNew) await stateWriter.save();
	} catch (error) {
		if (isNew) desired.own.delete(topic);
		throw error;
	}
}

/**
Unsubscribe the node. Resolves once this is agreed.
@throws `usage` when the node is not subscribed, and as `Control.propose`
*/
export async function unsubscribeNode(
	{data, desired, own, stateWriter}: OwnSubscriptionsOptions,
	name: Topic,
): Promise<void> {
	// A name that an earlier version accepted stays valid.
	const topic = desired.own.has(name) || data.isSubscribed(name) ? name : topicNamed(name);
	if (!desired.own.delete(topic) && !data.isSubscribed(topic))
		throw new DapssError('usage', `Expected a topic that this node is subscribed to, got ${JSON.stringify(topic)}`);
	own.update();
	try {
		await desired.reconcile(topic);
		await stateWriter.save();
	} catch (error) {
		desired.own.add(topic);
		own.update();
		throw error;
	}
}
