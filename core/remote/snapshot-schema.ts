/**
The snapshot of a node, as its clients check it: everything that they show or count has its type. Fields of newer nodes
pass. Fields that older nodes lack are optional; `older.ts` fills them in.
*/
import * as v from 'valibot';
import {bytes, id, isEvent, keyId, maybe, number, text, word} from './event-schema.ts';

const flag = v.boolean();
const ids = v.array(id);
const counts = v.record(v.string(), number);
const rates = v.looseObject({published: number, delivered: number, stored: number, bytes: number});

/** Checked without a schema: in a large cluster there are very many. */
const isFlags = (row: unknown): boolean =>
	Array.isArray(row) && row.every(item => item === undefined || typeof item === 'boolean');

const member = v.looseObject({
	id,
	name: maybe(text),
	address: text,
	state: word,
	why: text,
	cause: maybe(text),
	voter: flag,
	self: flag,
	rttMs: maybe(number),
	heardMsAgo: maybe(number),
	downMs: maybe(number),
	link: word,
	queuedBytes: number,
	match: maybe(number),
	incarnation: number,
	reached: maybe(flag),
	via: maybe(id),
	version: maybe(text),
	protocol: maybe(number),
});

const topic = v.looseObject({
	name: text,
	durable: flag,
	created: maybe(flag),
	retention: maybe(v.looseObject({retainAgeS: number, retainBytes: number})),
	settings: maybe(v.looseObject({retainAgeS: maybe(number), retainBytes: maybe(number)})),
	subscribers: ids,
	subscribed: flag,
	messages: number,
	bytes: number,
	missing: maybe(number),
	delivered: number,
	perSecond: number,
	rates: maybe(rates),
	held: number,
	lastLamport: number,
});

const feed = v.looseObject({
	topic: text,
	origin: id,
	incarnation: number,
	seq: number,
	lamport: number,
	sentAtMs: number,
	size: number,
	preview: bytes,
	hops: number,
	repaired: flag,
});

const raft = v.looseObject({
	role: word,
	term: number,
	leader: maybe(id),
	vote: maybe(id),
	votes: ids,
	commit: number,
	applied: number,
	lastIndex: number,
	snapshotIndex: number,
	voters: ids,
	learners: ids,
	isPromoting: maybe(flag),
	reachableVoters: number,
	quorum: maybe(v.picklist(['held', 'electing', 'lost'])),
	hasQuorum: flag,
	pending: number,
	leaders: maybe(
		v.pipe(
			v.array(v.looseObject({type: v.literal('leader')})),
			v.check(list => list.every(event => isEvent(event))),
		),
	),
});

const partition = v.looseObject({
	state: word,
	sides: v.array(ids),
	quorum: number,
	isFarHeard: maybe(flag),
	sinceMs: number,
	detectedMs: maybe(number),
	healedMs: maybe(number),
	repairedMs: maybe(number),
	backlog: number,
	waiting: number,
	waitingFor: maybe(v.array(v.looseObject({id, messages: number}))),
	order: ids,
	sees: v.custom<unknown[][]>(value => Array.isArray(value) && value.every(row => isFlags(row))),
});

const counters = v.looseObject({
	published: number,
	delivered: number,
	deleted: maybe(v.looseObject({age: number, size: number, disk: number, topic: maybe(number), unread: number})),
	rates: maybe(rates),
	receivedBytes: number,
	sentBytes: number,
	rejected: counts,
	ignored: maybe(counts),
	bounds: counts,
	boundsAtMs: maybe(counts),
	boundsBy: maybe(v.record(v.string(), v.array(v.looseTuple([text, number])))),
	clientNames: maybe(v.record(v.string(), text)),
});

export const snapshotSchema = v.looseObject({
	atMs: number,
	version: text,
	protocol: maybe(number),
	cluster: text,
	clusterId: text,
	self: id,
	address: text,
	name: maybe(text),
	uptimeMs: number,
	lamport: number,
	keys: maybe(
		v.looseObject({
			active: keyId,
			valid: v.array(keyId),
			file: word,
			secretFile: text,
			wrong: v.array(v.looseObject({key: keyId, state: word, address: text, msAgo: number})),
		}),
	),
	phase: word,
	detail: text,
	insecure: v.array(text),
	raft,
	members: v.array(member),
	topics: v.array(topic),
	topicSlots: maybe(v.looseObject({used: number, max: number})),
	fullDisk: maybe(text),
	partition,
	cuts: maybe(
		v.array(
			v.looseObject({
				between: v.tuple([id, id]),
				what: word,
				forMs: number,
				via: maybe(id),
				blamed: ids,
			}),
		),
	),
	gossip: v.looseObject({
		fanout: number,
		duplicates: number,
		misses: number,
		held: number,
		missing: maybe(number),
		missingOf: maybe(v.array(v.looseObject({origin: id, messages: number}))),
		unsynced: maybe(number),
		unsubscribed: maybe(number),
	}),
	counters,
	feed: v.array(feed),
	events: v.pipe(
		v.array(v.unknown()),
		v.check(list => list.every(event => isEvent(event))),
	),
	foreign: maybe(v.array(v.looseObject({clusterId: text, address: text, heardMsAgo: number}))),
	duplicates: maybe(v.array(v.looseObject({id, address: text, other: text, msAgo: number}))),
	faults: v.array(text),
});
