/**
The packets between Raft nodes, as plain values. `parseRaftPacket` validates a value from the wire, so that the machine
sees only well-formed packets. Each packet has a group, so that one link can carry several groups, and its sender's
term.
*/
import {decodeConfigurationData, parseConfiguration, type Configuration} from './configuration.ts';
import {isNodeId} from '../message.ts';
import {leaderCauses, type Former} from './succession.ts';

export type Entry = {
	readonly term: number;
	/** Starts at 1; 0 is the position before the log. */
	readonly index: number;
	readonly kind: 'command' | 'configuration' | 'noop';
	readonly data: Uint8Array;
};

type Head = {readonly group: number; readonly term: number};
export type RaftPacket = Head &
	/** `term` is the term that the sender would campaign in; it has not moved to that term (thesis, 9.6). */
	(
		| {readonly type: 'pre-vote'; readonly lastIndex: number; readonly lastTerm: number}
		| {readonly type: 'pre-vote-reply'; readonly granted: boolean}
		/** `former`: the candidate's last leader and the cause of its loss. Version 1 neither sends nor reads it. */
		| {
				readonly type: 'vote';
				readonly lastIndex: number;
				readonly lastTerm: number;
				readonly isTransfer: boolean;
				readonly former?: Former;
		  }
		| {readonly type: 'vote-reply'; readonly granted: boolean}
		| {
				readonly type: 'append';
				readonly prevIndex: number;
				readonly prevTerm: number;
				readonly commit: number;
				readonly entries: readonly Entry[];
		  }
		/** `index`: the last matching entry when ok, else the entry to try next, whose term is at most `hintTerm`. */
		| {
				readonly type: 'append-reply';
				readonly ok: boolean;
				readonly index: number;
				readonly hintTerm: number;
				readonly rejected: number;
		  }
		/**
		`round`: counted by the leader. A reply proves that its sender followed this leader after the round began.
		`former`: the cause of this leader's election; sent until the follower answers.
		*/
		| {readonly type: 'heartbeat'; readonly commit: number; readonly round: number; readonly former?: Former}
		| {readonly type: 'heartbeat-reply'; readonly round: number}
		| {
				readonly type: 'snapshot';
				readonly index: number;
				readonly snapshotTerm: number;
				readonly configuration: Configuration;
				readonly offset: number;
				readonly size: number;
				readonly data: Uint8Array;
		  }
		/** The answer to the chunk at `offset`. `received`: bytes that the follower has without a gap. */
		| {readonly type: 'snapshot-reply'; readonly index: number; readonly offset: number; readonly received: number}
		| {readonly type: 'timeout-now'}
		| {readonly type: 'propose'; readonly data: Uint8Array}
		| {readonly type: 'read'; readonly context: string}
		| {readonly type: 'read-reply'; readonly context: string; readonly index: number}
	);
export type PacketOf<Type extends RaftPacket['type']> = Extract<RaftPacket, {readonly type: Type}>;
/** A packet before it is sent: the machine adds group and term. */
export type Unsent = RaftPacket extends infer One
	? One extends RaftPacket
		? Omit<One, 'group' | 'term'> & {readonly term?: number}
		: never
	: never;

export const entriesMax = 4096;
/** A snapshot is sent in chunks, so that no frame delays a heartbeat for long. */
export const chunkBytes = 256 * 1024;
export const snapshotBytesMax = 64 * 1024 * 1024;
export const contextMax = 128;
/** Half of the indexes on disk: however far ahead a snapshot claims to be, indexes are left for entries after it. */
const snapshotIndexMax = 2 ** 47;

/** The packet in a decoded value; `undefined` when a field is invalid. */
export function parseRaftPacket(value: unknown): RaftPacket | undefined {
	if (typeof value !== 'object' || value === null) return undefined;
	const raw = value as Record<string, unknown>;
	if (!isCount(raw['group']) || !isCount(raw['term'])) return undefined;
	const head = {group: raw['group'], term: raw['term']};
	const body = parseBody(raw);
	return body && ({...head, ...body} as RaftPacket);
}

function parseBody(raw: Record<string, unknown>): object | undefined {
	const {type} = raw;
	switch (type) {
		case 'pre-vote':
		case 'vote': {
			const {lastIndex, lastTerm, isTransfer} = raw;
			if (!isCount(lastIndex) || !isCount(lastTerm)) return undefined;
			return type === 'vote'
				? {type, lastIndex, lastTerm, isTransfer: isTransfer === true, ...parseFormer(raw)}
				: {type, lastIndex, lastTerm};
		}

		case 'pre-vote-reply':
		case 'vote-reply':
			return typeof raw['granted'] === 'boolean' ? {type, granted: raw['granted']} : undefined;
		case 'append': {
			const {prevIndex, prevTerm, commit} = raw;
			if (!isCount(prevIndex) || !isCount(prevTerm) || !isCount(commit)) return undefined;
			const entries = parseEntries(raw['entries'], prevIndex, prevTerm, raw['term'] as number);
			return entries && {type, prevIndex, prevTerm, commit, entries};
		}

		case 'append-reply': {
			const {ok, index, hintTerm, rejected} = raw;
			return typeof ok === 'boolean' && isCount(index) && isCount(hintTerm) && isCount(rejected)
				? {type, ok, index, hintTerm, rejected}
				: undefined;
		}

		case 'heartbeat':
			return isCount(raw['commit']) && isCount(raw['round'])
				? {type, commit: raw['commit'], round: raw['round'], ...parseFormer(raw)}
				: undefined;
		case 'heartbeat-reply':
			return isCount(raw['round']) ? {type, round: raw['round']} : undefined;
		case 'snapshot':
			return parseSnapshot(raw);
		case 'snapshot-reply':
			return isCount(raw['index']) && isCount(raw['offset']) && isCount(raw['received'])
				? {type, index: raw['index'], offset: raw['offset'], received: raw['received']}
				: undefined;
		case 'timeout-now':
			return {type};
		case 'propose':
			return raw['data'] instanceof Uint8Array ? {type, data: raw['data']} : undefined;
		case 'read':
			return isContext(raw['context']) ? {type, context: raw['context']} : undefined;
		case 'read-reply':
			return isContext(raw['context']) && isCount(raw['index'])
				? {type, context: raw['context'], index: raw['index']}
				: undefined;
		default:
			return undefined;
	}
}

function parseEntries(value: unknown, prevIndex: number, prevTerm: number, termMax: number): Entry[] | undefined {
	if (!Array.isArray(value) || value.length > entriesMax) return undefined;
	const entries: Entry[] = [];
	let previousTerm = prevTerm;
	for (const raw of value as unknown[]) {
		if (typeof raw !== 'object' || raw === null) return undefined;
		const {term, index, kind, data} = raw as Record<string, unknown>;
		if (!isCount(term) || index !== prevIndex + entries.length + 1 || !(data instanceof Uint8Array))
			return undefined;
		if (kind !== 'command' && kind !== 'configuration' && kind !== 'noop') return undefined;
		// Without a voter, no node could ever campaign again.
		if (kind === 'configuration' && (decodeConfigurationData(data)?.configuration.voters.length ?? 0) === 0)
			return undefined;
		// Terms never decrease along a log, and never exceed the leader's term.
		if (term < previousTerm || term > termMax) return undefined;
		previousTerm = term;
		entries.push({term, index, kind, data});
	}

	return entries;
}

function parseSnapshot(raw: Record<string, unknown>): object | undefined {
	const {type, index, snapshotTerm, offset, size, data} = raw;
	const configuration = parseConfiguration(raw['configuration']);
	if (
		!configuration ||
		configuration.voters.length === 0 ||
		!isCount(index) ||
		!isCount(snapshotTerm) ||
		index > snapshotIndexMax ||
		snapshotTerm > (raw['term'] as number) ||
		!isCount(offset) ||
		!isCount(size) ||
		!(data instanceof Uint8Array)
	)
		return undefined;
	if (
		data.length > chunkBytes ||
		(data.length === 0 && size > 0) ||
		offset + data.length > size ||
		size > snapshotBytesMax
	)
		return undefined;
	return {type, index, snapshotTerm, configuration, offset, size, data};
}

/** `former` is information for people: a value that this version does not know is ignored. */
function parseFormer({former}: Record<string, unknown>): {readonly former?: Former} {
	const {leader, term, cause} = Object(former) as Record<string, unknown>;
	const known = leaderCauses.find(one => one === cause);
	return known === undefined || !isNodeId(leader) || !isCount(term) ? {} : {former: {leader, term, cause: known}};
}

function isContext(value: unknown): value is string {
	return typeof value === 'string' && value.length > 0 && value.length <= contextMax;
}

export function isCount(value: unknown): value is number {
	// The width of an index in the records on disk.
	return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 48;
}

export function isFromLeader({type}: RaftPacket): boolean {
	return type === 'append' || type === 'heartbeat' || type === 'snapshot';
}

/** Packets whose meaning does not depend on the sender's term. */
export function isTermIndependent({type}: RaftPacket): boolean {
	return type === 'propose' || type === 'read' || type === 'read-reply';
}
