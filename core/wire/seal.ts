/**
Keys, batch signatures and node identities.

HKDF (RFC 5869) derives a separate key for each use from the cluster secret, so that data sealed for one use is invalid
for any other. Batches of protocols before 4 have an HMAC-SHA256 under such a key. Keys are KeyObjects, because with a
Buffer the same HMAC costs five times as much. A node's id is the hash of its Ed25519 key (RFC
8032): a signature under that key proves the id, and no key directory is needed.
*/
import {
	createHash,
	createHmac,
	createPrivateKey,
	createPublicKey,
	createSecretKey,
	generateKeyPairSync,
	hkdfSync,
	sign,
	timingSafeEqual,
	verify,
	type KeyObject,
} from 'node:crypto';
import type {KeyId} from '../cluster-keys.ts';
import {macBytes, type NodeId} from '../message.ts';
import type {Signer} from '../ports.ts';

export type Keys = {
	/** The id of the key: the first half of `pskIdentity`, as hexadecimal digits. */
	readonly id: KeyId;
	/** Pre-shared key of TLS. */
	readonly psk: Buffer;
	/**
	The name of that key, which a ClientHello shows in plain text: derived, so that it does not tell the name of the
	cluster to those who listen.
	*/
	readonly pskIdentity: string;
	/** The name in earlier versions: with the name of the cluster. */
	readonly formerPskIdentity: string;
	/** Signs batches. Always derived from the secret. */
	readonly batch: KeyObject;
	/** Base of the keys that seal datagrams. */
	readonly datagram: Buffer;
	readonly beacon: KeyObject;
	/** Signs the search packets that beacons answer. */
	readonly beaconSearch: KeyObject;
	/** Proves in a hello that this side knows the secret, even without TLS. */
	readonly proof: KeyObject;
	/**
	The `proof` of a node with node authentication switched off: derived from the cluster's name alone. It recognises
	such a node in order to tell it why it is refused, and never admits it.
	*/
	readonly openProof: KeyObject;
};

const keyBytes = 32;
const pskIdentityBytes = 12;
const keyIdBytes = 8;
const pskIdentityPrefix = 'dapss2:';

/**
The keys of a cluster. Without `enableNodeAuth` all keys except the batch key are derived from the cluster's name, which
is no secret: such a node admits any peer that knows the name, and shares no link key with nodes that authenticate.
*/
export function deriveKeys({
	secret,
	cluster,
	enableNodeAuth = true,
}: {
	readonly secret: Uint8Array;
	readonly cluster: string;
	readonly enableNodeAuth?: boolean;
}): Keys {
	const open = new Uint8Array(keyBytes);
	const link = enableNodeAuth ? secret : open;
	const derive = (base: Uint8Array, use: string): Buffer =>
		Buffer.from(hkdfSync('sha256', base, cluster, `dapss1 ${use}`, keyBytes));
	const identity = derive(link, 'psk identity').subarray(0, pskIdentityBytes);
	return {
		id: keyIdOf(identity),
		psk: derive(link, 'psk'),
		pskIdentity: `${pskIdentityPrefix}${identity.toString('base64url')}`,
		formerPskIdentity: `dapss1:${cluster}${enableNodeAuth ? '' : ':open'}`,
		batch: createSecretKey(derive(secret, 'batch signature')),
		datagram: derive(link, 'datagram'),
		beacon: createSecretKey(derive(link, 'beacon')),
		beaconSearch: createSecretKey(derive(link, 'beacon search')),
		proof: createSecretKey(derive(link, 'proof')),
		openProof: createSecretKey(derive(open, 'proof')),
	};
}

/** The id of the key with this name in a ClientHello; `undefined` for a text that is no derived name. */
export function keyIdOfName(pskIdentity: string): KeyId | undefined {
	const [, name] = /^dapss2:([\w-]{16})$/.exec(pskIdentity) ?? [];
	return name === undefined ? undefined : keyIdOf(Buffer.from(name, 'base64url'));
}

function keyIdOf(identity: Buffer): KeyId {
	return identity.toString('hex', 0, keyIdBytes) as KeyId;
}

/** Writes the MAC into the last 32 bytes of a batch that was encoded with room for it. */
export function addBatchMac(bytes: Buffer, batchKey: KeyObject): void {
	const end = bytes.length - macBytes;
	macOf(batchKey, bytes.subarray(0, end)).copy(bytes, end);
}

/**
Whether the last 32 bytes are the MAC of the others. @param batchKeys the keys that may have made it, the likeliest
first
*/
export function hasBatchMac(bytes: Uint8Array, batchKeys: readonly KeyObject[]): boolean {
	const end = bytes.length - macBytes;
	if (end <= 0) return false;
	const [mac, content] = [bytes.subarray(end), bytes.subarray(0, end)];
	return batchKeys.some(key => isMac(key, mac, content));
}

export function macOf(key: KeyObject, ...parts: readonly Uint8Array[]): Buffer {
	const hmac = createHmac('sha256', key);
	for (const part of parts) hmac.update(part);
	return hmac.digest();
}

/** Verifies a MAC in constant time. A prefix of at least 16 bytes is accepted. */
export function isMac(key: KeyObject, mac: Uint8Array, ...parts: readonly Uint8Array[]): boolean {
	if (mac.length < 16 || mac.length > keyBytes) return false;
	return timingSafeEqual(macOf(key, ...parts).subarray(0, mac.length), mac);
}

/** The identity file of a node (mode 0600). */
export type IdentityJson = {readonly id: string; readonly privateKey: string};

export type Identity = {
	readonly id: NodeId;
	/** The raw Ed25519 key, 32 bytes. */
	readonly publicKey: Buffer;
	sign(bytes: Uint8Array): Buffer;
	toJson(): IdentityJson;
};

export const publicKeyBytes = 32;
export const identitySignatureBytes = 64;
/** The PKCS #8 header before the 32 bytes of a private key (RFC 8410, 7). */
const keyHead = Buffer.from('302e020100300506032b657004220420', 'hex');

/** @param seed 32 random bytes, for reproducible runs. @default random bytes of the machine */
export function createIdentity(seed?: Uint8Array): Identity {
	return identityOf(
		seed
			? createPrivateKey({key: Buffer.concat([keyHead, seed]), format: 'der', type: 'pkcs8'})
			: generateKeyPairSync('ed25519').privateKey,
	);
}

/** The identity in a parsed identity file, or the problem with the file. The problem never contains the key. */
export function identityFrom(json: unknown): Identity | {readonly problem: string} {
	const {id, privateKey} = (typeof json === 'object' && json !== null ? json : {}) as Partial<
		Record<keyof IdentityJson, unknown>
	>;
	if (typeof privateKey !== 'string') return {problem: 'Expected `privateKey` to be text'};
	let identity: Identity;
	try {
		const key = createPrivateKey({key: Buffer.from(privateKey, 'base64url'), format: 'der', type: 'pkcs8'});
		if (key.asymmetricKeyType !== 'ed25519')
			return {problem: `Expected \`privateKey\` to be an Ed25519 key, got ${key.asymmetricKeyType}`};
		identity = identityOf(key);
	} catch {
		return {problem: 'Expected `privateKey` to be an Ed25519 key (PKCS #8, base64url)'};
	}

	return identity.id === id
		? identity
		: {problem: `Expected \`id\` to be ${identity.id}, the hash of the key, got ${JSON.stringify(id)}`};
}

/** First 8 bytes of SHA-256 over the raw public key. */
export function idOf(publicKey: Uint8Array): NodeId {
	return createHash('sha256').update(publicKey).digest('hex').slice(0, 16) as NodeId;
}

/** Whether the owner of the raw public key signed `bytes`. False when the key is invalid. */
export function isSignedBy(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
	const key = signature.length === identitySignatureBytes ? publicKeyOf(publicKey) : undefined;
	return key !== undefined && verify(null, bytes, key, signature);
}

/** The key of raw bytes, for many verifications; `undefined` when they are no Ed25519 key. */
export function publicKeyOf(raw: Uint8Array): KeyObject | undefined {
	if (raw.length !== publicKeyBytes) return undefined;
	try {
		return createPublicKey({
			key: {kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url')},
			format: 'jwk',
		});
	} catch {
		return undefined;
	}
}

/** The key of the node, and the check of signatures by the ids of other nodes. */
export function signerOf({publicKey, sign: signed}: Identity): Signer {
	return {
		publicKey,
		sign: signed,
		isSignedBy: (node, key, bytes, signature) => idOf(key) === node && isSignedBy(key, bytes, signature),
	};
}

function identityOf(privateKey: KeyObject): Identity {
	const publicKey = Buffer.from(createPublicKey(privateKey).export({format: 'jwk'}).x!, 'base64url');
	const id = idOf(publicKey);
	return {
		id,
		publicKey,
		sign: bytes => sign(null, bytes, privateKey),
		toJson: () => ({id, privateKey: privateKey.export({format: 'der', type: 'pkcs8'}).toString('base64url')}),
	};
}
