/**
Encrypts a secret or a key under another secret, for the agreed state: AES-256-GCM under a key that is derived from the
other secret for this use alone. Both ids are authenticated, so that a sealed secret cannot stand for another key.

```
12 B nonce | encrypted bytes | 16 B tag
```
*/
import {createCipheriv, createDecipheriv, hkdfSync} from 'node:crypto';
import type {KeyId} from '../cluster-keys.ts';

const nonceBytes = 12;
const tagBytes = 16;

/** What is encrypted, under what, in which cluster. */
export type WrapPlace = {
	readonly cluster: string;
	readonly what: 'secret' | 'batch';
	/** The key that is encrypted, and the key that encrypts it. */
	readonly key: KeyId;
	readonly under: KeyId;
};

/** @param nonce random; never used twice with the same base and place */
export function wrap(bytes: Uint8Array, base: Uint8Array, place: WrapPlace, nonce: Uint8Array): Buffer {
	const cipher = createCipheriv('aes-256-gcm', keyOf(base, place), nonce.subarray(0, nonceBytes));
	cipher.setAAD(aadOf(place));
	return Buffer.concat([nonce.subarray(0, nonceBytes), cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** `undefined` for bytes that were not wrapped in this place under this base. */
export function unwrap(sealed: Uint8Array, base: Uint8Array, place: WrapPlace): Buffer | undefined {
	if (sealed.length <= nonceBytes + tagBytes) return undefined;
	try {
		const decipher = createDecipheriv('aes-256-gcm', keyOf(base, place), sealed.subarray(0, nonceBytes), {
			authTagLength: tagBytes,
		});
		decipher.setAAD(aadOf(place));
		decipher.setAuthTag(sealed.subarray(-tagBytes));
		return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
	} catch {
		return undefined;
	}
}

export const wrapNonceBytes = nonceBytes;

function keyOf(base: Uint8Array, {cluster, what}: WrapPlace): Buffer {
	return Buffer.from(hkdfSync('sha256', base, cluster, `dapss1 key wrap ${what}`, 32));
}

function aadOf({cluster, what, key, under}: WrapPlace): Buffer {
	return Buffer.from(`${cluster} ${what} ${key} ${under}`);
}
