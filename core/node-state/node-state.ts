/**
What a node keeps of itself, in `node.json`: who it is, which life this is, and where its cluster was, so that it finds
it again when the Raft log that knows better is lost. The file carries a checksum over all it says: one flipped digit of
the incarnation would use sequence numbers twice.
*/
import {crc32c} from '../crc32c.ts';
import {isNodeId, parseTopic, type NodeId, type Topic} from '../message.ts';
import {createIdentity, identityFrom, type Identity} from '../wire/seal.ts';

/** What the running node keeps up to date. */
export type KeptState = {
	readonly clusterId: string;
	/** Ceiling of the Lamport clock. */
	readonly lamport: number;
	/** The node's own topics. */
	readonly topics: readonly Topic[];
	/** The agreed members, this node too once it is one; at most `membersMax`. */
	readonly members: ReadonlyArray<readonly [NodeId, string]>;
	/** From which Lamport time on the node's own topics are subscribed to. */
	readonly since: ReadonlyArray<readonly [Topic, number]>;
	/**
	`true`: the node left its cluster on purpose, and starts again under a new id. `asked`: it asked for that; whether
	it was agreed, it did not learn.
	*/
	readonly left?: 'asked' | true | undefined;
};
export type NodeState = KeptState & {
	readonly identity: Identity;
	readonly incarnation: number;
	/** What it knew was set aside: it joins its cluster again, and never founds one. */
	readonly mustJoin: boolean;
	/** Raft's files are on their way into this folder. */
	readonly aside: string | undefined;
};

/** Addresses that are kept; each of them knows all others. */
export const membersMax = 64;
const version = 2;

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

/** The state in the parsed file, or what is wrong with it. `newer`: it is whole, and was written by a newer program. */
export function stateFromJson(json: unknown): NodeState | {readonly problem: string; readonly newer?: string} {
	const {checksum, ...body} = Object(json) as Record<string, unknown>;
	// The first version had no checksum, and knew less. A folder of that time must not be taken for a damaged one.
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

/** Over the text, in which keys keep their order. */
function checksumOf(body: object): number {
	return crc32c(JSON.stringify(body));
}

function isCount(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTopic(value: unknown): value is Topic {
	return typeof value === 'string' && typeof parseTopic(value) === 'string';
}
