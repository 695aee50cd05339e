/**
All checks of `doctor`, on what a start with the same flags would use. Nothing is changed, and no node is needed; one
that runs is recognised as such.
*/
import {randomBytes} from 'node:crypto';
import {existsSync} from 'node:fs';
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
import {loadPreferences, preferencesPath} from '../settings/preferences.ts';
import type {Settings} from '../settings/settings.ts';
import {closedTo, judgeRegistry, judgeSecret, judgeSettings, secretFacts, type SettingsFacts} from './access.ts';
import {clockFacts, judgeClock} from './clock.ts';
import {
	diskFacts,
	isFolderOf,
	judgeFileSystem,
	judgeFolder,
	judgeSilence,
	judgeSpace,
	judgeSpeed,
	type DiskFacts,
} from './disk.ts';
import {judgeMemory, judgeNodeVersion, judgeOpenFiles, judgeSystem, machineFacts} from './machine.ts';
import {judgeAddress, judgeMulticast, judgeNeighbours, judgePort, type PortFacts} from './network.ts';
import {compareClocks, judgeOffsets, type CompareOptions, type OffsetFacts} from './offset.ts';
import {codes, type Check, type Code} from './outcome.ts';

export type Examined = {
	readonly checks: readonly Check[];
	/** Checks that need settings which are wrong, or a disk that does not answer. */
	readonly left: readonly Code[];
	/** What was looked at; `undefined` when the settings are wrong. */
	readonly node: {readonly cluster: string; readonly port: number; readonly isRunning: boolean} | undefined;
};

/** Others are listened for so long, in intervals of beacons, and at most so many milliseconds. */
const intervals = 1.5;
const listenMsMax = 3000;

export type ExamineOptions = {
	/** @throws `config` */
	readonly load: () => Settings;
	readonly env: Env;
	/** @default the real one */
	readonly lookAtDisk?: typeof diskFacts;
	/** How long the disk is waited for, milliseconds: one that is on a network may hang for ever. @default 10000 */
	readonly diskMsMax?: number;
	/**
	Nodes whose clocks are compared, beside those that are in the bootstrap list, listed here or heard; `host:port`
	each.
	@default none
	*/
	readonly servers?: readonly string[];
	/** Speak to a node. @default none is spoken to */
	readonly connect?: Connect;
};
type Connect = (
	settings: Settings,
	secret: Uint8Array,
	address: string,
	timeoutMs: number,
) => ReturnType<CompareOptions['connect']>;

export async function examine({
	load,
	env,
	lookAtDisk = diskFacts,
	diskMsMax = 10_000,
	servers = [],
	connect,
}: ExamineOptions): Promise<Examined> {
	const machine = await machineFacts();
	const leftOut: string[] = [];
	// Looking for a file that is not there would make its folder.
	if (existsSync(preferencesPath(env))) loadPreferences(env, line => leftOut.push(line.replace(/^Warning: /, '')));
	const loaded = settingsFacts(load);
	if ('problem' in loaded) {
		const checks = [judgeNodeVersion(machine), judgeSystem(machine), judgeSettings(loaded, [])];
		return {checks, left: leftOf(checks), node: undefined};
	}

	const {settings} = loaded;
	const {tunables} = settings;
	const {cluster, discovery, limits, raft, storage} = tunables;
	const registered = await listNodes();
	const look = (folder: string): Promise<DiskFacts | undefined> => within(diskMsMax, lookAtDisk(folder));
	const at = registered.find(node => node.port === tunables.port);
	const firstPath = settings.data(tunables.port);
	// A node of the cluster at the port is this one when it has the folder too.
	const first = at?.cluster === cluster ? {facts: await look(firstPath)} : undefined;
	const running = first && (!first.facts || isFolderOf(first.facts, at!)) ? at : undefined;
	const ports = await portFacts(settings, at, running);
	const {port} = ports;
	const path = settings.data(port);
	const [disk, address, heard] = await Promise.all([
		first && path === firstPath ? first.facts : look(path),
		findAddress({...tunables, port}),
		discovery.enabled ? listen(settings, port) : undefined,
	]);
	const self = disk?.node && 'id' in disk.node ? disk.node : undefined;
	const own = registered.filter(node => node.cluster === cluster).map(node => node.address);
	const offsets = await askClocks(
		settings,
		connect,
		[...servers, ...tunables.bootstrap, ...own, ...(heard?.nodes ?? []).map(node => node.address)],
		new Set(own),
	);
	const checks = [
		judgeNodeVersion(machine),
		judgeSystem(machine),
		judgeMemory(machine, limits),
		judgeOpenFiles(machine, limits),
		judgeSettings(loaded, [...settings.warnings, ...leftOut]),
		judgeSecret(secretFacts(settings), disk?.node !== undefined),
		...(disk
			? [
					judgeFolder(disk, running, registered),
					judgeFileSystem(disk),
					judgeSpace(disk, limits),
					judgeSpeed(disk, raft),
					judgeClock(await clockFacts(disk.path, disk.newestMs), storage),
				]
			: [judgeSilence(path, diskMsMax)]),
		judgePort('TCP', ports.TCP),
		judgePort('UDP', ports.UDP),
		judgeAddress(address),
		judgeRegistry(registryFolder(), closedTo(registryFolder())),
		judgeMulticast(heard, discovery),
		judgeNeighbours({
			heard,
			listenMs: listenMs(discovery),
			local: registered.filter(node => node.cluster === cluster),
			self,
			address: 'address' in address ? address.address : undefined,
		}),
		judgeOffsets(offsets),
	];
	return {checks, left: leftOf(checks), node: {cluster, port, isRunning: running !== undefined}};
}

const leftOf = (checks: readonly Check[]): readonly Code[] =>
	codes.filter(code => !checks.some(check => check.code === code));

async function askClocks(
	settings: Settings,
	connect: Connect | undefined,
	addresses: readonly string[],
	local: ReadonlySet<string>,
): Promise<OffsetFacts> {
	if (!connect || addresses.length === 0)
		return {
			compared: [],
			failures: [
				`no node of cluster ${settings.tunables.cluster} is listed here, heard, or named with --server or --bootstrap`,
			],
		};
	let secret: Uint8Array;
	try {
		({secret} = settings.secret({create: false}));
	} catch {
		return {compared: [], failures: ['nodes cannot be asked without the secret']};
	}

	return compareClocks({
		addresses,
		local,
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

/**
The port that a start would use, and what is known of it in both protocols.
@param at who is listed there.
@param running the same, when it is the node that is looked at
*/
async function portFacts(
	{tunables: {host, port: wanted}, isPortExplicit: isExplicit}: Settings,
	at: RegisteredNode | undefined,
	running: RegisteredNode | undefined,
): Promise<{readonly port: number} & Readonly<Record<Protocol, PortFacts>>> {
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

/** Without a secret nobody else is understood; what this machine can do is found out all the same. */
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
