/** Wrong arguments that a JavaScript program may pass to a `Broker`. */
import {expect, test} from 'vitest';
import {expectBodies, expectNodeId, expectTopic, expectTopicCount, expectTopics} from '../../core/broker-arguments.ts';
import {parseTopicName} from '../../core/message.ts';

const usage = (message: string): unknown => expect.objectContaining({code: 'usage', message});

test('texts become bytes, and bytes stay as they are', () => {
	const bytes = [new Uint8Array([1, 2]), Buffer.from('snow')];
	expect(expectBodies(bytes)).toBe(bytes);
	const [rain, same] = expectBodies(['rain ☔', bytes[0]!]);
	expect(new TextDecoder().decode(rain)).toBe('rain ☔');
	expect(same).toBe(bytes[0]);
	expect(expectBodies([])).toEqual([]);
});

test.each([
	['rain', 'Expected a list of messages, got "rain"'],
	[Buffer.from('rain'), 'Expected a list of messages, got a Uint8Array'],
	[undefined, 'Expected a list of messages, got nothing'],
	[[7], 'Expected each message as a Uint8Array or a text, got a value of type number'],
	[[{}], 'Expected each message as a Uint8Array or a text, got a value of type object'],
	[[null], 'Expected each message as a Uint8Array or a text, got nothing'],
])('the messages %o are refused with the expected type', (bodies, message) => {
	expect(() => expectBodies(bodies as never)).toThrow(usage(message));
});

test('topics are texts; a name of an earlier version passes unchanged', () => {
	expect(expectTopic('a*')).toBe('a*');
	expect(expectTopic('zu\u0308rich')).toBe('zu\u0308rich');
	expect(expectTopics(['a', 'b'])).toEqual(['a', 'b']);
	expectTopicCount(256);
	expect(() => expectTopicCount(257)).toThrow(usage('Expected at most 256 topics, got 257'));
	expect(() => expectTopicCount(0)).toThrow(usage('Expected at least one topic, got none'));
	expect(() => expectTopic(undefined)).toThrow(usage('Expected a topic name, got undefined'));
	expect(() => expectTopic('a\nb')).toThrow(usage('Expected a topic name without control characters, got "a\\nb"'));
	expect(() => expectTopics('weather')).toThrow(usage('Expected a list of topic names, got "weather"'));
	expect(() => expectTopics(['a', 5])).toThrow(usage('Expected a topic name, got a value of type number'));
	expect(parseTopicName(undefined as never)).toEqual({problem: 'Expected a topic name, got undefined'});
});

test('a node is named by its id', () => {
	expect(expectNodeId('0123456789abcdef')).toBe('0123456789abcdef');
	expect(() => expectNodeId('n1')).toThrow(usage('Expected a node id (16 hexadecimal digits, lower case), got "n1"'));
	expect(() => expectNodeId(null)).toThrow(/got nothing$/u);
});
