/**
Identities, their roles, and the changes that operators make to them. An identity is the public Ed25519 key of a user,
as 64 hexadecimal digits. The node enforces the roles (`remote/permissions.ts`), and the cluster agrees on the grants
(`cluster-state/access-list.ts`). The replicated state depends on `parseAccessChange`, so a change of its rules needs a
new version of the protocol.
*/
import {createHash} from 'node:crypto';
import {isNodeId, type NodeId} from './message.ts';
import {problemOfName} from './node-name.ts';
import {matchesTopic, problemOfPattern} from './topic-pattern.ts';

/**
`observer`: reads the state and the events. `client`: also publishes and reads messages. `operator`: also changes the
cluster. `none`: refused. Each role includes the ones before it.
*/
export const roles = ['none', 'observer', 'client', 'operator'] as const;
/** A role of an identity. */
export type Role = (typeof roles)[number];

declare const identityBrand: unique symbol;
/** A public Ed25519 key, 64 lower-case hexadecimal digits. */
export type IdentityKey = string & {readonly [identityBrand]: true};

/** The access of one identity. */
export type Grant = {
	readonly identity: IdentityKey;
	readonly role: Exclude<Role, 'none'>;
	/** A name for people, unique among the grants; may be empty. */
	readonly name: string;
	/** Patterns of the topics that a client may use; empty means all. */
	readonly topics: readonly string[];
};

/** What a connection may do. */
export type Access = Pick<Grant, 'topics'> & {
	readonly role: Role;
	/** Changes are refused, whatever the role. */
	readonly isReadonly: boolean;
};

/** A change that an operator asks for. */
export type AccessChange =
	| ({readonly type: 'grant'} & Grant)
	| {readonly type: 'revoke'; readonly identity: IdentityKey}
	/** The role of everyone who has the secret and no grant. */
	| {readonly type: 'default'; readonly role: Role}
	/** The node may become a member. */
	| {readonly type: 'admit'; readonly node: NodeId}
	/** Nodes with the token of this hash may become members. */
	| ({readonly type: 'token'} & JoinToken)
	| {readonly type: 'withdraw'; readonly hash: string};

/** A token that admits nodes. The cluster knows its hash only. */
export type JoinToken = {
	/** SHA-256 of the token, 64 hexadecimal digits. */
	readonly hash: string;
	/** Nodes that it still admits. */
	readonly uses: number;
	/** Wall clock, milliseconds since 1970; the leader compares it with its own. */
	readonly untilMs: number;
};

/** The agreed access, and that of the asker. */
export type AccessReport = {
	readonly defaultRole: Role;
	readonly grants: readonly Grant[];
	/** Nodes that may become members, and are none yet. */
	readonly admitted: readonly NodeId[];
	readonly tokens: readonly JoinToken[];
	readonly you: Pick<Access, 'role' | 'topics'> & {
		/** `undefined` for a connection without an identity. */
		readonly identity: IdentityKey | undefined;
		/** The asker runs this node, so it is an operator on it. */
		readonly isOwner: boolean;
	};
};

/** Nodes that one token admits. */
export const usesMax = 1024;
/** Patterns in one grant. */
export const patternsMax = 64;

/** Whether the value is a role. */
export function isRole(value: unknown): value is Role {
	return (roles as readonly unknown[]).includes(value);
}

/** Whether the value is an identity: 64 lower-case hexadecimal digits. */
export function isIdentityKey(value: unknown): value is IdentityKey {
	return typeof value === 'string' && /^[\da-f]{64}$/.test(value);
}

/** The identity with this raw public key of 32 bytes. */
export function identityKeyOf(publicKey: Uint8Array): IdentityKey {
	return Buffer.from(publicKey).toString('hex') as IdentityKey;
}

/** Whether a role includes another one. */
export function includesRole(role: Role, needed: Role): boolean {
	return roles.indexOf(role) >= roles.indexOf(needed);
}

/** Whether the access covers messages of the topic. */
export function coversTopic({role, topics}: Pick<Access, 'role' | 'topics'>, topic: string): boolean {
	if (role === 'operator') return true;
	return (
		includesRole(role, 'client') && (topics.length === 0 || topics.some(pattern => matchesTopic(pattern, topic)))
	);
}

/** The change in a decoded value, or its problem. */
export function parseAccessChange(value: unknown): AccessChange | {readonly problem: string} {
	const {type, identity, role, name, topics} = Object(value) as Record<string, unknown>;
	if (type === 'default')
		return isRole(role) ? {type, role} : {problem: `Expected a role (${roles.join(', ')}), got ${shown(role)}`};
	if (type === 'admit' || type === 'token' || type === 'withdraw') return parseAdmission(type, value as object);
	if (type !== 'grant' && type !== 'revoke') return {problem: `Expected a change of access, got ${shown(type)}`};
	if (!isIdentityKey(identity))
		return {problem: `Expected an identity (64 hexadecimal digits), got ${shown(identity)}`};
	if (type === 'revoke') return {type, identity};
	if (!isRole(role) || role === 'none')
		return {problem: `Expected the role observer, client or operator, got ${shown(role)}`};
	if (typeof name !== 'string' || (name !== '' && problemOfName(name) !== undefined))
		return {problem: `Expected ${typeof name === 'string' ? problemOfName(name)! : 'a name'}, got ${shown(name)}`};
	if (!Array.isArray(topics) || topics.length > patternsMax)
		return {problem: `Expected at most ${patternsMax} patterns of topics`};
	if (topics.length > 0 && role !== 'client')
		return {problem: `Expected patterns of topics only for the role client, got the role ${role}`};
	for (const pattern of topics as readonly unknown[]) {
		const problem = typeof pattern === 'string' ? problemOfPattern(pattern) : 'a pattern of topics';
		if (problem !== undefined) return {problem: `Expected ${problem}, got ${shown(pattern)}`};
	}

	return {type, identity, role, name, topics: [...new Set(topics as readonly string[])]};
}

function parseAdmission(
	type: 'admit' | 'token' | 'withdraw',
	value: object,
): AccessChange | {readonly problem: string} {
	const {node, hash, uses, untilMs} = value as Record<string, unknown>;
	if (type === 'admit')
		return isNodeId(node) ? {type, node} : {problem: `Expected the id of a node (16 digits), got ${shown(node)}`};
	if (!isHash(hash)) return {problem: `Expected the hash of a token, got ${shown(hash)}`};
	if (type === 'withdraw') return {type, hash};
	if (!Number.isSafeInteger(uses) || (uses as number) < 1 || (uses as number) > usesMax)
		return {problem: `Expected 1 to ${usesMax} uses, got ${String(uses)}`};
	return Number.isSafeInteger(untilMs) && (untilMs as number) > 0
		? {type, hash, uses: uses as number, untilMs: untilMs as number}
		: {problem: `Expected a time in milliseconds, got ${String(untilMs)}`};
}

/** Whether the text is a SHA-256 hash, 64 lower-case hexadecimal digits. */
export function isHash(value: unknown): value is string {
	return typeof value === 'string' && /^[\da-f]{64}$/.test(value);
}

/** The hash under which the cluster knows a join token. */
export function hashOfToken(token: string): string {
	return createHash('sha256').update(token).digest('hex');
}

/** Whether the text has the form of a join token. */
export function isJoinToken(value: unknown): value is string {
	return typeof value === 'string' && /^join-[\w-]{22}$/.test(value);
}

/** The change as a short text, such as `grant client 3f9a…`. */
export function accessChangeText(change: AccessChange): string {
	if (change.type === 'default') return `default ${change.role}`;
	if (change.type === 'revoke') return `revoke ${change.identity}`;
	if (change.type === 'admit') return `admit ${change.node}`;
	if (change.type === 'token' || change.type === 'withdraw') return `${change.type} ${change.hash.slice(0, 12)}`;
	const {role, identity, name, topics} = change;
	return ['grant', role, identity, name, ...topics].filter(part => part !== '').join(' ');
}

function shown(value: unknown): string {
	return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : typeof value;
}
