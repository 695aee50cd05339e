/** Validation of topic names: programs, commands and clients pass their names through here once. */
import {DapssError} from '../errors.ts';
import {parseTopicName, type Topic} from '../message.ts';

let lastName = '';
let lastTopic: Topic | undefined;

/**
The name in Unicode's composed form (NFC), not validated yet: `agreed` of the subscription reports an invalid name.
*/
export function normalizeTopic(name: Topic): Topic {
	return name.normalize('NFC') as Topic;
}

/** The topic of that name, in Unicode's composed form. @throws `usage` for a name that cannot be a topic */
export function topicNamed(name: string): Topic {
	// Most publishes use the topic of the last one.
	if (lastTopic !== undefined && name === lastName) return lastTopic;
	const topic = parseTopicName(name);
	if (typeof topic !== 'string') throw new DapssError('usage', topic.problem);
	lastName = name;
	lastTopic = topic;
	return topic;
}
