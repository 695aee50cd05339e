/**
Observes the nodes of a simulated cluster from outside and reports to the checks what they write, send, apply, release,
acknowledge and answer. It wraps the ports of a node and the methods of its machines. The node does not know about it.
*/
import {decodeEnvelope} from '../../../../core/cluster-state/command.ts';
import type {RaftStore} from '../../../../core/control/raft-store.ts';
import type {DapssError} from '../../../../core/errors.ts';
import type {BrokerEvent} from '../../../../core/events.ts';
import type {Reserve} from '../../../../core/io/files/reserve.ts';
import {streamKey, type NodeId, type Topic} from '../../../../core/message.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {Links, Log} from '../../../../core/ports.ts';
import {parseRaftPacket} from '../../../../core/raft/packet.ts';
import type {Entry, HardState} from '../../../../core/raft/raft.ts';
import type {OnHeader, TopicLog} from '../../../../core/topic-log/topic-log.ts';
import {decodeControl, decodeRelay, kinds} from '../../../../core/wire/wire.ts';
import {ShadowLog, type RaftChecks, type ObservedNode} from '../../raft-checks.ts';
import {hash32} from '../../random.ts';
import {FalseSuspicions} from '../false-suspicions.ts';
import {RetentionChecks} from '../checks/retention-checks.ts';
import {MembershipHistory} from '../checks/membership-history.ts';
import {LeaderCauseChecks} from '../checks/leader-cause-checks.ts';
import {DeletionChecks} from '../checks/deletion-checks.ts';
import {DoubleVotes} from '../double-votes.ts';
import {FullDiskChecks} from '../checks/full-disk-checks.ts';
import {QuorumChecks} from '../checks/quorum-checks.ts';
import {relayProblem} from '../checks/relay-checks.ts';
import type {Host, ExitCause} from '../host.ts';
import type {MessageChecks} from '../checks/message-checks.ts';
import {RequestChecks} from '../checks/request-checks.ts';
import {RepairChecks} from '../checks/repair-checks.ts';
import {UnreadDeletionChecks, type ReadUpTo} from '../checks/unread-deletion-checks.ts';

/**
An operation on the agreed subscriptions, for the linearizability check. `returned` is `undefined` while the operation
may still take effect.
*/
export type Operation = {
	readonly client: string;
	readonly topic: string;
	readonly node: string;
	readonly call:
		{readonly type: 'subscribe'; readonly since: number} | {readonly type: 'unsubscribe'} | {readonly type: 'read'};
	readonly invoked: number;
	returned: number | undefined;
	result?: number | undefined;
};

/** The deletion of a topic, which ends the subscriptions of all nodes. */
export type DeletionCall = Pick<Operation, 'client' | 'topic' | 'invoked' | 'returned'>;

/** The longest time until a running node continues after its retention has finished. */
const turnMs = 5;

/** Rejections in a row. A caller is rejected once and accepted at its next call, but newer reports may displace it. */
const refusalsMax = 5;

type View = ObservedNode & {
	written: ShadowLog;
	synced: ShadowLog;
	applied: number;
	isTouched: boolean;
	generation: number;
};

export class Observer {
	readonly checks: RaftChecks;
	readonly messages: MessageChecks;
	readonly history: Operation[] = [];
	readonly falseSuspicions = new FalseSuspicions();
	readonly leaderCauses = new LeaderCauseChecks();
	/** All logs, open and closed. */
	readonly logs = new Map<Host, Map<Topic, TopicLog>>();
	/** Called at snapshots and retention. */
	onMaintenance: (host: Host) => void = () => undefined;
	/** Whether a member may be removed: an operator asked for it, or its data are gone. */
	mayBeRemoved: (node: NodeId) => boolean = () => true;
	/** Ids whose disk was copied. */
	readonly #sharedIds = new Set<NodeId>();
	/** Nodes whose confirmed process has stopped cleanly. */
	readonly #cleanStops = new Set<NodeId>();
	readonly deletionCalls: DeletionCall[] = [];
	#founded: string | undefined;
	readonly repairs: RepairChecks;
	readonly #views = new Map<Host, View>();
	readonly doubleVotes = new DoubleVotes();
	readonly retention = new RetentionChecks();
	readonly unread = new UnreadDeletionChecks();
	readonly fullDisks = new FullDiskChecks();
	/** @default everything is read */
	readUpTo: ReadUpTo = () => Infinity;
	readonly deletions: DeletionChecks;
	readonly #requests = new RequestChecks();
	readonly #quorums = new QuorumChecks();
	readonly #membership = new MembershipHistory();
	/** Logs with retention in progress, or just finished. */
	readonly #tidying = new Set<TopicLog>();
	#tidied: Array<{readonly log: TopicLog; readonly host: Host; readonly atMs: number}> = [];
	readonly #lastSynced = new Map<Host, Promise<void>>();
	/** Applied commands: session and number → index. */
	readonly #executed = new Map<string, number>();
	/** Orders events within a millisecond. */
	#moment = 0;
	snapshotsTaken = 0;
	snapshotsInstalled = 0;
	commands = 0;
	exits: Record<ExitCause, number> = {killed: 0, power: 0, stopped: 0, storage: 0, damaged: 0, removed: 0};

	constructor(checks: RaftChecks, messages: MessageChecks) {
		this.checks = checks;
		this.messages = messages;
		this.repairs = new RepairChecks(messages);
		this.deletions = new DeletionChecks(
			host => messages.held(host),
			this.logs,
			host => messages.hasDamagedLogs(host),
		);
	}

	/** Called after every event. Checks the nodes that the event touched. */
	observe(hosts: readonly Host[]): void {
		this.#tidied = this.#tidied.filter(({log, host, atMs}) => {
			if (host.isPaused || host.options.schedule.nowMs <= atMs + turnMs || !this.#tidying.delete(log))
				return true;
			const unreported = this.unread.unreportedDeletion(host);
			if (unreported !== undefined) throw this.#problem(unreported);
			return false;
		});
		this.messages.checkGaps();
		const unreached = this.#quorums.check(hosts);
		if (unreached !== undefined) throw this.#problem(`the quorum counts only working links: ${unreached}`);
		for (const host of hosts) {
			const view = this.#views.get(host);
			if (!view?.isTouched || !host.node) continue;
			view.isTouched = false;
			view.applied = host.node.control.state.applied;
			this.messages.observe(host, host.node.options.lamport.now);
			this.checks.observe(view, host.node.control.raft.status());
		}
	}

	ended(host: Host, cause: ExitCause): void {
		if (/EMFILE/.test(host.exitReason))
			throw this.#problem(`a node without file descriptors keeps running: ${host.id} ended: ${host.exitReason}`);
		const unstarted = this.fullDisks.ended(host);
		if (unstarted !== undefined) this.#problem(unstarted); // Not thrown, because no caller would catch it.
		this.exits[cause]++;
		this.leaderCauses.ended(host.id, host.options.schedule.nowMs);
		this.doubleVotes.ended(host);
	}

	/** The machine gets a new disk. Nothing of the old one is expected back. */
	wiped(host: Host): void {
		this.#views.delete(host);
		this.messages.wiped(host);
	}

	/** Another machine gets a copy of this one's disk. */
	copied(host: Host, copy: Host): void {
		this.#sharedIds.add(host.id);
		this.checks.diskCopied(host.id);
		this.doubleVotes.copied(host);
		this.messages.copied(host, copy);
	}

	booted(host: Host, node: Node, store: RaftStore): void {
		const {hardState, snapshot, entries} = store.recovered;
		const recovered = new ShadowLog();
		recovered.write({snapshot, entries, hardState});
		const known = this.#views.get(host);
		if (known) {
			const {
				state: {term, commit, vote},
			} = known.synced;
			const committedTerm = known.synced.termAt(commit);
			if (hardState.term < term)
				throw this.#problem(
					`a term outlives a restart: ${host.id} reads ${hardState.term}, and had synced ${term}`,
				);
			if (hardState.term === term && vote !== undefined && hardState.vote !== vote)
				throw this.#problem(
					`a vote outlives a restart: ${host.id} reads ${hardState.vote}, and had synced ${vote} in term ${term}`,
				);
			if (committedTerm !== undefined && !recovered.holds(commit, committedTerm))
				throw this.#problem(`committed entries outlive a restart: ${host.id} lost ${commit}`);
		}

		const synced = new ShadowLog();
		synced.write({snapshot, entries, hardState});
		const view = known ?? {
			id: host.id,
			key: host.key,
			written: recovered,
			synced,
			applied: 0,
			isTouched: true,
			generation: 0,
		};
		Object.assign(view, {
			written: recovered,
			synced,
			applied: node.control.state.applied,
			generation: view.generation + 1,
		});
		this.#views.set(host, view);
		this.checks.watch(view);
		this.checks.booted(view, node.control.raft.status());
		this.#hook(host, node, view);
		this.#hookRequests(host, node);
		this.leaderCauses.booted(host.key);
		this.repairs.booted(host);
		this.unread.booted(host);
		this.fullDisks.assembled(host, node);
	}

	/** The node has read its logs back. */
	started(host: Host, node: Node): void {
		this.messages.started(host, new Set(node.data.topics.keys()));
		this.fullDisks.started(host);
	}

	/** Wraps the reserve that a node keeps on its disk. */
	room(host: Host, reserve: Reserve): Reserve {
		const maintain = reserve.maintain.bind(reserve);
		return Object.assign(reserve, {
			maintain: async () => {
				await maintain();
				this.fullDisks.tended(host);
			},
		});
	}

	/** A client publishes through the node. Returns the node's answer, which is checked. */
	async published<Answer>(host: Host, publish: () => Promise<Answer>): Promise<Answer> {
		const judge = this.fullDisks.publishing(host);
		let failure: Partial<DapssError> | undefined;
		try {
			return await publish();
		} catch (error) {
			failure = error as Partial<DapssError>;
			throw error;
		} finally {
			const wrong = judge(failure);
			if (wrong !== undefined) this.#problem(wrong);
		}
	}

	links(host: Host, links: Links): Links {
		return {
			...links,
			send: (to, pieces) => {
				const wrong = relayProblem(host.id, to, pieces);
				if (wrong !== undefined) throw this.#problem(`a frame is relayed once, between members: ${wrong}`);
				// A node's own frame may go through a relay. Relayed frames of other nodes were checked at those nodes.
				const carried = pieces[0]?.[0] === kinds.relay ? decodeRelay(Buffer.concat(pieces)) : undefined;
				const [first, receiver] = carried
					? [carried.from === host.id ? carried.inner : undefined, carried.to]
					: [pieces[0], to];
				if (first?.[0] === kinds.raft) {
					const view = this.#views.get(host);
					const packet = parseRaftPacket(decodeControl(first));
					if (!packet) throw this.#problem('codec: a packet of our own is refused');
					// A second process of one id reaches nobody while it is refused.
					if (view && this.doubleVotes.isLost(host, receiver, packet)) return true;
					if (view && (!host.isCopy || links.state(to).state === 'up'))
						this.checks.sent(view, receiver, packet);
				}

				return links.send(to, pieces);
			},
		};
	}

	/** Wraps the log under a Raft store, because the disk decides what is durable, not the store. */
	raftLog(host: Host, log: Log): Log {
		this.#checkDurableNames(host, '/data/raft');
		const append = log.append.bind(log);
		return Object.assign(log, {
			append: (...given: Parameters<Log['append']>) => {
				const appended = append(...given);
				this.#lastSynced.set(host, appended.synced);
				return appended;
			},
		});
	}

	store(host: Host, store: RaftStore): RaftStore {
		const append = store.append.bind(store);
		const saveSnapshot = store.saveSnapshot.bind(store);
		return Object.assign(store, {
			append: async (hardState: HardState | undefined, entries: readonly Entry[]) => {
				const view = this.#views.get(host)!;
				const {generation} = view;
				const work = {snapshot: undefined, entries, hardState};
				view.written.write(work);
				const done = append(hardState, entries);
				// What the disk has synced, whether or not the store waits for it.
				void this.#lastSynced.get(host)!.then(
					() => {
						if (view.generation === generation) view.synced.write(work);
					},
					() => undefined,
				);
				await done;
			},
			saveSnapshot: async (snapshot: Parameters<RaftStore['saveSnapshot']>[0], origin: 'installed' | 'taken') => {
				const view = this.#views.get(host)!;
				const {generation} = view;
				if (origin === 'installed') view.written.write({snapshot, entries: [], hardState: undefined});
				this.onMaintenance(host);
				await saveSnapshot(snapshot, origin);
				if (view.generation !== generation) return;
				if (origin === 'installed') {
					this.snapshotsInstalled++;
					view.synced.write({snapshot, entries: [], hardState: undefined});
					return;
				}

				this.snapshotsTaken++;
				view.written.compact(snapshot.index);
				view.synced.compact(snapshot.index);
			},
		});
	}

	onHeader(host: Host, topic: Topic, next: OnHeader): OnHeader {
		this.messages.reopening(host, topic);
		return (header, offset) => {
			this.messages.recovered(host, topic, header, offset);
			next(header, offset);
		};
	}

	topicLog(host: Host, topic: Topic, log: TopicLog, isDamaged: boolean): TopicLog {
		this.messages.reopened(host, topic, log.nextOffset, isDamaged);
		this.#checkDurableNames(host, `/data/topics/${encodeURIComponent(topic)}`);
		const logs = this.logs.get(host) ?? new Map<Topic, TopicLog>();
		this.logs.set(host, logs.set(topic, log));
		const append = log.append.bind(log);
		const retain = log.retain.bind(log);
		const serve = log.serve.bind(log);
		const backfill = log.backfill.bind(log);
		const hide = log.hide.bind(log);
		return Object.assign(log, {
			hide: (until: number) => {
				this.deletions.hides(log, topic, until);
				this.messages.hidden(host, topic);
				hide(until);
			},
			serve: async (...given: Parameters<TopicLog['serve']>) => {
				for (const {origin, incarnation, from} of given[0]) {
					const low = log.lowest(streamKey({origin, incarnation, topic}));
					if ((low === undefined || low > from) && !this.#tidying.has(log))
						throw this.#problem(
							`a node offers only messages that it has: ${host.id} offered ${origin} ${incarnation} ${topic} from ${from}, and has it from ${low}`,
						);
				}

				const served = await serve(...given);
				const bytes = served.batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
				if (served.batches.length > 1 && bytes > given[1])
					throw this.#problem(
						`a reply stays within its byte budget: ${host.id} replies with ${bytes} bytes, and ${given[1]} were requested`,
					);
				return served;
			},
			backfill: async (found: Parameters<TopicLog['backfill']>[0]) => {
				this.messages.backfilling(host, topic, found);
				const placed = await backfill(found);
				this.messages.backfilled(host, topic, placed);
				return placed;
			},
			retain: async (...given: Parameters<TopicLog['retain']>) => {
				const {nextOffset} = log;
				// Removed messages are gone at once. A request that was checked before may be answered afterwards.
				this.#tidying.add(log);
				const readBefore = this.readUpTo(host, topic);
				const retained = await retain(...given);
				this.#tidied.push({log, host, atMs: host.options.schedule.nowMs});
				const gone = this.messages.retained(host, topic, log.firstOffset, retained ? nextOffset : 0);
				const problem =
					retained &&
					(this.retention.deleted(host, gone, retained.deletions, given[0].ageMs) ??
						this.deletions.removed(host, log, gone, retained.deletions));
				if (problem !== undefined) throw this.#problem(problem);
				if (retained && host.node && this.deletions.isWhole(log, retained))
					this.unread.removed(host, topic, retained, readBefore, this.readUpTo(host, topic));
				if (retained) this.onMaintenance(host);
				return retained;
			},
			append: (...[items, options]: Parameters<TopicLog['append']>) => {
				const appended = append(items, options);
				for (const [index, {batch}] of items.entries()) {
					const wrong = this.deletions.released(host, log, batch) ?? this.fullDisks.appended(host, batch);
					if (wrong !== undefined) throw this.#problem(wrong);
					this.messages.released(host, batch, appended.offsets[index]!);
					this.retention.arrived(host, batch);
				}

				return appended;
			},
		});
	}

	/** A node without a leader has rejected this caller as a non-member, this many times in a row. */
	refused(host: Host, peer: NodeId, times: number): void {
		if (times > refusalsMax)
			throw this.#problem(
				`a node without a leader accepts callers: ${host.id} rejects ${peer} for the ${times}th time`,
			);
	}

	/** A linearizable read of a subscription through a node. */
	async read(host: Host, topic: Topic, of: NodeId): Promise<void> {
		const {node} = host;
		if (!node) return;
		const operation: Operation = {
			client: host.id,
			topic,
			node: of,
			call: {type: 'read'},
			invoked: ++this.#moment,
			returned: undefined,
		};
		const key = `${this.#moment}`;
		this.checks.readBegan(key);
		try {
			const {promise, resolve, reject} = Promise.withResolvers<number>();
			host.ask(() => void node.readIndex().then(resolve, reject));
			const index = await promise;
			const view = this.#views.get(host)!;
			view.applied = node.control.state.applied;
			this.checks.readServed(view, key, index);
			operation.result = node.control.state.subscribers(topic).get(of);
			operation.returned = ++this.#moment;
			this.history.push(operation);
		} catch {} // A failed read has no effect.
	}

	/** The files of an open log have durable names, whichever process created them. */
	#checkDurableNames(host: Host, folder: string): void {
		const [file] = host.options.disk.withoutDurableName(folder);
		if (file !== undefined)
			throw this.#problem(
				`the names of open log files are durable: ${host.id} continues ${file}, whose name is not durable`,
			);
	}

	#problem(what: string): Error {
		return this.checks.violations.record(what);
	}

	/** Observe the Raft machine of a node. A node that founds a cluster replaces its machine. */
	#hookRaft(host: Host, node: Node, view: View, entries: Map<number, Entry>): void {
		const {raft, state: topics} = node.control;
		const ready = raft.ready.bind(raft);
		const step = raft.step.bind(raft);
		const tick = raft.tick.bind(raft);
		const leaderDown = raft.leaderDown.bind(raft);
		let beatMs = -1;
		let beats = 0;
		Object.assign(raft, {
			leaderDown: (peer: NodeId) => {
				view.isTouched = true;
				const wrong = this.leaderCauses.treatedAsCrashed(host.key, peer);
				if (wrong !== undefined) throw this.#problem(wrong);
				leaderDown(peer);
			},
			ready: () => {
				view.isTouched = true;
				const work = ready();
				if (!work) return work;
				view.applied = topics.applied;
				this.checks.ready(view, work, raft.status());
				entries.clear();
				for (const entry of work.committed) {
					entries.set(entry.index, entry);
					this.doubleVotes.committed(entry);
				}

				return work;
			},
			step: (...given: Parameters<typeof step>) => {
				view.isTouched = true;
				const [, packet] = given;
				const before = packet.type === 'vote' ? raft.status() : undefined;
				step(...given);
				if (before) this.checks.stepped(view, packet, before, raft.status());
			},
			tick: () => {
				view.isTouched = true;
				if (host.unread > 0)
					throw this.#problem(
						`input received during a stall is read before the next tick: ${host.id} has ${host.unread} unread inputs`,
					);
				beats = host.options.schedule.nowMs === beatMs ? beats + 1 : 1;
				beatMs = host.options.schedule.nowMs;
				// One late tick, and the next one at its time.
				if (beats > 2)
					throw this.#problem(`ticks missed in a stall are merged into one: ${host.id} runs them all`);
				tick();
			},
		});
	}

	#hook(host: Host, node: Node, view: View): void {
		const {control} = node;
		const {state: topics, proposals} = control;
		const entries = new Map<number, Entry>();
		this.#hookRaft(host, node, view, entries);
		const restartRaft = control.restartRaft.bind(control);
		Object.assign(control, {
			restartRaft: () => {
				restartRaft();
				this.#hookRaft(host, node, view, entries);
			},
		});
		const after = (index: number): void => {
			const entry = entries.get(index);
			view.applied = index;
			if (!entry) throw this.#problem(`only committed entries are applied: ${host.id} at ${index}`);
			this.checks.applied(view, entry, stateOf(topics.save()), control.raft.status());
		};

		const apply = topics.apply.bind(topics);
		const applyConfiguration = topics.applyConfiguration.bind(topics);
		const applyNothing = topics.applyNothing.bind(topics);
		const load = topics.load.bind(topics);
		Object.assign(topics, {
			apply: (index: number, data: Uint8Array) => {
				const envelope = decodeEnvelope(data);
				const isRepeated = envelope !== undefined && topics.answered(envelope) !== undefined;
				const agreed = envelope && topics.instance(envelope.node);
				const applied = apply(index, data);
				if (
					agreed &&
					envelope.command.type !== 'claim' &&
					envelope.incarnation > agreed.incarnation &&
					applied.events.length > 0
				)
					throw this.#problem(
						`only the confirmed process proposes: ${envelope.node} did in incarnation ${envelope.incarnation}, and ${agreed.incarnation} is confirmed`,
					);
				if (isRepeated && applied.events.length > 0)
					throw this.#problem(
						`a command applies once: ${envelope.node}:${envelope.incarnation}:${envelope.seq} changed something again at ${index}`,
					);
				// Sessions are removed with their node, whose later commands are refused. A claim belongs to no
				// session, because repeating it changes nothing.
				if (envelope && !isRepeated && applied.result.ok && envelope.command.type !== 'claim') {
					this.commands++;
					const key = `${envelope.node}:${envelope.incarnation}:${envelope.seq}`;
					const before = this.#executed.get(key);
					if (before !== undefined && before !== index)
						throw this.#problem(`a command applies once: ${key} at ${before} and ${index}`);
					this.#executed.set(key, index);
				}

				after(index);
				return applied;
			},
			applyConfiguration: (...given: Parameters<typeof applyConfiguration>) => {
				const events = applyConfiguration(...given);
				for (const removed of this.#membership.apply(given[0], given[1]))
					if (!this.mayBeRemoved(removed))
						throw this.#problem(
							`no member is removed while its data exist: ${removed} is no member at index ${given[0]}, and no operator asked for that`,
						);
				this.#founded ??= topics.clusterId;
				if (topics.clusterId !== this.#founded)
					throw this.#problem(
						`exactly one cluster is founded: ${host.id} founds ${topics.clusterId}, and ${this.#founded} exists`,
					);
				after(given[0]);
				return events;
			},
			applyNothing: (index: number) => {
				applyNothing(index);
				after(index);
			},
			load: (bytes: Uint8Array) => {
				load(bytes);
				view.applied = topics.applied;
				this.checks.state(view, topics.applied, stateOf(topics.save()));
			},
		});
		const leave = node.failureDetection.leave.bind(node.failureDetection);
		Object.assign(node.failureDetection, {
			leave: () => {
				if (node.identity.isConfirmed) this.#cleanStops.add(host.id);
				leave();
			},
		});
		const setSubscriptions = node.data.setSubscriptions.bind(node.data);
		Object.assign(node.data, {
			setSubscriptions: (...given: Parameters<typeof setSubscriptions>) => {
				setSubscriptions(...given);
				this.repairs.subscribed(host);
			},
		});
		const record = node.journal.record.bind(node.journal);
		Object.assign(node.journal, {
			record: (event: BrokerEvent) => {
				const {
					schedule: {nowMs},
					config: {
						raft: {electionMs},
					},
				} = host.options;
				const wrong =
					event.type === 'leader' ? this.leaderCauses.reported(host, event, {nowMs, electionMs}) : undefined;
				if (wrong !== undefined) throw this.#problem(wrong);
				if (event.type === 'transfer') this.leaderCauses.handedOver(event.from, nowMs);
				if (event.type === 'missed') this.messages.reportMissed(host, event.origin);
				if (event.type === 'deleted') this.unread.reported(host, event.topic, event.unread);
				if (event.type === 'member') {
					if (event.state === 'left' && event.why && !this.#cleanStops.has(event.id))
						throw this.#problem(
							`a crash is not reported as a clean stop: ${host.id} reports that ${event.id} has left, and no confirmed process of it stopped`,
						);
					this.falseSuspicions.add(
						event.state,
						host,
						[...this.#views.keys()].find(({id, isCopy}) => id === event.id && !isCopy),
					);
					if (event.state === 'down' || event.state === 'left' || event.state === 'unreachable')
						this.repairs.gone(host, event.id);
				}

				const unrepaired =
					event.type === 'partition'
						? this.repairs.reported(host, event, [...this.#views.keys()])
						: undefined;
				if (unrepaired !== undefined) throw this.#problem(`a reported repair has happened: ${unrepaired}`);
				record(event);
			},
		});
		const propose = proposals.propose.bind(proposals);
		Object.assign(proposals, {
			propose: (...given: Parameters<typeof propose>) => {
				const [command] = given;
				const waiting = proposals.size;
				const answer = propose(...given);
				// A command that is refused at once was never sent.
				if (command.type === 'delete' && proposals.size > waiting) this.#deleting(host, command.topic, answer);
				if ((command.type !== 'subscribe' && command.type !== 'unsubscribe') || proposals.size === waiting)
					return answer;
				const operation: Operation = {
					client: host.id,
					topic: command.topic,
					node: command.node,
					invoked: ++this.#moment,
					returned: undefined,
					call:
						command.type === 'subscribe'
							? {type: 'subscribe', since: command.since}
							: {type: 'unsubscribe'},
				};
				this.history.push(operation);
				// After this point a failure is not a rejection: the command may still be agreed.
				answer.then(
					() => {
						operation.returned = ++this.#moment;
					},
					() => undefined,
				);
				return answer;
			},
		});
	}

	/** A topic is deleted, which ends all its subscriptions. */
	#deleting(host: Host, topic: Topic, answer: Promise<void>): void {
		const deletion: DeletionCall = {client: host.id, topic, invoked: ++this.#moment, returned: undefined};
		this.deletionCalls.push(deletion);
		answer.then(
			() => {
				deletion.returned = ++this.#moment;
			},
			() => undefined,
		);
	}

	/** Observe the requests of a node, and its answers to joining nodes. */
	#hookRequests(host: Host, node: Node): void {
		const {
			control,
			data: {gossip},
		} = node;
		const step = gossip.step.bind(gossip);
		const ready = gossip.ready.bind(gossip);
		this.#requests.booted(host);
		Object.assign(gossip, {
			step: (...[from, packet]: Parameters<typeof step>) => {
				this.#requests.received(host, from, packet);
				step(from, packet);
			},
			ready: () => {
				const work = ready();
				for (const {to, packet} of work?.packets ?? []) {
					const wrong = this.#requests.sent(host, to, packet);
					if (wrong !== undefined)
						throw this.#problem(`messages reported as too early are not requested again: ${wrong}`);
				}

				return work;
			},
		});
		const join = control.join.bind(control);
		Object.assign(control, {
			join: (...given: Parameters<typeof join>) => {
				const answer = join(...given);
				const [{id, facts}] = given;
				void answer.then(said => {
					const isTooOld = (facts?.protocol ?? Infinity) < control.state.protocol;
					if (
						said.type === 'refused' &&
						!isTooOld &&
						!this.#membership.wasRemoved(id) &&
						!this.#sharedIds.has(id)
					)
						this.#problem(
							`only removed or outdated nodes are refused: ${host.id} rejects ${id}: ${said.reason}`,
						);
				});
				return answer;
			},
		});
	}
}

function stateOf(bytes: Uint8Array): number {
	return hash32(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'));
}
