/**
Host names and what they stand for. A call over TCP looks a name up anew and tries all of its addresses; datagrams take
what is known by then, since a look-up for each of them would be a question to a name server for each. Of several
addresses the one that worked for TCP comes first: an address may be dead, or of a network that this machine is not in.

A look-up holds a thread of the few that the disk needs as well, for seconds when the name server is silent. So few run
at once, and one for each name.
*/
import type {LookupAddress, LookupOptions} from 'node:dns';
import {lookup} from 'node:dns/promises';
import {isIP} from 'node:net';
import type {Clock} from '../../ports.ts';
import {systemClock} from '../clock.ts';

type Lookup = (host: string) => Promise<readonly string[]>;
type Entry = {addresses: readonly string[]; askedAtMs: number; worked: string | undefined; calls: number};

/** Datagrams go to what a name stood for at most this long ago. */
const freshMs = 30_000;
/** A name that was not found is asked for again after this long. */
const retryMs = 1000;
const atOnceMax = 2;
const namesMax = 1024;
const addressesMax = 16;

export class Names {
	readonly #lookup: Lookup;
	readonly #clock: Pick<Clock, 'monotonicMs'>;
	/** In the order of their look-ups. */
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

	/** Look the name up now. @throws what the system says of a name that it does not find */
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

	/** What a name stands for as far as is known, without waiting; it is looked up when that is nothing, or old. */
	known(host: string): readonly string[] {
		const entry = this.#entries.get(host);
		const ageMs = entry ? this.#clock.monotonicMs() - entry.askedAtMs : Infinity;
		if (ageMs >= (entry?.addresses.length ? freshMs : retryMs) && !this.#asked.has(host))
			void this.resolve(host).catch(() => undefined);
		return entry ? inOrder(entry) : [];
	}

	/** A peer of that name was reached there, or called from there. */
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
			entry.addresses = found; // What was found before stays when a name server is silent.
			return found;
		} finally {
			entry.askedAtMs = this.#clock.monotonicMs();
			const next = this.#waiting.shift(); // It takes the place of this one.
			if (next) next();
			else this.#running--;
		}
	}
}

async function systemLookup(host: string): Promise<readonly string[]> {
	return (await lookup(host, {all: true})).map(({address}) => address);
}

/**
The one that worked first; without such a one another one each turn, or the last of many would never have its turn
within a deadline.
*/
function inOrder({addresses, worked}: Entry, turn = 0): readonly string[] {
	if (worked !== undefined && addresses.includes(worked))
		return [worked, ...addresses.filter(address => address !== worked)];
	const start = turn % Math.max(1, addresses.length);
	return [...addresses.slice(start), ...addresses.slice(0, start)];
}
