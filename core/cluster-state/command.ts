/**
The commands that the Raft log carries to the cluster state. Each is wrapped in an envelope with its session, so that a
command that is retried, or forwarded twice, applies once (Raft thesis, 6.3).
*/
import {isHash, isIdentityKey, parseAccessChange, type AccessChange, type IdentityKey} from '../access.ts';
import {isAuthor, parseKeyChange, type KeyChange} from '../cluster-keys.ts';
import {decode, encode} from '../codec.ts';
import {lamportMax} from '../lamport.ts';
import {isNodeId, parseTopic, type NodeId, type Topic} from '../message.ts';
import {isNodeName} from '../node-name.ts';
import type {TopicSettings} from '../topic-settings.ts';
import {isRetainAge, isRetainBytes} from './retention-bounds.ts';

export type Command =
	/** `since`: the node wants batches with a later Lamport time; 0 for everything that is retained. */
	| {readonly type: 'subscribe'; readonly topic: Topic; readonly node: NodeId; readonly since: number}
	| {readonly type: 'unsubscribe'; readonly topic: Topic; readonly node: NodeId}
	/** The address of the node has changed. */
	| {readonly type: 'address'; readonly node: NodeId; readonly address: string}
	/** All members support this version of the protocol. Proposed by the leader; it never decreases. */
	| {readonly type: 'protocol'; readonly node: NodeId; readonly protocol: number}
	/** The node requests this name. Protocol 2. */
	| {readonly type: 'name'; readonly node: NodeId; readonly name: string}
	/** A process claims the identity of the node. Protocol 2. */
	| {readonly type: 'claim'; readonly node: NodeId; readonly incarnation: number; readonly instance: string}
	/** Creates the topic with these settings. Settings of an existing topic change only with `update`. Protocol 3. */
	| {
			readonly type: 'create';
			readonly topic: Topic;
			readonly node: NodeId;
			readonly settings: TopicSettings;
			readonly update: boolean;
	  }
	/**
	Deletes the topic and its messages stamped up to `until`. `force`: even while nodes are subscribed. Protocol 3.
	*/
	| {
			readonly type: 'delete';
			readonly topic: Topic;
			readonly node: NodeId;
			readonly until: number;
			readonly force: boolean;
	  }
	/**
	An operator changes the access of identities. `by`: the operator's identity, if it has one. `isOwner`: it is the
	user who runs `node`, and needs no role. Protocol 4.
	*/
	| {
			readonly type: 'access';
			readonly node: NodeId;
			readonly by: IdentityKey | undefined;
			readonly isOwner: boolean;
			readonly change: AccessChange;
	  }
	/** An operator changes the keys of the cluster, at this wall-clock time. `by`, `isOwner`: as above. Protocol 4. */
	| {
			readonly type: 'keys';
			readonly node: NodeId;
			readonly by: IdentityKey | undefined;
			readonly isOwner: boolean;
			readonly atMs: number;
			readonly change: KeyChange;
	  };

export type Envelope = {
	/** The proposing node and its incarnation, which identify the session. */
	readonly node: NodeId;
	readonly incarnation: number;
	/** Command number within the session, from 1. */
	readonly seq: number;
	/** The session has received the results of all lower numbers, so they can be dropped. */
	readonly answeredBelow: number;
	/** The proposer's Lamport time; every node that applies the entry witnesses it. */
	readonly lamport: number;
	readonly command: Command;
};

/** The data of a configuration entry besides voters and learners. */
export type MemberContext = {
	/** Set once, by the entry that founds the cluster. */
	readonly clusterId?: string;
	/** The protocol of a new cluster; set by the entry that founds it. */
	readonly protocol?: number;
	/** The identity of the user who founds the cluster, its first operator. Protocol 4. */
	readonly operator?: IdentityKey;
	/** The hash of the join token that the added node has. Protocol 4. */
	readonly token?: string;
	/** The removed node lost its data: this one takes its place, and may become a member. Protocol 4. */
	readonly successor?: NodeId;
	/** The added node and its address. */
	readonly node?: NodeId;
	readonly address?: string;
	/** Since protocol 2: the requested name, and the process that uses the identity. */
	readonly name?: string;
	readonly incarnation?: number;
	readonly instance?: string;
};

export const addressBytesMax = 255;
export const clusterIdCharactersMax = 64;
/** Upper bound of protocol versions. */
const protocolLimit = 65_535;

export function encodeEnvelope(envelope: Envelope): Uint8Array {
	return encode([
		envelope.node,
		envelope.incarnation,
		envelope.seq,
		envelope.answeredBelow,
		envelope.lamport,
		envelope.command,
	]);
}

/** `undefined` for bytes that are no envelope: they apply as nothing, on every node alike. */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
	const value = decode(bytes);
	if (!Array.isArray(value) || value.length !== 6) return undefined;
	const [node, incarnation, seq, answeredBelow, lamport, raw] = value as readonly unknown[];
	const command = parseCommand(raw);
	if (
		!isNodeId(node) ||
		!isCount(incarnation) ||
		!isCount(seq) ||
		!isCount(answeredBelow) ||
		!isCount(lamport) ||
		lamport > lamportMax ||
		!command
	)
		return undefined;
	return {node, incarnation, seq, answeredBelow, lamport, command};
}

export function encodeContext(context: MemberContext): Uint8Array {
	return encode(context);
}

export function decodeContext(bytes: Uint8Array): MemberContext {
	const value = bytes.length === 0 ? undefined : decode(bytes);
	if (typeof value !== 'object' || value === null) return {};
	const {clusterId, protocol, operator, token, successor, node, address, name, incarnation, instance} =
		value as Record<string, unknown>;
	return {
		...(typeof clusterId === 'string' && clusterId.length <= clusterIdCharactersMax ? {clusterId} : {}),
		...(isProtocol(protocol) ? {protocol} : {}),
		...(isIdentityKey(operator) ? {operator} : {}),
		...(isHash(token) ? {token} : {}),
		...(isNodeId(successor) ? {successor} : {}),
		...(isNodeId(node) ? {node} : {}),
		...(isAddress(address) ? {address} : {}),
		...(isNodeName(name) ? {name} : {}),
		...(isCount(incarnation) && isInstance(instance) ? {incarnation, instance} : {}),
	};
}

function parseCommand(value: unknown): Command | undefined {
	if (typeof value !== 'object' || value === null) return undefined;
	const {
		type,
		topic: topicName,
		node,
		since,
		address,
		protocol,
		name,
		incarnation,
		instance,
		settings,
		update,
		until,
		force,
		by,
		isOwner,
		change,
		atMs,
	} = value as Record<string, unknown>;
	if (!isNodeId(node)) return undefined;
	if (type === 'address') return isAddress(address) ? {type, node, address} : undefined;
	if (type === 'protocol') return isProtocol(protocol) ? {type, node, protocol} : undefined;
	if (type === 'name') return isNodeName(name) ? {type, node, name} : undefined;
	if (type === 'claim')
		return isCount(incarnation) && isInstance(instance) ? {type, node, incarnation, instance} : undefined;
	if (type === 'access') {
		const parsed = parseAccessChange(change);
		if ('problem' in parsed || (by !== undefined && !isIdentityKey(by))) return undefined;
		return typeof isOwner === 'boolean' ? {type, node, by, isOwner, change: parsed} : undefined;
	}

	if (type === 'keys') {
		const parsed = parseKeyChange(change);
		const isWhole = isAuthor(by) && typeof isOwner === 'boolean' && isCount(atMs);
		return parsed && isWhole ? {type, node, by, isOwner, atMs, change: parsed} : undefined;
	}

	const topic = typeof topicName === 'string' ? parseTopic(topicName) : undefined;
	if (typeof topic !== 'string') return undefined;
	if (type === 'unsubscribe') return {type, topic, node};
	if (type === 'subscribe' && isCount(since) && since <= lamportMax) return {type, topic, node, since};
	if (type === 'delete' && isCount(until) && until <= lamportMax && typeof force === 'boolean')
		return {type, topic, node, until, force};
	const parsed = type === 'create' && typeof update === 'boolean' ? parseSettings(settings) : undefined;
	return parsed && {type: 'create', topic, node, settings: parsed, update: update as boolean};
}

/** The settings in a decoded value; `undefined` when any is invalid. */
export function parseSettings(value: unknown): TopicSettings | undefined {
	if (typeof value !== 'object' || value === null) return undefined;
	const {retainAgeS, retainBytes} = value as Record<string, unknown>;
	if (retainAgeS !== undefined && !(isCount(retainAgeS) && isRetainAge(retainAgeS))) return undefined;
	if (retainBytes !== undefined && !(isCount(retainBytes) && isRetainBytes(retainBytes))) return undefined;
	return {...(retainAgeS === undefined ? {} : {retainAgeS}), ...(retainBytes === undefined ? {} : {retainBytes})};
}

function isAddress(value: unknown): value is string {
	return typeof value === 'string' && value.length > 0 && value.length <= addressBytesMax;
}

/** Whether the value is the number of a protocol version. */
export function isProtocol(value: unknown): value is number {
	return isCount(value) && value >= 1 && value <= protocolLimit;
}

/** Whether the value names a process: 16 hexadecimal digits. */
export function isInstance(value: unknown): value is string {
	return typeof value === 'string' && /^[\da-f]{16}$/.test(value);
}

/** Whether the value is a safe integer, not negative. */
export function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
