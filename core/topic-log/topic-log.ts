/**
The messages of one topic on one node, in the order they were delivered. An offset counts them, from 0, without gaps and
across retention, so that a reader's place has the same meaning as long as the node lives. (Where the disk lost messages
to damage, their offsets are empty until peers have given them back.) What is written lies in a `Log`
(`topic-record.ts`), what is known of it in memory is sparse (`topic-index.ts`).
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
import {Backfill} from './backfill.ts';
import {segmentsToDrop, type Deletion, type DeletionReason, type Retention} from './retention.ts';
import {HiddenMessages} from './topic-hidden.ts';
import {HoleFinder, place, type Hole, type Placed} from './topic-holes.ts';
import {stepBytes, TopicIndex} from './topic-index.ts';
import {
	decodeRecord,
	decodeRecordHeader,
	encodeFill,
	encodeMark,
	encodeStored,
	type GoneStream,
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
`passed`: by stream, the number behind the newest one found that is stamped too early to be wanted. Stamps rise with
numbers: none before it is.
*/
export type Served = {readonly batches: readonly Batch[]; readonly passed: ReadonlyMap<StreamKey, number>};
export type TopicAppended = {
	readonly offsets: readonly number[];
	readonly written: Promise<void>;
	readonly synced: Promise<void>;
};
/**
What retention took. `floors`: the lowest number that is still kept, by stream. `from`, `to`: the offsets that are gone,
`to` not included.
*/
export type Retained = {
	readonly floors: ReadonlyMap<StreamKey, number>;
	readonly deletions: readonly Deletion[];
	readonly from: number;
	readonly to: number;
};
export type TopicLog = AsyncDisposable & {
	/** Of the oldest message that is kept; of the next one when none is. */
	readonly firstOffset: number;
	readonly nextOffset: number;
	/** Kept here. */
	readonly messages: number;
	readonly bytes: number;
	/** Where messages are missing. */
	readonly holes: readonly Hole[];
	/** Messages that were lost to damage and have not come back. */
	readonly missing: number;
	/**
	Put batches where they were lost, as far as there is room; resolves with those that were, in order of offsets, when
	they are on the disk.
	*/
	refill(found: readonly Batch[]): Promise<readonly Placed[]>;
	append(
		items: ReadonlyArray<{readonly batch: Batch; readonly hops: number; readonly repaired: boolean}>,
		options?: {readonly sync?: boolean},
	): TopicAppended;
	/** From the batch that contains `offset`, or the oldest when that is gone. `next` is where to go on. */
	read(offset: number, bytesMax: number): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}>;
	/** The batches that match a want, in log order, until `bytesMax` is used; at least one if there is any. */
	serve(wants: readonly LogWant[], bytesMax: number): Promise<Served>;
	/**
	The topic was deleted: from now on nothing that is stamped up to `until` is given out, and the next `retain` drops
	it.
	*/
	hide(until: number): void;
	/** Drop whole old segments, and what is hidden. What went; `undefined` when nothing did. */
	retain(bounds: Retention): Promise<Retained | undefined>;
	/** The lowest number of the stream that is kept. */
	lowest(stream: StreamKey): number | undefined;
	/**
	An offset before which nothing is new to a reader that has seen so much; what is behind it may still be known to it.
	*/
	freshFrom(seen: Seen): number;
	/**
	Of each stream the last number before the offset. For the end of the log it is found in this turn of the event loop.
	*/
	before(offset: number): Promise<readonly StreamPosition[]>;
	readonly failed: Promise<Error>;
};
/**
Called for everything that the log holds, oldest first, with the offset of its first message. For a stream that
retention took as a whole: with a `count` of 0 and the number that comes next.
*/
export type OnHeader = (header: BatchHeader, offset: number) => void;

const scanBytes = 512 * 1024;
const cursorsMax = 64;
/** Streams of which nothing is kept that are remembered, the one that went last the longest. */
const goneMax = 16_384;
/** A segment that holds more than this share of what is kept is closed, so that retention goes in steps. */
const shareMax = 4;
const rollBytesMin = 64 * 1024;

/**
Read what the log holds and go on behind it.
@param own whose log it is: it has all that this node published.
@param nowMs the time that ages are judged by, as in `Retention`; without it ages mean nothing.
@throws `storage` when a record is none of this version's
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
	/** Where readers that go on in order find their place: offset → position. */
	readonly #cursors = new Map<number, number>();
	/** Streams of which retention took all. */
	readonly #gone = new Map<StreamKey, GoneStream>();
	readonly #fills = new Backfill();
	#holes: readonly Hole[] = [];
	/** Missing, and in none of the holes. */
	#untold = 0;
	#hasAppended = false;
	#retaining: Promise<unknown> = Promise.resolve();
	readonly #nowMs: () => number;
	/**
	When the newest message of a segment came, by where the segment begins; of one without a message it is not known.
	*/
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
		return Math.min(this.#fills.first, this.#index.firstOffset ?? this.#nextOffset);
	}

	get nextOffset(): number {
		return this.#nextOffset;
	}

	get messages(): number {
		return this.#index.messages + this.#fills.messages - this.#hidden.messages;
	}

	get bytes(): number {
		return this.#log.end - this.#log.first;
	}

	get holes(): readonly Hole[] {
		return this.#holes;
	}

	get missing(): number {
		return this.#holes.reduce((sum, {from, to}) => sum + to - from, this.#untold);
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
						`Expected a stored batch at position ${position} of the topic's log, got a record that this version cannot read`,
					);
				if (record.type === 'mark') {
					finder.reach(Math.max(record.offset, this.#nextOffset));
					this.#recoverMark(record, onHeader);
					continue;
				}

				while (segment < segments.length - 1 && segments[segment + 1]!.first <= position) segment++;
				const {first} = segments[segment]!;
				this.#came(first, Math.min(record.cameMs ?? nowMs, nowMs));
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

		// A segment without a message may have lost them to damage. What came back, or comes back, to their offsets
		// would go with it.
		if (finder.holes().length > 0 || finder.untold > 0)
			for (const {first} of segments) if (!this.#newestMs.has(first)) this.#came(first, nowMs);
		for (const {header, offset, position, end} of fills) {
			if (!finder.fill(header, offset)) continue; // Retention has taken what was around it.
			this.#fills.add(header, offset, position, end);
			onHeader(header, offset);
		}

		this.#holes = finder.holes();
		this.#untold = finder.untold;
	}

	async refill(found: readonly Batch[]): Promise<readonly Placed[]> {
		const {placed, left} = place(
			this.#holes,
			found.filter(batch => !this.#hidden.has(batch)),
		);
		if (placed.length === 0) return [];
		this.#holes = left;
		this.#cursors.clear(); // Some led over a hole.
		const cameMs = this.#nowMs();
		const {positions, written, synced} = this.#append(
			placed.map(({batch, offset}) => encodeFill(batch, {offset, cameMs})),
			{sync: true},
		);
		const {end} = this.#log;
		await written;
		const segments = this.#log.segments();
		for (const [index, {batch, offset}] of placed.entries()) {
			const position = positions[index]!;
			this.#fills.add(batch, offset, position, positions[index + 1] ?? end);
			const {first} = segments.findLast(one => one.first <= position)!;
			this.#came(first, cameMs);
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
		const cameMs = this.#nowMs();
		let offset = this.#nextOffset;
		const records = items.map(({batch, hops, repaired}) => {
			const record = encodeStored(batch, {offset, hops, repaired, cameMs});
			offsets.push(offset);
			offset += batch.count;
			return record;
		});
		const {end} = this.#log;
		const {positions, written, synced} = this.#append(records, options);
		if (items.length > 0 && this.#log.end === end) return {offsets, written, synced}; // Refused: both reject.
		const segments = this.#log.segments();
		let segment = segments.length - 1;
		while (segment > 0 && segments[segment]!.first > positions[0]!) segment--;
		for (const [index, {batch}] of items.entries()) {
			const position = positions[index]!;
			while (segment < segments.length - 1 && segments[segment + 1]!.first <= position) segment++;
			this.#note(batch, offsets[index]!, position, segments[segment]!.first);
			this.#came(segments[segment]!.first, cameMs);
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
		const fill = this.#fills.at(wanted);
		const until = fill?.to ?? this.#fills.after(wanted);
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
					isCut = items.length > 0; // What is given at once lies together.
					if (isCut) break;
					passed = record.offset + batch.count;
					continue;
				}

				items.push({offset: record.offset, batch, hops, repaired});
			}

			const last = items.at(-1);
			if (last) {
				const end = last.offset + last.batch.count;
				if (!isPast && !isCut && end !== until) this.#remember(end, next); // Else it goes on elsewhere.
				return {items, next: end};
			}

			if (isPast) return {items: [], next: until}; // The way leads over what filled a hole.
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
			...this.#fills.rangesOf(streamWants).map(range => ({...range, type: 'fill'})),
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
		const lowest = Math.min(this.#index.lowest(stream) ?? Infinity, this.#fills.lowest(stream));
		return lowest === Infinity ? undefined : lowest;
	}

	freshFrom(seen: Seen): number {
		return Math.min(this.#fills.freshFrom(seen), this.#index.freshFrom(seen) ?? this.#nextOffset);
	}

	async before(offset: number): Promise<readonly StreamPosition[]> {
		const isAll = offset >= this.#nextOffset;
		const {highs, from} = isAll ? {highs: this.#index.highs(), from: offset} : this.#index.highsBefore(offset);
		const note = (key: StreamKey, high: number): void => void highs.set(key, Math.max(high, highs.get(key) ?? 0));
		for (const [key, {next}] of this.#gone) note(key, next - 1);
		for (const [key, high] of this.#fills.highsBefore(offset)) note(key, high);
		for (let at = from; at < offset;) {
			const {items, next} = await this.read(at, stepBytes);
			for (const {offset: first, batch} of items)
				if (first < offset)
					note(streamKey(batch), Math.min(lastSeq(batch), batch.firstSeq + offset - first - 1));
			if (next <= at) break; // Retention took it, or it is not written yet.
			at = next;
		}

		return [...highs].map(([key, high]): StreamPosition => [...streamOf(key), high]);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#retaining;
		await this.#log[Symbol.asyncDispose]();
	}

	/**
	What comes in this life lies in segments of its own. While the node was away the topic may have been deleted: what
	it had goes with its segments, and what was published since stays in others.

	*/
	#append(records: readonly Uint8Array[], options: {readonly sync?: boolean}): Appended {
		if (!this.#hasAppended) {
			this.#hasAppended = true;
			if (this.#index.messages > 0) this.#log.roll().catch(() => undefined); // The append meets the same error.
		}

		return this.#log.append(records, options);
	}

	async #retain(bounds: Retention): Promise<Retained | undefined> {
		const active = this.#log.segments().at(-1);
		// One that holds no more than a mark stays, however old.
		if (!active || (this.#index.messages + this.#fills.messages === 0 && !this.#hidden.isNew)) return undefined;
		const {bytes, ageMs, nowMs, bytesMax = Infinity} = bounds;
		const isOld = nowMs - (this.#newestMs.get(active.first) ?? Infinity) > ageMs;
		if (
			isOld ||
			this.#hidden.isIn(active) ||
			active.end - active.first > Math.max(rollBytesMin, Math.min(bytes, bytesMax) / shareMax)
		)
			await this.#log.roll();
		const closed = this.#log.segments().slice(0, -1);
		// What came back into a hole lies elsewhere, and goes with the segment of the hole: it may be later than the
		// deletion.
		const deleted = this.#fills.messages > 0 ? [] : this.#hidden.segmentsToDrop(closed, this.missing > 0);
		const dropped = [
			...deleted.map(segment => ({segment, reason: 'topic'}) as const),
			...segmentsToDrop(
				closed.slice(deleted.length),
				this.#log.end,
				first => this.#newestMs.get(first) ?? -Infinity,
				bounds,
			),
		];
		// What is left of a deleted topic lies among what was published after its deletion.
		const left = await this.#hidden.count(closed.slice(dropped.length));
		const drop = dropped.at(-1)?.segment.end;
		if (drop === undefined && left === 0) return undefined;
		const from = this.firstOffset;
		const deletions = this.#deletions(dropped, left);
		const filled = this.#fills.messages;
		if (drop !== undefined) await this.#dropBefore(drop);
		// What had come back into a hole of theirs lies elsewhere, and went with them.
		const [first] = deletions.values();
		if (first) first.messages += filled - this.#fills.messages;
		return {
			floors: this.#fills.lower(this.#index.floors()),
			deletions: [...deletions.values()].filter(({messages}) => messages > 0),
			from,
			to: this.firstOffset,
		};
	}

	async #dropBefore(drop: number): Promise<void> {
		await this.#markGone(drop);
		await this.#log.dropBefore(drop);
		this.#index.dropBefore(this.#log.first);
		this.#hidden.dropBefore(this.#log.first);
		for (const segment of this.#newestMs.keys()) if (segment < this.#log.first) this.#newestMs.delete(segment);
		const first = this.#index.firstOffset ?? this.#nextOffset;
		this.#fills.dropBefore(first);
		this.#holes = this.#holes.filter(({to}) => to > first);
		if (this.#holes.length === 0) this.#untold = 0;
		for (const [offset, position] of this.#cursors) if (position < this.#log.first) this.#cursors.delete(offset);
	}

	/** @param left messages that are hidden and stay on the disk */
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
					this.#hidden.told(first),
				bytes: bytes + end - first,
			});
		}

		const {messages, bytes} = deletions.get('topic') ?? {messages: 0, bytes: 0};
		if (left > 0) deletions.set('topic', {reason: 'topic', messages: messages + left, bytes});
		return deletions;
	}

	#came(segment: number, atMs: number): void {
		this.#newestMs.set(segment, Math.max(atMs, this.#newestMs.get(segment) ?? -Infinity));
	}

	/** Before streams go as a whole: write down where they stand, behind what stays. */
	async #markGone(drop: number): Promise<void> {
		for (const [key, {high, lamport}] of this.#index.onlyBefore(drop)) {
			const [origin, incarnation] = streamOf(key);
			this.#gone.delete(key);
			this.#gone.set(key, {origin, incarnation, next: high + 1, lamport});
		}

		for (const oldest of this.#gone.keys()) {
			if (this.#gone.size <= goneMax) break;
			this.#gone.delete(oldest);
		}

		if (this.#topic === undefined) return;
		// Also when none goes: it brings what was written before it to the disk, and of some streams that may be all
		// that stays.
		const {synced} = this.#log.append(
			[encodeMark({offset: this.#nextOffset, topic: this.#topic, streams: [...this.#gone.values()]})],
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
			if (this.#index.has(key)) continue; // The power went before its segments did, or it went on since.
			this.#gone.set(key, gone);
			onHeader(
				{origin, incarnation, topic, firstSeq: next, count: 0, lamport, previousLamport: 0, sentAtMs: 0},
				this.#nextOffset,
			);
		}
	}

	#note(batch: BatchHeader, offset: number, position: number, segment: number): void {
		this.#topic = batch.topic;
		this.#nextOffset = offset + batch.count;
		if (this.#gone.size > 0) this.#gone.delete(streamKey(batch));
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
