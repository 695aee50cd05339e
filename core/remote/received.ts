/**
Validation of the frames of a node, which may be faulty or malicious. `undefined` for a frame that violates the
protocol.
*/
import * as v from 'valibot';
import type {AccessReport} from '../access.ts';
import type {ChangedKey, KeysReport} from '../cluster-keys.ts';
import type {DeletedTopic, Published, TopicChange} from '../broker.ts';
import type {TrackedEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {SubscriptionStart} from '../position.ts';
import type {Snapshot} from '../snapshot.ts';
import {id, isEvent, isStart, key, keyId, number, text, whole, word} from './event-schema.ts';
import {currentEvent, currentSnapshot} from './older.ts';
import {withoutControls} from './plain-text.ts';
import {decodeFrame, startsSchema, type Answer} from './protocol.ts';
import {snapshotSchema} from './snapshot-schema.ts';

/** Characters of an error of the node that are kept. */
const messageMax = 4000;

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
	typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): value is string => typeof value === 'string';
/** Whether the value is absent or valid. */
const isMaybe = (value: unknown, is: (value: unknown) => boolean): boolean =>
	value === undefined || value === null || is(value);

export function receiveAnswer(frame: Uint8Array): Answer | undefined {
	const body = withoutControls(decodeFrame(frame));
	if (!isObject(body) || !isId(body['id'])) return undefined;
	const {error, dropped, ended} = body;
	const isError = (value: unknown): boolean => isObject(value) && isText(value['code']) && isText(value['message']);
	if (!isMaybe(error, isError) || !isMaybe(dropped, isId) || !isMaybe(ended, value => typeof value === 'boolean'))
		return undefined;
	const answer = body as Answer;
	const {code = '', message = ''} = answer.error ?? {};
	return message.length <= messageMax
		? answer
		: {...answer, error: {code, message: `${message.slice(0, messageMax)}…`}};
}

/** The starts of a tracked subscription; `undefined` when the node does not report them. */
export function startsOf(value: unknown): readonly SubscriptionStart[] | undefined {
	const parsed = v.safeParse(startsSchema, value);
	return parsed.success ? parsed.output : undefined;
}

export function receiveEvents(
	frame: Uint8Array,
): {readonly id: number; readonly events: readonly TrackedEvent[]} | undefined {
	const body = withoutControls(decodeFrame(frame));
	if (!Array.isArray(body)) return undefined;
	const [stream, events] = body as unknown[];
	if (!isId(stream) || !Array.isArray(events) || !events.every(event => isEvent(event) || isStart(event)))
		return undefined;
	return {
		id: stream,
		events: (events as TrackedEvent[]).map(event => (event.type === 'start' ? event : currentEvent(event))),
	};
}

export function receiveSnapshot(frame: Uint8Array): {readonly id: number; readonly snapshot: Snapshot} | undefined {
	const body = withoutControls(decodeFrame(frame));
	if (!Array.isArray(body)) return undefined;
	const [stream, value] = body as unknown[];
	const snapshot = snapshotOf(value);
	return isId(stream) && snapshot ? {id: stream, snapshot} : undefined;
}

/** A snapshot of this release or the previous one. */
export function snapshotOf(value: unknown): Snapshot | undefined {
	return v.is(snapshotSchema, value) ? currentSnapshot(value as unknown as Snapshot) : undefined;
}

const publishedSchema = v.looseObject({origin: id, incarnation: whole, topic: text, firstSeq: whole, count: whole});
const deletedSchema = v.looseObject({messages: whole, missing: v.array(id)});
const accessSchema = v.looseObject({
	defaultRole: word,
	grants: v.array(v.looseObject({identity: key, role: word, name: text, topics: v.array(text)})),
	admitted: v.array(id),
	tokens: v.array(v.looseObject({hash: word, uses: whole, untilMs: number})),
	you: v.looseObject({identity: v.optional(key), isOwner: v.boolean(), role: word, topics: v.array(text)}),
});
const keyConnectionSchema = v.looseObject({key: keyId, kind: word, who: text, at: id});
const keysSchema = v.looseObject({
	keys: v.array(v.looseObject({id: keyId, state: word, sinceMs: number, usedBy: v.array(id)})),
	outdatedFiles: v.array(id),
	connections: v.array(keyConnectionSchema),
	away: v.array(id),
});
const changedKeySchema = v.looseObject({key: keyId, missing: v.array(id)});
const changeSchema = v.picklist(['created', 'changed', 'unchanged']);

/** Checks of the values of answers. */
export const values = {
	published: (value: unknown): value is Published => v.is(publishedSchema, value),
	deleted: (value: unknown): value is DeletedTopic => v.is(deletedSchema, value),
	change: (value: unknown): value is TopicChange => v.is(changeSchema, value),
	index: (value: unknown): value is number => v.is(whole, value),
	successor: (value: unknown): value is NodeId | null | undefined => v.is(v.nullish(id), value),
	access: (value: unknown): value is AccessReport => v.is(accessSchema, value),
	keys: (value: unknown): value is KeysReport => v.is(keysSchema, value),
	changedKey: (value: unknown): value is ChangedKey => v.is(changedKeySchema, value),
	/** The value is not used. */
	any: (_value: unknown): _value is void => true,
} as const;
