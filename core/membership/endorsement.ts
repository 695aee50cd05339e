/**
The statement of a user that a node may become a member, signed with the key of the user (Ed25519, RFC 8032). It names
the node, whose own key proves its id, so that it is of no use for another node.
*/
import {identityKeyOf, isIdentityKey, type IdentityKey} from '../access.ts';
import type {NodeId} from '../message.ts';
import {identitySignatureBytes, isSignedBy, type Identity} from '../wire/seal.ts';

export type Endorsement = {readonly identity: IdentityKey; readonly signature: Uint8Array};

/** Signs the statement. */
export function endorse(user: Identity, cluster: string, node: NodeId): Endorsement {
	return {identity: identityKeyOf(user.publicKey), signature: user.sign(statement(cluster, node))};
}

/** Whether the user signed this statement about the node. */
export function isEndorsed({identity, signature}: Endorsement, cluster: string, node: NodeId): boolean {
	return isSignedBy(Buffer.from(identity, 'hex'), statement(cluster, node), signature);
}

/** The endorsement in a decoded value, of which only the form is checked. */
export function parseEndorsement(value: unknown): Endorsement | undefined {
	const {identity, signature} = Object(value) as Record<string, unknown>;
	return isIdentityKey(identity) && signature instanceof Uint8Array && signature.length === identitySignatureBytes
		? {identity, signature}
		: undefined;
}

function statement(cluster: string, node: NodeId): Buffer {
	return Buffer.from(`dapss1 join\0${cluster}\0${node}`);
}
