/**
Observes the events that a node reports to its operators: leaders and why they changed, the states of members,
partitions and their repair, missed and deleted messages.
*/
import type {BrokerEvent} from '../../../../core/events.ts';
import type {NodeId} from '../../../../core/message.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {Violations} from '../../violations.ts';
import type {LeaderCauseChecks} from '../checks/leader-cause-checks.ts';
import type {MessageChecks} from '../checks/message-checks.ts';
import type {RepairChecks} from '../checks/repair-checks.ts';
import type {UnreadDeletionChecks} from '../checks/unread-deletion-checks.ts';
import {FalseSuspicions} from '../false-suspicions.ts';
import type {Host} from '../host/host.ts';

type MemberEvent = Extract<BrokerEvent, {readonly type: 'member'}>;

export type EventObserverOptions = {
	readonly violations: Violations;
	readonly messages: MessageChecks;
	readonly leaderCauses: LeaderCauseChecks;
	readonly repairs: RepairChecks;
	readonly unread: UnreadDeletionChecks;
	/** The machines whose node has started at least once. */
	readonly hosts: () => readonly Host[];
};

export class EventObserver {
	readonly falseSuspicions = new FalseSuspicions();
	readonly #options: EventObserverOptions;
	/** Nodes whose confirmed process was stopped on purpose: on request, or because the node was removed. */
	readonly #cleanStops = new Set<NodeId>();

	constructor(options: EventObserverOptions) {
		this.#options = options;
	}

	booted(host: Host, {journal, failureDetection, identity}: Node): void {
		const record = journal.record.bind(journal);
		const leave = failureDetection.leave.bind(failureDetection);
		Object.assign(journal, {
			record: (event: BrokerEvent) => {
				this.#options.violations.check(this.#reported(host, event));
				record(event);
			},
		});
		Object.assign(failureDetection, {
			leave: () => {
				// A member that refuses the node may tell it of its removal before its own log does (seed 108).
				const isRemoved = this.#options.hosts().some(({node}) => node?.control.state.isRemoved(host.id));
				const isOnPurpose = host.isStopRequested || isRemoved;
				if (isOnPurpose && identity.isConfirmed) this.#cleanStops.add(host.id);
				leave();
			},
		});
	}

	/** Passes an event on to the checks. Returns the violation. */
	#reported(host: Host, event: BrokerEvent): string | undefined {
		const {
			schedule: {nowMs},
			config: {
				raft: {electionMs},
			},
		} = host.options;
		const {leaderCauses, messages, repairs, unread, hosts} = this.#options;
		switch (event.type) {
			case 'leader':
				return leaderCauses.reported(host, event, {nowMs, electionMs});
			case 'partition':
				return repairs.reported(host, event, hosts());
			case 'member':
				return this.#memberReported(host, event);
			case 'transfer': {
				leaderCauses.transferred(event.from, nowMs);
				return undefined;
			}

			case 'missed': {
				messages.reportMissed(host, event.origin);
				return undefined;
			}

			case 'deleted': {
				unread.reported(host, event.topic, event.unread);
				return undefined;
			}

			default:
				return undefined;
		}
	}

	#memberReported(host: Host, {id, state, why}: MemberEvent): string | undefined {
		if (state === 'left' && why && !this.#cleanStops.has(id))
			return `a crash is not reported as a clean stop: ${host.id} reports that ${id} has left, and no confirmed process of it was stopped on purpose`;
		const {hosts, repairs} = this.#options;
		this.falseSuspicions.add(
			state,
			host,
			hosts().find(other => other.id === id && !other.isCopy),
		);
		if (state === 'down' || state === 'left' || state === 'unreachable') repairs.gone(host, id);
		return undefined;
	}
}
