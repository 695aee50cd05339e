/**
Discovery: small authenticated multicast datagrams that say which node of which cluster is here, and with which topics. A hint only: a
beacon never makes a member and is never answered. Each is taken once and never after a newer one of its sender.

Beacons of a cluster with another name or secret do not verify; they are counted and nothing else.
*/
import {createSocket, type RemoteInfo, type Socket} from 'node:dgram';
import {networkInterfaces} from 'node:os';
import {decode, encode} from '../codec.ts';
import type {Config} from '../config.ts';
import {errorMessage} from '../errors.ts';
import {isNodeId, type NodeId} from '../message.ts';
import {isMac, macOf, type Keys} from '../seal.ts';
import {isLoopback, parseAddress} from '../address.ts';
import type {Counters} from './counters.ts';

export type Beacon = {
	readonly id: NodeId;
	readonly incarnation: number;
	readonly clusterId: string;
	readonly address: string;
	readonly phase: 'member' | 'seeking';
	/** As many as fit. */
	readonly topics: readonly string[];
};
export type BeaconOptions = {
	readonly config: Config['discovery'];
	readonly host: string;
	readonly keys: Pick<Keys, 'beacon'>;
	readonly id: NodeId;
	readonly incarnation: number;
	readonly refusals: Counters;
	readonly say: () => Pick<Beacon, 'clusterId' | 'address' | 'phase' | 'topics'>;
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
	const {id, incarnation, clusterId, address, phase} = beacon;
	let {topics} = beacon;
	for (;;) {
		const body = Buffer.concat([Buffer.of(version), encode([id, incarnation, counter, clusterId, address, phase, topics])]);
		if (body.length + macBytes <= beaconBytesMax || topics.length === 0) return Buffer.concat([macOf(keys.beacon, body), body]);
		topics = topics.slice(0, Math.floor(topics.length / 2));
	}
}

export function decodeBeacon(datagram: Buffer, keys: Pick<Keys, 'beacon'>): (Beacon & {readonly counter: number}) | 'malformed' | 'foreign' {
	if (datagram.length <= macBytes + 1 || datagram.length > beaconBytesMax) return 'malformed';
	const body = datagram.subarray(macBytes);
	if (!isMac(keys.beacon, datagram.subarray(0, macBytes), body)) return 'foreign';
	const value = body[0] === version ? decode(body.subarray(1)) : undefined;
	if (!Array.isArray(value)) return 'malformed';
	const [id, incarnation, counter, clusterId, address, phase, topics] = value as readonly unknown[];
	const isText = (text: unknown): text is string => typeof text === 'string' && text.length <= 261;
	if (!isNodeId(id) || !isCount(incarnation) || !isCount(counter) || !isText(clusterId) || !isText(address) || parseAddress(address) === undefined || (phase !== 'member' && phase !== 'seeking')) return 'malformed';
	if (!Array.isArray(topics) || !topics.every(topic => isText(topic))) return 'malformed';
	return {id, incarnation, counter, clusterId, address, phase, topics};
}

/** Never fails: a machine without multicast is told to `onProblem`, and goes on with `--bootstrap`. */
export async function openBeacon(options: BeaconOptions): Promise<OpenBeacon> {
	const {config: {group, port, intervalMs}, host, keys, id, incarnation, refusals, say, onBeacon, onProblem} = options;
	const newest = new Map<NodeId, {readonly incarnation: number; readonly counter: number}>();
	let inSecond = 0;
	let counter = 0;
	const isLocal = isLoopback(host);
	const onDatagram = (datagram: Buffer, {address: source}: RemoteInfo): void => {
		// The system hands over what any process on this machine joined the group for.
		if (isLocal && !isLoopback(source)) return refusals.add('beacon-interface');
		if (++inSecond > perSecondMax) return refusals.add('beacon-rate');
		const beacon = decodeBeacon(datagram, keys);
		if (typeof beacon === 'string') return refusals.add(`beacon-${beacon}`);
		if (beacon.id === id) {
			// Our own come back to us by the loop of the group. One with another address is of another process.
			if (beacon.address !== say().address) onBeacon(beacon);
			return;
		}

		const last = newest.get(beacon.id);
		if (last && (beacon.incarnation < last.incarnation || (beacon.incarnation === last.incarnation && beacon.counter <= last.counter))) return;
		if (!last && newest.size >= sendersMax) newest.delete(newest.keys().next().value!);
		newest.set(beacon.id, {incarnation: beacon.incarnation, counter: beacon.counter});
		onBeacon(beacon);
	};

	const interfaces = isLocal ? ['127.0.0.1'] : ['127.0.0.1', ...Object.values(networkInterfaces()).flatMap(list => list ?? []).filter(({family, internal}) => family === 'IPv4' && !internal).map(({address}) => address)];
	const sockets: Socket[] = [];
	for (const at of interfaces) {
		try {
			// oxlint-disable-next-line no-await-in-loop -- few
			sockets.push(await openSocket(group, port, at, sockets.length === 0 ? onDatagram : undefined));
		} catch (error) {
			if (sockets.length === 0) onProblem(`Discovery is off: multicast cannot be used on ${at} (${errorMessage(error)}); nodes join with --bootstrap`);
		}
	}

	for (const at of interfaces.slice(1)) {
		try {
			sockets[0]?.addMembership(group, at);
		} catch {
			// Joined already: two addresses of one interface.
		}
	}

	const announce = (): void => {
		counter++;
		const datagram = encodeBeacon({id, incarnation, ...say()}, counter, keys);
		for (const socket of sockets) socket.send(datagram, port, group, () => undefined);
	};

	announce();
	const timer = setInterval(announce, intervalMs).unref();
	const second = setInterval(() => {
		inSecond = 0;
	}, 1000).unref();
	return {
		announce,
		async [Symbol.asyncDispose]() {
			clearInterval(timer);
			clearInterval(second);
			await Promise.all(sockets.splice(0).map(socket => new Promise<void>(resolve => {
				socket.close(() => resolve());
			})));
		},
	};
}

function openSocket(group: string, port: number, at: string, onDatagram: ((datagram: Buffer, info: RemoteInfo) => void) | undefined): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const socket = createSocket({type: 'udp4', reuseAddr: true});
		socket.once('error', reject);
		// One socket hears the group on all interfaces; the others only send, each from its own. Bound to the group it hears nothing else
		// that comes to the port; Windows cannot bind to a group.
		const listenAt = process.platform === 'win32' ? '0.0.0.0' : group;
		socket.bind(onDatagram ? port : 0, onDatagram ? listenAt : at, () => {
			try {
				if (onDatagram) {
					socket.addMembership(group, at);
					socket.on('message', onDatagram);
				}

				socket.setMulticastInterface(at);
				socket.setMulticastLoopback(true);
				socket.setMulticastTTL(1);
				socket.removeAllListeners('error');
				socket.on('error', () => undefined);
				resolve(socket);
			} catch (error) {
				socket.close();
				reject(error instanceof Error ? error : new Error(String(error)));
			}
		});
	});
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
