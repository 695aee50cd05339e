/**
How a node finds others and is found: beacons on the network, and the registry of this user's nodes on this machine.
*/
import type {Config} from '../config.ts';
import {causeOf} from '../io/cause.ts';
import {withRemedy} from '../io/file-system.ts';
import {register, registryFolder, type Registration} from '../io/files/registry.ts';
import {localAddress} from '../io/net/advertise.ts';
import {Discovery} from '../io/net/discovery.ts';
import type {Topic} from '../message.ts';
import type {Node} from '../node/node.ts';
import type {AsyncStack} from '../stack.ts';
import type {Network} from './network.ts';
import type {NodeSlot} from './node-slot.ts';
import type {RecoveredState} from './recovered-state.ts';

export type DiscoveryOptions = {
	readonly config: Config;
	readonly recovered: Pick<RecoveredState, 'state' | 'incarnation'>;
	/** Where other nodes reach this node. */
	readonly address: string;
	readonly network: Pick<Network, 'shared'>;
	readonly slot: NodeSlot;
};

/** Send beacons, and collect those of other nodes. */
export function openDiscovery({
	config,
	recovered: {state, incarnation},
	address,
	network: {shared},
	slot,
}: DiscoveryOptions): Promise<Discovery> {
	const {id} = state.identity;
	return Discovery.open({
		config,
		id,
		incarnation,
		address,
		keys: shared.keys,
		refusals: shared.refusals,
		former: state.members.filter(([member]) => member !== id).map(([, at]) => at),
		self: () => ({
			clusterId: slot.node?.clusterId ?? state.clusterId,
			isMember: slot.node?.phase === 'running',
			topics: subscribedBy(slot.node),
			name: slot.node?.control.state.name(id) ?? '',
		}),
		onForeign: (clusterId, at) => slot.node?.identity.conflicts.foreign(clusterId, at),
		onDuplicate: at => slot.node?.identity.conflicts.duplicate(id, address, at),
		onProblem: text => slot.warn(text),
	});
}

/** The topics that the node is subscribed to, as agreed. */
function subscribedBy(node: Node | undefined): readonly Topic[] {
	return node
		? node.control.state
				.topics()
				.filter(({subscribers}) => subscribers.has(node.id))
				.map(({name}) => name)
		: [];
}

/**
List the node in the registry, whatever the configuration of discovery: commands of this user find the node there. A
failure is a warning.
*/
export async function registerNode(
	{config, recovered: {state}, slot}: Pick<DiscoveryOptions, 'config' | 'recovered' | 'slot'>,
	resources: AsyncStack,
): Promise<Registration | undefined> {
	const registration = await register({
		port: config.port,
		address: localAddress(config),
		cluster: config.cluster,
		clusterId: state.clusterId,
		id: state.identity.id,
		phase: 'starting',
	}).catch((error: unknown) => {
		slot.warn(
			'Commands on this machine find this node only with --server: ' +
				`it cannot be listed in ${registryFolder()} (${withRemedy(causeOf(error, registryFolder()))})`,
		);
		return undefined;
	});
	if (registration) resources.use(registration);
	return registration;
}

/** Write the phase, the cluster and the name of the node to the registry. */
export function updateRegistration(registration: Registration | undefined, node: Node): void {
	void registration
		?.update({phase: node.phase, clusterId: node.clusterId, name: node.control.state.name(node.id)})
		.catch(() => undefined);
}

/** Write the name of the node to the registry whenever it changes. */
export function keepNameRegistered(registration: Registration | undefined, node: Node, resources: AsyncStack): void {
	const watch = resources.use(node.journal.watch());
	watch.onNews = () => {
		for (const event of watch.take())
			if (event.type === 'named' && event.id === node.id)
				void registration?.update({name: event.name}).catch(() => undefined);
	};
}
