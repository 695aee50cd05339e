/**
The packets of the gossip protocol. A push carries a batch and has its own binary frame (`core/wire/wire.ts`). All other
packets are small and describe streams by **watermarks**: the range of a stream that the sender holds. A watermark is
true when it is sent, however often and in whatever order it arrives. So control packets need no memory of earlier ones
and no deduplication.

`parseGossipPacket` checks packets from the network, so the machine sees only well-formed packets.
*/
import {incarnationMax, isNodeId, parseTopic, type Batch, type NodeId, type Topic} from '../message.ts';

/**
The sender holds `low` to `high` without a gap (`low` is `high + 1` when it holds nothing); `lamport` is the stamp of
the batch that ends at `high`.
*/
export type Watermark = readonly [origin: NodeId, incarnation: number, low: number, high: number, lamport: number];
export type TopicWatermarks = readonly [topic: Topic, streams: readonly Watermark[]];
/** A hash of the topic's streams at the sender, and optionally of each part of its origins (4 bytes per part). */
export type TopicDigest = readonly [topic: Topic, hash: number, parts?: Uint8Array];
/**
`parts`: one bit per part of the digest; parts whose bit is 0 are not covered. Absent: the whole topic is covered.
*/
export type TopicAnswer = readonly [topic: Topic, streams: readonly Watermark[], parts?: Uint8Array];
/** Retention deleted batches at the sender, the last of them ending at `to`. */
export type DeletedRange = readonly [origin: NodeId, incarnation: number, to: number];
/** The sender holds nothing in [from, then); `then` is 0 when it holds nothing from `from` on. */
export type AbsentRange = readonly [origin: NodeId, incarnation: number, from: number, then: number];
/**
In [from, then) the sender holds no batch stamped after `sinceLamport`, which is the value of the request: the requester
may have lowered its own since then.
*/
export type Passed = readonly [origin: NodeId, incarnation: number, from: number, then: number, sinceLamport: number];
/** A range of a stream, both ends included. Batches stamped at or before `sinceLamport` are not wanted. */
export type Want = {
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly from: number;
	readonly to: number;
	readonly sinceLamport: number;
};

/**
`hops`: transmissions so far, 1 when the origin itself pushes. `complete`: it was sent to every subscriber, so no relay
is needed. `repair`: it answers a request.
*/
export type Push = {
	readonly type: 'push';
	readonly batch: Batch;
	readonly hops: number;
	readonly complete: boolean;
	readonly repair: boolean;
};
export type ControlPacket =
	/** A lazy offer. The offered batches may already be on their way as pushes. */
	| {readonly type: 'ihave'; readonly topics: readonly TopicWatermarks[]}
	/** A request. The answer is repair pushes of about `bytesMax` bytes and a `served`, or an `ihavenot`, or both. */
	| {readonly type: 'iwant'; readonly topic: Topic; readonly wants: readonly Want[]; readonly bytesMax: number}
	/**
	`isEnd`: no push answers the request. `deleted`: which of the gaps retention has made; nodes of earlier releases do
	not report that.
	*/
	| {
			readonly type: 'ihavenot';
			readonly topic: Topic;
			readonly gaps: readonly AbsentRange[];
			readonly isEnd: boolean;
			readonly deleted?: readonly DeletedRange[];
	  }
	/**
	Ends an answer: all requested batches, within the budget, have been pushed. `passed`: the requested ranges that were
	not pushed because their stamps are too early to be wanted.
	*/
	| {readonly type: 'served'; readonly topic: Topic; readonly passed: readonly Passed[]}
	/** A hash for each topic that the sender subscribes to. */
	| {readonly type: 'digest'; readonly round: number; readonly topics: readonly TopicDigest[]}
	/**
	The answer to a digest: watermarks of the topics that differ, in pages. `isCut`: more streams differ than an answer
	may name.
	*/
	| {
			readonly type: 'watermarks';
			readonly round: number;
			readonly topics: readonly TopicAnswer[];
			readonly isLast: boolean;
			readonly isCut: boolean;
	  }
	/** Asks for the incarnations of the origin that the receiver knows. */
	| {readonly type: 'ask'; readonly topic: Topic; readonly origin: NodeId}
	/** The answer to `ask`. `incarnation`: that of the sender itself. */
	| {
			readonly type: 'told';
			readonly topic: Topic;
			readonly origin: NodeId;
			readonly incarnation: number;
			readonly streams: readonly Watermark[];
	  };
export type GossipPacket = Push | ControlPacket;
export type PacketOf<Type extends GossipPacket['type']> = Extract<GossipPacket, {readonly type: Type}>;

/** Topics per digest. */
export const digestTopicsMax = 1024;
/** Parts of one topic; always a power of two. */
export const digestPartsMax = 256;
const digestPartsMin = 8;
/** Watermarks per packet, and packets per answer. */
export const watermarksMax = 2048;
export const pagesMax = 8;
/** Streams per request. */
export const wantsMax = 64;
const bytesMaxMax = 2 ** 31;
const seqMax = 2 ** 48;

/** The control packet in a decoded value; `undefined` when any field is invalid. */
export function parseGossipPacket(value: unknown): ControlPacket | undefined {
	if (typeof value !== 'object' || value === null) return undefined;
	const raw = value as Record<string, unknown>;
	const {type} = raw;
	switch (type) {
		case 'ihave': {
			const topics = parseTopics(raw['topics'], parseWatermarks);
			return topics && {type, topics};
		}

		case 'iwant': {
			const {bytesMax} = raw;
			const topic = topicOf(raw['topic']);
			const wants = parseRows(raw['wants'], wantsMax, parseWant);
			return topic !== undefined && wants && isUpTo(bytesMax, bytesMaxMax)
				? {type, topic, wants, bytesMax}
				: undefined;
		}

		case 'ihavenot': {
			const {isEnd} = raw;
			const topic = topicOf(raw['topic']);
			const gaps = parseRows(raw['gaps'], wantsMax, parseAbsentRange);
			const deleted = raw['deleted'] === undefined ? [] : parseRows(raw['deleted'], wantsMax, parseDeletedRange);
			return topic !== undefined && gaps && typeof isEnd === 'boolean' && deleted
				? {type, topic, gaps, isEnd, ...(deleted.length > 0 && {deleted})}
				: undefined;
		}

		case 'served': {
			const topic = topicOf(raw['topic']);
			const passed = parseRows(raw['passed'], wantsMax, parsePassed);
			return topic !== undefined && passed ? {type, topic, passed} : undefined;
		}

		case 'digest': {
			const {round} = raw;
			const topics = parseRows(raw['topics'], digestTopicsMax, parseDigest);
			return topics && isUpTo(round, Number.MAX_SAFE_INTEGER) ? {type, round, topics} : undefined;
		}

		case 'watermarks': {
			const {round, isLast, isCut} = raw;
			const topics = parseTopics(raw['topics'], parseAnswer);
			return topics &&
				isUpTo(round, Number.MAX_SAFE_INTEGER) &&
				typeof isLast === 'boolean' &&
				typeof isCut === 'boolean'
				? {type, round, topics, isLast, isCut}
				: undefined;
		}

		case 'ask': {
			const topic = topicOf(raw['topic']);
			const {origin} = raw;
			return topic !== undefined && isNodeId(origin) ? {type, topic, origin} : undefined;
		}

		case 'told': {
			const topic = topicOf(raw['topic']);
			const {origin, incarnation} = raw;
			if (topic === undefined || !isNodeId(origin) || !isUpTo(incarnation, incarnationMax)) return undefined;
			const streams = parseRows(raw['streams'], wantsMax, parseWatermark);
			return streams?.every(([of]) => of === origin) ? {type, topic, origin, incarnation, streams} : undefined;
		}

		default:
			return undefined;
	}
}

/** Parses the topics of a packet under one bound for all watermarks in it. */
function parseTopics<Row extends TopicAnswer>(
	value: unknown,
	parse: (row: readonly unknown[], room: number) => Row | undefined,
): Row[] | undefined {
	let room = watermarksMax;
	return parseRows(value, digestTopicsMax, raw => {
		const row = Array.isArray(raw) ? parse(raw, room) : undefined;
		room -= row?.[1].length ?? 0;
		return row;
	});
}

function parseWatermarks(row: readonly unknown[], room: number): TopicWatermarks | undefined {
	const topic = topicOf(row[0]);
	const streams = parseRows(row[1], room, parseWatermark);
	return topic !== undefined && streams && row.length === 2 ? [topic, streams] : undefined;
}

function parseAnswer(row: readonly unknown[], room: number): TopicAnswer | undefined {
	if (row.length === 2) return parseWatermarks(row, room);
	const [topic, streams] = parseWatermarks(row.slice(0, 2), room) ?? [];
	const parts = parseParts(row[2], 1 / 8);
	return topic !== undefined && streams && parts && row.length === 3 ? [topic, streams, parts] : undefined;
}

function parseRows<Row>(value: unknown, max: number, parse: (row: unknown) => Row | undefined): Row[] | undefined {
	if (!Array.isArray(value) || value.length > max) return undefined;
	const rows: Row[] = [];
	for (const raw of value as unknown[]) {
		const row = parse(raw);
		if (row === undefined) return undefined;
		rows.push(row);
	}

	return rows;
}

function parseWatermark(row: unknown): Watermark | undefined {
	if (!Array.isArray(row) || row.length !== 5) return undefined;
	const [origin, incarnation, low, high, lamport] = row as unknown[];
	if (
		!isNodeId(origin) ||
		!isUpTo(incarnation, incarnationMax) ||
		!isUpTo(low, seqMax) ||
		!isUpTo(high, seqMax - 1) ||
		!isUpTo(lamport, seqMax)
	)
		return undefined;
	return low >= 1 && low <= high + 1 ? [origin, incarnation, low, high, lamport] : undefined;
}

function parseAbsentRange(row: unknown): AbsentRange | undefined {
	if (!Array.isArray(row) || row.length !== 4) return undefined;
	const [origin, incarnation, from, then] = row as unknown[];
	if (!isNodeId(origin) || !isUpTo(incarnation, incarnationMax) || !isUpTo(from, seqMax) || !isUpTo(then, seqMax))
		return undefined;
	return then === 0 || then > from ? [origin, incarnation, from, then] : undefined;
}

function parseDeletedRange(row: unknown): DeletedRange | undefined {
	if (!Array.isArray(row) || row.length !== 3) return undefined;
	const [origin, incarnation, to] = row as unknown[];
	return isNodeId(origin) && isUpTo(incarnation, incarnationMax) && isUpTo(to, seqMax)
		? [origin, incarnation, to]
		: undefined;
}

function parsePassed(row: unknown): Passed | undefined {
	if (!Array.isArray(row) || row.length !== 5) return undefined;
	const gap = parseAbsentRange(row.slice(0, 4));
	const sinceLamport: unknown = row[4];
	return gap && isUpTo(sinceLamport, seqMax) ? [...gap, sinceLamport] : undefined;
}

function parseWant(row: unknown): Want | undefined {
	if (typeof row !== 'object' || row === null) return undefined;
	const {origin, incarnation, from, to, sinceLamport} = row as Record<string, unknown>;
	if (
		!isNodeId(origin) ||
		!isUpTo(incarnation, incarnationMax) ||
		!isUpTo(from, seqMax) ||
		!isUpTo(to, seqMax) ||
		!isUpTo(sinceLamport, seqMax)
	)
		return undefined;
	return from >= 1 && from <= to ? {origin, incarnation, from, to, sinceLamport} : undefined;
}

function parseDigest(row: unknown): TopicDigest | undefined {
	if (!Array.isArray(row) || row.length < 2 || row.length > 3) return undefined;
	const [name, hash, rawParts] = row as unknown[];
	const topic = topicOf(name);
	if (topic === undefined || !isUpTo(hash, Number.MAX_SAFE_INTEGER)) return undefined;
	if (row.length === 2) return [topic, hash];
	const parts = parseParts(rawParts, 4);
	return parts && [topic, hash, parts];
}

/** Parses a byte array with `bytesOfPart` bytes per part. */
function parseParts(value: unknown, bytesOfPart: number): Uint8Array | undefined {
	if (!(value instanceof Uint8Array)) return undefined;
	const count = value.length / bytesOfPart;
	const isPower = Number.isInteger(count) && (count & (count - 1)) === 0;
	// A copy: the view would keep the whole frame alive.
	return isPower && count >= digestPartsMin && count <= digestPartsMax ? Uint8Array.from(value) : undefined;
}

function topicOf(value: unknown): Topic | undefined {
	if (typeof value !== 'string') return undefined;
	const topic = parseTopic(value);
	return typeof topic === 'string' ? topic : undefined;
}

function isUpTo(value: unknown, max: number): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max;
}
