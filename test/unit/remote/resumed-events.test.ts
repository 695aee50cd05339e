/** Streams of events with messages that continue at another node. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {RecordedEvent, TrackedEvent} from '../../../core/events.ts';
import type {Message, NodeId, Topic} from '../../../core/message.ts';
import {Seen, type TopicPosition} from '../../../core/position.ts';
import {Reconnecting, type Connection} from '../../../core/remote/reconnecting.ts';
import {resumedEvents} from '../../../core/remote/resumed-events.ts';
import {createRandom} from '../../sim/random.ts';

const topic = 'news' as Topic;
const origins = ['a', 'b', 'c'].map(letter => letter.repeat(16) as NodeId);

const message = (origin: number, seq: number): Message => ({
	topic,
	origin: origins[origin]!,
	incarnation: 1,
	seq,
	lamport: seq * 10 + origin,
	sentAtMs: 0,
	body: new Uint8Array(),
});
const messages = (from: number, to: number): Message[] =>
	Array.from({length: to - from + 1}, (_, index) => message(0, from + index));
const idOf = ({origin, seq}: Message): string => `${origin.slice(0, 1)}${seq}`;
const textOf = (event: RecordedEvent): string => {
	if (event.type === 'message') return idOf(event.message);
	if (event.type === 'lagged') return `lagged ${event.dropped}`;
	return event.type === 'warning' ? event.text : event.type;
};

/** A node that subscribes to the topic, with a log in its own order. */
class Node {
	readonly log: Message[] = [];
	isSubscribed = true;
	/** Reports starts and understands positions; a node of an earlier release does neither. */
	isCurrent = true;

	constructor(...log: readonly Message[]) {
		this.log.push(...log);
	}

	/** Receives some of the next messages of each stream, in a random order. */
	grow(perStream: number, count: number, seed: number): void {
		const random = createRandom(seed);
		const next = origins.map(origin => this.log.filter(one => one.origin === origin).length + 1);
		for (let grown = 0; grown < count; grown++) {
			const open = next.flatMap((seq, origin) => (seq <= perStream ? [origin] : []));
			if (open.length === 0) return;
			const origin = random.pick(open);
			this.log.push(message(origin, next[origin]!++));
		}
	}

	/** The start of its stream, as offset in the log and as event. */
	begin(after: TopicPosition | undefined): {readonly offset: number; readonly start: TrackedEvent} {
		const seen = after && new Seen(after);
		const fresh = this.log.findIndex(one => seen?.isFresh(one.origin, one.incarnation, one.seq, one.lamport));
		const offset = fresh < 0 ? this.log.length : fresh;
		const before = new Seen();
		for (const {origin, incarnation, seq} of this.log.slice(0, offset)) before.note(origin, incarnation, seq);
		const position = after ?? {topic, since: 0, streams: before.streams()};
		return {offset, start: {at: 0, type: 'start', ...position, isResumed: after !== undefined}};
	}
}

/** A connection: the messages that the node receives after its stream began, and its events until the loss. */
type Step = {
	readonly node: Node;
	readonly during?: (node: Node) => void;
	readonly most?: number;
	readonly events?: readonly RecordedEvent[];
};

function connectionOf({node, during, most = Infinity, events = []}: Step, server: string): Connection {
	const lost = Promise.withResolvers<string>();
	return {
		server,
		closed: lost.promise,
		trackedEvents(after?: readonly TopicPosition[]): AsyncIterable<TrackedEvent> {
			const {offset, start} = node.begin(node.isCurrent ? after?.[0] : undefined);
			during?.(node);
			const given = node.isSubscribed ? node.log.slice(offset, offset + most) : [];
			return (async function* () {
				if (node.isCurrent && node.isSubscribed) yield start;
				yield* events;
				for (const one of given) yield {at: 0, type: 'message', message: one};
				lost.resolve('it was killed');
			})();
		},
		snapshot: async () => ({events: [], topics: [{name: topic, subscribed: node.isSubscribed}]}),
		[Symbol.asyncDispose]: async () => lost.resolve('closed here'),
	} as unknown as Connection;
}

/** The events of a reader that uses these connections, one after the other. */
function read(...steps: readonly Step[]): Promise<string[]> {
	return readTopics(undefined, ...steps);
}

/** @param topics the topics that are read; all when undefined */
async function readTopics(topics: readonly string[] | undefined, ...steps: readonly Step[]): Promise<string[]> {
	const [first, ...left] = steps;
	const link = new Reconnecting(connectionOf(first!, 'node 0'), {
		async connect() {
			const next = left.shift();
			if (next) return connectionOf(next, `node ${steps.length - left.length}`);
			await link[Symbol.asyncDispose]();
			throw new Error('no node is left');
		},
		pause: async () => undefined,
		probe: () => ({[Symbol.dispose]() {}}),
		nowMs: () => 0,
		random: {below: () => 0},
	});
	const got: string[] = [];
	for await (const event of resumedEvents(link, {messages: true, ...(topics && {topics})}, () => 0))
		got.push(textOf(event));
	return got;
}

describe('events with messages, which continue at another node', () => {
	const hop = fc.record({node: fc.nat(2), count: fc.nat(15), most: fc.nat(20), seed: fc.nat()});
	test('return every message after the start once, in the order of its stream', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.tuple(fc.nat(), fc.nat(), fc.nat()),
				fc.nat(20),
				hop,
				fc.array(hop, {maxLength: 6}),
				async (seeds, before, first, hops) => {
					const perStream = 12;
					const nodes = seeds.map(seed => {
						const node = new Node();
						node.grow(perStream, before, seed);
						return node;
					});
					const start = new Set(nodes[0]!.log.map(one => idOf(one)));
					const last = {node: 1, count: Infinity, most: Infinity, seed: 1};
					const got = await read(
						...[{...first, node: 0}, ...hops, last].map(({node, count, most, seed}) => ({
							node: nodes[node]!,
							during: (growing: Node) => growing.grow(perStream, count, seed),
							most,
						})),
					);
					const wanted = origins.flatMap((_, origin) =>
						Array.from({length: perStream}, (__, index) => idOf(message(origin, index + 1))),
					);
					expect(got.toSorted()).toEqual(wanted.filter(id => !start.has(id)).toSorted());
					for (const ids of Map.groupBy(got, id => id.slice(0, 1)).values())
						expect(ids).toEqual(ids.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1))));
				},
			),
			{numRuns: 300},
		);
	});

	const arrive =
		(...list: readonly Message[]) =>
		(node: Node): void =>
			void node.log.push(...list);
	const fresh = (from: number, to: number): Step => ({node: new Node(), during: arrive(...messages(from, to))});

	test('count messages that the next node has deleted as lagged', async () => {
		expect(await read(fresh(1, 3), fresh(7, 8))).toEqual(['a1', 'a2', 'a3', 'lagged 3', 'a7', 'a8']);
	});

	test('count messages that are reported as missed, or as lagged by the next node, only once', async () => {
		const missed: RecordedEvent = {at: 0, type: 'missed', topic, origin: origins[0]!, messages: 2};
		const lagged: RecordedEvent = {at: 0, type: 'lagged', dropped: 1};
		expect(await read(fresh(1, 3), {...fresh(7, 8), events: [missed, lagged]})).toEqual([
			'a1',
			'a2',
			'a3',
			'missed',
			'lagged 1',
			'a7',
			'a8',
		]);
	});

	test('warn of a node that does not subscribe to a topic that was read, and continue at the next one', async () => {
		const silent = new Node();
		silent.isSubscribed = false;
		expect(await read(fresh(1, 2), {node: silent}, {node: new Node(...messages(1, 4))})).toEqual([
			'a1',
			'a2',
			'the node does not subscribe to news: their messages are not printed until it does',
			'a3',
			'a4',
		]);
	});

	test('say nothing of topics that are not read', async () => {
		const silent = new Node();
		silent.isSubscribed = false;
		expect(await readTopics(['other'], fresh(1, 2), {node: silent}, {node: new Node(...messages(1, 4))})).toEqual(
			[],
		);
	});

	test('warn of a node of an earlier release, which begins at its newest message', async () => {
		const older = new Node(...messages(1, 4));
		older.isCurrent = false;
		expect(await read(fresh(1, 2), {node: older, during: arrive(...messages(5, 6))})).toEqual([
			'a1',
			'a2',
			'messages delivered while no node was reachable may be missing here',
			'lagged 2',
			'a5',
			'a6',
		]);
	});

	test('follow a node of an earlier release, then one of this release, without repeated messages', async () => {
		const older = new Node();
		older.isCurrent = false;
		const next = new Node(...messages(1, 3));
		expect(
			await read({node: older, during: arrive(...messages(1, 2))}, {node: next, during: arrive(message(0, 4))}),
		).toEqual(['a1', 'a2', 'messages delivered while no node was reachable may be missing here', 'a4']);
	});
});
