/**
The log of one topic on one node: its messages in the order of delivery. Offsets count messages from 0, without gaps and
across retention, so a reader's offset stays valid as long as the node's data. (Offsets of messages that were lost to
damage are empty until peers return them.) The records are in a `Log` (`topic-record.ts`); a sparse index is in memory
(`topic-index.ts`).
*/
import {DapssError} from '../errors.ts';
import {
	lastSeq,
	streamKey,
	type Batch,
	type BatchHeader,
	type NodeId,
	type StoredBatch,
	type StreamKey,
	type Topic,
} from '../message.ts';
import type {Appended, Log} from '../ports.ts';
import {streamOf, type Seen, type StreamPosition} from '../position.ts';
import {BackfilledRanges} from './backfilled-ranges.ts';
import {segmentsToDrop, type Deletion, type DeletionReason, type Retention} from './retention.ts';
import {HiddenMessages} from './topic-hidden.ts';
import {HoleFinder, placeBatches, type Hole, type Placed} from './topic-holes.ts';
import {stepBytes, TopicIndex} from './topic-index.ts';
import {
	decodeRecord,
	decodeRecordHeader,
	encodeFill,
	encodeMark,
	encodeStored,
	type DroppedStream,
	type TopicMark,
} from './topic-record.ts';

export type LogWant = {
	readonly origin: BatchHeader['origin'];
	readonly incarnation: number;
	readonly from: number;
	readonly to: number;
	readonly sinceLamport: number;
};
/**
`passed`: by stream, the number after the newest batch that is stamped too early to be wanted. Stamps increase with
numbers, so no earlier batch is wanted.
*/
export type Served = {readonly batches: readonly Batch[]; readonly passed: ReadonlyMap<StreamKey, number>};
export type TopicAppended = {
	readonly offsets: readonly number[];
	readonly written: Promise<void>;
	readonly synced: Promise<void>;
};
/**
The result of retention. `floors`: the lowest remaining number per stream. `from`, `to`: the deleted offsets, without
`to`.
*/
export type Retained = {
	readonly floors: ReadonlyMap<StreamKey, number>;
	readonly deletions: readonly Deletion[];
	readonly from: number;
	readonly to: number;
};
export type TopicLog = AsyncDisposable & {
	/** Offset of the oldest retained message; the next offset when there is none. */
	readonly firstOffset: number;
	readonly nextOffset: number;
	/** Retained messages. */
	readonly messages: number;
	readonly bytes: number;
	/** Offsets that were lost to damage. */
	readonly holes: readonly Hole[];
	/** Messages lost to damage that have not come back. */
	readonly missing: number;
	/**
	Stores batches in the holes, as far as there is room. Resolves with the stored ones, by offset, once they are
	synced.
	*/
	backfill(found: readonly Batch[]): Promise<readonly Placed[]>;
	append(
		items: ReadonlyArray<{readonly batch: Batch; readonly hops: number; readonly repaired: boolean}>,
		options?: {readonly sync?: boolean},
	): TopicAppended;
	/** Reads from the batch that contains `offset`, or from the oldest one. `next` is the offset to continue from. */
	read(offset: number, bytesMax: number): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}>;
	/** The batches that match a want, in log order, up to `bytesMax`; at least one if there is any. */
	serve(wants: readonly LogWant[], bytesMax: number): Promise<Served>;
	/**
	The topic was deleted: messages stamped up to `until` are not served any more, and the next `retain` deletes them.
	*/
	hide(until: number): void;
	/** Deletes old segments and hidden messages. `undefined` when there was nothing to delete. */
	retain(bounds: Retention): Promise<Retained | undefined>;
	/** The lowest retained number of the stream. */
	lowest(stream: StreamKey): number | undefined;
	/** An offset before which nothing is new to the reader. Batches after it may still be known to the reader. */
	freshFrom(seen: Seen): number;
	/**
	The last number of each stream before the offset. For the end of the log it is read in this turn of the event loop.
	*/
	before(offset: number): Promise<readonly StreamPosition[]>;
	readonly failed: Promise<Error>;
};
/**
Called for every batch in the log, oldest first, with the offset of its first message. For a stream without retained
batches it is called with a `count` of 0 and the next number.
*/
export type OnHeader = (header: BatchHeader, offset: number) => void;

const scanBytes = 512 * 1024;
const cursorsMax = 64;
/** Streams without retained batches that are remembered; the oldest are forgotten first. */
const droppedMax = 16_384;
/** A segment with more than this share of the bytes is closed, so that retention proceeds in steps. */
const shareMax = 4;
const rollBytesMin = 64 * 1024;

/**
Replays the log and opens it for appends.
@param own the node that the log belongs to: the log has everything that it published.
@param nowMs the retention clock; without it, ages mean nothing.
@throws `storage` for a record that this version does not know
*/
export async function openTopicLog(
	log: Log,
	onHeader: OnHeader,
	own?: NodeId,
	nowMs: () => number = () => 0,
): Promise<TopicLog> {
	const topicLog = new IndexedTopicLog(log, nowMs);
	await topicLog.recover(onHeader, own);
	return topicLog;
}

class IndexedTopicLog implements TopicLog {
	readonly #log: Log;
	readonly #index = new TopicIndex();
	#topic: Topic | undefined;
	#nextOffset = 0;
	/** Read positions of sequential readers: offset → position. */
	readonly #cursors = new Map<number, number>();
	/** Streams without retained batches. */
	readonly #dropped = new Map<StreamKey, DroppedStream>();
	readonly #backfilled = new BackfilledRanges();
	#holes: readonly Hole[] = [];
	/** Lost messages that are in none of the holes. */
	#untracked = 0;
	#hasAppended = false;
	/** Resolves when all records are written. */
	#written: Promise<void> = Promise.resolve();
	#retaining: Promise<unknown> = Promise.resolve();
	readonly #nowMs: () => number;
	/** Arrival of the newest message of a segment, by the segment's start; absent for a segment without messages. */
	readonly #newestMs = new Map<number, number>();
	readonly #hidden: HiddenMessages;

	constructor(log: Log, nowMs: () => number) {
		this.#log = log;
		this.#nowMs = nowMs;
		this.#hidden = new HiddenMessages(log);
	}

	get failed(): Promise<Error> {
		return this.#log.failed;
	}

	get firstOffset(): number {
		return Math.min(this.#backfilled.first, this.#index.firstOffset ?? this.#nextOffset);
	}

	get nextOffset(): number {
		return this.#nextOffset;
	}

	get messages(): number {
		return this.#index.messages + this.#backfilled.messages - this.#hidden.messages;
	}

	get bytes(): number {
		return this.#log.end - this.#log.first;
	}

	get holes(): readonly Hole[] {
		return this.#holes;
	}

	get missing(): number {
		return this.#holes.reduce((sum, {from, to}) => sum + to - from, this.#untracked);
	}

	async recover(onHeader: OnHeader, own: NodeId | undefined): Promise<void> {
		const segments = this.#log.segments();
		const finder = new HoleFinder(this.#log.first === 0 ? 0 : undefined, own, () => this.#index.highs());
		const fills: Array<{
			readonly header: BatchHeader;
			readonly offset: number;
			readonly position: number;
			readonly end: number;
		}> = [];
		const nowMs = this.#nowMs();
		let segment = 0;
		for (let at = this.#log.first; at < this.#log.end;) {
			const {records, next} = await this.#log.read(at, scanBytes);
			for (const [index, {position, bytes}] of records.entries()) {
				const record = decodeRecordHeader(bytes);
				if (!record)
					throw new DapssError(
						'storage',
						`Expected a stored batch at position ${position} of the topic's log, ` +
							'got a record that this version cannot read',
					);
				if (record.type === 'mark') {
					finder.advanceTo(Math.max(record.offset, this.#nextOffset));
					this.#recoverMark(record, onHeader);
					continue;
				}

				while (segment < segments.length - 1 && segments[segment + 1]!.first <= position) segment++;
				const {first} = segments[segment]!;
				this.#noteArrival(first, Math.min(record.arrivedMs ?? nowMs, nowMs));
				this.#hidden.note(first, record.header.lamport);
				if (record.type === 'fill') {
					fills.push({...record, position, end: records[index + 1]?.position ?? next});
					continue;
				}

				finder.add(record.header, record.offset);
				this.#note(record.header, record.offset, position, first);
				onHeader(record.header, record.offset);
			}

			if (next <= at) break;
			at = next;
		}

		// A segment without messages may have lost them to damage. It must stay, because backfilled messages with its
		// offsets would be deleted with it.
		if (finder.holes().length > 0 || finder.untracked > 0)
			for (const {first} of segments) if (!this.#newestMs.has(first)) this.#noteArrival(first, nowMs);
		for (const {header, offset, position, end} of fills) {
			if (!finder.addBackfilled(header, offset)) continue; // Retention has deleted the messages around it.
			this.#backfilled.add(header, offset, position, end);
			onHeader(header, offset);
		}

		this.#holes = finder.holes();
		this.#untracked = finder.untracked;
	}

	async backfill(found: readonly Batch[]): Promise<readonly Placed[]> {
		const {placed, left} = placeBatches(
			this.#holes,
			found.filter(batch => !this.#hidden.has(batch)),
		);
		if (placed.length === 0) return [];
		this.#holes = left;
		this.#cursors.clear(); // Some skip a hole.
		const arrivedMs = this.#nowMs();
		const {positions, written, synced} = this.#append(
			placed.map(({batch, offset}) => encodeFill(batch, {offset, arrivedMs})),
			{sync: true},
		);
		const {end} = this.#log;
		await written;
		const segments = this.#log.segments();
		for (const [index, {batch, offset}] of placed.entries()) {
			const position = positions[index]!;
			this.#backfilled.add(batch, offset, position, positions[index + 1] ?? end);
			const {first} = segments.findLast(one => one.first <= position)!;
			this.#noteArrival(first, arrivedMs);
			this.#hidden.note(first, batch.lamport);
		}

		await synced;
		return placed;
	}

	append(
		items: ReadonlyArray<{readonly batch: Batch; readonly hops: number; readonly repaired: boolean}>,
		options: {readonly sync?: boolean} = {},
	): TopicAppended {
		const offsets: number[] = [];
		const arrivedMs = this.#nowMs();
		let offset = this.#nextOffset;
		const records = items.map(({batch, hops, repaired}) => {
			const record = encodeStored(batch, {offset, hops, repaired, arrivedMs});
			offsets.push(offset);
			offset += batch.count;
			return record;
		});
		const {end} = this.#log;
		const {positions, written, synced} = this.#append(records, options);
		// The log failed: both promises reject.
		if (items.length > 0 && this.#log.end === end) return {offsets, written, synced};
		const segments = this.#log.segments();
		let segment = segments.length - 1;
		while (segment > 0 && segments[segment]!.first > positions[0]!) segment--;
		for (const [index, {batch}] of items.entries()) {
			const position = positions[index]!;
			while (segment < segments.length - 1 && segments[segment + 1]!.first <= position) segment++;
			this.#note(batch, offsets[index]!, position, segments[segment]!.first);
			this.#noteArrival(segments[segment]!.first, arrivedMs);
			this.#hidden.note(segments[segment]!.first, batch.lamport);
		}

		return {offsets, written, synced};
	}

	async read(
		offset: number,
		bytesMax: number,
	): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}> {
		const wanted = Math.max(offset, this.firstOffset);
		if (wanted >= this.#nextOffset) return {items: [], next: wanted};
		const fill = this.#backfilled.at(wanted);
		const until = fill?.to ?? this.#backfilled.after(wanted);
		let at =
			this.#cursors.get(wanted) ?? fill?.position ?? this.#index.placeOf(wanted)?.position ?? this.#log.first;
		this.#cursors.delete(wanted);
		let passed = wanted;
		for (;;) {
			const {records, next} = await this.#log.read(at, bytesMax);
			const items: StoredBatch[] = [];
			let isPast = false;
			let isCut = false;
			for (const {bytes} of records) {
				const record = decodeRecord(bytes);
				if (record?.type !== (fill ? 'fill' : 'batch') || record.offset + record.batch.count <= wanted)
					continue;
				isPast = record.offset >= until;
				if (isPast) break;
				const {batch, hops, repaired} = record;
				if (this.#hidden.has(batch)) {
					isCut = items.length > 0; // Returned items have contiguous offsets.
					if (isCut) break;
					passed = record.offset + batch.count;
					continue;
				}

				items.push({offset: record.offset, batch, hops, repaired});
			}

			const last = items.at(-1);
			if (last) {
				const end = last.offset + last.batch.count;
				if (!isPast && !isCut && end !== until) this.#remember(end, next); // Else the next record is elsewhere.
				return {items, next: end};
			}

			if (isPast) return {items: [], next: until}; // Continue in the backfilled records.
			if (next <= at) return {items: [], next: passed}; // Not written yet.
			at = next;
		}
	}

	async serve(wants: readonly LogWant[], bytesMax: number): Promise<Served> {
		const topic = this.#topic;
		if (topic === undefined) return {batches: [], passed: new Map()};
		const byStream = Map.groupBy(
			wants.map(({origin, incarnation, ...range}) => ({
				...range,
				stream: streamKey({origin, incarnation, topic}),
			})),
			({stream}) => stream,
		);
		const passed = new Map(
			[...byStream].map(([stream, [want]]) => [stream, this.#index.passed(stream, want!.sinceLamport)]),
		);
		const isWanted = (batch: Batch): boolean => {
			const stream = streamKey(batch);
			const asked = byStream.get(stream);
			if (asked && batch.lamport <= asked[0]!.sinceLamport)
				passed.set(stream, Math.max(passed.get(stream)!, lastSeq(batch) + 1));
			if (this.#hidden.has(batch)) return false;
			return (
				asked?.some(
					({from, to, sinceLamport}) =>
						batch.firstSeq <= to && lastSeq(batch) >= from && batch.lamport > sinceLamport,
				) ?? false
			);
		};

		const batches: Batch[] = [];
		let bytes = 0;
		const streamWants = [...byStream.values()].flat();
		const ranges = [
			...this.#backfilled.rangesOf(streamWants).map(range => ({...range, type: 'fill'})),
			...this.#index.rangesOf(streamWants, this.#log.end).map(range => ({...range, type: 'batch'})),
		];
		for (const {from, to, type} of ranges) {
			for (let at = from; at < to;) {
				const {records, next} = await this.#log.read(at, Math.min(stepBytes, to - at));
				for (const {position, bytes: stored} of records) {
					const record = position < to ? decodeRecord(stored) : undefined;
					if (
						record === undefined ||
						record.type === 'mark' ||
						record.type !== type ||
						!isWanted(record.batch)
					)
						continue;
					if (batches.length > 0 && bytes + record.batch.bytes.length > bytesMax) return {batches, passed};
					bytes += record.batch.bytes.length;
					batches.push(record.batch);
				}

				if (next <= at) break;
				at = next;
			}
		}

		return {batches, passed};
	}

	hide(until: number): void {
		this.#hidden.hide(until);
	}

	retain(bounds: Retention): Promise<Retained | undefined> {
		const retained = this.#retaining.then(() => this.#retain(bounds));
		this.#retaining = retained.catch(() => undefined);
		return retained;
	}

	lowest(stream: StreamKey): number | undefined {
		const lowest = Math.min(this.#index.lowest(stream) ?? Infinity, this.#backfilled.lowest(stream));
		return lowest === Infinity ? undefined : lowest;
	}

	freshFrom(seen: Seen): number {
		return Math.min(this.#backfilled.freshFrom(seen), this.#index.freshFrom(seen) ?? this.#nextOffset);
	}

	async before(offset: number): Promise<readonly StreamPosition[]> {
		const isAll = offset >= this.#nextOffset;
		const {highs, from} = isAll ? {highs: this.#index.highs(), from: offset} : this.#index.highsBefore(offset);
		const note = (key: StreamKey, high: number): void => void highs.set(key, Math.max(high, highs.get(key) ?? 0));
		for (const [key, {next}] of this.#dropped) note(key, next - 1);
		for (const [key, high] of this.#backfilled.highsBefore(offset)) note(key, high);
		for (let at = from; at < offset;) {
			const {items, next} = await this.read(at, stepBytes);
			for (const {offset: first, batch} of items)
				if (first < offset)
					note(streamKey(batch), Math.min(lastSeq(batch), batch.firstSeq + offset - first - 1));
			if (next <= at) break; // Deleted by retention, or not written yet.
			at = next;
		}

		return [...highs].map(([key, high]): StreamPosition => [...streamOf(key), high]);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#retaining;
		await this.#log[Symbol.asyncDispose]();
	}

	/**
	Appends records. The first append after a start begins a new segment: if the topic was deleted while the node was
	away, the older messages can then be deleted with their segments.
	*/
	#append(records: readonly Uint8Array[], options: {readonly sync?: boolean}): Appended {
		if (!this.#hasAppended) {
			this.#hasAppended = true;
			if (this.#index.messages > 0) this.#log.roll().catch(() => undefined); // The append reports the same error.
		}

		const appended = this.#log.append(records, options);
		if (records.length > 0) this.#written = appended.written;
		return appended;
	}

	async #retain(bounds: Retention): Promise<Retained | undefined> {
		// A deletion from now on is left to the next call: its messages may be in segments that this one skips.
		const {until} = this.#hidden;
		// Unwritten records cannot be read, and those of a backfill are noted once they are written.
		if (this.#hidden.isNew) await this.#written;
		const active = this.#log.segments().at(-1);
		// A log with only a mark stays, however old.
		if (!active || (this.#index.messages + this.#backfilled.messages === 0 && !this.#hidden.isNew))
			return undefined;
		const {bytes, ageMs, nowMs, bytesMax = Infinity} = bounds;
		const isOld = nowMs - (this.#newestMs.get(active.first) ?? Infinity) > ageMs;
		if (
			isOld ||
			this.#hidden.hasNewIn(active, until) ||
			active.end - active.first > Math.max(rollBytesMin, Math.min(bytes, bytesMax) / shareMax)
		)
			await this.#log.roll();
		const closed = this.#log.segments().slice(0, -1);
		// Backfilled batches are elsewhere and go with the segment of their hole, which may have messages of after the
		// deletion.
		const deleted = this.#backfilled.messages > 0 ? [] : this.#hidden.segmentsToDrop(closed, this.missing > 0);
		const dropped = [
			...deleted.map(segment => ({segment, reason: 'topic'}) as const),
			...segmentsToDrop(
				closed.slice(deleted.length),
				this.#log.end,
				first => this.#newestMs.get(first) ?? -Infinity,
				bounds,
			),
		];
		// Hidden messages in the remaining segments are among later ones.
		const left = await this.#hidden.count(closed.slice(dropped.length), until);
		const drop = dropped.at(-1)?.segment.end;
		if (drop === undefined && left === 0) return undefined;
		const from = this.firstOffset;
		const deletions = this.#deletions(dropped, left);
		const filled = this.#backfilled.messages;
		if (drop !== undefined) await this.#dropBefore(drop);
		// Backfilled messages of the deleted segments went with them.
		const [first] = deletions.values();
		if (first) first.messages += filled - this.#backfilled.messages;
		return {
			floors: this.#backfilled.lower(this.#index.floors()),
			deletions: [...deletions.values()].filter(({messages}) => messages > 0),
			from,
			to: this.firstOffset,
		};
	}

	async #dropBefore(drop: number): Promise<void> {
		await this.#markDropped(drop);
		await this.#log.dropBefore(drop);
		this.#index.dropBefore(this.#log.first);
		this.#hidden.dropBefore(this.#log.first);
		for (const segment of this.#newestMs.keys()) if (segment < this.#log.first) this.#newestMs.delete(segment);
		const first = this.#index.firstOffset ?? this.#nextOffset;
		this.#backfilled.dropBefore(first);
		this.#holes = this.#holes.filter(({to}) => to > first);
		if (this.#holes.length === 0) this.#untracked = 0;
		for (const [offset, position] of this.#cursors) if (position < this.#log.first) this.#cursors.delete(offset);
	}

	/** @param left hidden messages that stay on disk */
	#deletions(
		dropped: ReturnType<typeof segmentsToDrop>,
		left: number,
	): Map<DeletionReason, {reason: DeletionReason; messages: number; bytes: number}> {
		const deletions = new Map<DeletionReason, {reason: DeletionReason; messages: number; bytes: number}>();
		for (const {
			reason,
			segment: {first, end},
		} of dropped) {
			const {messages, bytes} = deletions.get(reason) ?? {messages: 0, bytes: 0};
			deletions.set(reason, {
				reason,
				messages:
					messages +
					this.#index.messagesBefore(end) -
					this.#index.messagesBefore(first) -
					this.#hidden.countedIn(first),
				bytes: bytes + end - first,
			});
		}

		const {messages, bytes} = deletions.get('topic') ?? {messages: 0, bytes: 0};
		if (left > 0) deletions.set('topic', {reason: 'topic', messages: messages + left, bytes});
		return deletions;
	}

	#noteArrival(segment: number, atMs: number): void {
		this.#newestMs.set(segment, Math.max(atMs, this.#newestMs.get(segment) ?? -Infinity));
	}

	/** Before all batches of a stream are deleted: append a mark with the stream's position. */
	async #markDropped(drop: number): Promise<void> {
		for (const [key, {high, lamport}] of this.#index.onlyBefore(drop)) {
			const [origin, incarnation] = streamOf(key);
			this.#dropped.delete(key);
			this.#dropped.set(key, {origin, incarnation, next: high + 1, lamport});
		}

		for (const oldest of this.#dropped.keys()) {
			if (this.#dropped.size <= droppedMax) break;
			this.#dropped.delete(oldest);
		}

		if (this.#topic === undefined) return;
		// Written even if no stream is dropped: its fsync covers the records before it, which may be all that stays of
		// a stream.
		const {synced} = this.#log.append(
			[encodeMark({offset: this.#nextOffset, topic: this.#topic, streams: [...this.#dropped.values()]})],
			{sync: true},
		);
		await synced;
	}

	#recoverMark({offset, topic, streams}: TopicMark, onHeader: OnHeader): void {
		this.#topic = topic;
		this.#nextOffset = Math.max(this.#nextOffset, offset);
		for (const gone of streams) {
			const {origin, incarnation, next, lamport} = gone;
			const key = streamKey({origin, incarnation, topic});
			// The power failed before the segments were deleted, or the stream continued.
			if (this.#index.has(key)) continue;
			this.#dropped.set(key, gone);
			onHeader(
				{origin, incarnation, topic, firstSeq: next, count: 0, lamport, previousLamport: 0, sentAtMs: 0},
				this.#nextOffset,
			);
		}
	}

	#note(batch: BatchHeader, offset: number, position: number, segment: number): void {
		this.#topic = batch.topic;
		this.#nextOffset = offset + batch.count;
		if (this.#dropped.size > 0) this.#dropped.delete(streamKey(batch));
		this.#index.add(batch, {offset, position}, segment);
	}

	#remember(offset: number, position: number): void {
		this.#cursors.set(offset, position);
		for (const oldest of this.#cursors.keys()) {
			if (this.#cursors.size <= cursorsMax) return;
			this.#cursors.delete(oldest);
		}
	}
}
