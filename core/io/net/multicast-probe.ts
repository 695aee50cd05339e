/**
Tests whether this machine can send and receive multicast, and lists the nodes that it hears. A test datagram is sent
over each interface that a node would use, and must come back. Its key is derived from the beacon key, so nodes count it
as a datagram of another cluster and never mistake the prober for a node. A question with a challenge goes along: a node
that could answer it and does not is not listed, because its beacon may be a replay.
*/
import {createSecretKey, randomBytes} from 'node:crypto';
import type {Socket} from 'node:dgram';
import {networkInterfaces} from 'node:os';
import {isLoopback, parseAddress} from '../../address.ts';
import type {Config} from '../../config.ts';
import {errorMessage} from '../../errors.ts';
import {isMac, macOf, type Keys} from '../../wire/seal.ts';
import {systemClock, systemEntropy} from '../clock.ts';
import {encodeSearch, isSearch} from './beacon-search.ts';
import {decodeBeacon, type Beacon} from './beacon.ts';
import {OwnChallenges} from './challenges.ts';
import {join, openSocket, pathsOf, type Path} from './multicast.ts';

export type ProbeOptions = {
	readonly config: Pick<Config['discovery'], 'group' | 'port'>;
	readonly keys: Pick<Keys, 'beacon' | 'beaconSearch'>;
	/** The advertised host of the node; it determines the interfaces that are used. */
	readonly advertised: string;
	/** How long to listen for others, in milliseconds. */
	readonly listenMs: number;
};
export type Probed = {
	/** Each interface, with the reason why its datagram did not come back; `undefined` when it did. */
	readonly paths: ReadonlyArray<{readonly at: string; readonly problem: string | undefined}>;
	/** Nodes of the cluster that were heard, by their advertised addresses. */
	readonly nodes: readonly Beacon[];
	/** The number of datagrams of other clusters, or with another secret. */
	readonly foreign: number;
};

const macBytes = 32;
const nonceBytes = 16;
/** Bound on the nodes that are remembered. */
const nodesMax = 1024;
/** Datagrams may be lost: each interface sends this many, spread over the time. */
const sends = 3;

type Test = {readonly path: Path; readonly nonce: Buffer; isHeard: boolean; problem: string | undefined};

/** Sends and listens for `listenMs`. Never fails: problems are part of the result. */
export async function probeMulticast(options: ProbeOptions): Promise<Probed> {
	const {
		config: {group, port},
		keys,
		advertised,
		listenMs,
	} = options;
	const key = createSecretKey(macOf(keys.beacon, Buffer.from('dapss1 probe')));
	const tests = pathsOf(advertised, group, networkInterfaces()).map((path): Test => ({
		path,
		nonce: randomBytes(nonceBytes),
		isHeard: false,
		problem: undefined,
	}));
	const nodes = new Map<string, Beacon>();
	const challenges = new OwnChallenges(systemClock, systemEntropy);
	let foreign = 0;
	const onBeacon = (beacon: ReturnType<typeof decodeBeacon>, source: string): void => {
		if (beacon === 'foreign') foreign++;
		if (typeof beacon === 'object' && beacon.canProve && !challenges.isMetBy(beacon.answers)) return;
		// A loopback address of another machine is useless here.
		if (typeof beacon === 'string' || (!isLoopback(source) && isLoopback(parseAddress(beacon.address)!.host)))
			return;
		if (nodes.size < nodesMax) nodes.set(`${beacon.id} ${beacon.address}`, beacon);
	};

	const sockets = await openSockets(tests, port, (datagram, source) => {
		if (isLoopback(advertised) && !isLoopback(source)) return;
		const nonce = datagram.subarray(macBytes);
		if (nonce.length === nonceBytes && isMac(key, datagram.subarray(0, macBytes), nonce))
			for (const test of tests) test.isHeard ||= test.nonce.equals(nonce);
		else if (!isSearch(datagram)) onBeacon(decodeBeacon(datagram, keys), source);
	});
	const send = (): void => {
		const question = encodeSearch([], keys, challenges.draw());
		for (const [test, socket] of sockets) {
			const datagram = Buffer.concat([macOf(key, test.nonce), test.nonce]);
			socket.send(datagram, port, test.path.group, error => {
				if (error) test.problem ??= errorMessage(error);
			});
			socket.send(question, port, test.path.group, () => undefined);
		}
	};

	send();
	const timer = setInterval(send, listenMs / sends);
	await new Promise(resolve => {
		setTimeout(resolve, listenMs);
	});
	clearInterval(timer);
	await Promise.all([...sockets.values()].map(socket => closed(socket)));
	return {
		paths: tests.map(({path, isHeard, problem}) => ({
			at: path.at,
			problem: isHeard ? undefined : (problem ?? 'what was sent did not come back'),
		})),
		nodes: [...nodes.values()].toSorted((a, b) => (a.address < b.address ? -1 : 1)),
		foreign,
	};
}

/** A socket for each interface that supports multicast; the others get a `problem`. One of each family receives. */
async function openSockets(
	tests: readonly Test[],
	port: number,
	onDatagram: (datagram: Buffer, source: string) => void,
): Promise<ReadonlyMap<Test, Socket>> {
	const sockets = new Map<Test, Socket>();
	const receivers = new Map<Path['type'], Socket>();
	for (const test of tests) {
		const {path} = test;
		try {
			const receiver = receivers.get(path.type);
			const socket = await openSocket(
				path,
				port,
				receiver ? undefined : (datagram, {address}) => onDatagram(datagram, address),
			);
			sockets.set(test, socket);
			if (receiver) join(receiver, path);
			else receivers.set(path.type, socket);
		} catch (error) {
			test.problem = errorMessage(error);
		}
	}

	return sockets;
}

function closed(socket: Socket): Promise<void> {
	return new Promise(resolve => {
		socket.close(() => resolve());
	});
}
