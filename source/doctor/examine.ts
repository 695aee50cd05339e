/**
All checks of `doctor`, on the machine, settings and folders that a start with the same flags would use. Nothing is
changed, and no node has to run; a running node is recognised.
*/
import {randomBytes} from 'node:crypto';
import {networkInterfaces} from 'node:os';
import {parseAddress} from '../../core/address.ts';
import {DapssError} from '../../core/errors.ts';
import {
	deriveKeys,
	findAddress,
	listNodes,
	probeMulticast,
	registryFolder,
	type Probed,
	type RegisteredNode,
} from '../../core/preflight.ts';
import {listenProblem, nextFreePort, portHolder, type Protocol} from '../nodes/port.ts';
import {shortId} from '../output/units.ts';
import type {Env} from '../settings/places.ts';
import {existingPreferences} from '../settings/preferences.ts';
import type {Settings, SettingsInput} from '../settings/settings.ts';
import {
	closedTo,
	judgeRegistry,
	judgeSecret,
	judgeSettings,
	openTo,
	secretFacts,
	type SettingsFacts,
} from './access.ts';
import {clockFacts, judgeClock} from './clock.ts';
import {diskFacts, type DiskFacts} from './disk-facts.ts';
import {isFolderOf, isUserOf, judgeFileSystem, judgeFolder, judgeSilence, judgeSpace, judgeSpeed} from './disk.ts';
import {identityFacts, judgeIdentity} from './identity.ts';
import {judgeMemory, judgeNodeVersion, judgeOpenFiles, judgeSystem, machineFacts} from './machine.ts';
import {judgeAddress, judgeMulticast, judgeNeighbours, judgePort, type PortFacts} from './network.ts';
import {compareClocks, judgeOffsets, type CompareOptions, type OffsetFacts} from './offset.ts';
import {codes, type Check, type Code} from './outcome.ts';

export type Examined = {
	readonly checks: readonly Check[];
	/** Checks that were skipped: the settings are wrong, or the disk does not answer. */
	readonly left: readonly Code[];
	/** The examined node; `undefined` when the settings are wrong. */
	readonly node: {readonly cluster: string; readonly port: number; readonly isRunning: boolean} | undefined;
};

/** Beacons are received for this many intervals, and for at most `listenMsMax` milliseconds. */
const intervals = 1.5;
const listenMsMax = 3000;
const diskMsMaxDefault = 10_000;

export type ExamineOptions = {
	/** @throws `config` */
	readonly load: (preferences?: SettingsInput['preferences']) => Settings;
	readonly env: Env;
	/** @default the real one */
	readonly lookAtDisk?: typeof diskFacts;
	/** Timeout of the disk, milliseconds: a disk on a network may hang for ever. @default 10000 */
	readonly diskMsMax?: number;
	/**
	More nodes whose clocks are compared, as `host:port`. Nodes of the bootstrap list, of this user and those whose
	beacons arrive are always compared.
	@default none
	*/
	readonly servers?: readonly string[];
	/** Connect to a node. @default no node is asked */
	readonly connect?: Connect;
};
type Connect = (
	settings: Settings,
	secret: Uint8Array,
	address: string,
	timeoutMs: number,
) => ReturnType<CompareOptions['connect']>;

export async function examine(options: ExamineOptions): Promise<Examined> {
	const {load, env} = options;
	const machine = await machineFacts();
	const leftOut: string[] = [];
	const preferences = existingPreferences(env, line => leftOut.push(line));
	const loaded = settingsFacts(() => load(preferences));
	if ('problem' in loaded) {
		const checks = [judgeNodeVersion(machine), judgeSystem(machine), judgeSettings(loaded, [])];
		return {checks, left: leftOf(checks), node: undefined};
	}

	const {settings} = loaded;
	const {cluster, limits, discovery} = settings.tunables;
	const facts = await nodeFacts(settings, options);
	const {disk, ports, address, heard, registered, offsets, running} = facts;
	const local = registered.filter(node => node.cluster === cluster);
	const checks = [
		judgeNodeVersion(machine),
		judgeSystem(machine),
		judgeMemory(machine, limits),
		judgeOpenFiles(machine, limits),
		judgeSettings(loaded, [...settings.warnings, ...leftOut]),
		judgeSecret(secretFacts(settings), disk?.node !== undefined),
		judgeIdentity(identityFacts(settings)),
		...(await diskChecks(facts, settings, options)),
		judgePort('TCP', ports.TCP),
		judgePort('UDP', ports.UDP),
		judgeAddress(address),
		judgeRegistry(registryFolder(), closedTo(registryFolder()), openTo(registryFolder())),
		judgeMulticast(heard, discovery),
		judgeNeighbours({
			heard,
			listenMs: listenMs(discovery),
			local,
			asked: offsets.compared,
			self: identityOf(disk),
			user: disk && local.find(node => isUserOf(disk, node)),
			isUnused: disk?.holder === 'free' && !disk.closed,
			address: 'address' in address ? address.address : undefined,
		}),
		judgeOffsets(offsets),
	];
	return {checks, left: leftOf(checks), node: {cluster, port: ports.port, isRunning: running !== undefined}};
}

type NodeFacts = {
	/** The nodes of this user on this machine. */
	readonly registered: readonly RegisteredNode[];
	/** The running node with the examined port and data folder. */
	readonly running: RegisteredNode | undefined;
	readonly ports: Ports;
	/** The data folder. */
	readonly path: string;
	/** `undefined` when the disk did not answer in time. */
	readonly disk: DiskFacts | undefined;
	readonly address: Awaited<ReturnType<typeof findAddress>>;
	/** `undefined` when discovery is off. */
	readonly heard: Probed | undefined;
	readonly offsets: OffsetFacts;
};

async function nodeFacts(
	settings: Settings,
	{lookAtDisk = diskFacts, diskMsMax = diskMsMaxDefault, servers = [], connect}: ExamineOptions,
): Promise<NodeFacts> {
	const {tunables} = settings;
	const {cluster, discovery, bootstrap} = tunables;
	const registered = await listNodes();
	const look = (folder: string): Promise<DiskFacts | undefined> => within(diskMsMax, lookAtDisk(folder));
	const at = registered.find(node => node.port === tunables.port);
	const firstPath = settings.data(tunables.port);
	// A node of the cluster at the port is the examined one if it uses the folder too.
	const first = at?.cluster === cluster ? {facts: await look(firstPath)} : undefined;
	const running = first && (!first.facts || isFolderOf(first.facts, at!)) ? at : undefined;
	const ports = await portFacts(settings, at, running);
	const path = settings.data(ports.port);
	const [disk, address, heard] = await Promise.all([
		first && path === firstPath ? first.facts : look(path),
		findAddress({...tunables, port: ports.port}),
		discovery.enabled ? listen(settings, ports.port) : undefined,
	]);
	const own = registered.filter(node => node.cluster === cluster).map(node => node.address);
	const self = identityOf(disk)?.id;
	const offsets = await askClocks(
		settings,
		connect,
		[...servers, ...bootstrap, ...own, ...(heard?.nodes ?? []).map(node => node.address)],
		new Set(own),
		self,
	);
	return {registered, running, ports, path, disk, address, heard, offsets};
}

function identityOf(disk: DiskFacts | undefined): {readonly id: string; readonly clusterId: string} | undefined {
	return disk?.node && 'id' in disk.node ? disk.node : undefined;
}

async function diskChecks(
	{disk, path, running, registered}: NodeFacts,
	{tunables: {limits, raft, storage}}: Settings,
	{diskMsMax = diskMsMaxDefault}: ExamineOptions,
): Promise<readonly Check[]> {
	if (!disk) return [judgeSilence(path, diskMsMax)];
	return [
		judgeFolder(disk, running, registered),
		judgeFileSystem(disk),
		judgeSpace(disk, limits),
		judgeSpeed(disk, raft),
		judgeClock(await clockFacts(disk.path, disk.newestMs), storage),
	];
}

const leftOf = (checks: readonly Check[]): readonly Code[] =>
	codes.filter(code => !checks.some(check => check.code === code));

async function askClocks(
	settings: Settings,
	connect: Connect | undefined,
	addresses: readonly string[],
	local: ReadonlySet<string>,
	self: string | undefined,
): Promise<OffsetFacts> {
	if (!connect || addresses.length === 0)
		return {
			compared: [],
			failures: [
				`no node of cluster ${settings.tunables.cluster} is registered here, was heard, ` +
					'or is given with --server or --bootstrap',
			],
		};
	let secret: Uint8Array;
	try {
		({secret} = settings.secret({create: false}));
	} catch {
		return {compared: [], failures: ['other nodes cannot be asked without the secret']};
	}

	return compareClocks({
		addresses,
		local,
		self,
		connect: (address, timeoutMs) => connect(settings, secret, address, timeoutMs),
	});
}

/** `undefined` when it takes longer. */
async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value | undefined> {
	const {promise: late, resolve} = Promise.withResolvers<undefined>();
	const timer = setTimeout(resolve, ms, undefined);
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function settingsFacts(load: () => Settings): SettingsFacts {
	try {
		return {settings: load()};
	} catch (error) {
		if (error instanceof DapssError && error.code === 'config') return {problem: error.message};
		throw error;
	}
}

type Ports = {readonly port: number} & Readonly<Record<Protocol, PortFacts>>;

/**
The port that a start would use, and its state in both protocols.
@param at the registered node with that port
@param running the same node, if it is the examined one
*/
async function portFacts(
	{tunables: {host, port: wanted}, isPortExplicit: isExplicit}: Settings,
	at: RegisteredNode | undefined,
	running: RegisteredNode | undefined,
): Promise<Ports> {
	const [tcp, udp] = [await listenProblem(host, wanted, 'TCP'), await listenProblem(host, wanted, 'UDP')];
	const isTaken = [tcp, udp].includes('EADDRINUSE');
	const next = isTaken ? await nextFreePort(host, wanted + 1) : undefined;
	const addresses = [
		...new Set(
			Object.values(networkInterfaces())
				.flatMap(list => list ?? [])
				.map(({address}) => address),
		),
	];
	const facts = (protocol: Protocol, problem: string | undefined): PortFacts => ({
		host,
		port: wanted,
		isExplicit,
		problem,
		running,
		next,
		addresses,
		holder:
			problem !== 'EADDRINUSE' || running
				? undefined
				: at
					? `node ${shortId(at.id)} of cluster ${at.cluster}`
					: portHolder(host, wanted, protocol),
	});
	return {
		port: isTaken && !running && !isExplicit && next !== undefined ? next : wanted,
		TCP: facts('TCP', tcp),
		UDP: facts('UDP', udp),
	};
}

async function listen(settings: Settings, port: number): Promise<Probed> {
	const {tunables} = settings;
	const address = await findAddress({...tunables, port});
	return probeMulticast({
		config: tunables.discovery,
		listenMs: listenMs(tunables.discovery),
		keys: deriveKeys({
			cluster: tunables.cluster,
			enableNodeAuth: tunables.enableNodeAuth,
			secret: secretOf(settings),
		}),
		advertised: 'address' in address ? (parseAddress(address.address)?.host ?? '') : '',
	});
}

/** Without the secret, beacons of other nodes cannot be read; a random one still shows whether own beacons return. */
function secretOf(settings: Settings): Uint8Array {
	try {
		return settings.secret({create: false}).secret;
	} catch {
		return randomBytes(32);
	}
}

function listenMs({intervalMs}: {readonly intervalMs: number}): number {
	return Math.min(listenMsMax, Math.round(intervalMs * intervals));
}
