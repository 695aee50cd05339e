/** Bytes from outside are checked before they are decoded: depth, lengths and types. */
import fc from 'fast-check';
import {Packr} from 'msgpackr';
import {expect, test} from 'vitest';
import {decode, encode} from '../../core/codec.ts';
import {depthMax, isOneValue} from '../../core/message-pack.ts';

const bytesOf = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const nested = (depth: number, type: number): Buffer => Buffer.concat([Buffer.alloc(depth, type), Buffer.of(0xc0)]);

test.each([
	['arrays that are nested without end', Buffer.alloc(64 * 1024, 0x91)],
	['arrays nested deeper than the limit', nested(depthMax + 1, 0x91)],
	[
		'maps nested as deep',
		Buffer.concat([...Array.from({length: depthMax + 1}, () => bytesOf('81 a1 6b')), Buffer.of(1)]),
	],
	['an array that declares 2^32 - 1 items', bytesOf('dd ffffffff')],
	['arrays that each declare the rest', Buffer.concat(Array.from({length: 32}, () => bytesOf('dd 0000ffff')))],
	['a map that declares 2^32 - 1 entries', bytesOf('df ffffffff')],
	['a text that declares 4 GiB', bytesOf('db ffffffff 61')],
	['bytes that declare 4 GiB', bytesOf('c6 ffffffff 00')],
	['a length that is cut off', bytesOf('dc ff')],
	['a number that is cut off', bytesOf('cb 00')],
	['an extension of one byte', bytesOf('d4 72 40')],
	['a record definition', bytesOf('d4 72 40 92 a1 61 a1 62 01 02')],
	['a regular expression', bytesOf('c7 01 78 00 92 a1 61 a0')],
	['a set', bytesOf('d4 73 00 91 01')],
	['a large extension', bytesOf('c9 ffffffff 01')],
	['a date', bytesOf('d6 ff 00000000')],
	['the type that MessagePack does not use', bytesOf('c1')],
	['a key that is a list', bytesOf('81 91 01 02')],
	['nothing', Buffer.alloc(0)],
	['two values', bytesOf('01 02')],
])('%s: refused', (_what, bytes) => {
	expect(isOneValue(bytes)).toBe(false);
	expect(decode(bytes)).toBeUndefined();
});

test('the deepest value within the limit is decoded', () => {
	expect(decode(nested(depthMax, 0x91))).toBeDefined();
});

test('a map with the key `__proto__` changes no prototype', () => {
	const value = decode(Buffer.concat([bytesOf('81 a9'), Buffer.from('__proto__'), bytesOf('81 a1 78 01')])) as object;
	expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
	expect(({} as {x?: unknown}).x).toBeUndefined();
	expect((value as {x?: unknown}).x).toBeUndefined();
});

test('what the encoder writes is accepted', () => {
	const value = fc.letrec(tie => ({
		value: fc.oneof(
			{depthSize: 'small'},
			fc.constantFrom(undefined, null, true, false),
			fc.integer(),
			fc.double({noNaN: true}),
			fc.maxSafeInteger(),
			fc.string(),
			fc.uint8Array({maxLength: 400}),
			fc.array(tie('value'), {maxLength: 40}),
			fc.dictionary(fc.string(), tie('value'), {maxKeys: 40, noNullPrototype: true}),
		),
	})).value;
	fc.assert(
		fc.property(value, given => {
			const bytes = encode(given);
			expect(isOneValue(bytes)).toBe(true);
			expect(decode(bytes)).toEqual(new Packr({useRecords: false, mapsAsObjects: true}).unpack(bytes));
		}),
	);
});

test('any bytes are refused or decoded, without an exception', () => {
	fc.assert(
		fc.property(fc.uint8Array({maxLength: 200}), bytes => {
			const isValid = isOneValue(bytes);
			const value = decode(bytes);
			expect(isValid || value === undefined).toBe(true);
		}),
		{numRuns: 2000},
	);
});
