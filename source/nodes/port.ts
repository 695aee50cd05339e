/**
The port of a node: is it free, which process uses it, which is the next free one?
*/
import {createSocket} from 'node:dgram';
import {lookup} from 'node:dns/promises';
import {readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {createServer, isIP} from 'node:net';
import {isPortTaken} from '../../core/platform.ts';

export type Protocol = 'TCP' | 'UDP';

/** Ports that are tried after the default one. */
const tries = 64;

/**
The protocol in which the port is in use; `undefined` when it is free in both, as a node needs it. The node itself
reports other errors.
*/
export async function portConflict(host: string, port: number): Promise<Protocol | undefined> {
	for (const protocol of ['TCP', 'UDP'] as const) {
		if (isPortTaken({code: await listenProblem(host, port, protocol)})) return protocol;
	}

	return undefined;
}

/** The code of the error when a node listens there; `undefined` when it succeeds. */
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

/** The first free port from `from` on; `undefined` when none of the next ones is free. */
export async function nextFreePort(host: string, from: number): Promise<number | undefined> {
	for (let port = from; port < Math.min(from + tries, 65_536); port++) {
		if ((await portConflict(host, port)) === undefined) return port;
	}

	return undefined;
}

/**
The process that uses a port of an address, for people: `node (pid 4711)`. The protocol and the address matter: other
processes may use the same port with others. Only on Linux and for processes of this user; otherwise `undefined`.
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
		// No /proc: not Linux.
	}

	return undefined;
}

function owners(table: string, host: string, port: number, mustListen: boolean): string[] {
	let text: string;
	try {
		text = readFileSync(table, 'utf8');
	} catch {
		return []; // For example without IPv6.
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
Does a socket on the address, as `/proc/net` writes it, occupy the port on the host? All IPv6 addresses count as one.
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
		return false; // A process of another user, or one that has just ended.
	}
}
