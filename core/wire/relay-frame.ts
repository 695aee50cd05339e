/**
Relay frames: a frame of one member for another, carried by a third. Ids are 8 bytes.

```
relay         9 | from | to | the frame, as its origin made it; protocol 2
proven relay 10 | from | to | u32 incarnation | u48 counter | 32 B public key | 64 B signature | the frame; protocol 4
```

The signature covers a label, all fields before the public key, and the frame.
*/
import type {NodeId} from '../message.ts';
import {identitySignatureBytes, publicKeyBytes} from './seal.ts';
import {kinds} from './wire.ts';

const idBytes = 8;
const headBytes = 1 + 2 * idBytes;
const counterAt = headBytes + 4;
const keyAt = counterAt + 6;
const signatureAt = keyAt + publicKeyBytes;
const provenHeadBytes = signatureAt + identitySignatureBytes;
const label = Buffer.from('dapss1 relay\0');

type Ends = {readonly from: NodeId; readonly to: NodeId};
export type RelayFrame = Ends & {readonly inner: Buffer};
export type Origin = Ends & {readonly incarnation: number; readonly counter: number};
type Proof = Origin & {readonly publicKey: Uint8Array; readonly signature: Uint8Array};
export type ProvenRelayFrame = RelayFrame & Proof;

/** Whether a frame with this first byte is a relay frame. */
export function isRelayKind(kind: number | undefined): boolean {
	return kind === kinds.relay || kind === kinds.provenRelay;
}

/** The head of a relay frame without a proof; the relayed frame follows it. */
export function encodeRelayHead(from: NodeId, to: NodeId): Buffer {
	return head(kinds.relay, {from, to}, headBytes);
}

/** The head of a proven relay frame; the relayed frame follows it. */
export function encodeProvenRelayHead({publicKey, signature, ...origin}: Proof): Buffer {
	const bytes = Buffer.concat([originHead(origin), publicKey, signature]);
	if (bytes.length !== provenHeadBytes)
		throw new Error(
			`Expected a key and a signature of Ed25519, got ${publicKey.length} and ${signature.length} bytes`,
		);
	return bytes;
}

/** What the origin signs. */
export function signedPartOf(origin: Origin, inner: Uint8Array): Buffer {
	return Buffer.concat([label, originHead(origin), inner]);
}

/** `undefined` when the frame is too short, or of another kind. */
export function decodeRelay(frame: Buffer): RelayFrame | ProvenRelayFrame | undefined {
	const isProven = frame[0] === kinds.provenRelay;
	const start = isProven ? provenHeadBytes : headBytes;
	if (!isRelayKind(frame[0]) || frame.length <= start) return undefined;
	const ends = {
		from: frame.toString('hex', 1, 1 + idBytes) as NodeId,
		to: frame.toString('hex', 1 + idBytes, headBytes) as NodeId,
		inner: frame.subarray(start),
	};
	if (!isProven) return ends;
	return {
		...ends,
		incarnation: frame.readUInt32BE(headBytes),
		counter: frame.readUIntBE(counterAt, 6),
		publicKey: frame.subarray(keyAt, signatureAt),
		signature: frame.subarray(signatureAt, provenHeadBytes),
	};
}

function originHead({incarnation, counter, ...ends}: Origin): Buffer {
	const bytes = head(kinds.provenRelay, ends, keyAt);
	bytes.writeUInt32BE(incarnation, headBytes);
	bytes.writeUIntBE(counter, counterAt, 6);
	return bytes;
}

function head(kind: number, {from, to}: Ends, length: number): Buffer {
	const bytes = Buffer.alloc(length);
	bytes[0] = kind;
	bytes.write(from, 1, idBytes, 'hex');
	bytes.write(to, 1 + idBytes, idBytes, 'hex');
	return bytes;
}
