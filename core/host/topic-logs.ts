/**
Opens the log of a topic in the data folder, and reports its damage.
*/
import type {Config} from '../config.ts';
import {DapssError, errorMessage} from '../errors.ts';
import {openLog} from '../io/log/log.ts';
import type {NodeId, Topic} from '../message.ts';
import {messagesText, topicText} from '../observe/topic-text.ts';
import {openTopicLog, type OnHeader, type TopicLog} from '../topic-log/topic-log.ts';
import type {Storage} from './storage.ts';

export type TopicLogsOptions = {
	readonly storage: Pick<Storage, 'config' | 'files' | 'folder'>;
	readonly self: NodeId;
	readonly warn: (text: string) => void;
	/** The time that ages of messages are measured by. */
	readonly nowMs: () => number;
};

/** @throws `storage` when the log cannot be read */
export async function openTopicIn(
	{storage: {config, files, folder}, self, warn, nowMs}: TopicLogsOptions,
	topic: Topic,
	onHeader: OnHeader,
): Promise<TopicLog> {
	const at = await folder.topicFolder(topic);
	const log = await openLog({folder: at, files, ...logOptions(config)});
	const opened = await openTopicLog(log, onHeader, self, nowMs).catch((error: unknown): never => {
		throw new DapssError(
			'storage',
			`The log ${at} of the topic ${JSON.stringify(topic)} cannot be read: ${errorMessage(error)}`,
			{cause: error},
		);
	});
	// Damage is reported only while messages are missing, or when it is at the end: how many were lost there is
	// unknown.
	const isEndDamaged = log.damaged.some(({position, bytes}) => position + bytes === log.end);
	if (opened.missing > 0 || isEndDamaged) warn(damageText(topic, log.damaged, opened.missing));
	return opened;
}

function damageText(
	topic: Topic,
	damaged: ReadonlyArray<{readonly file: string; readonly bytes: number}>,
	missing: number,
): string {
	const aside = damaged.map(({file, bytes}) => `${bytes} bytes in ${file}`).join(', ');
	const lost =
		missing > 0
			? `${messagesText(missing)} ${missing === 1 ? 'is' : 'are'} missing`
			: 'messages at its end may be missing';
	return (
		`The log of the topic ${topicText(topic)} is damaged: ` +
		`${aside} are kept aside, ${lost} and ${missing === 1 ? 'is' : 'are'} requested from other nodes`
	);
}

/** Options that all logs of a node share. */
export function logOptions({storage: {segmentBytes, writeDeadlineMs}}: Config): {
	readonly segmentBytes: number;
	readonly writeDeadlineMs: number;
} {
	return {segmentBytes, writeDeadlineMs};
}
