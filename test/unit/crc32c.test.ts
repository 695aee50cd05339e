import {crc32c as native} from '@node-rs/crc32';
import fc from 'fast-check';
import {afterEach, describe, expect, test, vi} from 'vitest';
import {crc32c, crc32cInJavaScript} from '../../core/crc32c.ts';

afterEach(() => {
	vi.doUnmock('node:module');
	vi.resetModules();
});

describe('CRC32C', () => {
	test('has the check value of its definition and that of RFC 3720', () => {
		for (const sum of [crc32c, crc32cInJavaScript]) {
			expect(sum('123456789')).toBe(0xe3_06_92_83);
			expect(sum(new Uint8Array(32))).toBe(0x8a_91_36_aa);
			expect(sum('')).toBe(0);
		}
	});

	test('in JavaScript returns the sums of the native implementation, whole and in parts', () => {
		fc.assert(
			fc.property(
				fc.uint8Array({maxLength: 3000, size: 'max'}),
				fc.nat({max: 0xff_ff_ff_ff}),
				fc.nat({max: 3000}),
				(bytes, seed, at) => {
					const expected = native(bytes, seed);
					expect(crc32cInJavaScript(bytes, seed)).toBe(expected);
					expect(
						crc32cInJavaScript(bytes.subarray(at), crc32cInJavaScript(bytes.subarray(0, at), seed)),
					).toBe(expected);
				},
			),
		);
		fc.assert(
			fc.property(fc.string({unit: 'grapheme'}), text => {
				expect(crc32cInJavaScript(text)).toBe(native(text));
			}),
		);
	});

	test('uses the native implementation if it loads', () => {
		expect(crc32c).toBe(native);
	});

	test('falls back to JavaScript if the native implementation does not load', async () => {
		vi.resetModules();
		vi.doMock('node:module', () => ({
			createRequire: () => () => {
				throw new Error('Cannot find native binding');
			},
		}));
		const loaded = await import('../../core/crc32c.ts');
		expect(loaded.crc32c).toBe(loaded.crc32cInJavaScript);
	});
});
