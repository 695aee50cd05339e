/**
The control plane of a node: Raft, its store, and the replicated cluster state. It drives Raft as `raft/raft.ts`
describes: persist, then send, then apply. The leader also maintains the cluster: it admits nodes, promotes learners,
and raises the protocol version.
*/
import {ClusterState} from '../cluster-state/cluster-state.ts';
import {
	decodeEnvelope,
	encodeContext,
	encodeEnvelope,
	type Command,
	type Envelope,
	type MemberContext,
} from '../cluster-state/command.ts';
import type {Config} from '../config.ts';
import {DapssError} from '../errors.ts';
import type {BrokerEvent} from '../events.ts';
import type {Lamport} from '../lamport.ts';
import type {Random} from '../machine.ts';
import {protocolToPropose} from '../membership/agreed-protocol.ts';
import type {JoinAnswer, JoinRequest} from '../membership/joining.ts';
import {quorumOf, type QuorumView} from '../membership/reachability.ts';
import type {Resignation} from '../membership/resignation.ts';
import type {NodeId} from '../message.ts';
import {QuorumWatch} from '../observe/quorum-watch.ts';
import type {Spoken} from '../ports.ts';
import {decodeConfigurationData, encodeConfigurationData} from '../raft/configuration.ts';
import type {RaftLimits} from '../raft/leader.ts';
import type {RaftPacket} from '../raft/packet.ts';
import {createRaft, type Entry, type Raft, type RaftReady} from '../raft/raft.ts';
import type {Snapshot} from '../raft/snapshot.ts';
import {Admission} from './admission.ts';
import {AgreedReports} from './agreed-reports.ts';
import {LeaderWatch} from './leader-watch.ts';
import {demotion, promotion} from './promotion.ts';
import {noQuorum, Proposals} from './proposals.ts';
import type {RaftStore} from './raft-store.ts';
import {problemOfSnapshot} from './snapshot-check.ts';

export type ControlOptions = {
	readonly self: NodeId;
	readonly incarnation: number;
	readonly lamport: Lamport;
	readonly random: Random;
	readonly tickMs: number;
	readonly config: Config;
	/** @default the limits of `raft/leader.ts` */
	readonly raftLimits?: Partial<RaftLimits> | undefined;
	readonly store: RaftStore;
	readonly nowMs: () => number;
	/** The time in which this process ran, for deadlines of requests: an answer may have come during a pause. */
	readonly awakeMs: () => number;
	readonly send: (to: NodeId, packet: RaftPacket) => void;
	/** The newest version of the protocol that this program speaks. @default 1 */
	readonly protocolMax?: number;
	/** The protocol versions that a peer speaks, as it reported last. @default unknown for all peers */
	readonly speaks?: (peer: NodeId) => Spoken | undefined;
	/** The identity of this node is confirmed: no second process uses it. @default always */
	readonly isConfirmed?: () => boolean;
	/** SWIM hears the member, or it is this node. */
	readonly isReachable: (node: NodeId) => boolean;
	/** A working link leads to the member, directly or over one other member. */
	readonly isReached: (node: NodeId) => boolean;
	/** This node has dialled the member's advertised address with success. @default true for all members */
	readonly isCalled?: (node: NodeId) => boolean;
	/** The current address of a member, which may be newer than the agreed one; `undefined` for other nodes. */
	readonly addressOf: (node: NodeId) => string | undefined;
	/** Wall clock, milliseconds. @default 0 */
	readonly wallMs?: () => number;
	/** Calls an address; resolves with the id of the node that answers there. */
	readonly dialBack: (address: string) => Promise<NodeId | undefined>;
	/** @default by the signature */
	readonly isGenuine?: ((resignation: Resignation) => boolean) | undefined;
	/** The agreed state changed. */
	readonly onAgreed: () => void;
	/** Report a member that is new, or has another address, once it is heard. @default no report */
	readonly announce?: (node: NodeId) => void;
	readonly emit: (event: BrokerEvent) => void;
	/** Count a limit that was hit, or a packet that was refused. */
	readonly bound: (name: string) => void;
	readonly failed: (error: unknown) => void;
};

const housekeepMs = 250;
/** A proposal fails after this time, milliseconds. */
const deadlineMs = 10_000;
/** After a start, links come up and a first election ends within this time. In election timeouts. */
const startElections = 4;
/** An election that takes longer is an event. In election timeouts. */
const electingElections = 6;

export class Control {
	#raft: Raft;
	readonly state: ClusterState;
	readonly proposals: Proposals;
	readonly #options: ControlOptions;
	readonly #admission: Admission;
	readonly #reads = new Map<
		string,
		{readonly resolve: (index: number) => void; readonly reject: (error: Error) => void; readonly untilMs: number}
	>();
	#readSeq = 0;
	#isPumping = false;
	#hasMore = false;
	#isClosed = false;
	readonly #leaderWatch: LeaderWatch;
	readonly #quorumWatch: QuorumWatch;
	#housekeptMs = 0;
	/** The only voter leaves and promoted a successor: until this time two voters are intended. */
	#successionUntilMs = 0;
	readonly #reports: AgreedReports;
	#snapshotIndex = 0;
	#isRaisingProtocol = false;
	#badSnapshots = 0;

	constructor(options: ControlOptions) {
		this.#options = options;
		const {self, incarnation, config, store, lamport} = options;
		this.state = new ClusterState({topicsMax: config.limits.topics, membersMax: config.limits.members});
		const {recovered} = store;
		if (recovered.snapshot) this.state.load(recovered.snapshot.data);
		lamport.witness(this.state.latestSince, undefined); // The ceiling on disk may be older than this snapshot.
		this.#snapshotIndex = recovered.snapshot?.index ?? 0;
		this.#reports = new AgreedReports({
			self,
			state: this.state,
			lastIndex: recovered.entries.at(-1)?.index ?? this.#snapshotIndex,
			emit: options.emit,
			announce: options.announce,
		});
		this.#reports.voters = recovered.snapshot?.configuration.voters ?? [];
		this.#raft = this.#createRaft();
		this.#admission = new Admission({
			self,
			state: this.state,
			raft: () => this.raft,
			membersMax: config.limits.members,
			protocolMax: options.protocolMax ?? 1,
			nowMs: options.nowMs,
			emit: options.emit,
			isReachable: options.isReachable,
			addressOf: options.addressOf,
			isGenuine: options.isGenuine,
			cluster: config.cluster,
			wallMs: options.wallMs ?? (() => 0),
			dialBack: options.dialBack,
			isRaisingProtocol: () => this.#isRaisingProtocol,
			proposeChange: (change, context) => this.#afterStep(this.raft.proposeChange(change, context)),
			unavailableError: () => this.unavailableError(),
		});
		this.#leaderWatch = new LeaderWatch({
			raft: () => this.raft,
			tickMs: options.tickMs,
			emit: options.emit,
			changed: () => this.proposals.leaderChanged(options.awakeMs()),
		});
		this.#quorumWatch = new QuorumWatch({
			emit: options.emit,
			startMs: startElections * config.raft.electionMs,
			electingMs: electingElections * config.raft.electionMs,
		});
		this.proposals = new Proposals({
			node: self,
			incarnation,
			deadlineMs,
			pendingMax: config.raft.pendingMax,
			electionMs: config.raft.electionMs,
			stamp: () => lamport.stamp(),
			propose: envelope => this.#afterStep(this.raft.propose(encodeEnvelope(envelope))),
			quorum: () => this.quorum(),
		});
	}

	get raft(): Raft {
		return this.#raft;
	}

	/**
	Found a cluster of this node alone. Resolves when its first entry is on disk. Only for a node without a log.
	@param facts of this node and its cluster
	*/
	async found(facts: MemberContext): Promise<void> {
		const {store, self} = this.#options;
		await store.found(
			{
				term: 1,
				index: 1,
				kind: 'configuration',
				data: encodeConfigurationData({voters: [self], learners: []}, encodeContext({...facts, node: self})),
			},
			self,
		);
		this.#reports.founded();
		this.restartRaft();
		this.schedulePump();
	}

	/** Start Raft from the current content of the store. */
	restartRaft(): void {
		this.#raft = this.#createRaft();
	}

	/** This node is in the newest configuration of its log. */
	get isMember(): boolean {
		return this.#isConfigured(this.#options.self);
	}

	quorum(): QuorumView {
		const {
			configuration: {voters},
			leader,
		} = this.raft;
		const reached = this.reached();
		return quorumOf({voters, leader, reaches: voter => reached.get(voter)!});
	}

	/**
	The voters that count as reached. A leader uses the replies that Raft received. Other nodes use their links. A
	leader also uses the link of a voter that has not acknowledged an entry yet.
	*/
	reached(): ReadonlyMap<NodeId, boolean> {
		const {
			configuration: {voters},
			role,
		} = this.raft;
		const {self, isReached} = this.#options;
		const active =
			role === 'leader'
				? new Set(
						this.raft
							.status()
							.progress.filter(
								({id, match, recentlyActive}) => recentlyActive && (match > 0 || isReached(id)),
							)
							.map(({id}) => id),
					)
				: undefined;
		return new Map(voters.map(voter => [voter, voter === self || (active ? active.has(voter) : isReached(voter))]));
	}

	step(from: NodeId, packet: RaftPacket): void {
		if (packet.type === 'propose' && !this.#mayPropose(from, packet.data)) return;
		this.raft.step(from, packet);
		if (packet.type === 'append' && this.raft.leader === from) this.#reports.heardLeader(packet.commit);
		this.#leaderWatch.stepped();
		this.schedulePump();
	}

	/** Report evidence that the process of a node is gone. */
	crashed(node: NodeId): void {
		this.raft.leaderDown(node);
		this.schedulePump();
	}

	tick(): void {
		const nowMs = this.#options.nowMs();
		this.raft.tick();
		this.schedulePump();
		this.#leaderWatch.ticked();
		this.#quorumWatch.update(this.quorum(), nowMs);
		const awakeMs = this.#options.awakeMs();
		this.proposals.tick(awakeMs);
		for (const [context, read] of this.#reads) {
			if (awakeMs < read.untilMs) continue;
			this.#reads.delete(context);
			read.reject(this.unavailableError());
		}

		if (nowMs - this.#housekeptMs >= housekeepMs) {
			this.#housekeptMs = nowMs;
			this.#housekeep();
		}
	}

	/** Resolves once the command is applied here. */
	propose(command: Command): Promise<void> {
		return this.proposals.propose(command, this.#options.awakeMs());
	}

	/**
	A linearizable read (Raft, 8; thesis, 6.4). Resolves with a commit index that a quorum confirmed after this call
	began, once it is applied here.
	@throws `no-quorum`, `no-leader`, `timeout`, `closed`
	*/
	readIndex(): Promise<number> {
		if (this.#isClosed) return Promise.reject(new DapssError('closed', 'The node has stopped'));
		const context = `${this.#options.self}:${this.#options.incarnation}:${++this.#readSeq}`;
		if (this.raft.readIndex(context) === 'no-leader') return Promise.reject(this.unavailableError());
		const {promise, resolve, reject} = Promise.withResolvers<number>();
		// Before the pump: a leader that is the only voter proves the read within this call.
		this.#reads.set(context, {
			resolve,
			reject,
			untilMs: this.#options.awakeMs() + this.#options.config.raft.electionMs * 2,
		});
		this.schedulePump();
		return promise;
	}

	/** Admit a node that asks to join: it becomes a learner through the log. */
	join(request: JoinRequest): Promise<JoinAnswer> {
		return this.#admission.join(request);
	}

	/** Transfer leadership to another voter before this node stops, if one is reached. */
	stepAside(): void {
		if (this.raft.role !== 'leader') return;
		const {
			progress,
			configuration: {voters},
		} = this.raft.status();
		const best = progress
			.filter(({id}) => id !== this.#options.self && voters.includes(id) && this.#options.isReached(id))
			.toSorted((a, b) => b.match - a.match)[0];
		if (!best) return;
		this.transfer(best.id, this.#options.self);
	}

	/**
	Transfer leadership: the voter campaigns as soon as it has all entries. Leader only.
	@param by the node through which an operator asked
	*/
	transfer(to: NodeId, by: NodeId): void {
		const {self: from, emit} = this.#options;
		if (this.raft.transferLeadership(to)) emit({type: 'transfer', from, to, by});
		this.schedulePump();
	}

	/** Propose the removal of a member. Leader only. */
	remove(node: NodeId): ReturnType<Raft['proposeChange']> {
		return this.#afterStep(this.raft.proposeChange({type: 'remove', node}, new Uint8Array(0)));
	}

	/** Promote a learner so that this node, the only voter, can leave. Leader only. */
	promoteSuccessor(node: NodeId): ReturnType<Raft['proposeChange']> {
		this.#successionUntilMs = this.#options.nowMs() + deadlineMs;
		return this.#afterStep(this.raft.proposeChange({type: 'promote', node}, new Uint8Array(0)));
	}

	schedulePump(): void {
		if (this.#isPumping) this.#hasMore = true;
		else void this.#pump();
	}

	close(): void {
		this.#isClosed = true;
		this.proposals.close();
		for (const read of this.#reads.values()) read.reject(new DapssError('closed', 'The node is stopping'));
		this.#reads.clear();
	}

	/** Process ready work until there is none. Packets that arrive during a write share the next fsync. */
	async #pump(): Promise<void> {
		this.#isPumping = true;
		try {
			do {
				this.#hasMore = false;
				for (let ready = this.raft.ready(); ready !== undefined && !this.#isClosed; ready = this.raft.ready()) {
					await this.#persistAndSend(ready);
				}
			} while (this.#hasMore && !this.#isClosed);
		} catch (error) {
			if (!this.#isClosed) this.#options.failed(error);
		} finally {
			this.#isPumping = false;
		}
	}

	async #persistAndSend(ready: RaftReady): Promise<void> {
		const {store, send} = this.#options;
		// The leader's appends leave while its own disk writes (thesis, 10.2.1).
		for (const {to, packet} of ready.packetsBeforePersist) send(to, packet);
		if (ready.snapshot) await store.saveSnapshot(ready.snapshot, 'installed');
		if (ready.hardState || ready.entries.length > 0) await store.append(ready.hardState, ready.entries);
		// Durable from here: a crash loses nothing that peers and clients learn below.
		for (const {to, packet} of ready.packets) send(to, packet);
		if (ready.snapshot) {
			this.state.load(ready.snapshot.data);
			// The snapshot replaces commands whose Lamport times this node would have witnessed.
			this.#options.lamport.witness(this.state.latestSince, undefined);
			this.#snapshotIndex = ready.snapshot.index;
			this.#reports.voters = ready.snapshot.configuration.voters;
			this.proposals.reconsider(envelope => this.state.answered(envelope));
		}

		// A new leader has every entry of earlier terms that it can commit: it has nothing to catch up with.
		if (this.raft.role === 'leader') this.#reports.heardLeader(0);
		for (const entry of ready.committed) this.#apply(entry);
		this.raft.advance(ready);
		this.#reports.check();
		this.#leaderWatch.stepped(); // The own vote, durable now, may have made this node the leader.
		if (ready.snapshot || ready.committed.length > 0) this.#options.onAgreed();
		for (const {context, index} of ready.reads) {
			this.#reads.get(context)?.resolve(index);
			this.#reads.delete(context);
		}

		if (this.state.applied - this.#snapshotIndex >= this.#options.config.raft.snapshotEntries)
			await this.#compact();
	}

	#apply(entry: Entry): void {
		switch (entry.kind) {
			case 'command': {
				const {envelope, result, events} = this.state.apply(entry.index, entry.data);
				if (!envelope) {
					// It changes nothing, on all nodes alike.
					this.#options.bound('bad-entries');
					break;
				}

				this.#options.lamport.witness(envelope.lamport, envelope.node);
				// Messages that are published from now on are stamped later than the deleted ones.
				if (envelope.command.type === 'delete')
					this.#options.lamport.witness(envelope.command.until, envelope.node);
				this.#reports.applied(entry.index, events);
				this.proposals.applied(envelope, result);
				break;
			}

			case 'configuration': {
				const decoded = decodeConfigurationData(entry.data);
				if (!decoded)
					throw new DapssError(
						'storage',
						`Expected a configuration in entry ${entry.index}, got other bytes`,
					);
				const {
					configuration: {voters, learners},
					context,
				} = decoded;
				const events = this.state.applyConfiguration(entry.index, [...voters, ...learners], context);
				this.#reports.applied(entry.index, events);
				this.#reports.configured(entry.index, voters);
				this.#admission.applied();
				break;
			}

			case 'noop': {
				this.state.applyNothing(entry.index);
				break;
			}

			default:
				entry.kind satisfies never;
		}
	}

	async #compact(): Promise<void> {
		const index = this.state.applied;
		const snapshot = this.raft.compact(index, this.state.save());
		this.#snapshotIndex = index;
		if (snapshot) await this.#options.store.saveSnapshot(snapshot, 'taken');
	}

	#createRaft(): Raft {
		const {self, config, store, random, tickMs, raftLimits: limits = {}} = this.#options;
		return createRaft({
			id: self,
			group: 0,
			random,
			recovered: store.recovered,
			limits,
			electionTicks: Math.ceil(config.raft.electionMs / tickMs),
			heartbeatTicks: Math.ceil(config.raft.heartbeatMs / tickMs),
			acceptsSnapshot: (snapshot, from) => this.#acceptsSnapshot(snapshot, from),
		});
	}

	/**
	Whether a leader may append what a member proposes: a command in its own name, not the protocol, which the leader
	itself raises. What is in the log takes effect on every node.
	*/
	#mayPropose(from: NodeId, data: Uint8Array): boolean {
		const envelope = decodeEnvelope(data);
		const isOwn = envelope?.node === from && envelope.command.node === from && envelope.command.type !== 'protocol';
		// A deletion up to the last stamp would cover all messages of the topic for ever.
		const isNear = isOwn && stampsOf(envelope).every(stamp => this.#options.lamport.accepts(stamp, from));
		if (!isOwn) this.#options.bound('foreign-proposals');
		else if (!isNear) this.#options.bound('far-proposals');
		return isNear;
	}

	/** Checks a snapshot before it replaces the log and the state. One that cannot be restored is reported. */
	#acceptsSnapshot(snapshot: Snapshot, from: NodeId): boolean {
		const {bound, emit} = this.#options;
		const problem = problemOfSnapshot(snapshot, {clusterId: this.state.clusterId});
		if (problem === undefined) return true;
		bound('bad-snapshots');
		const count = ++this.#badSnapshots;
		// A peer may send any number of them.
		if (Number.isInteger(Math.log2(count)))
			emit({
				type: 'warning',
				text: `A snapshot from member ${from} was refused (${count}×): ${problem}. The own state stays`,
			});
		return false;
	}

	#isConfigured(node: NodeId): boolean {
		const {voters, learners} = this.raft.configuration;
		return voters.includes(node) || learners.includes(node);
	}

	/** The regular maintenance of a leader: raise the protocol, promote a learner, demote the second of two voters. */
	#housekeep(): void {
		if (this.raft.role !== 'leader') {
			this.#admission.lostLeadership();
			return;
		}

		const {configuration, progress, commit} = this.raft.status();
		const {isCalled = () => true} = this.#options;
		// A node that no other node can dial opens all its links itself. As a voter it would be lost with its links.
		const isFit = (node: NodeId): boolean =>
			node === this.#options.self ||
			(this.#options.isReachable(node) &&
				progress.some(peer => peer.id === node && peer.match >= commit) &&
				isCalled(node));
		this.#raiseProtocol([...configuration.voters, ...configuration.learners]);
		const node = promotion(configuration, isFit, this.#options.config.raft.votersMax);
		if (node !== undefined) this.#afterStep(this.raft.proposeChange({type: 'promote', node}, new Uint8Array(0)));
		if (node !== undefined || this.#options.nowMs() < this.#successionUntilMs) return;
		const second = demotion(configuration, this.#options.self, this.#options.isReachable);
		if (second !== undefined)
			this.#afterStep(this.raft.proposeChange({type: 'demote', node: second}, new Uint8Array(0)));
	}

	#raiseProtocol(members: readonly NodeId[]): void {
		const {self, protocolMax = 1, speaks = () => undefined, isConfirmed = () => true} = this.#options;
		if (!isConfirmed()) return;
		const protocol = protocolToPropose(
			this.state.protocol,
			protocolMax,
			members.filter(id => id !== self).map(id => speaks(id)?.protocol),
		);
		if (protocol === undefined || this.#isRaisingProtocol || !members.includes(self)) return;
		this.#isRaisingProtocol = true;
		// After a failure, the next leader proposes it again.
		this.propose({type: 'protocol', node: self, protocol})
			.catch(() => undefined)
			.finally(() => {
				this.#isRaisingProtocol = false;
			});
	}

	/** The reason why nothing can be agreed now. */
	unavailableError(): DapssError {
		const view = this.quorum();
		if (view.state === 'lost') return noQuorum(view);
		return view.leader === undefined
			? new DapssError('no-leader', 'no leader: an election is under way, try again')
			: new DapssError(
					'timeout',
					`leader ${view.leader} did not confirm in time, ` +
						`although ${view.reachable} of ${view.voters} voters are reachable: try again`,
				);
	}

	#afterStep<Answer>(answer: Answer): Answer {
		this.schedulePump();
		return answer;
	}
}

/** The Lamport times in a proposal. */
function stampsOf({lamport, command}: Envelope): readonly number[] {
	if (command.type === 'subscribe') return [lamport, command.since];
	return command.type === 'delete' ? [lamport, command.until] : [lamport];
}
