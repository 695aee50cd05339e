/**
Multicast on the interfaces of this machine: one group, heard and spoken to on all of them. Over v4, and over v6 as well
where a node cannot be called over v4.
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
	/** No interface can be used so far: this one cannot, and why. */
	readonly onProblem: (line: string) => void;
};
export type Multicast = AsyncDisposable & {
	/** On how many interfaces it speaks. */
	readonly interfaces: number;
	send(datagram: Uint8Array): void;
};

/** One interface, as sockets of its family name it, and the group there. */
export type Path = {readonly type: 'udp4' | 'udp6'; readonly group: string; readonly at: string};
type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** Never fails: an interface that takes no multicast is left out. */
export async function openMulticast({paths, port, onDatagram, onProblem}: MulticastOptions): Promise<Multicast> {
	const sockets: Array<{readonly socket: Socket; readonly to: string}> = [];
	/** The socket of a family that hears. */
	const ears = new Map<Path['type'], Socket>();
	for (const path of paths) {
		try {
			const ear = ears.get(path.type);
			const socket = await openSocket(path, port, ear ? undefined : onDatagram);
			sockets.push({socket, to: path.group});
			if (ear) join(ear, path);
			else ears.set(path.type, socket);
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

/** The interfaces to speak and hear on: loopback, and all others of a node that other machines reach. */
export function pathsOf(advertised: string, group: string, interfaces: Interfaces): readonly Path[] {
	const v4 = (at: string): Path => ({type: 'udp4', group, at});
	const loopback = v4('127.0.0.1');
	if (isLoopback(advertised)) return [loopback];
	const outer = Object.entries(interfaces).flatMap(([name, list = []]) =>
		list.filter(({internal}) => !internal).map(one => ({...one, name})),
	);
	const overV4 = outer.filter(({family}) => family === 'IPv4').map(({address}) => v4(address));
	// Who can only be called over v6 is heard by those who can call over v6: also by those without v4.
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
		// One socket of each family hears the group on all interfaces; the others only send, each from its own. Bound
		// to the group it hears nothing else that comes to the port; Windows cannot bind to a group, and v6 only to
		// that of one interface.
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
