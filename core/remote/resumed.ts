/**
A subscription that survives its server. It begins at the first node, and continues at each next one after the messages
that it has read. No message is lost that the new node has or receives later, and none comes twice.
*/
import type {Delivery, Subscription} from '../broker.ts';
import {DapssError, errorMessage, type ErrorCode} from '../errors.ts';
import type {Topic} from '../message.ts';
import type {From, SubscriptionStart, TopicPosition} from '../position.ts';
import {Positions} from './positions.ts';
import type {Connection, Reconnecting, RemoteSubscribeOptions} from './reconnecting.ts';

/** Errors that no retry and no other node would change. */
const finalCodes: ReadonlySet<ErrorCode> = new Set(['usage', 'too-large']);

type Opened = {
	readonly connection: Connection;
	readonly subscription: Subscription;
	/** The starts at the first node, if it reports them. */
	readonly starts?: readonly SubscriptionStart[] | undefined;
};

export class Resumed implements Subscription {
	readonly agreed: Subscription['agreed'];
	readonly #link: Reconnecting;
	readonly #topics: readonly Topic[];
	readonly #from: From;
	readonly #positions = new Positions();
	/** The subscription at the first node, which counts its dropped messages itself. */
	#first: Subscription | undefined;
	#opened: Promise<Opened | undefined>;
	#inner: Subscription | undefined;
	readonly #closing = Promise.withResolvers<undefined>();
	readonly #whenClosed: Disposable;
	#isClosed = false;
	/** The server with the log of the first offset; `undefined` after a change to another one. */
	#offsetServer: string | undefined;
	/** Topics of which a message at or after the first offset was read. */
	readonly #reached = new Set<Topic>();

	constructor(link: Reconnecting, topics: readonly Topic[], from: From) {
		this.#link = link;
		this.#topics = topics;
		this.#from = from;
		this.#opened = this.#open();
		this.agreed = this.#opened.then(opened => opened?.starts);
		this.agreed.catch(() => undefined); // The caller may await it later, or get the error from the iteration.
		this.#whenClosed = link.onClose(() => void this[Symbol.asyncDispose]());
	}

	get dropped(): number {
		return (this.#first?.dropped ?? 0) + this.#positions.missed;
	}

	get forgotten(): number {
		return this.#positions.forgotten;
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<readonly Delivery[]> {
		try {
			for (;;) {
				const opened = await this.#opened;
				if (!opened) return;
				const {connection, subscription} = opened;
				let why: unknown;
				try {
					for await (const deliveries of subscription) {
						if (subscription === this.#first) this.#positions.note(deliveries);
						const fresh =
							subscription === this.#first ? deliveries : this.#positions.filterUnread(deliveries);
						if (this.#offsetServer !== undefined) for (const {topic} of fresh) this.#reached.add(topic);
						if (fresh.length > 0) yield fresh;
					}
				} catch (error) {
					if (isFinal(error)) throw error;
					why = error;
				}

				if (this.#isClosed) return;
				this.#opened = this.#reopen(connection, why);
				this.#opened.catch(() => undefined);
			}
		} finally {
			await this[Symbol.asyncDispose]();
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#whenClosed[Symbol.dispose]();
		this.#closing.resolve(undefined);
		await this.#inner?.[Symbol.asyncDispose]();
	}

	/** Subscribes at the first node that agrees. @throws its refusal, unless the connection is lost */
	async #open(): Promise<Opened | undefined> {
		for (let spent: Connection | undefined; ;) {
			const connection: Connection | undefined = await this.#unlessClosed(this.#link.connection(spent));
			if (!connection) return undefined;
			const subscription = this.#subscribe(connection, {from: this.#from});
			try {
				const starts = (await this.#unlessClosed(subscription.agreed)) ?? undefined;
				if (this.#isClosed) return undefined;
				this.#positions.begin(starts ?? (await this.#assumeStart(connection)));
				this.#first = subscription;
				if (typeof this.#from === 'number') this.#offsetServer = connection.server;
				return {connection, subscription, starts};
			} catch (error) {
				if (!isLoss(error)) throw error;
				spent = connection;
			}
		}
	}

	/** Continues at another node after the messages that were read. @throws errors that every node would return */
	async #reopen(last: Connection, reason: unknown): Promise<Opened | undefined> {
		for (let spent = last, why = reason; ;) {
			await this.#link.drop(spent, isLoss(why) ? undefined : errorMessage(why));
			const connection: Connection | undefined = await this.#unlessClosed(this.#link.connection(spent));
			if (!connection) return undefined;
			const subscription = this.#subscribe(connection, {from: 'beginning', after: this.#positions.after()});
			try {
				await this.#unlessClosed(subscription.agreed);
				return this.#isClosed ? undefined : {connection, subscription};
			} catch (error) {
				if (isFinal(error)) throw error;
				[spent, why] = [connection, error];
			}
		}
	}

	#subscribe(
		connection: Connection,
		place: {readonly from: From; readonly after?: readonly TopicPosition[]},
	): Subscription {
		const subscription = connection.subscribe(this.#topics, {
			...place,
			isTracked: true,
			...this.#fromOffset(connection),
		});
		this.#inner = subscription;
		return subscription;
	}

	/**
	The messages below the first offset are skipped: at the first node, and when a lost connection to it returns before
	one at or after the offset was read. At other nodes the offset has no meaning, but the messages that were skipped
	count as read.
	*/
	#fromOffset({server}: Connection): RemoteSubscribeOptions {
		const from = this.#from;
		const isFirst = this.#first === undefined;
		if (!isFirst && server !== this.#offsetServer) this.#offsetServer = undefined;
		if (typeof from !== 'number' || !(isFirst || this.#offsetServer !== undefined)) return {};
		return {
			firstOffset: topic => (this.#reached.has(topic) ? 0 : from),
			onSkipped: deliveries =>
				void (isFirst ? this.#positions.note(deliveries) : this.#positions.filterUnread(deliveries)),
		};
	}

	/**
	The assumed start at a node of an earlier release, which does not report it. With `now`, everything that the node
	has is stamped up to its clock; for other starts the positions before it are unknown.
	*/
	async #assumeStart(connection: Connection): Promise<readonly TopicPosition[]> {
		if (this.#from !== 'now') return [];
		const {lamport} = await connection.snapshot();
		return this.#topics.map(topic => ({topic, since: lamport, streams: []}));
	}

	#unlessClosed<Value>(promise: Promise<Value>): Promise<Value | undefined> {
		return Promise.race([promise, this.#closing.promise]);
	}
}

/** Whether the connection is lost or ending; it reports the reason itself. */
function isLoss(error: unknown): boolean {
	return error === undefined || (error instanceof DapssError && error.code === 'closed');
}

function isFinal(error: unknown): boolean {
	return error instanceof DapssError && finalCodes.has(error.code);
}
