import {createHash, verify} from 'node:crypto';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {
	decodeBatch,
	encodeBatch,
	groupMax,
	groupPlace,
	signedBytes,
	type NodeId,
	type Topic,
} from '../../../core/message.ts';
import {SignedBatches, signGroup} from '../../../core/wire/batch-signature.ts';
import {createIdentity, publicKeyOf} from '../../../core/wire/seal.ts';

const identity = createIdentity(Buffer.alloc(32, 1));
const other = createIdentity(Buffer.alloc(32, 2));

function group(size: number, origin: NodeId = identity.id): Buffer[] {
	return Array.from({length: size}, (_, index) =>
		encodeBatch(
			{
				origin,
				incarnation: 1,
				topic: `topic ${index}` as Topic,
				firstSeq: 1 + index,
				lamport: 10 + index,
				previousLamport: 0,
				sentAtMs: 0,
			},
			[Buffer.from(`body ${index}`)],
			{index, size},
		),
	);
}

function signed(size: number): Buffer[] {
	const batches = group(size);
	signGroup(batches, identity);
	return batches;
}

const isGenuine = (bytes: Buffer, origin: NodeId = identity.id): boolean =>
	new SignedBatches().isGenuine(bytes, origin);
const hashOf = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

/** The root of a tree by an inclusion proof, as RFC 9162, 2.1.3.2 writes it. */
function rootByRfc(leaf: Buffer, path: readonly Buffer[], index: number, size: number): Buffer | undefined {
	let fn = index;
	let sn = size - 1;
	let r = hashOf(Buffer.of(0), leaf);
	for (const p of path) {
		if (sn === 0) return undefined;
		if (fn % 2 === 1 || fn === sn) {
			r = hashOf(Buffer.of(1), p, r);
			while (fn % 2 === 0 && fn !== 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else r = hashOf(Buffer.of(1), r, p);
		fn >>= 1;
		sn >>= 1;
	}

	return sn === 0 ? r : undefined;
}

describe('a signature over a group of batches', () => {
	test('is valid for each of them alone, as RFC 9162 and RFC 8032 say', () => {
		for (let size = 1; size <= groupMax; size++) {
			for (const [index, bytes] of signed(size).entries()) {
				expect(decodeBatch(bytes)?.topic).toBe(`topic ${index}`);
				expect(isGenuine(bytes)).toBe(true);
				const proof = bytes.subarray(bytes.length - signedBytes({index, size}));
				const path = proof.subarray(0, -100);
				const siblings = Array.from({length: path.length / 32}, (_, at) =>
					path.subarray(at * 32, at * 32 + 32),
				);
				const root = rootByRfc(bytes.subarray(0, -proof.length), siblings, index, size)!;
				expect(
					verify(
						null,
						Buffer.concat([Buffer.from('dapss batches 1\0'), root]),
						publicKeyOf(proof.subarray(-100, -68))!,
						proof.subarray(-68, -4),
					),
				).toBe(true);
			}
		}
	});

	test('covers every byte of a batch and of its proof', () => {
		fc.assert(
			fc.property(
				fc.constantFrom(1, 2, 3, 5, 8).chain(size => fc.tuple(fc.constant(size), fc.nat(size - 1))),
				fc.nat(),
				fc.nat(7),
				([size, index], position, bit) => {
					const bytes = signed(size)[index]!;
					const at = position % (bytes.length - 4);
					bytes[at]! ^= 1 << bit;
					// Other bytes may not decode. Those that do are not genuine.
					const batch = decodeBatch(bytes);
					expect(batch !== undefined && (bytes[1]! & 2) !== 0 && isGenuine(bytes, batch.origin)).toBe(false);
				},
			),
			{numRuns: 600},
		);
	});

	test('of another node is refused, with its own key and with the key of the origin', () => {
		const own = group(1);
		signGroup(own, other);
		expect(isGenuine(own[0]!)).toBe(false);
		const copied = group(1);
		signGroup(copied, {publicKey: identity.publicKey, sign: bytes => other.sign(bytes)});
		expect(isGenuine(copied[0]!)).toBe(false);
		const renamed = group(1, other.id);
		signGroup(renamed, identity);
		expect(isGenuine(renamed[0]!, other.id)).toBe(false);
	});

	test('is checked once, and a batch of the same group with a wrong signature is still refused', () => {
		let checks = 0;
		const signatures = new SignedBatches((_origin, _key, bytes, signature) => {
			checks++;
			return identity.sign(bytes).equals(signature);
		});
		const [first, second, third] = signed(3) as [Buffer, Buffer, Buffer];
		expect(signatures.isGenuine(first, identity.id)).toBe(true);
		expect(signatures.isGenuine(second, identity.id)).toBe(true);
		expect(checks).toBe(1);
		third[third.length - 10]! ^= 1;
		expect(signatures.isGenuine(third, identity.id)).toBe(false);
	});

	test('names a place in a group of at most 64', () => {
		const [bytes] = signed(1) as [Buffer];
		expect(groupPlace(bytes)).toEqual({index: 0, size: 1});
		for (const [index, size] of [
			[1, 1],
			[0, 0],
			[0, groupMax + 1],
			[65_535, 65_535],
		] as const) {
			bytes.writeUInt16BE(index, bytes.length - 4);
			bytes.writeUInt16BE(size, bytes.length - 2);
			expect(decodeBatch(bytes)).toBeUndefined();
			expect(isGenuine(bytes)).toBe(false);
		}
	});
});
