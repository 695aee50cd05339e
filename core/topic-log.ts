/**
The messages of one topic on one node, in the order they were delivered. An offset counts them, from 0, without gaps and across
retention, so that a reader's place has the same meaning as long as the node lives.

A record is `u48 offset of the first message | u8 hops | u8 flags (1 repaired) | batch`, the batch as its origin sealed it. In memory is
a sparse index: for each stretch of about 256 KiB where it begins, and which streams with which numbers lie in it.
*/
import type {StoredBatch} from './delivery.ts';
import {decodeBatch, lastSeq, streamKey, type Batch, type BatchHeader, type StreamKey} from './message.ts';
import type {Log, LogRecord} from './ports.ts';

export type LogWant = {readonly origin: BatchHeader['origin']; readonly incarnation: number; readonly from: number; readonly to: number; readonly sinceLamport: number};
export type TopicAppended = {readonly offsets: readonly number[]; readonly written: Promise<void>; readonly synced: Promise<void>};
export type TopicLog = AsyncDisposable & {
	readonly firstOffset: number;
	readonly nextOffset: number;
	readonly messages: number;
	readonly bytes: number;
	append(items: ReadonlyArray<{readonly batch: Batch; readonly hops: number; readonly repaired: boolean}>, options?: {readonly sync?: boolean}): TopicAppended;
	/** From the batch that contains `offset`, or the oldest when that is gone. `next` is where to go on. */
	read(offset: number, bytesMax: number): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}>;
	/** The batches that match a want, in log order, until `bytesMax` is used; at least one if there is any. */
	serve(wants: readonly LogWant[], bytesMax: number): Promise<readonly Batch[]>;
	/** Drop whole old segments. The lowest number that is still kept, by stream, when something went. */
	retain(bounds: {readonly bytes: number; readonly ageMs: number; readonly nowMs: number}): Promise<ReadonlyMap<StreamKey, number> | undefined>;
	readonly failed: Promise<Error>;
};

/** A stretch of the log. */
type Stretch = {
	readonly position: number;
	readonly offset: number;
	end: number;
	readonly streams: Map<StreamKey, {low: number; high: number; lamport: number}>;
};

const prefixBytes = 8;
const stretchBytes = 256 * 1024;
const scanBytes = 4 * 1024 * 1024;
const cursorsMax = 16;

/** @param onHeader everything that the log holds, oldest first. */
export async function openTopicLog(log: Log, onHeader: (header: BatchHeader) => void): Promise<TopicLog> {
	const topicLog = new SegmentedTopicLog(log);
	await topicLog.recover(onHeader);
	return topicLog;
}

class SegmentedTopicLog implements TopicLog {
	readonly #log: Log;
	#stretches: Stretch[] = [];
	#nextOffset = 0;
	/** Where sequential readers go on: offset → position. */
	readonly #cursors = new Map<number, number>();

	constructor(log: Log) {
		this.#log = log;
	}

	get failed(): Promise<Error> {
		return this.#log.failed;
	}

	get firstOffset(): number {
		return this.#stretches[0]?.offset ?? this.#nextOffset;
	}

	get nextOffset(): number {
		return this.#nextOffset;
	}

	get messages(): number {
		return this.#nextOffset - this.firstOffset;
	}

	get bytes(): number {
		return this.#log.end - this.#log.first;
	}

	async recover(onHeader: (header: BatchHeader) => void): Promise<void> {
		const starts = new Set(this.#log.segments().map(({first}) => first));
		for (let at = this.#log.first; at < this.#log.end;) {
			// oxlint-disable-next-line no-await-in-loop -- in order
			const {records, next} = await this.#log.read(at, scanBytes);
			for (const record of records) {
				const item = decodeRecord(record);
				if (!item) continue;
				this.#note(record.position, item.offset, item.batch, starts.has(record.position));
				this.#nextOffset = item.offset + item.batch.count;
				onHeader(item.batch);
			}

			if (next <= at) return;
			at = next;
		}
	}

	append(items: ReadonlyArray<{readonly batch: Batch; readonly hops: number; readonly repaired: boolean}>, options: {readonly sync?: boolean} = {}): TopicAppended {
		const offsets: number[] = [];
		const records = items.map(({batch, hops, repaired}) => {
			offsets.push(this.#nextOffset);
			const record = Buffer.allocUnsafe(prefixBytes + batch.bytes.length);
			record.writeUIntBE(this.#nextOffset, 0, 6);
			record[6] = Math.min(hops, 255);
			record[7] = repaired ? 1 : 0;
			record.set(batch.bytes, prefixBytes);
			this.#nextOffset += batch.count;
			return record;
		});
		const {positions, written, synced} = this.#log.append(records, options);
		const start = this.#log.segments().at(-1)?.first;
		for (const [index, {batch}] of items.entries()) this.#note(positions[index]!, offsets[index]!, batch, positions[index] === start);
		return {offsets, written, synced};
	}

	async read(offset: number, bytesMax: number): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}> {
		const wanted = Math.max(offset, this.firstOffset);
		let at = this.#cursors.get(wanted) ?? this.#stretchOf(wanted)?.position ?? this.#log.end;
		this.#cursors.delete(wanted);
		for (;;) {
			// oxlint-disable-next-line no-await-in-loop -- a step of the index at most
			const {records, next} = await this.#log.read(at, bytesMax);
			const items: StoredBatch[] = [];
			for (const record of records) {
				const item = decodeRecord(record);
				if (item && item.offset + item.batch.count > wanted) items.push(item);
			}

			const last = items.at(-1);
			if (last) {
				const end = last.offset + last.batch.count;
				this.#remember(end, next);
				return {items, next: end};
			}

			if (next <= at) return {items: [], next: wanted};
			at = next;
		}
	}

	async serve(wants: readonly LogWant[], bytesMax: number): Promise<readonly Batch[]> {
		const byStream = new Map<StreamKey, LogWant[]>();
		for (const want of wants) {
			const key = `${want.origin}:${want.incarnation}` as StreamKey;
			const list = byStream.get(key);
			if (list) list.push(want);
			else byStream.set(key, [want]);
		}

		const isWanted = (origin: string, incarnation: number, low: number, high: number, lamport: number): boolean => byStream.get(`${origin}:${incarnation}` as StreamKey)?.some(({from, to, sinceLamport}) => low <= to && high >= from && lamport > sinceLamport) ?? false;
		const batches: Batch[] = [];
		let bytes = 0;
		for (const stretch of [...this.#stretches]) {
			const mayMatch = [...stretch.streams].some(([key, {low, high, lamport}]) => {
				const [origin, incarnation] = key.split(':', 2);
				return isWanted(origin!, Number(incarnation), low, high, lamport);
			});
			if (!mayMatch || stretch.position < this.#log.first) continue;
			for (let at = stretch.position; at < stretch.end;) {
				// oxlint-disable-next-line no-await-in-loop -- in order, under a budget
				const {records, next} = await this.#log.read(at, Math.min(stretchBytes, stretch.end - at));
				for (const record of records) {
					const batch = decodeRecord(record)?.batch;
					if (!batch || !isWanted(batch.origin, batch.incarnation, batch.firstSeq, lastSeq(batch), batch.lamport)) continue;
					if (batches.length > 0 && bytes + batch.bytes.length > bytesMax) return batches;
					bytes += batch.bytes.length;
					batches.push(batch);
				}

				if (next <= at) break;
				at = next;
			}
		}

		return batches;
	}

	async retain({bytes, ageMs, nowMs}: {readonly bytes: number; readonly ageMs: number; readonly nowMs: number}): Promise<ReadonlyMap<StreamKey, number> | undefined> {
		const active = this.#log.segments().at(-1);
		if (active && active.end > active.first && nowMs - active.modifiedMs > ageMs) await this.#log.roll();
		let drop = this.#log.first;
		const segments = this.#log.segments();
		for (const {end, modifiedMs} of segments.slice(0, -1)) {
			if (nowMs - modifiedMs <= ageMs && this.#log.end - drop <= bytes) break;
			drop = end;
		}

		if (drop === this.#log.first) return undefined;
		await this.#log.dropBefore(drop);
		const {first} = this.#log;
		this.#stretches = this.#stretches.filter(({position}) => position >= first);
		this.#cursors.clear();
		const floors = new Map<StreamKey, number>();
		for (const {streams} of this.#stretches) for (const [key, {low}] of streams) floors.set(key, Math.min(low, floors.get(key) ?? Infinity));
		return floors;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#log[Symbol.asyncDispose]();
	}

	#note(position: number, offset: number, batch: Batch, isNewSegment: boolean): void {
		const end = position + batch.bytes.length + prefixBytes;
		let stretch = this.#stretches.at(-1);
		// Begins anew with each segment, so that retention takes whole stretches.
		if (!stretch || isNewSegment || position - stretch.position >= stretchBytes) {
			stretch = {position, offset, end, streams: new Map()};
			this.#stretches.push(stretch);
		}

		stretch.end = end;
		const key = streamKey(batch);
		const stream = stretch.streams.get(key);
		if (stream) {
			stream.high = lastSeq(batch);
			stream.lamport = batch.lamport;
		} else stretch.streams.set(key, {low: batch.firstSeq, high: lastSeq(batch), lamport: batch.lamport});
	}

	/** The last stretch that begins at or before the offset. */
	#stretchOf(offset: number): Stretch | undefined {
		let low = 0;
		let high = this.#stretches.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.#stretches[middle]!.offset <= offset) low = middle + 1;
			else high = middle;
		}

		return this.#stretches[low - 1];
	}

	#remember(offset: number, position: number): void {
		this.#cursors.set(offset, position);
		for (const oldest of this.#cursors.keys()) {
			if (this.#cursors.size <= cursorsMax) return;
			this.#cursors.delete(oldest);
		}
	}
}

function decodeRecord({bytes}: LogRecord): StoredBatch | undefined {
	const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const batch = record.length > prefixBytes ? decodeBatch(record.subarray(prefixBytes)) : undefined;
	return batch && {offset: record.readUIntBE(0, 6), hops: record[6]!, repaired: record[7] === 1, batch};
}
