import fc from 'fast-check';
import {expect, test} from 'vitest';
import {frameHead, FrameReader} from '../../../core/wire/frame.ts';

const stream = (payloads: readonly Uint8Array[]): Buffer =>
	Buffer.concat(payloads.flatMap(payload => [frameHead(payload.length), payload]));

test('frames are read whole and in order, for any split of the bytes', () => {
	fc.assert(
		fc.property(
			fc.array(fc.uint8Array({minLength: 1, maxLength: 300}), {maxLength: 20}),
			fc.array(fc.integer({min: 1, max: 200}), {minLength: 1, maxLength: 50}),
			(payloads, sizes) => {
				const bytes = stream(payloads);
				const reader = new FrameReader(300);
				const got: Buffer[] = [];
				for (let at = 0, turn = 0; at < bytes.length; turn++) {
					const end = Math.min(bytes.length, at + sizes[turn % sizes.length]!);
					expect(reader.push(bytes.subarray(at, end), payload => got.push(payload))).toBeUndefined();
					at = end;
				}

				expect(got.map(payload => [...payload])).toEqual(payloads.map(payload => [...payload]));
				expect(reader.isWithinFrame).toBe(false);
			},
		),
		{numRuns: 300},
	);
});

test('a payload within one chunk is a slice, not a copy', () => {
	const chunk = stream([Buffer.from('one'), Buffer.from('two')]);
	const got: Buffer[] = [];
	new FrameReader(10).push(chunk, payload => got.push(payload));
	expect(got.map(payload => payload.buffer)).toEqual([chunk.buffer, chunk.buffer]);
	expect(got[1]!.byteOffset).toBe(chunk.byteOffset + 11);
});

test('a length over the bound ends the stream before any memory is reserved', () => {
	const reader = new FrameReader(1000);
	const got: Buffer[] = [];
	const chunk = Buffer.concat([
		stream([Buffer.from('good')]),
		Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2]),
		stream([Buffer.from('after')]),
	]);
	const before = process.memoryUsage().arrayBuffers;
	expect(reader.push(chunk, payload => got.push(payload))).toBe('frame-too-large');
	expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
	expect(got.map(String)).toEqual(['good']);
	expect(reader.push(stream([Buffer.from('more')]), payload => got.push(payload))).toBe('frame-too-large');
	expect(got).toHaveLength(1);
});

test('a frame of the maximum length is accepted; a longer or empty one is not', () => {
	expect(new FrameReader(5).push(stream([Buffer.alloc(5)]), () => {})).toBeUndefined();
	expect(new FrameReader(5).push(stream([Buffer.alloc(6)]), () => {})).toBe('frame-too-large');
	expect(new FrameReader(5).push(Buffer.alloc(4), () => {})).toBe('empty-frame');
});

test('for any input a reader neither throws nor returns more than it read', () => {
	fc.assert(
		fc.property(fc.array(fc.uint8Array({minLength: 1, maxLength: 64}), {maxLength: 30}), chunks => {
			const reader = new FrameReader(70_000);
			let out = 0;
			let into = 0;
			for (const chunk of chunks) {
				into += chunk.length;
				reader.push(Buffer.from(chunk), payload => {
					out += payload.length + 4;
				});
			}

			expect(out).toBeLessThanOrEqual(into);
		}),
		{numRuns: 2000},
	);
});

test('a frame that arrives in single bytes is collected in one buffer of its size', () => {
	const reader = new FrameReader(100_000);
	const payload = Buffer.alloc(50_000, 7);
	let got: Buffer | undefined;
	for (const byte of stream([payload]))
		reader.push(Buffer.of(byte), whole => {
			got = whole;
		});
	expect(got!.equals(payload)).toBe(true);
	expect(got!.buffer.byteLength).toBe(50_000);
});
