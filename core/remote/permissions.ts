/**
What a connection may ask for. Roles and grants: `../access.ts`.
*/
import {coversTopic, includesRole, type Access, type IdentityKey, type Role} from '../access.ts';
import {DapssError} from '../errors.ts';
import {requestWords} from '../observe/request-text.ts';
import type {Request} from './protocol.ts';

/** The other end of a connection. */
export type Caller = {
	/** Its proved identity; `undefined` when it showed none. */
	readonly identity: IdentityKey | undefined;
	/** The console or the program of this process, which owns the node. */
	readonly isLocal: boolean;
	/** It wants to change nothing. */
	readonly isReadonly: boolean;
	/** Its address, for the audit log. */
	readonly address: string;
};

/** The caller behind the methods of a node in this process. */
export const localCaller: Caller = {identity: undefined, isLocal: true, isReadonly: false, address: 'this process'};

export type Operation = Request['op'] | 'publish';

const needed: Readonly<Record<Operation, Exclude<Role, 'none'>>> = {
	snapshot: 'observer',
	watch: 'observer',
	next: 'observer',
	credit: 'observer',
	end: 'observer',
	events: 'observer',
	access: 'observer',
	'read-index': 'observer',
	publish: 'client',
	subscribe: 'client',
	'subscribe-node': 'operator',
	'unsubscribe-node': 'operator',
	'create-topic': 'operator',
	'delete-topic': 'operator',
	'change-access': 'operator',
	keys: 'operator',
	'change-keys': 'operator',
	transfer: 'operator',
	remove: 'operator',
	leave: 'operator',
	fault: 'operator',
};

/** Whether the access covers the messages of all topics, as feeds of a node show them. */
export function readsAllTopics({role, topics}: Access): boolean {
	return role === 'operator' || (role === 'client' && topics.length === 0);
}

/** Why a message to this topic may not be published; `undefined` when it may. */
export function publishRefusal(access: Access, topic: string, caller: Caller): DapssError | undefined {
	return roleRefusal(access, 'publish', caller) ?? topicRefusal(access, topic, caller);
}

/** Why the request is refused; `undefined` when it is allowed. */
export function requestRefusal(access: Access, request: Request, caller: Caller): DapssError | undefined {
	const refusal = roleRefusal(access, request.op, caller);
	if (refusal) return refusal;
	if (request.op === 'subscribe') {
		for (const topic of request.topics) {
			const refused = topicRefusal(access, topic, caller);
			if (refused) return refused;
		}
	}

	if (request.op === 'events' && request.messages && !readsAllTopics(access))
		return new DapssError(
			'not-authorized',
			`Events with messages need the role client for all topics, ${accessText(access, caller)}: ` +
				'read events without messages, or subscribe to topics',
		);
	return undefined;
}

function roleRefusal(access: Access, operation: Operation, caller: Caller): DapssError | undefined {
	const role = needed[operation];
	if (access.isReadonly && role !== 'observer' && operation !== 'subscribe')
		return new DapssError(
			'not-authorized',
			`This connection is read-only, and may not ${requestWords[operation]}: connect without --readonly`,
		);
	if (includesRole(access.role, role)) return undefined;
	return new DapssError(
		'not-authorized',
		`The request to ${requestWords[operation]} needs the role ${role}, ${accessText(access, caller)}. ` +
			remedy(role, caller),
	);
}

function topicRefusal(access: Access, topic: string, caller: Caller): DapssError | undefined {
	if (coversTopic(access, topic)) return undefined;
	return new DapssError(
		'not-authorized',
		`The identity ${caller.identity ?? ''} may use the topics ${access.topics.join(', ')}, not ${topic}: ` +
			'ask an operator for access',
	);
}

function accessText({role}: Access, {identity}: Caller): string {
	return identity === undefined
		? `a connection without an identity has ${role}`
		: `the identity ${identity} has ${role}`;
}

function remedy(role: Role, {identity}: Caller): string {
	return identity === undefined
		? 'Connect with an identity file (identity_file) that an operator gave access'
		: `Ask an operator to run: dapss-tui access add ${identity} ${role}`;
}
