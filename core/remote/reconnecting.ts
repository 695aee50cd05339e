/**
A connection that is made again when it is lost: to another server, or to the same one when it is back, with back-off,
until it is closed here. Who uses it is told what happens, and asks for the connection of the moment.
*/
import type {Broker, LinkNews} from '../broker.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {Random} from '../machine.ts';
import {backOffMs} from './back-off.ts';

export type Connection = Broker & {readonly server: string};

export type ReconnectingOptions = {
	/** One attempt at all servers. @param last the server that was lost: the others come first */
	readonly connect: (last: string) => Promise<Connection>;
	/** Resolves after so many milliseconds, or when the signal aborts. Keeps the process alive. */
	readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
	/** Calls `fail`, until it is disposed, when the server does not answer any more although the connection stands. */
	readonly probe: (connection: Connection, fail: (why: string) => void) => Disposable;
	readonly nowMs: () => number;
	readonly random: Random;
};

/** A connection that lasted so long worked: the next loss begins with a short wait again. */
const stableMs = 1000;

export class Reconnecting implements AsyncDisposable {
	/** The newest news. */
	news: LinkNews;
	#connection: Connection | undefined;
	#changed = Promise.withResolvers<void>();
	#attempt = 0;
	/** Why it was given up here, where the server itself has said nothing. */
	#why: string | undefined;
	readonly #stop = new AbortController();
	readonly #options: ReconnectingOptions;
	readonly #listeners = new Set<(news: LinkNews) => void>();
	readonly #closers = new Set<() => void>();

	constructor(first: Connection, options: ReconnectingOptions) {
		this.#options = options;
		this.#connection = first;
		this.news = {state: 'connected', server: first.server};
		void this.#keep(first);
	}

	get isClosed(): boolean {
		return this.#stop.signal.aborted;
	}

	get current(): Connection | undefined {
		return this.#connection;
	}

	/**
	The connection, once there is one.
	@param spent one that has ended; another is waited for. `undefined` when it is closed here.
	*/
	async connection(spent?: Connection): Promise<Connection | undefined> {
		for (;;) {
			if (this.isClosed) return undefined;
			if (this.#connection && this.#connection !== spent) return this.#connection;
			await this.#changed.promise;
		}
	}

	/** This connection is of no use: go on to another server. @param why unless the connection says it */
	async drop(connection: Connection, why?: string): Promise<void> {
		if (this.#connection !== connection) return;
		this.#why = why;
		await connection[Symbol.asyncDispose]();
	}

	onNews(listener: (news: LinkNews) => void): Disposable {
		this.#listeners.add(listener);
		return {[Symbol.dispose]: () => void this.#listeners.delete(listener)};
	}

	/** Called when it is closed here. */
	onClose(listener: () => void): Disposable {
		this.#closers.add(listener);
		return {[Symbol.dispose]: () => void this.#closers.delete(listener)};
	}

	/** Never waits for a server that is being tried. */
	async [Symbol.asyncDispose](): Promise<void> {
		if (this.isClosed) return;
		this.#stop.abort();
		for (const close of this.#closers) close();
		const connection = this.#connection;
		this.#replace(undefined);
		await connection?.[Symbol.asyncDispose]();
	}

	async #keep(first: Connection): Promise<void> {
		for (let connection: Connection | undefined = first; connection;) {
			const sinceMs = this.#options.nowMs();
			const reason = await this.#end(connection);
			if (this.isClosed) return;
			if (this.#options.nowMs() - sinceMs >= stableMs) this.#attempt = 0;
			this.#replace(undefined);
			const why = this.#why ?? reason;
			this.#why = undefined;
			connection = await this.#again(connection.server, why);
			if (!connection) return;
			this.#replace(connection);
			this.#tell({state: 'connected', server: connection.server});
		}
	}

	/** Why the connection has ended. */
	async #end(connection: Connection): Promise<string> {
		using _probe = this.#options.probe(connection, why => void this.drop(connection, why));
		return await connection.closed;
	}

	async #again(server: string, reason: string): Promise<Connection | undefined> {
		const {connect, pause, random} = this.#options;
		for (let why = reason; ;) {
			const retryMs = backOffMs(this.#attempt++, random);
			this.#tell({state: 'lost', server, why, retryMs});
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

	#tell(news: LinkNews): void {
		this.news = news;
		for (const listener of this.#listeners) listener(news);
	}
}

/** Why nothing can be asked for at the moment. */
export function lostError({news}: Reconnecting): DapssError {
	return new DapssError(
		'unreachable',
		news.state === 'lost'
			? `No node is reached: ${news.server} was lost (${news.why}), and is tried again`
			: 'The link to the node is closed',
	);
}
