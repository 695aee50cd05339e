/**
`host:port` as people and members write it. A bare port means this machine; a v6 address stands in brackets.
*/
import {DapssError} from './errors.ts';

export type HostPort = {readonly host: string; readonly port: number};

/** The parts of `5000`, `host:5000`, `10.0.0.1:5000` or `[::1]:5000`; `undefined` for anything else. */
export function parseAddress(text: string): HostPort | undefined {
	const match = /^(?:(?:\[(?<v6>[0-9A-Fa-f:.]{2,45})\]|(?<host>[\w.-]{1,253})):)?(?<port>\d{1,5})$/.exec(text);
	if (!match?.groups) return undefined;
	const port = Number(match.groups['port']);
	if (port < 1 || port > 65_535) return undefined;
	return {host: match.groups['v6'] ?? match.groups['host'] ?? '127.0.0.1', port};
}

/** The address in the one form that members compare: `host:port`, a v6 host in brackets. `undefined` when it is none. */
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

export function isLoopback(host: string): boolean {
	return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
