/**
The composition root: starts a node with real sockets and real disks. The parts are in `host/`. Their order matters:

1. Lock the data folder, before anything in it is read.
2. Recover the node's state, and raise its incarnation on disk, before anything is sent.
3. Open sockets, discovery and the registry. Until step 4 the node refuses what comes in.
4. Read the logs back. A client that came earlier would open a topic twice.
5. Continue as a member, or found or join a cluster.
*/
import {randomBytes} from 'node:crypto';
import {hostname} from 'node:os';
import {join as joinPath} from 'node:path';
import type {Broker} from './broker.ts';
import {completeConfig, type BrokerOptions} from './config-schema.ts';
import type {Config} from './config.ts';
import {nodeFiles} from './default-files.ts';
import {nodeOptions} from './host/assembly.ts';
import {openAudit} from './host/audit.ts';
import {keepNameRegistered, openDiscovery, registerNode, updateRegistration} from './host/discovery.ts';
import {openKeptClock} from './host/kept-clock.ts';
import type {Metrics} from './host/metrics.ts';
import {openNetwork} from './host/network.ts';
import {NodeSlot} from './host/node-slot.ts';
import {recoverState, type RecoveredState} from './host/recovered-state.ts';
import {openStorage} from './host/storage.ts';
import {readIdentity} from './io/files/identity-file.ts';
import {advertisedAddress} from './io/net/advertise.ts';
import type {WantedName} from './membership/naming.ts';
import type {NodeId} from './message.ts';
import {defaultName} from './node-name.ts';
import {Node} from './node/node.ts';
import type {Pipe} from './remote/pipe.ts';
import {localCaller} from './remote/permissions.ts';
import {serve, type ServedBroker} from './remote/server.ts';
import {AsyncStack} from './stack.ts';

/** A node in this process: its id, and the port that it listens on. */
export type OpenBroker = Broker & {readonly id: NodeId; readonly port: number};

/**
Start a node in this process. Resolves when it listens and has recovered its logs. Its snapshot says whether it is a
member of a cluster yet.
@throws `config`, `locked`, `port-in-use`, `storage`
*/
export async function openBroker(options: BrokerOptions = {}): Promise<OpenBroker> {
	const config = completeConfig(options, nodeFiles);
	const resources = new AsyncStack();
	try {
		return await assemble(config, resources);
	} catch (error) {
		await resources.disposeAsync();
		throw error;
	}
}

/** Serve a node to a console or client in this process, or in another thread of it, over a pipe. @internal */
export function serveOver(
	broker: Broker,
	pipe: Pipe,
	{isReadonly = false}: {readonly isReadonly?: boolean} = {},
): void {
	serve(broker as ServedBroker, pipe, {...localCaller, isReadonly}, () => undefined);
}

async function assemble(configured: Config, resources: AsyncStack): Promise<OpenBroker> {
	const slot = new NodeSlot();
	const metrics = await openMetrics(configured, slot, resources);
	const storage = await openStorage(configured, slot, resources, metrics?.observeSync);
	const {config, folder, path} = storage;
	const address = await advertisedAddress(config);
	const recovered = await recoverState(storage, address, slot);
	const clock = await openKeptClock(folder, config, text => slot.warn(text), resources);
	const instance = randomBytes(8).toString('hex');
	const name = nameOf(config);
	const owner = config.identityFile === undefined ? undefined : readIdentity(config.identityFile);
	const network = await openNetwork({config, recovered, instance, name: name.text, address, slot}, resources);
	const discovery = resources.use(await openDiscovery({config, recovered, address, network, slot}));
	const registration = await registerNode({config, recovered, slot}, resources);

	const node = new Node(
		nodeOptions({storage, recovered, clock, network, discovery, slot, instance, name, owner, address}),
	);
	openAudit(node, path, resources);
	metrics?.watch(node);
	await node.start();
	slot.set(node);
	node.onPhase = () => {
		updateRegistration(registration, node);
		if (node.phase === 'running') void recovered.resignations.settle().catch(() => undefined);
	};

	keepNameRegistered(registration, node, resources);
	// The process may exit as soon as it is closed; no half-written entry must stay in the registry.
	const closed = node.closed.then(async why => {
		await registration?.[Symbol.asyncDispose]();
		return why;
	});
	void node.closed.then(async () => {
		await clock.keep();
		await recovered.raftStore[Symbol.asyncDispose]().catch(() => undefined);
		await resources.disposeAsync();
	});
	node.journal.record({type: 'ready', id: node.id, port: config.port, cluster: config.cluster});
	if (recovered.quarantined) {
		const {problem, folder: aside, formerId} = recovered.quarantined;
		node.journal.record({type: 'quarantined', problem, folder: joinPath(path, aside), formerId, id: node.id});
	}

	await enterCluster(node, config, recovered);
	return Object.assign(node, {port: config.port, closed});
}

/** Loaded on demand, with its library and the texts of `check`. */
async function openMetrics(config: Config, slot: NodeSlot, resources: AsyncStack): Promise<Metrics | undefined> {
	if (config.metrics.port === 0) return undefined;
	const host = await import('./host/metrics.ts');
	return resources.use(await host.openMetrics(config, slot));
}

function nameOf(config: Config): WantedName {
	const isChosen = config.name !== '';
	return {text: isChosen ? config.name : defaultName(hostname(), config.port), isChosen};
}

/** Continue as the member that the log names, or found or join a cluster. */
async function enterCluster(node: Node, config: Config, {state, isFresh}: RecoveredState): Promise<void> {
	if (node.control.isMember) return node.run(node.control.state.clusterId || state.clusterId);
	const entered = node.bootstrap();
	// A node that may found a cluster without waiting for others does so at once: its caller gets a running node.
	if (isFresh && config.bootstrap.length === 0 && config.expect === 0) await Promise.race([entered, node.closed]);
}
