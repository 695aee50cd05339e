/**
Signatures of simulated nodes. Their ids are no hashes of keys, and Ed25519 would cost most of a run: a signature is a
hash of the id and the bytes. A liar signs with its own id only.
*/
import type {NodeId} from '../../../../core/message.ts';
import type {Signer} from '../../../../core/ports.ts';
import {identitySignatureBytes, publicKeyBytes} from '../../../../core/wire/seal.ts';
import {hash32} from '../../random.ts';

export function simSigner(id: NodeId): Signer {
	return {
		publicKey: keyOf(id),
		sign: bytes => signatureOf(id, bytes),
		isSignedBy: (node, key, bytes, signature) =>
			keyOf(node).equals(key) && signatureOf(node, bytes).equals(signature),
	};
}

function keyOf(id: NodeId): Buffer {
	return Buffer.alloc(publicKeyBytes, id, 'hex');
}

function signatureOf(id: NodeId, bytes: Uint8Array): Buffer {
	const hash = hash32(`${id} ${Buffer.from(bytes).toString('base64')}`);
	return Buffer.alloc(identitySignatureBytes, hash.toString(16).padStart(8, '0'), 'hex');
}
