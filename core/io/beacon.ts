/**
Discovery: small authenticated multicast datagrams that say which node of which cluster is here, and with which topics. A hint only: a
beacon never makes a member and is never answered. Each is taken once and never after a newer one of its sender.

Beacons go over v4 multicast, and over v6 as well where a node cannot be called over v4. Beacons of a cluster with another name or secret do not verify; they are counted and nothing else.
*/
import {createSocket, type RemoteInfo, type Socket} from 'node:dgram';
import {networkInterfaces, type NetworkInterfaceInfo} from 'node:os';
import {decode, encode} from '../codec.ts';
import type {Config} from '../config.ts';
import {errorMessage} from '../errors.ts';
import {isNodeId, type NodeId} from '../message.ts';
import {isMac, macOf, type Keys} from '../seal.ts';
import {isAdvertisable, isLinkLocal, isLoopback, parseAddress} from '../address.ts';
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
	readonly keys: Pick<Keys, 'beacon'>;
	readonly id: NodeId;
	readonly incarnation: number;
	readonly refusals: Counters;
	/** `address`: where others reach this node; it decides which interfaces are used. */
	readonly say: () => Pick<Beacon, 'clusterId' | 'address' | 'phase' | 'topics'>;
	readonly onBeacon: (beacon: Beacon) => void;
	/** One line for people. */
	readonly onProblem: (line: string) => void;
};
export type OpenBeacon = AsyncDisposable & {announce(): void};

/** One interface, as sockets of its family name it, and the group there. */
export type Path = {readonly type: 'udp4' | 'udp6'; readonly group: string; readonly at: string};
type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

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
	if (!isNodeId(id) || !isCount(incarnation) || !isCount(counter) || !isText(clusterId) || !isText(address) || !isAdvertisable(address) || (phase !== 'member' && phase !== 'seeking')) return 'malformed';
	if (!Array.isArray(topics) || !topics.every(topic => isText(topic))) return 'malformed';
	return {id, incarnation, counter, clusterId, address, phase, topics};
}

/** Never fails: a machine without multicast is told to `onProblem`, and goes on with `--bootstrap`. */
export async function openBeacon(options: BeaconOptions): Promise<OpenBeacon> {
	const {config: {group, port, intervalMs}, keys, id, incarnation, refusals, say, onBeacon, onProblem} = options;
	const newest = new Map<NodeId, {readonly incarnation: number; readonly counter: number}>();
	let inSecond = 0;
	let counter = 0;
	const advertised = parseAddress(say().address)?.host ?? '';
	const isLocal = isLoopback(advertised);
	const paths = pathsOf(advertised, group, networkInterfaces());
	const onDatagram = (datagram: Buffer, {address: source}: RemoteInfo): void => {
		// The system hands over what any process on this machine joined the group for.
		if (isLocal && !isLoopback(source)) return refusals.add('beacon-interface');
		if (++inSecond > perSecondMax) return refusals.add('beacon-rate');
		const beacon = decodeBeacon(datagram, keys);
		if (typeof beacon === 'string') return refusals.add(`beacon-${beacon}`);
		// Under a loopback address of another machine there is nobody, or somebody else.
		if (!isLoopback(source) && isLoopback(parseAddress(beacon.address)!.host)) return refusals.add('beacon-interface');
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

	const sockets: Array<{readonly socket: Socket; readonly to: string}> = [];
	/** The socket of a family that hears. */
	const ears = new Map<Path['type'], Socket>();
	for (const path of paths) {
		try {
			const ear = ears.get(path.type);
			// oxlint-disable-next-line no-await-in-loop -- few
			const socket = await openSocket(path, port, ear ? undefined : onDatagram);
			sockets.push({socket, to: path.group});
			if (ear) join(ear, path);
			else ears.set(path.type, socket);
		} catch (error) {
			if (sockets.length === 0) onProblem(`Discovery is off: multicast cannot be used on ${path.at} (${errorMessage(error)}); nodes join with --bootstrap`);
		}
	}

	if (!isLocal && sockets.length === 1) onProblem('Discovery reaches this machine only: no network interface takes multicast; nodes on other machines join with --bootstrap');
	const announce = (): void => {
		counter++;
		const datagram = encodeBeacon({id, incarnation, ...say()}, counter, keys);
		for (const {socket, to} of sockets) socket.send(datagram, port, to, () => undefined);
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
			await Promise.all(sockets.splice(0).map(({socket}) => new Promise<void>(resolve => {
				socket.close(() => resolve());
			})));
		},
	};
}

/** The interfaces to speak and hear on: loopback, and all others of a node that other machines reach. */
export function pathsOf(advertised: string, group: string, interfaces: Interfaces): readonly Path[] {
	const v4 = (at: string): Path => ({type: 'udp4', group, at});
	const loopback = v4('127.0.0.1');
	if (isLoopback(advertised)) return [loopback];
	const outer = Object.entries(interfaces).flatMap(([name, list = []]) => list.filter(({internal}) => !internal).map(one => ({...one, name})));
	const overV4 = outer.filter(({family}) => family === 'IPv4').map(({address}) => v4(address));
	// Who can only be called over v6 is heard by those who can call over v6: also by those without v4.
	const needsV6 = overV4.length === 0 || !/^[\d.]+$/.test(advertised);
	const zones = needsV6 ? [...new Set(outer.filter(({family, address}) => family === 'IPv6' && isLinkLocal(address)).map(({name, scopeid}) => process.platform === 'win32' ? String(scopeid) : name))] : [];
	return [loopback, ...overV4, ...zones.map(zone => ({type: 'udp6', group: groupOverV6(group), at: `::%${zone}`} as const))];
}

/** A group of v6 on the local link (RFC 4291, 2.7) that follows from the one of v4. */
function groupOverV6(group: string): string {
	const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
	return `ff12::${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

/** Hear the group on one more interface. */
export function join(ear: Socket, {group, at}: Path): void {
	try {
		ear.addMembership(group, at);
	} catch {
		// Joined already: two addresses of one interface.
	}
}

/** A socket that sends to the group over one interface, and with `onDatagram` hears it. @throws what the system says */
export function openSocket(path: Path, port: number, onDatagram: ((datagram: Buffer, info: RemoteInfo) => void) | undefined): Promise<Socket> {
	const {type, group, at} = path;
	const any = type === 'udp4' ? '0.0.0.0' : '::';
	return new Promise((resolve, reject) => {
		const socket = createSocket({type, reuseAddr: true, ipv6Only: type === 'udp6'});
		socket.once('error', reject);
		// One socket of each family hears the group on all interfaces; the others only send, each from its own. Bound to the group it hears
		// nothing else that comes to the port; Windows cannot bind to a group, and v6 only to that of one interface.
		const listenAt = type === 'udp6' || process.platform === 'win32' ? any : group;
		socket.bind(onDatagram ? port : 0, onDatagram ? listenAt : type === 'udp4' ? at : any, () => {
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
