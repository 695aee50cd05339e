/**
The connections that have not authenticated yet, and the rule that decides which one is dropped when there are too many.

A flood must not lock out honest callers. So the newest is never refused, and the victim is chosen at random: a rule
that always drops the oldest would drop every honest caller whose round trip is longer than the flood needs to fill the
room. With room for N, a caller that needs the time of k arrivals survives with the probability (1 − 1/N)^k.

There are separate rooms, and a connection is only dropped for another one of its own room:

- *silent* and *answered*: this side answers only a peer that shows the secret, so junk stays among the silent. A
  recorded first flight of an honest caller is answered too (once, see `seen-hellos.ts`), but its sender cannot finish
  the handshake; that is why the answered have a bound of their own, instead of being kept in any case.
- *general* and *members*: callers from the address of a known member have room for themselves. This protects the links
  between members from floods of other addresses. It does not protect from a flood by the machine of a member, or from
  behind the same address translation.
- each address has its own bound, too. IPv6 addresses count by their first 64 bits, which is what one host can choose
  from.
*/
import {isIPv6} from 'node:net';
import type {Random} from '../../machine.ts';

export type PendingOptions<Connection> = {
	/** Connections of each room; members have a quarter of it for themselves. */
	readonly max: number;
	readonly perAddressMax: number;
	readonly random: Random;
	/** This side has answered: the peer has shown the secret. Once true, it stays true. */
	readonly hasAnswer: (connection: Connection) => boolean;
	/** Whether a known member has this address. */
	readonly isMember: (host: string) => boolean;
	/** The connection is no longer here, and must be closed. */
	readonly onDropped: (connection: Connection, reason: DropReason) => void;
};
export type DropReason = 'unauthenticated' | 'unauthenticated-per-address' | 'connections';

const membersShare = 4;
/** How many silent connections are looked at, to find one that has no answer. */
const looksMax = 8;

export class PendingConnections<Connection> {
	readonly #options: PendingOptions<Connection>;
	readonly #general: Room<Connection>;
	readonly #members: Room<Connection>;
	readonly #hosts = new Map<string, Room<Connection>>();
	/** The rooms of each connection. */
	readonly #rooms = new Map<Connection, {readonly key: string; readonly rooms: readonly Room<Connection>[]}>();

	constructor(options: PendingOptions<Connection>) {
		this.#options = options;
		this.#general = new Room('unauthenticated', options.max);
		this.#members = new Room('unauthenticated', Math.max(1, Math.floor(options.max / membersShare)));
	}

	get size(): number {
		return this.#rooms.size;
	}

	[Symbol.iterator](): Iterator<Connection> {
		return [...this.#rooms.keys()].values();
	}

	has(connection: Connection): boolean {
		return this.#rooms.has(connection);
	}

	/** Adds a connection that was just accepted, and drops others if there is no room. */
	add(connection: Connection, host: string): void {
		const {perAddressMax, isMember} = this.#options;
		const key = addressKey(host);
		const ofHost = this.#hosts.get(key) ?? new Room<Connection>('unauthenticated-per-address', perAddressMax);
		const rooms = [ofHost, isMember(host) ? this.#members : this.#general];
		for (const room of rooms) this.#makeRoom(room);
		this.#hosts.set(key, ofHost);
		for (const room of rooms) room.silent.add(connection);
		this.#rooms.set(connection, {key, rooms});
	}

	/** The connection has authenticated, or has ended. */
	delete(connection: Connection): void {
		const placed = this.#rooms.get(connection);
		if (!placed) return;
		this.#rooms.delete(connection);
		for (const {silent, answered} of placed.rooms) if (!silent.delete(connection)) answered.delete(connection);
		const ofHost = placed.rooms[0]!;
		if (ofHost.silent.size + ofHost.answered.size === 0) this.#hosts.delete(placed.key);
	}

	/**
	Drops one, for a connection beyond the limit of all connections. Returns false when there is none. The larger group
	loses one. Few of the silent are looked at: if all but one were answered, that one must not be chosen each time.
	*/
	dropOne(): boolean {
		const {random, hasAnswer} = this.#options;
		const room = [this.#general, this.#members].find(({silent, answered}) => silent.size + answered.size > 0);
		if (!room) return false;
		const {silent, answered} = room;
		let victim = (silent.size >= answered.size ? silent : answered).pick(random);
		for (let looks = 1; looks < looksMax && silent.size >= answered.size && hasAnswer(victim); looks++)
			victim = silent.pick(random);
		this.#drop(victim, 'connections');
		return true;
	}

	/** Drops a random silent connection of a full room. Those that turn out to be answered are moved instead. */
	#makeRoom({silent, max, reason}: Room<Connection>): void {
		while (silent.size >= max) {
			const victim = silent.pick(this.#options.random);
			if (!this.#settle(victim)) this.#drop(victim, reason);
		}
	}

	/** Moves a silent connection that has been answered; returns whether it has. */
	#settle(connection: Connection): boolean {
		const {hasAnswer, random} = this.#options;
		if (!hasAnswer(connection)) return false;
		for (const room of this.#rooms.get(connection)!.rooms) {
			room.silent.delete(connection);
			room.answered.add(connection);
		}

		for (const {answered, max, reason} of this.#rooms.get(connection)!.rooms)
			while (answered.size > max) this.#drop(answered.pick(random), reason);
		return true;
	}

	#drop(connection: Connection, reason: DropReason): void {
		this.delete(connection);
		this.#options.onDropped(connection, reason);
	}
}

class Room<Connection> {
	readonly silent = new Bag<Connection>();
	readonly answered = new Bag<Connection>();
	readonly reason: DropReason;
	readonly max: number;

	constructor(reason: DropReason, max: number) {
		this.reason = reason;
		this.max = max;
	}
}

/** A set from which a random element can be picked in constant time. */
class Bag<Element> {
	readonly #elements: Element[] = [];
	readonly #places = new Map<Element, number>();

	get size(): number {
		return this.#elements.length;
	}

	add(element: Element): void {
		this.#places.set(element, this.#elements.length);
		this.#elements.push(element);
	}

	delete(element: Element): boolean {
		const place = this.#places.get(element);
		if (place === undefined) return false;
		this.#places.delete(element);
		const last = this.#elements.pop()!;
		if (place < this.#elements.length) {
			this.#elements[place] = last;
			this.#places.set(last, place);
		}

		return true;
	}

	/** Of a bag that is not empty. */
	pick(random: Random): Element {
		return this.#elements[random.below(this.#elements.length)]!;
	}
}

/** The text by which connections of one address are counted. */
export function addressKey(host: string): string {
	if (!isIPv6(host)) return host;
	const [head = '', tail = ''] = host.split('%')[0]!.split('::');
	const before = head === '' ? [] : head.split(':');
	const after = tail === '' ? [] : tail.split(':');
	const missing = host.includes('::') ? Math.max(0, 8 - before.length - after.length) : 0;
	const groups = [...before, ...Array<string>(missing).fill('0'), ...after];
	return groups
		.slice(0, 4)
		.map(group => Number.parseInt(group, 16).toString(16))
		.join(':');
}
