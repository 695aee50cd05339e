/**
`host:port` as people and members write it: the one parser of it. Members compare addresses as texts, so each address
has one canonical text: names in lower case, v4 without leading zeros, v6 compressed (RFC 5952) and in brackets, v4
within v6 as v4. A bare port means this machine.

A zone (`fe80::1%eth0`) names an interface of one machine: a link-local address cannot be used without one, and no other
address has one.
*/
import {DapssError} from './errors.ts';

export type HostPort = {readonly host: string; readonly port: number};

const octet = /^(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])$/;
const label = /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/;
const nameMax = 253;

/**
A v4 address, a v6 address or a host name in its canonical form, v6 without brackets; `undefined` for anything else.
*/
export function parseHost(text: string): string | undefined {
	if (text.includes(':')) return parseV6(text);
	const name = text.toLowerCase();
	const labels = (name.endsWith('.') ? name.slice(0, -1) : name).split('.');
	if (labels.length === 4 && labels.every(part => octet.test(part)))
		return labels.join('.') === name ? name : undefined;
	// What ends in a number is read as v4 in many ways (10.1, 0x7f.1, 010.0.0.1): only the usual one is taken.
	if (/^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1)!)) return undefined;
	return name.length <= nameMax && labels.every(part => label.test(part)) ? name : undefined;
}

/**
The parts of `5000`, `host:5000`, `10.0.0.1:5000` or `[::1]:5000`, the host canonical; `undefined` for anything else.
*/
export function parseAddress(text: string): HostPort | undefined {
	const match = /^(?:(?:\[(?<v6>[^\]]*:[^\]]*)\]|(?<host>[^:]*)):)?(?<port>\d{1,5})$/.exec(text);
	if (!match?.groups) return undefined;
	const port = Number(match.groups['port']);
	const host = parseHost(match.groups['v6'] ?? match.groups['host'] ?? '127.0.0.1');
	return host === undefined || port < 1 || port > 65_535 ? undefined : {host, port};
}

/**
A host with or without a port, as an advertised address is written: `host`, `host:port`, `[v6]`, `[v6]:port`, or `v6`
alone.
*/
export function parseHostAndMaybePort(
	text: string,
): {readonly host: string; readonly port: number | undefined} | undefined {
	const host = parseHost(/^\[(?<v6>[^\]]*:[^\]]*)\]$/.exec(text)?.groups?.['v6'] ?? text);
	if (host !== undefined) return {host, port: undefined};
	return text.includes(':') ? parseAddress(text) : undefined;
}

/**
The address in the one form that members compare: `host:port`, a v6 host in brackets. `undefined` when it is none.
*/
export function canonicalAddress(text: string): string | undefined {
	const parsed = parseAddress(text);
	return parsed && formatAddress(parsed.host, parsed.port);
}

/** @throws `usage` */
export function expectAddress(text: string): HostPort {
	const parsed = parseAddress(text);
	if (!parsed) throw new DapssError('usage', `Expected an address like 127.0.0.1:5000, got ${JSON.stringify(text)}`);
	return parsed;
}

export function formatAddress(host: string, port: number): string {
	return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The plain form of an address that a socket reports: v4 in v6 is v4. */
export function plainHost(address: string | undefined): string {
	return (address ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
}

/** Only this machine reaches it. A wildcard is not loopback: it listens everywhere. */
export function isLoopback(host: string): boolean {
	const canonical = parseHost(host);
	return canonical !== undefined && (canonical === 'localhost' || canonical === '::1' || isV4In(canonical, 127, 127));
}

/** Listens on every address of the machine. */
export function isWildcard(host: string): boolean {
	const canonical = parseHost(host);
	return canonical === '0.0.0.0' || canonical === '::';
}

export function isLinkLocal(host: string): boolean {
	return /^fe[89ab][\da-f]:/.test(host);
}

/** Why nothing can be reached under a canonical host; `undefined` when nothing speaks against it. */
export function unreachableReason(host: string): string | undefined {
	if (isWildcard(host)) return 'it is a wildcard, which says where to listen and not where to call';
	if (host === '255.255.255.255') return 'it is the broadcast address';
	if (isV4In(host, 224, 239) || /^ff[\da-f]{2}:/.test(host))
		return 'it is a multicast address, which no single node has';
	return undefined;
}

/** Why other machines cannot reach this one under a canonical host. */
export function unadvertisableReason(host: string): string | undefined {
	return (
		unreachableReason(host) ??
		(isLinkLocal(host)
			? 'it is a link-local address, which each machine reaches by an interface name of its own'
			: undefined)
	);
}

/** An address that may be agreed among members: one that parses, and that others can call. */
export function isAdvertisable(address: string): boolean {
	const parsed = parseAddress(address);
	return parsed !== undefined && unadvertisableReason(parsed.host) === undefined;
}

/**
Why a node that tells this address cannot join these members: loopback means another machine to each of them, so either
all are told a loopback address (a cluster on one machine) or none.
*/
export function joinProblem(address: string, members: readonly string[]): string | undefined {
	const isLocal = (one: string): boolean => isLoopback(parseAddress(one)?.host ?? '');
	if (!isAdvertisable(address))
		return `no node can be called under ${address}: start it with --advertise and an address that the other nodes reach`;
	const other = members.find(member => isLocal(member) !== isLocal(address));
	if (other === undefined) return undefined;
	const [local, remote] = isLocal(address) ? [address, other] : [other, address];
	const remedy = `the node of ${local} with --host and an address that all nodes reach`;
	// The one that asks is the odd one out: others may have been on one machine on purpose.
	return `${local} is reached on its own machine only, and ${remote} is told to nodes of other machines: start ${remote === address ? `the node of ${remote} with --advertise and a loopback address if all nodes run on one machine, else ` : ''}${remedy}`;
}

/** The first byte of a v4 address lies within these. */
function isV4In(host: string, first: number, last: number): boolean {
	const byte = Number(/^(?<byte>\d+)\.\d+\.\d+\.\d+$/.exec(host)?.groups?.['byte'] ?? Number.NaN);
	return byte >= first && byte <= last;
}

function parseV6(text: string): string | undefined {
	const match = /^(?<address>[\da-f:.]{2,45})(?:%(?<zone>[\w.-]{1,32}))?$/i.exec(text);
	const url = match?.groups && URL.parse(`http://[${match.groups['address']}]`);
	if (!url) return undefined;
	const address = url.hostname.slice(1, -1);
	const zone = match.groups!['zone'];
	if (isLinkLocal(address) !== (zone !== undefined)) return undefined;
	if (zone !== undefined) return `${address}%${zone}`;
	const mapped = /^::ffff:(?<high>[\da-f]{1,4}):(?<low>[\da-f]{1,4})$/.exec(address)?.groups;
	if (!mapped) return address;
	const [high, low] = [Number.parseInt(mapped['high']!, 16), Number.parseInt(mapped['low']!, 16)];
	return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** A server that was lost is tried after the others: it may be slow to say that it is gone. */
export function lastBehind(servers: readonly string[], last: string | undefined): readonly string[] {
	return [...servers.filter(server => server !== last), ...servers.filter(server => server === last)];
}
