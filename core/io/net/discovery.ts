/**
Finds addresses at which other nodes of the cluster may run: the seed list, this user's nodes on this machine
(registry), beacons on the local network, and formerly known members. All of them are unverified hints: the handshake
proves which node runs at an address. Another cluster of the same name is reported.
*/
import type {Config} from '../../config.ts';
import type {NodeId} from '../../message.ts';
import type {Candidate, PeerFinder} from '../../ports.ts';
import type {KeySet} from '../../wire/key-ring.ts';
import type {Keys} from '../../wire/seal.ts';
import {systemClock} from '../clock.ts';
import {listNodes} from '../files/registry.ts';
import type {Freshness} from './beacon-receiver.ts';
import type {Beacon} from './beacon.ts';
import type {Counters} from './counters.ts';
import {openBeacon, type OpenBeacon} from './open-beacon.ts';

export type DiscoveryOptions = {
	readonly config: Pick<Config, 'cluster' | 'bootstrap' | 'discovery'>;
	readonly id: NodeId;
	readonly incarnation: number;
	readonly address: string;
	readonly keys: KeySet<Pick<Keys, 'beacon' | 'beaconSearch'>>;
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

type Heard = {
	readonly beacon: Beacon;
	readonly atMs: number;
	readonly freshness: Freshness;
	readonly provedAtMs: number;
};

export class Discovery implements Pick<PeerFinder, 'candidates'>, AsyncDisposable {
	readonly #options: DiscoveryOptions;
	readonly #heard = new Map<NodeId, Heard>();
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
				onBeacon: (beacon, freshness) => discovery.#onBeacon(beacon, freshness),
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
		const all: readonly Candidate[] = [
			...bootstrap.map(address => ({address, isMember: false})),
			...local.map(({address, phase}) => ({address, isMember: phase === 'running'})),
			...this.#fresh()
				.filter(({beacon}) => isOurs(beacon))
				.map(heard => this.#candidateOf(heard)),
			...former.map(address => ({address, isMember: false})),
		];
		const byAddress = new Map<string, Candidate>();
		for (const one of all) {
			const known = byAddress.get(one.address);
			if (!known || one.isMember || (one.isReported && !known.isMember)) byAddress.set(one.address, one);
		}

		return [...byAddress.values()];
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#beacon?.[Symbol.asyncDispose]();
	}

	#fresh(): readonly Heard[] {
		const untilMs = this.#sinceMs();
		for (const [id, {atMs}] of this.#heard) if (atMs < untilMs) this.#heard.delete(id);
		return [...this.#heard.values()];
	}

	/** Beacons that are older do not count. */
	#sinceMs(): number {
		return systemClock.monotonicMs() - heardIntervals * this.#options.config.discovery.intervalMs;
	}

	/**
	A beacon says that a member runs there if it proved lately that it is no replay. A node that could prove it and has
	not is only asked: its address may be of the past.
	*/
	#candidateOf({beacon: {address, phase}, freshness, provedAtMs}: Heard): Candidate {
		const isMember = phase === 'member' && provedAtMs >= this.#sinceMs();
		return {address, isMember, ...(phase === 'member' && freshness === 'unable' && {isReported: true})};
	}

	#onBeacon(beacon: Beacon, freshness: Freshness): void {
		const {id, address, self, onForeign, onDuplicate} = this.#options;
		if (beacon.id === id) {
			if (beacon.address !== address && freshness !== 'unproved') onDuplicate(beacon.address);
			return;
		}

		const nowMs = systemClock.monotonicMs();
		const known = this.#heard.get(beacon.id);
		if (known || this.#heard.size < heardMax) {
			const isSame = known?.beacon.address === beacon.address && known.beacon.phase === beacon.phase;
			const provedAtMs = freshness === 'proved' ? nowMs : isSame ? known.provedAtMs : Number.NEGATIVE_INFINITY;
			this.#heard.set(beacon.id, {beacon, atMs: nowMs, freshness, provedAtMs});
		}

		const {clusterId, isMember} = self();
		if (isMember && beacon.phase === 'member' && beacon.clusterId !== clusterId && freshness !== 'unproved')
			onForeign(beacon.clusterId, beacon.address);
	}
}
