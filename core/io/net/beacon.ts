/**
Discovery: small authenticated multicast datagrams that say which node of which cluster is here, and with which topics.
A hint only: a beacon never makes a member and is never answered. Each is taken once and never after a newer one of its
sender. Who searches for a node can ask for the beacons of all (`beacon-search.ts`).

Beacons of a cluster with another name or secret do not verify; they are counted and nothing else.
*/
import type {RemoteInfo} from 'node:dgram';
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
	/** That the node is subscribed to, as many as fit. Of a node of an earlier version: that it has messages of. */
	readonly topics: readonly string[];
	/** As agreed; empty when there is none yet, and of a node of an earlier version, which does not read it either. */
	readonly name: string;
};
export type BeaconOptions = {
	readonly config: Config['discovery'];
	readonly keys: Pick<Keys, 'beacon' | 'beaconSearch'>;
	readonly id: NodeId;
	readonly incarnation: number;
	readonly refusals: Counters;
	/** `address`: where others reach this node; it decides which interfaces are used. */
	readonly say: () => Pick<Beacon, 'clusterId' | 'address' | 'phase' | 'topics' | 'name'>;
	readonly onBeacon: (beacon: Beacon) => void;
	/** One line for people. */
	readonly onProblem: (line: string) => void;
};
export type OpenBeacon = AsyncDisposable & {announce(): void};

export const beaconBytesMax = 512;
const macBytes = 32;
const version = 1;
const perSecondMax = 200;
const sendersMax = 4096;

/** The datagram; topics are left out until it fits. */
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

/** Never fails: a machine without multicast is told to `onProblem`, and goes on with `--bootstrap`. */
export async function openBeacon(options: BeaconOptions): Promise<OpenBeacon> {
	const {
		config: {group, port, intervalMs},
		keys,
		id,
		incarnation,
		refusals,
		say,
		onBeacon,
		onProblem,
	} = options;
	const newest = new Map<NodeId, {readonly incarnation: number; readonly counter: number}>();
	let inSecond = 0;
	let counter = 0;
	const advertised = parseAddress(say().address)?.host ?? '';
	const isLocal = isLoopback(advertised);
	const onDatagram = (datagram: Buffer, {address: source}: RemoteInfo): void => {
		// The system hands over what any process on this machine joined the group for.
		if (isLocal && !isLoopback(source)) return refusals.add('beacon-interface');
		if (++inSecond > perSecondMax) return refusals.add('beacon-rate');
		if (isSearch(datagram)) {
			const searched = decodeSearch(datagram, keys);
			return typeof searched === 'string' ? refusals.add(`beacon-${searched}`) : answers.onSearch(searched);
		}

		const beacon = decodeBeacon(datagram, keys);
		if (typeof beacon === 'string') return refusals.add(`beacon-${beacon}`);
		// Under a loopback address of another machine there is nobody, or somebody else.
		if (!isLoopback(source) && isLoopback(parseAddress(beacon.address)!.host))
			return refusals.add('beacon-interface');
		if (beacon.id === id) {
			// Our own come back to us by the loop of the group. One with another address is of another process.
			if (beacon.address !== say().address) onBeacon(beacon);
			return;
		}

		const last = newest.get(beacon.id);
		if (
			last &&
			(beacon.incarnation < last.incarnation ||
				(beacon.incarnation === last.incarnation && beacon.counter <= last.counter))
		)
			return;
		if (!last && newest.size >= sendersMax) newest.delete(newest.keys().next().value!);
		newest.set(beacon.id, {incarnation: beacon.incarnation, counter: beacon.counter});
		onBeacon(beacon);
	};

	const multicast = await openMulticast({
		paths: pathsOf(advertised, group, networkInterfaces()),
		port,
		onDatagram,
		onProblem: line => onProblem(`Discovery is off: ${line}; nodes join with --bootstrap`),
	});
	if (!isLocal && multicast.interfaces === 1)
		onProblem(
			'Discovery reaches this machine only: no network interface takes multicast; nodes on other machines join with --bootstrap',
		);
	const announce = (searched: ReadonlySet<string> = new Set()): void => {
		counter++;
		const said = say();
		multicast.send(
			encodeBeacon({id, incarnation, ...said, topics: searchedFirst(said.topics, searched, keys)}, counter, keys),
		);
	};

	const answers = new Answers(systemClock, announce);
	announce();
	const timer = setInterval(() => announce(), intervalMs).unref();
	const second = setInterval(() => {
		inSecond = 0;
	}, 1000).unref();
	return {
		announce: () => announce(),
		async [Symbol.asyncDispose]() {
			clearInterval(timer);
			clearInterval(second);
			answers[Symbol.dispose]();
			await multicast[Symbol.asyncDispose]();
		},
	};
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
