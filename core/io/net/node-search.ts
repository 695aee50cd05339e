/**
Searches for a node of the cluster on the local network, for a program that is no node. It asks the nodes for their
beacons repeatedly, and listens. Beacons that do not prove the cluster's secret are ignored. The others are hints that
may be out of date: the handshake proves which node runs at an address.

The search listens a little longer than the interval between two beacons, because nodes of an earlier version do not
answer questions. Nodes of this version answer at once.
*/
import type {RemoteInfo} from 'node:dgram';
import {networkInterfaces} from 'node:os';
import {isLoopback, parseAddress} from '../../address.ts';
import type {Config} from '../../config.ts';
import type {Keys} from '../../wire/seal.ts';
import {systemClock, systemEntropy} from '../clock.ts';
import {encodeSearch, isSearch} from './beacon-search.ts';
import {decodeBeacon} from './beacon.ts';
import {OwnChallenges} from './challenges.ts';
import {HeardNodes, type HeardNode} from './heard-nodes.ts';
import {openMulticast, pathsOf} from './multicast.ts';

export type NodeSearchOptions = {
	readonly config: Pick<Config['discovery'], 'group' | 'port' | 'intervalMs'>;
	readonly keys: Pick<Keys, 'beacon' | 'beaconSearch'>;
	/** A node that subscribes to these topics is preferred. */
	readonly topics: readonly string[];
	/** The longest time to listen, in milliseconds. */
	readonly timeoutMs: number;
	/** Ends the search: no further node is found. */
	readonly signal?: AbortSignal | undefined;
};

export type NodeSearch = AsyncDisposable & {
	/** How long the search listens, in milliseconds. */
	readonly listenMs: number;
	/** Why this machine cannot search, as a line for the user. */
	readonly problem: string | undefined;
	/** Only the loopback interface supports multicast here, so no other machine can be heard. */
	readonly isLocal: boolean;
	/** Addresses of senders with another secret or of another cluster, the first few. */
	readonly foreignSources: ReadonlySet<string>;
	readonly heard: Pick<HeardNodes, 'size' | 'clusterIds'>;
	/** The next best node; `undefined` when the search has ended and all nodes have been returned. */
	next(): Promise<HeardNode | undefined>;
};

const askMs = 250;
/** Nodes with longer intervals must answer the question. */
const intervalMaxMs = 2000;
/** Allows for beacons that are late on a busy machine. */
const graceMs = 500;
const foreignSourcesMax = 4;

/** How long a search listens for beacons with this interval, in milliseconds. */
export function listenMsOf(intervalMs: number): number {
	return Math.min(intervalMs, intervalMaxMs) + graceMs;
}

/** Never fails: on a machine without multicast it finds nothing, and `problem` gives the reason. */
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
	const foreignSources = new Set<string>();
	const challenges = new OwnChallenges(systemClock, systemEntropy);
	let wake = (): void => undefined;
	let problem: string | undefined;
	const onDatagram = (datagram: Buffer, {address: source}: RemoteInfo): void => {
		if (isSearch(datagram)) return;
		const beacon = decodeBeacon(datagram, keys);
		if (beacon === 'foreign' && foreignSources.size < foreignSourcesMax) foreignSources.add(source);
		if (typeof beacon === 'string') return;
		// A loopback address of another machine is useless here, or refers to another node.
		if (!isLoopback(source) && isLoopback(parseAddress(beacon.address)!.host)) return;
		heard.hear(beacon, challenges.isMetBy(beacon.answers), systemClock.monotonicMs());
		wake();
	};

	const multicast = await openMulticast({
		// All interfaces of both families: any of them may lead to a node.
		paths: pathsOf('', group, networkInterfaces()),
		port,
		onDatagram,
		onProblem(line) {
			problem = line;
		},
	});
	if (multicast.interfaces > 0) problem = undefined;
	const ask = (): void => multicast.send(encodeSearch(topics, keys, challenges.current()));
	ask();
	const asking = setInterval(() => {
		if (systemClock.monotonicMs() < untilMs) ask();
	}, askMs);
	const onAbort = (): void => wake();
	signal?.addEventListener('abort', onAbort);
	return {
		listenMs,
		foreignSources,
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
