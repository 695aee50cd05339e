/** Texts for topics and counts within a sentence. */
import {expect, test} from 'vitest';
import {printable} from '../../../core/observe/printable.ts';
import {bytesText, keptBrief} from '../../../core/observe/retention-text.ts';
import {messagesText, topicText} from '../../../core/observe/topic-text.ts';

test.each([
	['weather', 'weather'],
	['wetter/zürich-2.a', 'wetter/zürich-2.a'],
	['my orders', '"my orders"'],
	[' a', '" a"'],
	['is deleted', '"is deleted"'],
	['a, b', '"a, b"'],
	['say "a"', String.raw`"say \"a\""`],
	['\u200B', '"‹U+200B›"'],
	['a\u202Eb', '"a‹U+202E›b"'],
])('the topic %j is %s within a sentence', (topic, text) => {
	expect(printable(topicText(topic))).toBe(text);
});

test('the noun after a count of one is singular', () => {
	expect([
		messagesText(0),
		messagesText(1),
		messagesText(2),
		messagesText(1, 'damaged'),
		messagesText(3, 'own'),
	]).toEqual(['0 messages', '1 message', '2 messages', '1 damaged message', '3 own messages']);
});

test('the bound of a topic is shown in its own unit', () => {
	expect([bytesText(2 ** 50), bytesText(2 ** 49), bytesText(4096)]).toEqual(['1.0 PiB', '512 TiB', '4.0 KiB']);
});

test('the retention fits a narrow column, and is exact if the exact text is short', () => {
	const mebi = 2 ** 20;
	const kept = (retainAgeS: number, retainBytes: number): string => keptBrief({retainAgeS, retainBytes});
	expect([
		kept(604_800, 256 * mebi),
		kept(43_200, 64 * mebi),
		kept(1800, 512 * mebi),
		kept(90_061, 4096),
		kept(3650 * 86_400, 2 ** 50),
	]).toEqual(['7d 256M', '12h 64M', '30m 512M', '~1d 4k', '3650d 1P']);
	expect([
		keptBrief({}),
		keptBrief({retainAgeS: 90}),
		keptBrief({retainBytes: 1.5 * 2 ** 30}),
		keptBrief({retainBytes: 4097}),
	]).toEqual(['', '90s', '1.5G', '4.0k']);
	// The largest values that a topic may have.
	for (const seconds of [1, 59, 61, 9999, 10_001, 86_399, 3650 * 86_400 - 1])
		expect(keptBrief({retainAgeS: seconds}).length).toBeLessThanOrEqual(6);
});
