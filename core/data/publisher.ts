/**
Publish → batch → stamp → sign. Messages published within one turn of the event loop share a batch. So a lone message
leaves at once, and batches grow under load. All batches of a turn are signed together. While much waits for the disk, a
turn waits for up to a millisecond: that delays nothing, and saves signatures and frames. Sequence numbers are dense
within a stream (this node, this incarnation, one topic); the incarnation was raised durably before the first of them.
*/
import type {Published} from '../broker.ts';
import {DapssError} from '../errors.ts';
import type {Lamport} from '../lamport.ts';
import {
	batchBytesTarget,
	decodeBatch,
	proofBytesMax,
	topicBytesMax,
	type Batch,
	type NodeId,
	type Topic,
} from '../message.ts';
import type {Clock} from '../ports.ts';
import type {BatchDraft} from './proofs.ts';

/** Bytes of a frame with one message besides the body. */
export const frameOverheadBytes = 64 + topicBytesMax + proofBytesMax;

/** Bytes that wait for the disk: more of them show that the disk, and not the publisher, sets the pace. */
const busyBytes = 128 * 1024;
/** Between two turns while the disk sets the pace, milliseconds. */
const turnMs = 1;

type Waiter = {
	readonly bodies: readonly Uint8Array[];
	readonly resolve: (published: Published) => void;
	readonly reject: (error: Error) => void;
};
type Stream = {nextSeq: number; previousLamport: number};
/** What was published to a topic in a turn. */
type Part = {
	readonly topic: Topic;
	readonly waiters: readonly Waiter[];
	readonly drafts: readonly BatchDraft[];
	/** Answers the publishers. */
	readonly settle: ReadonlyArray<() => void>;
};
export type PublisherOptions = {
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly lamport: Lamport;
	readonly clock: Pick<Clock, 'soon' | 'after' | 'wallMs' | 'monotonicMs'>;
	/** Encodes the batches of a turn, with their proofs. */
	readonly encode: (drafts: readonly BatchDraft[]) => readonly Buffer[];
	readonly bodyBytesMax: number;
	/** Passes batches to the log and to gossip. Resolves when they are synced. */
	readonly store: (topic: Topic, batches: readonly Batch[]) => Promise<void>;
	/** A promise to await before the next stamp is assigned, if any. */
	readonly stampable: () => Promise<void> | undefined;
	/** Bytes that may wait for the disk; above it, publishers wait. */
	readonly inFlightBytesMax: number;
};

export class Publisher {
	published = 0;
	readonly #options: PublisherOptions;
	readonly #streams = new Map<Topic, Stream>();
	#turn = new Map<Topic, Waiter[]>();
	#isScheduled = false;
	#inFlightBytes = 0;
	/** Time of the last flush, monotonic. */
	#flushedMs = -Infinity;
	#room: PromiseWithResolvers<void> | undefined;
	#closed: DapssError | undefined;

	constructor(options: PublisherOptions) {
		this.#options = options;
	}

	/** Resolves once every body is stored. @throws `too-large`, `usage`, `closed`, `storage` */
	async publish(topic: Topic, bodies: readonly Uint8Array[]): Promise<Published> {
		const {bodyBytesMax, inFlightBytesMax} = this.#options;
		if (bodies.length === 0) throw new DapssError('usage', 'Expected at least one message to publish, got none');
		const large = bodies.findIndex(body => body.length > bodyBytesMax);
		if (large !== -1)
			throw new DapssError(
				'too-large',
				`Expected messages of at most ${bodyBytesMax} bytes (limits.frame_bytes less ` +
					`${frameOverheadBytes}), got one of ${bodies[large]!.length}`,
			);
		while (this.#inFlightBytes > inFlightBytesMax && !this.#closed) {
			this.#room ??= Promise.withResolvers<void>();
			await this.#room.promise;
		}

		if (this.#closed) throw this.#closed;
		return new Promise<Published>((resolve, reject) => {
			const waiters = this.#turn.get(topic);
			const waiter = {bodies, resolve, reject};
			if (waiters) waiters.push(waiter);
			else this.#turn.set(topic, [waiter]);
			if (!this.#isScheduled) {
				this.#isScheduled = true;
				this.#schedule();
			}
		});
	}

	/** The sequence number of the next message of the topic. */
	nextSeq(topic: Topic): number {
		return this.#streams.get(topic)?.nextSeq ?? 1;
	}

	/** Refuses later messages with this error. */
	close(error: DapssError): void {
		this.#flush();
		this.#closed = error;
		this.#refuse(error); // Those that wait for a stamp are refused too.
		this.#room?.resolve();
	}

	#flush(): void {
		if (this.#turn.size === 0) return;
		const stampable = this.#closed ? undefined : this.#options.stampable();
		if (stampable) {
			stampable.then(
				() => this.#flush(),
				(error: unknown) => this.#refuse(error),
			);
			return;
		}

		this.#isScheduled = false;
		const turn = this.#turn;
		this.#turn = new Map();
		this.#flushedMs = this.#options.clock.monotonicMs();
		const parts = [...turn].map(([topic, waiters]) => this.#draft(topic, waiters));
		let encoded: readonly Batch[];
		try {
			encoded = this.#options.encode(parts.flatMap(({drafts}) => drafts)).map(decoded);
		} catch (error) {
			const problem = new DapssError('failure', 'Could not make a batch', {cause: error});
			for (const {waiters} of parts) for (const waiter of waiters) waiter.reject(problem);
			return;
		}

		let at = 0;
		for (const part of parts) {
			this.#store(part, encoded.slice(at, at + part.drafts.length));
			at += part.drafts.length;
		}
	}

	#schedule(): void {
		const {clock} = this.#options;
		const isBusy = this.#inFlightBytes > busyBytes && clock.monotonicMs() - this.#flushedMs < turnMs;
		if (isBusy) clock.after(turnMs, () => this.#flush());
		else clock.soon(() => this.#flush());
	}

	#refuse(error: unknown): void {
		this.#isScheduled = false;
		const turn = this.#turn;
		this.#turn = new Map();
		for (const waiter of [...turn.values()].flat())
			waiter.reject(
				error instanceof DapssError
					? error
					: new DapssError('storage', 'Could not store the message', {cause: error}),
			);
	}

	/** Divides what was published to the topic in this turn into batches, numbered and stamped. */
	#draft(topic: Topic, waiters: readonly Waiter[]): Part {
		const {origin, incarnation} = this.#options;
		const stream = this.#stream(topic);
		const drafts: BatchDraft[] = [];
		const settle: Array<() => void> = [];
		let bodies: Uint8Array[] = [];
		let bytes = 0;
		for (const waiter of waiters) {
			const firstSeq = stream.nextSeq + bodies.length;
			const answer = {origin, incarnation, topic, firstSeq, count: waiter.bodies.length};
			settle.push(() => waiter.resolve(answer));
			for (const body of waiter.bodies) {
				if (bodies.length > 0 && bytes + body.length + 4 > batchBytesTarget) {
					drafts.push(this.#next(topic, stream, bodies));
					bodies = [];
					bytes = 0;
				}

				bodies.push(body);
				bytes += body.length + 4;
			}
		}

		drafts.push(this.#next(topic, stream, bodies));
		return {topic, waiters, drafts, settle};
	}

	#next(topic: Topic, stream: Stream, bodies: readonly Uint8Array[]): BatchDraft {
		const {
			origin,
			incarnation,
			lamport: clock,
			clock: {wallMs},
		} = this.#options;
		const {nextSeq: firstSeq, previousLamport} = stream;
		const lamport = clock.stamp();
		stream.nextSeq += bodies.length;
		stream.previousLamport = lamport;
		this.published += bodies.length;
		return {header: {origin, incarnation, topic, firstSeq, lamport, previousLamport, sentAtMs: wallMs()}, bodies};
	}

	#store({topic, waiters, settle}: Part, batches: readonly Batch[]): void {
		let total = 0;
		for (const batch of batches) total += batch.bytes.length;
		this.#inFlightBytes += total;
		const done = (): void => {
			this.#inFlightBytes -= total;
			this.#room?.resolve();
			this.#room = undefined;
		};

		this.#options.store(topic, batches).then(
			() => {
				done();
				for (const resolve of settle) resolve();
			},
			(error: unknown) => {
				done();
				for (const waiter of waiters)
					waiter.reject(
						error instanceof DapssError
							? error
							: new DapssError('storage', 'Could not store the message', {cause: error}),
					);
			},
		);
	}

	#stream(topic: Topic): Stream {
		let stream = this.#streams.get(topic);
		if (!stream) {
			stream = {nextSeq: 1, previousLamport: 0};
			this.#streams.set(topic, stream);
		}

		return stream;
	}
}

function decoded(bytes: Buffer): Batch {
	const batch = decodeBatch(bytes);
	if (!batch) throw new Error('Expected the encoded batch to decode, got undefined');
	return batch;
}
