/**
The state that a node keeps in `node.json`: its identity, its incarnation, and the addresses of its cluster, so that it
finds the cluster again if its Raft log is lost. The file has a checksum over its content: a flipped digit of the
incarnation would cause sequence numbers to be used twice.
*/
import {crc32c} from '../crc32c.ts';
import {isNodeId, parseTopic, type NodeId, type Topic} from '../message.ts';
import {createIdentity, identityFrom, type Identity} from '../wire/seal.ts';

/** The part that the running node keeps up to date. */
export type KeptState = {
	readonly clusterId: string;
	/** The ceiling of the Lamport clock: no stamp above it was sent. */
	readonly lamport: number;
	/** The node's own topics. */
	readonly topics: readonly Topic[];
	/** The agreed members, including this node once it is a member; at most `membersMax`. */
	readonly members: ReadonlyArray<readonly [NodeId, string]>;
	/** The Lamport time at which each of the node's own subscriptions begins. */
	readonly since: ReadonlyArray<readonly [Topic, number]>;
	/**
	`true`: the node left its cluster on purpose, and starts again under a new id. `asked`: it asked to leave, and did
	not learn whether that was agreed.
	*/
	readonly left?: 'asked' | true | undefined;
};
export type NodeState = KeptState & {
	readonly identity: Identity;
	readonly incarnation: number;
	/** The former state was set aside: the node joins its cluster again, and never founds one. */
	readonly mustJoin: boolean;
	/** The folder that Raft's files are being moved to; `undefined` when no move is under way. */
	readonly aside: string | undefined;
};

/** Bound on the addresses that are kept; each of those nodes knows all the others. */
export const membersMax = 64;
const version = 2;

/** The state of a node that has never run. */
export function freshState(identity = createIdentity()): NodeState {
	return {
		identity,
		incarnation: 0,
		clusterId: '',
		lamport: 0,
		topics: [],
		members: [],
		since: [],
		mustJoin: false,
		aside: undefined,
	};
}

/** The content of the file. */
export function stateToJson({
	identity,
	incarnation,
	clusterId,
	lamport,
	topics,
	members,
	since,
	mustJoin,
	aside,
	left,
}: NodeState): unknown {
	const body = {
		version,
		identity: identity.toJson(),
		incarnation,
		clusterId,
		lamport,
		topics,
		members: members.slice(0, membersMax),
		since,
		mustJoin,
		...(aside === undefined ? {} : {aside}),
		...(left && {left}),
	};
	return {...body, checksum: checksumOf(body)};
}

/**
Parses the file's JSON. Returns the problem if it is damaged; with `newer` if it is intact and of a newer program.
*/
export function stateFromJson(json: unknown): NodeState | {readonly problem: string; readonly newer?: string} {
	const {checksum, ...body} = Object(json) as Record<string, unknown>;
	// Version 1 had no checksum and fewer fields. A folder of that version is not damaged.
	const isFirst = body['version'] === 1 && checksum === undefined;
	if (!isFirst && checksum !== checksumOf(body)) return {problem: 'its checksum is not that of its content'};
	const {
		identity: identityJson,
		incarnation,
		clusterId,
		lamport,
		topics,
		members,
		since,
		mustJoin,
		aside,
		left,
	} = isFirst ? ({...body, members: [], since: [], mustJoin: false} as Record<string, unknown>) : body;
	if (!isFirst && body['version'] !== version) {
		const isNewer = typeof body['version'] === 'number' && body['version'] > version;
		return {
			problem: `its version is ${JSON.stringify(body['version'])}, expected ${version}`,
			...(isNewer && {newer: `format ${String(body['version'])}, this program reads up to ${version}`}),
		};
	}

	const identity = identityFrom(identityJson);
	if ('problem' in identity) return identity;
	const isWhole =
		isCount(incarnation) &&
		typeof clusterId === 'string' &&
		isCount(lamport) &&
		Array.isArray(topics) &&
		Array.isArray(members) &&
		Array.isArray(since) &&
		typeof mustJoin === 'boolean' &&
		(aside === undefined || typeof aside === 'string') &&
		(left === undefined || left === true || left === 'asked');
	if (!isWhole) return {problem: 'a part of it is missing'};
	return {
		identity,
		incarnation,
		clusterId,
		lamport,
		mustJoin,
		aside,
		...(left && {left}),
		topics: topics.filter(topic => isTopic(topic)),
		members: members.filter(
			(row): row is [NodeId, string] => Array.isArray(row) && isNodeId(row[0]) && typeof row[1] === 'string',
		),
		since: since.filter((row): row is [Topic, number] => Array.isArray(row) && isTopic(row[0]) && isCount(row[1])),
	};
}

/** CRC-32C of the JSON text; the keys keep their order. */
function checksumOf(body: object): number {
	return crc32c(JSON.stringify(body));
}

function isCount(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTopic(value: unknown): value is Topic {
	return typeof value === 'string' && typeof parseTopic(value) === 'string';
}
