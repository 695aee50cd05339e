/**
The data path of live topics, one module per step: publish → batch → stamp → sign → store + send → wire → verify →
dedupe → order → store → deliver. This module connects the steps: it passes batches from the publisher and the wire to
the gossip machine, stores the batches that the machine releases, and delivers them to readers.

A receiver delivers a batch once it is written (it survives the process). A publisher is answered once its batch is
synced. Both continue on each side of a partition.
*/
import type {Published} from '../broker.ts';
import type {Config} from '../config.ts';
import {DapssError} from '../errors.ts';
import type {Rejection} from '../events.ts';
import {createGossip, type Gossip, type GossipPacket} from '../gossip/gossip.ts';
import type {Lamport} from '../lamport.ts';
import type {Random} from '../machine.ts';
import {
	decodeBatch,
	streamKey,
	type Batch,
	type BatchHeader,
	type NodeId,
	type SequenceGap,
	type StoredBatch,
	type StreamKey,
	type Topic,
} from '../message.ts';
import type {Clock} from '../ports.ts';
import type {TopicPosition} from '../position.ts';
import {sharesOfBudget, type Deletion, type Retention} from '../topic-log/retention.ts';
import type {TopicLog} from '../topic-log/topic-log.ts';
import type {TopicSettings} from '../topic-settings.ts';
import type {LiveTopic, NewBatch} from './live-topic.ts';
import {BatchProofs, type AgreedProofs, type Proofs} from './proofs.ts';
import {frameOverheadBytes, Publisher} from './publisher.ts';
import {RateSampler} from './rates.ts';
import {ReadBudget} from './read-budget.ts';
import type {BatchSink, Reader} from './reader.ts';
import {TopicTable} from './topic-table.ts';

export type DataIo = {
	readonly clock: Clock;
	readonly random: Random;
	/** Sends a push; false when there is no link or its queue is full. */
	readonly sendPush: (
		to: NodeId,
		batch: Batch,
		head: {readonly hops: number; readonly complete: boolean; readonly repair: boolean},
	) => boolean;
	readonly sendControl: (to: NodeId, packet: Exclude<GossipPacket, {type: 'push'}>) => void;
	readonly queuedBytes: (to: NodeId) => number;
	readonly proofs: Proofs;
	/** False while the disk is full: messages of peers are neither stored nor requested. */
	readonly hasRoom: () => boolean;
	/** Opens or creates the log of a topic. `onHeader` is called for each batch in it, oldest first. */
	readonly openTopic: (topic: Topic, onHeader: (header: BatchHeader) => void) => Promise<TopicLog>;
	/** The retention clock, in milliseconds. */
	readonly retentionMs: () => number;
	/** Notes the retention time of a topic, in milliseconds. */
	readonly noteAge: (ageMs: number) => void;
	/** Removes the files of a topic whose log is closed. */
	readonly removeTopic: (topic: Topic) => Promise<void>;
};

export type DataHooks = {
	readonly rejected: (from: NodeId, reason: Rejection) => void;
	readonly delivered: (items: readonly StoredBatch[]) => void;
	/** `isRetention`: other nodes deleted the messages, as the topic's settings say, before they arrived here. */
	readonly missed: (topic: Topic, origin: NodeId, messages: number, isRetention: boolean) => void;
	/** A digest exchange with the peer ended, and nothing is missing. */
	readonly synced: (peer: NodeId, messages: number) => void;
	/** Messages lost to damage are back in the log of the topic; `missing` are not. */
	readonly refilled: (topic: Topic, messages: number, missing: number) => void;
	/** Retention deleted messages of the topic; no reader of this node is known to have read `unread` of them. */
	readonly deleted: (topic: Topic, deletion: Deletion & {readonly unread: number}) => void;
	readonly bound: (name: string) => void;
	/** The node must stop: the disk failed. */
	readonly failed: (error: unknown) => void;
};

export type DataOptions = {
	readonly self: NodeId;
	readonly incarnation: number;
	readonly lamport: Lamport;
	readonly tickMs: number;
	readonly config: Config;
	readonly io: DataIo;
	readonly hooks: DataHooks;
	/** A promise to await before the next stamp is assigned, if any. */
	readonly stampable: () => Promise<void> | undefined;
	readonly agreedProofs: AgreedProofs;
};

/** Agreed subscriptions of a topic. `settings`: of a created topic. */
export type AgreedSubscriptions = {
	readonly subscribers: readonly NodeId[];
	readonly since: number | undefined;
	readonly settings?: TopicSettings | undefined;
};

const inFlightBytesMax = 64 * 1024 * 1024;

export class Data implements AsyncDisposable {
	readonly gossip: Gossip;
	readonly publisher: Publisher;
	readonly table: TopicTable;
	/** Messages that retention deleted since the start, by reason, and those that no reader here had read. */
	readonly deleted = {age: 0, size: 0, disk: 0, topic: 0, unread: 0};
	/** Whether a subscription to the topic is about to be made. True as long as that is not known. */
	isWanted: (topic: Topic) => boolean = () => true;
	#subscriptions: ReadonlyMap<Topic, AgreedSubscriptions> = new Map();
	/** By topic: the Lamport time up to which its messages are deleted. */
	#deletions: ReadonlyMap<Topic, number> = new Map();
	readonly #options: DataOptions;
	readonly #proofs: BatchProofs;
	readonly rates = new RateSampler<Topic>();
	/** Totals since the start over all topics, closed ones included. */
	readonly #counts = {published: 0, delivered: 0, stored: 0, bytes: 0};
	readonly #congested = new Set<NodeId>();
	readonly #serving = new Set<string>();
	#isPumpScheduled = false;
	#isClosed = false;

	constructor(options: DataOptions) {
		this.#options = options;
		const {self, incarnation, lamport, tickMs, config, io} = options;
		this.#proofs = new BatchProofs(io.proofs, options.agreedProofs);
		this.gossip = createGossip({self, incarnation, random: io.random, config: config.gossip, tickMs});
		this.publisher = new Publisher({
			origin: self,
			incarnation,
			lamport,
			clock: io.clock,
			encode: drafts => this.#proofs.encode(drafts),
			inFlightBytesMax,
			stampable: options.stampable,
			bodyBytesMax: config.limits.frameBytes - frameOverheadBytes,
			store: (topic, batches) => this.#storeOwn(topic, batches),
		});
		this.table = new TopicTable({
			topicsMax: config.limits.topics,
			agreed: () => this.#subscriptions,
			onWritten: (live, items) => this.#onWritten(live, items),
			failed: options.hooks.failed,
			budget: new ReadBudget({
				reads: config.limits.reads,
				bytes: config.limits.readBytes,
				bytesPerOwner: config.limits.readBytesPerConnection,
				onFull: () => options.hooks.bound('read-bytes'),
			}),
			onFull: () => options.hooks.bound('topics'),
			removeLog: topic => io.removeTopic(topic),
			openLog: topic => this.#openLog(topic),
			isUnused: topic => !this.isWanted(topic) && ![...this.#serving].some(key => key.endsWith(` ${topic}`)),
		});
	}

	get topics(): ReadonlyMap<Topic, LiveTopic> {
		return this.table.live;
	}

	/**
	Opens the log of a topic from an earlier start, so that the machine knows the delivered batches. Called before any
	packet is handled.
	*/
	async recover(topic: Topic): Promise<void> {
		// `holes` below reports an error of opening.
		const live = this.table.open(topic, () => undefined);
		this.gossip.backfill(
			topic,
			(await live.holes()).flatMap(hole => [...hole.gaps.values()]),
		);
	}

	/** @throws `refused` at the limit of topics, and as the publisher does */
	async publish(topic: Topic, bodies: readonly Uint8Array[]): Promise<Published> {
		using _slot = this.table.reserve([topic]);
		return await this.publisher.publish(topic, bodies);
	}

	/**
	Sets the agreed deletions, each with its Lamport time, and returns the new ones. Called before `setSubscriptions` of
	the same state.
	*/
	setDeletions(deletions: ReadonlyMap<Topic, number>): ReadonlyArray<readonly [Topic, number]> {
		// Batches that were released earlier go to the log first.
		this.pump();
		const fresh = [...deletions].filter(([topic, until]) => this.#deletions.get(topic) !== until);
		this.#deletions = new Map(deletions);
		for (const [topic, until] of fresh) {
			this.gossip.deleted(topic, until);
			const live = this.topics.get(topic);
			if (live?.hide(until))
				this.#retain(live, {}, () => false).catch((error: unknown) => this.#options.hooks.failed(error));
		}

		return fresh;
	}

	/** Sets the agreed subscriptions. */
	setSubscriptions(subscriptions: ReadonlyMap<Topic, AgreedSubscriptions>): void {
		this.#subscriptions = subscriptions;
		for (const {settings} of subscriptions.values())
			if (settings?.retainAgeS !== undefined) this.#options.io.noteAge(settings.retainAgeS * 1000);
		this.gossip.setSubscriptions(subscriptions);
		this.schedulePump();
	}

	isSubscribed(topic: Topic): boolean {
		return this.#subscriptions.get(topic)?.since !== undefined;
	}

	read(topic: Topic, from: 'now' | 'beginning' | number, sink: BatchSink): Promise<Reader> {
		return this.table.open(topic).read(from, sink);
	}

	/** Like `read`, and returns the start position in terms that other nodes understand. */
	async follow(
		topic: Topic,
		from: 'now' | 'beginning' | number | TopicPosition,
		sink: BatchSink,
	): Promise<{readonly reader: Reader; readonly start: TopicPosition; readonly end?: number | undefined}> {
		const since = this.#subscriptions.get(topic)?.since ?? 0;
		const {reader, before, end} = await this.table.open(topic).follow(from, sink);
		return {reader, start: {topic, since: typeof from === 'object' ? from.since : since, streams: before}, end};
	}

	/** The offset after the newest written message of the topic. */
	end(topic: Topic): Promise<number> {
		return this.table.open(topic).end();
	}

	stopReading(topic: Topic, reader: Reader): void {
		this.topics.get(topic)?.stop(reader);
	}

	/**
	Handles a push of a peer; its proof is checked first. `bytes` must not change afterwards. A full disk drops it,
	like a frame that the network lost: gossip repairs the gap when there is room again.
	*/
	onPush(
		from: NodeId,
		head: {readonly hops: number; readonly complete: boolean; readonly repair: boolean},
		bytes: Buffer,
	): void {
		const {self, incarnation, lamport, io, hooks} = this.#options;
		if (!io.hasRoom()) return hooks.bound('disk');
		const batch = decodeBatch(bytes);
		if (!batch) return hooks.rejected(from, 'malformed');
		const verdict = this.#proofs.check(from, batch, bytes);
		if (verdict !== 'ok') return hooks.rejected(from, verdict);
		// A validly signed batch under our own id and incarnation is a forgery, or of a second node with our data.
		if (
			batch.origin === self &&
			batch.incarnation >= incarnation &&
			batch.firstSeq + batch.count > this.publisher.nextSeq(batch.topic)
		)
			return hooks.rejected(from, 'wrong-origin');
		if (!lamport.witness(batch.lamport, from)) return hooks.rejected(from, 'lamport-jump');
		this.gossip.step(from, {type: 'push', batch, ...head});
		this.schedulePump();
	}

	onControl(from: NodeId, packet: Exclude<GossipPacket, {type: 'push'}>): void {
		this.gossip.step(from, packet);
		this.schedulePump();
	}

	tick(): void {
		for (const peer of this.#congested) {
			if (this.#options.io.queuedBytes(peer) < this.#options.config.limits.outQueueBytes / 8) {
				this.#congested.delete(peer);
				this.gossip.setCongested(peer, false);
			}
		}

		this.gossip.tick();
		this.pump();
	}

	/** Pumps once per turn of the event loop, however many frames arrive. */
	schedulePump(): void {
		if (this.#isPumpScheduled) return;
		this.#isPumpScheduled = true;
		this.#options.io.clock.soon(() => this.pump());
	}

	pump(): void {
		this.#isPumpScheduled = false;
		if (this.#isClosed) return;
		const {io, hooks} = this.#options;
		for (let ready = this.gossip.ready(); ready !== undefined; ready = this.gossip.ready()) {
			for (const {topic, origin, messages, isAwaited, isRetention = false} of ready.missed) {
				hooks.missed(topic, origin, messages, isRetention);
				if (isAwaited) this.topics.get(topic)?.missed(messages);
			}

			this.#storeReleased(ready.released);
			for (const {to, packet} of ready.packets) {
				if (packet.type === 'push') this.#push(to, packet.batch, packet);
				else if (packet.type !== 'iwant' || io.hasRoom()) io.sendControl(to, packet);
			}

			for (const {to, topic, wants, bytesMax} of ready.serve) void this.#serve(to, topic, wants, bytesMax);
			for (const {peer, messages} of ready.synced) hooks.synced(peer, messages);
			for (const {topic, batches, gaps} of ready.backfilled) void this.#storeBackfilled(topic, batches, gaps);
		}
	}

	/**
	Applies retention to each topic and to all together; called from time to time.
	@param isRead whether messages of the topic are read although no subscription is agreed yet
	*/
	async retain(isRead: (topic: Topic) => boolean = () => false): Promise<void> {
		const {
			config: {limits},
		} = this.#options;
		for (const live of this.topics.values()) {
			await this.#retain(live, {bytesMax: limits.diskBytes}, isRead);
		}

		for (const [live, bytesMax] of sharesOfBudget(
			new Map([...this.topics.values()].map(one => [one, one.bytes])),
			limits.diskBytes,
		)) {
			await this.#retain(live, {bytesMax}, isRead);
		}
	}

	/** Samples the counters for the rates; called at every tick. */
	sampleRates(nowMs: number): void {
		this.rates.tick(nowMs, this.#counts, () =>
			[...this.topics].map(
				([name, {published, delivered, stored, storedBytes}]) =>
					[name, {published, delivered, stored, bytes: storedBytes}] as const,
			),
		);
	}

	/** Closes topics without messages and subscribers. */
	free(): Promise<void> {
		return this.table.free();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.publisher.close(new DapssError('closed', 'The node is stopping'));
		this.#isClosed = true;
		await this.table.close();
	}

	/** The retention of the topic: its own settings, else the configuration of this node. */
	retentionOf(topic: Topic): {readonly retainAgeS: number; readonly retainBytes: number} {
		const {
			config: {
				storage: {retainAgeS, retainBytes},
			},
		} = this.#options;
		return {retainAgeS, retainBytes, ...this.#subscriptions.get(topic)?.settings};
	}

	async #openLog(topic: Topic): Promise<TopicLog> {
		const {io, lamport} = this.#options;
		const log = await io.openTopic(topic, header => {
			this.gossip.recover(header);
			lamport.witness(header.lamport, undefined);
		});
		const until = this.#deletions.get(topic);
		if (until !== undefined) log.hide(until); // The next `retain` deletes the messages.
		return log;
	}

	async #retain(
		live: LiveTopic,
		bounds: Pick<Retention, 'bytesMax'>,
		isRead: (topic: Topic) => boolean,
	): Promise<void> {
		const {io, hooks} = this.#options;
		const {name, slowest} = live;
		const {retainAgeS, retainBytes} = this.retentionOf(name);
		const retained = await live.retain({
			...bounds,
			bytes: retainBytes,
			ageMs: retainAgeS * 1000,
			nowMs: io.retentionMs(),
		});
		if (retained) this.gossip.retained(name, retained.floors);
		// Subscribers on other nodes were sent the messages; readers here have a cursor in the log.
		const readEnd =
			slowest ??
			((this.#subscriptions.get(name)?.subscribers.length ?? 0) > 0 || isRead(name) ? Infinity : live.readEnd);
		let at = retained?.from ?? 0;
		for (const deletion of retained?.deletions ?? []) {
			const unread = Math.max(0, at + deletion.messages - Math.max(at, readEnd));
			at += deletion.messages;
			this.deleted[deletion.reason] += deletion.messages;
			this.deleted.unread += unread;
			hooks.deleted(name, {...deletion, unread});
		}
	}

	/**
	Sends and stores at the same time. A peer may have the batch before our disk, but the publisher is answered after
	it.
	*/
	#storeOwn(topic: Topic, batches: readonly Batch[]): Promise<void> {
		for (const batch of batches) this.gossip.publish(batch);
		this.pump();
		const stored = this.table.open(topic).append(
			batches.map(batch => ({batch, hops: 0, repaired: false})),
			true,
		);
		stored.catch((error: unknown) => this.#options.hooks.failed(error));
		return stored;
	}

	#storeReleased(released: ReadonlyArray<NewBatch>): void {
		if (released.length === 0) return;
		const groups = new Map<Topic, NewBatch[]>();
		for (const item of released) {
			const group = groups.get(item.batch.topic);
			if (group) group.push(item);
			else groups.set(item.batch.topic, [item]);
		}

		for (const [topic, items] of groups) {
			this.table
				.open(topic)
				.append(items, false)
				.catch((error: unknown) => this.#options.hooks.failed(error));
		}
	}

	#onWritten(live: LiveTopic, items: readonly StoredBatch[]): void {
		for (const {batch} of items) {
			const published = batch.origin === this.#options.self ? batch.count : 0;
			live.published += published;
			live.stored += batch.count;
			live.storedBytes += batch.bytes.length;
			this.#counts.published += published;
			this.#counts.stored += batch.count;
			this.#counts.bytes += batch.bytes.length;
		}

		if (!this.isSubscribed(live.name)) return;
		for (const {batch, offset} of items) {
			live.delivered += batch.count;
			this.#counts.delivered += batch.count;
			live.readEnd = offset + batch.count;
		}

		this.#options.hooks.delivered(items);
	}

	#push(
		to: NodeId,
		batch: Batch,
		head: {readonly hops: number; readonly complete: boolean; readonly repair: boolean},
	): boolean {
		const {
			io,
			config: {limits},
			hooks,
		} = this.#options;
		const isSent = io.sendPush(to, batch, head);
		if (!this.#congested.has(to) && (!isSent || io.queuedBytes(to) > limits.outQueueBytes / 2)) {
			// Switch the peer from push to catch-up: it pulls what it misses, at its own pace.
			this.#congested.add(to);
			this.gossip.setCongested(to, true);
			if (!isSent) hooks.bound('out-queue');
		}

		return isSent;
	}

	/** Stores the batches of a backfill. Readers are not notified: they find them at their offsets. */
	async #storeBackfilled(topic: Topic, found: readonly Batch[], gaps: readonly SequenceGap[]): Promise<void> {
		try {
			const live = this.table.open(topic);
			const placed = await live.backfill(found);
			this.gossip.backfillDone(
				topic,
				placed.map(({batch}) => batch),
				gaps,
			);
			this.schedulePump();
			this.#options.hooks.refilled(
				topic,
				placed.reduce((sum, {batch}) => sum + batch.count, 0),
				live.missing,
			);
		} catch (error) {
			if (!this.#isClosed) this.#options.hooks.failed(error);
		}
	}

	/** Serves one request per peer and topic at a time. Another one meanwhile is skipped, and the peer asks again. */
	async #serve(to: NodeId, topic: Topic, wants: Parameters<LiveTopic['serve']>[0], bytesMax: number): Promise<void> {
		const key = `${to} ${topic}`;
		if (this.#serving.has(key)) return;
		this.#serving.add(key);
		try {
			const {batches, passed} = (await this.topics.get(topic)?.serve(wants, bytesMax)) ?? {
				batches: [],
				passed: new Map<StreamKey, number>(),
			};
			for (const batch of batches) {
				if (!this.#push(to, batch, {hops: 0, complete: true, repair: true})) return;
			}

			const old = wants.map(
				({origin, incarnation, from, sinceLamport}) =>
					[
						origin,
						incarnation,
						from,
						passed.get(streamKey({origin, incarnation, topic})) ?? 0,
						sinceLamport,
					] as const,
			);
			this.#options.io.sendControl(to, {
				type: 'served',
				topic,
				passed: old.filter(([, , from, then]) => then > from),
			});
		} catch (error) {
			if (!this.#isClosed) this.#options.hooks.failed(error);
		} finally {
			this.#serving.delete(key);
		}
	}
}
