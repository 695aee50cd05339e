/**
What can be agreed: the commands that go through the Raft log into the topics machine. Each travels in an envelope with
the session that sent it, so that a command that is retried, or forwarded twice, applies once (Raft thesis, 6.3).
*/
import {decode, encode} from '../codec.ts';
import {lamportMax} from '../lamport.ts';
import {isNodeId, parseTopic, type NodeId, type Topic} from '../message.ts';
import {isNodeName} from '../node-name.ts';
import type {TopicSettings} from '../topic-settings.ts';
import {isRetainAge, isRetainBytes} from './retention-bounds.ts';

export type Command =
	/** `since`: the node wants batches with a Lamport time above this; 0 for everything that is retained. */
	| {readonly type: 'subscribe'; readonly topic: Topic; readonly node: NodeId; readonly since: number}
	| {readonly type: 'unsubscribe'; readonly topic: Topic; readonly node: NodeId}
	/** The node is reached under another address now. */
	| {readonly type: 'address'; readonly node: NodeId; readonly address: string}
	/** All members speak this version of the protocol. Proposed by the leader; it never goes down. */
	| {readonly type: 'protocol'; readonly node: NodeId; readonly protocol: number}
	/** The node wants this name. Protocol 2. */
	| {readonly type: 'name'; readonly node: NodeId; readonly name: string}
	/** The process that uses the identity of the node. Protocol 2. */
	| {readonly type: 'claim'; readonly node: NodeId; readonly incarnation: number; readonly instance: string}
	/**
	The topic exists from now on, with these settings. One that has others changes only with `update`. Protocol 3.
	*/
	| {
			readonly type: 'create';
			readonly topic: Topic;
			readonly node: NodeId;
			readonly settings: TopicSettings;
			readonly update: boolean;
	  }
	/**
	What is stamped up to `until` is deleted, and the topic with it. `force`: also while somebody is subscribed.
	Protocol 3.
	*/
	| {
			readonly type: 'delete';
			readonly topic: Topic;
			readonly node: NodeId;
			readonly until: number;
			readonly force: boolean;
	  };

export type Envelope = {
	/** The proposing node and its incarnation: one session for each life of a node. */
	readonly node: NodeId;
	readonly incarnation: number;
	/** From 1, one for each command of the session. */
	readonly seq: number;
	/** The session has its answers to everything below this; their results are forgotten. */
	readonly answeredBelow: number;
	/** The proposer's logical time; everyone who applies the entry witnesses it. */
	readonly lamport: number;
	readonly command: Command;
};

/** What a configuration entry says beyond voters and learners. */
export type MemberContext = {
	/** Given once, by the entry that founds the cluster. */
	readonly clusterId?: string;
	/** The agreed protocol from the beginning; by the entry that founds the cluster. */
	readonly protocol?: number;
	/** Of the node that is added. */
	readonly node?: NodeId;
	readonly address?: string;
	/** Since protocol 2: the name that it asks for, and the process that uses its identity. */
	readonly name?: string;
	readonly incarnation?: number;
	readonly instance?: string;
};

export const addressBytesMax = 255;
/** No version of the protocol will be above this. */
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

/** `undefined` for bytes that are no envelope: they apply as nothing, alike on every node. */
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
	const {clusterId, protocol, node, address, name, incarnation, instance} = value as Record<string, unknown>;
	return {
		...(typeof clusterId === 'string' && clusterId.length <= 64 ? {clusterId} : {}),
		...(isProtocol(protocol) ? {protocol} : {}),
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
	} = value as Record<string, unknown>;
	if (!isNodeId(node)) return undefined;
	if (type === 'address') return isAddress(address) ? {type, node, address} : undefined;
	if (type === 'protocol') return isProtocol(protocol) ? {type, node, protocol} : undefined;
	if (type === 'name') return isNodeName(name) ? {type, node, name} : undefined;
	if (type === 'claim')
		return isCount(incarnation) && isInstance(instance) ? {type, node, incarnation, instance} : undefined;
	const topic = typeof topicName === 'string' ? parseTopic(topicName) : undefined;
	if (typeof topic !== 'string') return undefined;
	if (type === 'unsubscribe') return {type, topic, node};
	if (type === 'subscribe' && isCount(since) && since <= lamportMax) return {type, topic, node, since};
	if (type === 'delete' && isCount(until) && until <= lamportMax && typeof force === 'boolean')
		return {type, topic, node, until, force};
	const parsed = type === 'create' && typeof update === 'boolean' ? parseSettings(settings) : undefined;
	return parsed && {type: 'create', topic, node, settings: parsed, update: update as boolean};
}

/** `undefined` for what are none. */
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

function isProtocol(value: unknown): value is number {
	return isCount(value) && value >= 1 && value <= protocolLimit;
}

function isInstance(value: unknown): value is string {
	return typeof value === 'string' && /^[\da-f]{16}$/.test(value);
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
