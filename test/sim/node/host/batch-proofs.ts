/**
Proofs of batches in the simulation: the real scheme, with the signatures of the simulation.
*/
import type {KeyObject} from 'node:crypto';
import type {Proofs} from '../../../../core/data/proofs.ts';
import type {NodeId} from '../../../../core/message.ts';
import {SignedBatches, signGroup} from '../../../../core/wire/batch-signature.ts';
import {addBatchMac, hasBatchMac} from '../../../../core/wire/seal.ts';
import {simSigner} from './signer.ts';

/** Keys of MACs, which every member has, liars included. */
export type MacKeys = {readonly active: () => KeyObject; readonly valid: () => readonly KeyObject[]};

/** The proofs of one process. */
export function simProofs(id: NodeId, macs: MacKeys): Proofs {
	const signer = simSigner(id);
	const signatures = new SignedBatches(signer.isSignedBy);
	return {
		isRequired: true,
		isLinkProof: true,
		addMac: bytes => addBatchMac(bytes, macs.active()),
		hasMac: bytes => hasBatchMac(bytes, macs.valid()),
		sign: group => signGroup(group, signer),
		isSigned: (bytes, origin) => signatures.isGenuine(bytes, origin),
	};
}
