/**
The saved form of the cluster state, and its validation. A snapshot may come from a peer with a fault, so it is checked
in full before it replaces anything: types, bounds, and that it belongs to the position and the members that it claims.
*/
import {decode} from '../codec.ts';
import {lamportMax} from '../lamport.ts';
import {incarnationMax, isNodeId, parseTopic, type NodeId, type Topic} from '../message.ts';
import {isNodeName} from '../node-name.ts';
import type {TopicSettings} from '../topic-settings.ts';
import {isSavedAccess, type SavedAccess} from './access-list.ts';
import {addressBytesMax, clusterIdCharactersMax, isCount, isInstance, isProtocol, parseSettings} from './command.ts';
import {isSavedKeys, type SavedKeys} from './key-list.ts';
import {isSessionState, type SessionState} from './sessions.ts';

/** The newest version of the saved state that this program reads. */
export const stateVersionMax = 4;
/** Removed ids that are remembered. */
export const removedMax = 4096;
/** Remembered deletions. When the oldest is forgotten, a node absent since before it brings those messages back. */
export const deletedMax = 4096;

type Pairs<Key, Value> = ReadonlyArray<readonly [Key, Value]>;
export type SavedState = {
	readonly version: number;
	readonly applied: number;
	readonly clusterId: string;
	readonly members: Pairs<NodeId, string>;
	readonly removed: Pairs<NodeId, number>;
	readonly topics: Pairs<Topic, Pairs<NodeId, number>>;
	readonly sessions: readonly SessionState[];
	/** Since version 2. */
	readonly protocol: number;
	readonly names: Pairs<NodeId, string>;
	readonly instances: ReadonlyArray<readonly [NodeId, number, string]>;
	/** Since version 3. */
	readonly created: Pairs<Topic, TopicSettings>;
	readonly deleted: Pairs<Topic, number>;
	/** Since version 4. */
	readonly access: SavedAccess | undefined;
	/** Only if the cluster had members before protocol 4. */
	readonly lastMacs: Pairs<NodeId, number> | undefined;
	/** Since version 4, once a second key was added. */
	readonly keys: SavedKeys | undefined;
};

/** The saved state in these bytes, or the first problem with them. */
export function parseSavedState(bytes: Uint8Array): SavedState | {readonly problem: string} {
	const value = Object(decode(bytes)) as Record<string, unknown>;
	const {version, applied, clusterId, protocol = 1, removed, created = [], deleted = [], access, keys} = value;
	const newer = newerVersion(version);
	if (newer !== undefined) return {problem: newer};
	if (!isCount(version) || version < 1)
		return {problem: `Expected a saved state of version 1 to ${stateVersionMax}, got ${String(version)}`};
	if (!isIndex(applied)) return wrong('applied');
	if (typeof clusterId !== 'string' || clusterId.length > clusterIdCharactersMax) return wrong('clusterId');
	if (!isProtocol(protocol)) return wrong('protocol');
	const members = pairs(value['members'], asNode, asAddress);
	if (!members) return wrong('members');
	const removedNodes = pairs(removed, asNode, asIndex, removedMax);
	if (!removedNodes) return wrong('removed');
	const topics = pairs(value['topics'], asTopic, subscribers => pairs(subscribers, asNode, asStamp));
	if (!topics) return wrong('topics');
	const {sessions, instances = []} = value;
	if (!isListOf(sessions, isSessionState)) return wrong('sessions');
	const names = pairs(value['names'] ?? [], asNode, name => (isNodeName(name) ? name : undefined));
	if (!names) return wrong('names');
	if (!isListOf(instances, isAgreedInstance)) return wrong('instances');
	const createdTopics = pairs(created, asTopic, parseSettings);
	if (!createdTopics) return wrong('created');
	const deletedTopics = pairs(deleted, asTopic, asStamp, deletedMax);
	if (!deletedTopics) return wrong('deleted');
	if (access !== undefined && !isSavedAccess(access)) return wrong('access');
	const lastMacs = value['lastMacs'] === undefined ? undefined : pairs(value['lastMacs'], asNode, asIncarnation);
	if (value['lastMacs'] !== undefined && !lastMacs) return wrong('lastMacs');
	if (keys !== undefined && !isSavedKeys(keys)) return wrong('keys');
	return {
		version,
		applied,
		clusterId,
		members,
		removed: removedNodes,
		topics,
		sessions,
		protocol,
		names,
		instances,
		created: createdTopics,
		deleted: deletedTopics,
		access,
		lastMacs,
		keys,
	};
}

/** Describes what is too new about a saved state; `undefined` when this program reads it. */
export function newerState(bytes: Uint8Array): string | undefined {
	return newerVersion((Object(decode(bytes)) as {readonly version?: unknown}).version);
}

/** Highest subscription or deletion time in the state. */
export function latestSinceOf({topics, deleted}: Pick<SavedState, 'topics' | 'deleted'>): number {
	let latest = 0;
	for (const [, until] of deleted) latest = Math.max(latest, until);
	for (const [, subscribers] of topics) for (const [, since] of subscribers) latest = Math.max(latest, since);
	return latest;
}

function newerVersion(version: unknown): string | undefined {
	return typeof version === 'number' && version > stateVersionMax
		? `format ${version}, this program reads up to ${stateVersionMax}`
		: undefined;
}

function wrong(field: keyof SavedState): {readonly problem: string} {
	return {problem: `Expected a valid \`${field}\` in the saved state`};
}

/** The pairs in a decoded value; `undefined` when one is invalid, a key is repeated, or there are too many. */
function pairs<Key, Value>(
	value: unknown,
	keyOf: (raw: unknown) => Key | undefined,
	valueOf: (raw: unknown) => Value | undefined,
	max: number = Infinity,
): Array<readonly [Key, Value]> | undefined {
	if (!Array.isArray(value) || value.length > max) return undefined;
	const found = new Map<Key, Value>();
	for (const raw of value as unknown[]) {
		if (!Array.isArray(raw) || raw.length !== 2) return undefined;
		const [key, item] = [keyOf(raw[0]), valueOf(raw[1])];
		if (key === undefined || item === undefined || found.has(key)) return undefined;
		found.set(key, item);
	}

	return [...found];
}

function isListOf<Item>(value: unknown, isItem: (raw: unknown) => raw is Item): value is Item[] {
	return Array.isArray(value) && value.every(raw => isItem(raw));
}

function isAgreedInstance(raw: unknown): raw is readonly [NodeId, number, string] {
	return Array.isArray(raw) && raw.length === 3 && isNodeId(raw[0]) && isCount(raw[1]) && isInstance(raw[2]);
}

function isIndex(value: unknown): value is number {
	return isCount(value) && value < 2 ** 48;
}

function asIndex(value: unknown): number | undefined {
	return isIndex(value) ? value : undefined;
}

function asIncarnation(value: unknown): number | undefined {
	return isCount(value) && value <= incarnationMax ? value : undefined;
}

function asNode(value: unknown): NodeId | undefined {
	return isNodeId(value) ? value : undefined;
}

/** Empty for a member whose address is not agreed. */
function asAddress(value: unknown): string | undefined {
	return typeof value === 'string' && value.length <= addressBytesMax ? value : undefined;
}

function asStamp(value: unknown): number | undefined {
	return isCount(value) && value <= lamportMax ? value : undefined;
}

function asTopic(value: unknown): Topic | undefined {
	const topic = typeof value === 'string' ? parseTopic(value) : undefined;
	return typeof topic === 'string' ? topic : undefined;
}
