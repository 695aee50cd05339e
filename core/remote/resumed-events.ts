/**
A stream of events that survives its server. It continues with the events that the next node recorded meanwhile, by its
clock, as far as it still has them. Messages continue after those that were read, in the topics to which both nodes
subscribe; each comes once.
*/
import type {EventOptions} from '../broker.ts';
import type {RecordedEvent, TopicStart, TrackedEvent} from '../events.ts';
import type {Message, Topic} from '../message.ts';
import {topicText} from '../observe/topic-text.ts';
import type {TopicSnapshot} from '../snapshot.ts';
import {Positions, topicsMax} from './positions.ts';
import type {Connection, Reconnecting} from './reconnecting.ts';

export type ResumedOptions = EventOptions & {
	/** Messages of these topics only. @default all topics of the node */
	readonly topics?: readonly string[];
};

/** Numbers of messages in `missed` events that no gap explained yet; the oldest is dropped. */
const reportedMax = 1024;

/**
@param link the connections; the stream of the present one opens at once, not at the first `next`
@param wallMs the wall clock in milliseconds
*/
export function resumedEvents(
	link: Reconnecting,
	options: ResumedOptions,
	wallMs: () => number,
): AsyncGenerator<RecordedEvent> {
	const first = link.current;
	const messages = new ResumedMessages(wallMs, options.topics);
	const open = (connection: Connection | undefined): AsyncIterable<TrackedEvent> | undefined =>
		// `from: 'start'` is for the own feed of a node, which is not followed.
		options.messages && options.from !== 'start'
			? connection?.trackedEvents(messages.connect())
			: connection?.events({messages: options.messages ?? false, from: options.from ?? 'now'});
	return follow(link, first, open(first), open, messages, wallMs);
}

async function* follow(
	link: Reconnecting,
	first: Connection | undefined,
	firstEvents: AsyncIterable<TrackedEvent> | undefined,
	open: (connection: Connection) => AsyncIterable<TrackedEvent> | undefined,
	messages: ResumedMessages,
	wallMs: () => number,
): AsyncGenerator<RecordedEvent> {
	let expected = new Set<string>();
	let meanwhile: readonly RecordedEvent[] = [];
	for (let connection = first, events = firstEvents; ;) {
		for (const event of meanwhile) yield* messages.of(event);
		for await (const event of events ?? []) {
			if (expected.size > 0 && expected.delete(keyOf(event))) continue;
			yield* messages.of(event);
		}

		const lostMs = wallMs();
		connection = await link.connection(connection);
		if (!connection) return;
		// Subscribe before the snapshot: events between the two are in both, and the second copy is skipped.
		events = open(connection);
		const snapshot = await connection.snapshot().catch(() => undefined); // If lost again, the stream ends too.
		yield* messages.missing(snapshot?.topics ?? []);
		meanwhile = (snapshot?.events ?? []).filter(({at, type}) => at >= lostMs && type !== 'message');
		expected = new Set(meanwhile.map(event => keyOf(event)));
	}
}

/** Which messages of the nodes, one after the other, are new to the reader. */
export class ResumedMessages {
	readonly #positions = new Positions();
	readonly #wallMs: () => number;
	readonly #wanted: ReadonlySet<string> | undefined;
	/** Topics that were read. */
	readonly #topics = new Set<Topic>();
	/** Those whose start was reported, so that they can continue elsewhere. */
	readonly #tracked = new Set<Topic>();
	/** Topics that the present node has to resume. */
	#unresumed = new Set<Topic>();
	/** Messages that a node reported as missed, by topic and origin. */
	readonly #reported = new Map<string, number>();
	#connections = 0;

	/** @param wanted the topics that are read; all when undefined */
	constructor(wallMs: () => number, wanted?: readonly string[]) {
		this.#wallMs = wallMs;
		this.#wanted = wanted && new Set(wanted);
	}

	/** Begins the stream of another node. Returns the positions to ask it for; `undefined` for the first node. */
	connect(): ReturnType<Positions['after']> | undefined {
		if (this.#connections++ === 0) return undefined;
		this.#unresumed = new Set(this.#topics);
		return this.#positions.after().filter(({topic}) => this.#tracked.has(topic));
	}

	/** A warning if the present node does not subscribe to topics that were read so far. */
	*missing(topics: ReadonlyArray<Pick<TopicSnapshot, 'name' | 'subscribed'>>): Generator<RecordedEvent> {
		if (topics.length === 0) return;
		const lacking = [...this.#topics].filter(
			topic => !topics.some(({name, subscribed}) => name === topic && subscribed),
		);
		if (lacking.length === 0) return;
		const names = lacking.map(topic => topicText(topic)).join(', ');
		const text = `the node does not subscribe to ${names}: their messages are not printed until it does`;
		yield {at: this.#wallMs(), type: 'warning', text};
	}

	/** The events that the reader gets for this one. */
	*of(event: TrackedEvent): Generator<RecordedEvent> {
		switch (event.type) {
			case 'start':
				if (this.#isWanted(event.topic)) yield* this.#start(event);
				break;
			case 'message':
				if (this.#isWanted(event.message.topic)) yield* this.#message(event, event.message);
				break;
			case 'lagged':
				// At a later node, the messages show themselves as a gap in the numbers, like those lost meanwhile.
				if (this.#connections === 1 || this.#tracked.size === 0) yield event;
				break;
			case 'missed':
				if (this.#connections > 1) this.#report(`${event.origin} ${event.topic}`, event.messages);
				yield event;
				break;
			default:
				yield event;
		}
	}

	#isWanted(topic: Topic): boolean {
		return this.#wanted === undefined || this.#wanted.has(topic);
	}

	*#start({topic, since, streams, isResumed}: TopicStart): Generator<RecordedEvent> {
		const isExpected = this.#unresumed.delete(topic);
		if (!isExpected || !this.#tracked.has(topic)) this.#positions.begin([{topic, since, streams}]);
		addBounded(this.#topics, topic);
		addBounded(this.#tracked, topic);
		if (isExpected && !isResumed) yield this.#gapWarning();
	}

	*#message(event: RecordedEvent, message: Message): Generator<RecordedEvent> {
		addBounded(this.#topics, message.topic);
		if (this.#connections === 1) {
			this.#positions.note([message]);
			yield event;
			return;
		}

		// A node of an earlier release reports no start and begins at its newest message.
		if (this.#unresumed.delete(message.topic)) yield this.#gapWarning();
		const before = this.#positions.missed;
		const isNew = this.#positions.filterUnread([message]).length > 0;
		const missed = this.#unreported(`${message.origin} ${message.topic}`, this.#positions.missed - before);
		if (missed > 0) yield {at: this.#wallMs(), type: 'lagged', dropped: missed};
		if (isNew) yield event;
	}

	#gapWarning(): RecordedEvent {
		const text = 'messages delivered while no node was reachable may be missing here';
		return {at: this.#wallMs(), type: 'warning', text};
	}

	#report(stream: string, messages: number): void {
		this.#reported.set(stream, (this.#reported.get(stream) ?? 0) + messages);
		if (this.#reported.size <= reportedMax) return;
		const [oldest] = this.#reported.keys();
		this.#reported.delete(oldest!);
	}

	/** The messages of a gap that no `missed` event reported. */
	#unreported(stream: string, gap: number): number {
		const reported = this.#reported.get(stream);
		if (gap === 0 || reported === undefined) return gap;
		if (reported > gap) this.#reported.set(stream, reported - gap);
		else this.#reported.delete(stream);
		return Math.max(0, gap - reported);
	}
}

/** Forgets the oldest topic at the bound. */
function addBounded(topics: Set<Topic>, topic: Topic): void {
	if (topics.has(topic)) return;
	if (topics.size >= topicsMax) {
		const [oldest] = topics;
		topics.delete(oldest!);
	}

	topics.add(topic);
}

function keyOf(event: TrackedEvent): string {
	return event.type === 'message' ? '' : JSON.stringify(event);
}
