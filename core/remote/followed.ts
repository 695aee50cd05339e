/**
A `Broker` that fails over between servers. When its server is lost, it continues at another one: subscriptions and
streams of events after the messages that they have read, snapshots with those of the present node. Requests while there
is no server fail at once, because only the caller knows whether they may be repeated.
*/
import {expectTopicCount, expectTopics} from '../broker-arguments.ts';
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
import type {AccessChange, AccessReport} from '../access.ts';
import type {ChangedKey, KeyRequest, KeysReport} from '../cluster-keys.ts';
import type {RecordedEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {Snapshot} from '../snapshot.ts';
import {lostError, Reconnecting, type Connection, type ReconnectingOptions} from './reconnecting.ts';
import {resumedEvents, type ResumedOptions} from './resumed-events.ts';
import {Resumed} from './resumed.ts';

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
		const names = expectTopics(topics);
		expectTopicCount(names.length);
		return new Resumed(this.#link, names, from);
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

	events(options: ResumedOptions = {}): AsyncGenerator<RecordedEvent> {
		return resumedEvents(this.#link, options, this.#wallMs);
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

	async access(): Promise<AccessReport> {
		return this.#now().access();
	}

	async keys(): Promise<KeysReport> {
		return this.#now().keys();
	}

	async changeKeys(request: KeyRequest): Promise<ChangedKey> {
		return this.#now().changeKeys(request);
	}

	async changeAccess(change: AccessChange): Promise<void> {
		await this.#now().changeAccess(change);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#link[Symbol.asyncDispose]();
	}

	#now(): Broker {
		const {current} = this.#link;
		if (!current) throw lostError(this.#link);
		return current;
	}
}
