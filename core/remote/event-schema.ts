/**
The events of a node, as its clients check them: every field that is shown or compared has its type. Types and fields of
newer nodes pass.
*/
import * as v from 'valibot';
import {isIdentityKey, type IdentityKey} from '../access.ts';
import {isKeyId, type KeyId} from '../cluster-keys.ts';
import {isNodeId, type NodeId} from '../message.ts';
import {positionSchema} from './protocol.ts';

export const text = v.string();
export const number = v.number();
export const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const flag = v.boolean();
/** A state or a kind, which may be one of a newer node. */
export const word = v.pipe(v.string(), v.regex(/^[\w-]{1,64}$/u));
/** Ids are shown as they are. */
export const id = v.custom<NodeId>(value => isNodeId(value));
export const key = v.custom<IdentityKey>(value => isIdentityKey(value));
export const keyId = v.custom<KeyId>(value => isKeyId(value));
/** Absent or of its type; not `null`, which texts and views do not expect. */
export const maybe = <Schema extends v.GenericSchema>(schema: Schema) => v.optional(schema);
export const bytes = v.custom<Uint8Array>(value => value instanceof Uint8Array);

/** The states of an event, which its texts distinguish. */
const partitionStates = v.picklist(['detected', 'healed', 'repaired', 'ended']);

const message = v.looseObject({
	topic: text,
	origin: id,
	incarnation: whole,
	seq: whole,
	lamport: number,
	sentAtMs: number,
	body: bytes,
});

const fieldsByType: Readonly<Record<string, v.ObjectEntries>> = {
	ready: {id, port: number, cluster: text},
	leader: {
		term: number,
		leader: maybe(id),
		previous: maybe(id),
		cause: maybe(word),
		silentMs: maybe(number),
		withoutLeaderMs: maybe(number),
	},
	transfer: {from: id, to: id, by: id},
	paused: {forMs: number},
	refused: {id: maybe(id), address: text, code: text, reason: text, by: word},
	duplicate: {id, address: text, other: text},
	admitted: {id, clusterId: text},
	waiting: {for: text},
	named: {id, name: text, was: maybe(text)},
	protocol: {protocol: number},
	quorum: {held: flag, state: maybe(word), reachable: number, voters: number},
	member: {id, address: text, state: word, why: maybe(text)},
	voters: {voters: v.array(id)},
	subscribed: {topic: text, node: id},
	unsubscribed: {topic: text, node: id},
	topic: {topic: text, state: word, node: id, retainAgeS: maybe(number), retainBytes: maybe(number)},
	message: {message},
	partition: {
		state: partitionStates,
		sides: v.array(v.array(id)),
		quorum: number,
		isFarHeard: maybe(flag),
		gone: maybe(v.array(id)),
		tookMs: number,
		messages: maybe(number),
	},
	rejected: {from: text, reason: word, count: number},
	discovered: {cluster: text, clusterId: text, address: text, foreign: flag},
	lagged: {dropped: number},
	missed: {topic: text, origin: id, messages: number, cause: maybe(word)},
	fault: {text},
	quarantined: {problem: text, folder: text, formerId: maybe(id), id},
	refilled: {topic: text, messages: number, missing: number},
	deleted: {topic: text, reason: word, messages: number, bytes: number, unread: number},
	access: {
		change: word,
		identity: maybe(key),
		name: maybe(text),
		role: maybe(word),
		topics: maybe(v.array(text)),
		candidate: maybe(id),
		hash: maybe(word),
		node: id,
		by: maybe(key),
	},
	keys: {change: word, key: keyId, node: id, by: maybe(key)},
	audit: {
		action: text,
		target: text,
		by: text,
		address: text,
		outcome: word,
		reason: maybe(text),
		count: maybe(number),
	},
	warning: {text},
	stopped: {reason: text},
};

const anyEvent = v.looseObject({type: text, at: number, names: maybe(v.record(v.string(), v.string()))});
const events: ReadonlyMap<string, v.GenericSchema> = new Map(
	Object.entries(fieldsByType).map(([type, fields]) => [type, v.looseObject({...anyEvent.entries, ...fields})]),
);
const start = v.object({...positionSchema.entries, at: number, type: v.literal('start'), isResumed: flag});

/** Whether the value is an event: of a known type with its fields, or of a newer node. */
export function isEvent(value: unknown): boolean {
	if (!v.is(anyEvent, value) || value.type === 'start') return false;
	const schema = events.get(value.type);
	return schema === undefined || v.is(schema, value);
}

/** Whether the value is the start of a topic in a tracked stream. */
export function isStart(value: unknown): boolean {
	return v.is(start, value);
}
