/**
One process of a host, from its start to its end. It boots as `openBroker` does: it opens its storage, connects to the
network, reads its logs back, and then founds a cluster, continues in one, or joins one.
*/
import {identityKeyOf} from '../../../../core/access.ts';
import {namesProtocol, topicsProtocol} from '../../../../core/cluster-state/cluster-state.ts';
import type {KeyId} from '../../../../core/cluster-keys.ts';
import {endorse} from '../../../../core/membership/endorsement.ts';
import type {Judgement, Process} from '../../../../core/membership/duplicate-processes.ts';
import type {NodeId} from '../../../../core/message.ts';
import {defaultName} from '../../../../core/node-name.ts';
import type {NodeIo, NodeOptions} from '../../../../core/node/node-options.ts';
import {Node} from '../../../../core/node/node.ts';
import type {Candidate, Clock, Entropy} from '../../../../core/ports.ts';
import type {SeededRandom} from '../../random.ts';
import {KeyKeeper} from '../../../../core/node/key-keeper.ts';
import {replay} from '../../../../core/node-state/force-new-cluster.ts';
import {KeyRing} from '../../../../core/wire/key-ring.ts';
import {deriveKeys} from '../../../../core/wire/seal.ts';
import {simSecret} from '../key-operator.ts';
import {HeardBeacons, type DiscoveryMode} from '../discovery.ts';
import {limitToProtocol1, limitToProtocol2} from '../earlier-releases.ts';
import type {Beacon, Endpoint} from '../fabric.ts';
import type {Hello, Refusal} from '../handshake.ts';
import {simProofs} from './batch-proofs.ts';
import {EventLoop} from './event-loop.ts';
import type {Host} from './host.ts';
import {requestJoin} from './join-request.ts';
import {processClock} from './process-clock.ts';
import {simSigner} from './signer.ts';
import {openStorage, type Storage} from './storage.ts';

const dialMs = 200;

export class HostProcess implements Endpoint {
	readonly host: Host;
	readonly loop = new EventLoop();
	readonly id: NodeId;
	readonly key: string;
	readonly address: string;
	readonly isOn = true;
	readonly startMs: number;
	/** The newest protocol of its program. */
	readonly protocol: number;
	/** Beacons that it has received. */
	readonly heard = new HeardBeacons();
	readonly #random: SeededRandom;
	readonly #instance: string;
	readonly #clock: Clock;
	readonly #entropy: Entropy;
	readonly #ring: KeyRing;
	#storage: Storage | undefined;
	#node: Node | undefined;

	constructor(host: Host, random: SeededRandom) {
		this.host = host;
		this.id = host.id;
		this.key = host.key;
		this.address = host.address;
		this.protocol = host.protocol;
		this.#random = random;
		const {schedule, driftPerMille} = host.options;
		this.startMs = schedule.nowMs;
		this.#clock = processClock({schedule, loop: this.loop, driftPerMille, wallOffsetMs: () => host.wallOffsetMs});
		this.#entropy = {
			below: limit => random.below(limit),
			bytes: count => Buffer.from(Array.from({length: count}, () => random.below(256))),
		};
		this.#ring = new KeyRing({secret: secretOf(host), cluster: host.options.config.cluster});
		const digits = random.child('instance');
		this.#instance = Array.from({length: 16}, () => digits.below(16).toString(16)).join('');
	}

	/** The ids of the keys that it accepts, the one that it uses first. */
	get keys(): readonly KeyId[] {
		return this.#ring.valid.map(({id}) => id);
	}

	get isUp(): boolean {
		return !this.loop.isEnded;
	}

	/** Resolves once the node runs, or has begun to join. @throws if its storage cannot be opened */
	async start(): Promise<void> {
		const {host, protocol} = this;
		const {config, fabric, observer} = host.options;
		const storage = await openStorage(host, {
			clock: this.#clock,
			entropy: this.#entropy,
			openMax: this.#random.child('files').pick([4, 16, 64]),
			onShort: () => this.#node?.journal.bound('open-files'),
		});
		this.#storage = storage;
		const {dial, keyed, ...ports} = fabric.linksOf(this);
		const keys = this.#keyKeeper(storage);
		keys.connect(keyed);
		const {links, datagrams} = host.options.wire?.(ports) ?? ports;
		this.announce();
		this.#clock.every(config.discovery.intervalMs, () => this.announce());
		const node = new Node(this.#nodeOptions(storage, {links: observer.links.wrap(host, links), datagrams, keys}));
		if (protocol < namesProtocol) limitToProtocol1(node.control.state);
		else if (protocol < topicsProtocol) limitToProtocol2(node.control.state);
		this.#node = node;
		observer.booted(host, node, storage.raftStore);
		void node.closed.then(reason => host.stopped(this, reason));
		await node.start();
		observer.started(host, node);
		host.node = node;
		this.#clock.every(dialMs, dial);
		if (node.control.isMember) return node.run(node.control.state.clusterId || storage.state.clusterId);
		node.onPhase = () => {
			if (node.phase === 'running') host.joined();
		};

		void node.bootstrap();
	}

	/** Send a beacon to all hosts, if hosts find each other by beacons in this run. */
	announce(): void {
		const {
			host: {
				options: {fabric, mode = 'none'},
			},
			id,
			address,
		} = this;
		if (mode === 'none' || !this.#storage) return;
		fabric.announce(this.key, {
			id,
			incarnation: this.#storage.incarnation,
			instance: this.#instance,
			address,
			clusterId: this.#clusterId,
			phase: this.#node?.phase === 'running' ? 'member' : 'seeking',
		});
	}

	hello(): Hello {
		const {id, address, protocol} = this;
		const {foreignProtocol} = this.host;
		return {
			id,
			address,
			clusterId: this.#clusterId,
			incarnation: this.#storage?.incarnation ?? 0,
			version: 'sim',
			instance: protocol < namesProtocol ? '' : this.#instance,
			protocols:
				foreignProtocol === undefined
					? [this.#node?.control.state.protocol ?? 1, protocol]
					: [foreignProtocol, foreignProtocol],
		};
	}

	run(work: () => void): void {
		this.loop.run(work);
	}

	onFrame(from: NodeId, frame: Buffer): void {
		this.host.onFrame(from, frame);
	}

	onDatagram(from: NodeId, bytes: Buffer): void {
		this.host.onDatagram(from, bytes);
	}

	onBeacon(beacon: Beacon): void {
		this.host.onBeacon(beacon);
	}

	onLink(peer: NodeId, change: 'up' | 'down' | 'refused' | 'removed'): void {
		this.host.onLink(peer, change);
	}

	onUnknownPeer(peer: NodeId, address: string): void {
		this.host.onUnknownPeer(peer, address);
	}

	judge(peer: NodeId, caller: Process, linked: Process | undefined): Judgement {
		return this.host.judge(peer, caller, linked);
	}

	onDuplicate(peer: NodeId, refusal: Refusal): void {
		this.host.onDuplicate(peer, refusal);
	}

	get #clusterId(): string {
		return this.#node?.clusterId ?? this.#storage?.state.clusterId ?? '';
	}

	#nodeOptions(
		{state, incarnation, lamport, raftStore, io}: Storage,
		network: Pick<NodeIo, 'links' | 'datagrams' | 'keys'>,
	): NodeOptions {
		const {host, id, address} = this;
		const {config, replaces, raftLimits, owner} = host.options;
		const signer = host.hasForeignSecret ? deriveKeys({secret: host.secret, cluster: config.cluster}) : undefined;
		const isFresh = raftStore.isEmpty && state.clusterId === '';
		return {
			id,
			incarnation,
			lamport,
			config,
			address,
			instance: this.#instance,
			name: {text: defaultName('host', Number(address.split(':')[1])), isChosen: false},
			version: 'sim',
			protocolMax: this.protocol,
			clusterId: state.clusterId,
			topics: state.topics,
			raftLimits,
			owner: owner && identityKeyOf(owner.publicKey),
			endorsement: owner && endorse(owner, config.cluster, id),
			founding: isFresh ? this.#founding() : undefined,
			resignations: replaces.map(former => ({
				id: former,
				publicKey: new Uint8Array(32),
				signature: new Uint8Array(64),
			})),
			io: {
				...io,
				...network,
				clock: this.#clock,
				entropy: this.#entropy,
				raftStore,
				save: async rest => {
					await io.save(rest);
					host.hasJoined ||= rest.clusterId !== '';
				},
				signer: simSigner(id),
				peers: {
					candidates: async () => this.#candidates(state),
					ask: (at, frame) => requestJoin(this, at, frame),
				},
				isGenuine: () => true,
				faults: undefined,
				proofs: simProofs(id, {
					// What a node with a foreign secret publishes could never reach the others: that is not simulated.
					active: () => (signer ?? this.#ring.active).batch,
					valid: () => this.#ring.batchKeys,
				}),
			},
		};
	}

	/** As `core/host/network.ts` makes it; the secret file is a field of the host. */
	#keyKeeper({raftStore}: Storage): KeyKeeper {
		const {host} = this;
		const {topics: logged} = replay(raftStore.recovered, {topicsMax: Infinity, membersMax: Infinity});
		return new KeyKeeper({
			ring: this.#ring,
			isProtecting: true,
			file: {
				path: 'secret',
				read: () => secretOf(host),
				async replace(former, next) {
					if (host.options.writesSecret === false) throw new Error('the file is read-only');
					if (Buffer.from(former).equals(host.secret)) host.secret = next;
				},
			},
			stored: {keys: logged.keys.keys, index: logged.applied},
			problemOf: () => undefined,
			bytes: count => this.#entropy.bytes(count),
			nowMs: () => this.#clock.monotonicMs(),
			warn: () => undefined,
		});
	}

	#founding(): NodeOptions['founding'] {
		const {config, founds, bootstrap, mode = 'none', expect = 0} = this.host.options;
		const {seekMs} = config.discovery;
		const seeds = mode === 'list' || mode === 'list-with-self' ? bootstrap() : [];
		const byMode: Readonly<Record<DiscoveryMode, NodeOptions['founding']>> = {
			none: founds ? {seeds: [], expect: 0, seekMs: 0} : undefined,
			discovery: {seeds, expect: 0, seekMs},
			list: {seeds, expect: 0, seekMs: 0},
			'list-with-self': {seeds, expect: 0, seekMs: 0},
			expect: {seeds, expect, seekMs},
		};
		return byMode[mode];
	}

	#candidates({clusterId, members = []}: Storage['state']): readonly Candidate[] {
		const {
			host,
			host: {
				options: {bootstrap, config, founds, mode = 'none', schedule},
			},
		} = this;
		if (mode === 'none' && founds && clusterId === '') return [];
		if (this.#node?.phase !== 'running') this.announce();
		// A joining host gets the present addresses, a member those of its start.
		const list = this.#clusterId === '' ? bootstrap() : host.seekList;
		const former = members.filter(([other]) => other !== this.id).map(([, address]) => address);
		return this.heard.candidates([list, former], {
			clusterId: this.#clusterId,
			nowMs: schedule.nowMs - this.startMs,
			intervalMs: config.discovery.intervalMs,
		});
	}
}

/** What the node reads in its secret file. */
function secretOf({hasForeignSecret, secret}: Host): Uint8Array {
	return hasForeignSecret ? simSecret(-1) : secret;
}
