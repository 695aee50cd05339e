/**
Proposals that wait for their commit. A proposal is sent again after a change of leader, or when a packet may have been
lost; its sequence number makes sure that it applies once. It fails with a reason for people as soon as it cannot commit
now. A proposal that failed may still commit later, as with every timeout in a distributed system.
*/
import type {Command, Envelope} from '../cluster-state/command.ts';
import type {Result} from '../cluster-state/sessions.ts';
import {DapssError} from '../errors.ts';
import type {QuorumView} from '../membership/reachability.ts';
import type {NodeId} from '../message.ts';

type Pending = {
	readonly envelope: Envelope;
	readonly startedMs: number;
	sentMs: number;
	isWithLeader: boolean;
	readonly resolve: () => void;
	readonly reject: (error: Error) => void;
};

export type ProposalsOptions = {
	readonly node: NodeId;
	readonly incarnation: number;
	readonly pendingMax: number;
	/**
	A proposal without a quorum fails after this time, milliseconds. It is repeated to a leader after the same time.
	*/
	readonly electionMs: number;
	/** Every proposal fails after this time, milliseconds. */
	readonly deadlineMs: number;
	/** The next Lamport timestamp. */
	readonly stamp: () => number;
	/** Pass an envelope to Raft. */
	readonly propose: (envelope: Envelope) => 'accepted' | 'forwarded' | 'no-leader' | 'over-limit';
	readonly quorum: () => QuorumView;
};

export class Proposals {
	readonly #options: ProposalsOptions;
	readonly #pending = new Map<number, Pending>();
	#seq = 0;
	#isClosed = false;

	constructor(options: ProposalsOptions) {
		this.#options = options;
	}

	get size(): number {
		return this.#pending.size;
	}

	/** Resolves once the command is applied here. @throws `no-quorum`, `no-leader`, `refused`, `timeout`, `closed` */
	propose(command: Command, nowMs: number): Promise<void> {
		if (this.#isClosed) return Promise.reject(new DapssError('closed', 'The node has stopped'));
		const {node, incarnation, pendingMax, stamp} = this.#options;
		if (this.#pending.size >= pendingMax)
			return Promise.reject(
				new DapssError(
					'refused',
					`Expected at most ${pendingMax} proposals in flight (raft.pending_max), got one more`,
				),
			);
		const why = this.unavailableError();
		if (why) return Promise.reject(why);
		const seq = ++this.#seq;
		const answeredBelow = Math.min(seq, ...this.#pending.keys());
		const envelope: Envelope = {node, incarnation, seq, answeredBelow, lamport: stamp(), command};
		return new Promise<void>((resolve, reject) => {
			const pending: Pending = {envelope, startedMs: nowMs, sentMs: nowMs, isWithLeader: false, resolve, reject};
			this.#pending.set(seq, pending);
			this.#send(pending, nowMs);
		});
	}

	/** Repeat proposals, or fail them with a reason. */
	tick(nowMs: number): void {
		const {electionMs, deadlineMs} = this.#options;
		for (const pending of this.#pending.values()) {
			const waitedMs = nowMs - pending.startedMs;
			const why = waitedMs >= electionMs ? this.unavailableError() : undefined;
			if (why) this.#settle(pending, why);
			else if (waitedMs >= deadlineMs) {
				this.#settle(
					pending,
					this.#options.quorum().leader === undefined
						? new DapssError(
								'no-leader',
								`no leader after ${Math.round(waitedMs)} ms: an election is under way, try again`,
							)
						: new DapssError(
								'timeout',
								`not agreed after ${Math.round(waitedMs)} ms: it may still be agreed later`,
							),
				);
			} else if (!pending.isWithLeader || nowMs - pending.sentMs >= electionMs) this.#send(pending, nowMs);
		}
	}

	/** There is a new leader, or none: earlier copies may be lost. */
	leaderChanged(nowMs: number): void {
		for (const pending of this.#pending.values()) {
			pending.isWithLeader = false;
			this.#send(pending, nowMs);
		}
	}

	/** An entry was applied: answer its proposer, if it is of this process. */
	applied(envelope: Envelope, result: Result): void {
		if (envelope.node !== this.#options.node || envelope.incarnation !== this.#options.incarnation) return;
		const pending = this.#pending.get(envelope.seq);
		// A second process of this identity uses the same numbers for its claims.
		if (pending?.envelope.command.type === envelope.command.type)
			this.#settle(pending, result.ok ? undefined : new DapssError('refused', result.reason));
	}

	/** A snapshot was installed: the entries that it covers are never applied one by one. */
	reconsider(answered: (envelope: Envelope) => Result | undefined): void {
		for (const pending of this.#pending.values()) {
			const result = answered(pending.envelope);
			if (result) this.applied(pending.envelope, result);
		}
	}

	close(): void {
		this.#isClosed = true;
		for (const pending of this.#pending.values())
			this.#settle(pending, new DapssError('closed', 'The node is stopping'));
	}

	/** The reason why nothing can be agreed now; `undefined` when an agreement is possible. */
	unavailableError(): DapssError | undefined {
		const view = this.#options.quorum();
		// A known leader may still commit the proposal, whatever this node assumes about other voters.
		return view.leader === undefined && view.state === 'lost' ? noQuorum(view) : undefined;
	}

	#send(pending: Pending, nowMs: number): void {
		const answer = this.#options.propose(pending.envelope);
		pending.isWithLeader = answer === 'accepted' || answer === 'forwarded';
		pending.sentMs = nowMs;
	}

	#settle(pending: Pending, error: Error | undefined): void {
		this.#pending.delete(pending.envelope.seq);
		if (error) pending.reject(error);
		else pending.resolve();
	}
}

export function noQuorum({reachable, voters}: Pick<QuorumView, 'reachable' | 'voters'>): DapssError {
	return new DapssError(
		'no-quorum',
		voters === 0
			? 'no quorum: this node is not a member of a cluster yet'
			: `no quorum: ${reachable} of ${voters} voter${voters === 1 ? '' : 's'} reachable`,
	);
}
