/**
A message, and the batch that carries it.

The unit that is signed, sent, stored and forwarded is a **batch**: 1..n messages of one origin and one topic with
consecutive sequence numbers. It is encoded once; afterwards only its bytes are sent. The header is binary and read
without decoding the bodies, so the cost at a relay is per batch, not per message.

```
 0  u8   version (1)                       26  u48  previous lamport of this stream, 0 before its first batch
 1  u8   flags (1: MAC, 2: signature)      32  f64  sentAtMs, the origin's wall clock
 2  8 B  origin                            40  u32  count
10  u32  incarnation                       44  u16  topic length
14  u48  first sequence number             46  …    topic in UTF-8, count × u32 body length, bodies, proof
20  u48  lamport
```

The **proof** at the end shows who made the batch. Since protocol 4 it is the signature of the origin over a group of
batches (`core/wire/batch-signature.ts`): `32 B × path | 32 B key | 64 B signature | u16 place in the group | u16 size
of the group`. Before, it is a MAC of 32 bytes under a key of the cluster, which any member could make.

A **stream** is (origin, incarnation, topic). Its sequence numbers start at 1 and have no gap. `previousLamport` lets a
receiver that subscribed at Lamport time L recognise the first batch after L without requesting the batches before it.
*/

declare const brand: unique symbol;
/** Never a value. An interface, because declarations can name one and cannot name a private symbol. */
export interface Brand<Name extends string> {
	readonly [brand]: Name;
}
type Id<Name extends string> = string & Brand<Name>;

/** 16 lower-case hexadecimal digits: the first 8 bytes of SHA-256 over the node's public key. Never an address. */
export type NodeId = Id<'NodeId'>;
/** 1 to 255 bytes of UTF-8. Compared by code point; shown only through `printable()`. */
export type Topic = Id<'Topic'>;
/** `origin:incarnation:topic` — the name of a stream. */
export type StreamKey = Id<'StreamKey'>;

export type BatchHeader = {
	readonly origin: NodeId;
	/** Raised durably before the first send after a start, so that a sequence number is never used twice. */
	readonly incarnation: number;
	readonly topic: Topic;
	/** Sequence number of the first message, from 1. */
	readonly firstSeq: number;
	/** Number of messages, at least 1. */
	readonly count: number;
	/** Logical time at publish. Strictly increasing over the batches of an origin. */
	readonly lamport: number;
	/** `lamport` of the batch before this one in its stream; 0 when this is the stream's first. */
	readonly previousLamport: number;
	/** The origin's wall clock: shown to people, never compared. */
	readonly sentAtMs: number;
};

/** A header and the sealed bytes it was read from. `bytes` are stored and forwarded unchanged. */
export type Batch = BatchHeader & {readonly bytes: Uint8Array};

/** A message with its place: `seq` in the stream of its origin, incarnation and topic, and its Lamport stamp. */
export type Message = {
	readonly topic: Topic;
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly seq: number;
	readonly lamport: number;
	readonly sentAtMs: number;
	readonly body: Uint8Array;
};

export const batchVersion = 1;
export const macBytes = 32;
/** The end of a signature's proof: key, signature, place and size. The path of the group is before it. */
export const signedEndBytes = 32 + 64 + 2 + 2;
export const hashBytes = 32;
/** Batches that share a signature. */
export const groupMax = 64;
/** The longest proof: a path in a group of `groupMax`. */
export const proofBytesMax = signedEndBytes + Math.log2(groupMax) * hashBytes;
export const topicBytesMax = 255;
export const incarnationMax = 2 ** 32 - 1;
/** A batch stops growing here; one message alone may be larger, up to the frame bound. */
export const batchBytesTarget = 64 * 1024;

const flagMac = 1;
const flagSigned = 2;
const originAt = 2;
const incarnationAt = 10;
const firstSeqAt = 14; // u48
const lamportAt = 20; // u48
const previousLamportAt = 26; // u48
const sentAtMsAt = 32; // f64
const countAt = 40; // u32
const topicLengthAt = 44; // u16
const headerBytes = 46;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

export function streamKey(header: Pick<BatchHeader, 'origin' | 'incarnation' | 'topic'>): StreamKey {
	return `${header.origin}:${header.incarnation}:${header.topic}` as StreamKey;
}

export function lastSeq(header: Pick<BatchHeader, 'firstSeq' | 'count'>): number {
	return header.firstSeq + header.count - 1;
}

/** White space and invisible characters, including the blank Braille pattern. */
const blank = /^[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\u2800]+$/u;

/** The topic of that name, or the problem with the name. Any Unicode text without control characters is valid. */
export function parseTopic(name: string): Topic | {readonly problem: string} {
	if (typeof name !== 'string')
		return {problem: `Expected a topic name, got ${name === null ? 'null' : typeof name}`};
	if (name.length === 0) return {problem: 'Expected a topic name, got an empty one'};
	// First, because the other checks cost time and quote the name.
	const bytes = Buffer.byteLength(name);
	if (bytes > topicBytesMax)
		return {problem: `Expected a topic name of at most ${topicBytesMax} bytes, got ${bytes}`};
	// oxlint-disable-next-line no-control-regex
	if (/[\u0000-\u001F\u007F-\u009F]/u.test(name))
		return {problem: `Expected a topic name without control characters, got ${JSON.stringify(name)}`};
	if (!name.isWellFormed()) return {problem: 'Expected a topic name in well-formed Unicode, got a lone surrogate'};
	return name as Topic;
}

/**
The topic of a name that a user enters, or the problem with the name. The name is normalized (NFC), so that two names
that look alike are one topic. Wildcard characters of other brokers are refused, and so are invisible names. Agreed or
stored names are read by `parseTopic`, unchanged.
*/
export function parseTopicName(name: string): Topic | {readonly problem: string} {
	if (/[*>#+]/u.test(name))
		return {
			problem:
				`Expected a topic name without * > # +, got ${JSON.stringify(name)}: ` +
				'there are no wildcards yet, name each topic',
		};
	const topic = parseTopic(typeof name === 'string' ? name.normalize('NFC') : name);
	return typeof topic === 'string' && blank.test(topic)
		? {problem: `Expected a topic name with a visible character, got ${visibly(topic)}`}
		: topic;
}

/** JSON in which invisible and non-ASCII characters are escaped. */
function visibly(text: string): string {
	return JSON.stringify(text).replaceAll(
		/[^ -~]/gu,
		character => String.raw`\u{${character.codePointAt(0)!.toString(16)}}`,
	);
}

/** Whether the value is a node id: 16 lower-case hexadecimal digits. */
export function isNodeId(text: unknown): text is NodeId {
	return typeof text === 'string' && /^[0-9a-f]{16}$/.test(text);
}

/** The place of a batch in the group that one signature covers; `index` is below `size`. */
export type GroupPlace = {readonly index: number; readonly size: number};
/** What is at the end of a batch: nothing, a MAC of the cluster, or a signature of the origin. */
export type ProofKind = 'none' | 'mac' | 'signature';

/**
The bytes of a batch, with room for its proof at the end. `bodies` are copied once, here, into the buffer that is sent
and stored.
@param proof a place in a group has room for a signature
@internal
*/
export function encodeBatch(
	header: Omit<BatchHeader, 'count'>,
	bodies: readonly Uint8Array[],
	proof: 'none' | 'mac' | GroupPlace,
): Buffer<ArrayBuffer> {
	const topic = utf8.encode(header.topic);
	const place = typeof proof === 'object' ? proof : undefined;
	const proofBytes = place ? signedBytes(place) : proof === 'mac' ? macBytes : 0;
	let size = headerBytes + topic.length + bodies.length * 4 + proofBytes;
	for (const body of bodies) size += body.length;
	const bytes = Buffer.allocUnsafeSlow(size);
	bytes[0] = batchVersion;
	bytes[1] = place ? flagSigned : proof === 'mac' ? flagMac : 0;
	bytes.write(header.origin, originAt, 8, 'hex');
	bytes.writeUInt32BE(header.incarnation, incarnationAt);
	bytes.writeUIntBE(header.firstSeq, firstSeqAt, 6);
	bytes.writeUIntBE(header.lamport, lamportAt, 6);
	bytes.writeUIntBE(header.previousLamport, previousLamportAt, 6);
	bytes.writeDoubleBE(header.sentAtMs, sentAtMsAt);
	bytes.writeUInt32BE(bodies.length, countAt);
	bytes.writeUInt16BE(topic.length, topicLengthAt);
	bytes.set(topic, headerBytes);
	let at = headerBytes + topic.length;
	for (const body of bodies) at = bytes.writeUInt32BE(body.length, at);
	for (const body of bodies) {
		bytes.set(body, at);
		at += body.length;
	}

	if (place) {
		bytes.writeUInt16BE(place.index, size - 4);
		bytes.writeUInt16BE(place.size, size - 2);
	}

	return bytes;
}

export function proofKind(bytes: Uint8Array): ProofKind {
	const flags = bytes[1] ?? 0;
	return (flags & flagSigned) !== 0 ? 'signature' : (flags & flagMac) !== 0 ? 'mac' : 'none';
}

/** The place of a signed batch in its group; `undefined` when the numbers are out of bounds. */
export function groupPlace(bytes: Uint8Array): GroupPlace | undefined {
	const view = asBuffer(bytes);
	if (view.length < signedEndBytes) return undefined;
	const index = view.readUInt16BE(view.length - 4);
	const size = view.readUInt16BE(view.length - 2);
	return size <= groupMax && index < size ? {index, size} : undefined;
}

/** Hashes on the path from a leaf to the root of a Merkle tree (RFC 9162, 2.1.3.1). */
export function pathLength({index, size}: GroupPlace): number {
	if (size <= 1) return 0;
	const left = leftLeaves(size);
	return 1 + (index < left ? pathLength({index, size: left}) : pathLength({index: index - left, size: size - left}));
}

/** Leaves of the left part of a tree: the largest power of two below `size`. */
export function leftLeaves(size: number): number {
	return 2 ** (31 - Math.clz32(size - 1));
}

/** Bytes of the proof of a signed batch. */
export function signedBytes(place: GroupPlace): number {
	return signedEndBytes + pathLength(place) * hashBytes;
}

/** Bytes of the proof; `undefined` when the batch is too short or names no place in a group. */
export function proofBytesOf(bytes: Uint8Array): number | undefined {
	const kind = proofKind(bytes);
	if (kind === 'none') return 0;
	if (kind === 'mac') return macBytes;
	const place = groupPlace(bytes);
	return place && signedBytes(place);
}

/** Describes what is too new about the batch at `at`; `undefined` when this program reads it. */
export function newerBatch(bytes: Uint8Array, at: number): string | undefined {
	const version = bytes[at] ?? 0;
	const flags = bytes[at + 1] ?? 0;
	if (version > batchVersion) return `a batch of format ${version}, this program reads up to ${batchVersion}`;
	return flags <= flagSigned
		? undefined
		: `a batch with the flags ${flags}, of which this program knows ${flagMac} and ${flagSigned}`;
}

/**
Reads the header and checks that all lengths add up. `undefined` for anything that is not exactly one batch: a shorter
or longer buffer, an unknown version or flag, a count of 0, numbers outside 2^48, an invalid topic.
*/
export function decodeBatch(bytes: Uint8Array): Batch | undefined {
	if (bytes.length < headerBytes) return undefined;
	const view = asBuffer(bytes);
	if (view[0] !== batchVersion || view[1]! > flagSigned) return undefined;
	const count = view.readUInt32BE(countAt);
	const topicLength = view.readUInt16BE(topicLengthAt);
	const lengthsAt = headerBytes + topicLength;
	let end = lengthsAt + count * 4;
	const proofBytes = proofBytesOf(view);
	if (proofBytes === undefined) return undefined;
	const room = bytes.length - proofBytes;
	if (count === 0 || topicLength > topicBytesMax || end > room) return undefined;
	for (let at = lengthsAt, index = 0; index < count; index++, at += 4) end += view.readUInt32BE(at);
	if (end !== room) return undefined;
	const firstSeq = view.readUIntBE(firstSeqAt, 6);
	const lamport = view.readUIntBE(lamportAt, 6);
	const previousLamport = view.readUIntBE(previousLamportAt, 6);
	const sentAtMs = view.readDoubleBE(sentAtMsAt);
	if (firstSeq === 0 || lamport <= previousLamport || !Number.isFinite(sentAtMs)) return undefined;
	const topic = topicAt(view, headerBytes, lengthsAt);
	if (topic === undefined) return undefined;
	return {
		origin: nodeIdAt(view, originAt),
		incarnation: view.readUInt32BE(incarnationAt),
		topic,
		firstSeq,
		count,
		lamport,
		previousLamport,
		sentAtMs,
		bytes,
	};
}

/**
The header of the batch at `at`. `decodeBatch` accepted the batch before it was stored under a checksum, so the lengths
are not checked again. `undefined` for another version.
@internal
*/
export function decodeStoredHeader(bytes: Buffer, at: number): BatchHeader | undefined {
	if (bytes.length < at + headerBytes || bytes[at] !== batchVersion) return undefined;
	const topicStart = at + headerBytes;
	const topic = topicAt(bytes, topicStart, topicStart + bytes.readUInt16BE(at + topicLengthAt));
	return topic === undefined
		? undefined
		: {
				origin: nodeIdAt(bytes, at + originAt),
				incarnation: bytes.readUInt32BE(at + incarnationAt),
				topic,
				firstSeq: bytes.readUIntBE(at + firstSeqAt, 6),
				count: bytes.readUInt32BE(at + countAt),
				lamport: bytes.readUIntBE(at + lamportAt, 6),
				previousLamport: bytes.readUIntBE(at + previousLamportAt, 6),
				sentAtMs: bytes.readDoubleBE(at + sentAtMsAt),
			};
}

/** The bodies of a decoded batch, in order of their sequence numbers; slices, not copies. */
export function* bodiesOf(batch: Batch): Generator<Uint8Array> {
	const view = asBuffer(batch.bytes);
	const lengthsAt = headerBytes + view.readUInt16BE(topicLengthAt);
	let at = lengthsAt + batch.count * 4;
	for (let index = 0; index < batch.count; index++) {
		const length = view.readUInt32BE(lengthsAt + index * 4);
		yield batch.bytes.subarray(at, at + length);
		at += length;
	}
}

export function* messagesOf(batch: Batch): Generator<Message> {
	let seq = batch.firstSeq;
	for (const body of bodiesOf(batch)) {
		yield {
			topic: batch.topic,
			origin: batch.origin,
			incarnation: batch.incarnation,
			seq,
			lamport: batch.lamport,
			sentAtMs: batch.sentAtMs,
			body,
		};
		seq++;
	}
}

function asBuffer(bytes: Uint8Array): Buffer {
	return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const nodeIds = new Map<number, {readonly high: number; readonly id: NodeId}>();

/** Caches ids, because few nodes send many batches: a cached string costs a third, and its hash is known. */
function nodeIdAt(view: Buffer, at: number): NodeId {
	const high = view.readUInt32BE(at);
	const low = view.readUInt32BE(at + 4);
	const known = nodeIds.get(low);
	if (known?.high === high) return known.id;
	const id = view.toString('hex', at, at + 8) as NodeId;
	if (nodeIds.size >= 4096) nodeIds.clear();
	nodeIds.set(low, {high, id});
	return id;
}

const topicCache = new Map<string, Topic>();

/** Caches topics, because few topics carry many batches. The latin1 text of the bytes is a cheap exact key. */
function topicAt(view: Buffer, start: number, end: number): Topic | undefined {
	const key = view.toString('latin1', start, end);
	const known = topicCache.get(key);
	if (known !== undefined) return known;
	let parsed: ReturnType<typeof parseTopic>;
	try {
		parsed = parseTopic(fromUtf8.decode(view.subarray(start, end)));
	} catch {
		return undefined; // Not UTF-8.
	}

	if (typeof parsed !== 'string') return undefined;
	if (topicCache.size >= 4096) topicCache.clear();
	topicCache.set(key, parsed);
	return parsed;
}

/** A batch in the log of a node. `offset` is that of its first message. */
export type StoredBatch = {
	readonly offset: number;
	readonly batch: Batch;
	readonly hops: number;
	readonly repaired: boolean;
};

/**
A range of sequence numbers that a log lost to damage, both ends included. `isFirst`: the log has nothing of the stream
before the range, so the lost part may begin later than `from`. `isLast`: it has nothing after the range, so the lost
part may end before `to`.
*/
export type SequenceGap = {
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly from: number;
	readonly to: number;
	readonly isFirst: boolean;
	readonly isLast: boolean;
};
