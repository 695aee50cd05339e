import {expect, test} from 'vitest';
import {matchesTopic, problemOfPattern} from '../../core/topic-pattern.ts';

test.each([
	['orders', 'orders', true],
	['orders', 'orders.eu', false],
	['orders.*', 'orders.eu', true],
	['orders.*', 'orders', false],
	['orders.*', 'orders.eu.paid', false],
	['orders.>', 'orders.eu.paid', true],
	['orders.>', 'orders', false],
	['*.paid', 'orders.paid', true],
	['*.paid', 'orders.eu.paid', false],
	['*', 'orders', true],
	['>', 'orders.eu', true],
	['orders.*.>', 'orders.eu', false],
	['orders.*.>', 'orders.eu.paid', true],
])('the pattern %s and the topic %s: %s', (pattern, topic, expected) => {
	expect(matchesTopic(pattern, topic)).toBe(expected);
});

test.each([
	['', '1 to 255 bytes'],
	['x'.repeat(256), '1 to 255 bytes'],
	['orders.>.paid', 'a `>` only as the last token, as in orders.>'],
	['orders>', 'a `>` only as the last token, as in orders.>'],
	['ord*', 'a `*` only as a whole token, as in orders.*'],
	['a\u0007b', 'a topic name, with * or > as tokens'],
])('the pattern %j is refused', (pattern, problem) => {
	expect(problemOfPattern(pattern)).toBe(problem);
});

test.each(['orders', 'orders.*', 'orders.>', '*.*.paid', '>', 'größe.*'])('the pattern %s is valid', pattern => {
	expect(problemOfPattern(pattern)).toBeUndefined();
});
