/**
Validation of the frames of a node, which may be faulty or malicious. `undefined` for a frame that violates the
protocol.
*/
import * as v from 'valibot';
import type {TrackedEvent} from '../events.ts';
import type {SubscriptionStart} from '../position.ts';
import type {Snapshot} from '../snapshot.ts';
import {currentEvent, currentSnapshot} from './older.ts';
import {decodeFrame, positionSchema, startsSchema, type Answer} from './protocol.ts';

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
	typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): value is string => typeof value === 'string';
/** Whether the value is absent or valid. */
const isMaybe = (value: unknown, is: (value: unknown) => boolean): boolean =>
	value === undefined || value === null || is(value);

export function receiveAnswer(frame: Uint8Array): Answer | undefined {
	const body = decodeFrame(frame);
	if (!isObject(body) || !isId(body['id'])) return undefined;
	const {error, dropped, ended} = body;
	const isError = (value: unknown): boolean => isObject(value) && isText(value['code']) && isText(value['message']);
	if (!isMaybe(error, isError) || !isMaybe(dropped, isId) || !isMaybe(ended, value => typeof value === 'boolean'))
		return undefined;
	return body as Answer;
}

/** The starts of a tracked subscription; `undefined` when the node does not report them. */
export function startsOf(value: unknown): readonly SubscriptionStart[] | undefined {
	const parsed = v.safeParse(startsSchema, value);
	return parsed.success ? parsed.output : undefined;
}

export function receiveEvents(
	frame: Uint8Array,
): {readonly id: number; readonly events: readonly TrackedEvent[]} | undefined {
	const body = decodeFrame(frame);
	if (!Array.isArray(body)) return undefined;
	const [id, events] = body as unknown[];
	if (!isId(id) || !Array.isArray(events) || !events.every(event => isEvent(event) || isStart(event)))
		return undefined;
	return {
		id,
		events: (events as TrackedEvent[]).map(event => (event.type === 'start' ? event : currentEvent(event))),
	};
}

export function receiveSnapshot(frame: Uint8Array): {readonly id: number; readonly snapshot: Snapshot} | undefined {
	const body = decodeFrame(frame);
	if (!Array.isArray(body)) return undefined;
	const [id, value] = body as unknown[];
	const snapshot = snapshotOf(value);
	return isId(id) && snapshot ? {id, snapshot} : undefined;
}

const texts = ['version', 'cluster', 'clusterId', 'self', 'address', 'phase', 'detail'];
const numbers = ['atMs', 'uptimeMs', 'lamport'];
/** Lists of objects, and the text fields of each. */
const lists: Readonly<Record<string, readonly string[]>> = {
	members: ['id', 'address', 'state', 'why'],
	topics: ['name'],
	feed: ['topic', 'origin'],
	events: ['type'],
};

/** A snapshot of this release or the previous one. */
export function snapshotOf(value: unknown): Snapshot | undefined {
	if (!isObject(value)) return undefined;
	const {raft, partition, gossip, counters, insecure, faults} = value;
	if (!texts.every(name => isText(value[name])) || !numbers.every(name => typeof value[name] === 'number'))
		return undefined;
	if (!isObject(raft) || !Array.isArray(raft['voters']) || !Array.isArray(raft['learners']) || !isText(raft['role']))
		return undefined;
	if (
		!isObject(partition) ||
		!Array.isArray(partition['sides']) ||
		!Array.isArray(partition['order']) ||
		!Array.isArray(partition['sees'])
	)
		return undefined;
	if (!isObject(gossip) || !isObject(counters) || !isObject(counters['rejected']) || !isObject(counters['bounds']))
		return undefined;
	if (![insecure, faults].every(list => Array.isArray(list) && list.every(text => isText(text)))) return undefined;
	for (const [name, fields] of Object.entries(lists)) {
		const list = value[name];
		if (!Array.isArray(list) || !list.every(item => isObject(item) && fields.every(field => isText(item[field]))))
			return undefined;
	}

	if (!(value['topics'] as Fields[]).every(({subscribers}) => Array.isArray(subscribers))) return undefined;
	if (!(value['events'] as unknown[]).every(event => isEvent(event))) return undefined;
	return currentSnapshot(value as unknown as Snapshot);
}

const startSchema = v.object({
	...positionSchema.entries,
	at: v.number(),
	type: v.literal('start'),
	isResumed: v.boolean(),
});

function isStart(value: unknown): boolean {
	return v.is(startSchema, value);
}

/** A message must have a topic, an origin and bytes; other fields of an event are only shown to people. */
function isEvent(value: unknown): boolean {
	if (!isObject(value) || !isText(value['type']) || typeof value['at'] !== 'number') return false;
	if (value['type'] !== 'message') return value['type'] !== 'start';
	const {message} = value;
	return (
		isObject(message) &&
		isText(message['topic']) &&
		isText(message['origin']) &&
		isId(message['seq']) &&
		isId(message['incarnation']) &&
		typeof message['lamport'] === 'number' &&
		message['body'] instanceof Uint8Array
	);
}
