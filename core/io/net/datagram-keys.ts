/**
The keys that two processes share for their datagrams: X25519 (RFC 7748) between a key pair of each process. The public
keys are exchanged in the hellos of a link, which the nodes sign, so no third member knows the shared key, and none can
send datagrams in the name of another one.
*/
import {createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject} from 'node:crypto';
import type {NodeId} from '../../message.ts';

export const datagramKeyBytes = 32;
const secretsMax = 4096;

export class DatagramKeys {
	/** Raw, 32 bytes; of this process. */
	readonly publicKey: Buffer;
	readonly #privateKey: KeyObject;
	readonly #secrets = new Map<NodeId, {readonly theirs: Uint8Array; readonly secret: Buffer | undefined}>();

	constructor() {
		const {publicKey, privateKey} = generateKeyPairSync('x25519');
		this.publicKey = Buffer.from(publicKey.export({format: 'jwk'}).x!, 'base64url');
		this.#privateKey = privateKey;
	}

	/**
	The secret that is shared with the process of the peer that has this public key; `undefined` for a key that is not
	valid.
	*/
	secret(peer: NodeId, theirs: Uint8Array): Buffer | undefined {
		const known = this.#secrets.get(peer);
		if (known && Buffer.compare(known.theirs, theirs) === 0) return known.secret;
		if (this.#secrets.size >= secretsMax) this.#secrets.clear();
		const secret = this.#derive(theirs);
		this.#secrets.set(peer, {theirs, secret});
		return secret;
	}

	#derive(theirs: Uint8Array): Buffer | undefined {
		try {
			const publicKey = createPublicKey({
				key: {kty: 'OKP', crv: 'X25519', x: Buffer.from(theirs).toString('base64url')},
				format: 'jwk',
			});
			// Fails for a point of low order, with which every process would share the same secret.
			return diffieHellman({privateKey: this.#privateKey, publicKey});
		} catch {
			return undefined;
		}
	}
}
