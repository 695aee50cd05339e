/**
Identities, their roles, and the changes that operators make to them. An identity is the public Ed25519 key of a user,
as 64 hexadecimal digits. The node enforces the roles (`remote/permissions.ts`), and the cluster agrees on the grants
(`cluster-state/access-list.ts`). The replicated state depends on `parseAccessChange`, so a change of its rules needs a
new version of the protocol.
*/
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
	| {readonly type: 'default'; readonly role: Role};

/** The agreed access, and that of the asker. */
export type AccessReport = {
	readonly defaultRole: Role;
	readonly grants: readonly Grant[];
	readonly you: Pick<Access, 'role' | 'topics'> & {
		/** `undefined` for a connection without an identity. */
		readonly identity: IdentityKey | undefined;
		/** The asker runs this node, so it is an operator on it. */
		readonly isOwner: boolean;
	};
};

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
	if (type !== 'grant' && type !== 'revoke')
		return {problem: `Expected grant, revoke or default, got ${shown(type)}`};
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

/** The change as a short text, such as `grant client 3f9a…`. */
export function accessChangeText(change: AccessChange): string {
	if (change.type === 'default') return `default ${change.role}`;
	if (change.type === 'revoke') return `revoke ${change.identity}`;
	const {role, identity, name, topics} = change;
	return ['grant', role, identity, name, ...topics].filter(part => part !== '').join(' ');
}

function shown(value: unknown): string {
	return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : typeof value;
}
