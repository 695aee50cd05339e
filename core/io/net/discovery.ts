/**
Finds addresses at which other nodes of the cluster may run: the seed list, this user's nodes on this machine
(registry), beacons on the local network, and formerly known members. All of them are unverified hints: the handshake
proves which node runs at an address. Another cluster of the same name is reported.
*/
import type {Config} from '../../config.ts';
import type {NodeId} from '../../message.ts';
import type {Candidate, PeerFinder} from '../../ports.ts';
import type {Keys} from '../../wire/seal.ts';
import {systemClock} from '../clock.ts';
import {listNodes} from '../files/registry.ts';
import {openBeacon, type Beacon, type OpenBeacon} from './beacon.ts';
import type {Counters} from './counters.ts';

export type DiscoveryOptions = {
	readonly config: Pick<Config, 'cluster' | 'bootstrap' | 'discovery'>;
	readonly id: NodeId;
	readonly incarnation: number;
	readonly address: string;
	readonly keys: Pick<Keys, 'beacon' | 'beaconSearch'>;
	readonly refusals: Counters;
	/** Addresses of formerly known members. */
	readonly former: readonly string[];
	/** The present state of this node. */
	readonly self: () => {
		readonly clusterId: string;
		readonly isMember: boolean;
		readonly topics: readonly string[];
		readonly name: string;
	};
	/** A node of another cluster of this name was heard. */
	readonly onForeign: (clusterId: string, address: string) => void;
	/** Another process uses this node's id, and advertises this address. */
	readonly onDuplicate: (address: string) => void;
	readonly onProblem: (line: string) => void;
};

/** Bounds on the remembered beacons: their number, and their age in intervals (five beacons may be lost). */
const heardMax = 1024;
const heardIntervals = 5;

export class Discovery implements Pick<PeerFinder, 'candidates'>, AsyncDisposable {
	readonly #options: DiscoveryOptions;
	readonly #heard = new Map<NodeId, {readonly beacon: Beacon; readonly atMs: number}>();
	#beacon: OpenBeacon | undefined;

	private constructor(options: DiscoveryOptions) {
		this.#options = options;
	}

	static async open(options: DiscoveryOptions): Promise<Discovery> {
		const discovery = new Discovery(options);
		const {config, id, incarnation, address, keys, refusals, self, onProblem} = options;
		if (config.discovery.enabled) {
			discovery.#beacon = await openBeacon({
				config: config.discovery,
				keys,
				id,
				incarnation,
				refusals,
				onProblem,
				content() {
					const {clusterId, isMember, topics, name} = self();
					return {address, clusterId, phase: isMember ? 'member' : 'seeking', topics, name};
				},
				onBeacon: beacon => discovery.#onBeacon(beacon),
			});
		}

		return discovery;
	}

	async candidates(): Promise<readonly Candidate[]> {
		const {
			config: {bootstrap, cluster, discovery},
			former,
			id,
			self,
		} = this.#options;
		const {clusterId, isMember} = self();
		// A node that belongs to a cluster is refused by any other cluster.
		const isOurs = (other: {readonly clusterId: string}): boolean =>
			clusterId === '' || other.clusterId === '' || other.clusterId === clusterId;
		// Without discovery, a node without a cluster uses only the configured addresses. A node that belongs to a
		// cluster searches the registry nevertheless.
		const local =
			discovery.enabled || clusterId !== ''
				? (await listNodes()).filter(node => node.cluster === cluster && node.id !== id && isOurs(node))
				: [];
		if (!isMember) this.#beacon?.announce(); // Helps nodes that start together to find each other sooner.
		const all = [
			...bootstrap.map(address => ({address, isMember: false})),
			...local.map(({address, phase}) => ({address, isMember: phase === 'running'})),
			...this.#fresh()
				.filter(isOurs)
				.map(({address, phase}) => ({address, isMember: phase === 'member'})),
			...former.map(address => ({address, isMember: false})),
		];
		const byAddress = new Map<string, Candidate>();
		for (const one of all) if (!byAddress.get(one.address)?.isMember) byAddress.set(one.address, one);
		return [...byAddress.values()];
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#beacon?.[Symbol.asyncDispose]();
	}

	#fresh(): readonly Beacon[] {
		const untilMs = systemClock.monotonicMs() - heardIntervals * this.#options.config.discovery.intervalMs;
		for (const [id, {atMs}] of this.#heard) if (atMs < untilMs) this.#heard.delete(id);
		return [...this.#heard.values()].map(({beacon}) => beacon);
	}

	#onBeacon(beacon: Beacon): void {
		const {id, address, self, onForeign, onDuplicate} = this.#options;
		if (beacon.id === id) {
			if (beacon.address !== address) onDuplicate(beacon.address);
			return;
		}

		if (this.#heard.size < heardMax || this.#heard.has(beacon.id))
			this.#heard.set(beacon.id, {beacon, atMs: systemClock.monotonicMs()});
		const {clusterId, isMember} = self();
		if (isMember && beacon.phase === 'member' && beacon.clusterId !== clusterId)
			onForeign(beacon.clusterId, beacon.address);
	}
}
