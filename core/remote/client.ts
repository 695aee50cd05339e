/**
The client's end of the remote protocol: a `Broker` over a pipe. When the pipe closes, all pending requests fail with
the reason, and `closed` resolves. Frames of the node are validated and bounded by the granted credit; a node that
violates the protocol is disconnected.
*/
import type {AccessChange, AccessReport} from '../access.ts';
import type {ChangedKey, KeyRequest, KeysReport} from '../cluster-keys.ts';
import {expectBodies, expectNodeId, expectTopic, expectTopicCount, expectTopics} from '../broker-arguments.ts';
import {
	leftReason,
	type Broker,
	type DeletedTopic,
	type FaultCommand,
	type MessageBody,
	type Published,
	type Subscription,
	type TopicChange,
	type TopicSettings,
} from '../broker.ts';
import {DeliveryQueue} from '../data/delivery.ts';
import {normalizeTopic, topicNamed} from '../data/topic-named.ts';
import {DapssError, exitCodes, type ErrorCode} from '../errors.ts';
import type {RecordedEvent, TrackedEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import {positionsMax, type TopicPosition} from '../position.ts';
import type {Snapshot} from '../snapshot.ts';
import {CreditWindow, type StreamCredit} from './credit.ts';
import {EventQueue} from './event-queue.ts';
import {costOf} from './inflow.ts';
import {Outbox} from './outbox.ts';
import type {Pipe} from './pipe.ts';
import {
	decodeDelivery,
	encodeFrame,
	encodePublish,
	openMax,
	publishMessagesMax,
	remoteKinds,
	tooManyText,
	type Answer,
	type RequestBody,
} from './protocol.ts';
import {receiveAnswer, receiveEvents, receiveSnapshot, snapshotOf, startsOf, values} from './received.ts';
import type {RemoteSubscribeOptions} from './reconnecting.ts';
import {positionedBytesMax, requestBytesMax} from './request-size.ts';
import {SendWindow} from './send-window.ts';

export type RemoteOptions = {
	/** Bytes that the node may send beyond its credit; larger for nodes of an earlier release. @default 0 */
	readonly toleratedBytes?: number;
};

/** Bytes of a position on the wire, and of a topic besides its name. */
const positionBytes = 36;
const topicBytes = 64;

type Waiting = {readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void};
type Check<Value> = (value: unknown) => value is Value;
type Reading = {
	readonly queue: DeliveryQueue;
	readonly credit: StreamCredit;
	/** Also in the spelling of a node that normalizes names. */
	readonly topics: ReadonlySet<string>;
};

export class RemoteBroker implements Broker {
	readonly closed: Promise<string>;
	#lastId = 0;
	#why: string | undefined;
	readonly #pipe: Pipe;
	readonly #waiting = new Map<number, Waiting>();
	readonly #outbox: Outbox;
	readonly #publishing = new SendWindow();
	readonly #window: CreditWindow;
	readonly #deliveries = new Map<number, Reading>();
	readonly #snapshots = new Map<number, (snapshot: Snapshot) => void>();
	readonly #events = new Map<number, EventQueue>();

	constructor(pipe: Pipe, {toleratedBytes = 0}: RemoteOptions = {}) {
		this.#pipe = pipe;
		this.#outbox = new Outbox(pipe);
		this.#window = new CreditWindow(toleratedBytes);
		const {promise, resolve} = Promise.withResolvers<string>();
		this.closed = promise;
		pipe.onFrame = frame => this.#onFrame(frame);
		pipe.onClose = why => {
			this.#onClose(why);
			resolve(this.#why ?? why);
		};
	}

	async publish(name: string, messages: readonly MessageBody[]): Promise<Published> {
		const topic = topicNamed(name);
		const bodies = expectBodies(messages);
		if (bodies.length > publishMessagesMax) throw new DapssError('usage', tooManyText(bodies.length));
		const cost = costOf(bodies);
		return new Promise<Published>((resolve, reject) => {
			this.#publishing.enter(
				cost,
				() => {
					const id = this.#nextId();
					this.#ask(id, encodePublish(id, topic, bodies), values.published)
						.finally(() => this.#publishing.leave(cost))
						.then(resolve, reject);
				},
				reject,
			);
		});
	}

	subscribe(
		names: readonly string[],
		{from = 'now', after, isTracked = false, firstOffset, onSkipped}: RemoteSubscribeOptions = {},
	): Subscription {
		const topics = expectTopics(names);
		expectTopicCount(topics.length);
		const id = this.#nextId();
		const credit = this.#window.open(bytes => this.#notify({op: 'credit', stream: id, bytes}));
		// Tracked, so that the node reports the end of its log, which may be before the offset.
		const fromOffset = typeof from === 'number' && after === undefined ? from : undefined;
		const queue = new DeliveryQueue({
			agreed: this.#request(
				{
					op: 'subscribe',
					topics: [...topics],
					from,
					credit: credit.grant(),
					...(isTracked || fromOffset !== undefined ? {isTracked: true, ...this.#sent(after)} : {}),
				},
				values.any as Check<unknown>,
				id,
			).then(startsOf),
			firstOffset: firstOffset ?? (fromOffset === undefined ? undefined : () => fromOffset),
			onSkipped,
			onRoom: bytes => credit.read(bytes),
			onClose: () => {
				credit.close();
				this.#deliveries.delete(id);
				this.#notify({op: 'end', stream: id});
			},
		});
		this.#deliveries.set(id, {queue, credit, topics: new Set([...topics, ...topics.map(normalizeTopic)])});
		queue.agreed.catch((error: unknown) => queue.end(error as Error));
		return queue;
	}

	async subscribeNode(topic: string): Promise<void> {
		return this.#request({op: 'subscribe-node', topic: topicNamed(topic)}, values.any);
	}

	async unsubscribeNode(topic: string): Promise<void> {
		return this.#request({op: 'unsubscribe-node', topic: expectTopic(topic)}, values.any);
	}

	async createTopic(
		topic: string,
		settings: TopicSettings = {},
		{update = false}: {readonly update?: boolean} = {},
	): Promise<TopicChange> {
		return this.#request({op: 'create-topic', topic: topicNamed(topic), settings, update}, values.change);
	}

	async deleteTopic(topic: string, {force = false}: {readonly force?: boolean} = {}): Promise<DeletedTopic> {
		return this.#request({op: 'delete-topic', topic: expectTopic(topic), force}, values.deleted);
	}

	async snapshot(): Promise<Snapshot> {
		const snapshot = snapshotOf(await this.#request({op: 'snapshot'}, values.any));
		if (snapshot) return snapshot;
		throw this.#violated('its snapshot is malformed');
	}

	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable {
		const id = this.#nextId();
		this.#snapshots.set(id, snapshot => {
			onSnapshot(snapshot);
			this.#notify({op: 'next', stream: id});
		});
		this.#notify({op: 'watch'}, id);
		return {
			[Symbol.dispose]: () => {
				this.#snapshots.delete(id);
				this.#notify({op: 'end', stream: id});
			},
		};
	}

	events({
		messages = false,
		from = 'now',
	}: {readonly messages?: boolean; readonly from?: 'now' | 'start'} = {}): AsyncIterableIterator<RecordedEvent> {
		// A node reports starts of topics only when they are asked for.
		return this.#openEvents({messages, from}) as AsyncIterableIterator<RecordedEvent>;
	}

	trackedEvents(after?: readonly TopicPosition[]): AsyncIterableIterator<TrackedEvent> {
		return this.#openEvents({messages: true, isTracked: true, ...this.#sent(after)});
	}

	#openEvents(request: Omit<Extract<RequestBody, {op: 'events'}>, 'op' | 'credit'>): EventQueue {
		const id = this.#nextId();
		const credit = this.#window.open(bytes => this.#notify({op: 'credit', stream: id, bytes}));
		const queue = new EventQueue(credit, request.isTracked === true, () => {
			this.#events.delete(id);
			this.#notify({op: 'end', stream: id});
		});
		if (this.#why !== undefined) queue.end();
		this.#events.set(id, queue);
		this.#notify({op: 'events', ...request, credit: credit.grant()}, id);
		return queue;
	}

	readIndex(): Promise<number> {
		return this.#request({op: 'read-index'}, values.index);
	}

	async transferLeadership(to?: string): Promise<NodeId | undefined> {
		const successor = to === undefined ? {} : {to: expectNodeId(to)};
		return (await this.#request({op: 'transfer', ...successor}, values.successor)) ?? undefined;
	}

	async removeMember(node: string): Promise<void> {
		return this.#request({op: 'remove', node: expectNodeId(node)}, values.any);
	}

	async leave(): Promise<void> {
		try {
			await this.#request({op: 'leave'}, values.any);
		} catch (error) {
			// The node may stop before its answer is sent; then the reason of the close confirms it.
			if (this.#why !== leftReason) throw error;
		}
	}

	fault(command: FaultCommand): Promise<void> {
		return this.#request(
			{
				op: 'fault',
				command: command.type === 'cut' ? {...command, peers: [...command.peers]} : command,
			},
			values.any,
		);
	}

	access(): Promise<AccessReport> {
		return this.#request({op: 'access'}, values.access);
	}

	changeAccess(change: AccessChange): Promise<void> {
		return this.#request({op: 'change-access', change}, values.any);
	}

	keys(): Promise<KeysReport> {
		return this.#request({op: 'keys'}, values.keys);
	}

	changeKeys(request: KeyRequest): Promise<ChangedKey> {
		return this.#request({op: 'change-keys', change: request}, values.changedKey);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#why !== undefined) return;
		this.#pipe.close('closed here');
		await this.closed;
	}

	#onFrame(frame: Buffer): void {
		if (this.#why !== undefined) return;
		switch (frame[0]) {
			case remoteKinds.delivery: {
				const delivery = decodeDelivery(frame);
				if (!delivery) return void this.#violated('a delivery is malformed');
				const reading = this.#deliveries.get(delivery.stream);
				if (!reading) return; // Ended here, but the node does not know that yet.
				if (!reading.topics.has(delivery.item.batch.topic))
					return void this.#violated('it sent messages of a topic that was not asked for');
				if (!reading.credit.receive(delivery.item.batch.bytes.length))
					return void this.#violated('it sent more messages than its credit allows');
				return reading.queue.push([delivery.item]);
			}

			case remoteKinds.answer: {
				const answer = receiveAnswer(frame);
				return answer ? this.#onAnswer(answer) : void this.#violated('an answer is malformed');
			}

			case remoteKinds.snapshot: {
				const received = receiveSnapshot(frame);
				return received
					? this.#snapshots.get(received.id)?.(received.snapshot)
					: void this.#violated('a snapshot is malformed');
			}

			case remoteKinds.event: {
				const received = receiveEvents(frame);
				if (!received) return void this.#violated('an event is malformed');
				const queue = this.#events.get(received.id);
				if (queue && !queue.isTracked && received.events.some(({type}) => type === 'start'))
					return void this.#violated('an event was not asked for');
				if (queue && !queue.push(received.events, frame.length))
					this.#violated('it sent more events than its credit allows');
				return;
			}

			default: // A newer node may send other kinds; they are ignored.
		}
	}

	#onAnswer({id, value, error, dropped, ended}: Answer): void {
		const queue = this.#deliveries.get(id)?.queue;
		if (typeof dropped === 'number') {
			if (queue) queue.dropped += dropped;
			return;
		}

		if (ended) return this.#events.get(id)?.end();
		const waiting = this.#waiting.get(id);
		this.#waiting.delete(id);
		if (error) {
			const failure = new DapssError(
				Object.hasOwn(exitCodes, error.code) ? (error.code as ErrorCode) : 'failure',
				error.message,
			);
			waiting?.reject(failure);
			queue?.end(failure);
			this.#events.get(id)?.end(failure);
		} else waiting?.resolve(value);
	}

	/**
	Positions that would take much of a frame are not sent. The node then starts at the beginning, and the reader skips
	messages that it has.
	*/
	#sent(after: readonly TopicPosition[] | undefined): {
		readonly after?: Extract<RequestBody, {op: 'subscribe'}>['after'];
	} {
		if (!after) return {};
		let count = 0;
		let bytes = 0;
		for (const {topic, streams} of after) {
			count += streams.length + 1;
			bytes += streams.length * positionBytes + Buffer.byteLength(topic) + topicBytes;
		}

		if (
			count > positionsMax ||
			bytes > Math.min(this.#pipe.frameBytesMax / 2, positionedBytesMax - requestBytesMax)
		)
			return {};
		return {
			after: after.map(({topic, since, streams}) => ({
				topic,
				since,
				streams: streams.map(([origin, incarnation, seq]) => [origin, incarnation, seq]),
			})),
		};
	}

	/** The node violated the protocol, so none of its frames can be relied on. */
	#violated(what: string): DapssError {
		const why = `the node violates the protocol: ${what}`;
		this.#onClose(why);
		this.#pipe.close(why);
		return this.#lost();
	}

	#onClose(why: string): void {
		this.#why ??= why;
		const error = this.#lost();
		this.#outbox.clear();
		this.#publishing.close(error);
		for (const {reject} of this.#waiting.values()) reject(error);
		this.#waiting.clear();
		for (const {queue} of this.#deliveries.values()) queue.end(error);
		for (const queue of this.#events.values()) queue.end();
	}

	#lost(): DapssError {
		return new DapssError('closed', `The link to the node is gone: ${this.#why ?? ''}`);
	}

	#nextId(): number {
		this.#lastId = (this.#lastId + 1) % 0xff_ff_ff_ff;
		return this.#lastId;
	}

	/** Sends a request without an answer. A node that takes none must not make their number grow. */
	#notify(body: RequestBody, id = this.#nextId()): void {
		if (this.#why !== undefined) return;
		if (this.#outbox.waiting >= openMax) return void this.#violated('it takes no requests');
		this.#outbox.put([encodeFrame('request', {id, ...body})]);
	}

	#request<Value>(body: RequestBody, isValid: Check<Value>, id = this.#nextId()): Promise<Value> {
		return this.#ask(id, [encodeFrame('request', {id, ...body})], isValid);
	}

	/** Sends a frame that is answered. @param isValid whether the node may answer with the value */
	#ask<Value>(id: number, pieces: readonly Uint8Array[], isValid: Check<Value>): Promise<Value> {
		return new Promise<Value>((resolve, reject) => {
			if (this.#why !== undefined) return reject(this.#lost());
			if (this.#outbox.waiting >= openMax)
				return reject(
					new DapssError(
						'refused',
						'Too many frames wait to be sent to the node: wait for earlier answers first',
					),
				);
			this.#waiting.set(id, {
				resolve: value => {
					if (isValid(value)) return resolve(value);
					reject(this.#violated('the value of an answer is malformed'));
				},
				reject,
			});
			if (this.#outbox.put(pieces)) return;
			this.#waiting.delete(id);
			reject(
				new DapssError('too-large', 'Expected a request or messages that fit in a frame (limits.frame_bytes)'),
			);
		});
	}
}
