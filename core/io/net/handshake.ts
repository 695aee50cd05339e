/**
The handshake of a channel, as a value: payloads go in; payloads and a verdict come out. It owns no socket, so it is
tested and fuzzed without one.

```
dialer                               listener
hello (nonce, key)         ──────▶   check, admit
                           ◀──────   hello (nonce, key), proof
proof                      ──────▶
```

A proof covers a transcript: the TLS exporter of this connection (RFC 8446, 7.5) and both hellos, byte for byte. So it
covers every field of the hellos, and cannot be replayed on another connection or relayed by a man in the middle. Its
HMAC proves that the side has the cluster's secret (also without TLS). Its Ed25519 signature proves that the node owns
its id.

Payloads of kind 0 belong to the channel, all others to its user.

```
hello  0 | 1 | 'dapss' | u8 protocol | 32 B HMAC of all the rest | MessagePack
proof  0 | 2 | 32 B HMAC | 64 B signature of a node, or of a client with an identity
refuse 0 | 3 | MessagePack {code, reason, protocol, protocols, version, cluster, flags}
bye    0 | 4 | reason in UTF-8
```

A hello contains the oldest and the newest protocol version that its side speaks. Both use the newest common version; if
there is none, both sides report both ranges. A side may require a later version than its program needs: a member
refuses a node that speaks only versions below the one its cluster has agreed on. In a refusal, `protocol` is the oldest
version that would be accepted: a node of protocol 1 knows no other field, and shows this one to its operator.
*/
import {createHash, randomBytes, type KeyObject} from 'node:crypto';
import * as v from 'valibot';
import type {KeyId} from '../../cluster-keys.ts';
import {decode, encode} from '../../codec.ts';
import {isNodeId, type NodeId} from '../../message.ts';
import {spokenProtocols} from '../../version.ts';
import {idOf, isMac, isSignedBy, macOf, publicKeyBytes, type Identity, type Keys} from '../../wire/seal.ts';
import type {Hello, Refusal, RefusalCode} from './channel.ts';
import {datagramKeyBytes} from './datagram-keys.ts';

/**
The version of the handshake itself, a byte at the start of a hello. Later protocol versions are negotiated in the body.
*/
export const protocol = 1;
export const channelKind = 0;
/** The largest frame before the handshake has finished, in bytes. */
export const helloBytesMax = 4096;

const types = {hello: 1, proof: 2, refuse: 3, bye: 4} as const;
const magic = Buffer.from('dapss');
const protocolAt = 2 + magic.length;
const macAt = protocolAt + 1;
const macBytes = 32;
const bodyAt = macAt + macBytes;
const nonceBytes = 32;
/** Nodes that speak this protocol verify the identities of clients. */
export const clientKeysProtocol = 4;
const reasonMax = 300;

const ascii = (max: number): v.GenericSchema<unknown, string> =>
	v.pipe(v.string(), v.maxLength(max), v.regex(/^[ -~]*$/));
const bytes = (count: number): v.GenericSchema<unknown, Uint8Array> =>
	v.custom<Uint8Array>(value => value instanceof Uint8Array && value.length === count);
const helloSchema = v.object({
	role: v.picklist(['node', 'client']),
	id: v.optional(v.custom<NodeId>(isNodeId)),
	address: ascii(261),
	cluster: v.pipe(v.string(), v.regex(/^[\w.-]{1,63}$/)),
	clusterId: ascii(64),
	incarnation: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xff_ff_ff_ff)),
	instance: v.optional(v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{16})?$/)), ''),
	name: v.optional(ascii(64), ''),
	protocols: v.optional(
		v.tuple([v.pipe(v.number(), v.integer(), v.minValue(0)), v.pipe(v.number(), v.integer(), v.minValue(0))]),
		[1, 1],
	),
	flags: v.pipe(v.string(), v.regex(/^(?:auth)?,?(?:sign)?,?(?:encrypt)?$/)),
	version: ascii(64),
	via: v.picklist(['peer', 'join', 'client']),
	nonce: bytes(nonceBytes),
	publicKey: v.optional(bytes(publicKeyBytes)),
	/** Another field than that of a node: earlier releases ignore it, and refuse a client with the other one. */
	clientKey: v.optional(bytes(publicKeyBytes)),
	isReadonly: v.optional(v.boolean()),
	/** Of a node; earlier releases ignore it. */
	datagramKey: v.optional(bytes(datagramKeyBytes)),
});
const refusalCodes = [
	'malformed',
	'protocol',
	'cluster',
	'flags',
	'not-authenticated',
	'identity',
	'itself',
	'same-node',
	'removed',
	'not-a-member',
	'duplicate',
	'no-access',
	'older-incarnation',
	'limit',
	'busy',
] as const satisfies readonly RefusalCode[];
const refuseSchema = v.object({
	code: v.picklist(refusalCodes),
	reason: v.pipe(v.string(), v.maxLength(2 * reasonMax)),
	protocol: v.optional(v.number()),
	cluster: v.optional(v.string()),
	flags: v.optional(v.string()),
	protocols: v.optional(v.tuple([v.number(), v.number()])),
	version: v.optional(v.pipe(v.string(), v.maxLength(64))),
	incarnation: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
});

type ParsedHello = v.InferOutput<typeof helloSchema>;
type RemoteHello = {readonly payload: Buffer; readonly parsed: ParsedHello; readonly hello: Hello};

export type HandshakeOptions = {
	readonly side: 'dialer' | 'listener';
	readonly local: Hello;
	readonly identity: Identity | undefined;
	/** The identity of a client, if it has one. */
	readonly clientIdentity?: Identity | undefined;
	/**
	The keys that this side accepts; a dialer, and TLS, have one. The hello of the dialer shows which one it has.
	*/
	readonly keys: readonly Keys[];
	/** The TLS exporter of the connection; empty without TLS. */
	readonly binding: Uint8Array;
	/** The name of the peer in messages, until its hello gives its address. */
	readonly peerName: string;
	readonly expect?: NodeId | undefined;
	/** @default the versions of this program */
	readonly protocols?: readonly [number, number] | undefined;
	/** The least version that a node must speak. @default the oldest of `protocols` */
	readonly protocolMin?: number | undefined;
	readonly admit?: (remote: Hello) => Refusal | 'silence' | undefined;
};

export type Outcome =
	| {readonly type: 'continue'; readonly send: readonly Buffer[]}
	/** `key`: the one that both sides proved. */
	| {
			readonly type: 'open';
			readonly send: readonly Buffer[];
			readonly remote: Hello;
			readonly key: KeyId;
	  }
	/** `by: 'peer'`: the other side refused this one. `send` is empty when an unauthenticated peer gets no answer. */
	| {
			readonly type: 'refused';
			readonly send: readonly Buffer[];
			readonly by: 'us' | 'peer';
			readonly refusal: Refusal;
	  };

export class Handshake {
	readonly #options: HandshakeOptions;
	#keys: Keys;
	#encodedHello: Buffer | undefined;
	#theirs: RemoteHello | undefined;

	constructor(options: HandshakeOptions) {
		this.#options = options;
		this.#keys = options.keys[0]!;
	}

	/** Encoded when it is sent: a listener learns from the hello of the dialer which key to use. */
	get #hello(): Buffer {
		const {local, identity, protocols} = this.#options;
		this.#encodedHello ??= encodeHello(local, identity, this.#keys, protocols);
		return this.#encodedHello;
	}

	/** The first payloads of a dialer; none for a listener. */
	start(): readonly Buffer[] {
		return this.#options.side === 'dialer' ? [this.#hello] : [];
	}

	/** Processes a payload of the peer. */
	step(payload: Buffer): Outcome {
		if (payload[0] !== channelKind) return this.#malformed();
		switch (payload[1]) {
			case types.hello:
				return this.#theirs ? this.#malformed() : this.#onHello(payload);
			case types.proof:
				return this.#theirs ? this.#onProof(payload, this.#theirs) : this.#malformed();
			case types.refuse:
				return this.#onRefuse(payload);
			case types.bye:
				return this.#by('peer', 'busy', byeReason(payload));
			default:
				return this.#malformed();
		}
	}

	#onHello(payload: Buffer): Outcome {
		const {local, keys, side, expect, admit, peerName} = this.#options;
		const theirProtocol = protocolOf(payload);
		if (theirProtocol === undefined) return this.#malformed();
		if (theirProtocol !== protocol)
			return this.#refuseVersion(peerName, {protocols: [theirProtocol, theirProtocol]});
		const claimed = parseHello(payload);
		if (!claimed) return this.#malformed();
		const [theirMin, theirMax] = claimed.protocols;
		const [ourMin, ourMax] = this.#protocolsFor(claimed.role);
		// The other side does not sign for a key that this one cannot verify.
		const {clientKey, ...others} = claimed;
		const parsed = ourMax >= clientKeysProtocol ? claimed : others;
		const spoken = Math.min(ourMax, theirMax);
		const hello = plainHello(parsed, spoken);
		const name = parsed.address === '' ? peerName : `peer ${parsed.address}`;
		if (spoken < Math.max(ourMin, theirMin)) return this.#refuseVersion(name, parsed);
		const difference = differs(local, hello, name);
		if (difference) return this.#refuse(difference.code, difference.reason);
		const shared = keys.find(({proof}) => isHelloUnder(proof, payload));
		if (!shared) return this.#refuse('not-authenticated', `${name} has another secret than this node`);

		const isNode = hello.role === 'node';
		if (isNode !== (parsed.publicKey !== undefined) || isNode !== (hello.id !== undefined))
			return this.#malformed();
		if (isNode && clientKey) return this.#malformed();
		if (parsed.publicKey && idOf(parsed.publicKey) !== hello.id)
			return this.#refuse('identity', `${name} shows a key that is not of the id ${hello.id}`);
		if (hello.id !== undefined && hello.id === local.id) {
			return hello.instance !== '' && hello.instance === local.instance
				? this.#refuse('itself', `${peerName} is this node itself`)
				: this.#refuse(
						'same-node',
						`${name} uses the identity ${hello.id} of this node (${local.address}): ` +
							"one of the two has a copy of the other's data folder",
					);
		}

		if (expect !== undefined && hello.id !== expect)
			return this.#refuse(
				'identity',
				`${name} is ${hello.id ?? 'a client'}, not the node ${expect} that was expected there`,
			);
		const refusal = admit?.(hello);
		if (refusal === 'silence') return {type: 'continue', send: []}; // The peer runs into its timeout.
		if (refusal) {
			const refused = this.#refuse(refusal.code, refusal.reason, refusal.incarnation);
			return refusal.isExpected ? {...refused, refusal: {...refused.refusal, isExpected: true}} : refused;
		}

		this.#keys = shared;
		this.#theirs = {payload, parsed, hello};
		return {type: 'continue', send: side === 'listener' ? [this.#hello, this.#proof(payload, parsed)] : []};
	}

	#onProof(payload: Buffer, {payload: theirHello, parsed, hello}: RemoteHello): Outcome {
		const {side} = this.#options;
		const theirSide = side === 'dialer' ? 'listener' : 'dialer';
		const digest = this.#transcript(theirHello, theirSide);
		const signature = payload.subarray(2 + macBytes);
		const signer = parsed.publicKey ?? parsed.clientKey;
		const isProved =
			isMac(this.#keys.proof, payload.subarray(2, 2 + macBytes), digest) &&
			(signer ? isSignedBy(signer, digest, signature) : signature.length === 0);
		if (!isProved) {
			const reason =
				`${parsed.address || this.#options.peerName} could not prove to be ` +
				(hello.id ?? 'a client with the secret');
			// At this point a dialer has an open channel and reads a bye; a listener reads a refusal.
			return side === 'dialer'
				? this.#refuse('identity', reason)
				: {...this.#by('us', 'identity', reason), send: [encodeBye(reason)]};
		}

		const send = side === 'dialer' ? [this.#proof(theirHello, parsed)] : [];
		return {type: 'open', send, remote: hello, key: this.#keys.id};
	}

	#onRefuse(payload: Buffer): Outcome {
		const parsed = v.safeParse(refuseSchema, decode(payload.subarray(2)));
		if (!parsed.success) return this.#malformed();
		const {
			code,
			reason,
			protocol: theirProtocol = 0,
			protocols = [theirProtocol, theirProtocol],
			version,
			cluster = '',
			flags = '',
			incarnation,
		} = parsed.output;
		const {local, peerName} = this.#options;
		if (code === 'protocol')
			return this.#by(
				'peer',
				code,
				versionsText(
					peerName,
					{protocols, version},
					{protocols: this.#options.protocols ?? spokenProtocols, version: local.version},
				),
			);
		if (code === 'not-authenticated')
			return this.#by('peer', code, `${peerName} has another secret than this node`);
		const difference = differs(local, {...local, cluster: plainText(cluster), flags: plainText(flags)}, peerName);
		return this.#by(
			'peer',
			code,
			(code === 'flags' || code === 'cluster') && difference
				? difference.reason
				: `${peerName} refuses: ${plainText(reason)}`,
			incarnation,
		);
	}

	#proof(theirHello: Buffer, {protocols: [, theirMax]}: ParsedHello): Buffer {
		const {side, identity, clientIdentity} = this.#options;
		const digest = this.#transcript(theirHello, side);
		// A node of an earlier release expects no signature of a client.
		const signer = identity ?? (theirMax >= clientKeysProtocol ? clientIdentity : undefined);
		const signature = signer?.sign(digest) ?? Buffer.alloc(0);
		return Buffer.concat([Buffer.of(channelKind, types.proof), macOf(this.#keys.proof, digest), signature]);
	}

	/**
	The digest that a proof of that side covers. It includes the side, so that a proof cannot be reflected to its
	sender.
	*/
	#transcript(theirHello: Buffer, side: 'dialer' | 'listener'): Buffer {
		const {binding, side: ourSide} = this.#options;
		const hash = createHash('sha256').update(`dapss1 handshake ${side}\0`);
		for (const part of [
			binding,
			...(ourSide === 'dialer' ? [this.#hello, theirHello] : [theirHello, this.#hello]),
		]) {
			const length = Buffer.alloc(4);
			length.writeUInt32BE(part.length);
			hash.update(length).update(part);
		}

		return hash.digest();
	}

	#refuse(code: RefusalCode, reason: string, incarnation?: number): Outcome & {type: 'refused'} {
		return {
			...this.#by('us', code, reason),
			send: [encodeRefusal({code, reason, incarnation}, this.#options.local, this.#protocolsFor('node'))],
		};
	}

	#refuseVersion(name: string, theirs: Spoken): Outcome {
		return this.#refuse(
			'protocol',
			versionsText(name, theirs, {protocols: this.#protocolsFor('node'), version: this.#options.local.version}),
		);
	}

	/** The versions that this side accepts. The agreed version binds nodes only; a client just sends requests. */
	#protocolsFor(role: ParsedHello['role']): readonly [number, number] {
		const {protocols: [oldest, newest] = spokenProtocols, protocolMin: agreed = 0} = this.#options;
		return [role === 'node' ? Math.max(oldest, agreed) : oldest, newest];
	}

	#malformed(): Outcome {
		return this.#by('us', 'malformed', `${this.#options.peerName} does not speak this protocol`);
	}

	#by(by: 'us' | 'peer', code: RefusalCode, reason: string, incarnation?: number): Outcome & {type: 'refused'} {
		return {type: 'refused', send: [], by, refusal: {code, reason, incarnation}};
	}
}

/** The hello with a fresh nonce, authenticated under the cluster's secret. */
export function encodeHello(
	local: Hello,
	identity: Identity | undefined,
	keys: Keys,
	protocols: readonly [number, number] = spokenProtocols,
): Buffer {
	const {id, protocol: _newest, clientKey, isReadonly, datagramKey, ...rest} = local;
	const body = encode({
		...rest,
		protocols,
		...(id !== undefined && {id}),
		nonce: randomBytes(nonceBytes),
		...(identity && {publicKey: identity.publicKey}),
		...(clientKey && {clientKey}),
		...(isReadonly === true && {isReadonly}),
		...(datagramKey && {datagramKey}),
	});
	const head = Buffer.concat([Buffer.of(channelKind, types.hello), magic, Buffer.of(protocol)]);
	return Buffer.concat([head, macOf(keys.proof, head, body), body]);
}

/** The protocol number of a hello; `undefined` for any other payload. */
export function protocolOf(payload: Buffer): number | undefined {
	if (payload.length < bodyAt || payload[0] !== channelKind || payload[1] !== types.hello) return undefined;
	return magic.equals(payload.subarray(2, protocolAt)) ? payload[protocolAt] : undefined;
}

/** The fields of a hello, of which only the form is checked; `undefined` for anything malformed. */
export function parseHello(payload: Buffer): ParsedHello | undefined {
	if (payload.length > helloBytesMax || protocolOf(payload) === undefined) return undefined;
	const parsed = v.safeParse(helloSchema, decode(payload.subarray(bodyAt)));
	return parsed.success ? parsed.output : undefined;
}

/**
Whether a plain-text hello comes from a peer that has our secret, or at least knows the name of our cluster. Only such a
peer is sent the reason of its refusal.
*/
export function isHelloOfCluster(payload: Buffer, keys: readonly Keys[]): boolean {
	return (
		protocolOf(payload) !== undefined &&
		keys.some(({proof, openProof}) => isHelloUnder(proof, payload) || isHelloUnder(openProof, payload))
	);
}

function isHelloUnder(key: KeyObject, payload: Buffer): boolean {
	return isMac(key, payload.subarray(macAt, bodyAt), payload.subarray(0, macAt), payload.subarray(bodyAt));
}

/** A refusal with the facts that its receiver needs to explain it. */
export function encodeRefusal(
	{code, reason, incarnation}: Refusal,
	{cluster, flags, version}: Pick<Hello, 'cluster' | 'flags' | 'version'>,
	protocols: readonly [number, number] = spokenProtocols,
): Buffer {
	return Buffer.concat([
		Buffer.of(channelKind, types.refuse),
		encode({
			code,
			reason: reason.slice(0, reasonMax),
			protocol: protocols[0],
			protocols,
			version,
			cluster,
			flags,
			incarnation,
		}),
	]);
}

/** Whether the payload is a refusal, of whatever content. */
export function isRefusal(payload: Buffer): boolean {
	return payload[0] === channelKind && payload[1] === types.refuse;
}

/** The last payload of a channel that closes. */
export function encodeBye(reason: string): Buffer {
	return Buffer.concat([Buffer.of(channelKind, types.bye), Buffer.from(reason.slice(0, reasonMax))]);
}

/** The reason of a bye; `undefined` for any other payload of kind 0. */
export function decodeBye(payload: Buffer): string | undefined {
	return payload[1] === types.bye ? byeReason(payload) : undefined;
}

type Spoken = {readonly protocols: readonly [number, number]; readonly version?: string | undefined};

/** The protocol versions of both sides, as one line. */
function versionsText(name: string, theirs: Spoken, ours: Spoken): string {
	const text = ({protocols: [oldest, newest], version = ''}: Spoken): string => {
		const range = oldest === newest ? String(oldest) : `${oldest} to ${newest}`;
		return version === '' ? range : `${range} (version ${plainText(version)})`;
	};
	return `${name} speaks protocol ${text(theirs)}, this node ${text(ours)}`;
}

const flagNames = {auth: 'enable_node_auth', sign: 'enable_message_signing', encrypt: 'enable_encryption'} as const;

/**
The setting in which the two sides differ, as a refusal; `undefined` when there is none. Clients do not sign batches, so
that flag is not compared with a client's.
*/
export function differs(local: Hello, remote: Hello, name: string): Refusal | undefined {
	if (local.cluster !== remote.cluster)
		return {
			code: 'cluster',
			reason: `${name} is of the cluster "${remote.cluster}", this node of "${local.cluster}"`,
		};
	const ours = local.flags.split(',');
	const theirs = remote.flags.split(',');
	const different = (['auth', 'sign', 'encrypt'] as const).filter(
		flag =>
			ours.includes(flag) !== theirs.includes(flag) &&
			(flag !== 'sign' || (local.role === 'node' && remote.role === 'node')),
	);
	if (different.length === 0) return undefined;
	const lines = different.map(
		flag => `${flagNames[flag]}=${theirs.includes(flag)}, this node has ${ours.includes(flag)}`,
	);
	return {code: 'flags', reason: `${name} has ${lines.join('; ')}`};
}

/** The fields of a hello that its receiver uses, with the version that both sides speak. */
function plainHello(
	{nonce: _nonce, protocols: _spoken, publicKey: _proved, isReadonly, ...hello}: ParsedHello,
	protocolOfBoth: number,
): Hello {
	return {...hello, id: hello.id, protocol: protocolOfBoth, ...(isReadonly === true && {isReadonly})};
}

function byeReason(payload: Buffer): string {
	return plainText(payload.toString('utf8', 2)) || 'closed by the peer';
}

/** Untrusted text for use within a line: bounded, and without control characters. */
function plainText(text: string): string {
	// oxlint-disable-next-line no-control-regex
	return text.slice(0, reasonMax).replaceAll(/[^\u0020-\u007E\u00A1-\u02AF]/gu, '?');
}
