/**
Parsing and formatting of `host:port`. Members compare addresses as text, so each address has one canonical form: names
in lower case, IPv4 without leading zeros, IPv6 compressed (RFC 5952) and in brackets, IPv4-mapped IPv6 as IPv4. A port
alone means this machine.

A zone (`fe80::1%eth0`) names a network interface of one machine. A link-local address requires a zone, and no other
address may have one.
*/
import {DapssError} from './errors.ts';

export type HostPort = {readonly host: string; readonly port: number};

const octet = /^(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])$/;
const label = /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/;
const nameMax = 253;

/** An IPv4 address, an IPv6 address (without brackets) or a host name in canonical form; `undefined` for other text. */
export function parseHost(text: string): string | undefined {
	if (text.includes(':')) return parseV6(text);
	const name = text.toLowerCase();
	const labels = (name.endsWith('.') ? name.slice(0, -1) : name).split('.');
	if (labels.length === 4 && labels.every(part => octet.test(part)))
		return labels.join('.') === name ? name : undefined;
	// A last label that is a number has several IPv4 readings (10.1, 0x7f.1, 010.0.0.1): only the usual one is
	// accepted.
	if (/^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1)!)) return undefined;
	return name.length <= nameMax && labels.every(part => label.test(part)) ? name : undefined;
}

/** Parses `5000`, `host:5000`, `10.0.0.1:5000` or `[::1]:5000`, with a canonical host; `undefined` for other text. */
export function parseAddress(text: string): HostPort | undefined {
	const match = /^(?:(?:\[(?<v6>[^\]]*:[^\]]*)\]|(?<host>[^:]*)):)?(?<port>\d{1,5})$/.exec(text);
	if (!match?.groups) return undefined;
	const port = Number(match.groups['port']);
	const host = parseHost(match.groups['v6'] ?? match.groups['host'] ?? '127.0.0.1');
	return host === undefined || port < 1 || port > 65_535 ? undefined : {host, port};
}

/** Parses an advertised address: `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare `v6`. */
export function parseHostAndMaybePort(
	text: string,
): {readonly host: string; readonly port: number | undefined} | undefined {
	const host = parseHost(/^\[(?<v6>[^\]]*:[^\]]*)\]$/.exec(text)?.groups?.['v6'] ?? text);
	if (host !== undefined) return {host, port: undefined};
	return text.includes(':') ? parseAddress(text) : undefined;
}

/** The canonical `host:port`, an IPv6 host in brackets; `undefined` for other text. */
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

/** The host that a socket reports, with IPv4-mapped IPv6 as IPv4. */
export function plainHost(address: string | undefined): string {
	return (address ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
}

/** Whether only this machine reaches the host. A wildcard is not loopback: it listens on all addresses. */
export function isLoopback(host: string): boolean {
	const canonical = parseHost(host);
	return canonical !== undefined && (canonical === 'localhost' || canonical === '::1' || isV4In(canonical, 127, 127));
}

/** Whether the host means every address of the machine. */
export function isWildcard(host: string): boolean {
	const canonical = parseHost(host);
	return canonical === '0.0.0.0' || canonical === '::';
}

export function isLinkLocal(host: string): boolean {
	return /^fe[89ab][\da-f]:/.test(host);
}

/** Why no node can be reached under a canonical host; `undefined` when there is no reason. */
export function unreachableReason(host: string): string | undefined {
	if (isWildcard(host)) return 'it is a wildcard, which is an address to listen on, not to connect to';
	if (host === '255.255.255.255') return 'it is the broadcast address';
	if (isV4In(host, 224, 239) || /^ff[\da-f]{2}:/.test(host))
		return 'it is a multicast address, which belongs to no single node';
	return undefined;
}

/** Why other machines cannot reach a node under a canonical host; `undefined` when there is no reason. */
export function unadvertisableReason(host: string): string | undefined {
	return (
		unreachableReason(host) ??
		(isLinkLocal(host)
			? 'it is a link-local address, which each machine reaches by an interface name of its own'
			: undefined)
	);
}

/** Whether members may agree on the address: it parses, and other nodes can connect to it. */
export function isAdvertisable(address: string): boolean {
	const parsed = parseAddress(address);
	return parsed !== undefined && unadvertisableReason(parsed.host) === undefined;
}

/**
Why a node with this advertised address cannot join these members; `undefined` when it can. A loopback address means
another machine on each host, so either all members have one (a cluster on one machine) or none.
*/
export function joinProblem(address: string, members: readonly string[]): string | undefined {
	const isLocal = (one: string): boolean => isLoopback(parseAddress(one)?.host ?? '');
	if (!isAdvertisable(address))
		return `no node can connect to ${address}: start it with --advertise and an address that the other nodes reach`;
	const other = members.find(member => isLocal(member) !== isLocal(address));
	if (other === undefined) return undefined;
	const [local, remote] = isLocal(address) ? [address, other] : [other, address];
	const remedy = `the node of ${local} with --host and an address that all nodes reach`;
	// The joining node is the exception: the members may be on one machine on purpose.
	const alternative =
		remote === address
			? `the node of ${remote} with --advertise and a loopback address if all nodes run on one machine, else `
			: '';
	return (
		`${local} is reachable only on its own machine, and ${remote} is advertised to nodes of other machines: ` +
		`start ${alternative}${remedy}`
	);
}

/** Whether the first byte of an IPv4 address is in this range. */
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

/** The servers with the lost one last, because it may take long to time out. */
export function lostServerLast(servers: readonly string[], last: string | undefined): readonly string[] {
	return [...servers.filter(server => server !== last), ...servers.filter(server => server === last)];
}
