/** Topics and counts within sentences. */
import {expect, test} from 'vitest';
import {bytesText} from '../../core/observe/kept-words.ts';
import {printable} from '../../core/observe/printable.ts';
import {messagesText, topicText} from '../../core/observe/topic-text.ts';

test.each([
	['weather', 'weather'], ['wetter/zürich-2.a', 'wetter/zürich-2.a'], ['my orders', '"my orders"'], [' a', '" a"'], ['is deleted', '"is deleted"'], ['a, b', '"a, b"'],
	['say "a"', String.raw`"say \"a\""`], ['\u200B', '"‹U+200B›"'], ['a\u202Eb', '"a‹U+202E›b"'],
])('the topic %j is %s within a sentence', (topic, text) => {
	expect(printable(topicText(topic))).toBe(text);
});

test('one message is not messages', () => {
	expect([messagesText(0), messagesText(1), messagesText(2), messagesText(1, 'damaged'), messagesText(3, 'own')]).toEqual(['0 messages', '1 message', '2 messages', '1 damaged message', '3 own messages']);
});

test('the most that a topic may keep is said in the unit of its bound', () => {
	expect([bytesText(2 ** 50), bytesText(2 ** 49), bytesText(4096)]).toEqual(['1.0 PiB', '512 TiB', '4.0 KiB']);
});
