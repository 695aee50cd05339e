/**
The signature of an origin over its batches. A batch that comes from its origin over their link is proved by the link. A
batch that was relayed, repaired or stored needs a proof that only the origin can make. An Ed25519 signature (RFC 8032)
costs as much time as several small batches, so one signature covers a group: all batches of one turn of the event loop,
at most `groupMax`. It signs the root of a Merkle tree over their hashes (RFC 9162, 2.1). The proof of a batch is its
path in that tree, the key of the origin, and the signature. So a batch proves itself, wherever it is stored and
whatever arrives before it.

The key proves the id, because an id is the hash of the key. No directory of keys is needed, also for origins that were
removed.
*/
import {createHash, verify, type KeyObject} from 'node:crypto';
import {groupPlace, hashBytes, leftLeaves, signedBytes, type GroupPlace, type NodeId} from '../message.ts';
import type {Signer} from '../ports.ts';
import {identitySignatureBytes, idOf, publicKeyBytes, publicKeyOf} from './seal.ts';

/** Makes the signatures of one origin. */
export type GroupSigner = Pick<Signer, 'publicKey' | 'sign'>;
export type SignatureCheck = Signer['isSignedBy'];

const label = Buffer.from('dapss batches 1\0');
const leafPrefix = Buffer.of(0);
const nodePrefix = Buffer.of(1);
/** Signatures that are remembered as valid: batches of one group often arrive together. */
const rootsMax = 1024;
const keysMax = 1024;

/**
Signs batches that were encoded with their places in this group: writes the proof of each. @param group 1 to `groupMax`
batches
*/
export function signGroup(group: readonly Buffer[], signer: GroupSigner): void {
	const size = group.length;
	const leaves = group.map((bytes, index) => leafOf(bytes, {index, size}));
	const signature = signer.sign(signedOf(rootOf(leaves)));
	for (const [index, bytes] of group.entries()) {
		let at = bytes.length - signedBytes({index, size});
		for (const part of [...pathOf(index, leaves), signer.publicKey, signature]) {
			bytes.set(part, at);
			at += part.length;
		}
	}
}

/** Checks the proofs of signed batches. A signature is checked once for a group, as long as it is remembered. */
export class SignedBatches {
	readonly #check: SignatureCheck;
	/** Roots with their valid signatures, oldest first. */
	readonly #roots = new Set<string>();

	/** @default `isSignedByOrigin()` */
	constructor(check: SignatureCheck = isSignedByOrigin()) {
		this.#check = check;
	}

	/** Whether the origin that a decoded, signed batch names has signed it. */
	isGenuine(bytes: Buffer, origin: NodeId): boolean {
		const place = groupPlace(bytes);
		if (!place) return false;
		const keyAt = bytes.length - 4 - identitySignatureBytes - publicKeyBytes;
		const publicKey = bytes.subarray(keyAt, keyAt + publicKeyBytes);
		const signature = bytes.subarray(keyAt + publicKeyBytes, bytes.length - 4);
		const path = bytes.subarray(bytes.length - signedBytes(place), keyAt);
		const root = rootFrom(leafOf(bytes, place), place, path);
		// With the signature: else a batch with a wrong one could be stored, and prove nothing to the next node.
		const known = `${origin}${root.toString('latin1')}${bytes.toString('latin1', keyAt, bytes.length - 4)}`;
		if (this.#roots.has(known)) return true;
		if (!this.#check(origin, publicKey, signedOf(root), signature)) return false;
		if (this.#roots.size >= rootsMax) this.#roots.delete(this.#roots.values().next().value!);
		this.#roots.add(known);
		return true;
	}
}

/** The check of real signatures. It remembers keys, because importing one costs a third of a verification. */
export function isSignedByOrigin(): SignatureCheck {
	const keys = new Map<NodeId, {readonly raw: Buffer; readonly key: KeyObject}>();
	return (origin, publicKey, signed, signature) => {
		let known = keys.get(origin);
		if (!known?.raw.equals(publicKey)) {
			const key = idOf(publicKey) === origin ? publicKeyOf(publicKey) : undefined;
			if (!key) return false;
			known = {raw: Buffer.from(publicKey), key};
			if (keys.size >= keysMax) keys.clear();
			keys.set(origin, known);
		}

		return verify(null, signed, known.key, signature);
	};
}

function signedOf(root: Uint8Array): Buffer {
	return Buffer.concat([label, root]);
}

/** The hash of all bytes before the proof. */
function leafOf(bytes: Buffer, place: GroupPlace): Buffer {
	return hashOf(leafPrefix, bytes.subarray(0, bytes.length - signedBytes(place)));
}

function rootOf(leaves: readonly Buffer[]): Buffer {
	if (leaves.length === 1) return leaves[0]!;
	const left = leftLeaves(leaves.length);
	return hashOf(nodePrefix, rootOf(leaves.slice(0, left)), rootOf(leaves.slice(left)));
}

/** The siblings on the way from a leaf to the root, the lowest first. */
function pathOf(index: number, leaves: readonly Buffer[]): Buffer[] {
	if (leaves.length === 1) return [];
	const left = leftLeaves(leaves.length);
	return index < left
		? [...pathOf(index, leaves.slice(0, left)), rootOf(leaves.slice(left))]
		: [...pathOf(index - left, leaves.slice(left)), rootOf(leaves.slice(0, left))];
}

function rootFrom(leaf: Buffer, {index, size}: GroupPlace, path: Buffer): Buffer {
	if (size === 1) return leaf;
	const left = leftLeaves(size);
	const sibling = path.subarray(path.length - hashBytes);
	const rest = path.subarray(0, path.length - hashBytes);
	return index < left
		? hashOf(nodePrefix, rootFrom(leaf, {index, size: left}, rest), sibling)
		: hashOf(nodePrefix, sibling, rootFrom(leaf, {index: index - left, size: size - left}, rest));
}

function hashOf(...parts: readonly Uint8Array[]): Buffer {
	const hash = createHash('sha256');
	for (const part of parts) hash.update(part);
	return hash.digest();
}
