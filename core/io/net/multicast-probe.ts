/**
Can this machine speak and hear multicast, and who is there? A datagram of its own goes out over each interface that a
node would use, and must come back. It is authenticated with a key of its own, derived from that of beacons: nodes count
it as one of another cluster, and nobody takes the prober for a node.
*/
import {createSecretKey, randomBytes} from 'node:crypto';
import type {Socket} from 'node:dgram';
import {networkInterfaces} from 'node:os';
import {isLoopback, parseAddress} from '../../address.ts';
import type {Config} from '../../config.ts';
import {errorMessage} from '../../errors.ts';
import {isMac, macOf, type Keys} from '../../wire/seal.ts';
import {decodeBeacon, type Beacon} from './beacon.ts';
import {join, openSocket, pathsOf, type Path} from './multicast.ts';

export type ProbeOptions = {
	readonly config: Pick<Config['discovery'], 'group' | 'port'>;
	readonly keys: Pick<Keys, 'beacon'>;
	/** Host under which others reach the node; it decides which interfaces are used. */
	readonly advertised: string;
	/** For how long others are listened for, milliseconds. */
	readonly listenMs: number;
};
export type Probed = {
	/** Each interface, and why nothing came back over it; `undefined` when it did. */
	readonly paths: ReadonlyArray<{readonly at: string; readonly problem: string | undefined}>;
	/** Nodes of the cluster that were heard, by the address that each tells. */
	readonly nodes: readonly Beacon[];
	/** Datagrams of other clusters, or with another secret. */
	readonly foreign: number;
};

const macBytes = 32;
const nonceBytes = 16;
/** Nodes that are remembered. */
const nodesMax = 1024;
/** A datagram may be lost: each interface sends so many, spread over the time. */
const sends = 3;

export async function probeMulticast({
	config: {group, port},
	keys,
	advertised,
	listenMs,
}: ProbeOptions): Promise<Probed> {
	const key = createSecretKey(macOf(keys.beacon, Buffer.from('dapss1 probe')));
	const isLocal = isLoopback(advertised);
	const sent = pathsOf(advertised, group, networkInterfaces()).map(path => ({
		path,
		nonce: randomBytes(nonceBytes),
		isHeard: false,
		problem: undefined as string | undefined,
	}));
	const nodes = new Map<string, Beacon>();
	let foreign = 0;
	const onDatagram = (datagram: Buffer, {address: source}: {readonly address: string}): void => {
		if (isLocal && !isLoopback(source)) return;
		const nonce = datagram.subarray(macBytes);
		if (nonce.length === nonceBytes && isMac(key, datagram.subarray(0, macBytes), nonce)) {
			for (const one of sent) one.isHeard ||= one.nonce.equals(nonce);
			return;
		}

		const beacon = decodeBeacon(datagram, keys);
		if (beacon === 'foreign') foreign++;
		// Under a loopback address of another machine there is nobody.
		if (typeof beacon === 'string' || (!isLoopback(source) && isLoopback(parseAddress(beacon.address)!.host)))
			return;
		if (nodes.size < nodesMax) nodes.set(`${beacon.id} ${beacon.address}`, beacon);
	};

	const sockets: Array<{readonly socket: Socket; readonly path: Path; readonly nonce: Buffer}> = [];
	const ears = new Map<Path['type'], Socket>();
	for (const one of sent) {
		const {path, nonce} = one;
		try {
			const ear = ears.get(path.type);
			const socket = await openSocket(path, port, ear ? undefined : onDatagram);
			sockets.push({socket, path, nonce});
			if (ear) join(ear, path);
			else ears.set(path.type, socket);
		} catch (error) {
			one.problem = errorMessage(error);
		}
	}

	const send = (): void => {
		for (const {socket, path, nonce} of sockets) {
			socket.send(Buffer.concat([macOf(key, nonce), nonce]), port, path.group, error => {
				if (error) sent.find(one => one.nonce === nonce)!.problem ??= errorMessage(error);
			});
		}
	};

	send();
	const timer = setInterval(send, listenMs / sends);
	await new Promise(resolve => {
		setTimeout(resolve, listenMs);
	});
	clearInterval(timer);
	await Promise.all(
		sockets.map(
			({socket}) =>
				new Promise<void>(resolve => {
					socket.close(() => resolve());
				}),
		),
	);
	return {
		paths: sent.map(({path, isHeard, problem}) => ({
			at: path.at,
			problem: isHeard ? undefined : (problem ?? 'what was sent did not come back'),
		})),
		nodes: [...nodes.values()].toSorted((a, b) => (a.address < b.address ? -1 : 1)),
		foreign,
	};
}
