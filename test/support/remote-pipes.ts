/** Both ends of a connection with small queues, and a node at one of them whose topics are lists of batches. */
import type {Access} from '../../core/access.ts';
import type {Broker, Published} from '../../core/broker.ts';
import {defaults, type Config} from '../../core/config.ts';
import {ReadBudget, type ReadBudgetOptions} from '../../core/data/read-budget.ts';
import {Reader, type BatchSink} from '../../core/data/reader.ts';
import {DapssError} from '../../core/errors.ts';
import type {RecordedEvent} from '../../core/events.ts';
import {ManualClock} from '../../core/io/net/memory-network.ts';
import type {NodeId, StoredBatch, Topic} from '../../core/message.ts';
import type {Place, SubscriptionStart} from '../../core/position.ts';
import type {Pipe} from '../../core/remote/pipe.ts';
import type {BatchReading, Guard, ServedBroker} from '../../core/remote/server.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {healthy} from '../tui/support/fixtures.ts';
import {batchOf} from './batches.ts';

export const origin = 'aaaaaaaaaaaaaaaa' as NodeId;

/** One message a batch, so that an offset is a number of batches. */
export function batchAt(topic: string, offset: number, bytes: number): StoredBatch {
	const header = {origin, topic: topic as Topic, firstSeq: offset + 1};
	return {offset, batch: batchOf(header, [Buffer.alloc(bytes, offset)]), hops: 0, repaired: false};
}

/** One end. Sent bytes wait in a queue of `queueBytes` until `carry` moves them. */
export class FakePipe implements Pipe {
	readonly frameBytesMax = 1_000_000;
	readonly queueBytes: number;
	readonly sent: Buffer[] = [];
	queuedBytes = 0;
	mostQueuedBytes = 0;
	isPaused = false;
	why: string | undefined;
	other: FakePipe | undefined;
	#owesDrain = false;

	constructor(queueBytes: number) {
		this.queueBytes = queueBytes;
	}

	onFrame: (frame: Buffer) => void = () => {};
	onClose: (why: string) => void = () => {};
	onDrain: () => void = () => {};

	send(pieces: readonly Uint8Array[]): boolean {
		if (this.why !== undefined) return false;
		const frame = Buffer.concat(pieces);
		if (this.queuedBytes + frame.length > this.queueBytes) {
			this.#owesDrain = true;
			return false;
		}

		this.sent.push(frame);
		this.queuedBytes += frame.length;
		this.mostQueuedBytes = Math.max(this.mostQueuedBytes, this.queuedBytes);
		return true;
	}

	room(): number {
		const room = this.queueBytes * 0.75 - this.queuedBytes;
		if (room <= 0) this.#owesDrain = true;
		return Math.max(0, room);
	}

	pause(): void {
		this.isPaused = true;
	}

	resume(): void {
		this.isPaused = false;
	}

	close(why: string): void {
		if (this.why !== undefined) return;
		this.why = why;
		queueMicrotask(() => this.onClose(why));
		this.other?.close(why);
	}

	/** Removes the first frame of the queue. */
	take(): Buffer | undefined {
		const frame = this.sent.shift();
		if (!frame) return undefined;
		this.queuedBytes -= frame.length;
		if (this.#owesDrain && this.queuedBytes <= this.queueBytes / 2) {
			this.#owesDrain = false;
			this.onDrain();
		}

		return frame;
	}

	/** Carries one frame to the other side. False when there is none, or the other side is paused. */
	carry(): boolean {
		if (this.other!.isPaused) return false;
		const frame = this.take();
		if (frame && this.other!.why === undefined) this.other!.onFrame(frame);
		return frame !== undefined;
	}
}

export function pipes(queueBytes: number): {readonly near: FakePipe; readonly far: FakePipe} {
	const near = new FakePipe(queueBytes);
	const far = new FakePipe(queueBytes);
	near.other = far;
	far.other = near;
	return {near, far};
}

export const turn = (): Promise<void> =>
	new Promise(resolve => {
		setImmediate(resolve);
	});

/** Carries frames both ways until no frame is left to carry. */
export async function settle({near, far}: {readonly near: FakePipe; readonly far: FakePipe}): Promise<void> {
	for (let idle = 0; idle < 5; idle++) {
		await turn();
		while (near.carry() || far.carry()) idle = 0;
	}
}

export class FakeNode {
	readonly bounds: string[] = [];
	readonly topics = new Map<Topic, readonly StoredBatch[]>();
	readonly readers = new Set<Reader>();
	readonly published: number[] = [];
	snapshots = 0;
	reads = 0;
	mostReads = 0;
	readsTotal = 0;
	/** The positions at which readers asked to begin. */
	readonly places: Place[] = [];
	/** The answer to tracked readers. */
	starts: readonly SubscriptionStart[] | undefined;
	/** `publish` waits for this promise. */
	stored: Promise<void> = Promise.resolve();
	/** Streams of events that are open. */
	followers = 0;
	readonly clock = new ManualClock();
	/** Only the turns of the event loop are real. */
	readonly #io: ServedBroker['options']['io'] = {
		clock: {
			monotonicMs: () => this.clock.monotonicMs(),
			after: (delayMs, run) => this.clock.after(delayMs, run),
			soon: run => void setImmediate(run),
		},
	};
	options: ServedBroker['options'] = {config: {limits: defaults.limits}, io: this.#io};
	/** Bytes of the logs that are read at once. */
	readBytes = 0;
	mostReadBytes = 0;
	readonly #budget: ReadBudget;

	/** @param budget the read budget of the node */
	constructor(budget: ReadBudgetOptions = {reads: 8}) {
		this.#budget = new ReadBudget(budget);
	}

	/** Changes limits of the node. */
	limit(limits: Partial<Config['limits']>): void {
		this.options = {config: {limits: {...defaults.limits, ...limits}}, io: this.#io};
	}

	/** The access of every caller; `regrant` changes it. */
	access: Access = {role: 'operator', topics: [], isReadonly: false};
	readonly audits: string[] = [];
	/** Resolves when the access is current. @default it is */
	current: Promise<void> | undefined;
	readonly removed: string[] = [];
	readonly #guards = new Set<() => void>();
	readonly guard: Guard = {
		accessOf: () => this.access,
		report: () => ({
			defaultRole: 'client',
			grants: [],
			admitted: [],
			tokens: [],
			you: {identity: undefined, isOwner: false, role: this.access.role, topics: this.access.topics},
		}),
		isOwner: () => false,
		current: () => this.current,
		change: async () => undefined,
		audit: (_caller, action, target, error) =>
			void this.audits.push(`${action} ${target} ${error === undefined ? 'done' : 'failed'}`),
		watch: listener => {
			this.#guards.add(listener);
			return {[Symbol.dispose]: () => void this.#guards.delete(listener)};
		},
	};

	/** Changes the access of every caller. */
	regrant(access: Access): void {
		this.access = access;
		for (const listener of this.#guards) listener();
	}

	/** The node, as the server uses it. */
	get broker(): ServedBroker {
		return this as unknown as ServedBroker;
	}

	/** Bounds that were hit, with the client that hit each. */
	readonly boundsBy: Array<readonly [name: string, who: string | undefined]> = [];
	readonly journal = {
		bound: (name: string, who?: string): void => {
			this.bounds.push(name);
			this.boundsBy.push([name, who]);
		},
	};

	async snapshot(): ReturnType<Broker['snapshot']> {
		this.snapshots++;
		return healthy;
	}

	async removeMember(node: NodeId): Promise<void> {
		this.removed.push(node);
	}

	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable {
		onSnapshot(healthy);
		return {[Symbol.dispose]: () => undefined};
	}

	async publish(topic: Topic, bodies: readonly Uint8Array[]): Promise<Published> {
		await this.stored;
		this.published.push(bodies.length);
		return {origin, incarnation: 1, topic, firstSeq: 1, count: bodies.length};
	}

	trackedEvents(): AsyncIterableIterator<RecordedEvent> {
		return this.events();
	}

	readonly #refuse = async (): Promise<never> => {
		throw new DapssError('refused', 'This node does nothing');
	};
	readonly subscribeNode = this.#refuse;
	readonly unsubscribeNode = this.#refuse;
	readonly createTopic = this.#refuse;
	readonly deleteTopic = this.#refuse;
	readonly readIndex = this.#refuse;
	readonly transferLeadership = this.#refuse;
	readonly leave = this.#refuse;
	readonly fault = this.#refuse;

	events(): AsyncIterableIterator<RecordedEvent> {
		this.followers++;
		const over = Promise.withResolvers<IteratorResult<RecordedEvent, undefined>>();
		return {
			[Symbol.asyncIterator]() {
				return this;
			},
			next: () => over.promise,
			return: async () => {
				this.followers--;
				over.resolve({value: undefined, done: true});
				return over.promise;
			},
		};
	}

	readBatches(topics: readonly Topic[], place: Place, sink: BatchSink): BatchReading {
		this.places.push(place);
		const readers = topics.map(topic => {
			const batches = this.topics.get(topic) ?? [];
			const reader = new Reader(
				{read: (offset, bytesMax) => this.#read(batches, offset, bytesMax)},
				0,
				batches.length,
				sink,
				this.#budget,
			);
			this.readers.add(reader);
			reader.resume();
			return reader;
		});
		return {
			agreed: Promise.resolve(this.starts),
			resume: () => {
				for (const reader of readers) reader.resume();
			},
			close: async () => {
				for (const reader of readers) {
					reader[Symbol.dispose]();
					this.readers.delete(reader);
				}
			},
		};
	}

	async #read(
		batches: readonly StoredBatch[],
		offset: number,
		bytesMax: number,
	): Promise<{readonly items: readonly StoredBatch[]; readonly next: number}> {
		this.reads++;
		this.readsTotal++;
		this.mostReads = Math.max(this.mostReads, this.reads);
		let next = offset;
		let bytes = 0;
		for (; next < batches.length && (next === offset || bytes < bytesMax); next++)
			bytes += batches[next]!.batch.bytes.length;
		this.readBytes += bytes;
		this.mostReadBytes = Math.max(this.mostReadBytes, this.readBytes);
		await turn();
		this.reads--;
		this.readBytes -= bytes;
		return {items: batches.slice(offset, next), next};
	}
}
