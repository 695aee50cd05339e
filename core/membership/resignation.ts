/**
The proof that a node identity will not come back: a resignation, signed with the identity's key at its first start and
kept outside the data folder. A node that finds its data folder empty, and a resignation for that folder, replaces the
node whose data were lost. It shows the resignation when it joins, and the cluster may then remove the former identity.
Without a resignation no member is removed: a new node at the address of a member proves nothing, because addresses are
reused and the member's data may still exist.
*/
import {isNodeId, type NodeId} from '../message.ts';
import {idOf, identitySignatureBytes, isSignedBy, publicKeyBytes, type Identity} from '../wire/seal.ts';

/** `id` is the hash of `publicKey`. The signature covers only the id, so it is valid in any cluster. */
export type Resignation = {readonly id: NodeId; readonly publicKey: Uint8Array; readonly signature: Uint8Array};

/** Bound on the former identities remembered for one data folder. */
export const resignationsMax = 8;

/** Signs a resignation for this identity, to be shown if its data are lost. */
export function resign(identity: Identity): Resignation {
	return {id: identity.id, publicKey: identity.publicKey, signature: identity.sign(signed(identity.id))};
}

/** Whether the id matches the key and the signature is valid. */
export function isGenuine({id, publicKey, signature}: Resignation): boolean {
	return idOf(publicKey) === id && isSignedBy(publicKey, signed(id), signature);
}

/**
Parses a decoded MessagePack value; `undefined` when a field is malformed. The signature is checked by `isGenuine`.
*/
export function parseResignation(value: unknown): Resignation | undefined {
	const {id, publicKey, signature} = Object(value) as Record<string, unknown>;
	const isWhole =
		isNodeId(id) &&
		publicKey instanceof Uint8Array &&
		publicKey.length === publicKeyBytes &&
		signature instanceof Uint8Array &&
		signature.length === identitySignatureBytes;
	return isWhole ? {id, publicKey: Uint8Array.from(publicKey), signature: Uint8Array.from(signature)} : undefined;
}

/** For the file of resignations; keys and signatures are base64url. */
export function resignationToJson({id, publicKey, signature}: Resignation): unknown {
	return {
		id,
		publicKey: Buffer.from(publicKey).toString('base64url'),
		signature: Buffer.from(signature).toString('base64url'),
	};
}

/** The inverse of `resignationToJson`; `undefined` when a field is malformed. */
export function resignationFromJson(value: unknown): Resignation | undefined {
	const {id, publicKey, signature} = Object(value) as Record<string, unknown>;
	if (typeof publicKey !== 'string' || typeof signature !== 'string') return undefined;
	return parseResignation({
		id,
		publicKey: Buffer.from(publicKey, 'base64url'),
		signature: Buffer.from(signature, 'base64url'),
	});
}

function signed(id: NodeId): Buffer {
	return Buffer.from(`dapss1 resign ${id}`);
}
