/**
Judges the datagrams that arrive at the multicast group: verifies them, drops replays, and hands on beacons and
questions.

The order of the checks matters. The MAC is verified before anything is counted against a limit, because everyone on the
network can send datagrams: a limit before that check would drop the beacons of members during a flood. Verifying takes
about as long as receiving, which cannot be avoided (docs/limits.md has the measurement). The limit applies to verified
beacons without a proof of freshness, because only those can be replayed in number.
*/
import {isLoopback, parseAddress} from '../../address.ts';
import type {NodeId} from '../../message.ts';
import type {Clock} from '../../ports.ts';
import type {KeySet} from '../../wire/key-ring.ts';
import type {Keys} from '../../wire/seal.ts';
import {decodeSearch, isSearch} from './beacon-search.ts';
import {decodeBeacon, type Beacon, type DecodedBeacon} from './beacon.ts';
import type {ForeignChallenges, OwnChallenges} from './challenges.ts';
import type {Counters} from './counters.ts';

/**
`proved`: made after this node asked. `unproved`: its sender can prove that, and has not yet. `unable`: its sender is a
node of an earlier version, which cannot.
*/
export type Freshness = 'proved' | 'unproved' | 'unable';

export type ReceiverOptions = {
	readonly keys: KeySet<Pick<Keys, 'beacon' | 'beaconSearch'>>;
	readonly id: NodeId;
	/** This node advertises a loopback address, so only nodes on this machine matter. */
	readonly isLocal: boolean;
	readonly clock: Pick<Clock, 'monotonicMs'>;
	readonly own: OwnChallenges;
	readonly others: ForeignChallenges;
	readonly refusals: Pick<Counters, 'add'>;
	readonly content: () => Pick<Beacon, 'clusterId' | 'address' | 'phase'>;
	readonly onBeacon: (beacon: Beacon, freshness: Freshness) => void;
	/** A question, or the beacon of a node that seeks a cluster: this node answers with its own beacon. */
	readonly onSearch: (hashes: readonly string[]) => void;
};

/** Verified beacons without a proof that are handed on in a second. */
export const unprovedPerSecondMax = 200;
const sendersMax = 4096;
/** How long a member asks for a proof after it heard something that it must not report without one. */
const askingMs = 5000;

export class BeaconReceiver {
	readonly #options: ReceiverOptions;
	readonly #newest = new Map<NodeId, {readonly incarnation: number; readonly counter: number}>();
	#secondMs = Number.NEGATIVE_INFINITY;
	#inSecond = 0;
	#askingUntilMs = Number.NEGATIVE_INFINITY;

	constructor(options: ReceiverOptions) {
		this.#options = options;
	}

	/** Whether the next own beacon needs a challenge. */
	get isAsking(): boolean {
		const {clock, content} = this.#options;
		return content().phase === 'seeking' || clock.monotonicMs() < this.#askingUntilMs;
	}

	onDatagram(datagram: Buffer, source: string): void {
		const {keys, refusals, isLocal, own, others, onSearch} = this.#options;
		// The system delivers datagrams of every interface on which some process of this machine has joined the group.
		if (isLocal && !isLoopback(source)) return refusals.add('beacon-interface');
		if (isSearch(datagram)) {
			const search = decodeUnder(keys, key => decodeSearch(datagram, key));
			if (typeof search === 'string') return refusals.add(`beacon-${search}`);
			if (search.challenge !== undefined) others.add(search.challenge);
			return onSearch(search.hashes);
		}

		const beacon = decodeUnder(keys, key => decodeBeacon(datagram, key));
		if (typeof beacon === 'string') return refusals.add(`beacon-${beacon}`);
		// A loopback address of another machine is useless here, or refers to another node.
		if (!isLoopback(source) && isLoopback(parseAddress(beacon.address)!.host))
			return refusals.add('beacon-interface');
		if (beacon.challenge !== undefined && !own.has(beacon.challenge)) others.add(beacon.challenge);
		this.#onBeacon(beacon);
	}

	#onBeacon(beacon: DecodedBeacon): void {
		const {refusals, id, clock, content, onBeacon, onSearch} = this.#options;
		const {address, clusterId, phase} = content();
		const isOwn = beacon.id === id;
		// Our own beacons are looped back. One with another address comes from another process of this identity.
		if (isOwn ? beacon.address === address : !this.#isNewer(beacon)) return;
		const freshness = this.#freshnessOf(beacon);
		if (freshness !== 'proved' && this.#isOverRate()) return refusals.add('beacon-rate');
		const isForeign = phase === 'member' && beacon.phase === 'member' && beacon.clusterId !== clusterId;
		if (freshness === 'unproved' && (isOwn || isForeign)) this.#askingUntilMs = clock.monotonicMs() + askingMs;
		onBeacon(beacon, freshness);
		if (!isOwn && beacon.phase === 'seeking' && phase === 'member') onSearch([]);
	}

	#freshnessOf({canProve, answers}: DecodedBeacon): Freshness {
		if (!canProve) return 'unable';
		return this.#options.own.isMetBy(answers) ? 'proved' : 'unproved';
	}

	#isOverRate(): boolean {
		const nowMs = this.#options.clock.monotonicMs();
		if (nowMs - this.#secondMs >= 1000) {
			this.#secondMs = nowMs;
			this.#inSecond = 0;
		}

		return ++this.#inSecond > unprovedPerSecondMax;
	}

	/** Remembers the beacon if it is newer than the last one of its sender. */
	#isNewer({id, incarnation, counter}: DecodedBeacon): boolean {
		const last = this.#newest.get(id);
		if (last && (incarnation < last.incarnation || (incarnation === last.incarnation && counter <= last.counter)))
			return false;
		if (!last && this.#newest.size >= sendersMax) this.#newest.delete(this.#newest.keys().next().value!);
		this.#newest.set(id, {incarnation, counter});
		return true;
	}
}

/** The content under the first valid key that verifies. */
function decodeUnder<Use, Content>(
	{valid}: KeySet<Use>,
	decode: (keys: Use) => Content | 'malformed' | 'foreign',
): Content | 'malformed' | 'foreign' {
	for (const keys of valid) {
		const content = decode(keys);
		if (content !== 'foreign') return content;
	}

	return 'foreign';
}
