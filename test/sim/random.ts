/**
Randomness from a seed. Integers only, so that a seed replays exactly on any machine. Each concern takes a `child`: a
stream that depends on the seed and the name alone, never on how much others drew. So removing an event from a run
leaves all other random choices unchanged. The generator is xoshiro128** (Blackman and Vigna 2018).
*/
import type {Random} from '../../core/machine.ts';

export type SeededRandom = Random & {
	/** True `numerator` times out of `denominator`. */
	chance(numerator: number, denominator: number): boolean;
	/** Uniform integer in [from, to], both included. */
	between(from: number, to: number): number;
	pick<T>(items: readonly T[]): T;
	/** A shuffled copy. */
	shuffle<T>(items: readonly T[]): T[];
	/** An independent stream for the concern of that name. */
	child(name: string | number): SeededRandom;
};

export function createRandom(seed: number | string): SeededRandom {
	const key = String(seed);
	let a = hash32(key, 1);
	let b = hash32(key, 2);
	let c = hash32(key, 3);
	let d = hash32(key, 4) | 1; // Never all zero.
	const next = (): number => {
		const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
		const shifted = b << 9;
		c ^= a;
		d ^= b;
		b ^= c;
		a ^= d;
		c ^= shifted;
		d = rotate(d, 11);
		return result;
	};

	const below = (limit: number): number => {
		if (!Number.isSafeInteger(limit) || limit < 1 || limit > 2 ** 32)
			throw new RangeError(`Expected \`limit\` to be 1 to 2^32, got \`${limit}\``);
		const fair = 2 ** 32 - (2 ** 32 % limit); // Above it some remainders would occur more often.
		let drawn = next();
		while (drawn >= fair) drawn = next();
		return drawn % limit;
	};

	return {
		below,
		chance: (numerator, denominator) => numerator > 0 && below(denominator) < numerator,
		between: (from, to) => from + below(to - from + 1),
		pick: items => items[below(items.length)]!,
		shuffle(items) {
			const shuffled = [...items];
			for (let index = shuffled.length - 1; index > 0; index--) {
				const other = below(index + 1);
				[shuffled[index], shuffled[other]] = [shuffled[other]!, shuffled[index]!];
			}

			return shuffled;
		},
		child: name => createRandom(`${key}/${name}`),
	};
}

/** A 32-bit hash of text (FNV-1a with a finisher): for random streams and fingerprints of runs, not for secrets. */
export function hash32(text: string, salt = 0): number {
	let hash = (0x81_1c_9d_c5 ^ Math.imul(salt, 0x9e_37_79_b1)) >>> 0;
	for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01_00_01_93);
	hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
	return (hash ^ (hash >>> 16)) >>> 0;
}

function rotate(value: number, bits: number): number {
	return (value << bits) | (value >>> (32 - bits));
}

/**
The seeds of a run: `SEED=7` replays that one alone; otherwise `count` of them, starting with `SEED_FROM` (default 1).
*/
export function seeds(count: number): number[] {
	const {SEED, SEEDS, SEED_FROM} = process.env;
	if (SEED !== undefined) return [Number(SEED)];
	const from = Number(SEED_FROM ?? 1);
	return Array.from({length: Number(SEEDS ?? count)}, (_, index) => from + index);
}
