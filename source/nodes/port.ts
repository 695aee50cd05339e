/**
Which port a node gets, and who has it already.
*/
import {createSocket} from 'node:dgram';
import {lookup} from 'node:dns/promises';
import {readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {createServer, isIP} from 'node:net';
import {isPortTaken} from '../../core/platform.ts';

export type Protocol = 'TCP' | 'UDP';

/** Ports that are tried behind the default one. */
const tries = 64;

/**
The protocol in which somebody has the port already; `undefined` when it is free in both, as a node needs it. What else
is wrong is for the node to refuse.
*/
export async function portConflict(host: string, port: number): Promise<Protocol | undefined> {
	for (const protocol of ['TCP', 'UDP'] as const) {
		if (isPortTaken({code: await listenProblem(host, port, protocol)})) return protocol;
	}

	return undefined;
}

/** The code of the error that keeps a node from listening there; `undefined` when nothing does. */
export async function listenProblem(host: string, port: number, protocol: Protocol): Promise<string | undefined> {
	const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message;
	if (protocol === 'TCP') {
		return new Promise(resolve => {
			const server = createServer();
			server.once('error', error => resolve(codeOf(error)));
			server.listen({host, port, exclusive: true}, () => server.close(() => resolve(undefined)));
		});
	}

	const address =
		isIP(host) === 0
			? await lookup(host).catch((error: unknown) => ({
					address: '',
					code: codeOf(error as NodeJS.ErrnoException),
				}))
			: {address: host};
	if ('code' in address) return address.code;
	return new Promise(resolve => {
		const socket = createSocket(isIP(address.address) === 6 ? 'udp6' : 'udp4');
		socket.once('error', error => {
			socket.close();
			resolve(codeOf(error));
		});
		socket.bind({port, address: address.address, exclusive: true}, () => socket.close(() => resolve(undefined)));
	});
}

/** The first free port from `from` on; `undefined` when there is none near. */
export async function nextFreePort(host: string, from: number): Promise<number | undefined> {
	for (let port = from; port < Math.min(from + tries, 65_536); port++) {
		if ((await portConflict(host, port)) === undefined) return port;
	}

	return undefined;
}

/**
The process that has a port of an address, in this protocol, for people: `node (pid 4711)`. Another may have the port in
the other protocol, or on another address. Linux, and own processes, only; `undefined` when unknown.
*/
export function portHolder(host: string, port: number, protocol: Protocol): string | undefined {
	try {
		const inodes = new Set(
			(protocol === 'TCP' ? ['tcp', 'tcp6'] : ['udp', 'udp6']).flatMap(table =>
				owners(`/proc/net/${table}`, host, port, protocol === 'TCP'),
			),
		);
		if (inodes.size === 0) return undefined;
		for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
			if (holds(pid, inodes)) return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (pid ${pid})`;
		}
	} catch {
		// Without /proc nothing is known.
	}

	return undefined;
}

function owners(table: string, host: string, port: number, mustListen: boolean): string[] {
	let text: string;
	try {
		text = readFileSync(table, 'utf8');
	} catch {
		return []; // No IPv6, say.
	}

	const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
	return text
		.split('\n')
		.slice(1)
		.map(row => row.trim().split(/\s+/))
		.filter(
			row =>
				row[1]?.endsWith(suffix) &&
				isInTheWay(row[1].slice(0, -suffix.length), host) &&
				(!mustListen || row[3] === '0A'),
		)
		.map(row => row[9]!);
}

/**
Whether a socket on the address, as `/proc/net` spells it, keeps others from the port on the host. What is not IPv4 is
not told apart.
*/
function isInTheWay(address: string, host: string): boolean {
	if (isIP(host) !== 4 || host === '0.0.0.0' || /^0+$/.test(address)) return true;
	const digits = host
		.split('.')
		.toReversed()
		.map(part => Number(part).toString(16).toUpperCase().padStart(2, '0'))
		.join('');
	return address.endsWith(digits);
}

function holds(pid: string, inodes: ReadonlySet<string>): boolean {
	try {
		const folder = `/proc/${pid}/fd`;
		return readdirSync(folder).some(fd => {
			const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`));
			return match !== null && inodes.has(match[1]!);
		});
	} catch {
		return false; // Somebody else's process, or one that has just ended.
	}
}
