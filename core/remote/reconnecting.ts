/**
A connection that is re-established when it is lost: to another server, or to the same one when it is back, with
back-off, until it is disposed. Its users get notifications, and ask for the present connection.
*/
import type {Broker, Delivery, LinkNews, SubscribeOptions, Subscription} from '../broker.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {TrackedEvents} from '../events.ts';
import type {Random} from '../machine.ts';
import type {Topic} from '../message.ts';
import {backOffMs} from './back-off.ts';

/** The options of a subscription at one node. */
export type RemoteSubscribeOptions = SubscribeOptions & {
	/** The least offset to deliver of a topic. @default `from`, if it is an offset */
	readonly firstOffset?: ((topic: Topic) => number) | undefined;
	/** Called with messages below that offset, which are not delivered. */
	readonly onSkipped?: ((deliveries: readonly Delivery[]) => void) | undefined;
};

export type Connection = Omit<Broker, 'subscribe'> &
	TrackedEvents & {
		readonly server: string;
		subscribe(topics: readonly string[], options?: RemoteSubscribeOptions): Subscription;
	};

export type ReconnectingOptions = {
	/** One attempt at all servers. @param last the lost server; the others are tried first */
	readonly connect: (last: string) => Promise<Connection>;
	/** Resolves after `ms`, or when the signal aborts. Keeps the process alive. */
	readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
	/** Calls `fail`, until disposed, when the server stops answering although the connection is open. */
	readonly probe: (connection: Connection, fail: (why: string) => void) => Disposable;
	readonly nowMs: () => number;
	readonly random: Random;
};

/** After a connection of at least this duration the back-off starts again. */
const stableMs = 1000;

export class Reconnecting implements AsyncDisposable {
	/** The last notification. */
	news: LinkNews;
	#connection: Connection | undefined;
	#changed = Promise.withResolvers<void>();
	#attempt = 0;
	/** The reason for `drop`, used when the connection itself gives none. */
	#why: string | undefined;
	readonly #stop = new AbortController();
	readonly #options: ReconnectingOptions;
	readonly #listeners = new Set<(news: LinkNews) => void>();
	readonly #closers = new Set<() => void>();

	constructor(first: Connection, options: ReconnectingOptions) {
		this.#options = options;
		this.#connection = first;
		this.news = {state: 'connected', server: first.server};
		void this.#run(first);
	}

	get isClosed(): boolean {
		return this.#stop.signal.aborted;
	}

	get current(): Connection | undefined {
		return this.#connection;
	}

	/**
	The connection, once there is one; `undefined` when this is closed.
	@param spent a connection that has ended: waits for another one.
	*/
	async connection(spent?: Connection): Promise<Connection | undefined> {
		for (;;) {
			if (this.isClosed) return undefined;
			if (this.#connection && this.#connection !== spent) return this.#connection;
			await this.#changed.promise;
		}
	}

	/** Gives up this connection, to continue at another server. @param why unless the connection reports a reason */
	async drop(connection: Connection, why?: string): Promise<void> {
		if (this.#connection !== connection) return;
		this.#why = why;
		await connection[Symbol.asyncDispose]();
	}

	onNews(listener: (news: LinkNews) => void): Disposable {
		this.#listeners.add(listener);
		return {[Symbol.dispose]: () => void this.#listeners.delete(listener)};
	}

	/** Calls the listener when this is closed. */
	onClose(listener: () => void): Disposable {
		this.#closers.add(listener);
		return {[Symbol.dispose]: () => void this.#closers.delete(listener)};
	}

	/** Does not wait for a running attempt. */
	async [Symbol.asyncDispose](): Promise<void> {
		if (this.isClosed) return;
		this.#stop.abort();
		for (const close of this.#closers) close();
		const connection = this.#connection;
		this.#replace(undefined);
		await connection?.[Symbol.asyncDispose]();
	}

	async #run(first: Connection): Promise<void> {
		for (let connection: Connection | undefined = first; connection;) {
			const sinceMs = this.#options.nowMs();
			const reason = await this.#waitForEnd(connection);
			if (this.isClosed) return;
			if (this.#options.nowMs() - sinceMs >= stableMs) this.#attempt = 0;
			this.#replace(undefined);
			const why = this.#why ?? reason;
			this.#why = undefined;
			connection = await this.#reconnect(connection.server, why);
			if (!connection) return;
			this.#replace(connection);
			this.#notify({state: 'connected', server: connection.server});
		}
	}

	/** Resolves with the reason when the connection has ended. */
	async #waitForEnd(connection: Connection): Promise<string> {
		using _probe = this.#options.probe(connection, why => void this.drop(connection, why));
		return await connection.closed;
	}

	async #reconnect(server: string, reason: string): Promise<Connection | undefined> {
		const {connect, pause, random} = this.#options;
		for (let why = reason; ;) {
			const retryMs = backOffMs(this.#attempt++, random);
			this.#notify({state: 'lost', server, why, retryMs});
			await pause(retryMs, this.#stop.signal);
			if (this.isClosed) return undefined;
			try {
				const connection = await connect(server);
				if (!this.isClosed) return connection;
				void connection[Symbol.asyncDispose]();
				return undefined;
			} catch (error) {
				why = errorMessage(error);
			}
		}
	}

	#replace(connection: Connection | undefined): void {
		this.#connection = connection;
		const {resolve} = this.#changed;
		this.#changed = Promise.withResolvers<void>();
		resolve();
	}

	#notify(news: LinkNews): void {
		this.news = news;
		for (const listener of this.#listeners) listener(news);
	}
}

/** The error of requests while there is no connection. */
export function lostError({news}: Reconnecting): DapssError {
	return new DapssError(
		'unreachable',
		news.state === 'lost'
			? `No node is reachable: lost ${news.server} (${news.why}), trying again`
			: 'The connection to the node is closed',
	);
}
