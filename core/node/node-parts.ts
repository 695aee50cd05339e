/**
The parts of a node, and the callbacks between them: agreed members reach SWIM, reachable peers reach gossip, evidence
of links reaches both. Parts never import one another; each asks the others through its options.
*/
import {Admin} from '../control/admin.ts';
import {Control} from '../control/control.ts';
import {KeyAdmin} from '../control/key-admin.ts';
import {DesiredSubscriptions} from '../control/desired-subscriptions.ts';
import {TopicAdmin} from '../control/topic-admin.ts';
import {Data} from '../data/data.ts';
import {signedBatchesProtocol} from '../data/proofs.ts';
import {normalizeTopic} from '../data/topic-named.ts';
import type {BrokerEvent} from '../events.ts';
import {FailureDetection} from '../membership/failure-detection.ts';
import type {JoinAnswer, JoinRequest} from '../membership/joining.ts';
import {PeerDirectory} from '../membership/peer-directory.ts';
import {Relay} from '../membership/relay.ts';
import type {NodeId, Topic} from '../message.ts';
import {NodeStateWriter} from '../node-state/node-state-writer.ts';
import {Journal} from '../observe/journal.ts';
import {Waiting} from '../observe/waiting.ts';
import type {Snapshot} from '../snapshot.ts';
import {encodeControl, encodePushHead} from '../wire/wire.ts';
import {Leaving} from './leaving.ts';
import {NodeGuard} from './node-guard.ts';
import type {NodeOptions} from './node-options.ts';
import {OwnIdentity} from './own-identity.ts';
import {OwnMessages} from './own-messages.ts';
import {Upkeep} from './upkeep.ts';

/** What the parts ask of the node that they belong to. */
export type NodeHooks = {
	/** One tick of all machines, milliseconds. */
	readonly tickMs: number;
	readonly clusterId: () => string;
	readonly phase: () => Snapshot['phase'];
	readonly join: (request: JoinRequest) => Promise<JoinAnswer>;
	/** The agreed state changed. */
	readonly onAgreed: () => void;
	/** Record a pause of this process before an event that the pause may explain. */
	readonly notePause: () => void;
	/** The disk failed. */
	readonly failed: (error: unknown) => void;
	/** Stop: the node left the cluster, or was removed. */
	readonly stop: (reason: string) => void;
	/** Stop: another process holds the identity of the node. */
	readonly refused: (reason: string) => void;
};

export class NodeParts {
	readonly journal: Journal;
	readonly waiting: Waiting;
	readonly control: Control;
	readonly identity: OwnIdentity;
	readonly peerDirectory: PeerDirectory;
	readonly failureDetection: FailureDetection;
	readonly admin: Admin;
	readonly relay: Relay;
	readonly data: Data;
	readonly desired: DesiredSubscriptions;
	readonly own: OwnMessages;
	readonly upkeep: Upkeep;
	readonly stateWriter: NodeStateWriter;
	readonly topicAdmin: TopicAdmin;
	readonly keyAdmin: KeyAdmin;
	readonly leaving: Leaving;
	readonly guard: NodeGuard;
	readonly #options: NodeOptions;
	readonly #hooks: NodeHooks;

	readonly #emit = (event: BrokerEvent): void => this.journal.record(event);
	readonly #nowMs = (): number => this.#options.io.clock.monotonicMs();
	readonly #awakeMs = (): number => this.failureDetection.awakeMs;
	readonly #agreedIncarnation = (node: NodeId): number | undefined => this.control.state.instance(node)?.incarnation;
	readonly #isReached = (node: NodeId): boolean => this.failureDetection.reach(node) !== undefined;

	constructor(options: NodeOptions, hooks: NodeHooks) {
		this.#options = options;
		this.#hooks = hooks;
		this.journal = this.#createJournal();
		this.waiting = new Waiting(this.#emit);
		this.control = this.#createControl();
		this.identity = this.#createIdentity();
		this.peerDirectory = this.#createPeerDirectory();
		this.failureDetection = this.#createFailureDetection();
		this.admin = new Admin(this.#adminOptions());
		this.relay = this.#createRelay();
		this.data = this.#createData();
		this.desired = this.#createDesired();
		this.own = new OwnMessages(this.data, () => this.desired.own);
		this.upkeep = this.#createUpkeep();
		void options.io.raftStore.failed.then(hooks.failed);
		this.stateWriter = this.#createStateWriter();
		this.topicAdmin = this.#createTopicAdmin();
		this.keyAdmin = this.#createKeyAdmin();
		this.leaving = this.#createLeaving();
		this.guard = this.#createGuard();
		for (const topic of options.topics) this.desired.own.add(topic);
	}

	#createJournal(): Journal {
		const {config, io} = this.#options;
		return new Journal({
			wallMs: () => io.clock.wallMs(),
			nameOf: node => this.control.state.name(node),
			feedMax: config.console.feed,
			eventsMax: config.console.events,
			previewBytes: config.console.previewBytes,
		});
	}

	#createControl(): Control {
		const {id, incarnation, lamport, config, io, raftLimits, protocolMax, address} = this.#options;
		const {tickMs, failed, notePause, onAgreed} = this.#hooks;
		return new Control({
			self: id,
			incarnation,
			lamport,
			random: io.entropy,
			tickMs,
			config,
			store: io.raftStore,
			nowMs: this.#nowMs,
			awakeMs: this.#awakeMs,
			failed,
			raftLimits,
			emit: event => {
				if (event.type === 'leader') notePause();
				this.#emit(event);
			},
			bound: name => this.journal.bound(name),
			protocolMax,
			speaks: peer => io.links.speaks(peer),
			isConfirmed: () => this.identity.isConfirmed,
			send: (to, packet) => void this.relay.send(to, encodeControl('raft', packet)),
			isReachable: node => this.failureDetection.isReachable(node),
			isReached: node => this.failureDetection.reach(node) !== undefined,
			isCalled: node => {
				const isCalled = io.links.called(node).state === 'works';
				if (!isCalled) io.links.tryCall(node);
				return isCalled;
			},
			addressOf: node => (node === id ? address : this.peerDirectory.address(node)),
			isGenuine: io.isGenuine,
			wallMs: () => io.clock.wallMs(),
			// A node that is joining answers a request that seeks nothing, and the handshake proves its id.
			dialBack: async at =>
				(await io.peers.ask(at, encodeControl('join', {id, address, clusterId: this.#hooks.clusterId()}))).id,
			onAgreed,
			announce: node => this.failureDetection.announce(node),
		});
	}

	#createIdentity(): OwnIdentity {
		const {id, incarnation, instance, name, address, config, io} = this.#options;
		const {clusterId, refused} = this.#hooks;
		return new OwnIdentity({
			self: id,
			incarnation,
			instance,
			name,
			address,
			cluster: config.cluster,
			control: this.control,
			links: io.links,
			nowMs: this.#nowMs,
			emit: this.#emit,
			clusterId,
			refused,
		});
	}

	#createPeerDirectory(): PeerDirectory {
		const {id, address, config, io} = this.#options;
		const {clusterId, join} = this.#hooks;
		return new PeerDirectory({
			self: id,
			address,
			topics: this.control.state,
			links: io.links,
			peers: io.peers,
			nowMs: this.#nowMs,
			leader: () => this.control.raft.leader,
			clusterId,
			join,
			seeds: config.bootstrap,
			foreign: (other, at) => this.identity.conflicts.foreign(other, at),
		});
	}

	#createFailureDetection(): FailureDetection {
		const {id, incarnation, config, io} = this.#options;
		return new FailureDetection({
			self: id,
			incarnation,
			random: io.entropy,
			tickMs: this.#hooks.tickMs,
			config,
			nowMs: this.#nowMs,
			emit: this.#emit,
			links: io.links,
			datagrams: io.datagrams,
			address: node => this.peerDirectory.address(node),
			voters: () => this.control.raft.configuration.voters,
			raft: () => {
				const {term, leader, applied, commit, progress} = this.control.raft.status();
				return {term, leader, applied, commit, matches: progress};
			},
			isDiskFull: () => io.room?.isFull ?? false,
			agreedIncarnation: this.#agreedIncarnation,
			name: node => this.control.state.name(node) || node.slice(0, 8),
			identity: this.identity,
			published: () => this.data.publisher.published,
			resync: peers => {
				this.data.gossip.resync(peers);
				this.data.schedulePump();
			},
		});
	}

	#createRelay(): Relay {
		return new Relay({
			self: this.#options.id,
			links: this.#options.io.links,
			isMember: node => this.control.state.address(node) !== undefined,
			reach: node => this.failureDetection.reach(node),
			incarnation: this.#options.incarnation,
			signer: this.#options.io.signer,
			agreedIncarnation: this.#agreedIncarnation,
			protocol: () => this.control.state.protocol,
			bound: name => this.journal.bound(name),
		});
	}

	#createData(): Data {
		const {id, incarnation, lamport, config, io} = this.#options;
		return new Data({
			self: id,
			incarnation,
			lamport,
			tickMs: this.#hooks.tickMs,
			config,
			stampable: () => this.stateWriter.stampable(),
			agreedProofs: {
				areSigned: () => this.control.state.protocol >= signedBatchesProtocol,
				hasMacs: (origin, process) => this.control.state.hasMacs(origin, process),
			},
			io: {
				clock: io.clock,
				random: io.entropy,
				proofs: io.proofs,
				hasRoom: () => !io.room?.isFull,
				openTopic: io.openTopic,
				removeTopic: io.removeTopic,
				retentionMs: io.retentionMs,
				noteAge: io.noteAge,
				sendPush: (to, batch, head) => io.links.send(to, [encodePushHead(head), batch.bytes]),
				sendControl: (to, packet) => void io.links.send(to, [encodeControl('gossip', packet)]),
				queuedBytes: to => io.links.queuedBytes(to),
			},
			hooks: {
				failed: this.#hooks.failed,
				rejected: (from, reason) => this.journal.reject(from, reason),
				delivered: items => this.journal.deliver(items),
				missed: (topic, origin, messages, isRetention) =>
					this.#emit({
						type: 'missed',
						topic,
						origin,
						messages,
						...(isRetention && {cause: 'retention'}),
					}),
				refilled: (topic, messages, missing) => this.#emit({type: 'refilled', topic, messages, missing}),
				synced: (peer, messages) => this.failureDetection.synced(peer, messages),
				deleted: (topic, deletion) => {
					if (deletion.unread > 0 || deletion.reason === 'disk' || deletion.reason === 'topic')
						this.#emit({type: 'deleted', topic, ...deletion});
				},
				bound: name => this.journal.bound(name),
			},
		});
	}

	#createDesired(): DesiredSubscriptions {
		const {id, config, former} = this.#options;
		return new DesiredSubscriptions({
			self: id,
			state: this.control.state,
			latest: topic => this.topicAdmin.latest(topic),
			propose: command => this.identity.propose(command),
			former: former?.since ?? [],
			given: new Set(config.topics.map(topic => normalizeTopic(topic as Topic))),
		});
	}

	#createUpkeep(): Upkeep {
		const {config, io} = this.#options;
		return new Upkeep({
			data: this.data,
			control: this.control,
			desired: this.desired,
			journal: this.journal,
			topicsMax: config.limits.topics,
			room: io.room,
			incarnationsRefused: () => this.failureDetection.incarnationsRefused,
			failed: this.#hooks.failed,
		});
	}

	#createStateWriter(): NodeStateWriter {
		const {id, former, lamport, io} = this.#options;
		return new NodeStateWriter({
			self: id,
			topics: this.control.state,
			interests: this.desired,
			failed: this.#hooks.failed,
			former: former?.members ?? [],
			clusterId: this.#hooks.clusterId,
			lamport,
			write: state => io.save(state),
		});
	}

	#createTopicAdmin(): TopicAdmin {
		const {lamport, config} = this.#options;
		return new TopicAdmin({
			...this.#adminOptions(),
			data: this.data,
			desired: this.desired,
			stateWriter: this.stateWriter,
			lamport,
			lamportJumpMax: config.gossip.lamportJumpMax,
			propose: command => this.identity.propose(command),
		});
	}

	#createKeyAdmin(): KeyAdmin {
		const {io} = this.#options;
		return new KeyAdmin({
			...this.#adminOptions(),
			keys: io.keys,
			wallMs: () => io.clock.wallMs(),
			propose: command => this.identity.propose(command),
		});
	}

	/** Options of all parts that answer operators. */
	#adminOptions(): ConstructorParameters<typeof Admin>[0] {
		return {
			self: this.#options.id,
			control: this.control,
			awakeMs: this.#awakeMs,
			label: node => this.control.state.name(node) || node,
			isReachable: this.#isReached,
			send: (to, kind, packet) => this.relay.send(to, encodeControl(kind, packet)),
			bound: name => this.journal.bound(name),
		};
	}

	#createGuard(): NodeGuard {
		const {id, owner} = this.#options;
		return new NodeGuard({
			self: id,
			owner,
			state: this.control.state,
			propose: command => this.identity.propose(command),
			caughtUp: () => this.identity.gate.wait(),
			record: this.#emit,
			bound: (name, who) => this.journal.bound(name, who),
			nowMs: this.#nowMs,
		});
	}

	#createLeaving(): Leaving {
		const {phase, stop, failed} = this.#hooks;
		return new Leaving({
			admin: this.admin,
			stateWriter: this.stateWriter,
			state: this.control.state,
			hasAsked: this.#options.former?.left === 'asked',
			phase,
			stop,
			failed,
		});
	}
}
