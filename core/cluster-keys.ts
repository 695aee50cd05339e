/**
The keys of a cluster, each derived from a secret. The cluster agrees on them (`cluster-state/key-list.ts`), so that the
secret is replaced while all nodes run: `add` makes a second key valid on every node, `use` makes it the one that nodes
seal and call with, and `remove` takes the former one away.

A key is named by its id, which is derived from it and shown on the network (`wire/seal.ts`). The secret of a new key is
in the agreed state, encrypted under the key that was active when it was added (`wire/key-wrap.ts`). The replicated
state depends on `parseKeyChange`, so a change of its rules needs a new version of the protocol.
*/
import {isIdentityKey, type IdentityKey} from './access.ts';
import {isNodeId, type NodeId} from './message.ts';

declare const keyBrand: unique symbol;
/** Names a key: 16 hexadecimal digits. It tells nothing about the secret. */
export type KeyId = string & {readonly [keyBrand]: true};

/** Parts of two keys, each encrypted under the other key. */
export type KeyLink = {
	/** The key that was active when this one was added. */
	readonly before: KeyId;
	/** The secret of this key, under the secret of `before`. */
	readonly secret: Uint8Array;
	/** The secret of `before`, under that of this key; gone once `before` is removed. */
	readonly former?: Uint8Array | undefined;
	/** The keys for MACs of batches, under each other: messages of a removed key stay valid among members. */
	readonly batch: Uint8Array;
	readonly formerBatch: Uint8Array;
};

/** `active`: nodes call and seal with it. `valid`: accepted too. `removed`: refused. */
export type KeyState = 'active' | 'valid' | 'removed';

/** A key as the cluster agreed on it. */
export type AgreedKey = {
	readonly id: KeyId;
	readonly state: KeyState;
	/** Since when, by the wall clock of the node that was asked; 0 for the key of the founder. */
	readonly sinceMs: number;
	/** `undefined` for the key of the founder. */
	readonly link: KeyLink | undefined;
};

/** A change as the log has it. */
export type KeyChange =
	({readonly type: 'add'; readonly key: KeyId} & KeyLink) | {readonly type: 'use' | 'remove'; readonly key: KeyId};

/** A change as an operator asks for it. `force`: despite members that are not ready. */
export type KeyRequest =
	| {readonly type: 'add'; readonly secret: Uint8Array}
	| {readonly type: 'use' | 'remove'; readonly key: KeyId; readonly force: boolean};

/** A key that callers showed and this process does not accept. */
export type WrongKey = {
	readonly key: KeyId;
	/** `removed`: the cluster had it once. */
	readonly state: 'removed' | 'unknown';
	/** The last caller. */
	readonly address: string;
	readonly msAgo: number;
};

/** A connection under a key that is not the active one. `who`: a node id, an identity or an address. */
export type KeyConnection = {readonly key: KeyId; readonly kind: 'node' | 'client'; readonly who: string};

/**
What a process does with the keys. `file`: its secret file has the active key, or another one, or it has none, because a
program gave it the secret.
*/
export type KeyUse = {
	readonly active: KeyId;
	readonly valid: readonly KeyId[];
	readonly file: 'current' | 'outdated' | 'none';
	readonly connections: readonly KeyConnection[];
};

/** A key of a report, with the members that call with it. */
export type ReportedKey = Pick<AgreedKey, 'id' | 'state' | 'sinceMs'> & {readonly usedBy: readonly NodeId[]};
/** The keys of a cluster, and what its members do with them. */
export type KeysReport = {
	/** In the order in which they were added. */
	readonly keys: readonly ReportedKey[];
	/** Members whose secret file has another key than the active one. */
	readonly outdatedFiles: readonly NodeId[];
	/** Connections under another key than the active one, with the node that has them. */
	readonly connections: ReadonlyArray<KeyConnection & {readonly at: NodeId}>;
	/** Members that did not answer. */
	readonly away: readonly NodeId[];
};
/** The outcome of a change. `missing`: members that have not applied it yet. */
export type ChangedKey = {readonly key: KeyId; readonly missing: readonly NodeId[]};

/** Bytes of a secret that a cluster shares this way. */
export const secretBytesRange = [32, 1024] as const;
/** Connections that a process reports. */
export const keyConnectionsMax = 64;

const sealedBytesMax = secretBytesRange[1] + 64;

/** Whether the value is the id of a key: 16 lower-case hexadecimal digits. */
export function isKeyId(value: unknown): value is KeyId {
	return typeof value === 'string' && /^[\da-f]{16}$/.test(value);
}

/** The change in a decoded value; `undefined` for anything else. */
export function parseKeyChange(value: unknown): KeyChange | undefined {
	const {type, key} = Object(value) as Record<string, unknown>;
	if (!isKeyId(key)) return undefined;
	if (type === 'use' || type === 'remove') return {type, key};
	const link = type === 'add' ? parseKeyLink(value) : undefined;
	return link && {type: 'add', key, ...link};
}

/** The link in a decoded value; `undefined` for anything else. */
export function parseKeyLink(value: unknown): KeyLink | undefined {
	const {before, secret, former, batch, formerBatch} = Object(value) as Record<string, unknown>;
	if (!isKeyId(before) || !isSealed(secret) || !isSealed(batch) || !isSealed(formerBatch)) return undefined;
	if (former !== undefined && !isSealed(former)) return undefined;
	return {before, secret, ...(former === undefined ? {} : {former}), batch, formerBatch};
}

/** The use that a member reports; `undefined` for anything else. */
export function parseKeyUse(value: unknown): KeyUse | undefined {
	const {active, valid, file, connections} = Object(value) as Record<string, unknown>;
	if (!isKeyId(active) || (file !== 'current' && file !== 'outdated' && file !== 'none')) return undefined;
	if (!Array.isArray(valid) || valid.length > 4 || !valid.every(isKeyId)) return undefined;
	if (!Array.isArray(connections) || connections.length > keyConnectionsMax) return undefined;
	const parsed = connections.map((one: unknown): KeyConnection | undefined => {
		const {key, kind, who} = Object(one) as Record<string, unknown>;
		const isWho = kind === 'node' ? isNodeId(who) : typeof who === 'string' && /^[!-~]{1,261}$/.test(who);
		return isKeyId(key) && (kind === 'node' || kind === 'client') && isWho
			? {key, kind, who: who as string}
			: undefined;
	});
	return parsed.every(one => one !== undefined) ? {active, valid, file, connections: parsed} : undefined;
}

/** The change as a short text, such as `use 1f9a2b…`. */
export function keyRequestText(request: KeyRequest): string {
	return request.type === 'add' ? 'add' : `${request.type} ${request.key}${request.force ? ' --force' : ''}`;
}

/** Whether the value is the identity that asked for a change, or none. */
export function isAuthor(value: unknown): value is IdentityKey | undefined {
	return value === undefined || isIdentityKey(value);
}

function isSealed(value: unknown): value is Uint8Array {
	return value instanceof Uint8Array && value.length > 0 && value.length <= sealedBytesMax;
}
