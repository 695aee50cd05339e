/**
The node's end of the remote protocol: one `serve` per connection. All streams of a connection end with it. Every
request is answered or refused. A slow reader loses nothing and costs bounded memory: messages stay in the log, and
snapshots are sent one at a time. A connection that does not take its answers, or publishes faster than the disk stores,
is not read from meanwhile.
*/
import {accessChangeText, coversTopic, type Access, type AccessChange, type AccessReport} from '../access.ts';
import type {FaultCommand, Published} from '../broker.ts';
import {keyRequestText, type ChangedKey, type KeyRequest} from '../cluster-keys.ts';
import type {Config} from '../config.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {Topic} from '../message.ts';
import type {TopicSettings} from '../topic-settings.ts';
import type {Clock} from '../ports.ts';
import {TurnBudget, TurnShare} from '../data/turn-budget.ts';
import {accountNameOf, ClientAccounts, type ClientAccount, type ClientLimits} from './client-accounts.ts';
import {storedBytesOf} from './daily-use.ts';
import {costOf, Inflow, publishBytesMax} from './inflow.ts';
import {Outbox} from './outbox.ts';
import {publishRefusal, readsAllTopics, requestRefusal, type Caller} from './permissions.ts';
import type {Pipe} from './pipe.ts';
import {
	decodePublish,
	encodeAnswer,
	encodeFrame,
	openMax,
	parseRequest,
	remoteKinds,
	type Answer,
	type Request,
} from './protocol.ts';
import {requestBytesMax} from './request-size.ts';
import {
	follow,
	SharedSnapshot,
	subscribe,
	topicsOf,
	watch,
	type StreamContext,
	type ReadableBroker,
	type Stream,
} from './streams.ts';

export type {BatchReading} from './streams.ts';

/** The access of callers, as the cluster has agreed. */
export type Guard = {
	accessOf(caller: Caller): Access;
	report(caller: Caller): AccessReport;
	/** The caller is the user who runs the node. */
	isOwner(caller: Caller): boolean;
	/**
	`undefined` when the access is current. A node that has just started may know an earlier state: then it resolves
	once the node has caught up with the cluster.
	@throws `no-quorum`
	*/
	current(): Promise<void> | undefined;
	/** @throws `refused` with the reason, `no-quorum`, `no-leader` */
	change(change: AccessChange, caller: Caller): Promise<void>;
	/**
	Records a request that changes something with its outcome, and each refusal of a role or of a topic. `error`: it
	failed or was refused.
	*/
	audit(caller: Caller, action: string, target: string, error: unknown): void;
	/** Calls the listener after changes of the agreed access. */
	watch(listener: () => void): Disposable;
};
export type ServedBroker = ReadableBroker & {
	readonly guard: Guard;
	fault(command: FaultCommand, caller: Caller): Promise<void>;
	/** As `changeKeys`, in the name of the caller. */
	changeKeysFor(request: KeyRequest, caller: Caller): Promise<ChangedKey>;
	readonly options: {
		readonly config: {readonly limits: Pick<Config['limits'], 'readersPerConnection' | 'readers'> & ClientLimits};
		readonly io: {readonly clock: Pick<Clock, 'monotonicMs' | 'after' | 'soon'>};
	};
	/** Counts the bounds that were hit, and the clients that hit them. */
	readonly journal: {bound(name: string, who?: string): void};
};

/** State that all connections of a node share. */
type Shared = {
	readonly inflow: Inflow;
	readonly snapshot: SharedSnapshot;
	readonly accounts: ClientAccounts;
	/** The requests that are handled in one turn of the event loop. */
	readonly turns: TurnBudget;
	readers: number;
};
const sharedOf = new WeakMap<ServedBroker, Shared>();

/** Positions that the streams of a connection may hold. */
const positionsKeptMax = 65_536;
/**
The cost of the requests that a node handles in one turn of the event loop, and of those of one connection that waits:
their bytes, and a constant for each.
*/
const turnCostMax = 64 * 1024;
const turnCostOfConnection = 16 * 1024;
const requestCost = 512;
/** Waiting answers at which a connection is no longer read from. */
const answersMax = 256;

/**
Serves one connection until it closes, or until the access of its caller changes.
@param onMalformed called for a frame that violates the protocol; the connection is closed.
*/
export function serve(broker: ServedBroker, pipe: Pipe, caller: Caller, onMalformed: () => void): void {
	const connection = new Connection(broker, pipe, caller, onMalformed);
	pipe.onClose = () => connection.close();
	pipe.onFrame = frame => connection.onFrame(frame);
}

class Connection implements StreamContext {
	readonly broker: ServedBroker;
	readonly outbox: Outbox;
	readonly #pipe: Pipe;
	readonly #caller: Caller;
	readonly #access: Access;
	readonly #watching: Disposable;
	readonly #onMalformed: () => void;
	readonly #shared: Shared;
	readonly #turns: TurnShare;
	readonly #streams = new Map<number, Stream>();
	/** Requests and publishes without an answer. */
	readonly #pending = new Set<number>();
	readonly #account: ClientAccount | undefined;
	/** Set while the client publishes faster than its quota. */
	#throttle: Disposable | undefined;
	#requests = 0;
	#publishBytes = 0;
	#isClosed = false;
	#isPaused = false;
	/** Its requests wait for the next turn of the event loop. */
	#isTurnOver = false;
	/** Index of the stream that gets room first. */
	#first = 0;

	readonly answer = (body: Answer): void => {
		if (this.#isClosed) return;
		if (!this.outbox.put([encodeFrame('answer', body)])) this.#refuse(body.id, tooLarge());
		this.#updateFlow();
	};

	readonly fail = (id: number, error: unknown): void => {
		this.#end(id);
		this.#refuse(id, error);
	};

	readonly hasRoomFor = (positions: number): boolean => {
		let total = positions;
		for (const stream of this.#streams.values()) total += stream.positions ?? 0;
		if (total <= positionsKeptMax) return true;
		this.broker.journal.bound('positions', this.#account?.name);
		return false;
	};

	/** Reads from the connection only while it takes its answers and its publishes get stored. */
	readonly #updateFlow = (): void => {
		if (this.#isClosed) return;
		const {inflow} = this.#shared;
		const threshold = this.#isPaused ? 0.5 : 1;
		const isOverloaded =
			this.outbox.waiting >= answersMax * threshold ||
			this.#publishBytes >= publishBytesMax * threshold ||
			this.#throttle !== undefined ||
			this.#isTurnOver ||
			(inflow.isFull && this.#publishBytes > 0);
		if (isOverloaded === this.#isPaused) return;
		this.#isPaused = isOverloaded;
		if (!isOverloaded) return this.#pipe.resume();
		this.#pipe.pause();
		if (inflow.isFull) inflow.whenFree(this.#updateFlow);
	};

	readonly #nextTurn = (): void => {
		this.#isTurnOver = false;
		this.#updateFlow();
	};

	constructor(broker: ServedBroker, pipe: Pipe, caller: Caller, onMalformed: () => void) {
		this.broker = broker;
		this.#pipe = pipe;
		this.#caller = caller;
		this.#access = broker.guard.accessOf(caller);
		this.#watching = broker.guard.watch(() => this.#updateAccess());
		this.#onMalformed = onMalformed;
		this.outbox = new Outbox(pipe);
		this.outbox.onSent = () => this.#updateFlow();
		this.outbox.onRoom = () => this.#resume();
		this.#shared = sharedOf.get(broker) ?? {
			inflow: new Inflow(),
			snapshot: new SharedSnapshot(),
			accounts: new ClientAccounts(broker.options.config.limits),
			turns: new TurnBudget({
				soon: run => broker.options.io.clock.soon(run),
				max: turnCostMax,
				slice: turnCostOfConnection,
			}),
			readers: 0,
		};
		sharedOf.set(broker, this.#shared);
		this.#turns = new TurnShare(this.#shared.turns);
		const account = accountNameOf(caller);
		this.#account = account === undefined ? undefined : this.#shared.accounts.open(account, this.#nowMs());
	}

	get seesMessages(): boolean {
		return readsAllTopics(this.#access);
	}

	close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#watching[Symbol.dispose]();
		this.#throttle?.[Symbol.dispose]();
		if (this.#account) this.#shared.accounts.close(this.#account, this.#nowMs());
		for (const id of this.#streams.keys()) this.#end(id);
		this.#shared.inflow.forget(this.#updateFlow);
		this.#turns.end();
		this.outbox.clear();
	}

	onFrame(frame: Buffer): void {
		if (this.#isClosed) return;
		if (frame[0] === remoteKinds.publish) return this.#onPublish(frame);
		if (frame[0] !== remoteKinds.request) return this.#malformed();
		this.#turns.spend(frame.length + requestCost);
		this.#onRequestFrame(frame);
		if (this.#isTurnOver || !this.#turns.isSpent) return;
		this.#isTurnOver = true;
		this.#turns.whenFree(this.#nextTurn);
		this.#updateFlow();
	}

	#onRequestFrame(frame: Buffer): void {
		const request = parseRequest(frame);
		if ('problem' in request && frame.length > requestBytesMax)
			this.broker.journal.bound('request-bytes', this.#account?.name);
		if ('problem' in request) return this.#refuse(request.id, new DapssError('usage', request.problem));
		switch (request.op) {
			case 'next':
				return this.#streams.get(request.stream)?.next();
			case 'credit':
				return this.#streams.get(request.stream)?.grant(request.bytes);
			case 'end':
				return this.#end(request.stream);
			default: {
				const refusal = this.#refusal(request);
				if (refusal) this.#refuse(request.id, refusal);
				else this.#onRequest(request);
			}
		}
	}

	/** A changed access ends the connection; its caller connects again with the new one. */
	#updateAccess(): void {
		const {role, topics} = this.broker.guard.accessOf(this.#caller);
		const before = this.#access;
		if (role === before.role && topics.join(' ') === before.topics.join(' ')) return;
		const {identity = 'connections without an identity'} = this.#caller;
		// The answer to a request that changed the own access comes first.
		setImmediate(() => {
			if (this.#isClosed) return;
			this.#pipe.close(`the access of ${identity} has changed: it has ${role === 'none' ? 'no role' : role} now`);
			this.close();
		});
	}

	#malformed(): void {
		this.#onMalformed();
		this.#pipe.close('malformed frame');
		this.close();
	}

	#onPublish(frame: Buffer): void {
		const publish = decodePublish(frame);
		if (!publish) return this.#malformed();
		if ('isTooMany' in publish) this.broker.journal.bound('publish-messages', this.#account?.name);
		if ('problem' in publish) return this.#refuse(publish.id, new DapssError('usage', publish.problem));
		const {id, topic, bodies} = publish;
		if (this.#isInUse(id)) return this.#refuse(id, inUse(id));
		const refusal = publishRefusal(this.#access, topic, this.#caller);
		if (refusal) {
			this.broker.guard.audit(this.#caller, 'publish', topic, refusal);
			return this.#refuse(id, refusal);
		}

		const stored = storedBytesOf(bodies);
		const overQuota = this.#quotaRefusal(stored);
		if (overQuota) return this.#refuse(id, overQuota);
		const refund = this.#account?.store(stored, this.#nowMs());
		const {inflow} = this.#shared;
		const cost = costOf(bodies);
		this.#pending.add(id);
		this.#publishBytes += cost;
		inflow.add(cost);
		this.#noteRate(bodies);
		this.#publishIfAllowed(topic, bodies)
			.then(
				value => this.answer({id, value}),
				(error: unknown) => {
					refund?.();
					this.#refuse(id, error);
				},
			)
			.finally(() => {
				this.#pending.delete(id);
				this.#publishBytes -= cost;
				inflow.remove(cost);
				this.#updateFlow();
			});
		this.#updateFlow();
	}

	/** A node that has just started may know an access that was taken since. */
	#publishIfAllowed(topic: Topic, bodies: readonly Uint8Array[]): Promise<Published> {
		const {guard} = this.broker;
		const current = guard.isOwner(this.#caller) ? undefined : guard.current();
		if (!current) return this.broker.publish(topic, bodies);
		return current.then(() => {
			const refusal = publishRefusal(guard.accessOf(this.#caller), topic, this.#caller);
			if (!refusal) return this.broker.publish(topic, bodies);
			guard.audit(this.#caller, 'publish', topic, refusal);
			throw refusal;
		});
	}

	/** Why the client may not publish so much today; `undefined` when it may. */
	#quotaRefusal(bytes: number): DapssError | undefined {
		const {storedBytesPerClient: bytesMax} = this.broker.options.config.limits;
		if (!this.#account || bytesMax === 0) return undefined;
		const total = this.#account.storedBytes(this.#nowMs()) + bytes;
		if (total <= bytesMax) return undefined;
		this.broker.journal.bound('stored-bytes-per-client', this.#account.name);
		return new DapssError(
			'refused',
			`Expected one client to publish at most ${bytesMax} bytes a day through a node ` +
				`(limits.stored_bytes_per_client), got ${total} of ${this.#account.name}. Nothing was stored`,
		);
	}

	/** Counts a publish against the quota of the client. Over it, the connection is not read from until later. */
	#noteRate(bodies: readonly Uint8Array[]): void {
		this.#account?.published(bodies, this.#nowMs());
		if (this.#throttle === undefined && this.#awaitRate())
			this.broker.journal.bound('publish-rate', this.#account?.name);
	}

	/** False when the client keeps its rate; else `#throttle` is set until it does. */
	#awaitRate(): boolean {
		const waitMs = this.#account?.waitMs(this.#nowMs()) ?? 0;
		if (waitMs === 0) return false;
		this.#throttle = this.broker.options.io.clock.after(waitMs, () => {
			this.#throttle = undefined;
			// Another connection of the client may have published meanwhile.
			if (!this.#isClosed && !this.#awaitRate()) this.#updateFlow();
		});
		return true;
	}

	#nowMs(): number {
		return this.broker.options.io.clock.monotonicMs();
	}

	/** The refusal of a request; `undefined` when it is accepted. */
	#refusal(request: Request): DapssError | undefined {
		const {
			broker: {
				options: {
					config: {limits},
				},
				journal,
			},
		} = this;
		if (this.#isInUse(request.id)) return inUse(request.id);
		const refusal = requestRefusal(this.#access, request, this.#caller);
		if (refusal) {
			this.#audit(request, refusal);
			return refusal;
		}

		if (this.#streams.size + this.#requests >= openMax) {
			journal.bound('requests', this.#account?.name);
			return new DapssError('refused', `Expected at most ${openMax} open requests on a connection, got one more`);
		}

		const wanted = topicsOf(request);
		if (wanted === 0) return undefined;
		let open = 0;
		for (const {topics} of this.#streams.values()) open += topics;
		if (open + wanted > limits.readersPerConnection) {
			journal.bound('readers-per-connection', this.#account?.name);
			return new DapssError(
				'refused',
				`Expected at most ${limits.readersPerConnection} topics to be read by one connection ` +
					`(limits.readers_per_connection), got ${open + wanted}`,
			);
		}

		if (this.#account && this.#account.readers + wanted > limits.readersPerClient) {
			journal.bound('readers-per-client', this.#account.name);
			return new DapssError(
				'refused',
				`Expected at most ${limits.readersPerClient} topics to be read by one client ` +
					`(limits.readers_per_client), got ${this.#account.readers + wanted} of ${this.#account.name}`,
			);
		}

		if (this.#shared.readers + wanted <= limits.readers) return undefined;
		journal.bound('readers', this.#account?.name);
		return new DapssError(
			'refused',
			`Expected at most ${limits.readers} topics to be read through this node (limits.readers), ` +
				`got ${this.#shared.readers + wanted}: read them through another node`,
		);
	}

	#isInUse(id: number): boolean {
		return this.#streams.has(id) || this.#pending.has(id);
	}

	#onRequest(request: Exclude<Request, {op: 'next' | 'credit' | 'end'}>): void {
		const {id} = request;
		switch (request.op) {
			case 'snapshot':
				return this.#answerSnapshot(id);
			case 'watch':
				return this.#open(id, watch(this, id));
			case 'events':
				return this.#open(id, follow(this, id, request));
			case 'subscribe':
				return this.#open(id, subscribe(this, id, request));
			case 'read-index':
				return this.#answerWith(id, this.broker.readIndex());
			case 'access':
				return this.answer({id, value: this.broker.guard.report(this.#caller)});
			case 'keys':
				return this.#answerWith(id, this.broker.keys());
			default: {
				const work = this.#changeIfAllowed(request);
				work.then(
					() => this.#audit(request, undefined),
					(error: unknown) => this.#audit(request, error),
				);
				return this.#answerWith(id, work);
			}
		}
	}

	/**
	Without current access only the owner of the node changes something. Faults are for drills: they must be ended on a
	node without a quorum too.
	*/
	async #changeIfAllowed(request: ChangeRequest): Promise<unknown> {
		const {guard} = this.broker;
		if (!guard.isOwner(this.#caller) && request.op !== 'fault') {
			await guard.current();
			const refusal = requestRefusal(guard.accessOf(this.#caller), request, this.#caller);
			if (refusal) throw refusal;
		}

		return this.#change(request);
	}

	/** A request that changes the cluster or the node. */
	#change(request: ChangeRequest): Promise<unknown> {
		const {broker} = this;
		switch (request.op) {
			case 'subscribe-node':
				return broker.subscribeNode(request.topic);
			case 'unsubscribe-node':
				return broker.unsubscribeNode(request.topic);
			case 'create-topic':
				return broker.createTopic(request.topic, withoutUndefined(request.settings), request);
			case 'delete-topic':
				return broker.deleteTopic(request.topic, request);
			case 'transfer':
				return broker.transferLeadership(request.to);
			case 'remove':
				return broker.removeMember(request.node);
			case 'leave':
				return broker.leave();
			case 'fault':
				return broker.fault(request.command, this.#caller);
			case 'change-access':
				return broker.guard.change(request.change, this.#caller);
			case 'change-keys':
				return broker.changeKeysFor(request.change, this.#caller);
			default:
				return request satisfies never;
		}
	}

	#audit(request: Request, error: unknown): void {
		this.broker.guard.audit(this.#caller, request.op, targetOf(request, this.#access), error);
	}

	#open(id: number, stream: Stream): void {
		this.#streams.set(id, stream);
		this.#countReaders(stream.topics);
	}

	#end(id: number): void {
		const stream = this.#streams.get(id);
		if (!stream) return;
		this.#streams.delete(id);
		this.#countReaders(-stream.topics);
		stream.end();
	}

	#countReaders(change: number): void {
		this.#shared.readers += change;
		if (this.#account) this.#account.readers += change;
	}

	#answerWith(id: number, work: Promise<unknown>): void {
		this.#track(
			id,
			work.then(value => this.answer({id, value})),
		);
	}

	#answerSnapshot(id: number): void {
		this.#track(
			id,
			this.#shared.snapshot.of(this.broker, this.seesMessages).then(bytes => {
				if (!this.#isClosed && !this.outbox.put(encodeAnswer(id, bytes))) throw tooLarge();
				this.#updateFlow();
			}),
		);
	}

	#track(id: number, work: Promise<unknown>): void {
		this.#pending.add(id);
		this.#requests++;
		work.catch((error: unknown) => this.#refuse(id, error)).finally(() => {
			this.#pending.delete(id);
			this.#requests--;
		});
	}

	/** Answers a request with an error; a stream of the same id continues. */
	#refuse(id: number, error: unknown): void {
		this.answer({
			id,
			error: {code: error instanceof DapssError ? error.code : 'failure', message: errorMessage(error)},
		});
	}

	/** The pipe has room: resumes the streams, each time beginning with another one. */
	#resume(): void {
		const streams = [...this.#streams.values()];
		if (streams.length === 0) return;
		this.#first = (this.#first + 1) % streams.length;
		for (let index = 0; index < streams.length; index++) streams[(this.#first + index) % streams.length]!.resume();
	}
}

type ChangeRequest = Exclude<
	Request,
	{op: 'next' | 'credit' | 'end' | 'snapshot' | 'watch' | 'events' | 'subscribe' | 'read-index' | 'access' | 'keys'}
>;

/** The object of a request, for the audit log; of a refused subscription the topic for which it was refused. */
function targetOf(request: Request, access: Access): string {
	switch (request.op) {
		case 'subscribe':
			return request.topics.find(topic => !coversTopic(access, topic)) ?? request.topics[0] ?? '';
		case 'subscribe-node':
		case 'unsubscribe-node':
		case 'create-topic':
		case 'delete-topic':
			return request.topic;
		case 'transfer':
			return request.to ?? '';
		case 'remove':
			return request.node;
		case 'fault':
			return request.command.type;
		case 'change-access':
			return accessChangeText(request.change);
		case 'change-keys':
			return keyRequestText(request.change);
		default:
			return '';
	}
}

function withoutUndefined({
	retainAgeS,
	retainBytes,
}: Extract<Request, {op: 'create-topic'}>['settings']): TopicSettings {
	return {...(retainAgeS === undefined ? {} : {retainAgeS}), ...(retainBytes === undefined ? {} : {retainBytes})};
}

function inUse(id: number): DapssError {
	return new DapssError('refused', `Expected an id that is not in use on this connection, got ${id}`);
}

function tooLarge(): DapssError {
	return new DapssError('too-large', 'The answer is larger than a frame: raise limits.frame_bytes on both sides');
}
