/**
The user's end of the remote protocol: a `Broker` over a pipe. When the pipe closes, whatever waits fails with the reason, and
`closed` resolves.
*/
import {leftReason, type Broker, type FaultCommand, type From, type Published, type Subscription} from '../api.ts';
import {DeliveryQueue} from '../delivery.ts';
import {DapssError, exitCodes, type ErrorCode} from '../errors.ts';
import type {RecordedEvent} from '../observe/events.ts';
import type {Snapshot} from '../observe/snapshot.ts';
import type {NodeId, Topic} from '../message.ts';
import {currentEvent, currentSnapshot} from './older.ts';
import type {Pipe} from './pipe.ts';
import {creditBytes, decodeDelivery, decodeFrame, encodeFrame, encodePublish, remoteKinds, type Answer, type RequestBody} from './protocol.ts';

type Waiting = {readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void};

export class RemoteBroker implements Broker {
	readonly closed: Promise<string>;
	#lastId = 0;
	#why: string | undefined;
	readonly #pipe: Pipe;
	readonly #waiting = new Map<number, Waiting>();
	readonly #deliveries = new Map<number, DeliveryQueue>();
	readonly #snapshots = new Map<number, (snapshot: Snapshot) => void>();
	readonly #events = new Map<number, (events: readonly RecordedEvent[], ended: boolean) => void>();

	constructor(pipe: Pipe) {
		this.#pipe = pipe;
		const {promise, resolve} = Promise.withResolvers<string>();
		this.closed = promise;
		pipe.onFrame = frame => this.#onFrame(frame);
		pipe.onClose = why => {
			this.#onClose(why);
			resolve(why);
		};
	}

	async publish(topic: Topic, bodies: readonly Uint8Array[]): Promise<Published> {
		const id = this.#nextId();
		return this.#ask<Published>(id, encodePublish(id, topic, bodies));
	}

	subscribe(topics: readonly Topic[], options: {readonly from?: From} = {}): Subscription {
		const id = this.#nextId();
		const from = options.from ?? 'now';
		let taken = 0;
		const queue = new DeliveryQueue({
			agreed: this.#request<void>({op: 'subscribe', topics: [...topics], from, credit: creditBytes}, id),
			...(typeof from === 'number' ? {fromOffset: from} : {}),
			onRoom: bytes => {
				taken += bytes;
				if (taken < creditBytes / 4) return;
				this.#tell({op: 'credit', stream: id, bytes: taken});
				taken = 0;
			},
			onClose: () => {
				this.#deliveries.delete(id);
				this.#tell({op: 'end', stream: id});
			},
		});
		this.#deliveries.set(id, queue);
		queue.agreed.catch((error: unknown) => queue.end(error as Error));
		return queue;
	}

	subscribeNode(topic: Topic): Promise<void> {
		return this.#request({op: 'subscribe-node', topic});
	}

	unsubscribeNode(topic: Topic): Promise<void> {
		return this.#request({op: 'unsubscribe-node', topic});
	}

	async snapshot(): Promise<Snapshot> {
		return currentSnapshot(await this.#request<Snapshot>({op: 'snapshot'}));
	}

	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable {
		const id = this.#nextId();
		this.#snapshots.set(id, snapshot => {
			onSnapshot(snapshot);
			this.#tell({op: 'next', stream: id});
		});
		this.#tell({op: 'watch'}, id);
		return {
			[Symbol.dispose]: () => {
				this.#snapshots.delete(id);
				this.#tell({op: 'end', stream: id});
			},
		};
	}

	events(options: {readonly messages?: boolean} = {}): AsyncIterable<RecordedEvent> {
		const id = this.#nextId();
		const queue: RecordedEvent[] = [];
		let isEnded = this.#why !== undefined;
		let wake: (() => void) | undefined;
		this.#events.set(id, (events, ended) => {
			queue.push(...events);
			isEnded ||= ended;
			wake?.();
		});
		this.#tell({op: 'events', messages: options.messages ?? false}, id);
		const end = (): void => {
			this.#events.delete(id);
			this.#tell({op: 'end', stream: id});
		};

		return (async function* () {
			try {
				for (;;) {
					yield* queue.splice(0);
					if (queue.length > 0) continue;
					if (isEnded) return;
					// oxlint-disable-next-line no-await-in-loop -- waits for the next event
					await new Promise<void>(resolve => {
						wake = resolve;
					});
				}
			} finally {
				end();
			}
		})();
	}

	readIndex(): Promise<number> {
		return this.#request({op: 'read-index'});
	}

	async transferLeadership(to?: NodeId): Promise<NodeId | undefined> {
		return await this.#request<NodeId | null | undefined>({op: 'transfer', ...(to === undefined ? {} : {to})}) ?? undefined;
	}

	removeMember(node: NodeId): Promise<void> {
		return this.#request({op: 'remove', node});
	}

	async leave(): Promise<void> {
		try {
			await this.#request({op: 'leave'});
		} catch (error) {
			// The node may stop before its answer is on the way: what it stopped for says as much.
			if (this.#why !== leftReason) throw error;
		}
	}

	fault(command: FaultCommand): Promise<void> {
		return this.#request({op: 'fault', command: command.type === 'cut' ? {...command, peers: [...command.peers]} : command});
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#why !== undefined) return;
		this.#pipe.close('closed here');
		await this.closed;
	}

	#onFrame(frame: Buffer): void {
		switch (frame[0]) {
			case remoteKinds.delivery: {
				const delivery = decodeDelivery(frame);
				if (delivery) this.#deliveries.get(delivery.stream)?.push([delivery.item]);
				return;
			}

			case remoteKinds.answer: return this.#onAnswer(decodeFrame(frame) as Answer);
			case remoteKinds.snapshot: {
				const [id, snapshot] = decodeFrame(frame) as [number, Snapshot];
				return this.#snapshots.get(id)?.(currentSnapshot(snapshot));
			}

			case remoteKinds.event: {
				const [id, events] = decodeFrame(frame) as [number, readonly RecordedEvent[]];
				return this.#events.get(id)?.(events.map(event => currentEvent(event)), false);
			}

			default: // A newer node may say more; what is not asked for is passed over.
		}
	}

	#onAnswer({id, value, error, dropped, ended}: Answer): void {
		const queue = this.#deliveries.get(id);
		if (dropped !== undefined) {
			if (queue) queue.dropped += dropped;
			return;
		}

		if (ended) return this.#events.get(id)?.([], true);
		const waiting = this.#waiting.get(id);
		this.#waiting.delete(id);
		if (error) {
			const failure = new DapssError(Object.hasOwn(exitCodes, error.code) ? error.code as ErrorCode : 'failure', error.message);
			waiting?.reject(failure);
			queue?.end(failure);
		} else waiting?.resolve(value);
	}

	#onClose(why: string): void {
		this.#why ??= why;
		const error = new DapssError('closed', `The link to the node is gone: ${why}`);
		for (const {reject} of this.#waiting.values()) reject(error);
		this.#waiting.clear();
		for (const queue of this.#deliveries.values()) queue.end(error);
		for (const listener of this.#events.values()) listener([], true);
	}

	#nextId(): number {
		this.#lastId = (this.#lastId + 1) % 0xFF_FF_FF_FF;
		return this.#lastId;
	}

	#tell(body: RequestBody, id = this.#nextId()): void {
		if (this.#why === undefined) this.#pipe.send([encodeFrame('request', {id, ...body})]);
	}

	#request<Value>(body: RequestBody, id = this.#nextId()): Promise<Value> {
		return this.#ask<Value>(id, [encodeFrame('request', {id, ...body})]);
	}

	#ask<Value>(id: number, pieces: readonly Uint8Array[]): Promise<Value> {
		return new Promise<Value>((resolve, reject) => {
			if (this.#why !== undefined) {
				reject(new DapssError('closed', `The link to the node is gone: ${this.#why}`));
				return;
			}

			this.#waiting.set(id, {resolve: resolve as (value: unknown) => void, reject});
			if (this.#pipe.send(pieces)) return;
			this.#waiting.delete(id);
			reject(new DapssError('refused', 'Too much is waiting to leave for the node: wait for earlier answers first'));
		});
	}
}
