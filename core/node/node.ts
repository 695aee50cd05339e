/**
A node: the machines, and the pump that gives them time and packets and carries out what they have ready. It introduces
the machines to one another (agreed members to SWIM, reachable peers to gossip, evidence of links to all) and is what a
program holds. All chance, time, disks and sockets come in through `NodeIo`.
*/
import {parseAddress} from '../address.ts';
import type {
	DeletedTopic,
	FaultCommand,
	Published,
	SubscribeOptions,
	Subscription,
	TopicChange,
	TopicSettings,
} from '../broker.ts';
import {Admin} from '../control/admin.ts';
import {Control} from '../control/control.ts';
import {DesiredSubscriptions} from '../control/desired-subscriptions.ts';
import {TopicAdmin} from '../control/topic-admin.ts';
import {Data} from '../data/data.ts';
import type {BatchSink} from '../data/reader.ts';
import {normalizeTopic, topicNamed} from '../data/topic-named.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {BrokerEvent, RecordedEvent} from '../events.ts';
import {parseGossipPacket} from '../gossip/packet.ts';
import {CrashEvidence} from '../membership/crash-evidence.ts';
import type {Entering} from '../membership/entering.ts';
import {FailureDetection} from '../membership/failure-detection.ts';
import type {JoinAnswer, JoinRequest} from '../membership/joining.ts';
import {PeerDirectory} from '../membership/peer-directory.ts';
import {Relay} from '../membership/relay.ts';
import type {NodeId, Topic} from '../message.ts';
import {NodeStateWriter} from '../node-state/node-state-writer.ts';
import {Journal} from '../observe/journal.ts';
import {PauseWatch} from '../observe/pause.ts';
import {Waiting} from '../observe/waiting.ts';
import {Watchers} from '../observe/watchers.ts';
import type {Place} from '../position.ts';
import {parseRaftPacket} from '../raft/packet.ts';
import type {BatchReading, ServedBroker} from '../remote/server.ts';
import type {Snapshot} from '../snapshot.ts';
import {Stack} from '../stack.ts';
import {parseSwimPacket} from '../swim/packet.ts';
import {decodeControl, decodePushHead, encodeControl, encodePushHead, kinds, pushHeaderBytes} from '../wire/wire.ts';
import {createEntering} from './enter.ts';
import {EventStream} from './event-stream.ts';
import {Leaving} from './leaving.ts';
import {publishHere} from './local-publishing.ts';
import {readBatches, subscribeHere} from './local-reading.ts';
import type {NodeOptions} from './node-options.ts';
import {OwnIdentity} from './own-identity.ts';
import {OwnMessages, type FeedFrom} from './own-messages.ts';
import {subscribeNode, unsubscribeNode, type OwnSubscriptionsOptions} from './own-subscriptions.ts';
import {faultsOf, viewOf} from './snapshot-of.ts';
import {Upkeep} from './upkeep.ts';

export type * from './node-options.ts';

const tickMs = 25;
const careMs = 1000;

export class Node implements ServedBroker {
	readonly id: NodeId;
	readonly journal: Journal;
	readonly control: Control;
	readonly data: Data;
	readonly failureDetection: FailureDetection;
	readonly desired: DesiredSubscriptions;
	readonly own: OwnMessages;
	readonly identity: OwnIdentity;
	readonly options: NodeOptions;
	readonly closed: Promise<string>;
	readonly startedMs: number;
	readonly waiting: Waiting;
	clusterId: string;
	readonly #watchers: Watchers;
	readonly #timers = new Stack();
	readonly #closed = Promise.withResolvers<string>();
	/** Called when `phase` changes. */
	onPhase: (() => void) | undefined;
	#phase: Snapshot['phase'] = 'starting';
	#reachable = '';
	readonly #crashEvidence = new CrashEvidence();
	readonly #pauses: PauseWatch;
	readonly #peerDirectory: PeerDirectory;
	readonly #admin: Admin;
	readonly #topicAdmin: TopicAdmin;
	readonly #subscriptions: OwnSubscriptionsOptions;
	readonly #relay: Relay;
	#caredMs = 0;
	#couldAgree = false;
	readonly #upkeep: Upkeep;
	readonly #stateWriter: NodeStateWriter;
	#entering: Entering | undefined;
	#stopping: Promise<void> | undefined;
	readonly leaving: Leaving;
	/** Of the disk, also during the stop: then it was not a clean one. */
	#failure: string | undefined;

	constructor(options: NodeOptions) {
		const {id, incarnation, lamport, config, io} = options;
		this.options = options;
		this.id = id;
		this.clusterId = options.clusterId;
		this.closed = this.#closed.promise;
		this.startedMs = io.clock.monotonicMs();
		// What costs a leader its leadership is worth a report.
		this.#pauses = new PauseWatch({tickMs, pauseMs: config.raft.electionMs, nowMs: this.startedMs});
		const nowMs = (): number => io.clock.monotonicMs();
		const label = (node: NodeId): string => this.control.state.name(node) || node;
		const isReached = (node: NodeId): boolean => this.failureDetection.reach(node) !== undefined;
		const sendControl = (to: NodeId, kind: 'manage' | 'managed', packet: unknown): boolean =>
			this.#relay.send(to, encodeControl(kind, packet));
		const failed = (error: unknown): void => this.#fail(error);
		this.journal = new Journal({
			wallMs: () => io.clock.wallMs(),
			nameOf: node => this.control.state.name(node),
			feedMax: config.console.feed,
			eventsMax: config.console.events,
			previewBytes: config.console.previewBytes,
		});
		this.#watchers = new Watchers({
			clock: io.clock,
			intervalMs: 1000 / config.console.framesPerSecond,
			view: () => viewOf(this),
		});
		const emit = (event: BrokerEvent): void => this.journal.record(event);
		this.waiting = new Waiting(emit);
		this.control = new Control({
			self: id,
			incarnation,
			lamport,
			random: io.entropy,
			tickMs,
			config,
			store: io.raftStore,
			nowMs,
			failed,
			raftLimits: options.raftLimits,
			emit: event => {
				if (event.type === 'leader') this.#notePause(); // The pause comes first, for it explains the change.
				emit(event);
			},
			protocolMax: options.protocolMax,
			speaks: peer => io.links.speaks(peer),
			isConfirmed: () => this.identity.isConfirmed,
			send: (to, packet) => void this.#relay.send(to, encodeControl('raft', packet)),
			isReachable: node => this.failureDetection.isReachable(node),
			isReached: node => this.failureDetection.reach(node) !== undefined,
			isCalled: node => {
				const isCalled = io.links.called(node).state === 'works';
				if (!isCalled) io.links.tryCall(node);
				return isCalled;
			},
			addressOf: node => (node === id ? options.address : this.#peerDirectory.address(node)),
			isGenuine: io.isGenuine,
			onAgreed: () => this.#onAgreed(),
			announce: node => this.failureDetection.announce(node),
		});
		this.identity = new OwnIdentity({
			self: id,
			incarnation,
			instance: options.instance,
			name: options.name,
			address: options.address,
			cluster: config.cluster,
			control: this.control,
			links: io.links,
			nowMs,
			emit,
			clusterId: () => this.clusterId,
			refused: reason => void this.stop(reason),
		});
		this.#peerDirectory = new PeerDirectory({
			self: id,
			address: options.address,
			topics: this.control.state,
			links: io.links,
			peers: io.peers,
			nowMs,
			leader: () => this.control.raft.leader,
			clusterId: () => this.clusterId,
			join: request => this.onJoin(request),
			seeds: config.bootstrap,
			foreign: (other, at) => this.identity.sightings.foreign(other, at),
		});
		this.failureDetection = new FailureDetection({
			self: id,
			incarnation,
			random: io.entropy,
			tickMs,
			config,
			nowMs,
			emit,
			links: io.links,
			datagrams: io.datagrams,
			address: node => this.#peerDirectory.address(node),
			voters: () => this.control.raft.configuration.voters,
			raft: () => {
				const {term, leader, applied, commit, progress} = this.control.raft.status();
				return {term, leader, applied, commit, matches: progress};
			},
			name: node => this.control.state.name(node) || node.slice(0, 8),
			identity: this.identity,
			published: () => this.data.publisher.published,
			resync: peers => {
				this.data.gossip.resync(peers);
				this.data.schedulePump();
			},
		});
		this.#admin = new Admin({
			self: id,
			control: this.control,
			nowMs,
			label,
			isReachable: isReached,
			send: sendControl,
		});
		this.#relay = new Relay({
			self: id,
			links: io.links,
			isMember: node => this.control.state.address(node) !== undefined,
			reach: node => this.failureDetection.reach(node),
			bound: name => this.journal.bound(name),
		});
		this.data = new Data({
			self: id,
			incarnation,
			lamport,
			tickMs,
			config,
			stampable: () => this.#stateWriter.stampable(),
			io: {
				clock: io.clock,
				random: io.entropy,
				sign: io.sign,
				verify: io.verify,
				openTopic: io.openTopic,
				removeTopic: io.removeTopic,
				retentionMs: io.retentionMs,
				noteAge: io.noteAge,
				sendPush: (to, batch, head) => io.links.send(to, [encodePushHead(head), batch.bytes]),
				sendControl: (to, packet) => void io.links.send(to, [encodeControl('gossip', packet)]),
				queuedBytes: to => io.links.queuedBytes(to),
			},
			hooks: {
				failed,
				rejected: (from, reason) => this.journal.reject(from, reason),
				delivered: items => this.journal.deliver(items),
				missed: (topic, origin, messages) => emit({type: 'missed', topic, origin, messages}),
				refilled: (topic, messages, missing) => emit({type: 'refilled', topic, messages, missing}),
				synced: (peer, messages) => this.failureDetection.synced(peer, messages),
				deleted(topic, deletion) {
					if (deletion.unread > 0 || deletion.reason === 'disk' || deletion.reason === 'topic')
						emit({type: 'deleted', topic, ...deletion});
				},
				bound: name => this.journal.bound(name),
			},
		});
		this.desired = new DesiredSubscriptions({
			self: id,
			topics: this.control.state,
			latest: topic => this.#topicAdmin.latest(topic),
			propose: command => this.identity.propose(command),
			former: options.former?.since ?? [],
			given: new Set(config.topics.map(topic => normalizeTopic(topic as Topic))),
		});
		this.own = new OwnMessages(this.data, () => this.desired.own);
		this.#upkeep = new Upkeep({
			data: this.data,
			control: this.control,
			interests: this.desired,
			journal: this.journal,
			topicsMax: config.limits.topics,
			room: io.room,
			failed,
		});
		void io.raftStore.failed.then(failed);
		this.#stateWriter = new NodeStateWriter({
			self: id,
			topics: this.control.state,
			interests: this.desired,
			failed,
			former: options.former?.members ?? [],
			clusterId: () => this.clusterId,
			lamport,
			write: state => io.save(state),
		});
		this.#subscriptions = {data: this.data, interests: this.desired, own: this.own, keeping: this.#stateWriter};
		this.#topicAdmin = new TopicAdmin({
			...this.#subscriptions,
			self: id,
			control: this.control,
			lamport,
			lamportJumpMax: config.gossip.lamportJumpMax,
			nowMs,
			label,
			isReachable: isReached,
			send: sendControl,
			propose: command => this.identity.propose(command),
		});
		this.leaving = new Leaving({
			management: this.#admin,
			keeping: this.#stateWriter,
			topics: this.control.state,
			hasAsked: options.former?.left === 'asked',
			phase: () => this.phase,
			stop: reason => void this.stop(reason),
			failed,
		});
		for (const topic of options.topics) this.desired.own.add(topic);
	}

	get phase(): Snapshot['phase'] {
		return this.#phase;
	}

	set phase(phase: Snapshot['phase']) {
		if (phase === this.#phase) return;
		this.#phase = phase;
		this.onPhase?.();
	}

	/** Read the logs back; then time begins. Packets may come in afterwards. */
	async start(): Promise<void> {
		const {io} = this.options;
		this.#topicAdmin.agreed();
		await this.#upkeep.recover(io.knownTopics, this.options.topics);
		this.#onAgreed();
		this.#pauses.ticked(io.clock.monotonicMs());
		// A timer that is late finds the heartbeats of the stall still unread: they are read before the beat is given,
		// so that a stall of this process is not taken for a dead leader.
		this.#timers.use(io.clock.every(tickMs, () => io.clock.soon(() => this.#tick())));
		this.control.schedulePump();
	}

	/** The node is a member, by its own log or by the word of the cluster. */
	run(clusterId: string): void {
		if (this.phase !== 'running')
			this.journal.record({
				type: 'admitted',
				id: this.id,
				clusterId: clusterId === '' ? this.clusterId : clusterId,
			});
		this.phase = 'running';
		this.#entering?.stop();
		this.#entering = undefined;
		this.waiting.end();
		if (clusterId !== '' && clusterId !== this.clusterId) {
			this.clusterId = clusterId;
			void this.#stateWriter.save();
		}
	}

	/**
	Become a member: found a cluster, where that is allowed, or join one. Resolves once this node knows which, or that
	it must wait for others.
	*/
	enter(): Promise<void> {
		let founding: Promise<void> | undefined;
		this.phase = 'joining';
		const entering = createEntering(this.options, {
			clusterId: () => this.clusterId,
			waitFor: text => this.waiting.for(text),
			refused: error => void this.stop(errorMessage(error)),
			joined: ({clusterId, members}) => this.setJoined(clusterId, members),
			found: facts => {
				founding = this.control.found(facts).then(
					() => this.run(facts.clusterId),
					(error: unknown) => this.#fail(error),
				);
			},
		});
		this.#entering = entering;
		entering.start();
		return entering.settled.then(() => founding);
	}

	/** Members as the cluster told a node that joins, until its own log names them. */
	setJoined(clusterId: string, members: ReadonlyArray<readonly [NodeId, string]>): void {
		this.run(clusterId);
		this.#peerDirectory.report(members);
	}

	// What comes in.

	onFrame(from: NodeId, frame: Buffer): void {
		this.failureDetection.heard(from);
		if (frame[0] !== kinds.relay) return this.#onFrame(from, frame);
		const relayed = this.#relay.onFrame(from, frame);
		if (relayed.type === 'deliver') this.#onFrame(relayed.from, relayed.inner);
		else if (relayed.type === 'refused') this.journal.reject(from, 'malformed');
	}

	#onFrame(from: NodeId, frame: Buffer): void {
		switch (frame[0]) {
			case kinds.push: {
				const head = decodePushHead(frame);
				if (head) this.data.onPush(from, head, frame.subarray(pushHeaderBytes));
				else this.journal.reject(from, 'malformed');
				return;
			}

			case kinds.raft: {
				const packet = parseRaftPacket(decodeControl(frame));
				if (packet) this.control.step(from, packet);
				else this.journal.reject(from, 'malformed');
				this.#admin.check();
				return;
			}

			case kinds.gossip: {
				const packet = parseGossipPacket(decodeControl(frame));
				if (packet) this.data.onControl(from, packet);
				else this.journal.reject(from, 'malformed');
				return;
			}

			case kinds.swim:
				return this.#onSwim(from, frame, 'link');
			case kinds.join:
				return this.#judge(from, this.#peerDirectory.onAsked(from, frame));
			case kinds.joined:
				return this.#judge(from, this.#peerDirectory.onAnswered(frame));
			case kinds.probe:
				return this.identity.onProbe(from, frame);
			case kinds.present:
				return this.identity.doubles.answered(from);
			case kinds.manage:
				return this.#judge(from, this.#topicAdmin.onQuestion(from, frame) || this.#admin.onWish(from, frame));
			case kinds.managed:
				return this.#judge(from, this.#topicAdmin.onAnswer(from, frame) || this.#admin.onAnswer(frame));
			default:
				this.#judge(from, false);
		}
	}

	onDatagram(from: NodeId, bytes: Buffer): void {
		this.#onSwim(from, bytes, 'datagram');
	}

	/** `removed`: the peer says that this node was taken out of the cluster, which it may have slept through. */
	onLink(peer: NodeId, change: 'up' | 'down' | 'refused' | 'removed'): void {
		if (change === 'removed') return this.#onRemoved();
		if (change === 'up') {
			this.control.raft.linkUp(peer);
			this.#peerDirectory.observe(peer, this.options.io.links.address(peer));
		}

		this.failureDetection.link(peer, change);
		this.#updateReachable();
		if (this.#crashEvidence.link(peer, change)) this.control.crashed(peer);
	}

	/** A member of this cluster, which this node does not know, called. */
	onStranger(peer: NodeId, address: string): void {
		if (this.phase === 'running') this.#peerDirectory.acceptCaller(peer, address);
	}

	async onJoin(request: JoinRequest): Promise<JoinAnswer> {
		if (this.#entering) return this.#entering.onRequest(request);
		const answer = await this.control.join(request);
		// The answer tells the other node about this cluster; this node notes the cluster that the question came from.
		if (answer.type === 'refused' && answer.clusterId !== undefined && parseAddress(request.address))
			this.identity.sightings.foreign(request.clusterId, request.address);
		return answer;
	}

	// What a program can do.

	async publish(topic: Topic, bodies: readonly Uint8Array[]): Promise<Published> {
		return publishHere(
			{identity: this.identity, data: this.data, journal: this.journal, room: this.options.io.room},
			topicNamed(topic),
			bodies,
		);
	}

	subscribe(topics: readonly Topic[], options: SubscribeOptions = {}): Subscription {
		return subscribeHere(
			this,
			topics.map(topic => normalizeTopic(topic)),
			options,
		);
	}

	readBatches(topics: readonly Topic[], place: Place, sink: BatchSink): BatchReading {
		return readBatches(
			this,
			topics.map(topic => normalizeTopic(topic)),
			place,
			sink,
		);
	}

	subscribeNode(topic: Topic): Promise<void> {
		return subscribeNode(this.#subscriptions, topic);
	}

	unsubscribeNode(topic: Topic): Promise<void> {
		return unsubscribeNode(this.#subscriptions, topic);
	}

	createTopic(
		topic: Topic,
		settings: TopicSettings = {},
		{update = false}: {readonly update?: boolean} = {},
	): Promise<TopicChange> {
		return this.#topicAdmin.create(topic, settings, update);
	}

	deleteTopic(topic: Topic, {force = false}: {readonly force?: boolean} = {}): Promise<DeletedTopic> {
		return this.#topicAdmin.delete(topic, force);
	}

	async snapshot(): Promise<Snapshot> {
		return viewOf(this);
	}

	watch(onSnapshot: (snapshot: Snapshot) => void): Disposable {
		return this.#watchers.add(onSnapshot);
	}

	events({
		messages = false,
		from = 'now',
	}: {readonly messages?: boolean; readonly from?: FeedFrom} = {}): AsyncIterableIterator<RecordedEvent> {
		return new EventStream(this.journal.watch(), messages ? this.own.open(from) : undefined, () =>
			this.options.io.clock.wallMs(),
		);
	}

	readIndex(): Promise<number> {
		return this.control.readIndex();
	}

	transferLeadership(to?: NodeId): Promise<NodeId | undefined> {
		return this.#admin.transfer(to);
	}

	removeMember(node: NodeId): Promise<void> {
		return this.#admin.remove(node);
	}

	leave(): Promise<void> {
		return this.leaving.leave();
	}

	async fault(command: FaultCommand): Promise<void> {
		const {faults} = this.options.io;
		if (!faults) throw new DapssError('refused', 'This node takes no faults: start it with --faults');
		faults.apply(command);
		this.journal.record({type: 'fault', text: faultsOf(this).join(', ') || 'healed'});
	}

	/** Stop: say goodbye, hand leadership over, bring everything to the disk. */
	stop(reason: string): Promise<void> {
		this.#stopping ??= this.#stop(reason);
		return this.#stopping;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.stop('stopped');
	}

	async #stop(reason: string): Promise<void> {
		this.phase = 'stopping';
		this.#entering?.stop();
		this.#peerDirectory.close();
		this.identity.gate.close();
		this.control.stepAside();
		this.failureDetection.leave();
		this.#timers.dispose();
		this.#watchers[Symbol.dispose]();
		this.control.close();
		this.#admin.close();
		this.#topicAdmin.close();
		const behind = await this.own.readOut(this.options.io.clock);
		if (behind > 0)
			this.journal.record({
				type: 'warning',
				text: `The node stops while who follows it is ${behind} messages behind: they are in its log`,
			});
		await this.data[Symbol.asyncDispose]();
		await this.#stateWriter.settled();
		await this.options.io.raftStore[Symbol.asyncDispose]().catch(() => undefined);
		const why = this.#failure ?? reason;
		this.journal.record({type: 'stopped', reason: why});
		this.journal.close();
		this.#closed.resolve(why);
	}

	#judge(from: NodeId, isSound: boolean): void {
		if (!isSound) this.journal.reject(from, 'malformed');
	}

	#onSwim(from: NodeId, frame: Buffer, channel: 'datagram' | 'link'): void {
		const value = frame[0] === kinds.swim ? decodeControl(frame) : undefined;
		const {to} = Object(value) as {readonly to?: unknown};
		// For a member that had this address before.
		if (channel === 'datagram' && typeof to === 'string' && to !== this.id) return;
		const packet = parseSwimPacket(value);
		if (packet) this.failureDetection.step(from, packet, channel);
		else this.journal.reject(from, 'malformed');
	}

	#tick(): void {
		if (this.#stopping) return;
		const {io, lamport} = this.options;
		const nowMs = io.clock.monotonicMs();
		this.#notePause();
		this.#pauses.ticked(nowMs);
		this.failureDetection.tick();
		this.#relay.tick();
		this.#updateReachable();
		this.control.tick();
		if (this.phase === 'running') this.identity.tick();
		else this.identity.gate.tick();
		this.#admin.check();
		this.#topicAdmin.tick();
		this.data.tick();
		const canAgree = this.#canAgree();
		// What waited for a leader is proposed as soon as there is one.
		if (nowMs - this.#caredMs >= careMs || (canAgree && !this.#couldAgree)) {
			this.#caredMs = nowMs;
			this.#housekeep();
		}

		this.#couldAgree = canAgree;
		if (lamport.nextCeiling() !== undefined) void this.#stateWriter.save();
		this.#upkeep.tick(nowMs);
	}

	#notePause(): void {
		const forMs = this.#pauses.check(this.options.io.clock.monotonicMs());
		if (forMs !== undefined) this.journal.record({type: 'paused', forMs});
	}

	#canAgree(): boolean {
		return this.phase === 'running' && this.control.raft.leader !== undefined && this.identity.isConfirmed;
	}

	#housekeep(): void {
		if (this.phase !== 'running') return;
		this.#peerDirectory.ask();
		if (!this.#canAgree()) return;
		this.desired.reconcileAll();
		this.identity.housekeep();
	}

	/** The agreed state changed: tell the machines and the links. */
	#onAgreed(): void {
		const {state: topics} = this.control;
		this.identity.claim.update();
		this.#admin.check();
		const members = topics.members();
		if (members.length > 0) {
			this.#peerDirectory.link();
			this.failureDetection.setMembers(members.map(({id}) => id));
			this.#crashEvidence.setMembers(members.map(({id}) => id));
			// One that asks to be taken in may hear that it is a member from the leader, before anybody answers.
			const isAdmitted = this.phase === 'joining' && topics.address(this.id) !== undefined;
			if (topics.clusterId !== '' && (topics.clusterId !== this.clusterId || isAdmitted))
				this.run(topics.clusterId);
			this.#stateWriter.agreed();
		}

		this.data.gossip.setRemoved(topics.removed());
		// Who reads what was deleted subscribes anew at the next tick.
		if (this.#topicAdmin.agreed()) this.#couldAgree = false;
		this.data.setSubscriptions(
			new Map(
				topics
					.topics()
					.map(({name, subscribers, settings}) => [
						name,
						{subscribers: [...subscribers.keys()].toSorted(), since: subscribers.get(this.id), settings},
					]),
			),
		);
		this.desired.agreed();
		this.own.update();
		if (topics.isRemoved(this.id)) this.#onRemoved();
	}

	#onRemoved(): void {
		this.#admin.removed();
		this.leaving.onRemoved();
	}

	/** Gossip pushes only where a link is up and the peer is heard. */
	#updateReachable(): void {
		const {links} = this.options.io;
		const reachable = this.control.state
			.members()
			.map(({id}) => id)
			.filter(id => id !== this.id && links.state(id).state === 'up' && this.failureDetection.isReachable(id));
		const key = reachable.join(' ');
		if (key === this.#reachable) return;
		this.#reachable = key;
		this.data.gossip.setReachable(reachable);
		this.data.schedulePump();
	}

	/** The first storage error stops the node: a disk that failed once may lie afterwards. */
	#fail(error: unknown): void {
		// What is refused because the node is stopping is no failure of its disk.
		const isOurs = this.#stopping !== undefined && !(error instanceof DapssError && error.code === 'storage');
		if (this.#failure !== undefined || isOurs) return;
		this.#failure = errorMessage(error);
		this.journal.record({type: 'warning', text: this.#failure});
		void this.stop(this.#failure);
	}
}
