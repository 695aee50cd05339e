/**
The batches that the log of one topic may hold after a crash: every batch at its offset, without a gap. The log starts
no later than retention was allowed to go, and ends no earlier than the acknowledged batches. It still knows every
stream of which it had acknowledged a message.
*/
import {
	decodeBatch,
	encodeBatch,
	lastSeq,
	streamKey,
	type Batch,
	type BatchHeader,
	type NodeId,
	type StreamKey,
	type Topic,
} from '../../../core/message.ts';
import type {TopicLog} from '../../../core/topic-log/topic-log.ts';
import type {SeededRandom} from '../random.ts';

type Stored = {readonly offset: number; readonly batch: Batch; readonly hops: number; readonly repaired: boolean};
type Stream = {readonly origin: NodeId; readonly incarnation: number; next: number; lamport: number};

export const self = 'dddddddddddddddd' as NodeId;
const others = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc'] as NodeId[];
const recordOverhead = 24;
/** The size that retention's own marks may have. */
const slackBytes = 4000;

/** What a log reports while it is opened: where each stream continues. */
export class Headers {
	readonly streams = new Map<StreamKey, Stream>();

	readonly note = ({origin, incarnation, topic, firstSeq, count, lamport}: BatchHeader): void => {
		const key = streamKey({origin, incarnation, topic});
		const known = this.streams.get(key);
		const next = Math.max(known?.next ?? 1, firstSeq + count);
		this.streams.set(key, {origin, incarnation, next, lamport: Math.max(known?.lamport ?? 0, lamport)});
	};
}

export class TopicModel {
	readonly topic: Topic;
	/** Batches that were acknowledged as durable. */
	acknowledged = 0;
	#items: Stored[] = [];
	/** Everything before was reported as written; as durable. */
	#writtenEnd = 0;
	#syncedEnd = 0;
	/** Retention may have removed everything before it. */
	#mayBeGone = 0;
	/** Bytes to keep, of each retention in progress. */
	#retaining: number[] = [];
	#streams = new Map<StreamKey, Stream>();

	constructor(topic: Topic) {
		this.topic = topic;
	}

	/** Whether something was written that must be found again. */
	get mustBeThere(): boolean {
		return this.#writtenEnd > 0;
	}

	/** Writes that were not durable may be gone. */
	powerCut(): void {
		this.#writtenEnd = this.#syncedEnd;
	}

	/** What was given to the log at that offset, acknowledged or not. */
	printAt(offset: number): string | undefined {
		const item = this.#items.findLast(one => one.offset === offset);
		return item && printOf(item);
	}

	/** The log is gone, and nothing in it had to survive. */
	forget(): void {
		this.#items = [];
		this.#mayBeGone = 0;
		this.#retaining = [];
		this.#streams.clear();
	}

	/** Compare what was read back, and continue from it. Returns how many batches were compared. */
	async recovered(log: TopicLog, headers: Headers, random: SeededRandom): Promise<number> {
		const {topic} = this;
		const least = this.#writtenEnd;
		const {firstOffset, nextOffset} = log;
		for (const bytes of this.#retaining.splice(0)) this.#letGo(bytes);
		if (nextOffset < least)
			throw new Error(
				`a topic keeps acknowledged batches: ${topic} continues at ${nextOffset}, had ${least} (${this.#syncedEnd} durable)`,
			);
		if (nextOffset > this.#end)
			throw new Error(
				`a topic holds only written batches: ${topic} continues at ${nextOffset}, had ${this.#end}`,
			);
		if (firstOffset > this.#mayBeGone)
			throw new Error(
				`a topic keeps what retention left: ${topic} starts at ${firstOffset}, and had to keep everything from ${this.#mayBeGone}`,
			);
		const found = await readAll(log, random);
		const expected = this.#items.filter(({offset}) => offset >= firstOffset && offset < nextOffset);
		for (const [index, item] of expected.entries()) {
			const got = found[index];
			const isSame =
				got !== undefined &&
				got.offset === item.offset &&
				got.hops === item.hops &&
				got.repaired === item.repaired &&
				Buffer.compare(got.batch.bytes, item.batch.bytes) === 0;
			if (!isSame)
				throw new Error(
					`an offset identifies the same message: ${topic} has ${got ? `another batch at ${got.offset}` : 'nothing'} where ${item.offset} was written`,
				);
		}

		if (found.length > expected.length)
			throw new Error(
				`a topic holds only written batches: ${topic} has ${found.length} batches, expected ${expected.length}`,
			);
		for (const [key, {next}] of streamsOf(this.#items.filter(({offset}) => offset < least))) {
			const known = headers.streams.get(key)?.next ?? 1;
			if (known < next)
				throw new Error(`a stream is known after a restart: ${key} continues at ${known}, had ${next}`);
		}

		for (const [key, {next, lamport}] of headers.streams) {
			const known = this.#streams.get(key);
			if (!known || next > known.next || lamport > known.lamport)
				throw new Error(
					`a stream was written before: ${key} continues at ${next}, had ${known?.next ?? 'none'}`,
				);
		}

		this.#items = this.#items.filter(({offset}) => offset < nextOffset);
		this.#writtenEnd = nextOffset;
		this.#syncedEnd = nextOffset;
		this.#streams = new Map(headers.streams);
		return found.length;
	}

	/** Add batches of this node and of others. Resolves when they are written, or durable. */
	append(log: TopicLog, incarnation: number, random: SeededRandom, lamport: () => number): Promise<void> {
		const items = Array.from({length: random.between(1, 3)}, () => ({
			batch: this.#batch(incarnation, random, lamport),
			hops: random.below(4),
			repaired: random.chance(1, 4),
		}));
		const {offsets, written, synced} = log.append(items, {sync: random.chance(1, 2)});
		if (offsets[0] !== this.#end) {
			return written.then(() => {
				// A failed log accepts nothing, and its offsets mean nothing.
				throw new Error(`offsets have no gap: ${this.topic} gave ${offsets[0]}, expected ${this.#end}`);
			});
		}

		for (const item of items) {
			this.#items.push({...item, offset: this.#end});
		}

		const end = this.#end;
		const done = [
			written.then(() => {
				this.#writtenEnd = Math.max(this.#writtenEnd, end);
			}),
			synced.then(() => {
				this.#syncedEnd = Math.max(this.#syncedEnd, end);
				this.acknowledged += items.length;
			}),
		];
		for (const one of done) one.catch(() => undefined); // The caller gets the error.
		return random.pick(done);
	}

	async retain(log: TopicLog, random: SeededRandom, nowMs: number): Promise<void> {
		if (random.chance(1, 4)) {
			this.#mayBeGone = this.#end; // All batches that are old enough may be removed.
			await log.retain({bytes: Number.MAX_SAFE_INTEGER, ageMs: random.below(2000), nowMs});
			return;
		}

		const bytes = random.between(1000, 20_000);
		this.#retaining.push(bytes);
		await log.retain({bytes, ageMs: Number.MAX_SAFE_INTEGER, nowMs});
		this.#letGo(bytes);
		this.#retaining.splice(this.#retaining.indexOf(bytes), 1);
	}

	/** Everything with this many bytes after it may be removed. */
	#letGo(bytes: number): void {
		let newer = slackBytes;
		const oldest = this.#items.findLast(({batch}) => {
			if (newer >= bytes) return true;
			newer += recordOverhead + batch.bytes.length;
			return false;
		});
		this.#mayBeGone = Math.max(this.#mayBeGone, oldest ? oldest.offset + oldest.batch.count : 0);
	}

	get #end(): number {
		const last = this.#items.at(-1);
		return last ? last.offset + last.batch.count : this.#syncedEnd;
	}

	#batch(ownIncarnation: number, random: SeededRandom, lamport: () => number): Batch {
		const {topic} = this;
		const origin = random.pick([self, self, ...others]);
		const incarnation = origin === self ? ownIncarnation : 1 + random.below(2);
		const key = streamKey({origin, incarnation, topic});
		const stream = this.#streams.get(key) ?? {origin, incarnation, next: 1, lamport: 0};
		const stamp = lamport();
		const bodies = Array.from({length: random.between(1, 4)}, () =>
			Buffer.alloc(random.chance(1, 20) ? random.between(1000, 6000) : random.below(300), `${topic} ${stamp} `),
		);
		const batch = decodeBatch(
			encodeBatch(
				{
					origin,
					incarnation,
					topic,
					firstSeq: stream.next,
					lamport: stamp,
					previousLamport: stream.lamport,
					sentAtMs: 0,
				},
				bodies,
				'none',
			),
		)!;
		this.#streams.set(key, {...stream, next: lastSeq(batch) + 1, lamport: stamp});
		return batch;
	}
}

/** Everything that can be read, in parts of any size. @param hasHoles nothing may be stored where the log ends */
export async function readAll(log: TopicLog, random: SeededRandom, hasHoles = false): Promise<Stored[]> {
	const found: Stored[] = [];
	for (let at = log.firstOffset; at < log.nextOffset;) {
		const {items, next} = await log.read(at, random.between(1, 8000));
		found.push(...items);
		if (next <= at && hasHoles) return found;
		if (next <= at) throw new Error(`a reader advances: it stays at ${at} of ${log.nextOffset}`);
		at = next;
	}

	return found;
}

/** Equal for equal content. */
export function printOf({batch, hops, repaired}: Stored): string {
	return `${hops} ${repaired} ${Buffer.from(batch.bytes).toString('latin1')}`;
}

function streamsOf(items: readonly Stored[]): Map<StreamKey, Stream> {
	const headers = new Headers();
	for (const {batch} of items) headers.note(batch);
	return headers.streams;
}
