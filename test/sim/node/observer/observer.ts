/**
Observes the nodes of a simulated cluster from outside, and passes what they do to the checks. It wraps the ports of a
node and the methods of its machines. The node does not know about it. Each part of a node has its own observer in this
folder; this one starts and ends with the processes of the nodes.
*/
import type {RaftStore} from '../../../../core/control/raft-store.ts';
import type {DapssError} from '../../../../core/errors.ts';
import type {Reserve} from '../../../../core/io/files/reserve.ts';
import type {NodeId} from '../../../../core/message.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {RaftChecks} from '../../raft-checks.ts';
import type {Violations} from '../../violations.ts';
import {FullDiskChecks} from '../checks/full-disk-checks.ts';
import {LeaderCauseChecks} from '../checks/leader-cause-checks.ts';
import type {MessageChecks} from '../checks/message-checks.ts';
import {QuorumChecks} from '../checks/quorum-checks.ts';
import {RepairChecks} from '../checks/repair-checks.ts';
import type {ReadUpTo} from '../checks/unread-deletion-checks.ts';
import type {ExitCause, Host} from '../host/host.ts';
import {EventObserver} from './event-observer.ts';
import {GossipObserver} from './gossip-observer.ts';
import {LinksObserver} from './links-observer.ts';
import {MembershipObserver} from './membership-observer.ts';
import {Operations} from './operations.ts';
import {RaftObserver} from './raft-observer.ts';
import {StateObserver} from './state-observer.ts';
import {TopicLogObserver} from './topic-log-observer.ts';

export class Observer {
	readonly messages: MessageChecks;
	readonly violations: Violations;
	readonly fullDisks = new FullDiskChecks();
	readonly leaderCauses = new LeaderCauseChecks();
	readonly repairs: RepairChecks;
	readonly raft: RaftObserver;
	readonly state: StateObserver;
	readonly membership: MembershipObserver;
	readonly operations: Operations;
	readonly events: EventObserver;
	readonly topicLogs: TopicLogObserver;
	readonly links: LinksObserver;
	/** Called at snapshots and retention. */
	onMaintenance: (host: Host) => void = () => undefined;
	/** Whether a member may be removed: an operator asked for it, or its data are gone. */
	mayBeRemoved: (node: NodeId) => boolean = () => true;
	/** @default everything is read */
	readUpTo: ReadUpTo = () => Infinity;
	/** How often processes ended. */
	readonly exits: Record<ExitCause, number> = {killed: 0, power: 0, stopped: 0, storage: 0, damaged: 0, removed: 0};
	readonly #gossip: GossipObserver;
	readonly #quorums = new QuorumChecks();

	constructor(checks: RaftChecks, messages: MessageChecks) {
		const {violations} = checks;
		const {fullDisks, leaderCauses} = this;
		const onMaintenance = (host: Host): void => this.onMaintenance(host);
		this.messages = messages;
		this.violations = violations;
		this.repairs = new RepairChecks(messages);
		this.raft = new RaftObserver(checks, leaderCauses, onMaintenance);
		this.membership = new MembershipObserver(violations, node => this.mayBeRemoved(node));
		this.state = new StateObserver(this.raft, this.membership);
		this.operations = new Operations(this.raft);
		this.links = new LinksObserver(this.raft, violations);
		this.#gossip = new GossipObserver(this.repairs, violations);
		this.topicLogs = new TopicLogObserver({
			violations,
			messages,
			fullDisks,
			readUpTo: (host, topic) => this.readUpTo(host, topic),
			onRetained: onMaintenance,
		});
		this.events = new EventObserver({
			violations,
			messages,
			leaderCauses,
			repairs: this.repairs,
			unread: this.topicLogs.unread,
			hosts: () => this.raft.hosts,
		});
	}

	/** Called after every event. Checks the nodes that the event touched. */
	observe(hosts: readonly Host[]): void {
		this.topicLogs.checkReports();
		this.messages.checkGaps();
		this.violations.check(this.#quorums.check(hosts));
		for (const host of hosts) {
			const {node} = host;
			if (!node || !this.raft.isTouched(host)) continue;
			this.messages.observe(host, node.options.lamport.now);
			this.raft.observe(host, node);
		}
	}

	/** The node exists, and has not started. */
	booted(host: Host, node: Node, store: RaftStore): void {
		const process = this.raft.booted(host, node, store);
		this.state.booted(host, node, process);
		this.membership.booted(host, node);
		this.operations.booted(host, node);
		this.events.booted(host, node);
		this.#gossip.booted(host, node);
		this.leaderCauses.booted(host.key);
		this.repairs.booted(host);
		this.topicLogs.unread.booted(host);
		this.fullDisks.assembled(host, node);
	}

	/** The node has read its logs back. */
	started(host: Host, node: Node): void {
		this.messages.started(host, new Set(node.data.topics.keys()));
		this.fullDisks.started(host);
	}

	/** The process of the node has ended. */
	ended(host: Host, cause: ExitCause): void {
		if (/EMFILE/.test(host.exitReason))
			throw this.violations.record(
				`a node without file descriptors keeps running: ${host.id} ended: ${host.exitReason}`,
			);
		// The simulated disk answers within milliseconds.
		if (/took longer than/.test(host.exitReason))
			this.violations.record(
				`a pause of the process is no fault of the disk: ${host.id} ended: ${host.exitReason}`,
			);
		const unstarted = this.fullDisks.ended(host);
		if (unstarted !== undefined) this.violations.record(unstarted); // Not thrown: no caller would catch it.
		this.exits[cause]++;
		this.leaderCauses.ended(host.id, host.options.schedule.nowMs);
		this.raft.ended(host);
	}

	/** The machine gets a new disk. Nothing of the old one is expected back. */
	wiped(host: Host): void {
		this.raft.wiped(host);
		this.messages.wiped(host);
	}

	/** Another machine gets a copy of this one's disk. */
	copied(host: Host, copy: Host): void {
		this.membership.copied(host.id);
		this.raft.copied(host);
		this.messages.copied(host, copy);
	}

	/** Wraps the reserve that a node keeps on its disk. */
	reserve(host: Host, reserve: Reserve): Reserve {
		const maintain = reserve.maintain.bind(reserve);
		return Object.assign(reserve, {
			maintain: async () => {
				await maintain();
				this.fullDisks.maintained(host);
			},
		});
	}

	/** A client publishes through the node. Returns the answer of the node, which is checked. */
	async published<Answer>(host: Host, publish: () => Promise<Answer>): Promise<Answer> {
		const judge = this.fullDisks.publishing(host);
		let failure: Partial<DapssError> | undefined;
		try {
			return await publish();
		} catch (error) {
			failure = error as Partial<DapssError>;
			throw error;
		} finally {
			const violation = judge(failure);
			if (violation !== undefined) this.violations.record(violation);
		}
	}
}
