/**
The question of a command that searches for a node: an authenticated datagram to the group of the beacons. Who hears it
sends its beacon at once instead of at its next turn, with the topics that were asked for first, so that they are not
among those which do not fit.

The answer is a beacon to the group, never a packet to whoever asked, and a node gives four a second at most, however
many ask: a forged sender gets nothing, and a question that was recorded gains little when it is repeated. A node of an
earlier version does not know the key, and ignores the question like a beacon of another cluster; it is found by its
next beacon. Topics are asked for by their hashes: a question names nobody's topic to the network.
*/
import {decode, encode} from '../../codec.ts';
import type {Clock} from '../../ports.ts';
import {isMac, macOf, type Keys} from '../../wire/seal.ts';

const macBytes = 32;
/** First byte behind the MAC; that of a beacon is its version, which is far from this. */
const kind = 0xa1;
const topicKind = Buffer.of(0xa2);
const topicBytes = 8;
/** Topics of one question, and of all that one beacon answers. */
export const searchedTopicsMax = 24;
const searchBytesMax = 512;
const gapMs = 250;

/** A question: any of these topics, as hashes. Those beyond `searchedTopicsMax` are left out. */
export function encodeSearch(topics: readonly string[], keys: Pick<Keys, 'beaconSearch'>): Buffer {
	const body = Buffer.concat([
		Buffer.of(kind),
		encode(topics.slice(0, searchedTopicsMax).map(topic => topicHash(topic, keys))),
	]);
	return Buffer.concat([macOf(keys.beaconSearch, body), body]);
}

/** Whether a datagram is a question, if it is anything of ours. */
export function isSearch(datagram: Uint8Array): boolean {
	return datagram[macBytes] === kind;
}

export function decodeSearch(
	datagram: Buffer,
	keys: Pick<Keys, 'beaconSearch'>,
): readonly string[] | 'malformed' | 'foreign' {
	if (datagram.length > searchBytesMax) return 'malformed';
	const body = datagram.subarray(macBytes);
	if (!isMac(keys.beaconSearch, datagram.subarray(0, macBytes), body)) return 'foreign';
	const value = decode(body.subarray(1));
	const isHash = (one: unknown): one is string => typeof one === 'string' && one.length === topicBytes * 2;
	return Array.isArray(value) && value.length <= searchedTopicsMax && value.every(one => isHash(one))
		? value
		: 'malformed';
}

function topicHash(topic: string, {beaconSearch}: Pick<Keys, 'beaconSearch'>): string {
	return macOf(beaconSearch, topicKind, Buffer.from(topic)).subarray(0, topicBytes).toString('hex');
}

/** The topics, those that were asked for first. */
export function searchedFirst(
	topics: readonly string[],
	searched: ReadonlySet<string>,
	keys: Pick<Keys, 'beaconSearch'>,
): readonly string[] {
	if (searched.size === 0) return topics;
	const wanted = topics.filter(topic => searched.has(topicHash(topic, keys)));
	return wanted.length === 0 ? topics : [...wanted, ...topics.filter(topic => !wanted.includes(topic))];
}

/** Gathers questions and answers them: the first one at once, those that come within the next 250 ms together. */
export class Answers implements Disposable {
	readonly #clock: Pick<Clock, 'after'>;
	readonly #announce: (searched: ReadonlySet<string>) => void;
	#searched = new Set<string>();
	#isAsked = false;
	#pause: Disposable | undefined;

	constructor(clock: Pick<Clock, 'after'>, announce: (searched: ReadonlySet<string>) => void) {
		this.#clock = clock;
		this.#announce = announce;
	}

	/**
	Hashes beyond those that one answer minds are passed over: the answer may then lack a topic, and is given all the
	same.
	*/
	onSearch(hashes: readonly string[]): void {
		for (const hash of hashes) if (this.#searched.size < searchedTopicsMax) this.#searched.add(hash);
		this.#isAsked = true;
		if (!this.#pause) this.#answer();
	}

	[Symbol.dispose](): void {
		this.#pause?.[Symbol.dispose]();
	}

	#answer(): void {
		const searched = this.#searched;
		this.#searched = new Set();
		this.#isAsked = false;
		this.#announce(searched);
		this.#pause = this.#clock.after(gapMs, () => {
			this.#pause = undefined;
			if (this.#isAsked) this.#answer();
		});
	}
}
