/**
What each client of a node uses over all its connections: topics that it reads, the rate at which it publishes, and what
it published in the last day. A client is known by its identity, or by its address when it showed none. Nothing is
dropped: a connection of a client that publishes too fast is not read from until the rate is kept, and a publish over
the daily quota is refused.
*/
import {parseAddress} from '../address.ts';
import type {Config} from '../config.ts';
import {addressKey} from '../io/net/pending-connections.ts';
import {DailyUse} from './daily-use.ts';
import type {Caller} from './permissions.ts';
import {TokenBucket} from './token-bucket.ts';

export type ClientLimits = Pick<
	Config['limits'],
	'readersPerClient' | 'publishBytesPerS' | 'publishMessagesPerS' | 'storedBytesPerClient'
>;

/** The name under which a caller is counted; `undefined` for the console or the program of this process. */
export function accountNameOf({isLocal, identity, address}: Caller): string | undefined {
	if (isLocal) return undefined;
	return identity === undefined
		? `address ${addressKey(parseAddress(address)?.host ?? address)}`
		: `identity ${identity}`;
}

/** Clients without a connection whose use is remembered, so that a new connection does not start anew. */
const formerMax = 1024;

export class ClientAccount {
	/** Topics that are read. */
	readers = 0;
	connections = 0;
	readonly name: string;
	readonly #bytes: TokenBucket | undefined;
	readonly #messages: TokenBucket | undefined;
	readonly #daily: DailyUse | undefined;

	constructor(
		name: string,
		{publishBytesPerS, publishMessagesPerS, storedBytesPerClient}: ClientLimits,
		nowMs: number,
	) {
		this.name = name;
		this.#bytes = publishBytesPerS > 0 ? new TokenBucket(publishBytesPerS, nowMs) : undefined;
		this.#messages = publishMessagesPerS > 0 ? new TokenBucket(publishMessagesPerS, nowMs) : undefined;
		this.#daily = storedBytesPerClient > 0 ? new DailyUse() : undefined;
	}

	/** Bytes published in the last day; 0 without a quota. */
	storedBytes(nowMs: number): number {
		return this.#daily?.bytes(nowMs) ?? 0;
	}

	/** Charges a publish to the daily quota. The result takes it back. */
	store(bytes: number, nowMs: number): () => void {
		return this.#daily?.charge(bytes, nowMs) ?? (() => undefined);
	}

	/** Notes a publish. */
	published(bodies: readonly Uint8Array[], nowMs: number): void {
		this.#messages?.take(bodies.length, nowMs);
		if (!this.#bytes) return;
		let bytes = 0;
		for (const body of bodies) bytes += body.length;
		this.#bytes.take(bytes, nowMs);
	}

	/** Milliseconds until the client may publish again; 0 for at once. */
	waitMs(nowMs: number): number {
		return Math.max(this.#bytes?.waitMs(nowMs) ?? 0, this.#messages?.waitMs(nowMs) ?? 0);
	}

	/** Nothing is to be remembered. */
	isIdle(nowMs: number): boolean {
		return (
			this.connections === 0 &&
			(this.#bytes?.isFull(nowMs) ?? true) &&
			(this.#messages?.isFull(nowMs) ?? true) &&
			this.storedBytes(nowMs) === 0
		);
	}
}

export class ClientAccounts {
	readonly #limits: ClientLimits;
	readonly #accounts = new Map<string, ClientAccount>();
	/** Those without a connection, the longest first. */
	readonly #former = new Set<ClientAccount>();

	constructor(limits: ClientLimits) {
		this.#limits = limits;
	}

	/** Number of clients that are remembered. */
	get size(): number {
		return this.#accounts.size;
	}

	/** A connection of the client opens. */
	open(name: string, nowMs: number): ClientAccount {
		let account = this.#accounts.get(name);
		if (!account) {
			account = new ClientAccount(name, this.#limits, nowMs);
			this.#accounts.set(name, account);
		}

		account.connections++;
		this.#former.delete(account);
		return account;
	}

	/** A connection of the client has closed. */
	close(account: ClientAccount, nowMs: number): void {
		account.connections--;
		if (account.connections > 0) return;
		this.#former.add(account);
		for (const former of this.#former) {
			if (this.#former.size <= formerMax && !former.isIdle(nowMs)) continue;
			this.#former.delete(former);
			this.#accounts.delete(former.name);
		}
	}
}
