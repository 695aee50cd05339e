import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {
	bodiesOf,
	decodeBatch,
	encodeBatch,
	groupMax,
	messagesOf,
	parseTopic,
	parseTopicName,
	proofKind,
	topicBytesMax,
	type NodeId,
	type Topic,
} from '../../core/message.ts';

const nodeId = fc.uint8Array({minLength: 8, maxLength: 8}).map(bytes => Buffer.from(bytes).toString('hex') as NodeId);
const topic = fc
	.string({unit: 'grapheme', minLength: 1, maxLength: 40})
	.filter(name => typeof parseTopic(name) === 'string')
	.map(name => name as Topic);
const header = fc
	.record({
		origin: nodeId,
		incarnation: fc.nat(0xff_ff_ff_ff),
		topic,
		firstSeq: fc.integer({min: 1, max: 2 ** 48 - 1}),
		lamport: fc.integer({min: 1, max: 2 ** 48 - 1}),
		sentAtMs: fc.double({min: 0, max: 1e15, noNaN: true}),
	})
	.chain(head => fc.integer({min: 0, max: head.lamport - 1}).map(previousLamport => ({...head, previousLamport})));
const proof = fc.oneof(
	fc.constantFrom('none' as const, 'mac' as const),
	fc
		.integer({min: 1, max: groupMax})
		.chain(size => fc.integer({min: 0, max: size - 1}).map(index => ({index, size}))),
);
const bodies = fc.array(fc.uint8Array({maxLength: 200}), {minLength: 1, maxLength: 20});

describe('a batch', () => {
	test('is unchanged by encoding and decoding', () => {
		fc.assert(
			fc.property(header, bodies, proof, (head, parts, end) => {
				const bytes = encodeBatch(head, parts, end);
				const batch = decodeBatch(bytes)!;
				const {bytes: kept, count, ...rest} = batch;
				expect(rest).toEqual(head);
				expect(count).toBe(parts.length);
				expect(kept).toBe(bytes);
				expect(proofKind(bytes)).toBe(typeof end === 'string' ? end : 'signature');
				expect([...bodiesOf(batch)].map(body => [...body])).toEqual(parts.map(body => [...body]));
				expect([...messagesOf(batch)].map(({seq}) => seq)).toEqual(
					parts.map((_, index) => head.firstSeq + index),
				);
			}),
		);
	});

	test('is refused with a byte missing or a byte too many', () => {
		fc.assert(
			fc.property(header, bodies, proof, (head, parts, end) => {
				const bytes = encodeBatch(head, parts, end);
				expect(decodeBatch(bytes.subarray(0, -1))).toBeUndefined();
				expect(decodeBatch(Buffer.concat([bytes, Buffer.of(0)]))).toBeUndefined();
			}),
		);
	});

	test('of random bytes is refused or consistent, and never throws', () => {
		fc.assert(
			fc.property(fc.uint8Array({maxLength: 300}), fc.constantFrom(-1, 0, 1, 2), (noise, flags) => {
				const bytes = Buffer.from(noise);
				if (flags >= 0 && bytes.length > 1) {
					bytes[0] = 1;
					bytes[1] = flags;
				}

				const batch = decodeBatch(bytes);
				if (batch) expect([...bodiesOf(batch)]).toHaveLength(batch.count);
			}),
			{numRuns: 5000},
		);
	});

	test('whose stamp is not after its predecessor is refused', () => {
		const bytes = encodeBatch(
			{
				origin: '00'.repeat(8) as NodeId,
				incarnation: 1,
				topic: 'a' as Topic,
				firstSeq: 1,
				lamport: 5,
				previousLamport: 5,
				sentAtMs: 0,
			},
			[Buffer.from('x')],
			'none',
		);
		expect(decodeBatch(bytes)).toBeUndefined();
	});
});

describe('a topic', () => {
	test('is any text without control characters, up to 255 bytes', () => {
		expect(parseTopic('wetter/zürich ☔')).toBe('wetter/zürich ☔');
		expect(parseTopic('x'.repeat(topicBytesMax))).toBe('x'.repeat(topicBytesMax));
		for (const name of ['', 'a\nb', 'a\u001B[2J', 'a\u0085b', '\uD800', 'ü'.repeat(128)])
			expect(parseTopic(name)).toHaveProperty('problem');
	});

	test('is normalized and visible if a user entered it; an agreed name is read unchanged', () => {
		expect(parseTopicName('zu\u0308rich')).toBe('z\u00FCrich');
		expect(parseTopicName('wetter/zürich ☔')).toBe('wetter/zürich ☔');
		for (const name of ['sensors/*', 'sensors.>', 'sensors/#', 'sensors/+/temperature']) {
			expect(parseTopicName(name)).toEqual({
				problem:
					`Expected a topic name without * > # +, got ${JSON.stringify(name)}: ` +
					'there are no wildcards yet, name each topic',
			});
			expect(parseTopic(name)).toBe(name);
		}

		expect(parseTopic('zu\u0308rich')).toBe('zu\u0308rich');
		for (const name of [' ', '   ', '\u00A0', '\u200B', ' \u200B\u2060', '\u3164', '\u2800', '\u00AD']) {
			expect(parseTopicName(name)).toEqual({
				problem: expect.stringMatching(
					/^Expected a topic name with a visible character, got "[ -~]+"$/,
				) as string,
			});
			expect(parseTopic(name)).toBe(name);
		}

		expect(parseTopicName('\u200B')).toEqual({
			problem: String.raw`Expected a topic name with a visible character, got "\u{200b}"`,
		});
		expect(parseTopicName(' a\u200B')).toBe(' a\u200B');
		// Normalization may lengthen a name; the bound is on the normalized one.
		expect(parseTopicName('\u0958'.repeat(topicBytesMax / 3))).toHaveProperty('problem');
	});
});
