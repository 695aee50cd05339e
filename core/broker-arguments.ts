/**
Checks of the arguments of a `Broker`. TypeScript finds the same mistakes earlier; programs in JavaScript get a `usage`
error instead of damaged messages. The rules for topic names are in `message.ts`.
*/
import type {MessageBody} from './broker.ts';
import {DapssError} from './errors.ts';
import {isNodeId, parseTopic, type NodeId, type Topic} from './message.ts';

const utf8 = new TextEncoder();

/**
A topic name that may be of an earlier version, unchanged: the node decides whether it has such a topic.
@throws `usage` for a name that no version accepted
*/
export function expectTopic(name: unknown): Topic {
	const topic = parseTopic(typeof name === 'string' ? name.normalize('NFC') : (name as string));
	if (typeof topic !== 'string') throw new DapssError('usage', topic.problem);
	return name as Topic;
}

/**
A list of topic names, each a text. A name that is invalid is reported by `agreed` of the subscription.
@throws `usage`
*/
export function expectTopics(names: unknown): readonly Topic[] {
	if (!Array.isArray(names)) throw new DapssError('usage', `Expected a list of topic names, got ${show(names)}`);
	for (const name of names as readonly unknown[])
		if (typeof name !== 'string') throw new DapssError('usage', `Expected a topic name, got ${show(name)}`);
	return names as readonly Topic[];
}

/** Topics of one subscription through a connection. */
export const subscribedTopicsMax = 256;

/** Checks the number of topics of a subscription through a connection. @throws `usage` */
export function expectTopicCount(count: number): void {
	if (count === 0) throw new DapssError('usage', 'Expected at least one topic, got none');
	if (count > subscribedTopicsMax)
		throw new DapssError('usage', `Expected at most ${subscribedTopicsMax} topics, got ${count}`);
}

/** The bytes of each message; a text is encoded in UTF-8. @throws `usage` */
export function expectBodies(bodies: readonly MessageBody[]): readonly Uint8Array[] {
	if (!Array.isArray(bodies)) throw new DapssError('usage', `Expected a list of messages, got ${show(bodies)}`);
	let hasText = false;
	for (const body of bodies as readonly unknown[]) {
		if (typeof body === 'string') hasText = true;
		else if (!(body instanceof Uint8Array))
			throw new DapssError('usage', `Expected each message as a Uint8Array or a text, got ${show(body)}`);
	}

	return hasText
		? bodies.map(body => (typeof body === 'string' ? utf8.encode(body) : body))
		: (bodies as readonly Uint8Array[]);
}

/** @throws `usage` */
export function expectNodeId(id: unknown): NodeId {
	if (!isNodeId(id))
		throw new DapssError('usage', `Expected a node id (16 hexadecimal digits, lower case), got ${show(id)}`);
	return id;
}

function show(value: unknown): string {
	if (typeof value === 'string') return JSON.stringify(value.slice(0, 60));
	if (value instanceof Uint8Array) return 'a Uint8Array';
	return value === null || value === undefined ? 'nothing' : `a value of type ${typeof value}`;
}
