/**
A node: it drives the protocol machines (Raft in `control/`, gossip in `data/`, SWIM in `membership/`), and implements
the interface for programs. Time, randomness, disks and sockets come in through `NodeIo`. The loop:

1. Tick: every 25 ms the node advances all machines by one tick. Packets that arrived earlier are read before the tick,
   so that a stall of this process does not look like a dead leader.
2. Step: a frame or a datagram is parsed and passed to the machine of its kind. Malformed input is counted and dropped.
3. Ready: `Control` and `Data` take the work that Raft and gossip have queued, until there is none.
4. Persist: `Control` writes hard state and entries, and waits until they are durable. `Data` appends released messages
   to the logs of their topics.
5. Send: `Control` sends Raft's packets; only a leader's appends leave before step 4. The packets of gossip and SWIM do
   not wait for the disk.
6. Apply: `Control` applies committed entries to the cluster state, and `#onAgreed` passes new members and subscriptions
   to all parts. `Data` delivers messages in the order of their log once they are written.
7. Advance: Raft learns that its work is durable and applied. Step 3 follows.

`NodeParts` creates the parts and the callbacks between them.
*/
import * as v from 'valibot';
import type {AccessChange, AccessReport} from '../access.ts';
import {parseAddress} from '../address.ts';
import {expectBodies, expectNodeId, expectTopic, expectTopics} from '../broker-arguments.ts';
import type {
	DeletedTopic,
	FaultCommand,
	MessageBody,
	Published,
	SubscribeOptions,
	Subscription,
	TopicChange,
	TopicSettings,
} from '../broker.ts';
import type {ChangedKey, KeyRequest, KeysReport} from '../cluster-keys.ts';
import type {Control} from '../control/control.ts';
import type {DesiredSubscriptions} from '../control/desired-subscriptions.ts';
import type {Data} from '../data/data.ts';
import type {BatchSink} from '../data/reader.ts';
import {TurnBudget} from '../data/turn-budget.ts';
import {normalizeTopic, topicNamed} from '../data/topic-named.ts';
import {DapssError, errorMessage} from '../errors.ts';
import type {RecordedEvent, TrackedEvent} from '../events.ts';
import {parseGossipPacket} from '../gossip/packet.ts';
import type {Bootstrapping} from '../membership/bootstrapping.ts';
import {CrashEvidence} from '../membership/crash-evidence.ts';
import type {FailureDetection} from '../membership/failure-detection.ts';
import type {JoinAnswer, JoinRequest} from '../membership/joining.ts';
import type {NodeId, Topic} from '../message.ts';
import type {Journal} from '../observe/journal.ts';
import {PauseWatch} from '../observe/pause.ts';
import type {Waiting} from '../observe/waiting.ts';
import {Watchers} from '../observe/watchers.ts';
import type {Place, TopicPosition} from '../position.ts';
import {faultSchema} from '../remote/protocol.ts';
import {parseRaftPacket} from '../raft/packet.ts';
import {localCaller, type Caller} from '../remote/permissions.ts';
import type {BatchReading, ServedBroker} from '../remote/server.ts';
import type {Snapshot} from '../snapshot.ts';
import {Stack} from '../stack.ts';
import {parseSwimPacket} from '../swim/packet.ts';
import {isRelayKind} from '../wire/relay-frame.ts';
import {decodeControl, decodePushHead, kinds, pushHeaderBytes} from '../wire/wire.ts';
import {createBootstrapping} from './bootstrap.ts';
import {EventStream} from './event-stream.ts';
import type {Leaving} from './leaving.ts';
import {publishHere} from './local-publishing.ts';
import {readBatches, subscribeHere} from './local-reading.ts';
import type {NodeGuard} from './node-guard.ts';
import type {NodeOptions} from './node-options.ts';
import {NodeParts} from './node-parts.ts';
import type {OwnIdentity} from './own-identity.ts';
import type {FeedFrom, OwnFeed, OwnMessages} from './own-messages.ts';
import {subscribeNode, unsubscribeNode} from './own-subscriptions.ts';
import {faultsOf, viewOf} from './snapshot-of.ts';

export type * from './node-options.ts';

const tickMs = 25;
const housekeepMs = 1000;
/** Topics that readers open in one turn of the event loop: about a millisecond. */
const opensPerTurn = 128;

export class Node implements ServedBroker {
	readonly id: NodeId;
	readonly options: NodeOptions;
	readonly closed: Promise<string>;
	readonly startedMs: number;
	clusterId: string;
	readonly #parts: NodeParts;
	readonly #watchers: Watchers;
	readonly #timers = new Stack();
	readonly opening: TurnBudget;
	readonly #closed = Promise.withResolvers<string>();
	/** Called when `phase` changes. */
	onPhase: (() => void) | undefined;
	#phase: Snapshot['phase'] = 'starting';
	#reachable = '';
	readonly #crashEvidence = new CrashEvidence();
	readonly #pauses: PauseWatch;
	#housekeptMs = 0;
	#couldAgree = false;
	/** Set while the node joins or founds a cluster. */
	#bootstrapping: Bootstrapping | undefined;
	#stopping: Promise<void> | undefined;
	/** The first failure of the disk. A failure during the stop counts too: the stop was not clean. */
	#failure: string | undefined;

	constructor(options: NodeOptions) {
		const {config, io} = options;
		this.options = options;
		this.id = options.id;
		this.clusterId = options.clusterId;
		this.closed = this.#closed.promise;
		this.startedMs = io.clock.monotonicMs();
		this.opening = new TurnBudget({soon: run => io.clock.soon(run), max: opensPerTurn, slice: opensPerTurn / 4});
		// A pause of an election timeout costs a leader its leadership, so it is reported.
		this.#pauses = new PauseWatch({tickMs, pauseMs: config.raft.electionMs, nowMs: this.startedMs});
		this.#watchers = new Watchers({
			clock: io.clock,
			intervalMs: 1000 / config.console.framesPerSecond,
			view: () => viewOf(this),
		});
		this.#parts = new NodeParts(options, {
			tickMs,
			clusterId: () => this.clusterId,
			phase: () => this.phase,
			join: request => this.onJoin(request),
			onAgreed: () => this.#onAgreed(),
			notePause: () => this.#notePause(),
			failed: error => this.#fail(error),
			stop: reason => void this.stop(reason),
			refused: reason => void this.#stopUnasked(reason),
		});
	}

	get journal(): Journal {
		return this.#parts.journal;
	}

	get control(): Control {
		return this.#parts.control;
	}

	get data(): Data {
		return this.#parts.data;
	}

	get failureDetection(): FailureDetection {
		return this.#parts.failureDetection;
	}

	get desired(): DesiredSubscriptions {
		return this.#parts.desired;
	}

	get own(): OwnMessages {
		return this.#parts.own;
	}

	get identity(): OwnIdentity {
		return this.#parts.identity;
	}

	get leaving(): Leaving {
		return this.#parts.leaving;
	}

	get waiting(): Waiting {
		return this.#parts.waiting;
	}

	get guard(): NodeGuard {
		return this.#parts.guard;
	}

	get phase(): Snapshot['phase'] {
		return this.#phase;
	}

	set phase(phase: Snapshot['phase']) {
		if (phase === this.#phase) return;
		this.#phase = phase;
		this.onPhase?.();
	}

	/** Recover the logs, then start the ticks. Packets may come in once this resolves. */
	async start(): Promise<void> {
		const {io} = this.options;
		this.#parts.topicAdmin.agreed();
		await this.#parts.upkeep.recover(io.knownTopics, this.options.topics);
		this.#onAgreed();
		this.#pauses.ticked(io.clock.monotonicMs());
		// After a stall the timer runs before the sockets are read. `soon` lets the heartbeats of the stall be read
		// first.
		this.#timers.use(io.clock.every(tickMs, () => io.clock.soon(() => this.#tick())));
		this.control.schedulePump();
	}

	/** The node is a member, by its own log or by the answer of a member. */
	run(clusterId: string): void {
		if (this.phase !== 'running')
			this.journal.record({
				type: 'admitted',
				id: this.id,
				clusterId: clusterId === '' ? this.clusterId : clusterId,
			});
		this.phase = 'running';
		this.#bootstrapping?.stop();
		this.#bootstrapping = undefined;
		this.waiting.end();
		if (clusterId !== '' && clusterId !== this.clusterId) {
			this.clusterId = clusterId;
			void this.#parts.stateWriter.save();
		}
	}

	/**
	Become a member: found a cluster where that is allowed, or join one. Resolves once the node has founded or joined a
	cluster, or must wait for others.
	*/
	bootstrap(): Promise<void> {
		let founding: Promise<void> | undefined;
		this.phase = 'joining';
		const bootstrapping = createBootstrapping(this.options, {
			clusterId: () => this.clusterId,
			waitFor: text => this.waiting.for(text),
			refused: error => void this.#stopUnasked(error.message),
			joined: ({clusterId, members}) => this.setJoined(clusterId, members),
			found: facts => {
				founding = this.control.found(facts).then(
					() => this.run(facts.clusterId),
					(error: unknown) => this.#fail(error),
				);
			},
		});
		this.#bootstrapping = bootstrapping;
		bootstrapping.start();
		return bootstrapping.settled.then(() => founding);
	}

	/** The node was admitted. `members`: the addresses that the answer has, used until the own log has the members. */
	setJoined(clusterId: string, members: ReadonlyArray<readonly [NodeId, string]>): void {
		this.run(clusterId);
		this.#parts.peerDirectory.report(members);
	}

	// Input from other nodes.

	onFrame(from: NodeId, frame: Buffer): void {
		this.failureDetection.heard(from);
		if (!isRelayKind(frame[0])) return this.#onFrame(from, frame);
		const relayed = this.#parts.relay.onFrame(from, frame);
		if (relayed.type === 'deliver') this.#onFrame(relayed.from, relayed.inner);
		else if (relayed.type === 'refused') this.journal.reject(from, relayed.reason);
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
				this.#parts.admin.check();
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
				return this.#rejectUnless(this.#parts.peerDirectory.onAsked(from, frame), from);
			case kinds.joined:
				return this.#rejectUnless(this.#parts.peerDirectory.onAnswered(frame), from);
			case kinds.probe:
				return this.identity.onProbe(from, frame);
			case kinds.present:
				return this.identity.duplicates.answered(from);
			case kinds.manage:
				return this.#rejectUnless(
					this.#parts.topicAdmin.onQuestion(from, frame) ||
						this.#parts.keyAdmin.onQuestion(from, frame) ||
						this.#parts.admin.onCommand(from, frame),
					from,
				);
			case kinds.managed:
				return this.#rejectUnless(
					this.#parts.topicAdmin.onAnswer(from, frame) ||
						this.#parts.keyAdmin.onAnswer(from, frame) ||
						this.#parts.admin.onAnswer(from, frame),
					from,
				);
			default:
				this.#rejectUnless(false, from);
		}
	}

	onDatagram(from: NodeId, bytes: Buffer): void {
		this.#onSwim(from, bytes, 'datagram');
	}

	/** The state of a link changed. `removed`: the peer reports that this node was removed while it was away. */
	onLink(peer: NodeId, change: 'up' | 'down' | 'refused' | 'removed'): void {
		if (change === 'removed') return this.#onRemoved();
		if (change === 'up') {
			this.control.raft.linkUp(peer);
			this.#parts.peerDirectory.observe(peer, this.options.io.links.address(peer));
		}

		this.failureDetection.link(peer, change);
		this.#updateReachable();
		if (this.#crashEvidence.link(peer, change)) this.control.crashed(peer);
	}

	/** An authenticated peer that is not a known member opened a link. */
	onUnknownPeer(peer: NodeId, address: string): void {
		if (this.phase === 'running') this.#parts.peerDirectory.acceptCaller(peer, address);
	}

	async onJoin(request: JoinRequest): Promise<JoinAnswer> {
		if (this.#bootstrapping) return this.#bootstrapping.onRequest(request);
		const answer = await this.control.join(request);
		// The refusal shows this cluster to the other node; this node records the cluster of the other one.
		if (answer.type === 'refused' && answer.clusterId !== undefined && parseAddress(request.address))
			this.identity.conflicts.foreign(request.clusterId, request.address);
		return answer;
	}

	// The interface for programs.

	async publish(topic: string, bodies: readonly MessageBody[]): Promise<Published> {
		return publishHere(
			{identity: this.identity, data: this.data, journal: this.journal, room: this.options.io.room},
			topicNamed(topic),
			expectBodies(bodies),
		);
	}

	subscribe(topics: readonly string[], options: SubscribeOptions = {}): Subscription {
		return subscribeHere(
			this,
			expectTopics(topics).map(topic => normalizeTopic(topic)),
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

	async subscribeNode(topic: string): Promise<void> {
		return subscribeNode(this.#parts, expectTopic(topic));
	}

	async unsubscribeNode(topic: string): Promise<void> {
		return unsubscribeNode(this.#parts, expectTopic(topic));
	}

	async createTopic(
		topic: string,
		settings: TopicSettings = {},
		{update = false}: {readonly update?: boolean} = {},
	): Promise<TopicChange> {
		return this.#parts.topicAdmin.create(expectTopic(topic), settings, update);
	}

	async deleteTopic(topic: string, {force = false}: {readonly force?: boolean} = {}): Promise<DeletedTopic> {
		return this.#parts.topicAdmin.delete(expectTopic(topic), force);
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
		// An untracked feed gives no starts of topics.
		return this.#stream(messages ? this.own.open({from}) : undefined) as AsyncIterableIterator<RecordedEvent>;
	}

	trackedEvents(after?: readonly TopicPosition[]): AsyncIterableIterator<TrackedEvent> {
		return this.#stream(this.own.open({isTracked: true, after}));
	}

	#stream(feed: OwnFeed | undefined): EventStream {
		return new EventStream(this.journal.watch(), feed, () => this.options.io.clock.wallMs());
	}

	readIndex(): Promise<number> {
		return this.control.readIndex();
	}

	async transferLeadership(to?: string): Promise<NodeId | undefined> {
		return this.#parts.admin.transfer(to === undefined ? undefined : expectNodeId(to));
	}

	async removeMember(node: string): Promise<void> {
		return this.#parts.admin.remove(expectNodeId(node));
	}

	leave(): Promise<void> {
		return this.leaving.leave();
	}

	async fault(command: FaultCommand, caller: Caller = localCaller): Promise<void> {
		const {faults} = this.options.io;
		if (!faults) throw new DapssError('refused', 'This node injects no faults: start it with --faults');
		if (!v.is(faultSchema, command))
			throw new DapssError('usage', `Expected a fault to inject, got ${JSON.stringify(command)}`);
		faults.apply(command, this.guard.nameOf(caller));
		this.journal.record({type: 'fault', text: faultsOf(this).join(', ') || 'healed'});
	}

	/** Injected faults have ended by themselves. */
	faultsEnded(): void {
		this.journal.record({type: 'fault', text: faultsOf(this).join(', ') || 'ended at their time'});
	}

	async access(): Promise<AccessReport> {
		return this.guard.report(localCaller);
	}

	async changeAccess(change: AccessChange): Promise<void> {
		return this.guard.change(change, localCaller);
	}

	async keys(): Promise<KeysReport> {
		return this.#parts.keyAdmin.report();
	}

	async changeKeys(request: KeyRequest): Promise<ChangedKey> {
		return this.changeKeysFor(request, localCaller);
	}

	changeKeysFor(request: KeyRequest, caller: Caller): Promise<ChangedKey> {
		return this.#parts.keyAdmin.change(request, this.guard.authorOf(caller));
	}

	/**
	Stop on request: transfer leadership, announce to the members that the node was stopped on purpose, and write all
	pending data to disk.
	*/
	stop(reason: string): Promise<void> {
		this.#stopping ??= this.#stop(reason, () => this.failureDetection.leave());
		return this.#stopping;
	}

	/** Stop because of a fault. Nothing is announced: the members detect the end of the process, as after a crash. */
	#stopUnasked(reason: string): Promise<void> {
		this.#stopping ??= this.#stop(reason, () => this.failureDetection.silence());
		return this.#stopping;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.stop('stopped');
	}

	async #stop(reason: string, endFailureDetection: () => void): Promise<void> {
		this.phase = 'stopping';
		this.#bootstrapping?.stop();
		this.#parts.peerDirectory.close();
		this.identity.gate.close();
		this.control.stepAside();
		endFailureDetection();
		this.#timers.dispose();
		this.#watchers[Symbol.dispose]();
		this.control.close();
		this.#parts.admin.close();
		this.#parts.topicAdmin.close();
		this.#parts.keyAdmin.close();
		const unread = await this.own.readOut(this.options.io.clock);
		if (unread > 0)
			this.journal.record({
				type: 'warning',
				text:
					`The node stops while a follower of its events has not read ${unread} messages: ` +
					'they are in its log',
			});
		await this.data[Symbol.asyncDispose]();
		await this.#parts.stateWriter.settled();
		await this.options.io.raftStore[Symbol.asyncDispose]().catch(() => undefined);
		this.guard.close();
		const why = this.#failure ?? reason;
		this.journal.record({type: 'stopped', reason: why});
		this.journal.close();
		this.#closed.resolve(why);
	}

	#rejectUnless(isWellFormed: boolean, from: NodeId): void {
		if (!isWellFormed) this.journal.reject(from, 'malformed');
	}

	#onSwim(from: NodeId, frame: Buffer, channel: 'datagram' | 'link'): void {
		const value = frame[0] === kinds.swim ? decodeControl(frame) : undefined;
		const {to} = Object(value) as {readonly to?: unknown};
		// The datagram is for a member that had this address before.
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
		this.#parts.relay.tick();
		this.guard.tick();
		this.#updateReachable();
		this.control.tick();
		if (this.phase === 'running') this.identity.tick();
		else this.identity.gate.tick();
		this.#parts.admin.check();
		this.#parts.topicAdmin.tick();
		this.#parts.keyAdmin.tick();
		this.data.tick();
		const canAgree = this.#canAgree();
		// Proposals that waited for a leader are made as soon as there is one.
		if (nowMs - this.#housekeptMs >= housekeepMs || (canAgree && !this.#couldAgree)) {
			this.#housekeptMs = nowMs;
			this.#housekeep();
		}

		this.#couldAgree = canAgree;
		if (lamport.nextCeiling() !== undefined) void this.#parts.stateWriter.save();
		this.#parts.upkeep.tick(nowMs);
	}

	#notePause(): void {
		const forMs = this.#pauses.check(this.options.io.clock.monotonicMs());
		if (forMs !== undefined) this.journal.record({type: 'paused', forMs});
	}

	#canAgree(): boolean {
		return this.phase === 'running' && this.control.raft.leader !== undefined && this.identity.isConfirmed;
	}

	#housekeep(): void {
		this.#takeKeys();
		this.options.io.keys?.tick();
		if (this.phase !== 'running') return;
		this.#parts.peerDirectory.ask();
		if (!this.#canAgree()) return;
		this.desired.reconcileAll();
		this.identity.housekeep();
	}

	/** The agreed state changed: update the machines and the links. */
	#onAgreed(): void {
		const {state: topics} = this.control;
		this.identity.claim.update();
		this.#parts.admin.check();
		this.guard.agreed();
		this.#takeKeys();
		const members = topics.members();
		if (members.length > 0) {
			this.#parts.peerDirectory.link();
			this.failureDetection.setMembers(members.map(({id}) => id));
			this.#crashEvidence.setMembers(members.map(({id}) => id));
			// A node that joins may learn from the leader's log that it is a member, before its request is answered.
			const isAdmitted = this.phase === 'joining' && topics.address(this.id) !== undefined;
			if (topics.clusterId !== '' && (topics.clusterId !== this.clusterId || isAdmitted))
				this.run(topics.clusterId);
			this.#parts.stateWriter.agreed();
		}

		this.data.gossip.setRemoved(topics.removed());
		// Readers of a deleted topic subscribe again at the next tick.
		if (this.#parts.topicAdmin.agreed()) this.#couldAgree = false;
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

	#takeKeys(): void {
		const {state, raft} = this.control;
		this.options.io.keys?.agreed(state.keys.keys, state.applied, raft.lastIndex);
	}

	#onRemoved(): void {
		this.#parts.admin.removed();
		this.leaving.onRemoved();
	}

	/** Gossip pushes only to peers with a link that SWIM hears. */
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

	/** The first storage error stops the node: after an error, later writes to the disk cannot be trusted. */
	#fail(error: unknown): void {
		// An operation that fails because the node is stopping is no failure of the disk.
		const isOurs = this.#stopping !== undefined && !(error instanceof DapssError && error.code === 'storage');
		if (this.#failure !== undefined || isOurs) return;
		this.#failure = errorMessage(error);
		this.journal.record({type: 'warning', text: this.#failure});
		void this.#stopUnasked(this.#failure);
	}
}
