/**
The SWIM packets and their validation. Every packet carries the sender's incarnation, a few rumours about other members
(SWIM, section 4.1: infection-style dissemination) and a few rows that say which members a node hears. All of it fits
into one datagram of `packetBytesMax`, so no datagram is fragmented.

Claims about a member are ordered: the higher incarnation wins, then the later entry of `standings` (SWIM, section 4.2).
That makes the exchange a join: order, repetition and delay of packets do not matter.
*/
import {isNodeId, type NodeId} from '../message.ts';

/**
From the weakest claim to the strongest at one incarnation. `refused`: dead, because its machine refused a connection.
*/
export const standings = ['alive', 'suspect', 'dead', 'refused', 'left'] as const;
export type Standing = (typeof standings)[number];

/** A rumour: the member, its standing, its incarnation, and the node that claims it (for a suspicion: the accuser). */
export type Update = readonly [id: NodeId, standing: Standing, incarnation: number, by: NodeId];

/**
The members that `node` does not hear: a bitmap over the sorted member ids, bit i % 8 of byte i / 8, without trailing
zero bytes. `members` is the hash of the member list (`hashMembers`), so that a bitmap over another list is not misread.
(`incarnation`, `counter`) is the version of the row.
*/
export type Row = readonly [node: NodeId, incarnation: number, counter: number, members: number, unheard: Uint8Array];

/**
Further state of the node of a row: its position in the agreed log, the members to which it has no working link, and the
members whose datagrams do not reach it. Bitmaps as in `Row`. `leader` is an index into the member list, -1 for none.
The state is as old as the version of its row.
*/
export type RowState = readonly [
	term: number,
	leader: number,
	applied: number,
	unlinked: Uint8Array,
	silent: Uint8Array,
];

export type Carried = {
	/** The sender's own incarnation; it implies that the sender is alive. */
	readonly incarnation: number;
	readonly updates: readonly Update[];
	readonly rows: readonly Row[];
	/**
	States of the first rows: `states[i]` belongs to `rows[i]`. They are a field of their own, because protocol 1
	accepts only rows of five elements and ignores other fields.
	*/
	readonly states?: readonly RowState[] | undefined;
	/**
	The sender's disk is full. Its first row is its own, and the fact has the version of that row. Earlier versions of
	the program ignore this field.
	*/
	readonly diskFull?: true;
};

export type Message =
	/** Asks for an `ack` of this `seq`; over the link when `link` is set. */
	| {readonly type: 'ping'; readonly seq: number; readonly link: boolean}
	| {readonly type: 'ack'; readonly seq: number}
	/** A relay reports that it is alive but has no answer from the target yet (Lifeguard, section IV-A). */
	| {readonly type: 'nack'; readonly seq: number}
	/** Asks the receiver to ping `target` for the sender. */
	| {readonly type: 'ping-req'; readonly seq: number; readonly target: NodeId}
	/** Only carries rumours and rows. */
	| {readonly type: 'gossip'};

export type SwimPacket = Message & Carried;

/** Bytes of a packet in MessagePack, with a margin for the kind of the frame. */
export const packetBytesMax = 1200;
/** Rumours per packet: those of the queue, and one about its receiver. */
export const updatesMax = 9;
export const rowsMax = 12;
/** Members that a row can cover: one row must fit into a packet beside the rumours. */
export const rowMembersMax = 4096;
export const u32Max = 0xffff_ffff;

/** Upper bounds in MessagePack: names and numbers of the largest message; one rumour; one row without its bitmap. */
export const headBytesMax = 100;
export const updateBytesMax = 48;
const rowHeadBytesMax = 36;
/** One state without its bitmaps: an array of five, two numbers of nine bytes, an index, the heads of two bitmaps. */
const stateHeadBytesMax = 28;
/** The field `states` itself. */
export const statesFieldBytes = 10;
/** The field `diskFull`. */
export const diskFullBytes = 10;

export function rowBytes(row: Row): number {
	return rowHeadBytesMax + row[4].length;
}

export function stateBytes(state: RowState): number {
	return stateHeadBytesMax + state[3].length + state[4].length;
}

/** Whether claim `a` about a member replaces claim `b`. */
export function beats(a: Pick<Claim, 'standing' | 'incarnation'>, b: Pick<Claim, 'standing' | 'incarnation'>): boolean {
	return (
		a.incarnation > b.incarnation ||
		(a.incarnation === b.incarnation && standings.indexOf(a.standing) > standings.indexOf(b.standing))
	);
}

export type Claim = {readonly standing: Standing; readonly incarnation: number; readonly by: NodeId};

/** FNV-1a over the ids in order, 32 bits. Tells a few recent member lists apart; security does not depend on it. */
export function hashMembers(order: readonly NodeId[]): number {
	let hash = 0x811c_9dc5;
	for (const id of order) {
		for (let index = 0; index < id.length; index++) hash = Math.imul(hash ^ id.charCodeAt(index), 0x0100_0193);
		hash = Math.imul(hash ^ 0x0a, 0x0100_0193);
	}

	return hash >>> 0;
}

/**
The packet if the decoded value is a valid one within all bounds, else `undefined`. Shares no memory with `value`.
*/
export function parseSwimPacket(value: unknown): SwimPacket | undefined {
	if (!isObject(value)) return undefined;
	const {type, seq, incarnation} = value;
	const updates = parseAll(value['updates'], updatesMax, parseUpdate);
	const rows = parseAll(value['rows'], rowsMax, parseRow);
	if (!isU32(incarnation) || !updates || !rows) return undefined;
	const states = value['states'] === undefined ? none : parseAll(value['states'], rows.length, parseState);
	if (!states) return undefined;
	const carried = {
		incarnation,
		updates,
		rows,
		...(states.length > 0 && {states}),
		...(value['diskFull'] === true && {diskFull: true as const}),
	};
	if (type === 'gossip') return {type, ...carried};
	if (!isU32(seq)) return undefined;
	switch (type) {
		case 'ping': {
			const {link} = value;
			return typeof link === 'boolean' ? {type, seq, link, ...carried} : undefined;
		}

		case 'ack':
		case 'nack':
			return {type, seq, ...carried};
		case 'ping-req': {
			const {target} = value;
			return isNodeId(target) ? {type, seq, target, ...carried} : undefined;
		}

		default:
			return undefined;
	}
}

function parseUpdate(value: unknown): Update | undefined {
	if (!Array.isArray(value) || value.length !== 4) return undefined;
	const [id, standing, incarnation, by] = value as unknown[];
	return isNodeId(id) && isStanding(standing) && isU32(incarnation) && isNodeId(by)
		? [id, standing, incarnation, by]
		: undefined;
}

function parseRow(value: unknown): Row | undefined {
	if (!Array.isArray(value) || value.length !== 5) return undefined;
	const [node, incarnation, counter, members, unheard] = value as unknown[];
	if (!isNodeId(node) || !isU32(incarnation) || !isU32(counter) || !isU32(members)) return undefined;
	if (!isBitmap(unheard)) return undefined;
	// A copy: the view would keep the whole datagram alive.
	return [node, incarnation, counter, members, Uint8Array.from(unheard)];
}

const none: readonly RowState[] = [];

function parseState(value: unknown): RowState | undefined {
	if (!Array.isArray(value) || value.length !== 5) return undefined;
	const [term, leader, applied, unlinked, silent] = value as unknown[];
	if (
		!isCount(term) ||
		!isCount(applied) ||
		!Number.isInteger(leader) ||
		(leader as number) < -1 ||
		(leader as number) >= rowMembersMax
	)
		return undefined;
	if (!isBitmap(unlinked) || !isBitmap(silent)) return undefined;
	return [term, leader as number, applied, Uint8Array.from(unlinked), Uint8Array.from(silent)];
}

function isBitmap(value: unknown): value is Uint8Array {
	return value instanceof Uint8Array && value.length <= rowMembersMax / 8;
}

function isCount(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parseAll<Item>(value: unknown, max: number, parse: (item: unknown) => Item | undefined): Item[] | undefined {
	if (!Array.isArray(value) || value.length > max) return undefined;
	const items: Item[] = [];
	for (const each of value as unknown[]) {
		const item = parse(each);
		if (item === undefined) return undefined;
		items.push(item);
	}

	return items;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStanding(value: unknown): value is Standing {
	return (standings as readonly unknown[]).includes(value);
}

function isU32(value: unknown): value is number {
	return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= u32Max;
}
