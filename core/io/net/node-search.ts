/**
The search for a node of the cluster on the local network, by a program that is none: ask the nodes for their beacons,
again and again, and listen. What does not prove the cluster's secret is nobody; what proves it is still a hint, and may
be out of date: whoever takes an address proves by the handshake who is there.

It listens for the time between two beacons and a little more, since nodes of an earlier version are not heard sooner;
nodes of this one answer at once.
*/
import type {RemoteInfo} from 'node:dgram';
import {networkInterfaces} from 'node:os';
import {isLoopback, parseAddress} from '../../address.ts';
import type {Config} from '../../config.ts';
import type {Keys} from '../../wire/seal.ts';
import {systemClock} from '../clock.ts';
import {encodeSearch, isSearch} from './beacon-search.ts';
import {decodeBeacon} from './beacon.ts';
import {HeardNodes, type HeardNode} from './heard-nodes.ts';
import {openMulticast, pathsOf} from './multicast.ts';

export type NodeSearchOptions = {
	readonly config: Pick<Config['discovery'], 'group' | 'port' | 'intervalMs'>;
	readonly keys: Pick<Keys, 'beacon' | 'beaconSearch'>;
	/** A node that subscribes to these is preferred. */
	readonly topics: readonly string[];
	/** Longest time to listen, milliseconds. */
	readonly timeoutMs: number;
	/** Ends the search: nothing more is found. */
	readonly signal?: AbortSignal | undefined;
};

export type NodeSearch = AsyncDisposable & {
	/** How long it listens, milliseconds. */
	readonly listenMs: number;
	/** Why this machine cannot search, a line for people. */
	readonly problem: string | undefined;
	/** Only loopback takes multicast here: no other machine can be heard. */
	readonly isLocal: boolean;
	/** Addresses of senders of another secret or another cluster, the first few. */
	readonly strangers: ReadonlySet<string>;
	readonly heard: Pick<HeardNodes, 'size' | 'clusterIds'>;
	/** The next best node; `undefined` when the listening is over and all that were heard are taken. */
	next(): Promise<HeardNode | undefined>;
};

const askMs = 250;
/** Longer intervals than this are left to the answers. */
const intervalMaxMs = 2000;
/** A beacon is late on a busy machine. */
const graceMs = 500;
const strangersMax = 4;

/** How long a search listens for beacons that are sent at this interval, milliseconds. */
export function listenMsOf(intervalMs: number): number {
	return Math.min(intervalMs, intervalMaxMs) + graceMs;
}

/** Never fails: a machine without multicast finds nothing, and `problem` says why. */
export async function openNodeSearch({
	config: {group, port, intervalMs},
	keys,
	topics,
	timeoutMs,
	signal,
}: NodeSearchOptions): Promise<NodeSearch> {
	const listenMs = Math.min(listenMsOf(intervalMs), timeoutMs);
	const untilMs = systemClock.monotonicMs() + listenMs;
	const heard = new HeardNodes({topics, untilMs});
	const strangers = new Set<string>();
	let wake = (): void => undefined;
	let problem: string | undefined;
	const onDatagram = (datagram: Buffer, {address: source}: RemoteInfo): void => {
		if (isSearch(datagram)) return;
		const beacon = decodeBeacon(datagram, keys);
		if (beacon === 'foreign' && strangers.size < strangersMax) strangers.add(source);
		if (typeof beacon === 'string') return;
		// Under a loopback address of another machine there is nobody, or somebody else.
		if (!isLoopback(source) && isLoopback(parseAddress(beacon.address)!.host)) return;
		heard.hear(beacon, systemClock.monotonicMs());
		wake();
	};

	const multicast = await openMulticast({
		// All interfaces, of both families: any of them may lead to a node.
		paths: pathsOf('', group, networkInterfaces()),
		port,
		onDatagram,
		onProblem(line) {
			problem = line;
		},
	});
	if (multicast.interfaces > 0) problem = undefined;
	const question = encodeSearch(topics, keys);
	multicast.send(question);
	const asking = setInterval(() => {
		if (systemClock.monotonicMs() < untilMs) multicast.send(question);
	}, askMs);
	const onAbort = (): void => wake();
	signal?.addEventListener('abort', onAbort);
	return {
		listenMs,
		strangers,
		heard,
		problem,
		isLocal: multicast.interfaces === 1,
		async next() {
			for (;;) {
				const taken =
					signal?.aborted || multicast.interfaces === 0 ? undefined : heard.take(systemClock.monotonicMs());
				if (!taken || 'id' in taken) return taken;
				await new Promise<void>(resolve => {
					const timer = setTimeout(resolve, taken.waitMs);
					wake = () => {
						clearTimeout(timer);
						resolve();
					};
				});
			}
		},
		async [Symbol.asyncDispose]() {
			clearInterval(asking);
			signal?.removeEventListener('abort', onAbort);
			await multicast[Symbol.asyncDispose]();
		},
	};
}
