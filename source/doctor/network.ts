/**
The network of a node: its two ports, the address that it advertises, multicast, and the nodes whose beacons arrive. The
judgements are pure.
*/
import {isLoopback, parseAddress} from '../../core/address.ts';
import type {Beacon, Probed, RegisteredNode} from '../../core/preflight.ts';
import type {Protocol} from '../nodes/port.ts';
import {shortId, timeText} from '../output/units.ts';
import {bad, good, type Check, type ReasonOf} from './outcome.ts';

/** Nodes that one line names. */
const namedMax = 8;

export type PortFacts = {
	readonly host: string;
	readonly port: number;
	/** `--port` was given. Without it, a start takes the next free port. */
	readonly isExplicit: boolean;
	/** Code of the error when listening fails; `undefined` when it succeeds. */
	readonly problem: string | undefined;
	/** The node of this cluster that uses the port. */
	readonly running: RegisteredNode | undefined;
	/** Another user of the port, as far as this user may see. */
	readonly holder: string | undefined;
	/** The next free port. */
	readonly next: number | undefined;
	/** Addresses of this machine. */
	readonly addresses: readonly string[];
};

type PortCode = 'tcp-port' | 'udp-port';

export function judgePort(protocol: Protocol, facts: PortFacts): Check {
	const {host, port, problem, running, next, addresses} = facts;
	const code: PortCode = protocol === 'TCP' ? 'tcp-port' : 'udp-port';
	const values = {host, port, isFree: problem === undefined, node: running?.id ?? null, next: next ?? null};
	const wrong = (reason: ReasonOf<PortCode>, found: string, remedy: string): Check =>
		bad(code, reason, {found, remedy}, values);
	switch (problem) {
		case undefined:
			return good(code, `${protocol} port ${port} of ${host} is free`, values);
		case 'EADDRINUSE':
			return running
				? good(
						code,
						`${protocol} port ${port} is that of node ${shortId(running.id)} of this cluster, ` +
							`which runs here (process ${running.pid})`,
						values,
					)
				: wrong(...portInUse(protocol, facts));
		case 'EADDRNOTAVAIL':
			return wrong(
				'not-here',
				`${host} is no address of this machine`,
				`Use --host with an address of this machine: ${addresses.join(', ')}; or 0.0.0.0 for all of them`,
			);
		case 'ENOTFOUND':
		case 'EAI_AGAIN':
			return wrong(
				'not-found',
				`The host name ${host} is not found (${problem})`,
				`Use --host with an address of this machine: ${addresses.join(', ')}; ` +
					'or repair the name (DNS, /etc/hosts)',
			);
		case 'EACCES':
		case 'EPERM':
			return wrong(
				'not-allowed',
				`This user may not listen on ${protocol} port ${port} (${problem})`,
				'Choose a --port of 1024 or more, or give this user the permission',
			);
		default:
			return wrong(
				'unusable',
				`A node cannot listen on ${protocol} port ${port} of ${host}: ${problem}`,
				'Choose another --host or --port',
			);
	}
}

function portInUse(
	protocol: Protocol,
	{host, port, isExplicit, holder, next}: PortFacts,
): [reason: ReasonOf<PortCode>, found: string, remedy: string] {
	const found = `${protocol} port ${port} of ${host} is in use (${holder ?? 'a process that this user may not see'})`;
	if (next === undefined) return ['in-use', found, 'Stop that process, or choose another --port'];
	if (isExplicit) return ['in-use', found, `Stop that process, or choose another port: --port ${next}`];
	return [
		'moved',
		`${found}: a start without --port takes ${next}`,
		`Nothing is needed. To fix the port, start with --port ${next}`,
	];
}

export function judgeAddress(
	derived: {readonly address: string} | {readonly problem: string; readonly remedy: string},
): Check {
	if ('problem' in derived)
		return bad('address', 'unclear', {
			found: derived.problem,
			remedy: derived.remedy.charAt(0).toUpperCase() + derived.remedy.slice(1),
		});
	const isLocal = isLoopback(parseAddress(derived.address)?.host ?? '');
	return good(
		'address',
		'Other nodes reach this one at ' +
			`${derived.address}${isLocal ? ', from this machine only (--host listens for others)' : ''}`,
		{address: derived.address, isLocal},
	);
}

/** @param probed `undefined` when discovery is off */
export function judgeMulticast(
	probed: Probed | undefined,
	{group, port}: {readonly group: string; readonly port: number},
): Check {
	if (!probed)
		return good('multicast', 'Discovery is off: nodes of other machines join with --bootstrap', {enabled: false});
	const failed = probed.paths.filter(path => path.problem !== undefined);
	const values = {
		enabled: true,
		group,
		port,
		works: probed.paths.filter(path => path.problem === undefined).map(({at}) => at),
		fails: failed.map(({at}) => at),
	};
	const remedy =
		`Let UDP port ${port} to ${group} pass on it (firewall, ip route), ` +
		'or join nodes with --bootstrap and switch discovery off (--no-discovery)';
	const why = failed.map(({at, problem}) => `${at} (${problem})`).join(', ');
	if (failed.length === 0)
		return good(
			'multicast',
			`Own beacons to ${group}:${port} come back on ${probed.paths.map(({at}) => at).join(', ')}`,
			values,
		);
	if (failed.length === probed.paths.length)
		return bad(
			'multicast',
			'none',
			{found: `Multicast to ${group}:${port} works on no interface: ${why}`, remedy},
			values,
		);
	return bad('multicast', 'some', {found: `Multicast to ${group}:${port} does not work on ${why}`, remedy}, values);
}

export type NeighbourFacts = {
	readonly heard: Pick<Probed, 'nodes' | 'foreign'> | undefined;
	readonly listenMs: number;
	/** Nodes of this user and this cluster on this machine. */
	readonly local: readonly RegisteredNode[];
	/** Nodes that were asked for their time, with the addresses that they advertise. */
	readonly asked: ReadonlyArray<{readonly id: string; readonly advertised: string}>;
	/** The identity in the data folder. */
	readonly self: {readonly id: string; readonly clusterId: string} | undefined;
	/** The local node whose process uses the data folder. */
	readonly user: RegisteredNode | undefined;
	/** No process uses the data folder, so any process of its identity has another folder. */
	readonly isUnused: boolean;
	/** The address that a start would advertise. */
	readonly address: string | undefined;
};

export function judgeNeighbours(facts: NeighbourFacts): Check {
	const {heard, listenMs, local, self} = facts;
	const nodes = heard?.nodes ?? [];
	const values = {
		heard: nodes.map(({id, address: at, phase}) => `${id} ${at} ${phase}`),
		local: local.map(({id, address: at}) => `${id} ${at}`),
		foreign: heard?.foreign ?? null,
	};
	const double = doubleOf(facts);
	if (double !== undefined)
		return bad(
			'neighbours',
			'double',
			{
				found: `A process at ${double} uses the identity of this data folder (${shortId(self!.id)})`,
				remedy:
					'Start only one of them. The other data folder is a copy: ' +
					'with an empty one, that node joins under its own id',
			},
			values,
		);
	const clusters = [
		...new Set([
			...(self && self.clusterId !== '' ? [self.clusterId] : []),
			...nodes.filter(({phase}) => phase === 'member').map(({clusterId}) => clusterId),
		]),
	];
	const list = listOf(nodes, self?.id);
	if (clusters.length > 1)
		return bad(
			'neighbours',
			'two-clusters',
			{
				found:
					`Nodes of ${clusters.length} clusters of this name are here: ` +
					`${clusters.map(id => shortId(id)).join(', ')}; heard: ${list}`,
				remedy:
					'They are not merged. Give one of them another --cluster, ' +
					'or start the nodes of one with empty data folders',
			},
			values,
		);
	const here =
		local.length === 0
			? ''
			: `${heard ? '; ' : ''}on this machine: ${local
					.slice(0, namedMax)
					.map(({id, address: at}) => `${shortId(id)} at ${at}`)
					.join(', ')}`;
	const others =
		heard && heard.foreign > 0 ? `; ${heard.foreign} datagrams of other clusters, or with another secret` : '';
	const received = heard
		? `${nodes.length === 0 ? 'No node' : list} heard within ${timeText(listenMs)}${others}`
		: '';
	return good('neighbours', `${received}${here}` || 'Not examined', values);
}

/** The address of another process with the identity of the data folder. */
function doubleOf({heard, local, asked, self, user, isUnused, address}: NeighbourFacts): string | undefined {
	if (!self) return undefined;
	const listed = local.find(node => node.id === self.id && node !== user && (isUnused || user !== undefined));
	if (listed) return listed.address;
	const answers = [...(heard?.nodes ?? []), ...asked.map(node => ({id: node.id, address: node.advertised}))].filter(
		({id}) => id === self.id,
	);
	return answers.find(answer => isUnused || (answer.address !== address && answer.address !== user?.address))
		?.address;
}

function listOf(nodes: readonly Beacon[], self: string | undefined): string {
	const more = nodes.length > namedMax ? ` and ${nodes.length - namedMax} more` : '';
	return `${nodes
		.slice(0, namedMax)
		.map(({id, address, phase}) => `${shortId(id)} at ${address} (${id === self ? 'this node' : phase})`)
		.join(', ')}${more}`;
}
