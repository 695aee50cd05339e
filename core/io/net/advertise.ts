/**
The address at which other nodes reach this one. All members agree on it, so it must be right from the start: a wildcard
or loopback address that is sent to another machine refers to that machine itself. If the address cannot be derived
without a guess, the start is refused.
*/
import {lookup} from 'node:dns/promises';
import {isIP} from 'node:net';
import {networkInterfaces, type NetworkInterfaceInfo} from 'node:os';
import {
	formatAddress,
	isLinkLocal,
	isLoopback,
	isWildcard,
	parseAddress,
	parseHostAndMaybePort,
	unadvertisableReason,
} from '../../address.ts';
import type {Config} from '../../config.ts';
import {DapssError} from '../../errors.ts';

type Settings = Pick<Config, 'host' | 'port' | 'advertise' | 'bootstrap'>;
type Interface = Pick<NetworkInterfaceInfo, 'address' | 'family' | 'internal'>;
type Interfaces = Readonly<Record<string, readonly Interface[] | undefined>>;

/**
The address that this node advertises.
@throws `config`, with the flag to use
*/
export async function advertisedAddress(settings: Settings): Promise<string> {
	const derived = await findAddress(settings);
	if ('problem' in derived) throw new DapssError('config', `${derived.problem}: ${derived.remedy}`);
	return derived.address;
}

/** The same, but returns the problem and its remedy instead of throwing. */
export async function findAddress(settings: Settings): Promise<ReturnType<typeof deriveAddress>> {
	const {host, advertise} = settings;
	const isName = advertise === '' && isIP(host) === 0 && !isLoopback(host);
	// A name that cannot be resolved is refused when the node listens on it.
	const named = isName ? await lookup(host, {all: true}).catch(() => []) : [];
	return deriveAddress(
		settings,
		networkInterfaces(),
		named.map(({address}) => address),
	);
}

/**
`settings` must be valid and canonical. `named`: the addresses of a host that is a name, as this machine resolves it.
*/
export function deriveAddress(
	{host, port, advertise, bootstrap}: Settings,
	interfaces: Interfaces,
	named: readonly string[] = [],
): {readonly address: string} | {readonly problem: string; readonly remedy: string} {
	const given = parseHostAndMaybePort(advertise);
	if (given) return {address: formatAddress(given.host, given.port ?? port)};
	const candidates = isWildcard(host) ? candidatesOf(host, interfaces) : [host];
	if (candidates.length > 1)
		return {
			problem: `host ${host} listens on ${candidates.slice(0, -1).join(', ')} and ${candidates.at(-1)!}`,
			remedy: 'use --advertise to choose the one for other nodes',
		};
	const derived = candidates[0] ?? (host === '::' ? '::1' : '127.0.0.1');
	const reason = unadvertisableReason(derived);
	if (reason !== undefined)
		return {
			problem: `host ${host} is no address for other nodes: ${reason}`,
			remedy: 'use --advertise to set the address or host name at which they reach this node',
		};
	// Many systems resolve their own name to a loopback address, while other machines resolve it to another one.
	if (named.length > 0 && named.every(address => isLoopback(address)))
		return {
			problem: `host ${host} is ${named.join(', ')} on this machine, where no other machine reaches it`,
			remedy: `use --host to set the address to listen on, and --advertise ${host} to let others use the name`,
		};
	const remote = isLoopback(derived) ? bootstrap.find(address => isOfOtherMachine(address, interfaces)) : undefined;
	if (remote !== undefined) {
		const why = isWildcard(host) ? `this machine has no network address yet` : `this node listens on ${host} only`;
		return {
			problem: `bootstrap names ${remote} on another machine, which cannot reach this node, since ${why}`,
			remedy: isWildcard(host)
				? 'start it when there is one, or use --advertise to set its future address'
				: 'use --host to set the address of this machine to listen on',
		};
	}

	return {address: formatAddress(derived, port)};
}

/** The address at which programs on this machine reach a node that listens there. */
export function localAddress({host, port}: Pick<Config, 'host' | 'port'>): string {
	return formatAddress(isWildcard(host) ? (host === '::' ? '::1' : '127.0.0.1') : host, port);
}

/**
Addresses at which a node that listens on a wildcard may be reached from other machines. They include the bridges of
containers, because it cannot be known which interfaces count.
*/
function candidatesOf(wildcard: string, interfaces: Interfaces): readonly string[] {
	const isRight = ({address, family, internal}: Interface): boolean =>
		!internal &&
		!isLinkLocal(address) &&
		!address.startsWith('169.254.') &&
		(family === 'IPv4' || wildcard === '::');
	return [
		...new Set(
			all(interfaces)
				.filter(one => isRight(one))
				.map(({address}) => address),
		),
	];
}

/**
A numeric address that is neither loopback nor an address of this machine. The target of a name is unknown until it is
dialled.
*/
function isOfOtherMachine(address: string, interfaces: Interfaces): boolean {
	const host = parseAddress(address)?.host ?? '';
	return (
		isIP(host) !== 0 && !isLoopback(host) && !all(interfaces).some(one => one.address === host.replace(/%.*/, ''))
	);
}

function all(interfaces: Interfaces): readonly Interface[] {
	return Object.values(interfaces).flatMap(list => list ?? []);
}
