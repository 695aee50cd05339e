/**
What retention deleted and why, in words. Pure.
*/
import type {BrokerEvent} from './events.ts';
import {printable} from './printable.ts';

const reasons: Readonly<Record<Deleted['reason'], string>> = {
	age: 'older than storage.retain_age_s', size: 'more than storage.retain_bytes', disk: 'more than limits.disk_bytes for all topics',
};

type Deleted = Extract<BrokerEvent, {readonly type: 'deleted'}>;

export function deletedWords({topic, reason, messages, bytes, unread}: Deleted): string {
	return `${printable(topic)}: ${messages} ${messages === 1 ? 'message' : 'messages'} (${bytes} bytes) deleted, ${unread === 0 ? 'all read' : `${unread} of them unread here`}: ${reasons[reason]}`;
}
