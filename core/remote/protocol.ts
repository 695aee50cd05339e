/**
The protocol between a node and its clients: consoles, commands, client libraries. It is the same over TLS and over a
MessagePort: requests and answers, streams of snapshots and events, and, in binary, published messages and delivered
batches.

```
request   20 | MessagePack {id, op, …}              event    24 | MessagePack [id, events]
answer    21 | MessagePack {id, value | error}      snapshot 25 | MessagePack [id, snapshot]
publish   22 | u32 id | u16 topic length | topic | u32 count | count × u32 length | bodies
delivery  23 | u32 id | u48 offset | u8 hops | u8 flags (1 repaired) | batch, without proof
```
Streams of deliveries and events use credit: the reader grants bytes of batches or event frames, so a slow reader costs
the node only a cursor. A node sends while credit is left, so the last frame may exceed it. An `events` request without
credit is of an earlier release.

A tracked `subscribe` is answered with its start positions (`../position.ts`). With `after` it continues after the
positions reached at another node. A node of an earlier release ignores both, begins at `from` and answers with `true`.
*/
import * as v from 'valibot';
import {parseAccessChange, type AccessChange} from '../access.ts';
import {isKeyId, secretBytesRange, type KeyId} from '../cluster-keys.ts';
import {subscribedTopicsMax} from '../broker-arguments.ts';
import {decode, encode} from '../codec.ts';
import {
	decodeBatch,
	isNodeId,
	parseTopic,
	proofBytesOf,
	type NodeId,
	type StoredBatch,
	type Topic,
} from '../message.ts';
import {positionsMax} from '../position.ts';
import {problemOfSize} from './request-size.ts';

export const remoteKinds = {request: 20, answer: 21, publish: 22, delivery: 23, event: 24, snapshot: 25} as const;

/** Messages of one publish: each costs time and memory besides its bytes. */
export const publishMessagesMax = 65_536;
/** Streams and requests that one connection may have open. */
export const openMax = 1024;

const id = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(0xff_ff_ff_ff));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const topic = v.pipe(
	v.string(),
	v.check(
		name => typeof parseTopic(name) === 'string',
		issue => problemOf(issue.input),
	),
	v.transform(name => name as Topic),
);
const node = v.pipe(
	v.string(),
	v.check(text => isNodeId(text), 'Expected a node id'),
	v.transform(text => text as NodeId),
);
/** A list whose length is checked before its items are, because a client may send a million of them. */
const list = <Item extends v.GenericSchema>(item: Item, max: number, min = 0) =>
	v.pipe(
		v.custom<unknown[]>(
			value => Array.isArray(value) && value.length >= min && value.length <= max,
			`Expected a list of ${min} to ${max} items`,
		),
		v.array(item),
	);
const forMs = v.pipe(v.number(), v.minValue(0), v.maxValue(86_400_000));
export const faultSchema = v.variant('type', [
	v.object({
		type: v.literal('cut'),
		peers: list(node, 1024),
		direction: v.picklist(['both', 'in', 'out']),
		forMs,
	}),
	v.object({type: v.literal('delay'), ms: v.pipe(v.number(), v.minValue(0), v.maxValue(60_000)), forMs}),
	v.object({type: v.literal('drop'), percent: v.pipe(v.number(), v.minValue(0), v.maxValue(100)), forMs}),
	v.object({type: v.literal('heal')}),
]);
const accessChange = v.pipe(
	v.unknown(),
	v.check(
		value => 'type' in parseAccessChange(value),
		issue => problemText(parseAccessChange(issue.input)),
	),
	v.transform(value => parseAccessChange(value) as AccessChange),
);
const keyId = v.pipe(
	v.string(),
	v.check(text => isKeyId(text), 'Expected the id of a key (16 hexadecimal digits)'),
	v.transform(text => text as KeyId),
);
const secret = v.custom<Uint8Array>(
	value => value instanceof Uint8Array && value.length >= secretBytesRange[0] && value.length <= secretBytesRange[1],
	`Expected a secret of ${secretBytesRange[0]} to ${secretBytesRange[1]} bytes`,
);
const keyRequest = v.variant('type', [
	v.object({type: v.literal('add'), secret}),
	v.object({type: v.literal('use'), key: keyId, force: v.boolean()}),
	v.object({type: v.literal('remove'), key: keyId, force: v.boolean()}),
]);
/** The position of a reader in a topic: `../position.ts`. */
export const positionSchema = v.object({
	topic,
	since: count,
	streams: list(v.tuple([node, count, count]), positionsMax),
});
/** Positions in up to `topicsMax` topics. Their number is checked before they are. */
const positions = (topicsMax: number) =>
	v.pipe(
		v.custom<unknown[]>(
			value => Array.isArray(value) && value.length <= topicsMax && streamsOf(value) <= positionsMax,
			`Expected a list of 0 to ${topicsMax} topics with ${positionsMax} positions at most`,
		),
		v.array(positionSchema),
	);
/** The positions of a subscription, one per topic. */
export const positionsSchema = positions(subscribedTopicsMax);
/** The starts of a subscription, one per topic. */
export const startsSchema = list(v.object({...positionSchema.entries, end: v.optional(count)}), subscribedTopicsMax);
const requestSchema = v.variant('op', [
	v.object({id, op: v.literal('snapshot')}),
	v.object({id, op: v.literal('watch')}),
	/** The snapshot was processed: send the next one. */
	v.object({id, op: v.literal('next'), stream: id}),
	v.object({
		id,
		op: v.literal('events'),
		messages: v.boolean(),
		from: v.optional(v.picklist(['now', 'start'])),
		/** With messages: give the start of each topic, and begin topics after these positions. */
		isTracked: v.optional(v.boolean()),
		after: v.optional(positions(positionsMax)),
		credit: v.optional(count),
	}),
	v.object({
		id,
		op: v.literal('subscribe'),
		topics: list(topic, subscribedTopicsMax, 1),
		from: v.union([v.literal('now'), v.literal('beginning'), count]),
		after: v.optional(positionsSchema),
		isTracked: v.optional(v.boolean()),
		credit: count,
	}),
	v.object({id, op: v.literal('credit'), stream: id, bytes: count}),
	/** Ends a stream. */
	v.object({id, op: v.literal('end'), stream: id}),
	v.object({id, op: v.literal('subscribe-node'), topic}),
	v.object({id, op: v.literal('unsubscribe-node'), topic}),
	v.object({
		id,
		op: v.literal('create-topic'),
		topic,
		settings: v.object({retainAgeS: v.optional(count), retainBytes: v.optional(count)}),
		update: v.boolean(),
	}),
	v.object({id, op: v.literal('delete-topic'), topic, force: v.boolean()}),
	v.object({id, op: v.literal('read-index')}),
	v.object({id, op: v.literal('transfer'), to: v.optional(node)}),
	v.object({id, op: v.literal('remove'), node}),
	v.object({id, op: v.literal('leave')}),
	v.object({id, op: v.literal('fault'), command: faultSchema}),
	/** The agreed access, and that of the asker. */
	v.object({id, op: v.literal('access')}),
	v.object({id, op: v.literal('change-access'), change: accessChange}),
	/** The keys of the cluster, and what its members do with them. */
	v.object({id, op: v.literal('keys')}),
	v.object({id, op: v.literal('change-keys'), change: keyRequest}),
]);

export type Request = v.InferOutput<typeof requestSchema>;
export type RequestBody = Request extends infer One ? (One extends Request ? Omit<One, 'id'> : never) : never;
export type Answer = {
	readonly id: number;
	readonly value?: unknown;
	readonly error?: {readonly code: string; readonly message: string};
	readonly dropped?: number;
	readonly ended?: boolean;
};

export function encodeFrame(kind: keyof typeof remoteKinds, value: unknown): Buffer {
	const body = encode(value);
	const frame = Buffer.allocUnsafe(1 + body.length);
	frame[0] = remoteKinds[kind];
	body.copy(frame, 1);
	return frame;
}

/** The pieces of an answer with an encoded value: a value for many clients is encoded once. */
export function encodeAnswer(requestId: number, value: Uint8Array): Uint8Array[] {
	const head = Buffer.from([
		remoteKinds.answer,
		0x82,
		0xa2,
		0x69,
		0x64,
		0xce,
		0,
		0,
		0,
		0,
		0xa5,
		0x76,
		0x61,
		0x6c,
		0x75,
		0x65,
	]); // A map of two entries: "id" with a u32, and "value" with the value that follows.
	head.writeUInt32BE(requestId, 6);
	return [head, value];
}

/** The pieces of a snapshot frame with an encoded snapshot. */
export function encodeSnapshot(stream: number, snapshot: Uint8Array): Uint8Array[] {
	const head = Buffer.from([remoteKinds.snapshot, 0x92, 0xce, 0, 0, 0, 0]); // An array of a u32 and the snapshot.
	head.writeUInt32BE(stream, 3);
	return [head, snapshot];
}

export function decodeFrame(frame: Uint8Array): unknown {
	return decode(frame.subarray(1));
}

/** The request in a frame, or its id and the problem. */
export function parseRequest(frame: Buffer): Request | {readonly id: number; readonly problem: string} {
	const tooLarge = problemOfSize(frame);
	if (tooLarge) return tooLarge;
	const value = decodeFrame(frame);
	const parsed = v.safeParse(requestSchema, value, {abortEarly: true});
	if (parsed.success) return parsed.output;
	const raw = typeof value === 'object' && value !== null ? (value as {id?: unknown}).id : undefined;
	const [issue] = parsed.issues;
	return {
		id: typeof raw === 'number' && Number.isSafeInteger(raw) ? raw : 0,
		problem: `${v.getDotPath(issue) ?? 'request'}: ${issue.message}`,
	};
}

/** The pieces of a publish frame; the bodies are not copied. */
export function encodePublish(requestId: number, topicName: Topic, bodies: readonly Uint8Array[]): Uint8Array[] {
	const name = Buffer.from(topicName);
	const head = Buffer.allocUnsafe(11 + name.length + bodies.length * 4);
	head[0] = remoteKinds.publish;
	head.writeUInt32BE(requestId, 1);
	head.writeUInt16BE(name.length, 5);
	name.copy(head, 7);
	let at = head.writeUInt32BE(bodies.length, 7 + name.length);
	for (const body of bodies) at = head.writeUInt32BE(body.length, at);
	return [head, ...bodies];
}

/**
`undefined` when the lengths do not add up exactly; a `problem` when the topic is invalid, or there are too many
messages.
*/
export function decodePublish(
	frame: Buffer,
):
	| {readonly id: number; readonly topic: Topic; readonly bodies: Buffer[]}
	| {readonly id: number; readonly problem: string; readonly isTooMany?: boolean}
	| undefined {
	if (frame.length < 11) return undefined;
	const requestId = frame.readUInt32BE(1);
	const nameEnd = 7 + frame.readUInt16BE(5);
	if (nameEnd + 4 > frame.length) return undefined;
	const bodyCount = frame.readUInt32BE(nameEnd);
	const lengthsAt = nameEnd + 4;
	let at = lengthsAt + bodyCount * 4;
	if (at > frame.length) return undefined;
	if (bodyCount > publishMessagesMax) return {id: requestId, problem: tooManyText(bodyCount), isTooMany: true};
	const bodies: Buffer[] = [];
	for (let index = 0; index < bodyCount; index++) {
		const end = at + frame.readUInt32BE(lengthsAt + index * 4);
		if (end > frame.length) return undefined;
		bodies.push(frame.subarray(at, end));
		at = end;
	}

	if (at !== frame.length) return undefined;
	const parsed = parseTopic(frame.toString('utf8', 7, nameEnd));
	return typeof parsed === 'string'
		? {id: requestId, topic: parsed, bodies}
		: {id: requestId, problem: parsed.problem};
}

/** The problem of a publish with more than `publishMessagesMax` messages. */
export function tooManyText(messages: number): string {
	return `Expected at most ${publishMessagesMax} messages in one publish, got ${messages}: divide them`;
}

const deliveryHeadBytes = 13;

/**
A delivery in pieces. The batch has no proof: clients check none, and those of earlier protocols do not know signatures.
`bytes`: of the batch, as sent; readers grant credit for them.
*/
export function encodeDelivery(
	stream: number,
	{offset, batch, hops, repaired}: StoredBatch,
): {readonly pieces: readonly Uint8Array[]; readonly bytes: number} {
	const bytes = batch.bytes.length - (proofBytesOf(batch.bytes) ?? 0);
	const head = Buffer.allocUnsafe(deliveryHeadBytes + 2);
	head[0] = remoteKinds.delivery;
	head.writeUInt32BE(stream, 1);
	head.writeUIntBE(offset, 5, 6);
	head[11] = hops;
	head[12] = repaired ? 1 : 0;
	head[deliveryHeadBytes] = batch.bytes[0]!;
	head[deliveryHeadBytes + 1] = 0; // No proof.
	return {pieces: [head, batch.bytes.subarray(2, bytes)], bytes};
}

export function decodeDelivery(frame: Buffer): {readonly stream: number; readonly item: StoredBatch} | undefined {
	if (frame.length <= deliveryHeadBytes) return undefined;
	const batch = decodeBatch(frame.subarray(deliveryHeadBytes));
	if (!batch) return undefined;
	return {
		stream: frame.readUInt32BE(1),
		item: {offset: frame.readUIntBE(5, 6), hops: frame[11]!, repaired: frame[12] === 1, batch},
	};
}

/** The number of positions in a list of topics that is not validated yet. */
function streamsOf(topics: readonly unknown[]): number {
	let streams = 0;
	for (const one of topics) {
		const found: unknown = Object(one).streams;
		if (Array.isArray(found)) streams += found.length;
	}

	return streams;
}

function problemText(parsed: ReturnType<typeof parseAccessChange>): string {
	return 'problem' in parsed ? parsed.problem : 'Expected a change of access';
}

function problemOf(name: unknown): string {
	const parsed = typeof name === 'string' ? parseTopic(name) : undefined;
	return typeof parsed === 'object' ? parsed.problem : 'Expected a topic name';
}
