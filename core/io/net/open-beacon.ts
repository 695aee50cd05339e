/**
Sends the beacons of a node, and receives those of others (`beacon.ts`, `beacon-receiver.ts`).
*/
import {networkInterfaces} from 'node:os';
import {isLoopback, parseAddress} from '../../address.ts';
import type {Config} from '../../config.ts';
import type {NodeId} from '../../message.ts';
import type {KeySet} from '../../wire/key-ring.ts';
import type {Keys} from '../../wire/seal.ts';
import {systemClock, systemEntropy} from '../clock.ts';
import {BeaconReceiver, type Freshness} from './beacon-receiver.ts';
import {Answers, searchedFirst} from './beacon-search.ts';
import {encodeBeacon, type Beacon} from './beacon.ts';
import {ForeignChallenges, OwnChallenges} from './challenges.ts';
import type {Counters} from './counters.ts';
import {openMulticast, pathsOf, type Multicast} from './multicast.ts';

export type BeaconOptions = {
	readonly config: Config['discovery'];
	readonly keys: KeySet<Pick<Keys, 'beacon' | 'beaconSearch'>>;
	readonly id: NodeId;
	readonly incarnation: number;
	readonly refusals: Counters;
	/** `address` is the advertised address of this node; it determines the interfaces that are used. */
	readonly content: () => Pick<Beacon, 'clusterId' | 'address' | 'phase' | 'topics' | 'name'>;
	readonly onBeacon: (beacon: Beacon, freshness: Freshness) => void;
	/** Reports a problem as one line. */
	readonly onProblem: (line: string) => void;
};
export type OpenBeacon = AsyncDisposable & {announce(): void};

/** Never fails: without multicast it reports that to `onProblem`, and nodes must join with `--bootstrap`. */
export async function openBeacon(options: BeaconOptions): Promise<OpenBeacon> {
	const {
		config: {group, port, intervalMs},
		keys,
		id,
		incarnation,
		refusals,
		content,
		onBeacon,
		onProblem,
	} = options;
	const advertised = parseAddress(content().address)?.host ?? '';
	const own = new OwnChallenges(systemClock, systemEntropy);
	const others = new ForeignChallenges(systemEntropy);
	let multicast = undefined as Multicast | undefined;
	let counter = 0;
	const announce = (searched: ReadonlySet<string> = new Set()): void => {
		if (!multicast) return; // A datagram arrived while the sockets open; the first beacon follows.
		const current = content();
		const challenge = receiver.isAsking ? own.current() : undefined;
		const given = others.take();
		// During a rotation one for each key: a node or a command with either of them finds the cluster.
		for (const key of keys.valid) {
			const topics = searchedFirst(current.topics, searched, key);
			const mark = {counter: ++counter, challenge, answers: given};
			multicast.send(encodeBeacon({id, incarnation, ...current, topics}, mark, key));
		}

		// One beacon answers some of many challenges.
		if (!others.isEmpty) answers.onSearch([]);
	};

	const answers = new Answers(systemClock, announce);
	const receiver = new BeaconReceiver({
		keys,
		id,
		isLocal: isLoopback(advertised),
		clock: systemClock,
		own,
		others,
		refusals,
		content,
		onBeacon,
		onSearch: hashes => answers.onSearch(hashes),
	});
	multicast = await openMulticast({
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
	announce();
	const announcing = systemClock.every(intervalMs, () => announce());
	return {
		announce: () => announce(),
		async [Symbol.asyncDispose]() {
			announcing[Symbol.dispose]();
			answers[Symbol.dispose]();
			await multicast[Symbol.asyncDispose]();
		},
	};
}
