/** Sentences about events, in the format of a log and in that of the console. */
import {expect, test} from 'vitest';
import type {NodeId, Topic} from '../../../core/message.ts';
import type {RecordedEvent} from '../../../core/events.ts';
import {eventText, type EventFormat} from '../../../core/observe/event-text.ts';

const [a, b, c] = ['aaaa', 'bbbb', 'cccc'] as [NodeId, NodeId, NodeId];
const topic = 'jobs' as Topic;
const duration = (ms: number): string => `${ms} ms`;
const log: EventFormat = {duration, count: String, nodesMax: Number.POSITIVE_INFINITY, previewBytes: 5};
const pane: EventFormat = {
	duration,
	count: value => value.toLocaleString('en-US'),
	nodesMax: 2,
	previewBytes: 0,
};
const body = new TextEncoder().encode('rain in Bern');
const message = {topic, origin: a, incarnation: 1, seq: 7, lamport: 9, sentAtMs: 0, body};

test.each<[Record<string, unknown> & {type: RecordedEvent['type']}, string, string?]>([
	[{type: 'member', id: a, address: 'x:1', state: 'down', why: 'refused'}, 'aaaa (x:1) is down: refused'],
	[{type: 'member', id: a, address: 'x:1', state: 'left', why: 'stopped'}, 'aaaa (x:1) has left'],
	[{type: 'voters', voters: [a, b, c]}, 'Voters: aaaa, bbbb, cccc', 'Voters: aaaa, bbbb and 1 more'],
	[{type: 'quorum', held: true, reachable: 2, voters: 3}, 'Quorum: 2 of 3 voters reachable'],
	[{type: 'quorum', held: false, state: 'electing', reachable: 2, voters: 3}, 'No leader: 2 of 3 voters reachable'],
	[{type: 'message', message}, 'jobs  aaaa #7  rain … (12 bytes)', 'jobs  aaaa #7'],
	[
		{type: 'partition', state: 'detected', sides: [[a, b, c], ['dddd']], quorum: 0, tookMs: 700},
		'Partition detected after 700 ms: aaaa, bbbb, cccc (quorum) | dddd',
		'Partition detected after 700 ms: aaaa, bbbb and 1 more (quorum) | dddd',
	],
	[
		{type: 'partition', state: 'detected', sides: [[a], [b], [c]], quorum: 0, tookMs: 700, isFarHeard: false},
		'No answer for 700 ms from bbbb, cccc; this side: aaaa (quorum)',
	],
	[
		{type: 'partition', state: 'healed', sides: [[a], [b]], quorum: -1, tookMs: 700},
		'Partition healed after 700 ms: aaaa | bbbb',
	],
	[
		{type: 'partition', state: 'healed', sides: [[a, b]], quorum: 0, gone: [c], tookMs: 700},
		'Partition healed after 700 ms: aaaa, bbbb (quorum); cccc is gone',
	],
	[
		{type: 'partition', state: 'ended', sides: [[a]], quorum: -1, gone: [b, c], tookMs: 700},
		'Partition ended after 700 ms: bbbb, cccc are gone; this side: aaaa',
	],
	[
		{type: 'partition', state: 'repaired', sides: [[a, b]], quorum: 0, tookMs: 700, messages: 1200},
		'Partition repaired after 700 ms: 1200 messages received',
		'Partition repaired after 700 ms: 1,200 messages received',
	],
	[
		{type: 'audit', action: 'subscribe-node', target: 'jobs', by: 'f'.repeat(64), address: 'x:1', outcome: 'done'},
		'ffffffffffff (x:1) requested: subscribe the node (jobs)',
	],
	[
		{
			type: 'audit',
			action: 'publish',
			target: 'jobs',
			by: '',
			address: 'x:1',
			outcome: 'failed',
			reason: 'no',
			count: 3,
		},
		'No identity (x:1) requested: publish (jobs); failed 3 times: no',
	],
	[{type: 'missed', topic, origin: a, messages: 1}, '1 message of aaaa in jobs is lost for good'],
	[{type: 'missed', topic: 'my jobs', origin: a, messages: 2}, '2 messages of aaaa in "my jobs" are lost for good'],
	[
		{type: 'missed', topic, origin: a, messages: 20, cause: 'retention'},
		'20 messages of aaaa in jobs were deleted by retention before this node got them',
	],
	[
		{type: 'refilled', topic, messages: 1, missing: 0},
		'jobs: 1 damaged message restored from other nodes, none missing',
	],
	[
		{type: 'refilled', topic, messages: 4, missing: 2},
		'jobs: 4 damaged messages restored from other nodes, 2 still missing',
	],
	[{type: 'lagged', dropped: 1}, 'A reader is too slow: 1 event was dropped'],
	[
		{type: 'discovered', cluster: 'x', clusterId: '0123456789', address: 'z:1', foreign: true},
		'Another cluster named x (01234567) is at z:1; it is not merged',
	],
	[{type: 'fault', text: 'cut\u001B[2J'}, 'Injected faults: cut␛[2J'],
])('the event %j has its sentence', (event, inLog, inPane = inLog) => {
	const recorded = {at: 0, ...event} as unknown as RecordedEvent;
	expect(eventText(recorded, log).text).toBe(inLog);
	expect(eventText(recorded, pane).text).toBe(inPane);
});

test('the text of an unknown event is its type, also if that is a word of JavaScript', () => {
	for (const type of ['eclipse', 'constructor', '__proto__'])
		expect(eventText({at: 0, type} as unknown as RecordedEvent, log)).toEqual({text: type, tone: 'muted'});
});

test('nodes have the names that the event carries', () => {
	const event: RecordedEvent = {at: 0, type: 'subscribed', topic, node: a, names: {[a]: 'berlin'}};
	expect(eventText(event, log)).toEqual({text: 'berlin subscribed to jobs', tone: 'plain'});
});
