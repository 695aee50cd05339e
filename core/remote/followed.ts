/**
A `Broker` that fails over between servers. When its server is lost, it continues at another one: subscriptions after
the messages that they have read, snapshots and events with those of the present node. Requests while there is no server
fail at once, because only the caller knows whether they may be repeated.
*/
import {expectTopics} from '../broker-arguments.ts';
import type {
	Broker,
	DeletedTopic,
	FaultCommand,
	FollowedBroker,
	LinkNews,
	MessageBody,
	Published,
	SubscribeOptions,
	Subscription,
	TopicChange,
	TopicSettings,
} from '../broker.ts';
import type {RecordedEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {Snapshot} from '../snapshot.ts';
import {lostError, Reconnecting, type Connection, type ReconnectingOptions} from './reconnecting.ts';
import {Resumed} from './resumed.ts';

type EventOptions = {readonly messages?: boolean; readonly from?: 'now' | 'start'};

export class Followed implements FollowedBroker {
	readonly closed: Promise<string>;
	readonly #link: Reconnecting;
	readonly #wallMs: () => number;

	/** @param first the initial connection. */
	constructor(first: Connection, options: ReconnectingOptions & {readonly wallMs: () => number}) {
		this.#link = new Reconnecting(first, options);
		this.#wallMs = options.wallMs;
		this.closed = new Promise(resolve => {
			this.#link.onClose(() => resolve('closed here'));
		});
	}

	get server(): string {
		return this.#link.news.server;
	}

	onLink(listener: (news: LinkNews) => void): Disposable {
		return this.#link.onNews(listener);
	}

	subscribe(topics: readonly string[], {from = 'now'}: SubscribeOptions = {}): Subscription {
		return new Resumed(this.#link, expectTopics(topics), from);
	}

	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable {
		let watching = this.#link.current?.watch(onSnapshot);
		const news = this.#link.onNews(({state}) => {
			if (state !== 'connected') return;
			watching?.[Symbol.dispose]();
			watching = this.#link.current?.watch(onSnapshot);
		});
		return {
			[Symbol.dispose]() {
				news[Symbol.dispose]();
				watching?.[Symbol.dispose]();
			},
		};
	}

	/**
	Events of the connected node. After a failover, they continue with the events that the next node recorded meanwhile,
	by its clock, as far as it still has them.
	*/
	events(options: EventOptions = {}): AsyncGenerator<RecordedEvent> {
		const {current} = this.#link;
		return this.#eventsFrom(options, current, current?.events(options)); // Subscribe now, not at the first `next`.
	}

	async publish(topic: string, bodies: readonly MessageBody[]): Promise<Published> {
		return this.#now().publish(topic, bodies);
	}

	async subscribeNode(topic: string): Promise<void> {
		await this.#now().subscribeNode(topic);
	}

	async unsubscribeNode(topic: string): Promise<void> {
		await this.#now().unsubscribeNode(topic);
	}

	async createTopic(
		topic: string,
		settings?: TopicSettings,
		options?: {readonly update?: boolean},
	): Promise<TopicChange> {
		return this.#now().createTopic(topic, settings, options);
	}

	async deleteTopic(topic: string, options?: {readonly force?: boolean}): Promise<DeletedTopic> {
		return this.#now().deleteTopic(topic, options);
	}

	async snapshot(): Promise<Snapshot> {
		return this.#now().snapshot();
	}

	async readIndex(): Promise<number> {
		return this.#now().readIndex();
	}

	async transferLeadership(to?: string): Promise<NodeId | undefined> {
		return this.#now().transferLeadership(to);
	}

	async removeMember(node: string): Promise<void> {
		await this.#now().removeMember(node);
	}

	async leave(): Promise<void> {
		await this.#now().leave();
	}

	async fault(command: FaultCommand): Promise<void> {
		await this.#now().fault(command);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#link[Symbol.asyncDispose]();
	}

	#now(): Broker {
		const {current} = this.#link;
		if (!current) throw lostError(this.#link);
		return current;
	}

	async *#eventsFrom(
		options: EventOptions,
		first: Connection | undefined,
		firstEvents: AsyncIterable<RecordedEvent> | undefined,
	): AsyncGenerator<RecordedEvent> {
		let expected = new Set<string>();
		let missed: readonly RecordedEvent[] = [];
		for (let connection = first, events = firstEvents; ;) {
			yield* missed;
			for await (const event of events ?? []) {
				if (expected.size > 0 && expected.delete(keyOf(event))) continue;
				yield event;
			}

			const lostMs = this.#wallMs();
			connection = await this.#link.connection(connection);
			if (!connection) return;
			// Subscribe before the snapshot: events between the two are in both, and the second copy is skipped.
			events = connection.events({...options, from: 'now'});
			missed = await since(connection, lostMs);
			expected = new Set(missed.map(event => keyOf(event)));
			// Offsets are local to a node, so the messages in between cannot be counted.
			if (options.messages)
				missed = [
					...missed,
					{
						at: this.#wallMs(),
						type: 'warning',
						text: 'messages delivered while no node was reachable are not shown here',
					},
				];
		}
	}
}

/** Events that the node recorded since then; none when it is lost again. */
async function since(connection: Connection, lostMs: number): Promise<readonly RecordedEvent[]> {
	try {
		const {events} = await connection.snapshot();
		return events.filter(({at, type}) => at >= lostMs && type !== 'message');
	} catch {
		return []; // The event stream ends too, and is retried.
	}
}

function keyOf(event: RecordedEvent): string {
	return event.type === 'message' ? '' : JSON.stringify(event);
}
