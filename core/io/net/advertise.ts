/**
Where other nodes reach this one. It is agreed among all members, so it must be right from the first moment: a wildcard
or a loopback address that is sent to another machine names that machine itself. What cannot be derived without a guess
is refused at the start.
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

/** The address that this node tells others. @throws `config`, with the flag to use */
export async function advertisedAddress(settings: Settings): Promise<string> {
	const derived = await findAddress(settings);
	if ('problem' in derived) throw new DapssError('config', `${derived.problem}: ${derived.remedy}`);
	return derived.address;
}

/** The same; where none can be told, why not and what helps. */
export async function findAddress(settings: Settings): Promise<ReturnType<typeof deriveAddress>> {
	const {host, advertise} = settings;
	const isName = advertise === '' && isIP(host) === 0 && !isLoopback(host);
	// A name that is not found is refused when it is listened on.
	const named = isName ? await lookup(host, {all: true}).catch(() => []) : [];
	return deriveAddress(
		settings,
		networkInterfaces(),
		named.map(({address}) => address),
	);
}

/**
`settings` are valid and canonical; `named` are the addresses of a host that is a name, as this machine knows them.
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
			remedy: 'say with --advertise which one other nodes shall use',
		};
	const derived = candidates[0] ?? (host === '::' ? '::1' : '127.0.0.1');
	const reason = unadvertisableReason(derived);
	if (reason !== undefined)
		return {
			problem: `host ${host} is no address for other nodes: ${reason}`,
			remedy: 'say with --advertise under which address or host name they reach this node',
		};
	// Many systems give their own name a loopback address, while others are told another one.
	if (named.length > 0 && named.every(address => isLoopback(address)))
		return {
			problem: `host ${host} is ${named.join(', ')} on this machine, where no other machine reaches it`,
			remedy: `say with --host on which address to listen, and with --advertise ${host} that others use the name`,
		};
	const remote = isLoopback(derived) ? bootstrap.find(address => isOfOtherMachine(address, interfaces)) : undefined;
	if (remote !== undefined) {
		const why = isWildcard(host) ? `this machine has no network address yet` : `this node listens on ${host} only`;
		return {
			problem: `bootstrap names ${remote} on another machine, which cannot reach this node, since ${why}`,
			remedy: isWildcard(host)
				? 'start it when there is one, or say with --advertise which one it will have'
				: 'say with --host on which address of this machine it shall listen',
		};
	}

	return {address: formatAddress(derived, port)};
}

/** Where programs on this machine reach a node that listens there. */
export function localAddress({host, port}: Pick<Config, 'host' | 'port'>): string {
	return formatAddress(isWildcard(host) ? (host === '::' ? '::1' : '127.0.0.1') : host, port);
}

/**
Addresses under which a node that listens on a wildcard may be reached from other machines. Bridges of containers are
among them: which ones count is not guessed.
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
An address in digits that is neither loopback nor one of this machine. Where a name leads is not known before it is
called.
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
