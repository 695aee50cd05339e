/** Inputs that many targets share: bytes, damaged copies of valid bytes, and values that MessagePack can carry. */
import fc from 'fast-check';
import {encode} from '../../core/codec.ts';

export const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
	fc.uint8Array({maxLength}).map(array => Buffer.from(array));

/** The bytes with a few changes: replaced, cut, repeated. */
export function damaged(good: Buffer): fc.Arbitrary<Buffer> {
	const change = fc.tuple(fc.nat(), fc.constantFrom('set', 'cut', 'repeat', 'insert'), fc.nat(255));
	return fc.array(change, {minLength: 1, maxLength: 4}).map(changes => {
		let copy = Buffer.from(good);
		for (const [where, what, byte] of changes) {
			const at = copy.length === 0 ? 0 : where % copy.length;
			if (what === 'set' && copy.length > 0) copy[at] = byte;
			else if (what === 'cut') copy = copy.subarray(0, at);
			else if (what === 'repeat') copy = Buffer.concat([copy, copy.subarray(at, at + byte)]);
			else if (what === 'insert')
				copy = Buffer.concat([copy.subarray(0, at), Buffer.of(byte), copy.subarray(at)]);
		}

		return Buffer.from(copy);
	});
}

/** Texts that break terminals, lines, paths and comparisons. */
export const hostileText = fc.oneof(
	fc.string({unit: 'binary', maxLength: 40}),
	fc.constantFrom(
		'',
		'\u001B]0;title\u0007',
		'\u001B[2J\u001B[H',
		'\u001B]52;c;AAAA\u0007',
		'\u009B31m',
		'\u202Eabc',
		'\u200B',
		'a\r\nb',
		'\uD800',
		'__proto__',
		'constructor',
		'../../etc',
		'𝒜'.repeat(20),
		'e\u0301'.repeat(20),
		'👩‍👩‍👧‍👦'.repeat(5),
		'x'.repeat(300),
	),
);

const number = fc.oneof(
	fc.integer(),
	fc.maxSafeInteger(),
	fc.double(),
	fc.constantFrom(0, -1, 1, 2 ** 31, 2 ** 32, 2 ** 48, 2 ** 53, -(2 ** 53), Infinity, NaN),
);

/** Any value that MessagePack carries, of small depth. */
export const value: fc.Arbitrary<unknown> = fc.letrec(tie => ({
	value: fc.oneof(
		{depthSize: 'small', withCrossShrink: true},
		fc.constantFrom(undefined, null, true, false),
		number,
		hostileText,
		fc.uint8Array({maxLength: 40}),
		fc.array(tie('value'), {maxLength: 6}),
		fc.dictionary(hostileText, tie('value'), {maxKeys: 6, noNullPrototype: true}),
	),
})).value;

/** The values with some of their fields replaced, at any depth. */
export function altered(good: unknown): fc.Arbitrary<unknown> {
	const step = fc.tuple(fc.array(fc.nat(30), {minLength: 1, maxLength: 4}), value);
	return fc.array(step, {minLength: 1, maxLength: 3}).map(steps => {
		const copy = {root: structuredClone(good)} as Record<string, unknown>;
		for (const [path, replacement] of steps) {
			let parent = copy;
			let name = 'root';
			for (const choice of path) {
				const inner = parent[name];
				if (typeof inner !== 'object' || inner === null || inner instanceof Uint8Array) break;
				const names = Object.keys(inner);
				if (names.length === 0) break;
				parent = inner as Record<string, unknown>;
				name = names[choice % names.length]!;
			}

			parent[name] = replacement;
		}

		return copy['root'];
	});
}

/** The value with some of its numbers replaced, so that most checks of form pass. */
export function tweaked(good: unknown): fc.Arbitrary<unknown> {
	return fc.array(fc.oneof(fc.nat(20), fc.maxSafeNat(), number), {minLength: 1, maxLength: 6}).chain(numbers =>
		fc.nat(3).map(kept => {
			let seen = 0;
			const walk = (given: unknown): unknown => {
				if (typeof given === 'number') return seen++ % 4 === kept ? numbers[seen % numbers.length] : given;
				if (Array.isArray(given)) return given.map(item => walk(item));
				if (typeof given !== 'object' || given === null || given instanceof Uint8Array) return given;
				return Object.fromEntries(Object.entries(given).map(([name, item]) => [name, walk(item)]));
			};
			return walk(good);
		}),
	);
}

/** Changes of one of the values, in their fields or in their numbers. */
export function changed(values: readonly unknown[]): fc.Arbitrary<unknown> {
	return fc
		.constantFrom(...values)
		.chain(good =>
			fc.oneof(
				{weight: 1, arbitrary: fc.constant(good)},
				{weight: 4, arbitrary: tweaked(good)},
				{weight: 4, arbitrary: altered(good)},
			),
		);
}

/** The value as MessagePack; nothing for a value without that form. */
export function packed(given: unknown): Buffer {
	try {
		return encode(given);
	} catch {
		return Buffer.alloc(0); // A lone surrogate, for example.
	}
}
