/**
The agreed grants of identities, and the default role, for all others who have the secret. It is a part of the cluster
state, so it is deterministic.

The default role is `client` in a cluster that an operator founded. It is `operator` in a cluster of an earlier release,
and in one that a program without an identity founded: there the secret always gave all rights.
*/
import {
	isIdentityKey,
	isRole,
	parseAccessChange,
	type Access,
	type AccessChange,
	type Grant,
	type IdentityKey,
	type Role,
} from '../access.ts';
import type {NodeId} from '../message.ts';
import {nameKey} from '../node-name.ts';
import {Admissions, isSavedAdmissions, type SavedAdmissions} from './admissions.ts';
import type {Result} from './sessions.ts';

/** Grants of a cluster. */
export const grantsMax = 1024;

export type AccessEvent =
	| ({readonly type: 'granted'} & Grant)
	| {readonly type: 'revoked'; readonly identity: IdentityKey; readonly name: string}
	| {readonly type: 'default-role'; readonly role: Role}
	| {readonly type: 'node-admitted'; readonly candidate: NodeId}
	| {readonly type: 'token-made' | 'token-withdrawn'; readonly hash: string};

type SavedGrant = readonly [identity: IdentityKey, role: Grant['role'], name: string, topics: readonly string[]];
export type SavedAccess = SavedAdmissions & {readonly defaultRole: Role; readonly grants: readonly SavedGrant[]};

export class AccessList {
	#defaultRole: Role = 'operator';
	readonly #grants = new Map<IdentityKey, Grant>();
	readonly admissions = new Admissions();
	/** Increases with every change. */
	version = 0;

	get defaultRole(): Role {
		return this.#defaultRole;
	}

	/** In the order of their identities. */
	get grants(): readonly Grant[] {
		return [...this.#grants.values()].toSorted((a, b) => (a.identity < b.identity ? -1 : 1));
	}

	/** The name that an operator gave the identity; empty without one. */
	nameOf(identity: IdentityKey): string {
		return this.#grants.get(identity)?.name ?? '';
	}

	/** The access of an identity, or of a connection without one. */
	of(identity: IdentityKey | undefined): Pick<Access, 'role' | 'topics'> {
		return (
			(identity === undefined ? undefined : this.#grants.get(identity)) ?? {role: this.#defaultRole, topics: []}
		);
	}

	/** The cluster is founded by a user with this identity. */
	found(operator: IdentityKey): void {
		this.#grants.set(operator, {identity: operator, role: 'operator', name: '', topics: []});
		this.#defaultRole = 'client';
		this.version++;
	}

	/** Refused when it would leave the cluster without an operator. */
	apply(change: AccessChange, events: AccessEvent[]): Result {
		switch (change.type) {
			case 'grant':
				return this.#grant(change, events);
			case 'revoke':
				return this.#revoke(change.identity, events);
			case 'default':
				return this.#setDefault(change.role, events);
			case 'admit': {
				this.admissions.admit(change.node);
				events.push({type: 'node-admitted', candidate: change.node});
				return {ok: true};
			}

			case 'token': {
				const result = this.admissions.addToken(change);
				if (result.ok) events.push({type: 'token-made', hash: change.hash});
				return result;
			}

			case 'withdraw': {
				const result = this.admissions.withdraw(change.hash);
				if (result.ok) events.push({type: 'token-withdrawn', hash: change.hash});
				return result;
			}

			default:
				return change satisfies never;
		}
	}

	save(): SavedAccess {
		return {
			...this.admissions.save(),
			defaultRole: this.#defaultRole,
			grants: this.grants.map(({identity, role, name, topics}) => [identity, role, name, topics]),
		};
	}

	load(saved: SavedAccess | undefined): void {
		this.version++;
		this.#defaultRole = saved?.defaultRole ?? 'operator';
		this.#grants.clear();
		this.admissions.load(saved);
		for (const [identity, role, name, topics] of saved?.grants ?? [])
			this.#grants.set(identity, {identity, role, name, topics});
	}

	#grant({type: _type, ...grant}: Extract<AccessChange, {type: 'grant'}>, events: AccessEvent[]): Result {
		const {identity, role, name} = grant;
		const before = this.#grants.get(identity);
		if (before && isSameGrant(before, grant)) return {ok: true};
		const holder = this.#named(name);
		if (holder !== undefined && holder !== identity)
			return {ok: false, reason: `the name ${name} belongs to the identity ${holder}`};
		if (!before && this.#grants.size >= grantsMax)
			return {ok: false, reason: `Expected at most ${grantsMax} identities with access, got one more`};
		if (role !== 'operator' && this.#isLastOperator(identity)) return lastOperator;
		this.#grants.set(identity, grant);
		this.version++;
		events.push({type: 'granted', ...grant});
		return {ok: true};
	}

	#revoke(identity: IdentityKey, events: AccessEvent[]): Result {
		const before = this.#grants.get(identity);
		if (!before) return {ok: false, reason: `the identity ${identity} has no access of its own`};
		if (this.#isLastOperator(identity)) return lastOperator;
		this.#grants.delete(identity);
		this.version++;
		events.push({type: 'revoked', identity, name: before.name});
		return {ok: true};
	}

	#setDefault(role: Role, events: AccessEvent[]): Result {
		if (role === this.#defaultRole) return {ok: true};
		if (role !== 'operator' && ![...this.#grants.values()].some(grant => grant.role === 'operator'))
			return {ok: false, reason: 'the cluster would have no operator: give an identity the role operator first'};
		this.#defaultRole = role;
		this.version++;
		events.push({type: 'default-role', role});
		return {ok: true};
	}

	/** Whether the cluster has no other operator. In an open cluster everyone is one. */
	#isLastOperator(identity: IdentityKey): boolean {
		if (this.#defaultRole === 'operator' || this.#grants.get(identity)?.role !== 'operator') return false;
		return ![...this.#grants.values()].some(grant => grant.role === 'operator' && grant.identity !== identity);
	}

	#named(name: string): IdentityKey | undefined {
		if (name === '') return undefined;
		for (const grant of this.#grants.values()) if (nameKey(grant.name) === nameKey(name)) return grant.identity;
		return undefined;
	}
}

/** Whether decoded bytes of a snapshot have this form. */
export function isSavedAccess(value: unknown): value is SavedAccess {
	const {defaultRole, grants} = Object(value) as Record<string, unknown>;
	return (
		isSavedAdmissions(value) &&
		isRole(defaultRole) &&
		Array.isArray(grants) &&
		grants.length <= grantsMax &&
		grants.every((grant: unknown) => {
			if (!Array.isArray(grant)) return false;
			const [identity, role, name, topics] = grant as unknown[];
			const parsed = parseAccessChange({type: 'grant', identity, role, name, topics});
			return isIdentityKey(identity) && 'type' in parsed;
		})
	);
}

const lastOperator: Result = {
	ok: false,
	reason: 'the cluster would have no operator: give another identity the role operator first',
};

function isSameGrant(one: Grant, other: Grant): boolean {
	return (
		one.role === other.role &&
		one.name === other.name &&
		one.topics.length === other.topics.length &&
		one.topics.every((pattern, index) => pattern === other.topics[index])
	);
}
