/**
A command line without a cluster: a broker that answers from a given snapshot, and streams that record their input.
*/
import {PassThrough, Writable, type Readable} from 'node:stream';
import {
	leftReason,
	type Broker,
	type DeletedTopic,
	type Delivery,
	type FaultCommand,
	type Published,
	type Subscription,
	type TopicChange,
	type TopicSettings,
} from '../../core/broker.ts';
import {DapssError, NoneFoundError} from '../../core/errors.ts';
import type {RecordedEvent} from '../../core/events.ts';
import type {Chosen, FindOptions} from '../../core/find.ts';
import {followWith} from '../../core/follow.ts';
import type {AccessChange, AccessReport} from '../../core/access.ts';
import type {ChangedKey, KeyId, KeyRequest, KeysReport} from '../../core/cluster-keys.ts';
import type {NodeId, Topic} from '../../core/message.ts';
import type {From} from '../../core/position.ts';
import {snapshotOf} from '../../core/remote/received.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {main} from '../../source/cli.ts';
import type {Backend} from '../../source/context.ts';
import {Terminal} from '../../source/output/terminal.ts';

export class FakeBroker implements Broker {
	snapshotValue: Snapshot;
	readonly server = '127.0.0.1:5000';
	readonly published: Array<{readonly topic: Topic; readonly bodies: readonly Uint8Array[]}> = [];
	readonly faults: FaultCommand[] = [];
	readonly transfers: Array<NodeId | undefined> = [];
	readonly removed: NodeId[] = [];
	readonly topicCommands: unknown[] = [];
	readonly keyRequests: KeyRequest[] = [];
	keysValue: KeysReport = {
		keys: [{id: '1a2b3c4d5e6f7081' as KeyId, state: 'active', sinceMs: 0, usedBy: []}],
		outdatedFiles: [],
		connections: [],
		away: [],
	};
	readonly accessChanges: AccessChange[] = [];
	accessValue: AccessReport = {
		defaultRole: 'client',
		grants: [],
		admitted: [],
		tokens: [],
		you: {identity: undefined, isOwner: true, role: 'operator', topics: []},
	};
	hasLeft = false;
	manageAnswer: () => Promise<void> = async () => undefined;
	readonly subscriptions: Array<{readonly topics: readonly Topic[]; readonly from: From | undefined}> = [];
	/** The deliveries of `subscribe`, array by array. */
	deliveries: ReadonlyArray<readonly Delivery[]> = [];
	agreed: Subscription['agreed'] = Promise.resolve();
	readIndexAnswer: () => Promise<number> = async () => 318;
	publishAnswer: (() => Promise<void>) | undefined;
	/** The events of `events`; then the stream ends, unless it is to wait. */
	stream: readonly RecordedEvent[] = [];
	isDisposed = false;
	readonly closed: Promise<string>;
	readonly #closed = Promise.withResolvers<string>();
	readonly #watchers = new Set<(snapshot: Snapshot) => void>();
	#seq = 0;

	constructor(snapshot: Snapshot) {
		this.snapshotValue = snapshot;
		this.closed = this.#closed.promise;
	}

	async publish(topic: Topic, bodies: readonly Uint8Array[]): Promise<Published> {
		await this.publishAnswer?.();
		this.published.push({topic, bodies: bodies.map(body => Uint8Array.from(body))});
		const firstSeq = this.#seq + 1;
		this.#seq += bodies.length;
		return {origin: this.snapshotValue.self, incarnation: 1, topic, firstSeq, count: bodies.length};
	}

	async createTopic(
		topic: Topic,
		settings: TopicSettings = {},
		{update = false}: {readonly update?: boolean} = {},
	): Promise<TopicChange> {
		await this.manageAnswer();
		this.topicCommands.push({topic, settings, update});
		return 'created';
	}

	async deleteTopic(topic: Topic, {force = false}: {readonly force?: boolean} = {}): Promise<DeletedTopic> {
		await this.manageAnswer();
		this.topicCommands.push({topic, force});
		return {messages: 3, missing: []};
	}

	async transferLeadership(to?: NodeId): Promise<NodeId | undefined> {
		await this.manageAnswer();
		this.transfers.push(to);
		return to ?? this.snapshotValue.members[1]?.id;
	}

	async removeMember(node: NodeId): Promise<void> {
		await this.manageAnswer();
		this.removed.push(node);
	}

	async access(): Promise<AccessReport> {
		return this.accessValue;
	}

	async changeAccess(change: AccessChange): Promise<void> {
		await this.manageAnswer();
		this.accessChanges.push(change);
	}

	async keys(): Promise<KeysReport> {
		return this.keysValue;
	}

	async changeKeys(request: KeyRequest): Promise<ChangedKey> {
		await this.manageAnswer();
		this.keyRequests.push(request);
		return {key: request.type === 'add' ? ('aaaaaaaaaaaaaaaa' as KeyId) : request.key, missing: []};
	}

	async leave(): Promise<void> {
		await this.manageAnswer();
		this.hasLeft = true;
		this.#closed.resolve(leftReason);
	}

	subscribe(topics: readonly Topic[], options: {readonly from?: From} = {}): Subscription {
		this.subscriptions.push({topics, from: options.from});
		const {deliveries, agreed} = this;
		const ended = Promise.withResolvers<void>();
		return {
			agreed,
			dropped: 0,
			async *[Symbol.asyncIterator]() {
				yield* deliveries;
				await ended.promise;
			},
			async [Symbol.asyncDispose]() {
				ended.resolve();
			},
		};
	}

	async subscribeNode(): Promise<void> {
		throw new DapssError('failure', 'not asked for here');
	}

	async unsubscribeNode(): Promise<void> {
		throw new DapssError('failure', 'not asked for here');
	}

	async snapshot(): Promise<Snapshot> {
		return this.snapshotValue;
	}

	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable {
		this.#watchers.add(onSnapshot);
		onSnapshot(this.snapshotValue);
		return {[Symbol.dispose]: () => void this.#watchers.delete(onSnapshot)};
	}

	/** Sets the snapshot, for all watchers. */
	show(snapshot: Snapshot): void {
		this.snapshotValue = snapshot;
		for (const watcher of this.#watchers) watcher(snapshot);
	}

	async *events(): AsyncGenerator<RecordedEvent> {
		yield* this.stream;
		await this.closed;
		yield {at: 9, type: 'stopped', reason: 'stopped'};
	}

	trackedEvents(): AsyncGenerator<RecordedEvent> {
		return this.events();
	}

	readIndex(): Promise<number> {
		return this.readIndexAnswer();
	}

	async fault(command: FaultCommand): Promise<void> {
		this.faults.push(command);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.isDisposed = true;
		this.#closed.resolve('stopped');
	}
}

export type Outcome = {readonly code: number; readonly out: string; readonly err: string};

export class Sink extends Writable {
	readonly chunks: Buffer[] = [];
	/** Bytes that are accepted at once; the others wait for `release`. */
	override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
		this.chunks.push(Buffer.from(chunk));
		done();
	}

	get text(): string {
		return Buffer.concat(this.chunks).toString();
	}
}

export type RunOptions = {
	readonly broker?: FakeBroker | ((address: string) => FakeBroker);
	readonly nodes?: ReadonlyArray<string | {readonly address: string; readonly name: string}>;
	/** The result of a search on the network. */
	readonly heard?: (find: FindOptions) => Chosen;
	readonly stdin?: Readable;
	readonly env?: Readonly<Record<string, string>>;
	readonly cwd?: string;
	readonly stop?: AbortController;
	readonly stdout?: Writable;
	readonly backend?: Partial<Backend>;
	readonly isTerminal?: boolean;
};

/** Run a command line against a fake cluster. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
	const stdout = options.stdout ?? new Sink();
	const stderr = new Sink();
	const {broker} = options;
	const env = {DAPSS_SECRET_FILE: '', ...options.env};
	if (options.isTerminal) for (const stream of [stdout, stderr]) Object.assign(stream, {isTTY: true});
	const terminal = new Terminal({stdin: options.stdin ?? new PassThrough(), stdout, stderr, env});
	const code = await main({
		argv,
		env,
		cwd: options.cwd ?? '/',
		terminal,
		stop: options.stop ?? new AbortController(),
		backend: async () => ({
			async connect({servers = [], find, cluster}) {
				if (servers.length === 0) {
					const heard = options.heard?.(find!);
					if (!heard || !broker) throw new NoneFoundError(cluster, 'none was heard');
					return Object.assign(typeof broker === 'function' ? broker(heard.address) : broker, {
						chosen: heard,
					});
				}

				if (!broker) throw new DapssError('unreachable', `${servers[0]}: connection refused`);
				return typeof broker === 'function' ? broker(servers[0]!) : broker;
			},
			async findNodes({cluster = 'dapss'} = {}) {
				return (options.nodes ?? ['127.0.0.1:5000']).map(node => ({
					cluster,
					id: '00',
					phase: 'running',
					...(typeof node === 'string' ? {address: node, name: ''} : node),
				}));
			},
			async openBroker() {
				throw new DapssError('failure', 'not asked for here');
			},
			followWith,
			snapshotOf,
			async openSurvivor() {
				throw new DapssError('failure', 'not asked for here');
			},
			...options.backend,
		}),
	});
	await terminal.flush();
	return {code, out: stdout instanceof Sink ? stdout.text : '', err: stderr.text};
}

export function delivery(seq: number, body: string | Uint8Array, topic = 'news'): Delivery {
	return {
		topic: topic as Topic,
		origin: '3f2a91c45bd1e995' as NodeId,
		incarnation: 1,
		seq,
		lamport: seq + 10,
		sentAtMs: 0,
		body: Buffer.from(body),
		offset: seq - 1,
		hops: 0,
		repaired: false,
	};
}
