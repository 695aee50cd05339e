/**
Discovery: small authenticated multicast datagrams that announce a node, its cluster and its topics. A beacon is only a
hint: it never makes a member. Each beacon is accepted once, and not after a newer one of the same sender. A member
answers the beacon of a node that seeks a cluster with its own, so that the seeker needs only one of several datagrams.
A program that searches for a node can ask for all beacons (`beacon-search.ts`).

Beacons of a cluster with another name or secret do not verify; they are only counted.
*/
import {networkInterfaces} from 'node:os';
import {isAdvertisable, isLoopback, parseAddress} from '../../address.ts';
import {decode, encode} from '../../codec.ts';
import type {Config} from '../../config.ts';
import {isNodeId, type NodeId} from '../../message.ts';
import {isNodeName} from '../../node-name.ts';
import {isMac, macOf, type Keys} from '../../wire/seal.ts';
import {systemClock} from '../clock.ts';
import {Answers, decodeSearch, isSearch, searchedFirst} from './beacon-search.ts';
import type {Counters} from './counters.ts';
import {openMulticast, pathsOf} from './multicast.ts';

export type Beacon = {
	readonly id: NodeId;
	readonly incarnation: number;
	readonly clusterId: string;
	readonly address: string;
	readonly phase: 'member' | 'seeking';
	/** Topics that the node subscribes to, as many as fit. In earlier versions: topics that it has messages of. */
	readonly topics: readonly string[];
	/** The agreed name; empty until it is agreed, and for nodes of earlier versions, which ignore the field. */
	readonly name: string;
};
export type BeaconOptions = {
	readonly config: Config['discovery'];
	readonly keys: Pick<Keys, 'beacon' | 'beaconSearch'>;
	readonly id: NodeId;
	readonly incarnation: number;
	readonly refusals: Counters;
	/** `address` is the advertised address of this node; it determines the interfaces that are used. */
	readonly content: () => Pick<Beacon, 'clusterId' | 'address' | 'phase' | 'topics' | 'name'>;
	readonly onBeacon: (beacon: Beacon) => void;
	/** Reports a problem as one line. */
	readonly onProblem: (line: string) => void;
};
export type OpenBeacon = AsyncDisposable & {announce(): void};

export const beaconBytesMax = 512;
const macBytes = 32;
const version = 1;
const perSecondMax = 200;
const sendersMax = 4096;

/** The datagram. Topics are left out until it fits. */
export function encodeBeacon(beacon: Beacon, counter: number, keys: Pick<Keys, 'beacon'>): Buffer {
	const {id, incarnation, clusterId, address, phase, name} = beacon;
	let {topics} = beacon;
	for (;;) {
		const body = Buffer.concat([
			Buffer.of(version),
			encode([id, incarnation, counter, clusterId, address, phase, topics, name]),
		]);
		if (body.length + macBytes <= beaconBytesMax || topics.length === 0)
			return Buffer.concat([macOf(keys.beacon, body), body]);
		topics = topics.slice(0, Math.floor(topics.length / 2));
	}
}

/** The content of a beacon, or why the datagram is ignored. */
export function decodeBeacon(
	datagram: Buffer,
	keys: Pick<Keys, 'beacon'>,
): (Beacon & {readonly counter: number}) | 'malformed' | 'foreign' {
	if (datagram.length <= macBytes + 1 || datagram.length > beaconBytesMax) return 'malformed';
	const body = datagram.subarray(macBytes);
	if (!isMac(keys.beacon, datagram.subarray(0, macBytes), body)) return 'foreign';
	const value = body[0] === version ? decode(body.subarray(1)) : undefined;
	if (!Array.isArray(value)) return 'malformed';
	const [id, incarnation, counter, clusterId, address, phase, topics, name] = value as readonly unknown[];
	const isText = (text: unknown): text is string => typeof text === 'string' && text.length <= 261;
	if (
		!isNodeId(id) ||
		!isCount(incarnation) ||
		!isCount(counter) ||
		!isText(clusterId) ||
		!isText(address) ||
		!isAdvertisable(address) ||
		(phase !== 'member' && phase !== 'seeking')
	)
		return 'malformed';
	if (!Array.isArray(topics) || !topics.every(topic => isText(topic))) return 'malformed';
	return {id, incarnation, counter, clusterId, address, phase, topics, name: isNodeName(name) ? name : ''};
}

/** Never fails: without multicast it reports that to `onProblem`, and nodes must join with `--bootstrap`. */
export async function openBeacon(options: BeaconOptions): Promise<OpenBeacon> {
	const {
		config: {group, port, intervalMs},
		keys,
		id,
		incarnation,
		content,
		onProblem,
	} = options;
	const advertised = parseAddress(content().address)?.host ?? '';
	const receiver = new BeaconReceiver(options, isLoopback(advertised), hashes => answers.onSearch(hashes));
	const multicast = await openMulticast({
		paths: pathsOf(advertised, group, networkInterfaces()),
		port,
		onDatagram: (datagram, {address: source}) => receiver.onDatagram(datagram, source),
		onProblem: line => onProblem(`Discovery is off: ${line}; nodes join with --bootstrap`),
	});
	if (!isLoopback(advertised) && multicast.interfaces === 1)
		onProblem(
			'Discovery reaches this machine only: no network interface takes multicast; ' +
				'nodes on other machines join with --bootstrap',
		);
	let counter = 0;
	const announce = (searched: ReadonlySet<string> = new Set()): void => {
		counter++;
		const current = content();
		multicast.send(
			encodeBeacon(
				{id, incarnation, ...current, topics: searchedFirst(current.topics, searched, keys)},
				counter,
				keys,
			),
		);
	};

	const answers = new Answers(systemClock, announce);
	announce();
	const announcing = systemClock.every(intervalMs, () => announce());
	const resetting = systemClock.every(1000, () => receiver.resetRate());
	return {
		announce: () => announce(),
		async [Symbol.asyncDispose]() {
			announcing[Symbol.dispose]();
			resetting[Symbol.dispose]();
			answers[Symbol.dispose]();
			await multicast[Symbol.asyncDispose]();
		},
	};
}

/** Verifies received datagrams, drops old and excess ones, and hands on beacons and questions. */
class BeaconReceiver {
	readonly #options: BeaconOptions;
	/** This node advertises a loopback address, so only nodes on this machine matter. */
	readonly #isLocal: boolean;
	readonly #onSearch: (hashes: readonly string[]) => void;
	readonly #newest = new Map<NodeId, {readonly incarnation: number; readonly counter: number}>();
	#inSecond = 0;

	constructor(options: BeaconOptions, isLocal: boolean, onSearch: (hashes: readonly string[]) => void) {
		this.#options = options;
		this.#isLocal = isLocal;
		this.#onSearch = onSearch;
	}

	/** Starts a new second of the rate limit. */
	resetRate(): void {
		this.#inSecond = 0;
	}

	onDatagram(datagram: Buffer, source: string): void {
		const {keys, refusals, id, content, onBeacon} = this.#options;
		// The system delivers datagrams of every interface on which some process of this machine has joined the group.
		if (this.#isLocal && !isLoopback(source)) return refusals.add('beacon-interface');
		if (++this.#inSecond > perSecondMax) return refusals.add('beacon-rate');
		if (isSearch(datagram)) {
			const searched = decodeSearch(datagram, keys);
			return typeof searched === 'string' ? refusals.add(`beacon-${searched}`) : this.#onSearch(searched);
		}

		const beacon = decodeBeacon(datagram, keys);
		if (typeof beacon === 'string') return refusals.add(`beacon-${beacon}`);
		// A loopback address of another machine is useless here, or refers to another node.
		if (!isLoopback(source) && isLoopback(parseAddress(beacon.address)!.host))
			return refusals.add('beacon-interface');
		// Our own beacons are looped back. One with another address comes from another process of this identity.
		if (beacon.id === id) {
			if (beacon.address !== content().address) onBeacon(beacon);
		} else if (this.#isNewer(beacon)) {
			onBeacon(beacon);
			if (beacon.phase === 'seeking' && content().phase === 'member') this.#onSearch([]);
		}
	}

	/** Remembers the beacon if it is newer than the last one of its sender. */
	#isNewer({id, incarnation, counter}: Beacon & {readonly counter: number}): boolean {
		const last = this.#newest.get(id);
		if (last && (incarnation < last.incarnation || (incarnation === last.incarnation && counter <= last.counter)))
			return false;
		if (!last && this.#newest.size >= sendersMax) this.#newest.delete(this.#newest.keys().next().value!);
		this.#newest.set(id, {incarnation, counter});
		return true;
	}
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
