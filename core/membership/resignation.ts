/**
The proof that a node will not come back: its resignation, signed with its own key when it first starts and kept outside
its data folder. A node that finds its data folder empty, and a resignation for that folder, was the former node before
its data were lost. It shows the resignation when it joins, and the former node may be removed. Without it nothing is
removed: a new node at the address of a member proves nothing, since addresses are reused and the member's data may
still exist.
*/
import {isNodeId, type NodeId} from '../message.ts';
import {idOf, identitySignatureBytes, isSignedBy, publicKeyBytes, type Identity} from '../wire/seal.ts';

/**
`id` is the hash of `publicKey`; the signature covers the id and nothing else, so that it holds in whatever cluster the
node is.
*/
export type Resignation = {readonly id: NodeId; readonly publicKey: Uint8Array; readonly signature: Uint8Array};

/** Former nodes of one data folder that are remembered. */
export const resignationsMax = 8;

export function resign(identity: Identity): Resignation {
	return {id: identity.id, publicKey: identity.publicKey, signature: identity.sign(signed(identity.id))};
}

export function isGenuine({id, publicKey, signature}: Resignation): boolean {
	return idOf(publicKey) === id && isSignedBy(publicKey, signed(id), signature);
}

/**
From MessagePack; `undefined` when a field is not what it should be. Whether it is genuine is judged by `isGenuine`.
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

export function resignationToJson({id, publicKey, signature}: Resignation): unknown {
	return {
		id,
		publicKey: Buffer.from(publicKey).toString('base64url'),
		signature: Buffer.from(signature).toString('base64url'),
	};
}

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
