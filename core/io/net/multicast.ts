/**
Multicast on the interfaces of this machine: sends to one group on all of them, and receives from it. Uses IPv4, and
also IPv6 for a node that cannot be reached over IPv4.
*/
import {createSocket, type RemoteInfo, type Socket} from 'node:dgram';
import type {NetworkInterfaceInfo} from 'node:os';
import {isLinkLocal, isLoopback} from '../../address.ts';
import {errorMessage} from '../../errors.ts';
import {bindsToGroups, zoneOf} from '../../platform.ts';

export type MulticastOptions = {
	readonly paths: readonly Path[];
	readonly port: number;
	readonly onDatagram: (datagram: Buffer, from: RemoteInfo) => void;
	/** Called while no interface works: the reason for this one. */
	readonly onProblem: (line: string) => void;
};
export type Multicast = AsyncDisposable & {
	/** The number of interfaces in use. */
	readonly interfaces: number;
	send(datagram: Uint8Array): void;
};

/** One interface, in the notation of its socket family, and the group to use on it. */
export type Path = {readonly type: 'udp4' | 'udp6'; readonly group: string; readonly at: string};
type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** Never fails: an interface without multicast is left out. */
export async function openMulticast({paths, port, onDatagram, onProblem}: MulticastOptions): Promise<Multicast> {
	const sockets: Array<{readonly socket: Socket; readonly to: string}> = [];
	/** The receiving socket of each family. */
	const receivers = new Map<Path['type'], Socket>();
	for (const path of paths) {
		try {
			const receiver = receivers.get(path.type);
			const socket = await openSocket(path, port, receiver ? undefined : onDatagram);
			sockets.push({socket, to: path.group});
			if (receiver) join(receiver, path);
			else receivers.set(path.type, socket);
		} catch (error) {
			if (sockets.length === 0) onProblem(`multicast cannot be used on ${path.at} (${errorMessage(error)})`);
		}
	}

	return {
		interfaces: sockets.length,
		send(datagram) {
			for (const {socket, to} of sockets) socket.send(datagram, port, to, () => undefined);
		},
		async [Symbol.asyncDispose]() {
			await Promise.all(
				sockets.splice(0).map(
					({socket}) =>
						new Promise<void>(resolve => {
							socket.close(() => resolve());
						}),
				),
			);
		},
	};
}

/** The interfaces to use: loopback, and all others for a node that other machines can reach. */
export function pathsOf(advertised: string, group: string, interfaces: Interfaces): readonly Path[] {
	const v4 = (at: string): Path => ({type: 'udp4', group, at});
	const loopback = v4('127.0.0.1');
	if (isLoopback(advertised)) return [loopback];
	const outer = Object.entries(interfaces).flatMap(([name, list = []]) =>
		list.filter(({internal}) => !internal).map(one => ({...one, name})),
	);
	const overV4 = outer.filter(({family}) => family === 'IPv4').map(({address}) => v4(address));
	// A node that can only be reached over IPv6 must be heard by all nodes that have IPv6, also those without IPv4.
	const needsV6 = overV4.length === 0 || !/^[\d.]+$/.test(advertised);
	const zones = needsV6
		? [
				...new Set(
					outer
						.filter(({family, address}) => family === 'IPv6' && isLinkLocal(address))
						.map(({name, scopeid = 0}) => zoneOf({name, scopeid})),
				),
			]
		: [];
	return [
		loopback,
		...overV4,
		...zones.map(zone => ({type: 'udp6', group: groupOverV6(group), at: `::%${zone}`}) as const),
	];
}

/** The link-local IPv6 group (RFC 4291, 2.7) that is derived from the IPv4 group. */
function groupOverV6(group: string): string {
	const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
	return `ff12::${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

/** Joins the group on one more interface. */
export function join(receiver: Socket, {group, at}: Path): void {
	try {
		receiver.addMembership(group, at);
	} catch {
		// Already joined: two addresses of one interface.
	}
}

/**
A socket that sends to the group over one interface and, with `onDatagram`, receives from it.
@throws the error of the system
*/
export function openSocket(
	path: Path,
	port: number,
	onDatagram: ((datagram: Buffer, info: RemoteInfo) => void) | undefined,
): Promise<Socket> {
	const {type, group, at} = path;
	const any = type === 'udp4' ? '0.0.0.0' : '::';
	return new Promise((resolve, reject) => {
		const socket = createSocket({type, reuseAddr: true, ipv6Only: type === 'udp6'});
		socket.once('error', reject);
		// One socket of each family receives on all interfaces; the others only send, each on its own interface. A
		// socket bound to the group receives nothing else that arrives at the port. Windows cannot bind to a group, and
		// IPv6 only to that of one interface.
		const listenAt = type === 'udp6' || !bindsToGroups() ? any : group;
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
