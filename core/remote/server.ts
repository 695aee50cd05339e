/**
The node's end of the remote protocol: one `serve` for each connection. Everything a connection opened ends with it.
Every request is answered or refused. Nothing is lost for a slow reader and nothing piles up for it: messages wait in
the log, snapshots are sent one at a time, and a connection that does not take its answers, or publishes faster than the
disk stores, is not read from meanwhile.
*/
import type {Config} from '../config.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {TopicSettings} from '../topic-settings.ts';
import {costOf, Inflow, publishBytesMax} from './inflow.ts';
import {Outbox} from './outbox.ts';
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
import {
	follow,
	SharedSnapshot,
	subscribe,
	topicsOf,
	watch,
	type Line,
	type ReadableBroker,
	type Stream,
} from './streams.ts';

export type {BatchReading} from './streams.ts';
export type ServedBroker = ReadableBroker & {
	readonly options: {readonly config: {readonly limits: Pick<Config['limits'], 'readersPerConnection' | 'readers'>}};
	/** Counts the bounds that were hit. */
	readonly journal: {bound(name: string): void};
};

/** What all connections of a node share. */
type Shared = {readonly inflow: Inflow; readonly snapshot: SharedSnapshot; readers: number};
const sharedOf = new WeakMap<ServedBroker, Shared>();

/** Positions that the streams of a connection remember. */
const positionsKeptMax = 65_536;
/** Answers that wait to leave; then nothing more is asked for. */
const answersMax = 256;

/**
Serve one connection until it closes.
@param onMalformed a frame that is none of the protocol's; the connection is closed.
*/
export function serve(broker: ServedBroker, pipe: Pipe, onMalformed: () => void): void {
	const connection = new Connection(broker, pipe, onMalformed);
	pipe.onClose = () => connection.close();
	pipe.onFrame = frame => connection.onFrame(frame);
}

class Connection implements Line {
	readonly broker: ServedBroker;
	readonly outbox: Outbox;
	readonly #pipe: Pipe;
	readonly #onMalformed: () => void;
	readonly #shared: Shared;
	readonly #streams = new Map<number, Stream>();
	/** Requests and publishes that are not answered. */
	readonly #asked = new Set<number>();
	#requests = 0;
	#publishBytes = 0;
	#isClosed = false;
	#isPaused = false;
	/** Which stream is the first to be given room. */
	#first = 0;

	readonly answer = (body: Answer): void => {
		if (this.#isClosed) return;
		if (!this.outbox.put([encodeFrame('answer', body)])) this.#refuse(body.id, tooLarge());
		this.#pace();
	};

	readonly fail = (id: number, error: unknown): void => {
		this.#end(id);
		this.#refuse(id, error);
	};

	readonly hasRoomFor = (positions: number): boolean => {
		let kept = positions;
		for (const stream of this.#streams.values()) kept += stream.positions ?? 0;
		if (kept <= positionsKeptMax) return true;
		this.broker.journal.bound('positions');
		return false;
	};

	/** Read from the connection only while it takes its answers, and what it publishes gets stored. */
	readonly #pace = (): void => {
		if (this.#isClosed) return;
		const {inflow} = this.#shared;
		const most = this.#isPaused ? 0.5 : 1;
		const isLate =
			this.outbox.waiting >= answersMax * most ||
			this.#publishBytes >= publishBytesMax * most ||
			(inflow.isFull && this.#publishBytes > 0);
		if (isLate === this.#isPaused) return;
		this.#isPaused = isLate;
		if (!isLate) return this.#pipe.resume();
		this.#pipe.pause();
		if (inflow.isFull) inflow.whenFree(this.#pace);
	};

	constructor(broker: ServedBroker, pipe: Pipe, onMalformed: () => void) {
		this.broker = broker;
		this.#pipe = pipe;
		this.#onMalformed = onMalformed;
		this.outbox = new Outbox(pipe);
		this.outbox.onSent = () => this.#pace();
		this.outbox.onRoom = () => this.#resume();
		this.#shared = sharedOf.get(broker) ?? {inflow: new Inflow(), snapshot: new SharedSnapshot(), readers: 0};
		sharedOf.set(broker, this.#shared);
	}

	close(): void {
		this.#isClosed = true;
		for (const id of this.#streams.keys()) this.#end(id);
		this.#shared.inflow.forget(this.#pace);
		this.outbox.clear();
	}

	onFrame(frame: Buffer): void {
		if (this.#isClosed) return;
		if (frame[0] === remoteKinds.publish) return this.#onPublish(frame);
		if (frame[0] !== remoteKinds.request) return this.#malformed();
		const request = parseRequest(frame);
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

	#malformed(): void {
		this.#onMalformed();
		this.#pipe.close('malformed frame');
		this.close();
	}

	#onPublish(frame: Buffer): void {
		const publish = decodePublish(frame);
		if (!publish) return this.#malformed();
		if ('problem' in publish) return this.#refuse(publish.id, new DapssError('usage', publish.problem));
		const {id, topic, bodies} = publish;
		if (this.#isInUse(id)) return this.#refuse(id, inUse(id));
		const {inflow} = this.#shared;
		const cost = costOf(bodies);
		this.#asked.add(id);
		this.#publishBytes += cost;
		inflow.add(cost);
		this.broker
			.publish(topic, bodies)
			.then(
				value => this.answer({id, value}),
				(error: unknown) => this.#refuse(id, error),
			)
			.finally(() => {
				this.#asked.delete(id);
				this.#publishBytes -= cost;
				inflow.remove(cost);
				this.#pace();
			});
		this.#pace();
	}

	/** Why a request is not carried out. */
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
		if (this.#streams.size + this.#requests >= openMax) {
			journal.bound('requests');
			return new DapssError('refused', `Expected at most ${openMax} open requests on a connection, got one more`);
		}

		const wanted = topicsOf(request);
		if (wanted === 0) return undefined;
		let open = 0;
		for (const {topics} of this.#streams.values()) open += topics;
		if (open + wanted > limits.readersPerConnection) {
			journal.bound('readers-per-connection');
			return new DapssError(
				'refused',
				`Expected at most ${limits.readersPerConnection} topics to be read by one connection (limits.readers_per_connection), got ${open + wanted}`,
			);
		}

		if (this.#shared.readers + wanted <= limits.readers) return undefined;
		journal.bound('readers');
		return new DapssError(
			'refused',
			`Expected at most ${limits.readers} topics to be read through this node (limits.readers), got ${this.#shared.readers + wanted}: read them through another node`,
		);
	}

	#isInUse(id: number): boolean {
		return this.#streams.has(id) || this.#asked.has(id);
	}

	#onRequest(request: Exclude<Request, {op: 'next' | 'credit' | 'end'}>): void {
		const {broker} = this;
		const {id} = request;
		switch (request.op) {
			case 'snapshot':
				return this.#answerSnapshot(id);
			case 'subscribe-node':
				return this.#settle(id, broker.subscribeNode(request.topic));
			case 'unsubscribe-node':
				return this.#settle(id, broker.unsubscribeNode(request.topic));
			case 'create-topic':
				return this.#settle(id, broker.createTopic(request.topic, withoutUndefined(request.settings), request));
			case 'delete-topic':
				return this.#settle(id, broker.deleteTopic(request.topic, request));
			case 'read-index':
				return this.#settle(id, broker.readIndex());
			case 'transfer':
				return this.#settle(id, broker.transferLeadership(request.to));
			case 'remove':
				return this.#settle(id, broker.removeMember(request.node));
			case 'leave':
				return this.#settle(id, broker.leave());
			case 'fault':
				return this.#settle(id, broker.fault(request.command));
			case 'watch':
				return this.#open(id, watch(this, id));
			case 'events':
				return this.#open(id, follow(this, id, request));
			case 'subscribe':
				return this.#open(id, subscribe(this, id, request));
			default:
				return request satisfies never;
		}
	}

	#open(id: number, stream: Stream): void {
		this.#streams.set(id, stream);
		this.#shared.readers += stream.topics;
	}

	#end(id: number): void {
		const stream = this.#streams.get(id);
		if (!stream) return;
		this.#streams.delete(id);
		this.#shared.readers -= stream.topics;
		stream.end();
	}

	#settle(id: number, work: Promise<unknown>): void {
		this.#track(
			id,
			work.then(value => this.answer({id, value})),
		);
	}

	#answerSnapshot(id: number): void {
		this.#track(
			id,
			this.#shared.snapshot.of(this.broker).then(bytes => {
				if (!this.#isClosed && !this.outbox.put(encodeAnswer(id, bytes))) throw tooLarge();
				this.#pace();
			}),
		);
	}

	#track(id: number, work: Promise<unknown>): void {
		this.#asked.add(id);
		this.#requests++;
		work.catch((error: unknown) => this.#refuse(id, error)).finally(() => {
			this.#asked.delete(id);
			this.#requests--;
		});
	}

	/** Say no to a request; a stream of the same id goes on. */
	#refuse(id: number, error: unknown): void {
		this.answer({
			id,
			error: {code: error instanceof DapssError ? error.code : 'failure', message: errorMessage(error)},
		});
	}

	/** There is room: streams go on, another one first each time. */
	#resume(): void {
		const streams = [...this.#streams.values()];
		if (streams.length === 0) return;
		this.#first = (this.#first + 1) % streams.length;
		for (let index = 0; index < streams.length; index++) streams[(this.#first + index) % streams.length]!.resume();
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
