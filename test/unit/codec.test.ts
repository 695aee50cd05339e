import fc from 'fast-check';
import {expect, test} from 'vitest';
import {decode, encode} from '../../core/codec.ts';

test('any value of the codec is read back', () => {
	fc.assert(
		fc.property(fc.jsonValue({maxDepth: 8}), value => {
			const plain = JSON.parse(
				JSON.stringify(value).replaceAll('-0', '0').replaceAll('__proto__', 'proto'),
			) as unknown;
			expect(decode(encode(plain))).toEqual(plain);
		}),
	);
});

test('lists and maps of each length format are read back', () => {
	for (const length of [0, 15, 16, 255, 256, 65_535, 65_536]) {
		const list = Array.from({length}, (_, index) => index % 7);
		expect(decode(encode(list))).toEqual(list);
		const text = 'x'.repeat(length);
		expect(decode(encode([text, Buffer.from(text), {[text]: text}]))).toEqual([
			text,
			Buffer.from(text),
			{[text]: text},
		]);
	}

	const map = Object.fromEntries(Array.from({length: 60_000}, (_, index) => [`k${index}`, index]));
	expect(decode(encode(map))).toEqual(map);
});

test('a value nests 32 deep at most, whatever the stack of the process', () => {
	const nested = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth - 1, 0x91), Buffer.of(0x90)]);
	expect(decode(nested(31))).toBeDefined();
	expect(decode(nested(33))).toBeUndefined();
	expect(decode(nested(1_000_000))).toBeUndefined();
});

test('any bytes are read or refused', () => {
	fc.assert(fc.property(fc.uint8Array({maxLength: 64}), bytes => void decode(bytes)));
});
