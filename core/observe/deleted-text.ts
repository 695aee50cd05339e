/** The texts of events about deleted messages and about topics. Pure. */
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import {printable} from './printable.ts';
import {keptText} from './retention-text.ts';
import {messagesText, topicText} from './topic-text.ts';

const reasons: Readonly<Record<Deleted['reason'], string>> = {
	age: "older than is kept (storage.retain_age_s, or the topic's own)",
	size: "more than is kept (storage.retain_bytes, or the topic's own)",
	disk: 'more than limits.disk_bytes for all topics',
	topic: 'the topic was deleted',
};

type Deleted = Extract<BrokerEvent, {readonly type: 'deleted'}>;

/** @param label gives the label of a node */
export function topicEventText(
	{topic, state, node, ...settings}: Extract<BrokerEvent, {readonly type: 'topic'}>,
	label: (id: NodeId) => string,
): string {
	const kept = keptText(settings);
	return (
		`Topic ${printable(topicText(topic))} ${state} through ` +
		`${label(node)}${kept === '' ? '' : `: it keeps ${kept}`}`
	);
}

/** Such as `news: 12 messages (3400 bytes) deleted, all read: the topic was deleted`. */
export function deletedText({topic, reason, messages, bytes, unread}: Deleted): string {
	return (
		`${printable(topicText(topic))}: ${messagesText(messages)} (${bytes} bytes) deleted, ` +
		`${unread === 0 ? 'all read' : `${unread} of them unread here`}: ${reasons[reason]}`
	);
}
