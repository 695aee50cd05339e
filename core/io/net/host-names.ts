/**
Resolves host names. Each TCP call resolves the name again and tries all of its addresses. Datagrams use the last
result, because a lookup for each datagram would query a name server each time. Of several addresses, the one that last
worked for TCP comes first: an address may be dead, or in a network that this machine is not in.

A lookup occupies a thread of the small pool that disk operations need too, for seconds if the name server does not
answer. So only two lookups run at once, and one for each name.
*/
import type {LookupAddress, LookupOptions} from 'node:dns';
import {lookup} from 'node:dns/promises';
import {isIP} from 'node:net';
import type {Clock} from '../../ports.ts';
import {systemClock} from '../clock.ts';

type Lookup = (host: string) => Promise<readonly string[]>;
type Entry = {addresses: readonly string[]; askedAtMs: number; worked: string | undefined; calls: number};

/** A result is used for datagrams for at most this long before it is renewed. */
const freshMs = 30_000;
/** A name that was not found is looked up again after this long. */
const retryMs = 1000;
const atOnceMax = 2;
const namesMax = 1024;
const addressesMax = 16;

export class Names {
	readonly #lookup: Lookup;
	readonly #clock: Pick<Clock, 'monotonicMs'>;
	/** In the order of their lookups. */
	readonly #entries = new Map<string, Entry>();
	readonly #asked = new Map<string, Promise<readonly string[]>>();
	readonly #waiting: Array<() => void> = [];
	#running = 0;

	constructor({
		lookup: ask = systemLookup,
		clock = systemClock,
	}: {readonly lookup?: Lookup; readonly clock?: Pick<Clock, 'monotonicMs'>} = {}) {
		this.#lookup = ask;
		this.#clock = clock;
	}

	/**
	Looks the name up now.
	@throws the error of the system for a name that is not found
	*/
	async resolve(host: string): Promise<readonly string[]> {
		const current = this.#asked.get(host);
		if (current) return current;
		if (this.#asked.size >= namesMax) throw new Error('too many names are looked up');
		const asked = this.#ask(host);
		this.#asked.set(host, asked);
		try {
			return await asked;
		} finally {
			this.#asked.delete(host);
		}
	}

	/** The known addresses of a name, without waiting. Starts a lookup when none is known or the result is old. */
	known(host: string): readonly string[] {
		const entry = this.#entries.get(host);
		const ageMs = entry ? this.#clock.monotonicMs() - entry.askedAtMs : Infinity;
		if (ageMs >= (entry?.addresses.length ? freshMs : retryMs) && !this.#asked.has(host))
			void this.resolve(host).catch(() => undefined);
		return entry ? inOrder(entry) : [];
	}

	/** A peer of that name was reached at this address, or called from it. */
	worked(host: string, address: string): void {
		const entry = this.#entries.get(host);
		if (entry?.addresses.includes(address)) entry.worked = address;
	}

	/** The address that worked last. */
	preferred(host: string): string | undefined {
		const entry = this.#entries.get(host);
		return entry?.worked !== undefined && entry.addresses.includes(entry.worked) ? entry.worked : undefined;
	}

	/** For `net.connect`. */
	readonly lookup = (
		host: string,
		options: LookupOptions,
		done: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
	): void => {
		this.resolve(host).then(
			addresses => {
				const entry = this.#entries.get(host);
				const found = (entry ? inOrder(entry, entry.calls++) : addresses).map(address => ({
					address,
					family: isIP(address),
				}));
				if (options.all) done(null, found);
				else done(null, found[0]!.address, found[0]!.family);
			},
			(error: unknown) => done(error as NodeJS.ErrnoException, ''),
		);
	};

	async #ask(host: string): Promise<readonly string[]> {
		const entry: Entry = this.#entries.get(host) ?? {addresses: [], askedAtMs: 0, worked: undefined, calls: 0};
		this.#entries.delete(host);
		if (this.#entries.size >= namesMax) this.#entries.delete(this.#entries.keys().next().value!);
		this.#entries.set(host, entry);
		if (this.#running >= atOnceMax) await new Promise<void>(resolve => this.#waiting.push(resolve));
		else this.#running++;
		try {
			const found = [...new Set(await this.#lookup(host))].slice(0, addressesMax);
			if (found.length === 0) throw Object.assign(new Error(`${host} has no address`), {code: 'ENOTFOUND'});
			entry.addresses = found; // The former result is kept when a name server does not answer.
			return found;
		} finally {
			entry.askedAtMs = this.#clock.monotonicMs();
			const next = this.#waiting.shift(); // It takes over the slot of this lookup.
			if (next) next();
			else this.#running--;
		}
	}
}

async function systemLookup(host: string): Promise<readonly string[]> {
	return (await lookup(host, {all: true})).map(({address}) => address);
}

/**
The address that worked comes first. Without one, the order rotates: otherwise the last of many addresses would never be
tried within a deadline.
*/
function inOrder({addresses, worked}: Entry, turn = 0): readonly string[] {
	if (worked !== undefined && addresses.includes(worked))
		return [worked, ...addresses.filter(address => address !== worked)];
	const start = turn % Math.max(1, addresses.length);
	return [...addresses.slice(start), ...addresses.slice(0, start)];
}
