/**
The door for names of topics: whatever a program, a command or a client calls a topic passes here once.
*/
import {DapssError} from '../errors.ts';
import {parseTopicName, type Topic} from '../message.ts';

let lastName = '';
let lastTopic: Topic | undefined;

/** The name in composed letters, not judged yet: a reader is told of a wrong name when it asks for the agreement. */
export function composed(name: Topic): Topic {
	return name.normalize('NFC') as Topic;
}

/** The topic of that name, in Unicode's composed form. @throws `usage` for a name that cannot be a topic */
export function topicNamed(name: string): Topic {
	// Most publishes name the topic that the last one named.
	if (lastTopic !== undefined && name === lastName) return lastTopic;
	const topic = parseTopicName(name);
	if (typeof topic !== 'string') throw new DapssError('usage', topic.problem);
	lastName = name;
	lastTopic = topic;
	return topic;
}
