/**
The question of a command that searches for a node: an authenticated datagram to the multicast group of the beacons. A
node that receives it sends its beacon at once, instead of at its next interval. The beacon lists the requested topics
first, so that they are not among those that do not fit.

The answer is a beacon to the group, never a packet to the sender of the question, and a node answers at most four times
a second. So a forged sender address gains nothing, and a replayed question gains little. A node of an earlier version
does not know the key: it ignores the question like a beacon of another cluster, and is found by its next beacon. Topics
are sent as keyed hashes, so a question does not reveal their names. The challenge of a question stands among the
hashes, for the same reason as in `challenges.ts`.
*/
import {decode, encode} from '../../codec.ts';
import type {Clock} from '../../ports.ts';
import {isMac, macOf, type Keys} from '../../wire/seal.ts';
import {isChallenge} from './challenges.ts';

const macBytes = 32;
/** The first byte after the MAC. In a beacon it is the version, which is a small number. */
const kind = 0xa1;
const topicKind = Buffer.of(0xa2);
const topicBytes = 8;
/** Bound on the topics of one question, and on those that one beacon answers. */
export const searchedTopicsMax = 24;
const searchBytesMax = 512;
const gapMs = 250;

/** A question for nodes with any of these topics. What exceeds `searchedTopicsMax` with the challenge is left out. */
export function encodeSearch(topics: readonly string[], keys: Pick<Keys, 'beaconSearch'>, challenge?: string): Buffer {
	const marks = challenge === undefined ? [] : [challenge];
	const body = Buffer.concat([
		Buffer.of(kind),
		encode([...marks, ...topics.map(topic => topicHash(topic, keys))].slice(0, searchedTopicsMax)),
	]);
	return Buffer.concat([macOf(keys.beaconSearch, body), body]);
}

/** Whether a datagram is a question, provided that it is one of this protocol. */
export function isSearch(datagram: Uint8Array): boolean {
	return datagram[macBytes] === kind;
}

export type Search = {readonly hashes: readonly string[]; readonly challenge: string | undefined};

/** The hashes of the topics and the challenge, or why the datagram is ignored. */
export function decodeSearch(datagram: Buffer, keys: Pick<Keys, 'beaconSearch'>): Search | 'malformed' | 'foreign' {
	if (datagram.length > searchBytesMax) return 'malformed';
	const body = datagram.subarray(macBytes);
	if (!isMac(keys.beaconSearch, datagram.subarray(0, macBytes), body)) return 'foreign';
	const value = decode(body.subarray(1));
	const isHash = (one: unknown): one is string => typeof one === 'string' && one.length === topicBytes * 2;
	return Array.isArray(value) && value.length <= searchedTopicsMax && value.every(one => isHash(one))
		? {hashes: value.filter(one => !isChallenge(one)), challenge: value.find(one => isChallenge(one))}
		: 'malformed';
}

function topicHash(topic: string, {beaconSearch}: Pick<Keys, 'beaconSearch'>): string {
	return macOf(beaconSearch, topicKind, Buffer.from(topic)).subarray(0, topicBytes).toString('hex');
}

/** The topics, the requested ones first. */
export function searchedFirst(
	topics: readonly string[],
	searched: ReadonlySet<string>,
	keys: Pick<Keys, 'beaconSearch'>,
): readonly string[] {
	if (searched.size === 0) return topics;
	const wanted = topics.filter(topic => searched.has(topicHash(topic, keys)));
	return wanted.length === 0 ? topics : [...wanted, ...topics.filter(topic => !wanted.includes(topic))];
}

/** Collects questions and answers them: the first at once, those of the next 250 ms together. */
export class Answers implements Disposable {
	readonly #clock: Pick<Clock, 'after'>;
	readonly #announce: (searched: ReadonlySet<string>) => void;
	#searched = new Set<string>();
	#hasQuestion = false;
	#pause: Disposable | undefined;

	constructor(clock: Pick<Clock, 'after'>, announce: (searched: ReadonlySet<string>) => void) {
		this.#clock = clock;
		this.#announce = announce;
	}

	/** Hashes beyond `searchedTopicsMax` are skipped: the answer is sent nevertheless, and may lack a topic. */
	onSearch(hashes: readonly string[]): void {
		for (const hash of hashes) if (this.#searched.size < searchedTopicsMax) this.#searched.add(hash);
		this.#hasQuestion = true;
		if (!this.#pause) this.#answer();
	}

	[Symbol.dispose](): void {
		this.#pause?.[Symbol.dispose]();
	}

	#answer(): void {
		const searched = this.#searched;
		this.#searched = new Set();
		this.#hasQuestion = false;
		this.#pause = this.#clock.after(gapMs, () => {
			this.#pause = undefined;
			if (this.#hasQuestion) this.#answer();
		});
		this.#announce(searched);
	}
}
