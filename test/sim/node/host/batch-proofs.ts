/**
Proofs of batches in the simulation: the real scheme, with a signature that costs little time. A process can sign only
as itself. The world keeps the keys, so a liar can use no other.
*/
import {createHash, type KeyObject} from 'node:crypto';
import type {Proofs} from '../../../../core/data/proofs.ts';
import type {NodeId} from '../../../../core/message.ts';
import {
	SignedBatches,
	signGroup,
	type GroupSigner,
	type SignatureCheck,
} from '../../../../core/wire/batch-signature.ts';
import {addBatchMac, hasBatchMac} from '../../../../core/wire/seal.ts';

/** Keys of MACs, which every member has, liars included. */
export type MacKeys = {readonly active: () => KeyObject; readonly valid: () => readonly KeyObject[]};

export function simSigner(id: NodeId): GroupSigner {
	return {publicKey: Buffer.from(id.padEnd(32, '.')), sign: bytes => signatureOf(id, bytes)};
}

const isSimSignature: SignatureCheck = (origin, publicKey, signed, signature) =>
	Buffer.from(origin.padEnd(32, '.')).equals(publicKey) && signatureOf(origin, signed).equals(signature);

/** The proofs of one process. */
export function simProofs(id: NodeId, macs: MacKeys): Proofs {
	const signer = simSigner(id);
	const signatures = new SignedBatches(isSimSignature);
	return {
		isRequired: true,
		isLinkProof: true,
		addMac: bytes => addBatchMac(bytes, macs.active()),
		hasMac: bytes => hasBatchMac(bytes, macs.valid()),
		sign: group => signGroup(group, signer),
		isSigned: (bytes, origin) => signatures.isGenuine(bytes, origin),
	};
}

function signatureOf(id: NodeId, bytes: Uint8Array): Buffer {
	return createHash('sha512').update('signature of ').update(id).update(bytes).digest();
}
